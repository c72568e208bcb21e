// AES-128 and HMAC by OpenSSL, which uses the instructions that the processor has for them.

internal import COpenSSL
import Packaging

/// AES-128 under one key. For one thread at a time: whoever makes a segment makes one of these.
final class OpenSSLCipher: BlockCipher {
  private let chained: OpaquePointer
  private let counted: OpaquePointer
  private let single: OpaquePointer

  // Looked up once: by their old names OpenSSL looks them up for every context. They are constants to whoever uses them.
  nonisolated(unsafe) private static let chaining = EVP_CIPHER_fetch(nil, "AES-128-CBC", nil)
  nonisolated(unsafe) private static let counting = EVP_CIPHER_fetch(nil, "AES-128-CTR", nil)
  nonisolated(unsafe) private static let blocks = EVP_CIPHER_fetch(nil, "AES-128-ECB", nil)

  init(_ key: ContentKey) {
    chained = Self.context(Self.chaining, key)
    counted = Self.context(Self.counting, key)
    single = Self.context(Self.blocks, key)
    EVP_CIPHER_CTX_set_padding(chained, 0)
    EVP_CIPHER_CTX_set_padding(single, 0)
  }

  deinit {
    // Each wipes the key that it holds.
    EVP_CIPHER_CTX_free(chained)
    EVP_CIPHER_CTX_free(counted)
    EVP_CIPHER_CTX_free(single)
  }

  func encryptCBC(_ blocks: UnsafeMutableRawBufferPointer, vector: inout UInt128) {
    precondition(blocks.count % 16 == 0, "CBC works on whole blocks")
    guard blocks.count > 0 else { return }
    Self.encrypt(blocks, chained, vector)
    vector = UInt128(bigEndian: blocks.loadUnaligned(fromByteOffset: blocks.count - 16, as: UInt128.self))
  }

  func encryptBlocks(_ blocks: UnsafeMutableRawBufferPointer) {
    precondition(blocks.count % 16 == 0 && blocks.count > 0, "blocks are whole")
    let memory = blocks.baseAddress?.assumingMemoryBound(to: UInt8.self)
    var count: Int32 = 0
    let isDone = EVP_EncryptUpdate(single, memory, &count, memory, Int32(blocks.count)) == 1
    precondition(isDone && Int(count) == blocks.count, "OpenSSL did not encrypt")
  }

  func encryptCTR(_ bytes: UnsafeMutableRawBufferPointer, counter: UInt128) {
    guard bytes.count > 0 else { return }
    Self.encrypt(bytes, counted, counter)
  }

  private static func context(_ cipher: OpaquePointer?, _ key: ContentKey) -> OpaquePointer {
    guard let cipher, let context = EVP_CIPHER_CTX_new(),
      EVP_EncryptInit_ex(context, cipher, nil, key.key, nil) == 1
    else {
      preconditionFailure("OpenSSL offers no AES-128, without which nothing is encrypted")
    }
    return context
  }

  private static func encrypt(
    _ bytes: UnsafeMutableRawBufferPointer, _ context: OpaquePointer, _ vector: UInt128
  ) {
    let memory = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    var count: Int32 = 0
    let isDone = withUnsafeBytes(of: vector.bigEndian) { iv in
      EVP_EncryptInit_ex(context, nil, nil, nil, iv.baseAddress?.assumingMemoryBound(to: UInt8.self)) == 1
        && EVP_EncryptUpdate(context, memory, &count, memory, Int32(bytes.count)) == 1
    }
    // Going on would send clear bytes as protected ones.
    precondition(isDone && Int(count) == bytes.count, "OpenSSL did not encrypt")
  }
}

/// HMAC (RFC 2104, FIPS 198-1).
enum MessageCode {
  /// As many bytes as the hash has: 32 for SHA-256. The key is not empty.
  static func bytes(of message: [UInt8], key: [UInt8], hash: MessageHash = .sha256) -> [UInt8] {
    var code = [UInt8](repeating: 0, count: 32)
    var count: UInt32 = 0
    let result = HMAC(hash.algorithm, key, Int32(key.count), message, message.count, &code, &count)
    precondition(result != nil && count <= 32, "OpenSSL offers no HMAC, without which no key is derived")
    return Array(code.prefix(Int(count)))
  }
}

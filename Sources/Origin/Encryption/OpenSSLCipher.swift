// AES-128 and HMAC by OpenSSL, which uses the instructions that the processor has for them.

internal import COpenSSL
import Packaging

/// AES-128 under one key. For one thread at a time: whoever makes a segment makes one of these.
final class OpenSSLCipher: BlockCipher {
  /// Made at first use: a segment needs one of them, and making one costs as much as a kilobyte of cipher.
  private lazy var chained = CipherContext(Self.chaining, key)
  private lazy var counted = CipherContext(Self.counting, key)
  private lazy var single = CipherContext(Self.blocks, key)
  private let key: ContentKey

  // Looked up once: by their old names OpenSSL looks them up for every context. They are constants to whoever uses them.
  nonisolated(unsafe) private static let chaining = EVP_CIPHER_fetch(nil, "AES-128-CBC", nil)
  nonisolated(unsafe) private static let counting = EVP_CIPHER_fetch(nil, "AES-128-CTR", nil)
  nonisolated(unsafe) private static let blocks = EVP_CIPHER_fetch(nil, "AES-128-ECB", nil)

  init(_ key: ContentKey) { self.key = key }

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
    let isDone = EVP_EncryptUpdate(single.pointer, memory, &count, memory, Int32(blocks.count)) == 1
    precondition(isDone && Int(count) == blocks.count, "OpenSSL did not encrypt")
  }

  func encryptCTR(_ bytes: UnsafeMutableRawBufferPointer, counter: UInt128) {
    guard bytes.count > 0 else { return }
    Self.encrypt(bytes, counted, counter)
  }

  private static func encrypt(
    _ bytes: UnsafeMutableRawBufferPointer, _ context: CipherContext, _ vector: UInt128
  ) {
    let memory = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    var count: Int32 = 0
    let isDone = withUnsafeBytes(of: vector.bigEndian) { iv in
      EVP_EncryptInit_ex(context.pointer, nil, nil, nil, iv.baseAddress?.assumingMemoryBound(to: UInt8.self))
        == 1
        && EVP_EncryptUpdate(context.pointer, memory, &count, memory, Int32(bytes.count)) == 1
    }
    // Going on would send clear bytes as protected ones.
    precondition(isDone && Int(count) == bytes.count, "OpenSSL did not encrypt")
  }
}

/// A cipher of OpenSSL with a key, without padding.
private final class CipherContext {
  let pointer: OpaquePointer

  init(_ cipher: OpaquePointer?, _ key: ContentKey) {
    guard let cipher, let context = EVP_CIPHER_CTX_new(),
      EVP_EncryptInit_ex(context, cipher, nil, key.key, nil) == 1
    else {
      preconditionFailure("OpenSSL offers no AES-128, without which nothing is encrypted")
    }
    EVP_CIPHER_CTX_set_padding(context, 0)
    pointer = context
  }

  // Wipes the key.
  deinit { EVP_CIPHER_CTX_free(pointer) }
}

/// HMAC (RFC 2104, FIPS 198-1).
public enum MessageCode {
  /// HMAC-SHA256, 32 bytes; for signatures that other services ask for. The key is not empty.
  public static func sha256(of message: [UInt8], key: [UInt8]) -> [UInt8] { bytes(of: message, key: key) }

  /// As many bytes as the hash has: 32 for SHA-256. The key is not empty.
  static func bytes(of message: [UInt8], key: [UInt8], hash: MessageHash = .sha256) -> [UInt8] {
    var code = [UInt8](repeating: 0, count: 32)
    var count: UInt32 = 0
    let result = HMAC(hash.algorithm, key, Int32(key.count), message, message.count, &code, &count)
    precondition(result != nil && count <= 32, "OpenSSL offers no HMAC, without which no key is derived")
    return Array(code.prefix(Int(count)))
  }
}

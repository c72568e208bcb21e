// Public keys of other schemes, from PEM, and the digests that tokens use. By OpenSSL.

internal import COpenSSL

enum MessageHash: String, Sendable {
  case md5
  case sha1
  case sha256

  var algorithm: OpaquePointer? {
    switch self {
    case .md5: EVP_md5()
    case .sha1: EVP_sha1()
    case .sha256: EVP_sha256()
    }
  }

  var name: String {
    switch self {
    case .md5: "MD5"
    case .sha1: "SHA1"
    case .sha256: "SHA256"
    }
  }
}

enum MessageDigest {
  /// 16 bytes. For a scheme that is defined by it, and nothing else.
  static func md5(_ message: [UInt8]) -> [UInt8] {
    digest(message, EVP_md5(), 16, "OpenSSL offers no MD5, without which no secure_link is verified")
  }

  /// 32 bytes (FIPS 180-4 §5.3.6.2).
  static func sha512t256(_ message: [UInt8]) -> [UInt8] {
    digest(
      message, EVP_sha512_256(), 32, "OpenSSL offers no SHA-512/256, which every version since 1.1.1 has")
  }

  private static func digest(
    _ message: [UInt8], _ algorithm: OpaquePointer?, _ size: Int, _ failure: String
  ) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: size)
    var count: UInt32 = 0
    let result = EVP_Digest(message, message.count, &digest, &count, algorithm, nil)
    precondition(result == 1 && count == UInt32(size), failure)
    return digest
  }
}

/// A public key that verifies: RSA, or ECDSA over P-256.
// OpenSSL's key is never changed after it is made here, and its reference count is atomic.
final class PublicKey: @unchecked Sendable, Equatable {
  private let key: OpaquePointer
  private let pem: [UInt8]

  /// Nil for anything else than the PEM of such a key (`BEGIN PUBLIC KEY`) of at least 2048 bits, or of P-256.
  init?(pem: [UInt8]) {
    guard !pem.isEmpty, let memory = BIO_new_mem_buf(pem, Int32(pem.count)) else { return nil }
    defer { BIO_free(memory) }
    guard let key = PEM_read_bio_PUBKEY(memory, nil, nil, nil) else {
      ERR_clear_error()
      return nil
    }
    switch EVP_PKEY_get_base_id(key) {
    case EVP_PKEY_RSA where EVP_PKEY_get_bits(key) >= 2048: break
    case EVP_PKEY_EC where Self.isP256(key): break
    default:
      EVP_PKEY_free(key)
      return nil
    }
    self.key = key
    self.pem = pem
  }

  deinit { EVP_PKEY_free(key) }

  static func == (left: PublicKey, right: PublicKey) -> Bool { left.pem == right.pem }

  private static func isP256(_ key: OpaquePointer) -> Bool {
    var name = [CChar](repeating: 0, count: 64)
    var count = 0
    guard EVP_PKEY_get_group_name(key, &name, name.count, &count) == 1 else { return false }
    return name.prefix(count).elementsEqual("prime256v1".utf8.map { CChar($0) })
  }

  /// - Parameter signature: PKCS #1 v1.5 for RSA, DER (RFC 3279 §2.2.3) for ECDSA.
  func verifies(signature: [UInt8], of message: [UInt8], _ hash: MessageHash) -> Bool {
    guard let context = EVP_MD_CTX_new() else { return false }
    defer {
      EVP_MD_CTX_free(context)
      // What a wrong signature leaves there is not for whoever comes next.
      ERR_clear_error()
    }
    return EVP_DigestVerifyInit(context, nil, hash.algorithm, nil, key) == 1
      && EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
  }

  /// ECDSA with SHA-256, r and s as 32 bytes each (RFC 9053 §2.1).
  func verifies(rawSignature: [UInt8], of message: [UInt8]) -> Bool {
    guard EVP_PKEY_get_base_id(key) == EVP_PKEY_EC, rawSignature.count == 64 else { return false }
    let body = Self.integer(rawSignature[..<32]) + Self.integer(rawSignature[32...])
    return verifies(signature: [0x30, UInt8(body.count)] + body, of: message, .sha256)
  }

  /// RSASSA-PSS with SHA-256 for message and mask, and a salt as long as the digest (RFC 8230 §2).
  func verifies(pssSignature: [UInt8], of message: [UInt8]) -> Bool {
    guard EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA, let context = EVP_MD_CTX_new() else { return false }
    defer {
      EVP_MD_CTX_free(context)
      ERR_clear_error()
    }
    // Belongs to the context. The mask's digest is the message's where nothing else is said.
    var parameters: OpaquePointer?
    return EVP_DigestVerifyInit(context, &parameters, EVP_sha256(), nil, key) == 1
      && EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1
      && EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1
      && EVP_DigestVerify(context, pssSignature, pssSignature.count, message, message.count) == 1
  }

  /// A DER INTEGER of an unsigned number.
  private static func integer(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    var digits = Array(bytes.drop { $0 == 0 })
    if digits.isEmpty || digits[0] & 0x80 != 0 { digits.insert(0, at: 0) }
    return [0x02, UInt8(digits.count)] + digits
  }
}

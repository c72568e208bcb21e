// Records that the kernel makes
//
// Long bodies leave fastest by `sendfile`, which no program can encrypt. Where the kernel has TLS (the module `tls`), a session of
// TLS 1.3 that has a long body to send hands its sending half over, and its socket is a plain one for output from then on
// (`Socket.passLayerBy`). The handshake, the ticket, the first 64 KiB and all that is read stay with OpenSSL.
//
//   kept      the traffic secret of our direction, which OpenSSL tells when it begins to use it (the callback for key logs), and
//             how many records have been made with it since: they are counted as they pass the BIO
//   derived   key and initial vector, by HKDF-Expand-Label (RFC 8446 §7.1, §7.3)
//   handed    key, vector and the number of the next record (TLS_TX)
//
// After that OpenSSL must send nothing more, since its count of records is wrong: the goodbye is an alert that the kernel makes,
// and a session in which OpenSSL wants to speak (an alert for what the peer sent, the answer to a wish for new keys) is ended.

internal import CLinux
internal import COpenSSL
import Glibc

/// What the kernel needs to go on with the records of one direction.
struct TLSSendingKeys {
  /// server_application_traffic_secret_0; as long as the hash of the cipher suite.
  private var secret: [UInt8]
  /// Records made so far.
  private(set) var records: UInt64 = 0

  /// - Parameter line: as the callback for key logs has it: a label, the client's random number and the secret in hex.
  /// - Returns: nil for a line of another secret.
  init?(keyLogLine line: UnsafeBufferPointer<UInt8>) {
    let parts = line.split(separator: UInt8(ascii: " "))
    guard parts.count == 3, parts[0].elementsEqual("SERVER_TRAFFIC_SECRET_0".utf8) else { return nil }
    let digits = parts[2].compactMap(PercentText.hexValue)
    guard digits.count == parts[2].count, digits.count == 64 || digits.count == 96 else { return nil }
    secret = stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  /// Counts the records in bytes that OpenSSL has made. False where they are not whole records.
  mutating func count(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var position = 0
    while position < bytes.count {
      guard position + 5 <= bytes.count else { return false }
      position += 5 + (Int(bytes[position + 3]) << 8 | Int(bytes[position + 4]))
      records += 1
    }
    return position == bytes.count
  }

  /// Has the kernel encrypt what is sent on a connection from now on. False where it does not take that.
  ///
  /// - Parameter cipher: the identifier of the suite (RFC 8446 §B.4).
  func hand(to descriptor: Int32, cipher: UInt16) -> Bool {
    let hand: (Int32, UnsafePointer<UInt8>, UnsafePointer<UInt8>, UnsafePointer<UInt8>) -> Int32
    let keyBytes: Int
    switch cipher {
    case 0x1301: (hand, keyBytes) = (clinux_tls_send_aes_128_gcm, 16)
    case 0x1302: (hand, keyBytes) = (clinux_tls_send_aes_256_gcm, 32)
    case 0x1303: (hand, keyBytes) = (clinux_tls_send_chacha20_poly1305, 32)
    default: return false
    }
    guard var key = expand("key", keyBytes), var vector = expand("iv", 12) else { return false }
    defer {
      OPENSSL_cleanse(&key, key.count)
      OPENSSL_cleanse(&vector, vector.count)
    }
    let number = withUnsafeBytes(of: records.bigEndian) { Array($0) }
    return clinux_tls_attach(descriptor) == 0 && hand(descriptor, key, vector, number) == 0
  }

  /// HKDF-Expand-Label without a context, of no more than one block of the hash.
  func expand(_ label: String, _ count: Int) -> [UInt8]? {
    let name = Array("tls13 \(label)".utf8)
    // One block: its number, 1, stands at the end (RFC 5869 §2.3).
    let info = [UInt8(count >> 8), UInt8(count & 0xFF), UInt8(name.count)] + name + [0, 1]
    var block = [UInt8](repeating: 0, count: secret.count)
    let hash = secret.count == 32 ? EVP_sha256() : EVP_sha384()
    guard count <= block.count,
      HMAC(hash, secret, Int32(secret.count), info, info.count, &block, nil) != nil
    else { return nil }
    defer { OPENSSL_cleanse(&block, block.count) }
    return Array(block.prefix(count))
  }

  mutating func forget() { OPENSSL_cleanse(&secret, secret.count) }
}

enum KernelTLS {
  /// Whether this kernel has TLS. Asking loads the module, where the process may do that.
  static let isAvailable: Bool = {
    let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard probe >= 0 else { return false }
    defer { close(probe) }
    // A socket that is not connected can't have it; a kernel without it does not even know the name.
    return clinux_tls_attach(probe) == 0 || errno == ENOTCONN
  }()

  /// Says goodbye (close_notify) on a connection whose records the kernel makes.
  static func sayGoodbye(on descriptor: Int32) { _ = clinux_tls_send_alert(descriptor, 1, 0) }
}

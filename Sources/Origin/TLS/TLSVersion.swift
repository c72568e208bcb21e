internal import COpenSSL

/// The version of TLS that a connection has agreed on, as OpenSSL and the logs of others write it.
public enum TLSVersion: String, Sendable {
  case tls12 = "TLSv1.2"
  case tls13 = "TLSv1.3"

  /// Nil for versions that no context of ours allows.
  init?(_ number: Int32) {
    switch number {
    case TLS1_2_VERSION: self = .tls12
    case TLS1_3_VERSION: self = .tls13
    default: return nil
    }
  }
}

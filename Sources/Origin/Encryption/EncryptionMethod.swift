// Encrypted media have URLs of their own: `/v/{id}/g/{generation}/enc/{method}-{8 hex digits}/…`.
//
// What lies under a generation is kept by caches for a year, so a URL must not mean clear bytes today and encrypted ones
// tomorrow. The digits are the front of a digest over all that the bytes below depend on besides the media: key, KID,
// vector, protection systems and the addresses that manifests name. Change one of them and the URLs are new; the old ones
// answer 404, and what caches still hold of them plays with the old key.

public import Packaging

/// How a site encrypts its media.
public enum EncryptionMethod: String, Sendable, CaseIterable {
  /// Whole resources (RFC 8216bis §4.4.4.4), for HLS in fragmented MP4 and in transport streams.
  case aes128 = "aes-128"
  /// Common Encryption, pattern of blocks: HLS and DASH, fragmented MP4 alone.
  case cbcs
  /// Common Encryption, counter mode: DASH first of all, fragmented MP4 alone.
  case cenc

  /// `nil` where resources are encrypted whole.
  public var scheme: ProtectionScheme? {
    switch self {
    case .aes128: nil
    case .cbcs: .cbcs
    case .cenc: .cenc
    }
  }
}

/// The path component that names method and key: `cbcs-1a2b3c4d`.
public struct ProtectionName: Sendable, Equatable, CustomStringConvertible {
  public let method: EncryptionMethod
  /// Eight lower-case hex digits.
  public let fingerprint: String

  init(method: EncryptionMethod, fingerprint: String) {
    self.method = method
    self.fingerprint = fingerprint
  }

  /// `nil` for what is not exactly a method, a hyphen and eight lower-case hex digits.
  public init?(_ text: String) {
    guard let hyphen = text.lastIndex(of: "-"),
      let method = EncryptionMethod(rawValue: String(text[..<hyphen]))
    else { return nil }
    let digits = text[text.index(after: hyphen)...]
    guard digits.utf8.count == 8,
      digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
    else { return nil }
    self.init(method: method, fingerprint: String(digits))
  }

  public var description: String { "\(method.rawValue)-\(fingerprint)" }
}

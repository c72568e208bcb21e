/// A protection scheme of Common Encryption (ISO/IEC 23001-7 §10).
public enum ProtectionScheme: Sendable, Equatable {
  /// AES-CTR over whole ranges; DASH players and Android since long ago. HLS calls it SAMPLE-AES-CTR.
  case cenc
  /// AES-CBC over one block of ten in pictures; all Apple players, and by now most others. HLS calls it SAMPLE-AES.
  case cbcs

  /// `scheme_type` of `schm`, and the value of DASH's mp4protection element.
  var name: StaticString {
    switch self {
    case .cenc: "cenc"
    case .cbcs: "cbcs"
    }
  }
}

/// One content key with its name. The key itself never reaches a log: no description of this value shows it.
public struct ContentKey: Sendable, Equatable {
  /// KID, 16 bytes, as it stands in `tenc`; public.
  public let id: [UInt8]
  /// The AES-128 key, 16 bytes; secret.
  public let key: [UInt8]
  /// Constant initialization vector, 16 bytes: of every sample in `cbcs`, of a whole resource in HLS AES-128. `cenc`
  /// has no use for it.
  public let iv: [UInt8]?

  /// `nil` where one of the three is not 16 bytes long.
  public init?(id: [UInt8], key: [UInt8], iv: [UInt8]? = nil) {
    guard id.count == 16, key.count == 16, iv == nil || iv?.count == 16 else { return nil }
    self.id = id
    self.key = key
    self.iv = iv
  }
}

extension ContentKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "content key \(String(decoding: HexText.uuid(id), as: UTF8.self))" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}

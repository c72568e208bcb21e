// `EXT-X-KEY` and `EXT-X-SESSION-KEY` (RFC 8216bis §4.4.4.4 and §4.4.6.4).
//
// A segment may have several keys of different `KEYFORMAT`, all for the same content key: a player takes the one whose
// system it has. The line applies to every segment and map after it, so it stands once, before `EXT-X-MAP`. A session
// key is the same in the Multivariant Playlist and lets a player ask for its license early.
//
// Attributes that Headwater writes for systems it was given a `pssh` box of are those that players expect:
// `KEYFORMAT` is the UUID of the system and the URI holds the whole box; PlayReady has its own name and the URI holds
// the data of the box, a PlayReady Object.

/// How a player of HLS gets at the key.
public struct HLSKey: Sendable, Equatable {
  public enum Method: Sendable, Equatable {
    /// Whole resources, by `SegmentCipher`.
    case aes128
    /// In fragmented MP4, `cbcs`.
    case sampleAES
    /// In fragmented MP4, `cenc`.
    case sampleAESCTR
  }

  public var method: Method
  /// Where the key is; the form depends on `keyFormat`.
  public var uri: String
  /// Put behind it, where the key is a child of the playlist; see `MediaPlaylist.bytes`.
  public var uriSuffix: String
  /// 16 bytes. Wanted with `aes128`; the other methods have theirs in the media.
  public var iv: [UInt8]?
  /// `nil` means `identity`: the URI leads to the 16 bytes of the key.
  public var keyFormat: String?
  /// Versions of the key format, for example `1` or `1/2`.
  public var keyFormatVersions: String?

  public init(
    method: Method, uri: String, uriSuffix: String = "", iv: [UInt8]? = nil, keyFormat: String? = nil,
    keyFormatVersions: String? = nil
  ) {
    self.method = method
    self.uri = uri
    self.uriSuffix = uriSuffix
    self.iv = iv
    self.keyFormat = keyFormat
    self.keyFormatVersions = keyFormatVersions
  }

  /// The key of media protected by `ProtectedTrack`, for players that have `system`.
  public init(scheme: ProtectionScheme, system: ProtectionSystem) {
    let isPlayReady = system.id == ProtectionSystem.playReadyID
    let object = String(decoding: Base64Text.encoded(isPlayReady ? system.data : system.box), as: UTF8.self)
    self.init(
      method: Method(scheme),
      uri: (isPlayReady ? "data:text/plain;charset=UTF-16;base64," : "data:text/plain;base64,") + object,
      keyFormat: isPlayReady
        ? "com.microsoft.playready" : "urn:uuid:" + String(decoding: HexText.uuid(system.id), as: UTF8.self),
      keyFormatVersions: "1")
  }

  /// The line for a Media Playlist, with its line end.
  public var line: [UInt8] { line(tag: "#EXT-X-KEY:") }

  /// The line for a Multivariant Playlist, with its line end.
  public var sessionLine: [UInt8] { line(tag: "#EXT-X-SESSION-KEY:") }

  private func line(tag: StaticString) -> [UInt8] {
    let uri = URIText.reference(uri) + URIText.suffix(uriSuffix)
    var writer = TextWriter(capacityBytes: 160 + uri.count)
    writer.literal(tag)
    switch method {
    case .aes128: writer.literal("METHOD=AES-128,URI=\"")
    case .sampleAES: writer.literal("METHOD=SAMPLE-AES,URI=\"")
    case .sampleAESCTR: writer.literal("METHOD=SAMPLE-AES-CTR,URI=\"")
    }
    writer.raw(uri)
    writer.literal("\"")
    if let iv {
      writer.literal(",IV=0x")
      writer.raw(HexText.digits(iv))
    }
    if let keyFormat {
      writer.literal(",KEYFORMAT=")
      writer.quoted(keyFormat)
    }
    if let keyFormatVersions {
      writer.literal(",KEYFORMATVERSIONS=")
      writer.quoted(keyFormatVersions)
    }
    writer.literal("\n")
    return writer.bytes
  }
}

extension HLSKey.Method {
  /// The method of media that carry their own encryption.
  public init(_ scheme: ProtectionScheme) {
    switch scheme {
    case .cenc: self = .sampleAESCTR
    case .cbcs: self = .sampleAES
    }
  }
}

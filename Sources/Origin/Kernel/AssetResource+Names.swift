// The names below an asset, both ways. One resource has one name; whatever is spelled otherwise is none of them.
//
//   master.m3u8  master_ts.m3u8  master_byterange.m3u8  manifest.mpd  ondemand.mpd  source
//   {rendition}.mp4  {rendition}.cmaf (.cmfv, .cmfa)  {rendition}.vtt
//   {rendition}/playlist.m3u8  playlist_ts.m3u8  playlist_byterange.m3u8  iframes.m3u8  iframes_ts.m3u8
//   {rendition}/init.mp4  segment_0000.m4s  segment_0000.ts  segment_0000.vtt  ts_segment_0000.vtt
//   {rendition}/iframe_0000.m4s  iframe_0000.ts
//
// Where things are encrypted, below `enc/{method}-{fingerprint}/`, there is also `key`.

import Packaging

extension AssetResource {
  /// What the names below the asset (and its generation) ask for; nil where nothing can have that name.
  init?(names: [String]) {
    switch names.count {
    case 1:
      switch names[0] {
      case "": return nil
      case "master.m3u8": self = .multivariantPlaylist(.fragments)
      case "master_ts.m3u8": self = .multivariantPlaylist(.transport)
      case "master_byterange.m3u8": self = .multivariantPlaylist(.byteRanges)
      case "manifest.mpd": self = .mpd(.fragments)
      case "ondemand.mpd": self = .mpd(.byteRanges)
      case "source": self = .source
      case let name: self = Self.file(name) ?? .other(name: name)
      }
    case 2:
      guard let resource = RenditionResource(name: names[1]) else {
        self = .other(name: "\(names[0])/\(names[1])")
        return
      }
      self = .rendition(names[0], resource)
    default:
      self = .other(name: names.joined(separator: "/"))
    }
  }

  private static func file(_ name: String) -> AssetResource? {
    if name.hasSuffix(".mp4") { return .rendition(String(name.dropLast(4)), .progressive) }
    // The last two are what CMAF calls a file of picture and one of sound, for players that judge by names.
    for ending in [".cmaf", ".cmfv", ".cmfa"] where name.hasSuffix(ending) {
      return .rendition(String(name.dropLast(5)), .fragmentedFile)
    }
    // Other WebVTT files beside an asset are plugins': only a subtitle rendition's name makes one of these.
    if name.hasSuffix(".vtt"), name.hasPrefix("subtitle-") {
      return .rendition(String(name.dropLast(4)), .subtitleFile)
    }
    return nil
  }

  /// The name below the asset. Entity tags are made from it: part of what is promised, so it never changes without
  /// `PackagerVersion.number`.
  public var canonicalName: String {
    switch self {
    case .multivariantPlaylist(let form): "master\(form.nameSuffix).m3u8"
    case .mpd(.byteRanges): "ondemand.mpd"
    case .mpd: "manifest.mpd"
    case .rendition(let rendition, .progressive): "\(rendition).mp4"
    case .rendition(let rendition, .fragmentedFile): "\(rendition).cmaf"
    case .rendition(let rendition, .subtitleFile): "\(rendition).vtt"
    case .rendition(let rendition, let resource): "\(rendition)/\(resource.name)"
    case .source: "source"
    case .contentKey: "key"
    case .other(let name): name
    }
  }
}

extension RenditionResource {
  /// What a name below a rendition asks for; nil for names that none has.
  fileprivate init?(name: String) {
    switch name {
    case "playlist.m3u8": self = .playlist(.fragments)
    case "playlist_ts.m3u8": self = .playlist(.transport)
    case "playlist_byterange.m3u8": self = .playlist(.byteRanges)
    case "iframes.m3u8": self = .iFramePlaylist(.fragments)
    case "iframes_ts.m3u8": self = .iFramePlaylist(.transport)
    case "init.mp4": self = .initSegment
    default:
      guard let numbered = Self.numbered(name) else { return nil }
      self = numbered
    }
  }

  private static func numbered(_ name: String) -> RenditionResource? {
    if let number = number(in: name, "segment_", ".m4s") { return .segment(number, .fragments) }
    if let number = number(in: name, "segment_", ".ts") { return .segment(number, .transport) }
    if let number = number(in: name, "segment_", ".vtt") { return .subtitleSegment(number, .fragments) }
    if let number = number(in: name, "ts_segment_", ".vtt") { return .subtitleSegment(number, .transport) }
    if let number = number(in: name, "iframe_", ".m4s") { return .iFrame(number, .fragments) }
    if let number = number(in: name, "iframe_", ".ts") { return .iFrame(number, .transport) }
    return nil
  }

  /// `segment_0012.m4s`: at least four digits, and no more than needed, so that one segment has one URL.
  private static func number(in name: String, _ prefix: String, _ suffix: String) -> Int? {
    guard name.hasPrefix(prefix), name.hasSuffix(suffix),
      name.utf8.count >= prefix.utf8.count + suffix.utf8.count
    else { return nil }
    let digits = name.utf8.dropFirst(prefix.utf8.count).dropLast(suffix.utf8.count)
    guard digits.count >= 4, digits.count <= 9, digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
      return nil
    }
    if digits.count > 4, digits.first == 0x30 { return nil }
    return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }

  fileprivate var name: String {
    switch self {
    case .playlist(let form): "playlist\(form.nameSuffix).m3u8"
    case .iFramePlaylist(let form): "iframes\(form.nameSuffix).m3u8"
    case .initSegment: "init.mp4"
    case .segment(let number, let form): "segment_\(Self.digits(number)).\(form == .transport ? "ts" : "m4s")"
    case .iFrame(let number, let form): "iframe_\(Self.digits(number)).\(form == .transport ? "ts" : "m4s")"
    case .subtitleSegment(let number, let form):
      "\(form == .transport ? "ts_" : "")segment_\(Self.digits(number)).vtt"
    case .progressive, .fragmentedFile, .subtitleFile: ""
    }
  }

  private static func digits(_ number: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, 4 - text.count)) + text
  }
}

extension DeliveryForm {
  fileprivate var nameSuffix: String {
    switch self {
    case .fragments: ""
    case .transport: "_ts"
    case .byteRanges: "_byterange"
    }
  }
}

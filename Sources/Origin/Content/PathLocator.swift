// Which path means what: the URLs of the README, section by section.

import HTTP
import Store

/// The built-in locate handler: `/v/…`, `/f/…` and `/blob/…`.
struct PathLocator: LocateHandler {
  func locate(_ path: [UInt8], in site: Site) -> Target? {
    let parts = path.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard let first = parts.first else { return nil }
    if first.elementsEqual("v".utf8) { return asset(parts.dropFirst().map { Array($0) }) }
    if first.elementsEqual("f".utf8), parts.count > 1 {
      guard let decoded = PercentDecoding.decode(path.span.extracting(3...)), !decoded.isEmpty else {
        return nil
      }
      return .file(path: decoded)
    }
    if first.elementsEqual("blob".utf8), parts.count == 2 {
      return BlobID(hex: String(decoding: parts[1], as: UTF8.self)).map { .blob($0) }
    }
    return nil
  }

  private func asset(_ parts: [[UInt8]]) -> Target? {
    guard parts.count >= 2, let id = text(parts[0]), AssetID.isValid(id) else { return nil }
    var rest = parts.dropFirst()
    var generation: Generation?
    if rest.count >= 3, rest.first == Array("g".utf8) {
      guard let pinned = text(rest[rest.startIndex + 1]).flatMap({ Generation(hex: $0) }) else { return nil }
      generation = pinned
      rest = rest.dropFirst(2)
    }
    let names = rest.compactMap { text($0) }
    guard names.count == rest.count, let resource = Self.resource(names) else { return nil }
    return .asset(AssetTarget(id: id, generation: generation, resource: resource))
  }

  /// What the names below the asset (and its generation) ask for.
  static func resource(_ names: [String]) -> AssetResource? {
    switch names.count {
    case 1:
      switch names[0] {
      case "": return nil
      case "master.m3u8": return .multivariantPlaylist
      case "manifest.mpd": return .mpd
      case "source": return .source
      case let name where name.hasSuffix(".mp4"): return .progressive(rendition: String(name.dropLast(4)))
      case let name: return .other(name: name)
      }
    case 2:
      switch names[1] {
      case "playlist.m3u8": return .mediaPlaylist(rendition: names[0])
      case "init.mp4": return .initSegment(rendition: names[0])
      case let name:
        guard let number = segmentNumber(name) else { return .other(name: "\(names[0])/\(name)") }
        return .segment(rendition: names[0], number: number)
      }
    default:
      return .other(name: names.joined(separator: "/"))
    }
  }

  /// `segment_0012.m4s`: at least four digits, and no more than needed, so that one segment has one URL.
  private static func segmentNumber(_ name: String) -> Int? {
    guard name.hasPrefix("segment_"), name.hasSuffix(".m4s") else { return nil }
    let digits = name.dropFirst(8).dropLast(4).utf8
    guard digits.count >= 4, digits.count <= 9, digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
      return nil
    }
    if digits.count > 4, digits.first == 0x30 { return nil }
    return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }

  private func text(_ bytes: [UInt8]) -> String? { String(validating: bytes, as: UTF8.self) }
}

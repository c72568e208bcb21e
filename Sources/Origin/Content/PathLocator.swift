// Which path means what: the URLs of the README, section by section.

import HTTP
import Packaging
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
    if first.elementsEqual("api".utf8), parts.count == 4 {
      return text(Array(parts[parts.endIndex - 1])).map { .video(id: $0) }
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
    var names = rest.compactMap { text($0) }
    guard names.count == rest.count else { return nil }
    var protection: ProtectionName?
    if generation != nil, names.count >= 3, names[0] == "enc" {
      guard let name = ProtectionName(names[1]) else { return nil }
      protection = name
      names.removeFirst(2)
      if names == ["key"] {
        return .asset(
          AssetTarget(id: id, generation: generation, protection: protection, resource: .contentKey))
      }
    }
    var clip: ClipRange?
    if names.count >= 3, names[0] == "clip" {
      guard let range = Self.clip(names[1]) else { return nil }
      clip = range
      names.removeFirst(2)
    }
    guard let resource = AssetResource(names: names) else { return nil }
    return .asset(
      AssetTarget(id: id, generation: generation, protection: protection, clip: clip, resource: resource))
  }

  /// `5000-12500`: milliseconds without signs or zeros in front, so that one clip has one URL.
  private static func clip(_ text: String) -> ClipRange? {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let start = milliseconds(parts[0]), let end = milliseconds(parts[1]) else {
      return nil
    }
    return ClipRange(startMilliseconds: start, endMilliseconds: end)
  }

  private static func milliseconds(_ text: Substring) -> UInt32? {
    guard text == "0" || text.first != "0", text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
      return nil
    }
    return UInt32(text)
  }

  private func text(_ bytes: [UInt8]) -> String? { String(validating: bytes, as: UTF8.self) }
}

// Which paths need a token.
//
// The first rule that fits a path decides; `signing.required` decides about the rest. A rule names a path (all below it,
// if it ends in a slash), a class of answer, or both. Classes go by the name alone, since nothing of the store may be
// looked at before a token is.
//
// Not asked of anybody: what has tokens of its own, `/blob/` and `/api/`. Always asked for: a content key below an asset.
// What a rule leaves open stays open when the token of the page has ended; one that is valid still opens private assets
// there and is carried on by manifests.

/// What a path needs of a request.
enum TokenNeed: Sendable, Equatable {
  /// Without a valid token it is refused.
  case required
  /// It may have one, which must then be valid.
  case checked
  /// It may have one, which never refuses it.
  case open
  /// A token is not looked for.
  case exempt
}

struct SigningRules: Sendable {
  let required: Bool
  let rules: [SiteConfiguration.Signing.Rule]

  /// What the path needs, and which rule says so.
  func need(_ path: [UInt8]) -> (need: TokenNeed, rule: String) {
    if path.starts(with: "/blob/".utf8) || path.starts(with: "/api/".utf8) {
      return (.exempt, "bearer tokens guard /blob/ and /api/")
    }
    if Self.isContentKey(path) { return (.required, "content keys always need one") }
    for (number, rule) in rules.enumerated() where Self.fits(rule, path) {
      return (rule.required ? .required : .open, "signing.rules[\(number)]: \(rule)")
    }
    return required ? (.required, "signing.required = true") : (.checked, "signing.required = false")
  }

  private static func fits(_ rule: SiteConfiguration.Signing.Rule, _ path: [UInt8]) -> Bool {
    if let prefix = rule.path {
      let isInside =
        prefix.utf8.last == 0x2F ? path.starts(with: prefix.utf8) : path.elementsEqual(prefix.utf8)
      guard isInside else { return false }
    }
    guard let kind = rule.kind else { return true }
    return kind == Self.kind(of: path)
  }

  /// The class of an answer by its path.
  static func kind(of path: [UInt8]) -> AnswerKind {
    let name = path.lastIndex(of: 0x2F).map { path[($0 + 1)...] } ?? path[...]
    if isContentKey(path) { return .key }
    guard let period = name.lastIndex(of: 0x2E) else {
      return name.elementsEqual("source".utf8) ? .progressive : .file
    }
    switch String(decoding: name[(period + 1)...], as: UTF8.self) {
    case "m3u8", "mpd": return .manifest
    case "m4s", "ts", "vtt": return .segment
    case "mp4" where name.elementsEqual("init.mp4".utf8): return .segment
    case "mp4", "cmaf", "cmfv", "cmfa": return .progressive
    case "jpg", "jpeg", "png", "webp", "avif": return .thumbnail
    default: return .file
    }
  }

  /// `/v/{id}/g/{generation}/enc/{name}/key`.
  private static func isContentKey(_ path: [UInt8]) -> Bool {
    guard path.count > 8, path.suffix(4).elementsEqual("/key".utf8), path.starts(with: "/v/".utf8)
    else { return false }
    let parts = path.split(separator: 0x2F)
    return parts.count == 7 && parts[4].elementsEqual("enc".utf8)
  }
}

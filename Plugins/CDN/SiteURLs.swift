/// The names under which viewers reach a site through an edge: `https://media.example.com`, without a slash at the end.
struct SiteURLs: Equatable, Sendable {
  let bases: [String]

  /// A path under each of them.
  func urls(_ path: String) -> [String] { bases.map { $0 + path } }

  /// Host and port of each.
  var hosts: [String] { bases.map(Self.host) }

  static func host(_ base: String) -> String {
    guard let start = base.firstRange(of: "://")?.upperBound else { return base }
    return String(base[start...])
  }

  /// Whether a text is such a name.
  static func isBase(_ text: String) -> Bool {
    for scheme in ["https://", "http://"] where text.hasPrefix(scheme) {
      let host = text.dropFirst(scheme.count)
      return !host.isEmpty && host.utf8.allSatisfy { (0x21...0x7E).contains($0) }
        && !host.contains { "/?#@\\".contains($0) }
    }
    return false
  }
}

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

extension String {
  /// With every byte in escapes but letters, digits, `-`, `.`, `_` and `~` (RFC 3986 §2.3), and those of `kept`.
  func percentEncoded(keeping kept: String = "") -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: bytes.append(byte)
      case let byte where "-._~".utf8.contains(byte) || kept.utf8.contains(byte): bytes.append(byte)
      default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

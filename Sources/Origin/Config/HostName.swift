/// Host names as a site lists them.
enum HostName {
  /// Stands for every host that no other site takes.
  static let anyHost = "*"

  static let text = ConfigText("a host name") { text in
    if let name = normal(text) { return .accepted(name) }
    let quoted = TOMLText.quoted(text)
    if text.contains("*") {
      return .refused(reason: "\(quoted) is not a host name: \"*\" stands alone and takes every other host")
    }
    if !text.utf8.allSatisfy({ $0 < 0x80 }) {
      return .refused(reason: "\(quoted) is not a host name in ASCII: write its \"xn--\" form")
    }
    return .refused(suggestion: nearest(to: text))
  }

  /// Lower case, without a port; IPv6 in brackets. `nil` if `text` is no host (RFC 1123 §2.1, with `_` allowed).
  static func normal(_ text: String) -> String? {
    if text == anyHost { return text }
    if text.hasPrefix("["), text.hasSuffix("]") {
      return IPAddress.canonicalIPv6(String(text.dropFirst().dropLast())).map { "[\($0)]" }
    }
    let name = text.lowercased()
    guard (1...253).contains(name.utf8.count) else { return nil }
    let labels = name.split(separator: ".", omittingEmptySubsequences: false)
    return labels.allSatisfy(isLabel) ? name : nil
  }

  private static func isLabel(_ label: Substring) -> Bool {
    let bytes = Array(label.utf8)
    let dash = UInt8(ascii: "-")
    guard (1...63).contains(bytes.count), bytes.first != dash, bytes.last != dash else { return false }
    return bytes.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), dash,
        UInt8(ascii: "_"):
        true
      default: false
      }
    }
  }

  /// Drops what does not belong to a host: scheme, path, port, final dot, spaces.
  private static func nearest(to text: String) -> String? {
    var rest = Substring(text.filter { $0 != " " })
    for scheme in ["http://", "https://", "//"] where rest.hasPrefix(scheme) {
      rest = rest.dropFirst(scheme.count)
      break
    }
    rest = rest.prefix { $0 != "/" }
    if let address = IPAddress.canonicalIPv6(String(rest)) { return "[\(address)]" }
    if let colon = rest.lastIndex(of: ":"), !rest.hasSuffix("]") { rest = rest[..<colon] }
    while rest.hasSuffix(".") { rest = rest.dropLast() }
    let name = normal(String(rest))
    return name == anyHost ? nil : name
  }
}

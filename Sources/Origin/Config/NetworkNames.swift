import Glibc

/// An address to listen on: a numeric IP address and a port.
public struct ListenAddress: Sendable, Equatable, Hashable, CustomStringConvertible {
  /// A numeric IPv4 or IPv6 address, without brackets.
  public let host: String
  /// 0 to 65535; 0 lets the system choose.
  public let port: Int

  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// The address in `text`, `192.0.2.1:8080` or `[::1]:8080`, or `nil` if it is not one.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
      return nil
    }
    // `UInt16` also reads "+80".
    guard text[text.index(after: colon)...].utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      return nil
    }
    let host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      guard let address = IPAddress.canonicalIPv6(String(host.dropFirst().dropLast())) else { return nil }
      self.init(host: address, port: Int(port))
    } else {
      guard IPAddress.isIPv4(String(host)) else { return nil }
      self.init(host: String(host), port: Int(port))
    }
  }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// What `listen` and `admin` take.
  static let text = ConfigText("an address with a port such as \"0.0.0.0:8080\"") { text in
    if let address = ListenAddress(text) { return .accepted(address.description) }
    if text.hasSuffix(" tls"), let address = ListenAddress(String(text.dropLast(4))) {
      return .refused(
        reason:
          "TLS listeners are not available in this version: \(TOMLText.quoted(text)) would not be encrypted",
        suggestion: address.description)
    }
    return .refused(suggestion: nearest(to: text))
  }

  /// As `text`, or the empty string.
  static let textOrEmpty = ConfigText("an address with a port such as \"127.0.0.1:9090\", or \"\" for none") {
    $0.isEmpty ? .accepted("") : text.check($0)
  }

  private static func nearest(to text: String) -> String? {
    let bare = text.filter { $0 != " " }
    if IPAddress.isIPv4(bare) { return "\(bare):8080" }
    if let address = IPAddress.canonicalIPv6(bare) { return "[\(address)]:8080" }
    let parts = bare.split(separator: ":", omittingEmptySubsequences: false)
    guard let last = parts.last, let port = UInt16(last) else { return nil }
    switch parts.dropLast().joined(separator: ":") {
    case "", "*": return "0.0.0.0:\(port)"
    case "localhost": return "127.0.0.1:\(port)"
    case let host where IPAddress.isIPv4(host): return "\(host):\(port)"
    case let host: return IPAddress.canonicalIPv6(host).map { "[\($0)]:\(port)" }
    }
  }
}

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

/// Numeric addresses, as the C library reads them.
enum IPAddress {
  static func isIPv4(_ text: String) -> Bool {
    var address = in_addr()
    return inet_pton(AF_INET, text, &address) == 1
  }

  /// The shortest form (RFC 5952), or `nil` if `text` is not an IPv6 address.
  static func canonicalIPv6(_ text: String) -> String? {
    var address = in6_addr()
    guard inet_pton(AF_INET6, text, &address) == 1 else { return nil }
    var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(AF_INET6, &address, &buffer, socklen_t(buffer.count)) != nil else { return nil }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

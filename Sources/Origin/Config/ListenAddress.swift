/// An address to listen on: a numeric IP address and a port, plain or encrypted, behind a proxy or not.
public struct ListenAddress: Sendable, Equatable, Hashable, CustomStringConvertible {
  /// A numeric IPv4 or IPv6 address, without brackets.
  public let host: String
  /// 0 to 65535; 0 lets the system choose.
  public let port: Int
  /// Whether TLS is spoken there.
  public let isTLS: Bool
  /// Every connection begins with a header of the PROXY protocol.
  public let isProxied: Bool

  public init(host: String, port: Int, isTLS: Bool = false, isProxied: Bool = false) {
    self.host = host
    self.port = port
    self.isTLS = isTLS
    self.isProxied = isProxied
  }

  /// The address in `text`, `192.0.2.1:8080` or `[::1]:8080`, with ` proxy` and ` tls` behind it in that order, where they
  /// apply: what comes first on a connection; `nil` if it is not one.
  public init?(_ text: String) {
    let isTLS = text.hasSuffix(Self.tlsSuffix)
    var text = isTLS ? String(text.dropLast(Self.tlsSuffix.count)) : text
    let isProxied = text.hasSuffix(Self.proxySuffix)
    if isProxied { text = String(text.dropLast(Self.proxySuffix.count)) }
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
      self.init(host: address, port: Int(port), isTLS: isTLS, isProxied: isProxied)
    } else {
      guard IPAddress.isIPv4(String(host)) else { return nil }
      self.init(host: String(host), port: Int(port), isTLS: isTLS, isProxied: isProxied)
    }
  }

  private static let tlsSuffix = " tls"
  private static let proxySuffix = " proxy"

  /// Address and port alone.
  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// What `listen` takes.
  static let text = ConfigText("an address with a port such as \"0.0.0.0:8080\"") { text in
    guard let address = ListenAddress(text) else {
      return .refused(suggestion: nearest(to: text, standard: "0.0.0.0"))
    }
    return .accepted(
      address.description + (address.isProxied ? proxySuffix : "") + (address.isTLS ? tlsSuffix : ""))
  }

  /// What `admin` takes.
  static let textOrEmpty = ConfigText("an address with a port such as \"127.0.0.1:9090\", or \"\" for none") {
    if $0.isEmpty { return .accepted("") }
    if let address = ListenAddress($0), address.isTLS || address.isProxied {
      return .refused(
        reason: address.isTLS
          ? "the admin pages are never encrypted: keep their address private"
          : "the admin pages take no PROXY header", suggestion: address.description)
    }
    guard case .refused(let reason, _) = text.check($0) else { return text.check($0) }
    // A port by itself must not turn into an address that everybody reaches.
    return .refused(reason: reason, suggestion: nearest(to: $0, standard: "127.0.0.1"))
  }

  /// - Parameter standard: the address where there is only a port.
  private static func nearest(to text: String, standard: String) -> String? {
    var bare = Substring(text.filter { $0 != " " })
    if bare.hasSuffix("tls") { bare = bare.dropLast(3) }
    let parts = bare.split(separator: ":", omittingEmptySubsequences: false)
    if let last = parts.last, let port = UInt16(last) {
      switch parts.dropLast().joined(separator: ":") {
      case "", "*": return "\(standard):\(port)"
      case "localhost": return "127.0.0.1:\(port)"
      case let host:
        if let address = ListenAddress("\(host):\(port)") ?? ListenAddress("[\(host)]:\(port)") {
          return address.description
        }
      }
    }
    return (ListenAddress("\(bare):8080") ?? ListenAddress("[\(bare)]:8080"))?.description
  }
}

/// A request method (RFC 9110 §9, RFC 5789). Names are case-sensitive: `get` is `.other`.
public enum Method: UInt8, Sendable, CaseIterable {
  case get
  case head
  case options
  case post
  case put
  case patch
  case delete
  case connect
  case trace
  /// A well-formed method that is none of the above; answer 501.
  case other

  /// The name on the wire; `OTHER` for `.other`.
  public var name: StaticString {
    switch self {
    case .get: "GET"
    case .head: "HEAD"
    case .options: "OPTIONS"
    case .post: "POST"
    case .put: "PUT"
    case .patch: "PATCH"
    case .delete: "DELETE"
    case .connect: "CONNECT"
    case .trace: "TRACE"
    case .other: "OTHER"
    }
  }

  init(token: Span<UInt8>) {
    self = .other
    for method in Method.allCases where method != .other && token.equals(method.name) {
      self = method
      return
    }
  }
}

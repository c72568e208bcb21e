internal import CCurl

/// Why there is no answer from a server: a stable code, whom it was about, and what libcurl said.
///
/// Neither text holds a path, a query, a field or a body, since those may be secret.
public struct HTTPClientError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A stable name for one kind of failure; the set is open, so switch with a default.
  public struct Code: RawRepresentable, Hashable, Sendable {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    /// The request can't be sent as it is: a bug of the caller, or of what it took the URL from.
    public static let requestInvalid = Code(rawValue: "net.request-invalid")
    /// The client has as many requests as it may hold.
    public static let overloaded = Code(rawValue: "net.overloaded")
    /// The task was cancelled.
    public static let cancelled = Code(rawValue: "net.cancelled")
    /// The client, or the loop under it, has ended.
    public static let closed = Code(rawValue: "net.closed")
    /// The host's name has no address.
    public static let nameUnresolved = Code(rawValue: "net.name-unresolved")
    /// The address is one that ``AddressPolicy`` keeps the server from.
    public static let addressRefused = Code(rawValue: "net.address-refused")
    /// Nobody listens there, or the way there is broken.
    public static let connectFailed = Code(rawValue: "net.connect-failed")
    /// The handshake failed, or the certificate is not to be trusted for that name.
    public static let tlsFailed = Code(rawValue: "net.tls-failed")
    /// One of the request's times was over.
    public static let timedOut = Code(rawValue: "net.timed-out")
    /// The answer ended early or was not HTTP.
    public static let responseBroken = Code(rawValue: "net.response-broken")
    /// The answer is larger than the request allows.
    public static let responseTooLarge = Code(rawValue: "net.response-too-large")
    /// More redirections than the request allows.
    public static let tooManyRedirects = Code(rawValue: "net.too-many-redirects")
    /// What libcurl says and this list does not.
    public static let other = Code(rawValue: "net.other")
  }

  public let code: Code
  /// Scheme, host and port of the request.
  public let origin: String
  /// What libcurl or the operating system said; may be empty.
  public let detail: String

  public init(_ code: Code, origin: String, detail: String = "") {
    self.code = code
    self.origin = origin
    self.detail = detail
  }

  /// Whether the same request may succeed later, without anybody changing anything on this side.
  public var isTransient: Bool {
    switch code {
    case .requestInvalid, .cancelled, .closed, .addressRefused, .responseTooLarge, .tooManyRedirects: false
    default: true
    }
  }

  /// One sentence for the operator: what failed and what to do about it.
  public var description: String {
    let advice =
      switch code {
      case .requestInvalid: "the request can't be sent"
      case .overloaded: "too many requests wait for it; lower the load or raise the client's limits"
      case .cancelled: "the request was cancelled"
      case .closed: "the client has ended"
      case .nameUnresolved: "the name has no address; check the name and the resolver"
      case .addressRefused: "its address is private, local or reserved, and such are not allowed here"
      case .connectFailed: "no connection; check that it runs and can be reached"
      case .tlsFailed: "TLS failed; check the certificate, its name, and the CA file"
      case .timedOut: "no whole answer in time"
      case .responseBroken: "the answer ended early or is not HTTP"
      case .responseTooLarge: "the answer is too large"
      case .tooManyRedirects: "too many redirections"
      default: "the request failed"
      }
    return "\(origin): \(advice)\(detail.isEmpty ? "" : ": \(detail)") (\(code.rawValue))"
  }

  /// Scheme and authority of a URL, without user and password.
  static func origin(of url: String) -> String {
    guard let colon = url.firstRange(of: "://") else { return "" }
    let rest = url[colon.upperBound...]
    let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    let host = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
    return "\(url[..<colon.lowerBound])://\(host)"
  }
}

extension HTTPClientError.Code {
  init(_ code: CURLcode) {
    self =
      switch code {
      case CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT: .requestInvalid
      case CURLE_COULDNT_RESOLVE_HOST: .nameUnresolved
      case CURLE_COULDNT_CONNECT: .connectFailed
      case CURLE_OPERATION_TIMEDOUT: .timedOut
      case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM,
        CURLE_SSL_CACERT_BADFILE,
        CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CIPHER, CURLE_SSL_INVALIDCERTSTATUS:
        .tlsFailed
      case CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_HTTP2,
        CURLE_HTTP2_STREAM,
        CURLE_WEIRD_SERVER_REPLY, CURLE_BAD_CONTENT_ENCODING:
        .responseBroken
      case CURLE_FILESIZE_EXCEEDED: .responseTooLarge
      case CURLE_TOO_MANY_REDIRECTS: .tooManyRedirects
      default: .other
      }
  }
}

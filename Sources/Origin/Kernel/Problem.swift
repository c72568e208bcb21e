import HTTP
public import Store

/// An answer that says why there is none: RFC 9457, `application/problem+json`.
///
/// `code` is stable and may be relied on; `detail` is for people. Neither ever holds a path of this
/// machine, a secret or a stack. Status codes are chosen here and nowhere else.
public struct Problem: Error, Sendable, Equatable {
  public var status: UInt16
  public var code: String
  public var title: String
  public var detail: String
  /// Further fields, such as `Allow` or `Retry-After`.
  public var fields: [Field]
  /// The connection can't be used after this answer.
  public var closesConnection: Bool
  /// What happened, for the server's log; never part of the answer.
  public var cause: String?

  public struct Field: Sendable, Equatable {
    public var name: String
    public var value: String
    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  public init(
    status: UInt16, code: String, title: String, detail: String, fields: [Field] = [],
    closesConnection: Bool = false, cause: String? = nil
  ) {
    self.status = status
    self.code = code
    self.title = title
    self.detail = detail
    self.fields = fields
    self.closesConnection = closesConnection
    self.cause = cause
  }

  public var body: [UInt8] {
    ProblemDocument.bytes(
      status: status, code: Array(code.utf8).span, title: Array(title.utf8).span,
      detail: Array(detail.utf8).span)
  }
}

extension Problem {
  public static let unknownSite = Problem(
    status: 404, code: "unknown-site", title: "Unknown host",
    detail: "No site of this server answers for the requested host.")

  public static let notFound = Problem(
    status: 404, code: "not-found", title: "Not found", detail: "Nothing is published under this path.")

  public static let unauthorized = Problem(
    status: 401, code: "token-required", title: "Token required",
    detail: "This path needs an Authorization header with a bearer token of the site.",
    fields: [.init("WWW-Authenticate", "Bearer")])

  static let assetPrivate = Problem(
    status: 403, code: "asset-private", title: "Private asset",
    detail: "This asset is marked private: it is delivered to signed URLs alone.")

  /// On a connection whose client has shown no certificate of the site's own authorities: one for another site, or a plain one
  /// (RFC 9110 §15.5.20).
  public static let clientCertificateRequired = Problem(
    status: 421, code: "client-certificate-required", title: "Client certificate required",
    detail: "This host is served over TLS connections made for it, with a client certificate, alone.")

  public static let methodNotAllowed = Problem(
    status: 405, code: "method-not-allowed", title: "Method not allowed",
    detail: "This path answers GET, HEAD and OPTIONS.", fields: [.init("Allow", "GET, HEAD, OPTIONS")])

  public static let methodUnknown = Problem(
    status: 501, code: "method-unknown", title: "Method not implemented",
    detail: "This server does not know the request's method.", closesConnection: true)

  static let requestTimeout = Problem(
    status: 408, code: "request-timeout", title: "Request timeout",
    detail: "The request head did not arrive in time.", closesConnection: true)

  public static let preconditionFailed = Problem(
    status: 412, code: "precondition-failed", title: "Precondition failed",
    detail: "The stored representation is not the one the request names.")

  public static let damaged = Problem(
    status: 500, code: "blob-damaged", title: "Stored data damaged",
    detail: "The stored bytes are missing or damaged; the operator finds them with headwater scrub.")

  /// Stored data that can't be used, with what the log should say about it.
  static func damaged(_ cause: String) -> Problem {
    var problem = Problem.damaged
    problem.cause = cause
    return problem
  }

  public static let internalError = Problem(
    status: 500, code: "internal", title: "Internal error",
    detail: "The server could not make this answer; its log has the request id with the reason.")

  /// Not answered but logged: there is no room for a head to answer with.
  static let headTooLarge = Problem(
    status: 500, code: "head-too-large", title: "Response head too large",
    detail: "Header rules add more than an answer's head may hold; shorten them.")

  public static let overloaded = Problem(
    status: 503, code: "overloaded", title: "Overloaded",
    detail: "The server is at its limit; try again soon.",
    fields: [.init("Retry-After", "1")])

  public static func rangeNotSatisfiable(lengthBytes: UInt64) -> Problem {
    Problem(
      status: 416, code: "range-not-satisfiable", title: "Range not satisfiable",
      detail: "The requested range lies outside of the representation.",
      fields: [.init("Content-Range", "bytes */\(lengthBytes)")])
  }

  /// Media that is kept but can't be packaged; `reason` is ingest's own sentence.
  public static func unpackageable(_ reason: String) -> Problem {
    Problem(
      status: 422, code: "media-not-packageable", title: "Media can't be packaged", detail: reason)
  }

  init(_ error: RequestError) {
    self.init(
      status: error.status, code: error.code.rawValue, title: StatusLine.reason(error.status).description,
      detail: error.message.description, closesConnection: true)
  }

  public init(_ error: StoreError) {
    switch error.code {
    case .full:
      self = Problem(
        status: 507, code: "storage-full", title: "Storage full",
        detail: "The storage of this server is full.")
    case .notFound: self = .notFound
    case .digestMismatch: self = .digestMismatch
    case .damaged, .blobMissing: self = .damaged
    default: self = .internalError
    }
    cause = "\(error)"
  }
}

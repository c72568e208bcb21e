// What the API answers when it does not do what it was asked.

import HTTP

extension Problem {
  /// Of an answer under `/api/`: nobody keeps it, not even a 404.
  var unstored: Problem {
    var problem = self
    problem.fields.append(.init("Cache-Control", "no-store"))
    return problem
  }

  static func tokenRequired(_ site: String) -> Problem {
    Problem(
      status: 401, code: "token-required", title: "Token required",
      detail: "This call needs an Authorization header with a bearer token of the site.",
      fields: [.init("WWW-Authenticate", "Bearer realm=\"\(site)\"")])
  }

  static func tokenUnknown(_ site: String) -> Problem {
    Problem(
      status: 401, code: "token-unknown", title: "Token unknown",
      detail: "The bearer token is none of the site's.",
      fields: [.init("WWW-Authenticate", "Bearer realm=\"\(site)\", error=\"invalid_token\"")])
  }

  static let noSuchCall = Problem(
    status: 404, code: "not-found", title: "Not found", detail: "The API has nothing under this path.")

  /// - Parameter what: such as "video".
  public static func unknown(_ what: String) -> Problem {
    Problem(
      status: 404, code: "\(what)-unknown", title: "Not found", detail: "The site has no such \(what).")
  }

  static func methodNotAllowed(_ methods: String) -> Problem {
    Problem(
      status: 405, code: "method-not-allowed", title: "Method not allowed",
      detail: "This path answers \(methods).", fields: [.init("Allow", methods)])
  }

  static let lengthRequired = Problem(
    status: 411, code: "length-required", title: "Length required",
    detail: "This call needs a body: send it with Content-Length or in chunks.")

  static func bodyTooLong(_ limitBytes: UInt64) -> Problem {
    Problem(
      status: 413, code: "content-too-large", title: "Content too large",
      detail: "The body of this call has at most \(limitBytes) bytes.", closesConnection: true)
  }

  static func mediaTypeNotTaken(_ types: [String], fields: [Field] = []) -> Problem {
    Problem(
      status: 415, code: "media-type-not-taken", title: "Unsupported media type",
      detail: "The body of this call is \(types.joined(separator: " or ")).", fields: fields)
  }

  static let bodyTimeout = Problem(
    status: 408, code: "request-timeout", title: "Request timeout",
    detail: "The request body did not arrive in time.", closesConnection: true)

  static let bodyIncomplete = Problem(
    status: 400, code: "body-incomplete", title: "Bad request",
    detail: "The connection ended before the body did.", closesConnection: true)

  static func invalidJSON(_ error: JSONError) -> Problem {
    Problem(
      status: 400, code: "invalid-json", title: "Invalid JSON",
      detail: "The body is not JSON as it is taken here: \(error.message) at byte \(error.offset).")
  }

  /// - Parameter detail: a sentence that names the field.
  public static func invalidField(_ detail: String) -> Problem {
    Problem(status: 400, code: "invalid-field", title: "Invalid field", detail: detail)
  }

  public static func wrongType(_ key: String, _ value: JSONValue, _ wanted: String) -> Problem {
    invalidField("\"\(key)\" is \(value.typeName); it must be \(wanted).")
  }

  /// - Parameter detail: a sentence that names the parameter.
  public static func invalidParameter(_ detail: String) -> Problem {
    Problem(status: 400, code: "invalid-parameter", title: "Invalid parameter", detail: detail)
  }

  static let invalidCursor = Problem(
    status: 400, code: "invalid-cursor", title: "Invalid cursor",
    detail: "The cursor is none that this list has given for these parameters.")

  static let preconditionRequired = Problem(
    status: 428, code: "precondition-required", title: "Precondition required",
    detail:
      "A change needs If-Match with the entity tag of what it is made from, or * to change whatever is there."
  )

  static func changedMeanwhile(etag: [UInt8]) -> Problem {
    Problem(
      status: 412, code: "precondition-failed", title: "Precondition failed",
      detail: "What is stored is not what the request names: read it again, then decide.",
      fields: [.init("ETag", String(decoding: etag, as: UTF8.self))])
  }

  static let tooManyStreams = Problem(
    status: 503, code: "too-many-streams", title: "Too many streams",
    detail: "As many clients follow the events as may; try again later.", fields: [.init("Retry-After", "10")]
  )

  static let digestMismatch = Problem(
    status: 422, code: "digest-mismatch", title: "Digest mismatch",
    detail: "The body's SHA-256 is not the name in the path; nothing was kept.")
}

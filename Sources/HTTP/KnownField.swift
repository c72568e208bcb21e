/// The request fields that the origin looks at, found in constant time once a head is parsed.
public enum KnownField: UInt8, Sendable, CaseIterable {
  case host
  case range
  case ifRange
  case ifMatch
  case ifNoneMatch
  case ifModifiedSince
  case ifUnmodifiedSince
  case connection
  case contentLength
  case transferEncoding
  case expect
  case origin
  case authorization
  case accessControlRequestMethod
  case accessControlRequestHeaders
  case xRequestID
  case userAgent
  case referer
  case acceptEncoding
  case traceparent
  case xForwardedFor
  case forwarded
  case cookie
  case contentType
  case cmcdObject
  case cmcdRequest
  case cmcdSession
  case cmcdStatus

  /// How many there are: the size of the tables indexed by the raw value.
  static let count = 28

  /// The field name in lower case.
  public var name: StaticString {
    switch self {
    case .host: "host"
    case .range: "range"
    case .ifRange: "if-range"
    case .ifMatch: "if-match"
    case .ifNoneMatch: "if-none-match"
    case .ifModifiedSince: "if-modified-since"
    case .ifUnmodifiedSince: "if-unmodified-since"
    case .connection: "connection"
    case .contentLength: "content-length"
    case .transferEncoding: "transfer-encoding"
    case .expect: "expect"
    case .origin: "origin"
    case .authorization: "authorization"
    case .accessControlRequestMethod: "access-control-request-method"
    case .accessControlRequestHeaders: "access-control-request-headers"
    case .xRequestID: "x-request-id"
    case .userAgent: "user-agent"
    case .referer: "referer"
    case .acceptEncoding: "accept-encoding"
    case .traceparent: "traceparent"
    case .xForwardedFor: "x-forwarded-for"
    case .forwarded: "forwarded"
    case .cookie: "cookie"
    case .contentType: "content-type"
    case .cmcdObject: "cmcd-object"
    case .cmcdRequest: "cmcd-request"
    case .cmcdSession: "cmcd-session"
    case .cmcdStatus: "cmcd-status"
    }
  }

  /// The field with this name in any case, or `nil`: length and one letter leave a single candidate.
  init?(name: Span<UInt8>) {
    guard name.count >= 4 else { return nil }
    let first = name[0] | 0x20
    let candidate: KnownField
    switch name.count {
    case 4: candidate = .host
    case 5: candidate = .range
    case 6: candidate = first == 0x65 ? .expect : first == 0x6F ? .origin : .cookie
    case 7: candidate = .referer
    case 8: candidate = name[3] | 0x20 == 0x72 ? .ifRange : .ifMatch
    case 9: candidate = .forwarded
    case 10: candidate = first == 0x63 ? .connection : .userAgent
    case 11:
      candidate = first == 0x74 ? .traceparent : name[5] | 0x20 == 0x6F ? .cmcdObject : .cmcdStatus
    case 12:
      candidate =
        first == 0x78
        ? .xRequestID
        : name[4] != ASCII.hyphen ? .contentType : name[5] | 0x20 == 0x72 ? .cmcdRequest : .cmcdSession
    case 13: candidate = first == 0x61 ? .authorization : .ifNoneMatch
    case 14: candidate = .contentLength
    case 15: candidate = first == 0x61 ? .acceptEncoding : .xForwardedFor
    case 17: candidate = first == 0x69 ? .ifModifiedSince : .transferEncoding
    case 19: candidate = .ifUnmodifiedSince
    case 29: candidate = .accessControlRequestMethod
    case 30: candidate = .accessControlRequestHeaders
    default: return nil
    }
    guard name.equalsIgnoringCase(candidate.name) else { return nil }
    self = candidate
  }
}

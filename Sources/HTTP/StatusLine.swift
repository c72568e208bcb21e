/// Status lines and reason phrases as constants (RFC 9110 §15, RFC 6585, RFC 4918 §11; 460 is tus 1.0's).
public enum StatusLine {
  /// `HTTP/1.1 CODE REASON` with CRLF; `nil` for a status that the origin never sends.
  public static func line(_ status: UInt16) -> StaticString? { text(status)?.line }

  /// The reason phrase; empty for a status that the origin never sends.
  public static func reason(_ status: UInt16) -> StaticString { text(status)?.reason ?? "" }

  private static func text(_ status: UInt16) -> (line: StaticString, reason: StaticString)? {
    switch status {
    case 100: ("HTTP/1.1 100 Continue\r\n", "Continue")
    case 103: ("HTTP/1.1 103 Early Hints\r\n", "Early Hints")
    case 200: ("HTTP/1.1 200 OK\r\n", "OK")
    case 201: ("HTTP/1.1 201 Created\r\n", "Created")
    case 202: ("HTTP/1.1 202 Accepted\r\n", "Accepted")
    case 204: ("HTTP/1.1 204 No Content\r\n", "No Content")
    case 206: ("HTTP/1.1 206 Partial Content\r\n", "Partial Content")
    case 300: ("HTTP/1.1 300 Multiple Choices\r\n", "Multiple Choices")
    case 301: ("HTTP/1.1 301 Moved Permanently\r\n", "Moved Permanently")
    case 302: ("HTTP/1.1 302 Found\r\n", "Found")
    case 303: ("HTTP/1.1 303 See Other\r\n", "See Other")
    case 304: ("HTTP/1.1 304 Not Modified\r\n", "Not Modified")
    case 307: ("HTTP/1.1 307 Temporary Redirect\r\n", "Temporary Redirect")
    case 308: ("HTTP/1.1 308 Permanent Redirect\r\n", "Permanent Redirect")
    case 400: ("HTTP/1.1 400 Bad Request\r\n", "Bad Request")
    case 401: ("HTTP/1.1 401 Unauthorized\r\n", "Unauthorized")
    case 403: ("HTTP/1.1 403 Forbidden\r\n", "Forbidden")
    case 404: ("HTTP/1.1 404 Not Found\r\n", "Not Found")
    case 405: ("HTTP/1.1 405 Method Not Allowed\r\n", "Method Not Allowed")
    case 406: ("HTTP/1.1 406 Not Acceptable\r\n", "Not Acceptable")
    case 408: ("HTTP/1.1 408 Request Timeout\r\n", "Request Timeout")
    case 409: ("HTTP/1.1 409 Conflict\r\n", "Conflict")
    case 410: ("HTTP/1.1 410 Gone\r\n", "Gone")
    case 411: ("HTTP/1.1 411 Length Required\r\n", "Length Required")
    case 412: ("HTTP/1.1 412 Precondition Failed\r\n", "Precondition Failed")
    case 413: ("HTTP/1.1 413 Content Too Large\r\n", "Content Too Large")
    case 414: ("HTTP/1.1 414 URI Too Long\r\n", "URI Too Long")
    case 415: ("HTTP/1.1 415 Unsupported Media Type\r\n", "Unsupported Media Type")
    case 416: ("HTTP/1.1 416 Range Not Satisfiable\r\n", "Range Not Satisfiable")
    case 417: ("HTTP/1.1 417 Expectation Failed\r\n", "Expectation Failed")
    case 421: ("HTTP/1.1 421 Misdirected Request\r\n", "Misdirected Request")
    case 422: ("HTTP/1.1 422 Unprocessable Content\r\n", "Unprocessable Content")
    case 423: ("HTTP/1.1 423 Locked\r\n", "Locked")
    case 425: ("HTTP/1.1 425 Too Early\r\n", "Too Early")
    case 426: ("HTTP/1.1 426 Upgrade Required\r\n", "Upgrade Required")
    case 428: ("HTTP/1.1 428 Precondition Required\r\n", "Precondition Required")
    case 429: ("HTTP/1.1 429 Too Many Requests\r\n", "Too Many Requests")
    case 431: ("HTTP/1.1 431 Request Header Fields Too Large\r\n", "Request Header Fields Too Large")
    case 451: ("HTTP/1.1 451 Unavailable For Legal Reasons\r\n", "Unavailable For Legal Reasons")
    case 460: ("HTTP/1.1 460 Checksum Mismatch\r\n", "Checksum Mismatch")
    case 500: ("HTTP/1.1 500 Internal Server Error\r\n", "Internal Server Error")
    case 501: ("HTTP/1.1 501 Not Implemented\r\n", "Not Implemented")
    case 502: ("HTTP/1.1 502 Bad Gateway\r\n", "Bad Gateway")
    case 503: ("HTTP/1.1 503 Service Unavailable\r\n", "Service Unavailable")
    case 504: ("HTTP/1.1 504 Gateway Timeout\r\n", "Gateway Timeout")
    case 505: ("HTTP/1.1 505 HTTP Version Not Supported\r\n", "HTTP Version Not Supported")
    case 507: ("HTTP/1.1 507 Insufficient Storage\r\n", "Insufficient Storage")
    default: nil
    }
  }
}

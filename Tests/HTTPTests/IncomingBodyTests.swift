import HTTP
import Testing

@Suite struct IncomingBodyTests {
  enum End: Equatable {
    case finished(rest: [UInt8])
    case more
    case failed(RequestError.Code)
  }

  /// What comes of bytes that arrive in pieces of `size`: the body, and how it ends.
  static func read(_ fields: String, _ bytes: [UInt8], size: Int) -> (body: [UInt8], end: End) {
    var head = RequestHead(limits: HTTPLimits())
    let text = Array(request("PUT /x HTTP/1.1", "Host: a", fields).utf8)
    var body = text.withUnsafeBytes { raw in
      _ = HTTPInvariants.parse(raw, &head)
      return IncomingBody(of: head)
    }
    var seen: [UInt8] = []
    var position = 0
    while position < bytes.count {
      let count = min(size, bytes.count - position)
      let piece = Array(bytes[position..<(position + count)])
      position += count
      let end: End? = piece.withUnsafeBytes { raw in
        var rest = raw
        while true {
          switch body.next(&rest) {
          case .needsMore: return nil
          case .data(let data):
            #expect(data.count > 0)
            seen += data
          case .finished: return .finished(rest: Array(rest) + bytes[position...])
          case .failed(let error): return .failed(error.code)
          }
        }
      }
      if let end { return (seen, end) }
    }
    return (seen, .more)
  }

  static let bodies: [(String, String, String, End)] = [
    ("Content-Length: 5", "helloGET", "hello", .finished(rest: Array("GET".utf8))),
    ("Content-Length: 5", "hell", "hell", .more),
    (
      "Transfer-Encoding: chunked", "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\nGET", "abcde",
      .finished(rest: Array("GET".utf8))
    ),
    ("Transfer-Encoding: chunked", "1\r\na\r\n0\r\nTrailer: x\r\n\r\n", "a", .finished(rest: [])),
    ("Transfer-Encoding: chunked", "1\r\na\r\n", "a", .more),
    ("Transfer-Encoding: chunked", "1\r\nab\r\n", "a", .failed(.malformedChunk)),
  ]

  @Test(arguments: bodies) func isTheSameHoweverItIsCut(
    fields: String, bytes: String, body: String, end: End
  ) {
    for size in 1...bytes.utf8.count {
      let seen = Self.read(fields, Array(bytes.utf8), size: size)
      #expect(String(decoding: seen.body, as: UTF8.self) == body)
      #expect(seen.end == end, "pieces of \(size)")
    }
  }
}

@Suite struct EntityTagConditionsTests {
  static let verdicts: [(String?, String?, Bool, Precondition.Verdict)] = [
    (nil, nil, true, .proceed(rangeAllowed: false)), ("*", nil, false, .proceed(rangeAllowed: false)),
    ("\"a\"", nil, false, .proceed(rangeAllowed: false)),
    ("\"b\", \"a\"", nil, false, .proceed(rangeAllowed: false)),
    ("\"b\"", nil, false, .preconditionFailed), ("W/\"a\"", nil, false, .preconditionFailed),
    ("a", nil, false, .preconditionFailed), ("*, \"a\"", nil, false, .preconditionFailed),
    (nil, "\"a\"", true, .notModified), (nil, "W/\"a\"", true, .notModified), (nil, "*", true, .notModified),
    (nil, "\"a\"", false, .preconditionFailed), (nil, "\"b\"", true, .proceed(rangeAllowed: false)),
    ("\"b\"", "\"a\"", true, .preconditionFailed), (nil, "broken", true, .proceed(rangeAllowed: false)),
  ]

  @Test(arguments: verdicts) func followTheRFC(
    ifMatch: String?, ifNoneMatch: String?, isRead: Bool, verdict: Precondition.Verdict
  ) {
    let conditions = EntityTagConditions(
      ifMatch: ifMatch.map { Array($0.utf8) }, ifNoneMatch: ifNoneMatch.map { Array($0.utf8) })
    #expect(conditions.verdict(etag: Array("\"a\"".utf8).span, isRead: isRead) == verdict)
  }

  @Test func linesOfAFieldAreOneList() {
    var head = RequestHead(limits: HTTPLimits())
    let text = Array(request("PUT /x HTTP/1.1", "Host: a", "If-Match: \"b\"", "If-Match: \"a\"").utf8)
    text.withUnsafeBytes { raw in
      _ = HTTPInvariants.parse(raw, &head)
      #expect(EntityTagConditions(head).ifMatch == Array("\"b\", \"a\"".utf8))
      #expect(EntityTagConditions(head).ifNoneMatch == nil)
    }
  }
}

import Testing

@testable import HTTP

@Suite struct RequestLineTests {
  @Test(arguments: Method.allCases.filter { $0 != .other && $0 != .connect && $0 != .options })
  func knownMethods(method: Method) {
    let seen = parse(request("\(method.name) /x HTTP/1.1", "Host: a"))
    #expect(isComplete(seen))
    #expect(seen.method == method)
  }

  @Test(arguments: ["get", "GETS", "GE", "PROPFIND", "X", "M-SEARCH", "!#$%&'*+-.^_`|~09"])
  func unknownMethodsAreOther(name: String) {
    let seen = parse(request("\(name) / HTTP/1.1", "Host: a"))
    #expect(isComplete(seen))
    #expect(seen.method == .other)
  }

  @Test(arguments: [
    (" / HTTP/1.1", RequestError.Code.malformedMethod), ("G/T / HTTP/1.1", .malformedMethod),
    ("GET: / HTTP/1.1", .malformedMethod), ("G(T / HTTP/1.1", .malformedMethod),
    ("GET/HTTP/1.1", .malformedMethod), ("GET", .malformedRequestLine), ("GET /", .malformedRequestLine),
    ("GET  HTTP/1.1", .malformedRequestLine), ("GET HTTP/1.1", .malformedRequestLine),
    ("GET  / HTTP/1.1", .malformedRequestLine), ("GET /  HTTP/1.1", .malformedRequestLine),
    ("GET / HTTP/1.1 ", .malformedVersion), ("GET /a b HTTP/1.1", .malformedRequestLine),
    ("GET /?a b HTTP/1.1", .malformedRequestLine), ("GET http://a/ b HTTP/1.1", .malformedRequestLine),
    ("GET / http/1.1", .malformedVersion), ("GET / HTTP/1.", .malformedVersion),
    ("GET / HTTP/1", .malformedVersion), ("GET / HTTP/11", .malformedVersion),
    ("GET / HTTP/1.10", .malformedVersion), ("GET / HTTP/01.1", .malformedVersion),
    ("GET / HTTP/1,1", .malformedVersion), ("GET / HTTP/a.b", .malformedVersion),
    ("GET / HTTQ/1.1", .malformedVersion), ("GET / HTTP /1.1", .malformedVersion),
    ("GET / HTTP/1.a", .malformedVersion), ("GET / SPDY", .malformedVersion),
    ("GET / HTTP/2.0", .unsupportedVersion), ("GET / HTTP/0.9", .unsupportedVersion),
    ("GET / HTTP/3.0", .unsupportedVersion), ("GET / HTTP/9.9", .unsupportedVersion),
    ("PRI * HTTP/2.0", .unsupportedVersion), ("GET\t/ HTTP/1.1", .controlCharacter),
    ("GET /\u{7F} HTTP/1.1", .controlCharacter), ("GET /\u{0} HTTP/1.1", .controlCharacter),
    ("GET /é HTTP/1.1", .controlCharacter), ("GET /\u{B} HTTP/1.1", .controlCharacter),
    ("\u{16}\u{3}\u{1} hello", .controlCharacter),
  ])
  func malformed(line: String, code: RequestError.Code) {
    #expect(failure(parse(request(line, "Host: a"))) == code)
  }

  @Test(arguments: [
    ("GET / HTTP/1.1\nHost: a\r\n\r\n", RequestError.Code.bareLineFeed),
    ("\nGET / HTTP/1.1\r\n", .bareLineFeed), ("GET / HTTP/1.1\r\rHost: a\r\n\r\n", .bareCarriageReturn),
    ("\rGET / HTTP/1.1\r\n", .bareCarriageReturn), ("GET / HTTP/1.1\rHost: a\r\n", .bareCarriageReturn),
    ("GET / HTTP/1.1\r\nHost: a\n\n", .bareLineFeed),
    ("GET / HTTP/1.1\r\nHost: a\r\n\n", .bareLineFeed),
    ("GET / HTTP/1.1\r\nHost: a\r\n\rX", .bareCarriageReturn),
    ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", .bareCarriageReturn),
    ("\r\n\r\n\r\nGET / HTTP/1.1\r\n", .tooManyEmptyLines),
  ])
  func lineEnds(input: String, code: RequestError.Code) {
    #expect(failure(parse(input)) == code)
  }

  @Test(arguments: ["", "\r\n", "\r\n\r\n"])
  func emptyLinesBefore(prefix: String) {
    let input = prefix + get("/")
    #expect(parse(input).result == .complete(headBytes: input.utf8.count))
  }

  @Test func onlyTheHeadIsTaken() {
    let head = get("/a")
    #expect(parse(head + get("/b")).result == .complete(headBytes: head.utf8.count))
    #expect(parse(head + "\n\0\u{7F}").result == .complete(headBytes: head.utf8.count))
  }

  @Test(arguments: [(0, false), (1, true), (2, true), (9, true)])
  func minorVersions(minor: Int, keepAlive: Bool) {
    let seen = parse(request("GET / HTTP/1.\(minor)", "Host: a"))
    #expect(seen.versionMinor == UInt8(minor))
    #expect(seen.keepAlive == keepAlive)
  }

  @Test(arguments: [
    "", "\r", "G", "GET ", "GET / HTTP/1.1", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\n",
    "GET / HTTP/1.1\r\nHost",
    "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r", "\r\n\r\n",
  ])
  func incomplete(input: String) {
    let seen = parse(input)
    #expect(seen.result == .incomplete)
    #expect(seen.fields.isEmpty)
  }

  @Test func nothingIsLeftFromThePreviousRequest() {
    var head = RequestHead(limits: HTTPLimits())
    var progress = ParseProgress()
    let first = Array(
      request(
        "POST http://b:81/x?q HTTP/1.1", "Host: a", "Content-Length: 5", "Expect: 100-continue", "Range: x"
      ).utf8)
    let second = Array("GET / HTTP/1.0\r\n\r\n".utf8)
    first.withUnsafeBytes { _ = head.parse($0, resuming: &progress) }
    let isFilled = head.expectsContinue && head.fieldCount == 4 && head.hostPort == 81
    #expect(isFilled)
    second.withUnsafeBytes { buffer in
      let result = head.parse(buffer, resuming: &progress)
      #expect(result == .complete(headBytes: second.count))
      let texts = [string(head.field(.range)), string(head.query), string(head.host)]
      #expect(texts == [nil, nil, ""])
      let isEmpty = head.fieldCount == 0 && head.fieldCount(of: .host) == 0 && head.hostPort == nil
      let isPlain = head.body == .none && !head.expectsContinue && !head.keepAlive && head.method == .get
      #expect(isEmpty && isPlain)
    }
  }

  @Test func afterAFailureTheLineRemainsForTheLog() {
    var head = RequestHead(limits: HTTPLimits())
    var progress = ParseProgress()
    let input = Array(request("PUT /x HTTP/1.1", "User-Agent: u", "Bad Name: x").utf8)
    input.withUnsafeBytes { buffer in
      let result = head.parse(buffer, resuming: &progress)
      #expect(result == .failed(RequestError(.malformedFieldName)))
      let seen = [string(head.rawTarget), string(head.field(.userAgent))]
      #expect(seen == ["/x", "u"])
      let method = head.method
      #expect(method == .put)
    }
  }

  @Test(arguments: RequestError.Code.allCases)
  func errorsHaveStatusAndSentence(code: RequestError.Code) {
    let error = RequestError(code)
    #expect([400, 408, 413, 414, 417, 431, 501, 505].contains(error.status))
    #expect(StatusLine.line(error.status) != nil)
    #expect("\(error.message)".hasSuffix("."))
    #expect(code.rawValue.allSatisfy { $0.isLowercase || $0 == "-" })
  }
}

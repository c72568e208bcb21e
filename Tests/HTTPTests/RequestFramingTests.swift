import Testing

@testable import HTTP

@Suite struct RequestFramingTests {
  @Test(arguments: [
    (["Content-Length: 0"], RequestHead.BodyFraming.length(0)), (["Content-Length: 5"], .length(5)),
    (["content-length:007"], .length(7)), (["Content-Length: 18446744073709551615"], .length(.max)),
    (["Transfer-Encoding: chunked"], .chunked), (["transfer-encoding:\tChunked "], .chunked), ([], .none),
  ])
  func framing(lines: [String], body: RequestHead.BodyFraming) {
    let seen = parse("POST / HTTP/1.1\r\nHost: a\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n")
    #expect(isComplete(seen))
    #expect(seen.body == body)
  }

  @Test(arguments: [
    ("", RequestError.Code.malformedContentLength), ("-1", .malformedContentLength),
    ("+5", .malformedContentLength),
    ("5, 5", .malformedContentLength), ("5,6", .malformedContentLength), ("5 5", .malformedContentLength),
    ("0x5", .malformedContentLength), ("5a", .malformedContentLength), ("5.0", .malformedContentLength),
    ("1e3", .malformedContentLength), ("18446744073709551616", .malformedContentLength),
    ("99999999999999999999999", .malformedContentLength), ("５", .malformedContentLength),
    (" ", .malformedContentLength), ("\"5\"", .malformedContentLength), ("-0", .malformedContentLength),
  ])
  func contentLength(value: String, code: RequestError.Code) {
    #expect(failure(parse(request("POST / HTTP/1.1", "Host: a", "Content-Length: \(value)"))) == code)
  }

  @Test func contentLengthTwice() {
    for other in ["5", "6", "0", ""] {
      let input = request("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Content-length: \(other)")
      #expect(failure(parse(input)) == .duplicateContentLength)
    }
  }

  @Test(arguments: [
    (["gzip"], RequestError.Code.malformedTransferEncoding), (["identity"], .malformedTransferEncoding),
    ([""], .malformedTransferEncoding), (["chunked, chunked"], .malformedTransferEncoding),
    (["chunked", "chunked"], .malformedTransferEncoding), (["chunked, gzip"], .malformedTransferEncoding),
    (["chunked", "gzip"], .malformedTransferEncoding), (["chunked,"], .malformedTransferEncoding),
    ([",chunked"], .malformedTransferEncoding), (["chunked;x=1"], .malformedTransferEncoding),
    (["xchunked"], .malformedTransferEncoding), (["chunke"], .malformedTransferEncoding),
    (["\"chunked\""], .malformedTransferEncoding), (["chunked", ""], .malformedTransferEncoding),
    (["chunked identity"], .malformedTransferEncoding), (["x, y"], .malformedTransferEncoding),
    (["gzip, chunked"], .unsupportedTransferCoding), (["gzip", "chunked"], .unsupportedTransferCoding),
    (["foo, Chunked"], .unsupportedTransferCoding), (["identity, chunked"], .unsupportedTransferCoding),
  ])
  func transferEncoding(values: [String], code: RequestError.Code) {
    let lines = values.map { "Transfer-Encoding: \($0)\r\n" }.joined()
    #expect(failure(parse("POST / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n")) == code)
  }

  @Test(arguments: ["Transfer-Encoding: chunked", "Transfer-Encoding: x", "transfer-encoding:"])
  func bothFramings(line: String) {
    for length in ["5", "0", "x"] {
      let length = "Content-Length: \(length)"
      #expect(
        failure(parse(request("POST / HTTP/1.1", "Host: a", line, length))) == .transferEncodingWithLength)
      #expect(
        failure(parse(request("POST / HTTP/1.1", "Host: a", length, line))) == .transferEncodingWithLength)
    }
    #expect(
      failure(parse(request("POST / HTTP/1.0", "Host: a", line))) == .transferEncodingInOldVersion)
  }

  @Test(arguments: [
    (1, "Content-Length: 5", "100-continue", true), (1, "Content-Length: 5", "100-Continue", true),
    (1, "Transfer-Encoding: chunked", "100-continue", true), (1, "Content-Length: 0", "100-continue", false),
    (1, "X: y", "100-continue", false), (0, "Content-Length: 5", "100-continue", false),
  ])
  func expectation(minor: Int, line: String, value: String, expected: Bool) {
    let seen = parse(request("PUT / HTTP/1.\(minor)", "Host: a", line, "Expect: \(value)"))
    #expect(isComplete(seen))
    #expect(seen.expectsContinue == expected)
  }

  @Test(arguments: ["", "200-ok", "100-continue, x", "100-continu", "100", "\"100-continue\""])
  func otherExpectations(value: String) {
    #expect(
      failure(parse(request("PUT / HTTP/1.1", "Host: a", "Expect: \(value)"))) == .unsupportedExpectation)
    let second = request("PUT / HTTP/1.1", "Host: a", "Expect: 100-continue", "Expect: \(value)")
    #expect(failure(parse(second)) == .unsupportedExpectation)
  }
}

@Suite struct RequestLimitTests {
  /// A request whose request line has `count` bytes.
  private func line(_ count: Int) -> String {
    let frame = "GET / HTTP/1.1"
    return "GET /" + String(repeating: "a", count: count - frame.utf8.count) + " HTTP/1.1"
  }

  @Test func requestLine() {
    let limits = HTTPLimits()
    let exact = line(8192)
    #expect(exact.utf8.count == 8192)
    #expect(isComplete(parse(request(exact, "Host: a"), limits: limits)))
    #expect(failure(parse(request(line(8193), "Host: a"))) == .requestLineTooLong)
    // Refused while it is still coming in, with the first byte too many and not before.
    #expect(parse(String(repeating: "A", count: 8192)).result == .incomplete)
    #expect(failure(parse(String(repeating: "A", count: 8193))) == .requestLineTooLong)
    #expect(parse("\r\n" + String(repeating: "A", count: 8192)).result == .incomplete)
    // The worst expansion still fits the buffer.
    let wide = "GET /" + String(repeating: "|", count: 8192 - 14) + " HTTP/1.1"
    #expect(parse(request(wide, "Host: a")).path.count == 1 + 3 * (8192 - 14))
  }

  @Test func headerBlock() {
    let frame = "Host: a\r\nX: \r\n\r\n".utf8.count
    let exact = request("GET / HTTP/1.1", "Host: a", "X: " + String(repeating: "b", count: 32768 - frame))
    #expect(exact.utf8.count == 16 + 32768)
    #expect(isComplete(parse(exact)))
    let over = request("GET / HTTP/1.1", "Host: a", "X: " + String(repeating: "b", count: 32769 - frame))
    #expect(failure(parse(over)) == .headerBlockTooLarge)
    let start = "GET / HTTP/1.1\r\nX: "
    let endless = Array((start + String(repeating: "b", count: 40000)).utf8)
    #expect(failure(parse(endless)) == .headerBlockTooLarge)
    // Nothing that fits could follow these bytes.
    #expect(parse([UInt8](endless.prefix(16 + 32766))).result == .incomplete)
    #expect(failure(parse([UInt8](endless.prefix(16 + 32767)))) == .headerBlockTooLarge)
  }

  @Test func fieldCount() {
    func fields(_ count: Int) -> String {
      "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "a: b\r\n", count: count - 1) + "\r\n"
    }
    #expect(isComplete(parse(fields(100))))
    #expect(failure(parse(fields(101))) == .tooManyFields)
    #expect(failure(parse([UInt8](fields(101).utf8.dropLast(2)))) == .tooManyFields)
    #expect(failure(parse(get("/"), limits: HTTPLimits(fieldCount: 0))) == .tooManyFields)
  }

  @Test(arguments: [0, -1, Int.min, Int.max, 1 << 40])
  func anyLimitsAreSafe(value: Int) {
    let limits = HTTPLimits(
      requestLineBytes: min(value, 1 << 20), headerBlockBytes: value, fieldCount: value, rangeCount: value,
      discardedBodyBytes: value, chunkExtensionBytes: value, trailerBytes: value)
    let seen = parse(get("/"), limits: limits)
    #expect(isComplete(seen) == (value > 0))
    #expect(parse("", limits: limits).result == .incomplete)
  }
}

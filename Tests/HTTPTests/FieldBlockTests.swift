import Testing

@testable import HTTP

/// Heads from the fields of HTTP/2 (RFC 9113 §8).
@Suite struct FieldBlockTests {
  static let get = [
    (":method", "GET"), (":scheme", "https"), (":path", "/a?b"), (":authority", "h.test:8443"),
  ]

  private func read<Result>(
    _ fields: [(String, String)], limits: HTTPLimits = HTTPLimits(),
    _ body: (borrowing RequestHead) throws -> Result
  ) throws -> Result {
    var block = FieldBlock(limits: limits)
    for (name, value) in fields {
      Array(name.utf8).withUnsafeBufferPointer { name in
        Array(value.utf8).withUnsafeBufferPointer { block.append(name: name, value: $0) }
      }
    }
    var head = RequestHead(limits: limits)
    return try block.bytes.withUnsafeBytes { raw in
      try head.read(block, in: raw)
      return try body(head)
    }
  }

  private func error(_ fields: [(String, String)], limits: HTTPLimits = HTTPLimits()) -> RequestError.Code? {
    do {
      try read(fields, limits: limits) { _ in }
      return nil
    } catch { return (error as? RequestError)?.code }
  }

  private func with(_ more: [(String, String)], without: String = "") -> [(String, String)] {
    Self.get.filter { $0.0 != without } + more
  }

  @Test func aHeadIsWhatItsFieldsSay() throws {
    try read(with([("range", "bytes=0-1"), ("x-other", "1"), ("cookie", "a"), ("cookie", "b")])) { head in
      #expect(head.method == .get && head.versionMajor == 2 && head.keepAlive)
      #expect(bytes(head.path) == Array("/a".utf8) && bytes(head.rawTarget) == Array("/a?b".utf8))
      #expect(copied(head.query) == Array("b".utf8))
      #expect(bytes(head.host) == Array("h.test".utf8) && head.hostPort == 8443)
      #expect(copied(head.field(.range)) == Array("bytes=0-1".utf8))
      #expect(copied(head.field(named: "x-other")) == Array("1".utf8))
      #expect(head.fieldCount == 4 && head.fieldCount(of: .cookie) == 2)
    }
    try read(with([("host", "other.test")], without: ":authority")) { head in
      #expect(bytes(head.host) == Array("other.test".utf8))
    }
    try read([(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "a")]) { head in
      let isAsteriskForm = head.isAsteriskForm
      #expect(isAsteriskForm)
    }
    try read([(":method", "CONNECT"), (":authority", "a:1")]) { head in
      #expect(head.method == .connect && bytes(head.host) == Array("a".utf8))
    }
    try read(with([("content-length", "7"), ("te", "trailers")])) { #expect($0.body == .length(7)) }
  }

  @Test(arguments: [
    ([("connection", "close")], "", RequestError.Code.malformedFieldName),
    ([("transfer-encoding", "chunked")], "", .malformedFieldName),
    ([("te", "gzip")], "", .malformedFieldName),
    ([("upgrade", "h2c")], "", .malformedFieldName), ([("X-A", "1")], "", .malformedFieldName),
    ([("x a", "1")], "", .malformedFieldName), ([("", "1")], "", .malformedFieldName),
    ([("x", "a\r\nb")], "", .controlCharacter), ([("x", "1"), (":path", "/")], ":path", .malformedFieldName),
    ([(":method", "GET")], "", .malformedFieldName), ([(":status", "200")], "", .malformedFieldName),
    ([], ":method", .malformedMethod), ([], ":scheme", .malformedTarget), ([], ":path", .malformedTarget),
    ([], ":authority", .missingHost), ([(":path", "")], ":path", .malformedTarget),
    ([(":path", "http://a/")], ":path", .malformedTarget), ([(":path", "/ a")], ":path", .malformedTarget),
    ([(":path", "/..")], ":path", .pathAboveRoot), ([(":path", "/%0")], ":path", .malformedEscape),
    ([(":authority", "a@b")], ":authority", .malformedHost), ([("host", "b.test")], "", .malformedHost),
    ([("host", "h.test:8443"), ("host", "h.test:8443")], "", .duplicateHost),
    ([("content-length", "1"), ("content-length", "1")], "", .duplicateContentLength),
    ([("content-length", "x")], "", .malformedContentLength),
    ([("expect", "x")], "", .unsupportedExpectation),
  ])
  func whatIsMalformedIsRefused(_ fields: [(String, String)], without: String, code: RequestError.Code) {
    #expect(error(with(fields, without: without)) == code)
  }

  /// Found by the fuzzer.
  @Test func connectingToNothingIsRefused() {
    #expect(error([(":method", "CONNECT"), (":authority", "")]) == .malformedTarget)
    #expect(error([(":method", "CONNECT")]) == .malformedTarget)
    #expect(error([]) == .malformedMethod)
  }

  @Test func limitsHoldAtAndOnePast() {
    let limits = HTTPLimits(requestLineBytes: 40, headerBlockBytes: 64, fieldCount: 3)
    // Method, path, two spaces and the version.
    let path = "/" + String(repeating: "a", count: 40 - 3 - 10 - 1)
    #expect(error(with([(":path", path)], without: ":path"), limits: limits) == nil)
    #expect(error(with([(":path", path + "a")], without: ":path"), limits: limits) == .requestLineTooLong)
    let value = String(repeating: "b", count: 64 - 2 - 4 - 1)
    #expect(error(with([("x", value)]), limits: limits) == nil)
    #expect(error(with([("x", value + "b")]), limits: limits) == .headerBlockTooLarge)
    let fields = [("x", "1"), ("y", "2"), ("z", "3")]
    #expect(error(with(fields), limits: limits) == nil)
    #expect(error(with(fields + [("w", "4")]), limits: limits) == .tooManyFields)
    // A block that goes on and on is not kept.
    var block = FieldBlock(limits: limits)
    let long = [UInt8](repeating: 0x61, count: 50)
    long.withUnsafeBufferPointer { long in for _ in 0..<100 { block.append(name: long, value: long) } }
    #expect(block.bytes.isEmpty && block.totalBytes == 100 * 104)
  }

  /// The same seeds that the fuzzer starts from, and noise.
  @Test(arguments: [1, 2, 3] as [UInt64]) func noiseIsRefusedOrSound(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var head = RequestHead(limits: HTTPLimits(requestLineBytes: 256, headerBlockBytes: 1024, fieldCount: 12))
    let sound: [UInt8] =
      [0, 3] + Array("GET".utf8) + [1, 4] + Array("http".utf8) + [2, 5] + Array("/a?b=".utf8) + [3, 3]
      + Array("a.b".utf8)
    for _ in 0..<3000 {
      var input = sound
      for _ in 0..<Int.random(in: 0...4, using: &random) {
        input[Int.random(in: 0..<input.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      input += (0..<Int.random(in: 0...30, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      input.withUnsafeBytes { HTTPInvariants.checkFields($0, &head) }
    }
  }
}

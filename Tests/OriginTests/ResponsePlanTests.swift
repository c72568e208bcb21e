import HTTP
import Testing

@testable import Origin

/// What is answered to a request for a hundred bytes, without a socket.
@Suite struct ResponsePlanTests {
  static let body = (0..<100).map { UInt8($0) }
  static let modified = "Tue, 14 Nov 2023 22:13:20 GMT"

  private func plan(_ request: String, _ check: (ResponsePlan) throws -> Void) throws {
    // In three slices, so that ranges cross their borders.
    let answer = Representation.of(
      [.bytes(Array(Self.body[..<30])), .bytes(Array(Self.body[30..<31])), .bytes(Array(Self.body[31...]))])
    try OriginFixture.withRequest(request) { head in
      try check(ResponsePlan(answer, head, nowSeconds: 1_800_000_000, limits: HTTPLimits()))
    }
  }

  private func bytes(_ plan: ResponsePlan) throws -> [UInt8] {
    guard case .body(let body) = plan.outcome else { return [] }
    let bytes = try body.slices.bytes()
    #expect(UInt64(bytes.count) == body.lengthBytes)
    return bytes
  }

  private func expect(_ plan: ResponsePlan, _ expected: [UInt8]) throws {
    let found = try bytes(plan)
    #expect(found == expected)
  }

  @Test func getTakesAllAndHeadTakesNothing() throws {
    try plan("GET / HTTP/1.1") {
      #expect($0.status == 200)
      try expect($0, Self.body)
    }
    for fields in ["", "\nRange: bytes=0-9", "\nRange: bytes=900-"] {
      try plan("HEAD / HTTP/1.1\(fields)") {
        #expect($0.status == 200)
        if case .head = $0.outcome { return }
        Issue.record("HEAD has no body")
      }
    }
  }

  static let ranges: [(String, Range<Int>)] = [
    ("bytes=0-0", 0..<1), ("bytes=0-99", 0..<100), ("bytes=0-", 0..<100), ("bytes=29-31", 29..<32),
    ("bytes=30-30", 30..<31), ("bytes=99-", 99..<100), ("bytes=99-1000", 99..<100), ("bytes=-1", 99..<100),
    ("bytes=-1000", 0..<100), ("BYTES=5-9", 5..<10),
  ]

  @Test(arguments: ranges) func oneRange(field: String, expected: Range<Int>) throws {
    try plan("GET / HTTP/1.1\nRange: \(field)") {
      #expect($0.status == 206)
      #expect($0.range == ByteRange(lower: UInt64(expected.lowerBound), upper: UInt64(expected.upperBound)))
      try expect($0, Array(Self.body[expected]))
    }
  }

  @Test(arguments: [
    "items=0-1", "bytes=", "bytes=a-b", "bytes 0-1", "bytes=0-1\nRange: bytes=2-3",
  ])
  func rangesThatAreNoneGetTheWhole(field: String) throws {
    try plan("GET / HTTP/1.1\nRange: \(field)") {
      #expect($0.status == 200)
      try expect($0, Self.body)
    }
  }

  @Test(arguments: ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=5-3", "bytes=5000-6000, 7000-"])
  func rangesOutside(field: String) throws {
    try plan("GET / HTTP/1.1\nRange: \(field)") {
      #expect($0.status == 416)
      if case .problem(let problem) = $0.outcome {
        #expect(problem == .rangeNotSatisfiable(lengthBytes: 100))
        #expect(problem.fields == [.init("Content-Range", "bytes */100")])
      } else {
        Issue.record("416 is a problem")
      }
    }
  }

  @Test func severalRangesGoInParts() throws {
    try plan("GET / HTTP/1.1\nRange: bytes=0-1, 28-32, -2") {
      #expect($0.status == 206)
      let multipart = try #require($0.multipart)
      let type = String(decoding: multipart.contentType, as: UTF8.self)
      let boundary = try #require(type.split(separator: "boundary=").last)
      let body = try bytes($0)
      #expect(UInt64(body.count) == multipart.lengthBytes)
      var expected: [UInt8] = []
      for (number, (field, range)) in [("0-1", 0..<2), ("28-32", 28..<33), ("98-99", 98..<100)].enumerated() {
        expected += Array(number == 0 ? "--\(boundary)".utf8 : "\r\n--\(boundary)".utf8)
        expected += Array("\r\nContent-Type: text/plain\r\nContent-Range: bytes \(field)/100\r\n\r\n".utf8)
        expected += Self.body[range]
      }
      expected += Array("\r\n--\(boundary)--\r\n".utf8)
      #expect(body == expected)
    }
  }

  static let conditions: [(String, UInt16)] = [
    ("If-None-Match: \"tag\"", 304), ("If-None-Match: W/\"tag\"", 304), ("If-None-Match: *", 304),
    ("If-None-Match: \"a\", \"tag\"", 304), ("If-None-Match: \"other\"", 200), ("If-None-Match: tag", 200),
    ("If-Modified-Since: \(modified)", 304), ("If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT", 200),
    ("If-None-Match: \"other\"\nIf-Modified-Since: \(modified)", 200),
    ("If-Match: \"tag\"", 200), ("If-Match: *", 200), ("If-Match: \"other\"", 412),
    ("If-Match: W/\"tag\"", 412),
    ("If-Unmodified-Since: \(modified)", 200),
    ("If-Unmodified-Since: Tue, 14 Nov 2023 22:13:19 GMT", 412),
    ("If-Match: \"other\"\nIf-None-Match: \"tag\"", 412),
    ("Range: bytes=0-1\nIf-None-Match: \"tag\"", 304),
    ("Range: bytes=0-1\nIf-Range: \"tag\"", 206), ("Range: bytes=0-1\nIf-Range: \"other\"", 200),
    ("Range: bytes=0-1\nIf-Range: W/\"tag\"", 200), ("Range: bytes=0-1\nIf-Range: \(modified)", 206),
    ("Range: bytes=900-\nIf-Range: \"other\"", 200),
  ]

  @Test(arguments: conditions) func conditionsComeBeforeRanges(fields: String, status: UInt16) throws {
    try plan("GET / HTTP/1.1\n\(fields)") {
      #expect($0.status == status)
      switch (status, $0.outcome) {
      case (304, .head): break
      case (412, .problem(let problem)): #expect(problem == .preconditionFailed)
      case (206, .body): try expect($0, Array(Self.body[..<2]))
      case (200, .body): try expect($0, Self.body)
      default: Issue.record("\(status) comes with \($0.outcome)")
      }
    }
  }

  @Test func nothingHasNoRanges() throws {
    let answer = Representation.of([])
    try OriginFixture.withRequest("GET / HTTP/1.1\nRange: bytes=0-") { head in
      let plan = ResponsePlan(answer, head, nowSeconds: 0, limits: HTTPLimits())
      #expect(plan.status == 416 || plan.status == 200)
      if case .body(let body) = plan.outcome { #expect(body.lengthBytes == 0) }
    }
  }

  @Test func smallBodiesAreCopiedBehindTheirHead() throws {
    let folder = try StoreFolder()
    let file = try folder.blob(Self.body)
    let body = ResponseBody(slices: [.bytes([1, 2]), .blob(file, offset: 10, count: 5)])
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 12, alignment: 16)
    defer { buffer.deallocate() }
    #expect(body.copySmall(into: buffer, after: 3) == 7)
    #expect(Array(buffer[3..<10]) == [1, 2, 10, 11, 12, 13, 14])
    #expect(body.copySmall(into: buffer, after: 6) == nil)
    let short = ResponseBody(slices: [.blob(file, offset: 98, count: 5)])
    #expect(short.copySmall(into: buffer, after: 0) == nil)
  }
}

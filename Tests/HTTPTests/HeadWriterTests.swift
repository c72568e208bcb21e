import Testing

@testable import HTTP

/// Writes into `capacity` bytes between guards; the text, whether it overflowed, and whether the guards survived.
private func written(_ capacity: Int = 1024, _ body: (inout HeadWriter) -> Void) -> (
  text: String, overflowed: Bool, isIntact: Bool
) {
  var memory = [UInt8](repeating: 0xEE, count: capacity + 16)
  let (count, overflowed) = memory.withUnsafeMutableBytes { buffer in
    var writer = HeadWriter(into: UnsafeMutableRawBufferPointer(rebasing: buffer[8..<8 + capacity]))
    body(&writer)
    return (writer.count, writer.overflowed)
  }
  let isIntact = (Array(memory[..<8]) + memory[(8 + count)...]).allSatisfy { $0 == 0xEE }
  return (text(Array(memory[8..<8 + count])), overflowed, isIntact)
}

@Suite struct HeadWriterTests {
  @Test func aWholeHead() throws {
    var template = HeadTemplate()
    try template.append("ETag", Array("\"v1\"".utf8))
    try template.append("Accept-Ranges", Array("bytes".utf8))
    let (text, overflowed, isIntact) = written { writer in
      writer.appendStatusLine(206)
      writer.append(template)
      writer.appendField("Date", dateSeconds: 784_111_777)
      writer.appendField("Content-Length", decimal: 10)
      writer.appendContentRange(ByteRange(lower: 5, upper: 15), length: 1000)
      writer.appendField("Connection", "close")
      writer.appendField("X", Array("y".utf8).span)
      writer.endHead()
    }
    #expect(!overflowed && isIntact)
    #expect(
      text == """
        HTTP/1.1 206 Partial Content\r
        ETag: "v1"\r
        Accept-Ranges: bytes\r
        Date: Sun, 06 Nov 1994 08:49:37 GMT\r
        Content-Length: 10\r
        Content-Range: bytes 5-14/1000\r
        Connection: close\r
        X: y\r
        \r

        """)
  }

  @Test(arguments: [0, 1, 9, 10, 99, 100, 12_345_678_901, UInt64.max - 1, UInt64.max])
  func decimals(value: UInt64) {
    #expect(written { $0.append(decimal: value) }.text == "\(value)")
    let digits = "\(value)".utf8.count
    #expect(written(digits) { $0.append(decimal: value) }.text == "\(value)")
    let short = written(digits - 1) { $0.append(decimal: value) }
    #expect(short.text.isEmpty && short.overflowed && short.isIntact)
  }

  @Test func nothingIsWrittenPastTheEnd() {
    for capacity in 0..<80 {
      let (text, overflowed, isIntact) = written(capacity) { writer in
        writer.appendStatusLine(200)
        writer.appendField("Content-Length", decimal: .max)
        writer.append(dateSeconds: 0)
        writer.append(Array("xyz".utf8).span)
        writer.appendStatusLine(799)
      }
      #expect(overflowed && isIntact)
      #expect(text.utf8.count <= capacity)
    }
  }

  @Test func afterAnOverflowEverythingIsDropped() {
    let (text, overflowed, isIntact) = written(4) { writer in
      writer.append("ab")
      writer.append("cde")
      writer.append("f")
    }
    #expect(text == "ab" && overflowed && isIntact)
  }

  @Test func noMemoryAtAll() {
    var writer = HeadWriter(into: UnsafeMutableRawBufferPointer(start: nil, count: 0))
    writer.append("")
    let before = writer.overflowed
    writer.append("a")
    let after = writer.overflowed
    #expect(!before && after)
  }

  @Test func unsatisfiedRange() {
    #expect(
      written { $0.appendContentRange(unsatisfiedLength: 1000) }.text == "Content-Range: bytes */1000\r\n")
    let most = written { $0.appendContentRange(ByteRange(lower: 0, upper: .max), length: .max) }
    #expect(most.text == "Content-Range: bytes 0-\(UInt64.max - 1)/\(UInt64.max)\r\n")
  }

  @Test func statusLines() {
    var known = 0
    for status in UInt16(0)...999 {
      let written = written { $0.appendStatusLine(status) }.text
      guard let line = StatusLine.line(status) else {
        #expect("\(StatusLine.reason(status))".isEmpty)
        #expect(written == "HTTP/1.1 \(status) \r\n")
        continue
      }
      known += 1
      #expect("\(line)" == "HTTP/1.1 \(status) \(StatusLine.reason(status))\r\n")
      #expect(written == "\(line)")
    }
    #expect(known > 40)
    for status: UInt16 in [
      200, 201, 204, 206, 304, 400, 401, 403, 404, 405, 408, 409, 410, 411, 412, 413, 414, 415,
      416, 417, 422, 429, 431, 460, 500, 501, 502, 503, 505, 507,
    ] {
      #expect(StatusLine.line(status) != nil)
    }
  }
}

@Suite struct HeaderValidationTests {
  @Test(arguments: [
    ("a", true), ("X-Y_z.1", true), ("!#$%&'*+-.^_`|~", true), ("", false), ("a b", false), ("a:", false),
    ("a\r\n", false), ("é", false), ("(a)", false), ("a/b", false), ("a\u{0}", false), ("\"a\"", false),
  ])
  func names(name: String, isValid: Bool) {
    #expect(HeaderName.isValid(name.utf8) == isValid)
  }

  @Test(arguments: [
    ("", true), ("a", true), ("a b", true), ("a\tb", true), ("é", true), (" a", false), ("a ", false),
    ("\ta", false),
    ("a\t", false), (" ", false), ("a\r\nb", false), ("a\nb", false), ("a\rb", false), ("a\u{0}", false),
    ("a\u{7F}", false), ("a\u{1B}", false), ("~!@#$%^&*()\"'", true),
  ])
  func values(value: String, isValid: Bool) {
    #expect(HeaderValue.isValid(value.utf8) == isValid)
  }

  @Test func templatesRefuseInjection() throws {
    var template = try HeadTemplate([(Array("A".utf8), Array("b".utf8))])
    let before = template
    #expect(throws: HeaderError.invalidValue) { try template.append("X", Array("a\r\nSet-Cookie: b".utf8)) }
    #expect(throws: HeaderError.invalidName) { try template.append(Array("X: y\r\nZ".utf8), []) }
    #expect(template == before)
    #expect(text(template.bytes) == "A: b\r\n")
    #expect(throws: HeaderError.invalidName) { _ = try HeadTemplate([(Array("".utf8), [])]) }
  }
}

@Suite struct ByteSetTests {
  private static let alphanumerics = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

  @Test(arguments: [
    (ByteSet.token, alphanumerics + "!#$%&'*+-.^_`|~"), (ByteSet.unreserved, alphanumerics + "-._~"),
    (ByteSet.path, alphanumerics + "-._~" + "!$&'()*+,;=" + ":@/"),
  ])
  func members(set: ByteSet, members: String) {
    let expected = Set(members.utf8)
    for byte in UInt8.min...UInt8.max { #expect(set.contains(byte) == expected.contains(byte)) }
  }

  @Test func hexDigits() {
    for byte in UInt8.min...UInt8.max {
      let character = Character(Unicode.Scalar(byte))
      let expected = byte < 128 ? character.hexDigitValue.map { UInt8($0) } : nil
      #expect(ASCII.hexValue(byte) == expected)
    }
    #expect((UInt8(0)..<16).map { ASCII.hexDigit($0) } == Array("0123456789ABCDEF".utf8))
  }

  /// The eight-at-a-time scans against the plain ones, at every position and alignment.
  @Test func scansAgreeWithLoops() {
    let seed: UInt64 = 0x5EED_0006
    var random = SplitMix64(seed: seed)
    let bytes: [UInt8] = [
      0, 9, 10, 13, 0x1F, 0x20, 0x21, 0x3A, 0x7E, 0x7F, 0x80, 0x81, 0xFF, 0x41, 0x41, 0x41, 0x41,
    ]
    for _ in 0..<20_000 {
      let text = (0..<Int.random(in: 0...40, using: &random)).map { _ in bytes.randomElement(using: &random)!
      }
      let start = Int.random(in: 0...text.count, using: &random)
      let range = start..<Int.random(in: start...text.count, using: &random)
      let control = text[range].firstIndex { $0 < 0x20 && $0 != 9 || $0 == 0x7F } ?? range.upperBound
      let invisible = text[range].firstIndex { $0 < 0x20 || $0 >= 0x7F } ?? range.upperBound
      let colon = text[range].firstIndex(of: 0x3A) ?? range.upperBound
      let found = [
        text.span.indexOfControl(in: range, onlyVisible: false),
        text.span.indexOfControl(in: range, onlyVisible: true), text.span.index(of: 0x3A, in: range),
      ]
      #expect(found == [control, invisible, colon], "seed \(seed): \(text) \(range)")
    }
  }
}

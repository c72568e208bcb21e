import Testing

@testable import HTTP

private func decode(_ input: String, limits: HTTPLimits = HTTPLimits(), pieces: Int = .max) -> (
  body: String, end: ChunkedDecoder.Event
) {
  Array(input.utf8).withUnsafeBytes { buffer in
    let (body, end) = HTTPInvariants.decodeChunks(buffer, limits) { min(pieces, buffer.count) }
    return (text(body), end)
  }
}

@Suite struct ChunkedDecoderTests {
  @Test(arguments: [
    ("0\r\n\r\n", ""), ("5\r\nhello\r\n0\r\n\r\n", "hello"), ("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"),
    ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789"), ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
    ("00000005\r\nhello\r\n00000\r\n\r\n", "hello"), ("5;a\r\nhello\r\n0;b=c\r\n\r\n", "hello"),
    ("5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n", "hello"), ("0\r\nX: y\r\n\r\n", ""),
    ("0\r\nX: y\r\nZ:\r\n\r\n", ""),
    ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"), ("5; x = y\r\nhello\r\n0\r\n\r\n", "hello"),
    ("1;\r\na\r\n0\r\n\r\n", "a"),
    ("0000000000000001\r\na\r\n0\r\n\r\n", "a"), ("1\r\na\r\n0\r\nA: \tb c\r\n\r\n", "a"),
  ])
  func bodies(input: String, body: String) {
    for pieces in [Int.max, 1, 2, 3, 7] {
      let (seen, end) = decode(input, pieces: pieces)
      #expect(seen == body)
      #expect(end == .finished(consumed: input.utf8.count))
    }
    let (_, end) = decode(input + "GET / HTTP/1.1\r\n")
    #expect(end == .finished(consumed: input.utf8.count))
    for count in 0..<input.utf8.count {
      let prefix = String(decoding: Array(input.utf8).prefix(count), as: Unicode.UTF8.self)
      #expect(decode(prefix).end == .needsMore)
    }
  }

  @Test(arguments: [
    ("\r\n", RequestError.Code.malformedChunk), ("g\r\n", .malformedChunk), ("-1\r\n", .malformedChunk),
    ("+1\r\n", .malformedChunk), (" 1\r\n", .malformedChunk), ("1 \r\n", .malformedChunk),
    ("0x1\r\n", .malformedChunk),
    ("1 ;a\r\n", .malformedChunk), ("1\n", .malformedChunk), ("1\r1", .malformedChunk),
    (";a\r\n", .malformedChunk),
    ("1;a\n", .malformedChunk), ("1;a\rb", .malformedChunk), ("1;a\u{0}", .malformedChunk),
    ("1;\u{7F}", .malformedChunk), ("1\r\nab", .malformedChunk), ("1\r\na\n", .malformedChunk),
    ("1\r\na\rx", .malformedChunk), ("1\r\na0\r\n", .malformedChunk),
    ("00000000000000001\r\n", .malformedChunk),
    ("10000000000000000\r\n", .malformedChunk), ("fffffffffffffffff\r\n", .malformedChunk),
    ("1,1\r\n", .malformedChunk), ("1\t\r\n", .malformedChunk), ("0\r\n\n", .malformedTrailer),
    ("0\r\n\rx", .malformedTrailer), ("0\r\n X: y\r\n", .malformedTrailer), ("0\r\nX\r\n", .malformedTrailer),
    ("0\r\nX : y\r\n", .malformedTrailer), ("0\r\n: y\r\n", .malformedTrailer),
    ("0\r\nX: y\n", .malformedTrailer),
    ("0\r\nX: y\rz", .malformedTrailer), ("0\r\nX: \u{0}", .malformedTrailer),
    ("0\r\nX: y\r\n z\r\n", .malformedTrailer),
    ("0\r\n(: y\r\n", .malformedTrailer),
  ])
  func malformed(input: String, code: RequestError.Code) {
    for pieces in [Int.max, 1, 2] {
      #expect(decode(input, pieces: pieces).end == .failed(RequestError(code)))
    }
  }

  @Test func theLargestChunkIsOnlyAnnounced() {
    let (body, end) = decode("ffffffffffffffff\r\nabc")
    #expect(body == "abc")
    #expect(end == .needsMore)
  }

  @Test func extensionLimit() {
    let limits = HTTPLimits(chunkExtensionBytes: 10)
    let exact = "1;abcd\r\na\r\n1;efgh\r\nb\r\n0\r\n\r\n"
    #expect(decode(exact, limits: limits).end == .finished(consumed: exact.utf8.count))
    let over = "1;abcd\r\na\r\n1;efghi\r\nb\r\n0\r\n\r\n"
    #expect(decode(over, limits: limits).end == .failed(RequestError(.chunkExtensionsTooLong)))
    let endless = "1;" + String(repeating: "x", count: 16384)
    #expect(decode(endless).end == .failed(RequestError(.chunkExtensionsTooLong)))
    #expect(decode(String(endless.dropLast())).end == .needsMore)
  }

  @Test func trailerLimit() {
    let limits = HTTPLimits(trailerBytes: 12)
    let exact = "0\r\nA: b\r\nC: d\r\n\r\n"
    #expect(decode(exact, limits: limits).end == .finished(consumed: exact.utf8.count))
    let over = "0\r\nA: b\r\nC: de\r\n\r\n"
    #expect(decode(over, limits: limits).end == .failed(RequestError(.trailersTooLong)))
    let endless = "0\r\n" + String(repeating: "A: b\r\n", count: 2000)
    #expect(decode(endless).end == .failed(RequestError(.trailersTooLong)))
  }

  @Test func theEndAndAFailureStay() {
    var decoder = ChunkedDecoder(limits: HTTPLimits())
    let empty = UnsafeRawBufferPointer(start: nil, count: 0)
    #expect(decoder.decode(empty) == .needsMore)
    Array("0\r\n\r\n".utf8).withUnsafeBytes { #expect(decoder.decode($0) == .finished(consumed: 5)) }
    Array("5\r\n".utf8).withUnsafeBytes { #expect(decoder.decode($0) == .finished(consumed: 0)) }
    #expect(decoder.decode(empty) == .finished(consumed: 0))
    var broken = ChunkedDecoder(limits: HTTPLimits())
    let failed = ChunkedDecoder.Event.failed(RequestError(.malformedChunk))
    Array("x".utf8).withUnsafeBytes { #expect(broken.decode($0) == failed) }
    Array("0\r\n\r\n".utf8).withUnsafeBytes { #expect(broken.decode($0) == failed) }
    #expect(broken.decode(empty) == failed)
  }

  @Test func bodyBytesAreCounted() {
    var decoder = ChunkedDecoder(limits: HTTPLimits())
    Array("5\r\nhel".utf8).withUnsafeBytes { #expect(decoder.decode($0) == .data(3..<6)) }
    #expect(decoder.bodyBytes == 3)
    Array("lo\r\n".utf8).withUnsafeBytes { #expect(decoder.decode($0) == .data(0..<2)) }
    #expect(decoder.bodyBytes == 5)
  }

  @Test func randomMutationsGiveOneVerdict() {
    let seed: UInt64 = 0x5EED_0003
    var random = SplitMix64(seed: seed)
    let start = Array("5;ab=c\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nX: y\r\n\r\nGET".utf8)
    for _ in 0..<20_000 {
      var input = start
      input.mutate(using: &random)
      input.withUnsafeBytes { buffer in
        HTTPInvariants.checkChunks(buffer) { 1 }
        HTTPInvariants.checkChunks(buffer) { Int.random(in: 1...9, using: &random) }
      }
    }
  }
}

extension [UInt8] {
  /// Changes, removes, repeats or inserts a few bytes, preferring those that mean something to a parser.
  mutating func mutate(using random: inout SplitMix64) {
    let special = [UInt8]("\r\n :,;=-./%\\\"?#*@[]09afAF\t\u{0}\u{7F}".utf8) + [0x80, 0xFF]
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      let index = Int.random(in: 0...count, using: &random)
      switch Int.random(in: 0..<6, using: &random) {
      case 0 where index < count: remove(at: index)
      case 1 where index < count: self[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 2 where index < count: self[index] = special.randomElement(using: &random)!
      case 3 where index < count:
        let end = Swift.min(count, index + Int.random(in: 1...16, using: &random))
        insert(contentsOf: self[index..<end], at: Int.random(in: 0...count, using: &random))
      case 4: removeSubrange(Swift.min(index, Int.random(in: 0...count, using: &random))..<index)
      default: insert(special.randomElement(using: &random)!, at: index)
      }
    }
  }
}

import Testing

@testable import HTTP

private func decide(_ value: String, _ length: UInt64 = 1000) -> RangeDecision {
  Array(value.utf8).withUnsafeBufferPointer {
    RangeRequest.decide(fieldValue: $0.span, length: length, limits: HTTPLimits())
  }
}

private func single(_ lower: UInt64, _ upper: UInt64) -> RangeDecision {
  .single(ByteRange(lower: lower, upper: upper))
}

private func multiple(_ ranges: (UInt64, UInt64)...) -> RangeDecision {
  .multiple(ranges.map { ByteRange(lower: $0.0, upper: $0.1) })
}

@Suite struct RangeRequestTests {
  @Test(arguments: [
    ("bytes=0-0", single(0, 1)), ("bytes=0-999", single(0, 1000)), ("bytes=0-", single(0, 1000)),
    ("bytes=5-9", single(5, 10)), ("bytes=999-2000", single(999, 1000)), ("bytes=999-", single(999, 1000)),
    ("bytes=-1", single(999, 1000)), ("bytes=-1000", single(0, 1000)), ("bytes=-2000", single(0, 1000)),
    ("Bytes=0-1", single(0, 2)), ("BYTES=0-1", single(0, 2)),
    ("bytes=0000000000000000000000005-9", single(5, 10)),
    ("bytes= 0-1 ", single(0, 2)), ("bytes=,0-1,", single(0, 2)), ("bytes=0-0,2000-", single(0, 1)),
    ("bytes=2000-,0-0", single(0, 1)), ("bytes=0-0,-0", single(0, 1)), ("bytes=5-4,0-1", single(0, 2)),
    ("bytes=0-18446744073709551615", single(0, 1000)), ("bytes=0-99999999999999999999999", single(0, 1000)),
    ("bytes=-18446744073709551616", single(0, 1000)), ("bytes=-99999999999999999999999", single(0, 1000)),
    ("bytes=0-1,2-3", single(0, 4)), ("bytes=0-5,3-9", single(0, 10)), ("bytes=3-9,0-5", single(0, 10)),
    ("bytes=0-9,2-3", single(0, 10)), ("bytes=0-1,4-5,2-3", single(0, 6)), ("bytes=2-3,0-1", single(0, 4)),
  ])
  func singles(value: String, expected: RangeDecision) {
    #expect(decide(value) == expected)
  }

  @Test(arguments: [
    ("bytes=0-1,5-6", multiple((0, 2), (5, 7))), ("bytes=0-1, 5-6", multiple((0, 2), (5, 7))),
    ("bytes=0-1 ,\t5-6", multiple((0, 2), (5, 7))), ("bytes=5-6,0-1", multiple((5, 7), (0, 2))),
    ("bytes=0-0,-1", multiple((0, 1), (999, 1000))), ("bytes=0-1,,5-6", multiple((0, 2), (5, 7))),
    ("bytes=0-1,5-6,2000-", multiple((0, 2), (5, 7))),
    ("bytes=0-0,2-2,4-4", multiple((0, 1), (2, 3), (4, 5))),
    ("bytes=4-4,2-2,0-0", multiple((4, 5), (2, 3), (0, 1))),
    ("bytes=0-5,10-15,3-8", multiple((0, 9), (10, 16))),
    ("bytes=0-1,10-11,2-3", multiple((0, 4), (10, 12))),
    ("bytes=0-499,501-999", multiple((0, 500), (501, 1000))),
    ("bytes=6-6,4-4,2-2,0-0", multiple((6, 7), (4, 5), (2, 3), (0, 1))),
  ])
  func multiples(value: String, expected: RangeDecision) {
    #expect(decide(value) == expected)
  }

  @Test(arguments: [
    "", "bytes", "bytes=", "bytes= ", "bytes=,", "bytes=,,,", "bytes=-", "bytes=abc", "bytes=0", "bytes=0-1x",
    "bytes=a-1", "bytes=1-a", "bytes=--1", "bytes=-1-", "bytes=0--1", "bytes=0-1-2", "bytes=+0-1",
    "bytes=0-+1",
    "bytes=0 -1", "bytes=0- 1", "bytes=0-1;2-3", "bytes=0-1 2-3", "bytes=0x0-0x1", "bytes=1.0-2.0", "bytes=*",
    "items=0-1", "byte=0-1", "bytess=0-1", " bytes=0-1", "bytes =0-1", "bytes:0-1", "bytes 0-1", "0-1", "-",
    "bytes=0-1,abc", "bytes=abc,0-1", "bytes=0-1,-", "bytes=0-,-1", "bytes=0-,0-", "bytes=0-999,0-0",
    "bytes=-1000,-1000", "bytes=0-599,400-999", "bytes=\u{0}-1", "bytes=０-1", "bytes=0-5,1-6,2-7,3-8",
    "bytes=8-8,6-6,4-4,2-2,0-0", "bytes=0-1\u{0}", "none", "bytes=bytes=0-1",
  ])
  func ignored(value: String) {
    #expect(decide(value) == .whole)
  }

  @Test(arguments: [
    "bytes=1000-", "bytes=1000-1000", "bytes=1001-", "bytes=-0", "bytes=-00", "bytes=5-4", "bytes=999-998",
    "bytes=18446744073709551615-", "bytes=18446744073709551616-",
    "bytes=18446744073709551616-18446744073709551617",
    "bytes=99999999999999999999999999-", "bytes=1000-,2000-", "bytes=-0,5-4", "bytes=1000-999",
  ])
  func unsatisfiable(value: String) {
    #expect(decide(value) == .unsatisfiable)
  }

  @Test(arguments: ["bytes=0-0", "bytes=0-", "bytes=-1", "bytes=5-4", "bytes=-0", "bytes=1-"])
  func nothingToSelectFromNothing(value: String) {
    #expect(decide(value, 0) == .whole)
  }

  @Test func theLargestRepresentation() {
    #expect(decide("bytes=-1", .max) == single(.max - 1, .max))
    #expect(decide("bytes=0-", .max) == single(0, .max))
    #expect(decide("bytes=18446744073709551614-", .max) == single(.max - 1, .max))
    #expect(decide("bytes=18446744073709551615-", .max) == .unsatisfiable)
    #expect(decide("bytes=99999999999999999999-", .max) == .unsatisfiable)
    #expect(decide("bytes=0-18446744073709551615", .max) == single(0, .max))
    #expect(decide("bytes=-9223372036854775808,-9223372036854775808", .max) == .whole)
  }

  // MARK: Amplification (CVE-2011-3192, CVE-2017-7529)

  @Test func asManyRangesAsTheLimitAndOneMore() {
    func disjoint(_ count: Int) -> String {
      "bytes=" + (0..<count).map { "\($0 * 10)-\($0 * 10)" }.joined(separator: ",")
    }
    let most = decide(disjoint(16))
    guard case .multiple(let ranges) = most else {
      Issue.record("16 ranges: \(most)")
      return
    }
    #expect(ranges.count == 16)
    #expect(decide(disjoint(17)) == .whole)
    #expect(decide(disjoint(1000), 1_000_000) == .whole)
    // Ranges that select nothing count too.
    #expect(
      decide("bytes=0-0," + Array(repeating: "2000-", count: 15).joined(separator: ",")) == single(0, 1))
    #expect(decide("bytes=0-0," + Array(repeating: "2000-", count: 16).joined(separator: ",")) == .whole)
  }

  @Test(arguments: [
    "bytes=" + Array(repeating: "0-", count: 16).joined(separator: ","),
    "bytes=" + Array(repeating: "0-", count: 1300).joined(separator: ","),
    "bytes=0-" + (5..<1300).map { ",5-\($0)" }.joined(), "bytes=-1000,-999,-998", "bytes=0-999,-1",
    "bytes=-9223372036854775807,-9223372036854775807", "bytes=-18446744073709551615,-2",
    "bytes=0-0,0-0,0-0,0-0", "bytes=0-18446744073709551615,0-18446744073709551615",
  ])
  func amplification(value: String) {
    #expect(decide(value) == .whole)
  }

  @Test func randomSetsKeepTheInvariants() {
    let seed: UInt64 = 0x5EED_0001
    var random = SplitMix64(seed: seed)
    let numbers = [
      "0", "1", "9", "10", "63", "64", "65", "99", "18446744073709551615", "18446744073709551616", "",
    ]
    for _ in 0..<20_000 {
      let count = Int.random(in: 1...18, using: &random)
      let specs = (0..<count).map { _ in
        "\(numbers.randomElement(using: &random)!)-\(numbers.randomElement(using: &random)!)"
      }
      let value = Array(("bytes=" + specs.joined(separator: ",")).utf8)
      let length = [1, 64, 100, UInt64.max].randomElement(using: &random)!
      HTTPInvariants.checkRanges(value.span, length: length)
    }
  }
}

import Testing

@testable import HTTP

private func parsed(_ value: String, now: Int64? = nil) -> Int64? {
  Array(value.utf8).withUnsafeBufferPointer { HTTPDate.parse($0.span, nowSeconds: now) }
}

@Suite struct HTTPDateTests {
  @Test(
    arguments: [
      (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
      (-1, "Wed, 31 Dec 1969 23:59:59 GMT"), (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
      (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"), (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
      (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"), (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
      (2_147_483_647, "Tue, 19 Jan 2038 03:14:07 GMT"), (4_294_967_296, "Sun, 07 Feb 2106 06:28:16 GMT"),
      (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"), (-62_167_219_200, "Sat, 01 Jan 0000 00:00:00 GMT"),
      (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"), (-11_676_096_000, "Sat, 01 Jan 1600 00:00:00 GMT"),
    ] as [(Int64, String)])
  func fixdates(seconds: Int64, expected: String) {
    #expect(text(HTTPDate.bytes(seconds)) == expected)
    #expect(parsed(expected) == seconds)
  }

  @Test(
    arguments: [
      ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777), ("Sun Nov  6 08:49:37 1994", 784_111_777),
      ("Thursday, 01-Jan-70 00:00:00 GMT", 0), ("Thu Jan 01 00:00:00 1970", 0),
      ("Wed Feb 29 12:00:00 2012", 1_330_516_800),
      ("Monday, 01-Jan-01 00:00:00 GMT", 978_307_200), ("Wednesday, 31-Dec-69 23:59:59 GMT", 3_155_759_999),
      ("Sat, 30 Jun 2012 23:59:60 GMT", 1_341_100_800), ("Mon, 06 Nov 1994 08:49:37 GMT", 784_111_777),
    ] as [(String, Int64)])
  func otherForms(value: String, seconds: Int64) {
    #expect(parsed(value) == seconds)
  }

  @Test(arguments: [
    "", "0", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 06 Nov 1994 08:49:37 gmt",
    "sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06 Nov 1994 8:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:00 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
    "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 32 Dec 1994 08:49:37 GMT",
    "Wed, 29 Feb 2023 00:00:00 GMT", "Thu, 29 Feb 1900 00:00:00 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
    " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37  GMT", "Sun, 06-Nov-1994 08:49:37 GMT",
    "Sun, 06 Nov +994 08:49:37 GMT", "Sun, 06 Nov 1994 -8:49:37 GMT", "Xxx, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT",
    "Sundax, 06-Nov-94 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 EST", "Sunday,06-Nov-94 08:49:37 GMT",
    "Sunday, 31-Feb-94 08:49:37 GMT", "Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 94",
    "Sun Nov 06 08:49:37 1994 GMT", "Sun Nov  0 08:49:37 1994", "Sun Nov 31 08:49:37 1994",
    "Sun Nov  6 08:49:37 1994\n", "SunNov  6 08:49:37 1994xx", "1994-11-06T08:49:37Z",
    "Sun Nov  6 25:49:37 1994",
    "Sunday, 06-Nov-94 08:49:37 GMTSunday, 06-Nov-94", "------------------------------",
  ])
  func refused(value: String) {
    #expect(parsed(value) == nil)
  }

  @Test func twoDigitYearsFollowTheClock() {
    let value = "Friday, 01-Jan-77 00:00:00 GMT"
    let in1977: Int64 = 220_924_800
    let in2077: Int64 = 3_376_684_800
    #expect(parsed(value, now: 1_700_000_000) == in1977)  // 2023: 2077 would be 54 years ahead
    #expect(parsed(value, now: 1_800_000_000) == in2077)  // 2027: 2077 is 50 years ahead
    #expect(parsed(value, now: in1977) == in1977)
    #expect(parsed(value, now: .max) != nil)
    #expect(parsed(value, now: .min) != nil)
  }

  @Test func whatCannotBeWrittenIsTheNearestThatCan() {
    #expect(text(HTTPDate.bytes(.max)) == "Fri, 31 Dec 9999 23:59:59 GMT")
    #expect(text(HTTPDate.bytes(.min)) == "Sat, 01 Jan 0000 00:00:00 GMT")
    var short = [UInt8](repeating: 7, count: 28)
    let written = short.withUnsafeMutableBytes { HTTPDate.write(0, into: $0) }
    #expect(written == 0)
    #expect(short == [UInt8](repeating: 7, count: 28))
  }

  /// Every day of 1600 to 2400 against a calendar that only counts.
  @Test func everyDayOfEightCenturies() {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let names = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    var seconds: Int64 = -11_676_096_000
    var weekday = 6  // 1600-01-01 was a Saturday
    for year in 1600..<2400 {
      let isLeap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0)
      let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
      for (month, length) in lengths.enumerated() {
        for day in 1...length {
          let expected =
            "\(names[weekday]), \(day < 10 ? "0" : "")\(day) \(months[month]) \(year) 00:00:00 GMT"
          let written = HTTPDate.bytes(seconds)
          guard written == Array(expected.utf8), HTTPDate.parse(written.span) == seconds else {
            Issue.record("\(expected) is written as \(text(written))")
            return
          }
          seconds += 86400
          weekday = (weekday + 1) % 7
        }
      }
    }
  }

  @Test func randomInstantsSurvive() {
    let seed: UInt64 = 0x5EED_0002
    var random = SplitMix64(seed: seed)
    for _ in 0..<20_000 {
      let seconds = Int64.random(in: -62_167_219_200...253_402_300_799, using: &random)
      let written = HTTPDate.bytes(seconds)
      let read = HTTPDate.parse(written.span)
      #expect(read == seconds, "seed \(seed)")
    }
  }
}

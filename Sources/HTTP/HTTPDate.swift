// Dates as HTTP writes them (RFC 9110 §5.6.7), without a calendar library:
//
//     Sun, 06 Nov 1994 08:49:37 GMT       IMF-fixdate, the only form written, always 29 bytes
//     Sunday, 06-Nov-94 08:49:37 GMT      RFC 850
//     Sun Nov  6 08:49:37 1994            asctime
//
// Days and civil dates convert in the proleptic Gregorian calendar with years that begin in March, so that the
// leap day is the last of its year and month lengths follow one linear formula.

/// Reads and writes HTTP dates as seconds since 1970-01-01 00:00:00 UTC, leap seconds not counted.
public enum HTTPDate {
  /// Bytes of a written date.
  public static let byteCount = 29

  /// The instant that `text` names in one of the three forms, or `nil` if it is not exactly one of them.
  ///
  /// Case, spacing and padding must be as the grammar says, and day, hour, minute and second must exist (second
  /// 60 is the next minute's first). The day name must be one, but is not compared with the date.
  /// - Parameter nowSeconds: the clock, for the two-digit years of RFC 850: a year that would be more than 50
  ///   years ahead is taken from the century before. Without it `00` to `69` are the 21st century.
  public static func parse(_ text: Span<UInt8>, nowSeconds: Int64? = nil) -> Int64? {
    guard text.count >= 24 else { return nil }
    switch text[3] {
    case ASCII.comma: return parseFixdate(text)
    case ASCII.space: return parseAsctime(text)
    default: return parseRFC850(text, nowSeconds: nowSeconds)
    }
  }

  /// Writes the date as IMF-fixdate to the first 29 bytes of `buffer`.
  ///
  /// Instants outside the years 0 to 9999 are written as the nearest one inside.
  /// - Returns: 29, or 0 if the buffer is shorter and nothing was written.
  @discardableResult
  public static func write(_ seconds: Int64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    guard buffer.count >= byteCount else { return 0 }
    let seconds = min(max(seconds, -62_167_219_200), 253_402_300_799)
    let days = floorDivide(seconds, 86400)
    let time = seconds - days * 86400
    let (year, month, day) = civil(days: days)
    let weekday = Int((days % 7 + 11) % 7)  // 1970-01-01 was a Thursday
    write(weekdays, entry: weekday, at: 0, buffer)
    buffer[3] = ASCII.comma
    buffer[4] = ASCII.space
    write(two: day, at: 5, buffer)
    buffer[7] = ASCII.space
    write(months, entry: Int(month) - 1, at: 8, buffer)
    buffer[11] = ASCII.space
    write(two: year / 100, at: 12, buffer)
    write(two: year % 100, at: 14, buffer)
    buffer[16] = ASCII.space
    write(two: time / 3600, at: 17, buffer)
    buffer[19] = ASCII.colon
    write(two: time / 60 % 60, at: 20, buffer)
    buffer[22] = ASCII.colon
    write(two: time % 60, at: 23, buffer)
    buffer[25] = ASCII.space
    buffer[26] = 0x47
    buffer[27] = 0x4D
    buffer[28] = 0x54
    return byteCount
  }

  /// The date as 29 bytes of IMF-fixdate. Allocates; for what is rendered once.
  public static func bytes(_ seconds: Int64) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
      count = write(seconds, into: UnsafeMutableRawBufferPointer(buffer))
    }
  }

  // MARK: Calendar

  private static let weekdays: StaticString = "SunMonTueWedThuFriSat"
  private static let months: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"

  private static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    (value - (value < 0 ? divisor - 1 : 0)) / divisor
  }

  private static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468  // days since 0000-03-01
    let era = floorDivide(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let march = (5 * dayOfYear + 2) / 153
    let month = march < 10 ? march + 3 : march - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * march + 2) / 5 + 1)
  }

  private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
    let year = year - (month <= 2 ? 1 : 0)
    let era = floorDivide(year, 400)
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private static func instant(year: Int64, month: Int64, day: Int64, time: Int64) -> Int64? {
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let length: Int64 = month == 2 ? (isLeap ? 29 : 28) : 30 + (month + month / 8) % 2
    guard day >= 1, day <= length else { return nil }
    return days(year: year, month: month, day: day) * 86400 + time
  }

  // MARK: Reading

  private static func parseFixdate(_ text: Span<UInt8>) -> Int64? {
    guard text.count == 29, entry(weekdays, text, at: 0) != nil, text[4] == ASCII.space,
      let day = digits(text, 5, 2), text[7] == ASCII.space, let month = entry(months, text, at: 8),
      text[11] == ASCII.space, let year = digits(text, 12, 4), text[16] == ASCII.space,
      let time = time(text, at: 17), text.extracting(25..<29).equals(" GMT")
    else { return nil }
    return instant(year: year, month: month + 1, day: day, time: time)
  }

  private static func parseAsctime(_ text: Span<UInt8>) -> Int64? {
    guard text.count == 24, entry(weekdays, text, at: 0) != nil, let month = entry(months, text, at: 4),
      text[7] == ASCII.space,
      let day = text[8] == ASCII.space ? digits(text, 9, 1) : digits(text, 8, 2),
      text[10] == ASCII.space, let time = time(text, at: 11), text[19] == ASCII.space,
      let year = digits(text, 20, 4)
    else { return nil }
    return instant(year: year, month: month + 1, day: day, time: time)
  }

  private static func parseRFC850(_ text: Span<UInt8>, nowSeconds: Int64?) -> Int64? {
    let comma = text.index(of: ASCII.comma, in: 0..<text.count)
    let name = text.extracting(0..<comma)
    guard isLongWeekday(name), text.count == comma + 24 else { return nil }
    let start = comma + 2
    guard text[comma + 1] == ASCII.space, let day = digits(text, start, 2),
      text[start + 2] == ASCII.hyphen, let month = entry(months, text, at: start + 3),
      text[start + 6] == ASCII.hyphen, let shortYear = digits(text, start + 7, 2),
      text[start + 9] == ASCII.space, let time = time(text, at: start + 10),
      text.extracting(start + 18..<start + 22).equals(" GMT")
    else { return nil }
    guard let nowSeconds else {
      return instant(year: shortYear + (shortYear < 70 ? 2000 : 1900), month: month + 1, day: day, time: time)
    }
    let now = min(max(nowSeconds, 0), 253_402_300_799)
    let thisYear = civil(days: now / 86400).year
    var year = thisYear / 100 * 100 + shortYear
    if year > thisYear + 50 { year -= 100 }
    return instant(year: year, month: month + 1, day: day, time: time)
  }

  private static func isLongWeekday(_ name: Span<UInt8>) -> Bool {
    name.equals("Sunday") || name.equals("Monday") || name.equals("Tuesday") || name.equals("Wednesday")
      || name.equals("Thursday") || name.equals("Friday") || name.equals("Saturday")
  }

  /// `hh:mm:ss` as seconds of the day.
  private static func time(_ text: Span<UInt8>, at start: Int) -> Int64? {
    guard let hour = digits(text, start, 2), text[start + 2] == ASCII.colon,
      let minute = digits(text, start + 3, 2), text[start + 5] == ASCII.colon,
      let second = digits(text, start + 6, 2), hour < 24, minute < 60, second <= 60
    else { return nil }
    return hour * 3600 + minute * 60 + second
  }

  private static func digits(_ text: Span<UInt8>, _ start: Int, _ count: Int) -> Int64? {
    var value: Int64 = 0
    for index in start..<start + count {
      guard ASCII.isDigit(text[index]) else { return nil }
      value = value * 10 + Int64(text[index] - ASCII.zero)
    }
    return value
  }

  /// Which of the three-letter names in `table` stands at `start`.
  private static func entry(_ table: StaticString, _ text: Span<UInt8>, at start: Int) -> Int64? {
    table.withUTF8Buffer { names in
      for index in 0..<names.count / 3
      where names[3 * index] == text[start] && names[3 * index + 1] == text[start + 1]
        && names[3 * index + 2] == text[start + 2]
      {
        return Int64(index)
      }
      return nil
    }
  }

  // MARK: Writing

  private static func write(
    _ table: StaticString, entry: Int, at start: Int, _ buffer: UnsafeMutableRawBufferPointer
  ) {
    table.withUTF8Buffer { names in
      for offset in 0..<3 { buffer[start + offset] = names[3 * entry + offset] }
    }
  }

  private static func write(two value: Int64, at start: Int, _ buffer: UnsafeMutableRawBufferPointer) {
    buffer[start] = ASCII.zero + UInt8(truncatingIfNeeded: value / 10)
    buffer[start + 1] = ASCII.zero + UInt8(truncatingIfNeeded: value % 10)
  }
}

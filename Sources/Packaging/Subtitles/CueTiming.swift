/// Times of cues, as WebVTT writes them and as people write them.
enum CueTime {
  /// The last instant that is believed, 99,999 hours: five digits of hours, and far from any overflow.
  static let largestMilliseconds: UInt64 = 359_999_999_999

  /// Reads `[hours:]minutes:seconds[.fraction]` and moves `position` behind it.
  ///
  /// A comma does for the point; fields may have any width up to nine digits; of the fraction three digits count, and
  /// a shorter one is a decimal fraction (`,5` is half a second). Nil where there is no such time or one beyond
  /// `largestMilliseconds`; then `position` stays.
  static func read(_ bytes: [UInt8], _ position: inout Int, end: Int) -> UInt64? {
    var cursor = position
    var seconds: UInt64 = 0
    var fields = 0
    while true {
      guard let field = number(bytes, &cursor, end: end) else { return nil }
      seconds = seconds * 60 + field
      fields += 1
      guard fields < 3, cursor < end, bytes[cursor] == 0x3A else { break }
      cursor += 1
    }
    guard fields >= 2 else { return nil }
    var milliseconds = seconds * 1000
    if cursor + 1 < end, bytes[cursor] == 0x2E || bytes[cursor] == 0x2C, bytes[cursor + 1].isDigit {
      cursor += 1
      var weight: UInt64 = 100
      while cursor < end, bytes[cursor].isDigit {
        milliseconds += UInt64(bytes[cursor] - 0x30) * weight
        weight /= 10
        cursor += 1
      }
    }
    guard milliseconds <= largestMilliseconds else { return nil }
    position = cursor
    return milliseconds
  }

  private static func number(_ bytes: [UInt8], _ cursor: inout Int, end: Int) -> UInt64? {
    let start = cursor
    var value: UInt64 = 0
    while cursor < end, bytes[cursor].isDigit {
      guard cursor - start < 9 else { return nil }
      value = value * 10 + UInt64(bytes[cursor] - 0x30)
      cursor += 1
    }
    return cursor > start ? value : nil
  }
}

extension TextWriter {
  /// A WebVTT timestamp with hours: `00:01:02.345`.
  mutating func cueTime(_ milliseconds: UInt64) {
    let (seconds, fraction) = milliseconds.quotientAndRemainder(dividingBy: 1000)
    decimal(seconds / 3600, minimumDigits: 2)
    literal(":")
    decimal(seconds / 60 % 60, minimumDigits: 2)
    literal(":")
    decimal(seconds % 60, minimumDigits: 2)
    literal(".")
    decimal(fraction, minimumDigits: 3)
  }
}

/// A line `start --> end`, with what stands behind the end.
struct CueTiming {
  var startMilliseconds: UInt64
  var endMilliseconds: UInt64
  /// What is left of the line: cue settings in WebVTT, coordinates in some SubRip files.
  var rest: Range<Int>

  /// Nil for any other line. Says nothing about which of the times is the later one.
  init?(_ text: [UInt8], line: Range<Int>) {
    let line = text.trimmed(line)
    var position = line.lowerBound
    guard let start = CueTime.read(text, &position, end: line.upperBound) else { return nil }
    position = text.trimmed(position..<line.upperBound).lowerBound
    guard text.arrow(in: position..<min(position + 3, line.upperBound)) != nil else { return nil }
    position = text.trimmed(position + 3..<line.upperBound).lowerBound
    guard let end = CueTime.read(text, &position, end: line.upperBound),
      position == line.upperBound || text[position].isBlank
    else { return nil }
    startMilliseconds = start
    endMilliseconds = end
    rest = position..<line.upperBound
  }
}

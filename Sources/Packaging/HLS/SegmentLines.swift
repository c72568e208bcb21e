/// The two lines of a segment, of which only the digits change from one to the next: they are set in place,
/// and the rest is made anew only when a number grows longer. That halves the instructions of a
/// playlist of two hours.
struct SegmentLines {
  private let stem: StaticString
  private let fileExtension: StaticString
  private let prefix: [UInt8]
  private let suffix: [UInt8]
  private(set) var bytes: [UInt8] = []
  private var instants: RoundedInstants
  private var secondDigits = 0
  private var numberDigits = 0
  /// Where the digits end: of whole seconds, of their fraction, and of the segment number.
  private var secondEnd = 0
  private var fractionEnd = 0
  private var numberEnd = 0

  /// Lines that name `{prefix}{stem}{number}{fileExtension}{suffix}`.
  init(
    stem: StaticString, fileExtension: StaticString, prefix: [UInt8], suffix: [UInt8], timescale: UInt32
  ) {
    self.stem = stem
    self.fileExtension = fileExtension
    self.prefix = prefix
    self.suffix = suffix
    instants = RoundedInstants(timescale: timescale)
    layOut(secondDigits: 1, numberDigits: 4)
  }

  mutating func set(startTicks: UInt64, durationTicks: UInt64, number: UInt64) {
    let microseconds = instants.microseconds(startTicks: startTicks, durationTicks: durationTicks)
    let (seconds, fraction) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    let neededSecondDigits = DigitField.count(seconds)
    let neededNumberDigits = max(4, DigitField.count(number))
    if neededSecondDigits != secondDigits || neededNumberDigits != numberDigits {
      layOut(secondDigits: neededSecondDigits, numberDigits: neededNumberDigits)
    }
    DigitField.set(seconds, count: secondDigits, end: secondEnd, in: &bytes)
    DigitField.set(fraction, count: 6, end: fractionEnd, in: &bytes)
    DigitField.set(number, count: numberDigits, end: numberEnd, in: &bytes)
  }

  private mutating func layOut(secondDigits: Int, numberDigits: Int) {
    self.secondDigits = secondDigits
    self.numberDigits = numberDigits
    var writer = TextWriter(capacityBytes: 64 + prefix.count + suffix.count)
    writer.literal("#EXTINF:")
    writer.decimal(0, minimumDigits: secondDigits)
    secondEnd = writer.bytes.count
    writer.literal(".000000")
    fractionEnd = writer.bytes.count
    writer.literal(",\n")
    writer.raw(prefix)
    writer.literal(stem)
    writer.decimal(0, minimumDigits: numberDigits)
    numberEnd = writer.bytes.count
    writer.literal(fileExtension)
    writer.raw(suffix)
    writer.literal("\n")
    bytes = writer.bytes
  }
}

/// Lengths of segments in microseconds by the rounded instants of both their ends, as `ExactDuration` has them. Where
/// segments touch, the end of one is the start of the next and is worked out once.
struct RoundedInstants {
  private let timescale: UInt32
  private var endTicks: UInt64 = 0
  private var endMicroseconds: UInt64 = 0

  init(timescale: UInt32) {
    self.timescale = timescale
  }

  mutating func microseconds(startTicks: UInt64, durationTicks: UInt64) -> UInt64 {
    let start =
      startTicks == endTicks
      ? endMicroseconds : ExactDuration.microseconds(ticks: startTicks, timescale: timescale)
    endTicks = startTicks.addingSaturating(durationTicks)
    endMicroseconds = ExactDuration.microseconds(ticks: endTicks, timescale: timescale)
    return endMicroseconds - start
  }
}

/// Decimal digits that are set where they stand.
enum DigitField {
  /// Sets the last `count` digits of `value`, the last of them before `end`.
  static func set(_ value: UInt64, count: Int, end: Int, in bytes: inout [UInt8]) {
    var digits = bytes.mutableSpan
    var rest = value
    var index = end
    while index > end - count {
      index -= 1
      digits[index] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
  }

  static func count(_ value: UInt64) -> Int {
    var count = 1
    var rest = value / 10
    while rest > 0 {
      count += 1
      rest /= 10
    }
    return count
  }
}

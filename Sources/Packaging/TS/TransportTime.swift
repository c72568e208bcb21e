// Times of a transport stream: counts of a 90 kHz clock in 33 bits, and of a 27 MHz clock for the clock
// reference (ISO/IEC 13818-1 §2.4.3.5 and §2.4.3.7).
//
// Inside of this folder they are signed 64-bit counts of 90 kHz ("clock ticks") that never wrap; only what is
// written is cut to 33 bits, so a stream longer than 26.5 hours wraps where it must and nowhere else.

/// Turns times of one source track into clock ticks.
struct TransportTimeline: Equatable, Sendable {
  /// Clock ticks per second, and where presentation time 0 lies: see `TransportSegment`.
  static let clockHertz: Int64 = 90_000
  static let presentationStartClockTicks: Int64 = 900_000

  let timescale: UInt32
  let shiftTicks: Int64

  init(timescale: UInt32, shiftTicks: Int64) {
    self.timescale = max(1, timescale)
    self.shiftTicks = shiftTicks
  }

  /// The clock's count nearest to `decodeTicks + offsetTicks + shiftTicks`; halves go up.
  ///
  /// Each count comes from the exact time by itself and never from the one before, so no error adds up, and a
  /// segment's times do not depend on which segments were made before.
  func clockTicks(decodeTicks: UInt64, offsetTicks: Int64 = 0) -> Int64 {
    // Sums of three such numbers, times 180,000, fit in 63 bits; all others take the 128-bit way.
    let safe: Range<Int64> = -(1 << 43)..<1 << 43
    let scale = Int64(timescale)
    if decodeTicks < UInt64(safe.upperBound), safe.contains(offsetTicks), safe.contains(shiftTicks) {
      let ticks = Int64(decodeTicks) + offsetTicks + shiftTicks
      return Self.floorDivide(ticks * (2 * Self.clockHertz) + scale, by: 2 * scale)
        + Self.presentationStartClockTicks
    }
    let ticks = Int128(decodeTicks) + Int128(offsetTicks) + Int128(shiftTicks)
    let count = Self.floorDivide(ticks * (2 * Int128(Self.clockHertz)) + Int128(scale), by: 2 * Int128(scale))
    return Int64(clamping: count + Int128(Self.presentationStartClockTicks))
  }

  /// When a sample of sound is heard.
  func clockTicks(of sample: Sample) -> Int64 {
    clockTicks(decodeTicks: sample.decodeTicks, offsetTicks: Int64(sample.compositionOffsetTicks))
  }

  @inline(__always)
  private static func floorDivide<Number: SignedInteger & FixedWidthInteger>(
    _ value: Number, by divisor: Number
  ) -> Number {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }
}

/// The two forms in which a time is written.
enum TransportTimeField {
  /// Stores the five bytes of a presentation or decode time stamp; `prefix` is 2 for a presentation time
  /// alone, 3 for one that a decode time (prefix 1) follows.
  static func storeTimeStamp(
    _ clockTicks: Int64, prefix: UInt8, in bytes: UnsafeMutableRawBufferPointer, at offset: Int
  ) {
    let time = UInt64(bitPattern: clockTicks)
    bytes[offset] = prefix << 4 | UInt8(truncatingIfNeeded: time >> 29) & 0x0E | 1
    bytes[offset + 1] = UInt8(truncatingIfNeeded: time >> 22)
    bytes[offset + 2] = UInt8(truncatingIfNeeded: time >> 14) | 1
    bytes[offset + 3] = UInt8(truncatingIfNeeded: time >> 7)
    bytes[offset + 4] = UInt8(truncatingIfNeeded: time << 1) | 1
  }

  /// The 48 bits of a clock reference whose 27 MHz extension is 0, in the low end of the word.
  static func clockReference(_ clockTicks: Int64) -> UInt64 {
    (UInt64(bitPattern: clockTicks) & 0x1_FFFF_FFFF) << 15 | 0x7E00
  }
}

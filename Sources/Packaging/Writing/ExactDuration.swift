// Ticks to decimals without floating point.
//
// A manifest states durations in decimal seconds, media in ticks of a timescale that decimals cannot hold
// (1/30000 s × 1001). Rounding each duration by itself drifts: 1200 segments of 6.006 s in a clock of 90 kHz
// are fine, 1200 audio segments of 281 frames are off by a millisecond. So instants are rounded, never
// durations: duration i is round(end i) - round(start i). Every printed sum is then within half a
// microsecond of the media, at any length.

/// Conversions of media time; every result that 64 bits cannot hold is the largest that they can.
enum ExactDuration {
  /// The instant `ticks` in microseconds, rounded half up.
  static func microseconds(ticks: UInt64, timescale: UInt32) -> UInt64 {
    scaled(ticks, by: 1_000_000, over: UInt64(timescale), rounding: .nearest)
  }

  /// The length in microseconds of what starts at `startTicks`, by the rounded instants of both its ends.
  static func microseconds(startTicks: UInt64, durationTicks: UInt64, timescale: UInt32) -> UInt64 {
    let end = microseconds(ticks: startTicks.addingSaturating(durationTicks), timescale: timescale)
    return end - microseconds(ticks: startTicks, timescale: timescale)
  }

  enum Rounding {
    /// To the nearest, halves up.
    case nearest
    case up
  }

  /// `value * factor / divisor`, with all bits of the product. A divisor of 0, which no valid track leads
  /// to, gives 0.
  static func scaled(_ value: UInt64, by factor: UInt64, over divisor: UInt64, rounding: Rounding) -> UInt64 {
    guard divisor > 0 else { return 0 }
    let quotient: UInt64
    let remainder: UInt64
    let (product, overflow) = value.multipliedReportingOverflow(by: factor)
    if !overflow {
      (quotient, remainder) = product.quotientAndRemainder(dividingBy: divisor)
    } else {
      let wide = value.multipliedFullWidth(by: factor)
      guard wide.high < divisor else { return .max }
      (quotient, remainder) = divisor.dividingFullWidth(wide)
    }
    let roundsUp =
      switch rounding {
      case .nearest: remainder >= divisor - remainder
      case .up: remainder > 0
      }
    return roundsUp ? quotient.addingSaturating(1) : quotient
  }

  static func greatestCommonDivisor(_ a: UInt64, _ b: UInt64) -> UInt64 {
    var (a, b) = (a, b)
    while b != 0 { (a, b) = (b, a % b) }
    return a
  }
}

extension UInt64 {
  func addingSaturating(_ other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }

  func multipliedSaturating(by other: UInt64) -> UInt64 {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }
}

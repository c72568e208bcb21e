/// A positive fraction in lowest terms.
struct Ratio: Equatable {
  var numerator: UInt64
  var denominator: UInt64

  /// `nil` where either number is 0.
  init?(_ numerator: UInt64, _ denominator: UInt64) {
    let divisor = ExactDuration.greatestCommonDivisor(numerator, denominator)
    guard numerator > 0, denominator > 0 else { return nil }
    self.numerator = numerator / divisor
    self.denominator = denominator / divisor
  }

  /// Whether both fractions are equal to within one part in `parts`. Exact for terms below 2^32.
  func isNear(_ other: Ratio, parts: UInt64) -> Bool {
    let left = numerator.multipliedSaturating(by: other.denominator)
    let right = other.numerator.multipliedSaturating(by: denominator)
    let difference = left > right ? left - right : right - left
    return difference.multipliedSaturating(by: parts) <= right
  }
}

/// What manifests say of a video track's picture.
struct PictureShape: Equatable {
  /// Coded size, in the orientation in which the picture is shown.
  var widthPixels: UInt64
  var heightPixels: UInt64
  /// Shape of a pixel, in the same orientation; `nil` where unknown.
  var sampleAspect: Ratio?
  /// Shape of the picture, at a usual value where rounding to pixels moved it off by little.
  var pictureAspect: Ratio?

  init(_ track: Track) {
    let coded = (UInt64(track.widthPixels), UInt64(track.heightPixels))
    (widthPixels, heightPixels) = track.isTurnedSideways ? (coded.1, coded.0) : coded
    let shown = Ratio(UInt64(track.displayWidthPixels), UInt64(track.displayHeightPixels))
    guard let shown = shown ?? Ratio(widthPixels, heightPixels) else { return }
    pictureAspect = Self.usualAspects.first { shown.isNear($0, parts: 200) } ?? shown
    if let pixel = Self.pixelAspect(track.sampleEntry) {
      sampleAspect = track.isTurnedSideways ? Ratio(pixel.denominator, pixel.numerator) : pixel
    } else if let storage = Ratio(widthPixels, heightPixels) {
      // A pixel of rounding in the size shown is not a pixel shape.
      let quotient = Ratio(
        shown.numerator.multipliedSaturating(by: storage.denominator),
        shown.denominator.multipliedSaturating(by: storage.numerator))
      sampleAspect = shown.isNear(storage, parts: 200) ? Ratio(1, 1) : quotient
    }
  }

  private static let usualAspects: [Ratio] = [
    Ratio(16, 9), Ratio(4, 3), Ratio(9, 16), Ratio(1, 1), Ratio(3, 4), Ratio(3, 2), Ratio(2, 3),
  ].compactMap { $0 }

  /// The `pasp` box of a visual sample entry (ISO/IEC 14496-12 §12.1.4): its boxes start after 86 bytes.
  private static func pixelAspect(_ sampleEntry: [UInt8]) -> Ratio? {
    func word(_ offset: Int) -> UInt64 {
      sampleEntry[offset..<offset + 4].reduce(0) { $0 << 8 | UInt64($1) }
    }
    let pasp: UInt64 = 0x7061_7370
    var offset = 86
    while offset + 8 <= sampleEntry.count {
      let sizeBytes = Int(word(offset))
      guard sizeBytes >= 8, sizeBytes <= sampleEntry.count - offset else { return nil }
      if word(offset + 4) == pasp, sizeBytes >= 16 {
        return Ratio(word(offset + 8), word(offset + 12))
      }
      offset += sizeBytes
    }
    return nil
  }
}

/// How the brightness of a picture is coded, by its transfer characteristics (ISO/IEC 23091-2).
enum VideoRange: Equatable {
  case sdr
  case hlg
  case pq

  init(transferCharacteristics: UInt16) {
    switch transferCharacteristics {
    case 16: self = .pq
    case 18: self = .hlg
    default: self = .sdr
    }
  }
}

/// Pictures per second of a video track.
struct FrameRate: Equatable {
  var ratio: Ratio

  /// The rate in thousandths of a picture per second, rounded.
  var thousandths: UInt64 {
    ExactDuration.scaled(ratio.numerator, by: 1000, over: ratio.denominator, rounding: .nearest)
  }

  /// The average rate of `track`, at a usual rate where that is within 0.05 %; `nil` for a track without
  /// pictures or without length. Uneven rates are stated to a thousandth.
  ///
  /// Pictures that are kept only to be decoded lie before presentation time 0 and are part of the count, so
  /// the time they take is part of the length.
  init?(_ track: Track) {
    let beforeStartTicks =
      track.presentationStartTicks < 0 ? track.presentationStartTicks.magnitude : 0
    let spanTicks = track.durationTicks.addingSaturating(beforeStartTicks)
    let millionths = ExactDuration.scaled(
      UInt64(track.sampleCount) * 1_000_000, by: UInt64(track.timescale), over: spanTicks,
      rounding: .nearest)
    let usual = Self.usualRates.first { rate in
      Ratio(millionths, 1_000_000)?.isNear(rate, parts: 2000) ?? false
    }
    let uneven = Ratio((millionths.addingSaturating(500)) / 1000, 1000)
    guard let ratio = usual ?? uneven else { return nil }
    self.ratio = ratio
  }

  private static let usualRates: [Ratio] = [
    Ratio(24000, 1001), Ratio(24, 1), Ratio(25, 1), Ratio(30000, 1001), Ratio(30, 1), Ratio(48, 1),
    Ratio(50, 1), Ratio(60000, 1001), Ratio(60, 1), Ratio(48000, 1001), Ratio(100, 1),
    Ratio(120_000, 1001), Ratio(120, 1), Ratio(5, 1), Ratio(10, 1), Ratio(12000, 1001), Ratio(12, 1),
    Ratio(25, 2), Ratio(15000, 1001), Ratio(15, 1), Ratio(20, 1),
  ].compactMap { $0 }
}

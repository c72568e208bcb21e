import Packaging

/// Which rungs of a ladder a source gets, and at which size.
///
/// - A rung's height is the shorter side of the picture, so that a film that stands gets rungs of the same effort.
/// - Nothing is enlarged. A source smaller than every rung gets one of its own size; one that lies well between two
///   rungs gets one more of its own size, so that its best rendition is as good as it is.
/// - The shape is kept: the longer side is what follows from the shorter one, to the nearest even number.
enum RungChoice {
  /// A size of its own is worth a rung where it has so much more than the largest smaller one.
  private static let worthwhile = 1.1

  struct Source: Equatable {
    /// Upright size in square pixels.
    var widthPixels: Int
    var heightPixels: Int
    var framesPerSecond: Double
    var isHDR = false

    var shortPixels: Int { min(widthPixels, heightPixels) }
    var longPixels: Int { max(widthPixels, heightPixels) }
  }

  /// From the smallest to the largest; never empty but for pictures of less than two pixels.
  static func rungs(of ladder: Ladder, for source: Source) -> [TranscodeRequest.Rung] {
    let short = source.shortPixels & ~1
    guard short >= 2, let smallest = ladder.rungs.first else { return [] }
    var chosen = ladder.rungs.filter { $0.heightPixels <= source.shortPixels }
    let top = chosen.last?.heightPixels ?? 0
    if Double(short) > Double(top) * worthwhile, !chosen.contains(where: { $0.heightPixels == short }) {
      var own = ladder.rungs.first { $0.heightPixels > short } ?? chosen.last ?? smallest
      let below = chosen.last
      if own.heightPixels > short {
        own.kilobitsPerSecond = rate(atHeight: short, between: below, and: own)
        own.heightPixels = short
        own.name = "\(short)p"
        chosen.append(own)
      }
    }
    return chosen.compactMap { size($0, source) }
  }

  /// By the number of pixels, on the line between two rungs; or from nothing.
  private static func rate(atHeight height: Int, between below: Ladder.Rung?, and above: Ladder.Rung) -> Int {
    func pixels(_ height: Int) -> Double { Double(height) * Double(height) }
    let start = below.map { (pixels($0.heightPixels), Double($0.kilobitsPerSecond)) } ?? (0, 0)
    let span = pixels(above.heightPixels) - start.0
    guard span > 0 else { return above.kilobitsPerSecond }
    let part = (pixels(height) - start.0) / span
    return max(16, Int((start.1 + part * (Double(above.kilobitsPerSecond) - start.1)).rounded()))
  }

  private static func size(
    _ rung: Ladder.Rung, _ source: Source
  ) -> TranscodeRequest.Rung? {
    let short = rung.heightPixels & ~1
    let exact = Double(source.longPixels) * Double(short) / Double(source.shortPixels)
    // Never more than the source has, and never less than the shorter side.
    let long = max(short, min(Int((exact / 2).rounded()) * 2, source.longPixels & ~1))
    guard long <= 8192, short >= 2 else { return nil }
    let isTall = source.heightPixels > source.widthPixels
    let bits = Int64(rung.kilobitsPerSecond) * 1000
    return TranscodeRequest.Rung(
      name: rung.name, widthPixels: Int32(isTall ? short : long), heightPixels: Int32(isTall ? long : short),
      encoder: rung.encoder, preset: rung.preset, quality: Double(rung.quality), maxBitsPerSecond: bits,
      bufferBits: 2 * bits, frameStep: step(rung.maxFramesPerSecond, source.framesPerSecond),
      keepsHDR: rung.keepsHDR && source.isHDR && canCarryHDR(rung.encoder))
  }

  /// Halved as often as needed; 29.97 and 30 are the same, and so are 59.94 and 60.
  private static func step(_ most: Int, _ rate: Double) -> Int32 {
    guard most > 0, rate.isFinite else { return 1 }
    var step: Int32 = 1
    while rate / Double(step) > Double(most) * 1.02, step < 64 { step *= 2 }
    return step
  }

  private static func canCarryHDR(_ encoder: String) -> Bool {
    !encoder.contains("264") && !encoder.contains("vp9")
  }
}

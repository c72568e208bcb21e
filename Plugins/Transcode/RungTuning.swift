// What is made of a title's own measurements: the quality, the cap, and in per-title mode the choice of its rungs.
//
// Two-pass. A rung's rate falls by a steady factor with each step of quality, so that its logarithm is a line. The first pass
// gives the size of the whole title at one quality, the samples give the slope, and the line gives the quality at which the
// title has the wanted mean rate. That quality then holds for all of it, as in an encoder's own second pass: bits go where the
// picture needs them, chunks stay independent, and every encoder can do it. Peaks may reach twice the mean, the most that HLS
// wants of films; what they are cut by is given to the other parts.
//
// Per-title. In each rung:
//
//     quality   as coarse as pictures stay similar: the mean SSIM is at least 0.98, the ladder's own quality where even that
//               gives less, and at most six steps coarser
//     cap       a quarter above the rate of the most demanding sample at that quality, and never above the ladder's
//
// From the largest rung down, one whose rate is more than 4/5 of that of the next larger one that is kept is left out: whoever
// can receive it can nearly receive the larger. The smallest stays, for slow decoders.

import Glibc
import Packaging

/// The rungs of one title, tuned. Pure: equal measurements give equal rungs.
struct RungTuning {
  /// What one probe measured.
  struct Sample {
    var seconds: Double
    var measures: [TranscodeReport.Measure]
  }

  private static let similarity = 0.98
  private static let headroom = 1.25
  private static let peak = 2.0
  /// Finer than this nobody sees a difference; coarser than that nobody wants it.
  private static let qualities = 12.0...51.0

  private(set) var rungs: [TranscodeRequest.Rung] = []
  /// What was found and chosen, for the job's result.
  private(set) var choices: [Choice] = []

  struct Choice: Codable, Equatable {
    var name: String
    /// Nil of a rung that is left out.
    var quality: Double?
    var capKilobitsPerSecond: Int64?
    /// What the title is expected to take on average.
    var meanKilobitsPerSecond: Int64
    var similarity: Double?
  }

  /// - Parameters:
  ///   - rungs: of the ladder for this source, from the smallest to the largest.
  ///   - samples: in any order. Without a measure a rung stays as it is.
  init(_ rungs: [TranscodeRequest.Rung], _ samples: [Sample], _ mode: Ladder.Mode) {
    for rung in rungs.reversed() {
      let curve = RateCurve(rung.name, samples)
      var tuned = rung
      guard let curve else {
        self.rungs.insert(tuned, at: 0)
        continue
      }
      switch mode {
      case .fixed: tuned.aim(at: Double(rung.maxBitsPerSecond), on: curve, Self.qualities, peak: Self.peak)
      case .perTitle:
        tuned.quality = Self.hundredths(
          curve.coarsest(similarity: Self.similarity) ?? rung.quality)
        tuned.cap(at: curve.peakBitsPerSecond(tuned.quality) * Self.headroom)
      }
      let mean = min(curve.meanBitsPerSecond(tuned.quality), Double(tuned.maxBitsPerSecond))
      var choice = Choice(
        name: rung.name, quality: tuned.quality, capKilobitsPerSecond: tuned.maxBitsPerSecond / 1000,
        meanKilobitsPerSecond: Int64((mean / 1000).rounded()),
        similarity: curve.similarity(tuned.quality).map(Self.hundredThousandths))
      let above = choices.last { $0.quality != nil }
      let isSmallest = rung.name == rungs.first?.name
      if mode == .perTitle, !isSmallest, let above,
        Double(choice.meanKilobitsPerSecond) * Self.headroom > Double(above.meanKilobitsPerSecond)
      {
        (choice.quality, choice.capKilobitsPerSecond) = (nil, nil)
      } else {
        self.rungs.insert(tuned, at: 0)
      }
      choices.append(choice)
    }
    choices.reverse()
  }

  fileprivate static func hundredths(_ value: Double) -> Double { (value * 100).rounded() / 100 }
  private static func hundredThousandths(_ value: Double) -> Double { (value * 100_000).rounded() / 100_000 }
}

extension TranscodeRequest.Rung {
  /// Sets the quality that gives a mean rate, and a cap above it.
  fileprivate mutating func aim(
    at bitsPerSecond: Double, on curve: RateCurve, _ qualities: ClosedRange<Double>, peak: Double
  ) {
    maxBitsPerSecond = Int64(bitsPerSecond * peak)
    bufferBits = 2 * maxBitsPerSecond
    var (finest, coarsest) = (qualities.lowerBound, qualities.upperBound)
    while coarsest - finest > 0.001 {
      let middle = (finest + coarsest) / 2
      if curve.meanBitsPerSecond(middle, cap: Double(maxBitsPerSecond)) > bitsPerSecond {
        finest = middle
      } else {
        coarsest = middle
      }
    }
    quality = RungTuning.hundredths(coarsest)
  }

  /// To whole tens of kbit/s.
  fileprivate mutating func cap(at bitsPerSecond: Double) {
    let rounded = Int64((min(bitsPerSecond, 1e9) / 10_000).rounded(.up)) * 10_000
    maxBitsPerSecond = min(maxBitsPerSecond, max(20_000, rounded))
    bufferBits = 2 * maxBitsPerSecond
  }
}

/// How the rate and the similarity of one rung change with quality: lines through what was measured, of the rate in its
/// logarithm, and on beyond both ends.
struct RateCurve {
  private struct Point {
    var quality: Double
    var bitsPerSecond: Double
    var peakBitsPerSecond: Double
    var similarity: Double?
  }

  private let points: [Point]
  /// What each sample takes at the finest quality.
  private let parts: [(seconds: Double, bitsPerSecond: Double)]

  /// Nil where nothing was measured.
  init?(_ name: String, _ samples: [RungTuning.Sample]) {
    let own = samples.filter { $0.seconds > 0 }.map { sample in
      (seconds: sample.seconds, measures: sample.measures.filter { $0.name == name && $0.bytes > 0 })
    }
    guard let finest = own.flatMap(\.measures).map(\.quality).min() else { return nil }
    /// Bits per second at the finest quality, where all samples have one, and the sums of a quality beside it.
    func sums(_ quality: Double) -> (
      fine: Double, own: Double, seconds: Double, peak: Double, similarities: [Double]
    ) {
      var sums = (fine: 0.0, own: 0.0, seconds: 0.0, peak: 0.0, similarities: [Double]())
      for sample in own {
        guard let fine = sample.measures.first(where: { $0.quality == finest }),
          let measure = sample.measures.first(where: { $0.quality == quality })
        else { continue }
        sums.fine += Double(fine.bytes) * 8
        sums.own += Double(measure.bytes) * 8
        sums.seconds += sample.seconds
        sums.peak = max(sums.peak, Double(measure.bytes) * 8 / sample.seconds)
        if let similarity = measure.similarity { sums.similarities.append(similarity) }
      }
      return sums
    }
    let whole = sums(finest)
    guard whole.seconds > 0 else { return nil }
    parts = own.compactMap { sample in
      sample.measures.first { $0.quality == finest }.map {
        (sample.seconds, Double($0.bytes) * 8 / sample.seconds)
      }
    }
    // All samples say how much the finest takes; those of another quality, how much less that takes of the same pictures.
    points = Set(own.flatMap(\.measures).map(\.quality)).sorted().compactMap { quality in
      let part = sums(quality)
      guard part.fine > 0 else { return nil }
      let similarities = part.similarities
      return Point(
        quality: quality, bitsPerSecond: whole.own / whole.seconds * part.own / part.fine,
        peakBitsPerSecond: part.peak,
        similarity: similarities.isEmpty ? nil : similarities.reduce(0, +) / Double(similarities.count))
    }
  }

  /// The mean over all that was measured.
  /// - Parameter cap: what no part of it exceeds.
  func meanBitsPerSecond(_ quality: Double, cap: Double = .infinity) -> Double {
    guard let finest = points.first else { return 0 }
    let factor = exp2(logarithm(quality) - log2(finest.bitsPerSecond))
    let bits = parts.reduce(0) { $0 + $1.seconds * min($1.bitsPerSecond * factor, cap) }
    return bits / parts.reduce(0) { $0 + $1.seconds }
  }

  /// Of the rate. One measure alone goes with the usual slope: half the rate every six steps.
  private func logarithm(_ quality: Double) -> Double {
    guard points.count == 1, let only = points.first else {
      return line(quality) { log2($0.bitsPerSecond) } ?? 0
    }
    return log2(only.bitsPerSecond) - (quality - only.quality) / 6
  }

  func peakBitsPerSecond(_ quality: Double) -> Double {
    exp2(line(quality) { log2($0.peakBitsPerSecond) } ?? 0)
  }

  func similarity(_ quality: Double) -> Double? { line(quality) { $0.similarity } }

  /// The coarsest measured range of quality that keeps to a similarity; nil where even the finest does not.
  func coarsest(similarity wanted: Double) -> Double? {
    guard let first = points.first, let start = first.similarity, start >= wanted else { return nil }
    var found = first.quality
    for (finer, coarser) in zip(points, points.dropFirst()) {
      guard let above = finer.similarity, let below = coarser.similarity else { break }
      guard below < wanted else {
        found = coarser.quality
        continue
      }
      let part = above > below ? (above - wanted) / (above - below) : 0
      return finer.quality + part * (coarser.quality - finer.quality)
    }
    return found
  }

  /// Between two points, and on beyond the ends.
  private func line(_ quality: Double, _ value: (Point) -> Double?) -> Double? {
    guard points.count > 1 else { return points.first.flatMap(value) }
    let right = points.dropFirst().firstIndex { $0.quality >= quality } ?? points.count - 1
    let (a, b) = (points[right - 1], points[right])
    guard let low = value(a), let high = value(b) else { return nil }
    return low + (high - low) * (quality - a.quality) / (b.quality - a.quality)
  }
}

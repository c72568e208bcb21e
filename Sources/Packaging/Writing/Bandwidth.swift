// The bit rates manifests state, after RFC 8216bis §4.4.6.2.
//
// The peak of a rendition is the largest rate of any contiguous run of segments that lasts between 0.5
// and 1.5 target durations. Runs, and not single segments, so that a last segment of two frames, one of
// them a key frame, does not price the whole rendition. What is counted is what is sent: the samples and
// the heads of the segments.

/// Peak and average rate of one rendition, or of several played together, in bits per second.
struct Bandwidth: Equatable {
  var peak: UInt64
  var average: UInt64

  init(peak: UInt64, average: UInt64) {
    self.peak = peak
    self.average = average
  }

  /// The rates of `segments`. Both are rounded up and never 0, since a rate of 0 means nothing to a player.
  ///
  /// - Complexity: linear for segments near the target duration, since a run ends at 1.5 times of it.
  init(track: Track, segments: [Segment], targetDurationSeconds: UInt64) {
    let bits = segments.map { $0.totalBytes.multipliedSaturating(by: 8) }
    let targetTicks = targetDurationSeconds.multipliedSaturating(by: UInt64(track.timescale))
    let longestTicks = targetTicks.addingSaturating(targetTicks / 2)
    let shortestTicks = targetTicks / 2 + targetTicks % 2

    var peak: UInt64 = 0
    for first in segments.indices {
      var runBits: UInt64 = 0
      var runTicks: UInt64 = 0
      for index in first..<segments.count {
        runTicks = runTicks.addingSaturating(segments[index].durationTicks)
        guard runTicks <= longestTicks else { break }
        runBits = runBits.addingSaturating(bits[index])
        guard runTicks >= shortestTicks else { continue }
        peak = max(peak, Self.rate(bits: runBits, ticks: runTicks, timescale: track.timescale))
      }
    }

    let allBits = bits.reduce(UInt64(0)) { $0.addingSaturating($1) }
    let allTicks = segments.reduce(UInt64(0)) { $0.addingSaturating($1.durationTicks) }
    average = max(1, Self.rate(bits: allBits, ticks: allTicks, timescale: track.timescale))
    // A presentation shorter than half a target duration has no run; all of it is the peak.
    self.peak = max(peak, average)
  }

  private static func rate(bits: UInt64, ticks: UInt64, timescale: UInt32) -> UInt64 {
    ExactDuration.scaled(bits, by: UInt64(timescale), over: ticks, rounding: .up)
  }

  /// The rates of this and `other` played together.
  func adding(_ other: Bandwidth) -> Bandwidth {
    Bandwidth(
      peak: peak.addingSaturating(other.peak), average: average.addingSaturating(other.average))
  }

  /// The larger of both rates, each by itself: what the worst member of a group may need.
  func worst(_ other: Bandwidth) -> Bandwidth {
    Bandwidth(peak: max(peak, other.peak), average: max(average, other.average))
  }
}

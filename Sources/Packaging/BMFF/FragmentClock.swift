// Decode times of fragments.
//
// A sample is decoded when the one before it has had its duration, and `tfdt` says anew, for each fragment, when its
// first sample is decoded. The two should meet. Where they do not:
//
// - The fragment starts later (a gap: the recording was interrupted, or times were rounded). The last sample before it
//   lasts until then, so that every decode time stays what the file says.
// - It starts earlier, by less than the last sample lasts (times were rounded). The last sample is shortened.
// - It starts earlier by more (an overlap: the encoder was restarted, or a fragment is there twice). Time goes on at
//   the end of what is there, and what follows keeps its distance to this fragment, until `tfdt` has caught up.
//
// So decode times never fall. Without `tfdt` time goes on.

/// The decode time of one track while its fragments are read.
struct FragmentClock: Equatable {
  /// Where one or more fragments did not meet what was before them: the largest, and how many there are.
  struct Breaks: Equatable {
    var count = 0
    var longestTicks: UInt64 = 0
    /// Decode time, from the first sample of the track, of the longest.
    var placeTicks: UInt64 = 0

    mutating func note(_ ticks: UInt64, at place: UInt64) {
      count += 1
      guard ticks > longestTicks else { return }
      longestTicks = ticks
      placeTicks = place
    }
  }

  /// What to do with the last sample when a fragment starts.
  enum Step: Equatable {
    case none
    case lengthenLast(ticks: UInt64)
    case shortenLast(ticks: UInt64)
  }

  /// The largest decode time that is believed: enough for nanoseconds since 1970, and far from overflow.
  static let limitTicks: UInt64 = 1 << 61

  let timescale: UInt32
  /// Decode time of the first sample, once there is one.
  private(set) var firstTicks: UInt64 = 0
  /// Decode time of the next sample.
  private(set) var nextTicks: UInt64 = 0
  private(set) var hasSamples = false
  private(set) var gaps = Breaks()
  private(set) var overlaps = Breaks()
  /// Added to `tfdt` since the clock of the file fell.
  private var restartTicks: UInt64 = 0

  init(timescale: UInt32) { self.timescale = timescale }

  /// A fragment with samples starts, whose `tfdt` is `decodeTicks` if it has one.
  ///
  /// - Parameter lastDurationTicks: duration of the sample before; of no meaning without one.
  /// - Returns: nil when the time is beyond all reason.
  mutating func startFragment(at decodeTicks: UInt64?, lastDurationTicks: UInt32) -> Step? {
    guard let decodeTicks else { return Step.none }
    guard decodeTicks <= Self.limitTicks else { return nil }
    guard hasSamples else {
      firstTicks = decodeTicks
      nextTicks = decodeTicks
      return Step.none
    }
    if decodeTicks >= nextTicks { restartTicks = 0 }
    let (start, overflow) = decodeTicks.addingReportingOverflow(restartTicks)
    guard !overflow, start <= Self.limitTicks else { return nil }
    if start >= nextTicks {
      let gap = start - nextTicks
      if gap > UInt64(timescale) / 2 { gaps.note(gap, at: nextTicks - firstTicks) }
      nextTicks = start
      return gap == 0 ? Step.none : .lengthenLast(ticks: gap)
    }
    let overlap = nextTicks - start
    // A millisecond is rounding.
    if overlap > UInt64(timescale) / 1000 { overlaps.note(overlap, at: nextTicks - firstTicks) }
    guard overlap < UInt64(lastDurationTicks) else {
      restartTicks += overlap
      return Step.none
    }
    nextTicks = start
    return .shortenLast(ticks: overlap)
  }

  /// A sample goes on for `durationTicks`.
  mutating func advance(_ durationTicks: UInt32) {
    hasSamples = true
    nextTicks += UInt64(durationTicks)
  }

  /// Time without samples passes. What it is worth is known when the next fragment starts.
  ///
  /// - Returns: what becomes of the last sample; nil when the time is beyond all reason.
  mutating func skip(_ durationTicks: UInt32) -> Step? {
    let (next, overflow) = nextTicks.addingReportingOverflow(UInt64(durationTicks))
    guard !overflow, next <= Self.limitTicks else { return nil }
    guard hasSamples else {
      nextTicks = next
      firstTicks = next
      return Step.none
    }
    if UInt64(durationTicks) > UInt64(timescale) / 2 {
      gaps.note(UInt64(durationTicks), at: nextTicks - firstTicks)
    }
    nextTicks = next
    return durationTicks == 0 ? Step.none : .lengthenLast(ticks: UInt64(durationTicks))
  }

  /// What an operator should know about the breaks of track `trackID`.
  func defects(trackID: UInt32) -> [Defect] {
    var result: [Defect] = []
    if gaps.count > 0 {
      result.append(
        DefectReport.gap(
          trackID: trackID, count: gaps.count, longestTicks: gaps.longestTicks, placeTicks: gaps.placeTicks,
          timescale: timescale))
    }
    if overlaps.count > 0 {
      let length = DefectReport.seconds(overlaps.longestTicks, timescale)
      let place = DefectReport.seconds(overlaps.placeTicks, timescale)
      result.append(
        Defect(
          code: "overlap",
          message: "The time of track \(trackID) falls back at \(overlaps.count) fragments, at \(place) s by "
            + "\(length) s; what follows is shown when it has ended."))
    }
    return result
  }
}

/// The instants at which a rendition is cut, to compare with those of another on its own clock. All comparisons are
/// exact, as fractions in 128-bit integers.
struct SegmentCuts {
  private let segments: [Segment]
  private let timescale: Int128

  init(_ rendition: PresentationRendition) {
    segments = rendition.segments
    timescale = Int128(max(1, rendition.track.timescale))
  }

  /// Whether both have the same number of segments and are cut at the same instants. Clocks that cannot state the same
  /// instant (1/1000 s beside 1/30000 s) may differ by less than a tick of the coarser one. Where the first segment
  /// starts and the last one ends is no cut.
  func equal(_ other: SegmentCuts) -> Bool {
    guard segments.count == other.segments.count else { return false }
    if timescale == other.timescale {
      return zip(segments, other.segments).dropFirst().allSatisfy { $0.startTicks == $1.startTicks }
    }
    // |a/m - b/n| < 1/min(m, n) is |a·n - b·m| < max(m, n).
    return zip(segments, other.segments).dropFirst().allSatisfy {
      difference($0.startTicks, other, $1.startTicks).magnitude < max(timescale, other.timescale)
    }
  }

  /// Whether these, of sound, fall on those of `picture` within a frame of sound, where both have any: sound may end
  /// early, or last longer in segments behind the last of the picture.
  func follow(_ picture: SegmentCuts) -> Bool {
    guard !segments.isEmpty, !picture.segments.isEmpty else { return false }
    let frame = longestFrameTicks * picture.timescale
    let shared = min(segments.count, picture.segments.count)
    for index in 1..<max(1, shared) {
      let distance = difference(segments[index].startTicks, picture, picture.segments[index].startTicks)
      guard distance.magnitude <= frame else { return false }
    }
    if segments.count < picture.segments.count {
      return difference(endTicks(shared - 1), picture, picture.segments[shared].startTicks) <= frame
    }
    if segments.count > picture.segments.count {
      return difference(segments[shared].startTicks, picture, picture.endTicks(shared - 1)) >= -frame
    }
    return true
  }

  /// How much later `ticks` is than `otherTicks` of `other`, in units of both clocks multiplied.
  private func difference(_ ticks: UInt64, _ other: SegmentCuts, _ otherTicks: UInt64) -> Int128 {
    Int128(ticks) * other.timescale - Int128(otherTicks) * timescale
  }

  private func endTicks(_ index: Int) -> UInt64 {
    segments[index].startTicks.addingSaturating(segments[index].durationTicks)
  }

  /// Frames of sound are equally long, but for a last one that is cut short and the first segment, whose frames before
  /// presentation time 0 do not count: so the longest mean of a segment is their length.
  private var longestFrameTicks: Int128 {
    segments.reduce(1) { longest, segment in
      let count = UInt64(max(1, segment.sampleCount))
      return max(longest, Int128(segment.durationTicks / count + (segment.durationTicks % count > 0 ? 1 : 0)))
    }
  }
}

/// Where the segments of an asset are cut.
///
/// The rule, once for all tracks:
///
/// 1. The first video track leads; without video, the first audio track does.
/// 2. The leader is cut at the sync sample whose presentation time is nearest to k × target, for k = 1, 2, …
///    while k × target lies before its end. Of two equally near ones the earlier is taken. A sync sample that is nearest to
///    several k is one cut, and the one that opens segment 0 is none.
/// 3. Audio is cut at the first sample that starts at or after the leader's cut, so it drifts by less than one
///    frame and never plays before its picture. A cut that would leave a track that has not ended without a
///    sample (it starts late or has a hole) is not made at all, in any track that follows the leader's cuts:
///    segment n of the leader and of every audio track always cover the same time.
/// 4. An audio track that ends early has fewer segments. What outlasts the leader by more than half a target
///    becomes segments of its own, about one target long; less than that stays in the last segment.
/// 5. Further video tracks are cut at their own sync sample nearest to each of the leader's cuts, a sync
///    sample serving at most once, so such a track may have fewer segments.
///
/// Segment 0 starts at `max(0, presentation start)`: sound before 0 (encoder priming) belongs to it, but not to its
/// duration. Segments touch, the last ends where the track ends, and no segment is empty or has no duration.
/// Leading pictures of an open GOP stay with the sync sample they follow in decode order.
///
/// All comparisons are exact: times of two tracks are compared as fractions in 128-bit integers.
public enum SegmentPlan {
  /// The segments of each track, in the order of `tracks`; empty for a track without samples.
  ///
  /// - Parameter targetMilliseconds: wished segment length; 0 counts as 1.
  /// - Complexity: linear in the number of samples.
  public static func make(_ tracks: [MovieTrack], targetMilliseconds: UInt32) -> [[Segment]] {
    let target = max(1, targetMilliseconds)
    guard
      let leader = tracks.firstIndex(where: { $0.track.kind == .video && $0.columns.count > 0 })
        ?? tracks.firstIndex(where: { $0.columns.count > 0 })
    else { return tracks.map { _ in [] } }
    let timelines = tracks.map { PlanTimeline($0) }
    let candidates = timelines[leader].cutsNearest(targetMilliseconds: target)

    var cuts = timelines.map { _ in [PlanCut]() }
    let followers = tracks.indices.filter {
      $0 != leader && tracks[$0].track.kind != .video && tracks[$0].columns.count > 0
    }
    var cursors = [PlanCursor](repeating: PlanCursor(), count: tracks.count)
    for candidate in candidates {
      let instant = PlanInstant(ticks: candidate.ticks, timescale: timelines[leader].timescale)
      var found: [(track: Int, cut: PlanCut?)] = []
      var isPossible = true
      for track in followers where !cursors[track].hasEnded {
        switch timelines[track].firstSample(atOrAfter: instant, from: &cursors[track]) {
        case .cut(let cut): found.append((track, cut))
        case .ended: found.append((track, nil))
        case .nothingBefore: isPossible = false
        }
      }
      guard isPossible else { continue }
      cuts[leader].append(candidate)
      for (track, cut) in found {
        if let cut { cuts[track].append(cut) } else { cursors[track].hasEnded = true }
        cursors[track].lastCutSample = cut?.sample ?? cursors[track].lastCutSample
      }
    }
    for track in followers where !cursors[track].hasEnded {
      cuts[track] += timelines[track].tailCuts(
        after: PlanInstant(ticks: timelines[leader].endTicks, timescale: timelines[leader].timescale),
        lastCutSample: cursors[track].lastCutSample, targetMilliseconds: target)
    }
    let instants = cuts[leader].map {
      PlanInstant(ticks: $0.ticks, timescale: timelines[leader].timescale)
    }
    for track in tracks.indices where track != leader && tracks[track].track.kind == .video {
      cuts[track] = timelines[track].syncSamples(nearestTo: instants)
    }
    return tracks.indices.map { timelines[$0].segments(cutAt: cuts[$0]) }
  }
}

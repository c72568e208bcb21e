/// A place where a track is cut: the first sample of the new segment and when it is shown.
struct PlanCut: Equatable {
  var sample: Int
  /// Presentation time of that sample in ticks of its own track.
  var ticks: Int64
}

/// An instant on the asset's timeline as an exact fraction.
struct PlanInstant {
  var ticks: Int64
  var timescale: UInt32
}

/// How far a follower has been cut while the leader's cuts are walked in order.
struct PlanCursor {
  var scanned = 0
  var lastCutSample = 0
  var hasEnded = false
}

enum PlanSearch {
  case cut(PlanCut)
  /// The whole track lies before the instant.
  case ended
  /// The segment that the cut would close has no sample.
  case nothingBefore
}

/// One track as the plan sees it: when each sample is shown, and which are sync samples.
struct PlanTimeline {
  let kind: TrackKind
  let columns: SampleColumns
  let timescale: UInt32
  let startTicks: Int64
  let endTicks: Int64
  let presentationTicks: [Int64]

  init(_ track: MovieTrack) {
    kind = track.track.kind
    columns = track.columns
    timescale = max(1, track.track.timescale)
    startTicks = Int64(clamping: track.track.visibleStartTicks)
    endTicks = Int64(clamping: track.track.endTicks)
    var decode = Int64(truncatingIfNeeded: columns.firstDecodeTicks) &+ track.track.presentationShiftTicks
    var times: [Int64] = []
    times.reserveCapacity(columns.count)
    for index in 0..<columns.count {
      times.append(decode &+ columns.compositionOffset(index))
      decode &+= Int64(columns.durationsTicks[index])
    }
    presentationTicks = times
  }

  /// The sync samples nearest to k × target, without the one that opens the track (rule 2).
  ///
  /// A sync sample is nearest to all instants between the midpoints to its two neighbours, the upper one included.
  /// So it is cut when a multiple of the target lies there. Work is one comparison for each sync sample,
  /// whatever the target.
  func cutsNearest(targetMilliseconds: UInt32) -> [PlanCut] {
    var result: [PlanCut] = []
    // Twice the midpoint in ticks, times 1000, is compared with 2 × k × target × timescale.
    let step = 2 * Int128(targetMilliseconds) * Int128(timescale)
    var threshold = step
    var candidate: PlanCut?
    func decide(twiceUpperBound: Int128) {
      guard twiceUpperBound * 1000 >= threshold else { return }
      if let candidate { result.append(candidate) }
      threshold = (twiceUpperBound * 1000 / step + 1) * step
    }
    var last = startTicks
    for index in presentationTicks.indices where columns.isSync(index) {
      let ticks = presentationTicks[index]
      guard index > 0, ticks > last, ticks < endTicks else { continue }
      decide(twiceUpperBound: Int128(last) + Int128(ticks))
      candidate = PlanCut(sample: index, ticks: ticks)
      last = ticks
    }
    // Behind the last sync sample only multiples before the end count, and never the end itself.
    if (2 * Int128(endTicks)) * 1000 > threshold, let candidate { result.append(candidate) }
    return result
  }

  /// The first sample at or after `instant` (rule 3), which never moves backwards for rising instants.
  func firstSample(atOrAfter instant: PlanInstant, from cursor: inout PlanCursor) -> PlanSearch {
    let wanted = Int128(instant.ticks) * Int128(timescale)
    var index = max(cursor.scanned, cursor.lastCutSample)
    while index < presentationTicks.count,
      Int128(presentationTicks[index]) * Int128(instant.timescale) < wanted
    {
      index += 1
    }
    cursor.scanned = index
    guard index > cursor.lastCutSample else { return .nothingBefore }
    guard index < presentationTicks.count, presentationTicks[index] < endTicks else { return .ended }
    // Sound that only precedes presentation time 0 would be a segment without duration.
    guard presentationTicks[index] > startTicks else { return .nothingBefore }
    return .cut(PlanCut(sample: index, ticks: presentationTicks[index]))
  }

  /// Cuts behind the leader's end, each with more than half a target after it (rule 4).
  func tailCuts(after end: PlanInstant, lastCutSample: Int, targetMilliseconds: UInt32) -> [PlanCut] {
    var result: [PlanCut] = []
    var cursor = PlanCursor(scanned: lastCutSample, lastCutSample: lastCutSample)
    var instant = end
    while case .cut(let cut) = firstSample(atOrAfter: instant, from: &cursor) {
      let rest = (Int128(endTicks) - Int128(cut.ticks)) * 2000
      guard rest > Int128(targetMilliseconds) * Int128(timescale) else { break }
      result.append(cut)
      cursor.lastCutSample = cut.sample
      let step = UInt64(targetMilliseconds) * UInt64(timescale) / 1000
      instant = PlanInstant(ticks: cut.ticks &+ Int64(max(1, step)), timescale: timescale)
    }
    return result
  }

  /// For each instant the nearest sync sample, each used once (rule 5).
  func syncSamples(nearestTo instants: [PlanInstant]) -> [PlanCut] {
    var syncs: [PlanCut] = []
    var last = startTicks
    for index in presentationTicks.indices where columns.isSync(index) {
      let ticks = presentationTicks[index]
      guard index > 0, ticks > last, ticks < endTicks else { continue }
      syncs.append(PlanCut(sample: index, ticks: ticks))
      last = ticks
    }
    var result: [PlanCut] = []
    var next = 0
    for instant in instants {
      let wanted = Int128(instant.ticks) * Int128(timescale)
      func distance(_ ticks: Int64) -> Int128 {
        let difference = Int128(ticks) * Int128(instant.timescale) - wanted
        return difference < 0 ? -difference : difference
      }
      while next + 1 < syncs.count, distance(syncs[next + 1].ticks) < distance(syncs[next].ticks) {
        next += 1
      }
      guard next < syncs.count else { break }
      // Nearer to where the current segment starts than to any cut: no cut here.
      guard distance(syncs[next].ticks) <= distance(result.last?.ticks ?? startTicks) else { continue }
      if result.last?.sample != syncs[next].sample { result.append(syncs[next]) }
    }
    return result
  }

  /// The segments between the cuts, with their bytes and decode times.
  func segments(cutAt cuts: [PlanCut]) -> [Segment] {
    guard columns.count > 0 else { return [] }
    var result: [Segment] = []
    result.reserveCapacity(cuts.count + 1)
    var decode = columns.firstDecodeTicks
    var first = 0
    var start = startTicks
    for position in 0...cuts.count {
      let next = position < cuts.count ? cuts[position] : PlanCut(sample: columns.count, ticks: endTicks)
      let firstDecode = decode
      for index in first..<next.sample {
        decode &+= UInt64(columns.durationsTicks[index])
      }
      let layout = FragmentLayout(kind: kind, columns: columns, range: first..<next.sample)
      result.append(
        Segment(
          firstSample: UInt32(first), sampleCount: UInt32(next.sample - first), startTicks: UInt64(start),
          durationTicks: UInt64(max(0, next.ticks - start)), decodeTicks: firstDecode,
          mediaBytes: layout.mediaBytes, headBytes: UInt32(clamping: layout.headBytes)))
      first = next.sample
      start = next.ticks
    }
    return result
  }
}

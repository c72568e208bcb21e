// Clips: a part of an asset, delivered like an asset of its own.
//
// A clip is asked for in milliseconds and begins and ends on key frames of the leading track: at the last one that is
// not after the wished start, and at the first one that is not before the wished end, or at the track's end. So all that
// was asked for is in it, and nothing has to be decoded that is not shown. Sound is cut at its first frame at or
// after these instants; further video tracks begin at their own key frame at or before, of which an edit list hides
// what comes too early.
//
// What comes out is a packaging index over the same sidecar and the same blob: tracks moved so that the first
// instant is presentation time 0, and segments cut by the rule of `SegmentPlan` inside the clip. It is found from the
// sample columns around the clip alone, so a clip of a minute costs the same in a film as in a trailer.

/// A wished part of an asset, in milliseconds of its presentation.
public struct ClipRange: Sendable, Hashable {
  public let startMilliseconds: UInt32
  public let endMilliseconds: UInt32

  /// Nil when the end is not after the start.
  public init?(startMilliseconds: UInt32, endMilliseconds: UInt32) {
    guard endMilliseconds > startMilliseconds else { return nil }
    self.startMilliseconds = startMilliseconds
    self.endMilliseconds = endMilliseconds
  }
}

extension PackagingIndex {
  /// The index of a clip, for use with the same sidecar and blob; nil when the asset ends before the clip begins.
  ///
  /// Tracks keep their places; one that has nothing in the clip has no segments. Key frame lists are empty.
  /// - Parameter read: gives bytes of the sidecar: offset and count.
  /// - Throws: `IndexError.corrupt`, also when `read` gives less than was asked for.
  /// - Complexity: linear in the samples of the segments that the clip touches.
  public func clipped(_ clip: ClipRange, read: (UInt64, Int) -> [UInt8]?) throws(IndexError)
    -> PackagingIndex?
  {
    guard
      let leader = tracks.indices.first(where: { tracks[$0].kind == .video && !segments[$0].isEmpty })
        ?? tracks.indices.first(where: { !segments[$0].isEmpty })
    else { return nil }
    let scale = tracks[leader].timescale
    let wishedStart = Int64(clip.startMilliseconds) * Int64(scale) / 1000
    let wishedEnd = (Int64(clip.endMilliseconds) * Int64(scale) + 999) / 1000
    guard wishedStart < Int64(clamping: tracks[leader].endTicks) else { return nil }

    let leading = try window(leader, from: wishedStart, to: wishedEnd, read)
    let opening = leading.lastSync(notAfter: wishedStart)
    let closing = leading.firstSync(notBefore: wishedEnd, after: opening)
    let start = PlanInstant(
      ticks: max(leading.ticks(opening), Int64(clamping: tracks[leader].visibleStartTicks)), timescale: scale)
    // A clip that is wished to go on behind the leading track has all that the others have there.
    let isOpenEnded = closing == nil && wishedEnd > leading.endTicks
    let end = PlanInstant(
      ticks: closing.map { leading.ticks($0) } ?? (isOpenEnded ? wishedEnd : leading.endTicks),
      timescale: scale)

    var parts: [ClipPart] = []
    for track in tracks.indices {
      if track == leader {
        let upper = closing ?? leading.samples.count
        parts.append(ClipPart(leading, opening..<upper, tracks[track], start: start))
      } else {
        parts.append(try follower(track, from: start, to: end, read))
      }
    }
    let plan = SegmentPlan.make(parts.map(\.movieTrack), targetMilliseconds: targetMilliseconds)
    var copy = self
    copy.tracks = parts.map(\.movieTrack.track)
    copy.keyFrameRegions = tracks.map { _ in KeyFrameRegion(offset: 0, count: 0) }
    copy.durationMilliseconds = copy.tracks.map(\.endMilliseconds).max() ?? 0
    for track in tracks.indices {
      copy.segments[track] = plan[track].map { parts[track].inColumns($0) }
      copy.blockRanges[track] = copy.segments[track].map { parts[track].blocks(of: $0) }
    }
    return copy
  }

  private func follower(
    _ track: Int, from start: PlanInstant, to end: PlanInstant, _ read: (UInt64, Int) -> [UInt8]?
  ) throws(IndexError) -> ClipPart {
    let scale = tracks[track].timescale
    let from = start.scaled(to: scale)
    let to = end.scaled(to: scale)
    guard !segments[track].isEmpty, from < Int64(clamping: tracks[track].endTicks) else {
      return ClipPart(ClipWindow(), 0..<0, tracks[track], start: start)
    }
    let window = try window(track, from: from, to: to, read)
    guard !window.samples.isEmpty else { return ClipPart(window, 0..<0, tracks[track], start: start) }
    if tracks[track].kind == .video {
      let lower = window.lastSync(notAfter: from)
      let upper = window.firstSync(notBefore: to, after: lower) ?? window.samples.count
      return ClipPart(window, lower..<upper, tracks[track], start: start)
    }
    let lower = window.first(notBefore: from)
    return ClipPart(window, lower..<max(lower, window.first(notBefore: to)), tracks[track], start: start)
  }

  /// The samples of the segments that touch a span of presentation time.
  private func window(
    _ track: Int, from: Int64, to: Int64, _ read: (UInt64, Int) -> [UInt8]?
  ) throws(IndexError) -> ClipWindow {
    let plan = segments[track]
    let first = plan.lastIndex { Int64(clamping: $0.startTicks) <= from } ?? 0
    let last = max(first, plan.lastIndex { Int64(clamping: $0.startTicks) < to } ?? 0)
    let lower = blockRanges[track][first]
    let upper = blockRanges[track][last]
    let (end, overflow) = upper.start.addingReportingOverflow(upper.byteCount)
    guard !overflow, end >= lower.start, end <= columnRegions[track].byteCount,
      let bytes = read(columnRegions[track].offset + UInt64(lower.start), Int(end - lower.start)),
      bytes.count == Int(end - lower.start)
    else { throw .corrupt("columns cut short") }
    var window = ClipWindow()
    window.shiftTicks = tracks[track].presentationShiftTicks
    window.firstBlock = Int(plan[first].firstSample) / SampleBlock.samples
    window.firstSample = Int(plan[first].firstSample)
    var position = 0
    while position < bytes.count {
      window.blockStarts.append(lower.start + UInt32(position))
      position += try SampleBlock.decode(
        bytes.span, at: position, skip: 0, take: SampleBlock.samples, into: &window.samples)
    }
    window.blockStarts.append(lower.start + UInt32(position))
    let skipped = window.firstSample - window.firstBlock * SampleBlock.samples
    let wanted = Int(plan[last].firstSample) + Int(plan[last].sampleCount) - window.firstSample
    guard skipped + wanted <= window.samples.count else { throw .corrupt("block ends early") }
    window.samples = Array(window.samples[skipped..<skipped + wanted])
    for sample in window.samples {
      let (sampleEnd, overflow) = sample.offset.addingReportingOverflow(UInt64(sample.sizeBytes))
      guard !overflow, sampleEnd <= sourceBytes else { throw .corrupt("sample outside the blob") }
    }
    window.endTicks = Int64(clamping: plan[last].startTicks) &+ Int64(clamping: plan[last].durationTicks)
    return window
  }
}

extension PlanInstant {
  /// The instant in ticks of another timescale, to the nearest.
  fileprivate func scaled(to scale: UInt32) -> Int64 {
    Int64(
      clamping: (Int128(ticks) * Int128(scale) + Int128(timescale / 2)) / Int128(max(1, timescale)))
  }
}

/// Samples of one track around a clip, and where their blocks lie in the track's columns.
private struct ClipWindow {
  var samples: [Sample] = []
  var shiftTicks: Int64 = 0
  var endTicks: Int64 = 0
  /// Place of the first sample among the kept samples of the track, and the number of its block.
  var firstSample = 0
  var firstBlock = 0
  /// One more than there are blocks: the end of the last.
  var blockStarts: [UInt32] = []

  func ticks(_ index: Int) -> Int64 {
    Int64(truncatingIfNeeded: samples[index].decodeTicks) &+ Int64(samples[index].compositionOffsetTicks)
      &+ shiftTicks
  }

  func lastSync(notAfter wished: Int64) -> Int {
    samples.indices.last { samples[$0].isSync && ticks($0) <= wished } ?? 0
  }

  func firstSync(notBefore wished: Int64, after opening: Int) -> Int? {
    samples.indices.first { $0 > opening && samples[$0].isSync && ticks($0) >= wished }
  }

  func first(notBefore wished: Int64) -> Int {
    samples.indices.first { ticks($0) >= wished } ?? samples.count
  }
}

/// The samples of one track that are in the clip.
private struct ClipPart {
  let window: ClipWindow
  let lower: Int
  let movieTrack: MovieTrack

  init(_ window: ClipWindow, _ range: Range<Int>, _ source: Track, start: PlanInstant) {
    self.window = window
    lower = range.lowerBound
    var track = source
    var columns = SampleColumns()
    let base = start.scaled(to: source.timescale)
    track.presentationShiftTicks = source.presentationShiftTicks &- base
    columns.firstDecodeTicks = range.isEmpty ? 0 : window.samples[range.lowerBound].decodeTicks
    var earliest = Int64.max
    var latest = Int64.min
    for index in range {
      let sample = window.samples[index]
      columns.offsets.append(sample.offset)
      columns.sizesBytes.append(sample.sizeBytes)
      columns.durationsTicks.append(sample.durationTicks)
      columns.compositionOffsetsTicks.append(sample.compositionOffsetTicks)
      columns.syncFlags.append(sample.isSync)
      let ticks = window.ticks(index) &- base
      earliest = min(earliest, ticks)
      latest = max(latest, ticks &+ Int64(sample.durationTicks))
    }
    if columns.syncFlags.allSatisfy({ $0 }) { columns.syncFlags = [] }
    if columns.compositionOffsetsTicks.allSatisfy({ $0 == 0 }) { columns.compositionOffsetsTicks = [] }
    track.sampleCount = UInt32(clamping: range.count)
    track.totalBytes = columns.sizesBytes.reduce(0) { $0 &+ UInt64($1) }
    track.presentationStartTicks = range.isEmpty ? 0 : earliest
    track.durationTicks = range.isEmpty ? 0 : UInt64(max(0, latest &- max(0, earliest)))
    // A track that is over before the clip begins shows nothing.
    movieTrack = MovieTrack(track: track, columns: track.durationTicks > 0 ? columns : SampleColumns())
  }

  /// The segment with its first sample counted over the whole track.
  func inColumns(_ segment: Segment) -> Segment {
    var segment = segment
    segment.firstSample += UInt32(window.firstSample + lower)
    return segment
  }

  func blocks(of segment: Segment) -> PackagingIndex.BlockRange {
    let first = Int(segment.firstSample) / SampleBlock.samples - window.firstBlock
    let last =
      (Int(segment.firstSample) + Int(segment.sampleCount) - 1) / SampleBlock.samples - window.firstBlock
    return PackagingIndex.BlockRange(
      start: window.blockStarts[first], byteCount: window.blockStarts[last + 1] - window.blockStarts[first])
  }
}

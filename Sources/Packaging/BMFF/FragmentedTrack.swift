/// One track while its fragments are read: its samples so far and its clock.
struct FragmentedTrack {
  private(set) var source: SourceTrack
  private var clock: FragmentClock
  /// Decode time taken up by the samples in `moov`.
  private let moovTicks: UInt64

  /// The state to go back to when a fragment turns out to be cut short.
  struct Mark {
    fileprivate var count: Int
    fileprivate var lastDurationTicks: UInt32
    fileprivate var clock: FragmentClock
  }

  init(_ source: SourceTrack) {
    self.source = source
    clock = FragmentClock(timescale: source.track.timescale)
    for duration in source.columns.durationsTicks { clock.advance(duration) }
    moovTicks = clock.nextTicks
  }

  var sampleCount: Int { source.columns.count }

  var mark: Mark {
    Mark(
      count: source.columns.count, lastDurationTicks: source.columns.durationsTicks.last ?? 0, clock: clock)
  }

  mutating func goBack(to mark: Mark) {
    source.columns.keepFirst(mark.count)
    source.columns.replaceLastDuration(mark.lastDurationTicks)
    clock = mark.clock
  }

  /// A fragment with samples starts.
  mutating func startFragment(at decodeTicks: UInt64?) throws(MediaError) {
    let last = source.columns.durationsTicks.last ?? 0
    guard let step = clock.startFragment(at: decodeTicks, lastDurationTicks: last) else {
      throw timesBeyondReason
    }
    try take(step)
    if source.columns.count == 0 { source.columns.firstDecodeTicks = clock.nextTicks }
  }

  /// A fragment says that there is nothing for a while.
  mutating func skip(_ durationTicks: UInt32) throws(MediaError) {
    guard let step = clock.skip(durationTicks) else { throw timesBeyondReason }
    try take(step)
  }

  private mutating func take(_ step: FragmentClock.Step) throws(MediaError) {
    let last = UInt64(source.columns.durationsTicks.last ?? 0)
    switch step {
    case .none: return
    case .shortenLast(let ticks):
      source.columns.replaceLastDuration(UInt32(last - min(last, ticks)))
    case .lengthenLast(let ticks):
      // The same bound as for durations that the file states.
      guard ticks <= UInt64(Int32.max) - min(last, UInt64(Int32.max)) else {
        throw .unsupported(
          "gap-too-long",
          "Track \(source.track.id) has a gap of \(DefectReport.seconds(ticks, source.track.timescale)) s; "
            + "cut the file there.")
      }
      source.columns.replaceLastDuration(UInt32(last + ticks))
    }
  }

  private var timesBeyondReason: MediaError {
    .damaged("fragment-times", "The fragments of track \(source.track.id) have times beyond all reason.")
  }

  /// Adds the samples of a run whose first byte is at `offset` and whose last is inside the file.
  ///
  /// - Parameters:
  ///   - header: what the run does not state itself.
  ///   - limit: how many samples there may still be.
  mutating func append(
    _ run: borrowing TrackRunBox, _ header: TrackFragmentHeaderBox, at offset: UInt64, limit: Int
  ) throws(MediaError) {
    let id = source.track.id
    guard source.refusal == nil else { return }
    guard max(1, header.descriptionNumber ?? source.descriptionNumber) == source.descriptionNumber else {
      source.refusal = MediaReason(
        code: "several-sample-entries", message: "Track \(id) changes its sample entry in mid-stream.")
      source.columns = SampleColumns()
      return
    }
    guard run.hasSizes || header.sizeBytes != nil, run.hasDurations || header.durationTicks != nil else {
      throw .damaged(
        "fragment-defaults", "A fragment of track \(id) states no size or duration, and there is no trex box."
      )
    }
    guard run.count <= limit else {
      throw .unsupported(
        "too-many-samples", "Track \(id) or the file has more samples than the limit allows.")
    }
    var offset = offset
    for sample in 0..<run.count {
      let size = run.size(sample) ?? header.sizeBytes ?? 0
      let duration = run.duration(sample) ?? header.durationTicks ?? 0
      guard duration <= UInt32(Int32.max) else { throw timesBeyondReason }
      // As in progressive files, every sample of what is no video is a sync sample.
      let isSync =
        source.track.kind != .video || SampleFlags.isSync(run.flags(sample) ?? header.flags ?? 0)
      source.columns.append(
        offset: offset, sizeBytes: size, durationTicks: duration,
        compositionOffsetTicks: run.compositionOffset(sample), isSync: isSync)
      clock.advance(duration)
      offset += UInt64(size)
    }
  }

  /// The track with all its samples and what was found on the way.
  func finished(movieTimescale: UInt32, knowsDuration: Bool) -> SourceTrack {
    var result = source
    result.openEdits(moovTicks: moovTicks, movieTimescale: movieTimescale, knowsDuration: knowsDuration)
    guard result.refusal == nil else { return result }
    result.defects += clock.defects(trackID: source.track.id)
    if let defect = result.columns.assureSyncSample(trackID: source.track.id) {
      result.defects.append(defect)
    }
    return result
  }
}

extension SampleColumns {
  /// Adds one sample; columns that hold one value so far stay empty.
  mutating func append(
    offset: UInt64, sizeBytes: UInt32, durationTicks: UInt32, compositionOffsetTicks: Int32, isSync: Bool
  ) {
    if !compositionOffsetsTicks.isEmpty {
      compositionOffsetsTicks.append(compositionOffsetTicks)
    } else if compositionOffsetTicks != 0 {
      compositionOffsetsTicks = Array(repeating: 0, count: count)
      compositionOffsetsTicks.append(compositionOffsetTicks)
    }
    if !syncFlags.isEmpty {
      syncFlags.append(isSync)
    } else if !isSync {
      syncFlags = Array(repeating: true, count: count)
      syncFlags.append(isSync)
    }
    offsets.append(offset)
    sizesBytes.append(sizeBytes)
    durationsTicks.append(durationTicks)
  }

  fileprivate mutating func keepFirst(_ kept: Int) {
    guard kept < count else { return }
    offsets.removeSubrange(kept...)
    sizesBytes.removeSubrange(kept...)
    durationsTicks.removeSubrange(kept...)
    if !compositionOffsetsTicks.isEmpty {
      compositionOffsetsTicks.removeSubrange(kept...)
      if !compositionOffsetsTicks.contains(where: { $0 != 0 }) { compositionOffsetsTicks = [] }
    }
    if !syncFlags.isEmpty {
      syncFlags.removeSubrange(kept...)
      if !syncFlags.contains(false) { syncFlags = [] }
    }
  }

  fileprivate mutating func replaceLastDuration(_ ticks: UInt32) {
    guard !durationsTicks.isEmpty else { return }
    durationsTicks[durationsTicks.count - 1] = ticks
  }
}

/// The sample tables of one track, turned into columns (ISO/IEC 14496-12 §8.6 and §8.7).
///
/// Tables that contradict each other or the length of the file are damage. Two flaws that all players forgive are
/// forgiven here too, with a defect: times for fewer samples than there are (the last duration goes on), and
/// sync samples that do not exist.
struct SampleTable {
  var columns = SampleColumns()
  /// Number of the sample entry that all samples use, from 1.
  var descriptionNumber: UInt32 = 1
  var defects: [Defect] = []

  /// - Throws: `MediaError.damaged`, or `.unsupported` for more samples than `limit` and for tracks whose samples use
  ///   several sample entries.
  init(_ boxes: borrowing SampleTableBoxes, kind: TrackKind, trackID: UInt32, fileBytes: UInt64, limit: Int)
    throws(MediaError)
  {
    guard let sizes = boxes.sizes() else {
      throw .damaged("sample-sizes", "Track \(trackID) has no readable stsz or stz2 box.")
    }
    let count = Int(sizes.count)
    guard count > 0 else { return }
    if sizes.constantBytes != 0, UInt64(sizes.constantBytes) * UInt64(count) > fileBytes {
      throw .damaged(
        "sample-past-end", "Track \(trackID) claims more bytes of samples than the file has; upload it again."
      )
    }
    guard count <= limit else {
      throw .unsupported("too-many-samples", "Track \(trackID) has \(count) samples; the limit is \(limit).")
    }
    guard let chunks = boxes.chunkOffsets(), let runs = boxes.samplesToChunks(), runs.runs.count > 0 else {
      throw .damaged("chunk-tables", "Track \(trackID) has samples but no readable stsc, stco or co64 box.")
    }
    try readOffsets(sizes, chunks, runs, trackID: trackID, fileBytes: fileBytes)
    guard let times = boxes.times(), times.runs.count > 0 else {
      throw .damaged("sample-times", "Track \(trackID) has samples but no readable stts box.")
    }
    try readDurations(times.runs, count: count, trackID: trackID)
    if boxes.has(FourCC("ctts")) {
      guard let offsets = boxes.compositionOffsets() else {
        throw .damaged("composition-offsets", "Track \(trackID) has a ctts box that is cut short.")
      }
      readCompositionOffsets(offsets, count: count)
    }
    if boxes.has(FourCC("stss")), kind == .video {
      guard let sync = boxes.syncSamples() else {
        throw .damaged("sync-samples", "Track \(trackID) has an stss box that is cut short.")
      }
      readSyncSamples(sync.numbers, count: count, trackID: trackID)
    }
  }

  private mutating func readOffsets(
    _ sizes: borrowing SampleSizeBox, _ chunks: borrowing ChunkOffsetBox, _ runs: borrowing SampleToChunkBox,
    trackID: UInt32, fileBytes: UInt64
  ) throws(MediaError) {
    let count = Int(sizes.count)
    columns.offsets.reserveCapacity(count)
    columns.sizesBytes.reserveCapacity(count)
    descriptionNumber = runs.descriptionNumber(0)
    guard runs.firstChunk(0) == 1 else {
      throw .damaged("sample-to-chunk", "The stsc box of track \(trackID) does not start at the first chunk.")
    }
    var sample = 0
    for run in 0..<runs.runs.count where sample < count {
      let first = UInt64(runs.firstChunk(run))
      let end = run + 1 < runs.runs.count ? UInt64(runs.firstChunk(run + 1)) : UInt64(chunks.count) + 1
      guard run + 1 == runs.runs.count || end > first else {
        throw .damaged("sample-to-chunk", "The stsc box of track \(trackID) has runs out of order.")
      }
      guard runs.descriptionNumber(run) == descriptionNumber else {
        throw .unsupported(
          "several-sample-entries", "Track \(trackID) changes its sample entry in mid-stream.")
      }
      let perChunk = Int(runs.samplesPerChunk(run))
      for chunk in first..<max(first, min(end, UInt64(chunks.count) + 1)) where sample < count {
        var offset = chunks.offset(Int(chunk - 1))
        for _ in 0..<min(perChunk, count - sample) {
          let size = sizes.size(sample)
          let (after, overflow) = offset.addingReportingOverflow(UInt64(size))
          guard !overflow, after <= fileBytes else {
            throw .damaged(
              "sample-past-end",
              "Sample \(sample + 1) of track \(trackID) reaches past the end of the file; upload the whole file again."
            )
          }
          columns.offsets.append(offset)
          columns.sizesBytes.append(size)
          offset = after
          sample += 1
        }
      }
    }
    guard sample == count else {
      throw .damaged(
        "sample-to-chunk", "The chunks of track \(trackID) hold \(sample) of its \(count) samples.")
    }
  }

  private mutating func readDurations(_ runs: borrowing BoxTable, count: Int, trackID: UInt32)
    throws(MediaError)
  {
    columns.durationsTicks.reserveCapacity(count)
    var last: UInt32 = 0
    for run in 0..<runs.count where columns.durationsTicks.count < count {
      last = runs.u32(run, field: 4)
      guard last <= UInt32(Int32.max) else {
        throw .damaged("sample-times", "The stts box of track \(trackID) has a negative or absurd duration.")
      }
      let length = min(Int(runs.u32(run)), count - columns.durationsTicks.count)
      columns.durationsTicks.append(contentsOf: repeatElement(last, count: length))
    }
    let missing = count - columns.durationsTicks.count
    if missing > 0 {
      columns.durationsTicks.append(contentsOf: repeatElement(last, count: missing))
      defects.append(
        Defect(
          code: "stts-short",
          message:
            "Track \(trackID) states no duration for its last \(missing) samples; the duration before them is used."
        ))
    }
  }

  private mutating func readCompositionOffsets(_ box: borrowing CompositionOffsetBox, count: Int) {
    var offsets: [Int32] = []
    offsets.reserveCapacity(count)
    var isUsed = false
    for run in 0..<box.runs.count where offsets.count < count {
      let offset = box.offset(run)
      let length = min(Int(box.runs.u32(run)), count - offsets.count)
      if offset != 0, length > 0 { isUsed = true }
      offsets.append(contentsOf: repeatElement(offset, count: length))
    }
    guard isUsed else { return }
    offsets.append(contentsOf: repeatElement(0, count: count - offsets.count))
    columns.compositionOffsetsTicks = offsets
  }

  private mutating func readSyncSamples(_ numbers: borrowing BoxTable, count: Int, trackID: UInt32) {
    var flags = [Bool](repeating: false, count: count)
    // Some writers count from 0.
    let base = numbers.count > 0 && numbers.u32(0) == 0 ? 0 : 1
    var found = 0
    for entry in 0..<numbers.count {
      let index = Int(numbers.u32(entry)) - base
      guard flags.indices.contains(index), !flags[index] else { continue }
      flags[index] = true
      found += 1
    }
    if found < numbers.count {
      defects.append(
        Defect(
          code: "stss-range",
          message: "The stss box of track \(trackID) names samples that do not exist, or twice."))
    }
    if found < count { columns.syncFlags = flags }
    if let defect = columns.assureSyncSample(trackID: trackID) { defects.append(defect) }
  }
}

/// The boxes of `stbl`, each found and read when asked for; nil where absent or unreadable.
struct SampleTableBoxes: ~Escapable {
  private let body: Span<UInt8>

  @_lifetime(copy body)
  init(_ body: Span<UInt8>) { self.body = body }

  func has(_ type: FourCC) -> Bool { body.firstBox(type) != nil }

  @_lifetime(copy self)
  private func full(_ type: FourCC) -> FullBox? { body.firstBox(type)?.fullBox() }

  func description() -> SampleDescriptionBox? {
    guard let box = full(FourCC("stsd")) else { return nil }
    return SampleDescriptionBox(box)
  }

  @_lifetime(copy self)
  func sizes() -> SampleSizeBox? {
    if let box = full(FourCC("stsz")) { return SampleSizeBox(box) }
    guard let box = full(FourCC("stz2")) else { return nil }
    return SampleSizeBox(compact: box)
  }

  @_lifetime(copy self)
  func times() -> TimeToSampleBox? {
    guard let box = full(FourCC("stts")) else { return nil }
    return TimeToSampleBox(box)
  }

  @_lifetime(copy self)
  func compositionOffsets() -> CompositionOffsetBox? {
    guard let box = full(FourCC("ctts")) else { return nil }
    return CompositionOffsetBox(box)
  }

  @_lifetime(copy self)
  func syncSamples() -> SyncSampleBox? {
    guard let box = full(FourCC("stss")) else { return nil }
    return SyncSampleBox(box)
  }

  @_lifetime(copy self)
  func samplesToChunks() -> SampleToChunkBox? {
    guard let box = full(FourCC("stsc")) else { return nil }
    return SampleToChunkBox(box)
  }

  @_lifetime(copy self)
  func chunkOffsets() -> ChunkOffsetBox? {
    if let box = full(FourCC("stco")) { return ChunkOffsetBox(box, isWide: false) }
    guard let box = full(FourCC("co64")) else { return nil }
    return ChunkOffsetBox(box, isWide: true)
  }
}

// How the head of a media segment is laid out: what `tfhd` may say once for all samples, what needs a column in
// `trun`, and so how long it is. Sizes are arithmetic on the samples' numbers; the packaging index keeps the length of
// every head, and offsets in a file of all segments follow from it without making one.

/// What one pass over the samples settles: which columns the tables need, and all sizes.
struct FragmentLayout {
  /// ISO/IEC 14496-12 §8.8.3: an independent sample, and one that depends on others.
  static let syncFlags: UInt32 = 0x0200_0000
  static let nonSyncFlags: UInt32 = 0x0101_0000

  var isVideo: Bool
  /// `nil` where the samples differ and `trun` needs the column.
  var sharedDurationTicks: UInt32?
  var sharedSizeBytes: UInt32?
  var hasFlagsColumn = false
  var hasFirstSampleFlags = false
  /// For every sample, or for all but the first where that has flags of its own.
  var defaultFlags = FragmentLayout.syncFlags
  var hasCompositionColumn = false
  var mediaBytes: UInt64 = 0
  var sliceCount = 0
  var sampleCount: Int
  /// Whole boxes that follow `trun`: what encryption says of the samples.
  var trackFragmentBoxes: [UInt8] = []

  init(kind: TrackKind, samples: [Sample]) {
    isVideo = kind == .video
    sampleCount = samples.count
    guard let first = samples.first else { return }
    var survey = Survey(durationTicks: first.durationTicks, sizeBytes: first.sizeBytes)
    var endOfSlice: UInt64?
    for sample in samples {
      survey.include(
        durationTicks: sample.durationTicks, sizeBytes: sample.sizeBytes,
        compositionOffsetTicks: sample.compositionOffsetTicks, isSync: sample.isSync)
      if sample.sizeBytes > 0 {
        if sample.offset != endOfSlice { sliceCount += 1 }
        endOfSlice = sample.offset &+ UInt64(sample.sizeBytes)
      }
    }
    settle(survey, isFirstSync: first.isSync)
  }

  /// The layout of the samples `range` of a track, to know its size without making them. `sliceCount` stays 0.
  ///
  /// - Precondition: `range` is not empty and lies inside the columns.
  init(kind: TrackKind, columns: SampleColumns, range: Range<Int>) {
    isVideo = kind == .video
    sampleCount = range.count
    var survey = Survey(
      durationTicks: columns.durationsTicks[range.lowerBound], sizeBytes: columns.sizesBytes[range.lowerBound]
    )
    for index in range {
      survey.include(
        durationTicks: columns.durationsTicks[index], sizeBytes: columns.sizesBytes[index],
        compositionOffsetTicks: Int32(truncatingIfNeeded: columns.compositionOffset(index)),
        isSync: columns.isSync(index))
    }
    settle(survey, isFirstSync: columns.isSync(range.lowerBound))
  }

  /// What is asked of every sample.
  private struct Survey {
    let durationTicks: UInt32
    let sizeBytes: UInt32
    var durationsDiffer = false
    var sizesDiffer = false
    var hasCompositionOffset = false
    var syncCount = 0
    var mediaBytes: UInt64 = 0

    init(durationTicks: UInt32, sizeBytes: UInt32) {
      self.durationTicks = durationTicks
      self.sizeBytes = sizeBytes
    }

    @inline(__always)
    mutating func include(
      durationTicks: UInt32, sizeBytes: UInt32, compositionOffsetTicks: Int32, isSync: Bool
    ) {
      if durationTicks != self.durationTicks { durationsDiffer = true }
      if sizeBytes != self.sizeBytes { sizesDiffer = true }
      if isSync { syncCount += 1 }
      if compositionOffsetTicks != 0 { hasCompositionOffset = true }
      mediaBytes &+= UInt64(sizeBytes)
    }
  }

  private mutating func settle(_ survey: Survey, isFirstSync: Bool) {
    hasCompositionColumn = survey.hasCompositionOffset
    mediaBytes = survey.mediaBytes
    sharedDurationTicks = survey.durationsDiffer ? nil : survey.durationTicks
    sharedSizeBytes = survey.sizesDiffer ? nil : survey.sizeBytes
    guard isVideo, survey.syncCount < sampleCount else { return }
    defaultFlags = Self.nonSyncFlags
    hasFirstSampleFlags = survey.syncCount == 1 && isFirstSync
    hasFlagsColumn = survey.syncCount > 0 && !hasFirstSampleFlags
  }

  var rowBytes: Int {
    (sharedDurationTicks == nil ? 4 : 0) + (sharedSizeBytes == nil ? 4 : 0)
      + (hasFlagsColumn ? 4 : 0) + (hasCompositionColumn ? 4 : 0)
  }

  var trackFragmentHeaderBytes: Int {
    16 + (sharedDurationTicks == nil ? 0 : 4) + (sharedSizeBytes == nil ? 0 : 4) + (hasFlagsColumn ? 0 : 4)
  }

  var trackRunBytes: Int {
    20 + (hasFirstSampleFlags ? 4 : 0) + sampleCount * rowBytes
  }

  /// Where `trackFragmentBoxes` lie, counted from the first byte of `moof`.
  var trackFragmentBoxesOffset: Int {
    8 + 16 + 8 + trackFragmentHeaderBytes + 20 + trackRunBytes
  }

  var movieFragmentBytes: Int {
    trackFragmentBoxesOffset + trackFragmentBoxes.count
  }

  var mediaHeaderBytes: Int {
    mediaBytes > UInt64(UInt32.max) - 8 ? 16 : 8
  }

  var headBytes: Int {
    24 + movieFragmentBytes + mediaHeaderBytes
  }

  func head(sequenceNumber: UInt32, timing: FragmentTiming, samples: [Sample]) -> [UInt8] {
    var writer = BoxWriter(capacityBytes: headBytes)
    let styp = writer.begin("styp")
    writer.fourCC("msdh")
    writer.u32(0)
    writer.fourCC("msdh")
    writer.fourCC("cmfs")
    writer.end(styp)

    let moof = writer.begin("moof")
    let mfhd = writer.begin("mfhd", version: 0, flags: 0)
    writer.u32(sequenceNumber)
    writer.end(mfhd)
    let traf = writer.begin("traf")

    var headerFlags: UInt32 = 0x02_0000  // default-base-is-moof
    if sharedDurationTicks != nil { headerFlags |= 0x08 }
    if sharedSizeBytes != nil { headerFlags |= 0x10 }
    if !hasFlagsColumn { headerFlags |= 0x20 }
    let tfhd = writer.begin("tfhd", version: 0, flags: headerFlags)
    writer.u32(InitSegment.trackIdentifier)
    if let sharedDurationTicks { writer.u32(sharedDurationTicks) }
    if let sharedSizeBytes { writer.u32(sharedSizeBytes) }
    if !hasFlagsColumn { writer.u32(defaultFlags) }
    writer.end(tfhd)

    let tfdt = writer.begin("tfdt", version: 1, flags: 0)
    writer.u64(timing.baseMediaDecodeTicks(decodeTicks: samples.first?.decodeTicks ?? 0))
    writer.end(tfdt)

    var runFlags: UInt32 = 0x001  // data offset
    if hasFirstSampleFlags { runFlags |= 0x004 }
    if sharedDurationTicks == nil { runFlags |= 0x100 }
    if sharedSizeBytes == nil { runFlags |= 0x200 }
    if hasFlagsColumn { runFlags |= 0x400 }
    if hasCompositionColumn { runFlags |= 0x800 }
    let trun = writer.begin("trun", version: 1, flags: runFlags)
    writer.u32(UInt32(truncatingIfNeeded: sampleCount))
    writer.u32(UInt32(truncatingIfNeeded: movieFragmentBytes + mediaHeaderBytes))
    if hasFirstSampleFlags { writer.u32(Self.syncFlags) }
    rows(samples, into: &writer)
    writer.end(trun)
    writer.raw(trackFragmentBoxes)
    writer.end(traf)
    writer.end(moof)

    if mediaHeaderBytes == 16 {
      writer.u32(1)  // the size is the 64-bit number after the type
      writer.fourCC("mdat")
      writer.u64(mediaBytes &+ 16)
    } else {
      writer.u32(UInt32(truncatingIfNeeded: mediaBytes + 8))
      writer.fourCC("mdat")
    }
    return writer.bytes
  }

  private func rows(_ samples: [Sample], into writer: inout BoxWriter) {
    let hasDurationColumn = sharedDurationTicks == nil
    let hasSizeColumn = sharedSizeBytes == nil
    writer.rows(count: sampleCount, rowBytes: rowBytes) { table, start in
      var offset = start
      for sample in samples {
        if hasDurationColumn {
          table.storeBytes(of: sample.durationTicks.bigEndian, toByteOffset: offset, as: UInt32.self)
          offset += 4
        }
        if hasSizeColumn {
          table.storeBytes(of: sample.sizeBytes.bigEndian, toByteOffset: offset, as: UInt32.self)
          offset += 4
        }
        if hasFlagsColumn {
          let flags = sample.isSync ? Self.syncFlags : Self.nonSyncFlags
          table.storeBytes(of: flags.bigEndian, toByteOffset: offset, as: UInt32.self)
          offset += 4
        }
        if hasCompositionColumn {
          let ticks = sample.compositionOffsetTicks
          table.storeBytes(of: ticks.bigEndian, toByteOffset: offset, as: Int32.self)
          offset += 4
        }
      }
    }
  }

  /// An offset past the end of the 64-bit range, which no blob can have, wraps: the sender refuses a slice
  /// that is not inside its blob.
  func slices(of samples: [Sample]) -> [BlobSlice] {
    var slices: [BlobSlice] = []
    slices.reserveCapacity(sliceCount)
    var open = BlobSlice(offset: 0, count: 0)
    for sample in samples where sample.sizeBytes > 0 {
      if open.count > 0, sample.offset == open.offset &+ open.count {
        open.count &+= UInt64(sample.sizeBytes)
      } else {
        if open.count > 0 { slices.append(open) }
        open = BlobSlice(offset: sample.offset, count: UInt64(sample.sizeBytes))
      }
    }
    if open.count > 0 { slices.append(open) }
    return slices
  }
}

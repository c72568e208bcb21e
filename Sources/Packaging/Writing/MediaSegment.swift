// A media segment: one CMAF chunk (ISO/IEC 23000-19 §7.3.2), made on request and never stored.
//
//     styp   msdh cmfs
//     moof
//       mfhd             sequence number
//       traf
//         tfhd           default-base-is-moof; duration, size and flags where all samples share them
//         tfdt           version 1, by `FragmentTiming`
//         trun           version 1: offset of the first byte of `mdat`'s payload, then one row a sample
//     mdat               header only: the payload is slices of the blob
//
// Everything up to the payload is `head`. A row holds only what differs between samples. Flags need no
// column in the usual segment, whose first sample alone is a sync sample: `trun` then has a field of its own
// for it. Sizes are settled in one pass over the samples (`FragmentLayout`), so that the array is allocated
// once and a HEAD request needs no second pass.

/// A run of bytes of a blob.
public struct BlobSlice: Sendable, Equatable {
  /// Offset of the first byte in the blob.
  public var offset: UInt64
  /// Bytes; never 0 in what this module makes.
  public var count: UInt64

  public init(offset: UInt64, count: UInt64) {
    self.offset = offset
    self.count = count
  }
}

/// One media segment: bytes of our own, followed by slices of the blob.
public struct MediaSegment: Sendable, Equatable {
  /// `styp`, `moof` and the header of `mdat`.
  public let head: [UInt8]
  /// The payload of `mdat`, in order; samples that touch in the blob share a slice.
  public let slices: [BlobSlice]
  /// Bytes of the head and all slices: the `Content-Length`.
  public let totalBytes: UInt64

  /// The segment of `track` that holds `samples`, in decode order.
  ///
  /// - Parameters:
  ///   - sequenceNumber: for `mfhd`; to grow from segment to segment, from 1.
  ///   - samples: the kept samples of one segment. An empty list makes a valid segment without media.
  ///   - firstDecodeTicks: `decodeTicks` of the track's segment 0, the same value that was given to
  ///     `InitSegment.bytes`. See `FragmentTiming`.
  /// - Complexity: two passes over the samples and one to find slices; two allocations.
  public static func make(
    track: Track, sequenceNumber: UInt32, samples: [Sample], firstDecodeTicks: UInt64 = 0
  ) -> MediaSegment {
    let timing = FragmentTiming(track: track, firstDecodeTicks: firstDecodeTicks)
    let layout = FragmentLayout(track: track, samples: samples)
    return MediaSegment(
      head: layout.head(sequenceNumber: sequenceNumber, timing: timing, samples: samples),
      slices: layout.slices(of: samples),
      totalBytes: UInt64(layout.headBytes) + layout.mediaBytes)
  }

  /// The most bytes a head with `sampleCount` samples may have, for rates that must not be understated
  /// where the samples themselves are not at hand.
  static func headBytesBound(kind: TrackKind, sampleCount: UInt32) -> UInt64 {
    // Sound has neither flags nor composition offsets of its own.
    let rowBytes: UInt64 = kind == .video ? 16 : 8
    return FragmentLayout.fixedBytesBound + rowBytes * UInt64(sampleCount)
  }
}

/// What one pass over the samples settles: which columns the tables need, and all sizes.
private struct FragmentLayout {
  /// ISO/IEC 14496-12 §8.8.3: an independent sample, and one that depends on others.
  static let syncFlags: UInt32 = 0x0200_0000
  static let nonSyncFlags: UInt32 = 0x0101_0000

  /// `styp`, the largest `moof` without rows, and the large header of `mdat`.
  static let fixedBytesBound: UInt64 = 24 + 8 + 16 + 8 + 28 + 20 + 24 + 16

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

  init(track: Track, samples: [Sample]) {
    isVideo = track.kind == .video
    sampleCount = samples.count
    guard let first = samples.first else { return }
    var durationsDiffer = false
    var sizesDiffer = false
    var syncCount = 0
    var endOfSlice: UInt64?
    for sample in samples {
      if sample.durationTicks != first.durationTicks { durationsDiffer = true }
      if sample.sizeBytes != first.sizeBytes { sizesDiffer = true }
      if sample.isSync { syncCount += 1 }
      if sample.compositionOffsetTicks != 0 { hasCompositionColumn = true }
      mediaBytes &+= UInt64(sample.sizeBytes)
      if sample.sizeBytes > 0 {
        if sample.offset != endOfSlice { sliceCount += 1 }
        endOfSlice = sample.offset &+ UInt64(sample.sizeBytes)
      }
    }
    sharedDurationTicks = durationsDiffer ? nil : first.durationTicks
    sharedSizeBytes = sizesDiffer ? nil : first.sizeBytes
    guard isVideo, syncCount < samples.count else { return }
    defaultFlags = Self.nonSyncFlags
    hasFirstSampleFlags = syncCount == 1 && first.isSync
    hasFlagsColumn = syncCount > 0 && !hasFirstSampleFlags
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

  var movieFragmentBytes: Int {
    8 + 16 + 8 + trackFragmentHeaderBytes + 20 + trackRunBytes
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

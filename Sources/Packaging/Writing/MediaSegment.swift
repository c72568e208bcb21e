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
    let layout = FragmentLayout(kind: track.kind, samples: samples)
    return MediaSegment(
      head: layout.head(sequenceNumber: sequenceNumber, timing: timing, samples: samples),
      slices: layout.slices(of: samples),
      totalBytes: UInt64(layout.headBytes) + layout.mediaBytes)
  }
}

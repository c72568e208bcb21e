// The packaging index: the sidecar `<sha256>.index` beside a media blob.
//
// It holds all that playlists, MPDs, init segments and media segments need of the blob's `moov`, arranged so that a
// running server keeps little of it in memory and fetches the rest with one read per segment and track. It is a pure
// function of (blob, target length, version): lost or damaged, it is made again from the blob.
//
// Layout, all numbers little-endian:
//
//   header, 56 bytes      magic "HWPI", version u16, reserved u16, resident bytes u64 (header included),
//                         total bytes u64, blob bytes u64, target milliseconds u32, reserved u32,
//                         checksum of the rest of the resident part u64, checksum of the header before this field u64
//   resident part         tracks, left-out tracks, defects, then the segment table of each track:
//                         first sample u32, column start u32, column length u32, start ticks u64, decode ticks u64,
//                         media bytes u64, head bytes u32 = 40 bytes a segment (23 KiB an hour and track at 6 s)
//   columns               per track the samples in blocks of 64, block after block; see SampleBlock.swift
//   key frames            per video track the list for trick play; see KeyFrame.swift
//
// A segment's samples lie in whole blocks that follow each other, and `column start` and `column length` name exactly
// these. Since blocks have a fixed number of samples, every other plan finds its blocks as easily: `replanned` makes
// one for another target from the same columns.
//
// Integrity: the header, the resident part and each block carry a checksum, and whatever passes is still checked for
// sense (segments touch, samples lie inside the blob), so that a crafted sidecar gives an error and never a trap.
// A crash while writing leaves a file that is too short or fails its checksum; the writer renames only whole files.
// Any change of this layout takes a new version; readers refuse versions they do not know, and the index is rebuilt.

/// Why a sidecar cannot be used. The cure is always the same: make it again from its blob.
public enum IndexError: Error, Sendable, Equatable {
  /// Not a packaging index at all.
  case notAnIndex
  /// Written by a version of the packager with another layout.
  case unknownVersion(UInt16)
  /// Cut short, or a checksum or value is wrong; the text says where.
  case corrupt(String)

  /// Stable code: `index-unknown`, `index-version`, `index-corrupt`.
  public var code: String {
    switch self {
    case .notAnIndex: return "index-unknown"
    case .unknownVersion: return "index-version"
    case .corrupt: return "index-corrupt"
    }
  }

  public var message: String {
    switch self {
    case .notAnIndex: return "The file is not a packaging index; remove it and it will be made again."
    case .unknownVersion(let version):
      return
        "The packaging index has version \(version), this version reads \(PackagingIndex.version); rebuild it."
    case .corrupt(let place): return "The packaging index is damaged (\(place)); rebuild it from its blob."
    }
  }
}

/// The resident part of a sidecar: tracks and segments of one blob, ready for use from any thread.
public struct PackagingIndex: Sendable, Equatable {
  /// Version of the file layout.
  public static let version: UInt16 = 2
  /// Bytes of the fixed header that tells how long the resident part is.
  public static let headerBytes = 56

  /// Packageable tracks in file order.
  public internal(set) var tracks: [Track]
  /// Segments of each track, in the order of `tracks`.
  public internal(set) var segments: [[Segment]]
  /// Segment length the plan was made for.
  public internal(set) var targetMilliseconds: UInt32
  /// When the last picture or sound ends, in milliseconds after presentation time 0, rounded up.
  public internal(set) var durationMilliseconds: UInt64
  public internal(set) var defects: [Defect]
  public internal(set) var leftOut: [LeftOutTrack]
  /// Length of the blob in bytes; every sample lies inside it.
  public internal(set) var sourceBytes: UInt64
  /// Length of the whole sidecar in bytes.
  public internal(set) var totalBytes: UInt64

  /// Where a track's blocks lie in the sidecar.
  struct ColumnRegion: Sendable, Equatable {
    var offset: UInt64
    var byteCount: UInt32
  }
  /// Where a segment's blocks lie, from the start of its track's region.
  struct BlockRange: Sendable, Equatable {
    var start: UInt32
    var byteCount: UInt32
  }
  var columnRegions: [ColumnRegion]
  var blockRanges: [[BlockRange]]
  /// Where a track's key frames lie in the sidecar, and how many there are.
  struct KeyFrameRegion: Sendable, Equatable {
    var offset: UInt64
    var count: UInt32
  }
  var keyFrameRegions: [KeyFrameRegion]

  /// How many key frames `keyFrames(track:in:)` gives; 0 for what is not video.
  public func keyFrameCount(track: Int) -> Int {
    keyFrameRegions.indices.contains(track) ? Int(keyFrameRegions[track].count) : 0
  }

  /// The bytes of the sidecar that `keyFrames(track:in:)` needs; nil for a track without key frames.
  public func keyFrameRange(track: Int) -> (offset: UInt64, count: Int)? {
    let count = keyFrameCount(track: track)
    guard count > 0 else { return nil }
    return (keyFrameRegions[track].offset, KeyFrameTable.headBytes + count * KeyFrameTable.rowBytes)
  }

  /// The key frames of a track, at least a second apart, in order of presentation.
  ///
  /// - Parameter bytes: what the sidecar holds in `keyFrameRange(track:)`.
  /// - Throws: `IndexError.corrupt` when the bytes are not those.
  public func keyFrames(track: Int, in bytes: Span<UInt8>) throws(IndexError) -> [KeyFrame] {
    guard tracks.indices.contains(track) else { throw .corrupt("no such track") }
    return try KeyFrameTable.decode(
      bytes, count: keyFrameCount(track: track), track: tracks[track], blobBytes: sourceBytes)
  }

  /// The bytes of the sidecar that `samples(track:segment:in:)` needs, nil for a segment that does not exist.
  ///
  /// One contiguous range, whole blocks only: at most 126 samples more than the segment has. Complexity: O(1).
  public func sampleRange(track: Int, segment: Int) -> (offset: UInt64, count: Int)? {
    guard blockRanges.indices.contains(track), blockRanges[track].indices.contains(segment) else {
      return nil
    }
    let range = blockRanges[track][segment]
    return (columnRegions[track].offset + UInt64(range.start), Int(range.byteCount))
  }

  /// The samples of one segment, in decode order.
  ///
  /// - Parameter bytes: what the sidecar holds in `sampleRange(track:segment:)`.
  /// - Throws: `IndexError.corrupt` when the bytes are not those, are damaged, or do not add up to the segment; also for
  ///   a segment that does not exist.
  /// - Complexity: linear in the number of samples; one allocation.
  public func samples(track: Int, segment: Int, in bytes: Span<UInt8>) throws(IndexError) -> [Sample] {
    guard segments.indices.contains(track), segments[track].indices.contains(segment) else {
      throw .corrupt("no such segment")
    }
    let wanted = segments[track][segment]
    var result: [Sample] = []
    // A sidecar may claim any count; its bytes bound what is believed.
    let possible = (bytes.count / SampleBlock.headBytes) * SampleBlock.samples
    result.reserveCapacity(min(Int(wanted.sampleCount), possible))
    let firstBlock = Int(wanted.firstSample) / SampleBlock.samples
    var skip = Int(wanted.firstSample) - firstBlock * SampleBlock.samples
    var position = 0
    while result.count < Int(wanted.sampleCount) {
      let take = Int(wanted.sampleCount) - result.count
      let consumed = try SampleBlock.decode(bytes, at: position, skip: skip, take: take, into: &result)
      position += consumed
      skip = 0
    }
    var total: UInt64 = 0
    for sample in result {
      let end = sample.offset.addingReportingOverflow(UInt64(sample.sizeBytes))
      guard !end.overflow, end.partialValue <= sourceBytes else { throw .corrupt("sample outside the blob") }
      total += UInt64(sample.sizeBytes)
    }
    guard total == wanted.mediaBytes, result.first?.decodeTicks == wanted.decodeTicks else {
      throw .corrupt("samples do not match their segment")
    }
    return result
  }

  /// The same asset cut for another target length, for use with the same sidecar.
  ///
  /// - Parameter columns: the whole sidecar.
  /// - Complexity: linear in the number of samples of the asset, about 20 ms for a film.
  public func replanned(targetMilliseconds: UInt32, columns: Span<UInt8>) throws(IndexError) -> PackagingIndex
  {
    var movieTracks: [MovieTrack] = []
    var starts: [[UInt32]] = []
    for (number, track) in tracks.enumerated() {
      let region = columnRegions[number]
      guard let offset = Int(exactly: region.offset), offset <= columns.count,
        Int(region.byteCount) <= columns.count - offset
      else { throw .corrupt("columns cut short") }
      let bytes = columns.extracting(offset..<offset + Int(region.byteCount))
      let (samples, blockStarts) = try SampleBlock.decodeAll(
        bytes, count: Int(track.sampleCount), blobBytes: sourceBytes)
      movieTracks.append(MovieTrack(track: track, columns: samples))
      starts.append(blockStarts)
    }
    var copy = self
    copy.targetMilliseconds = targetMilliseconds
    copy.segments = SegmentPlan.make(movieTracks, targetMilliseconds: targetMilliseconds)
    copy.blockRanges = tracks.indices.map { Self.blockRanges(of: copy.segments[$0], blockStarts: starts[$0]) }
    return copy
  }

  /// The blocks of each segment. `blockStarts` has one more element than there are blocks: the region's length.
  static func blockRanges(of segments: [Segment], blockStarts: [UInt32]) -> [BlockRange] {
    segments.map { segment in
      let first = Int(segment.firstSample) / SampleBlock.samples
      let last = (Int(segment.firstSample) + Int(segment.sampleCount) - 1) / SampleBlock.samples
      return BlockRange(start: blockStarts[first], byteCount: blockStarts[last + 1] - blockStarts[first])
    }
  }
}

// A whole rendition as one file, `{rendition}.cmfv` or `.cmfa`: a CMAF track file (ISO/IEC 23000-19 §7.3.3), which is never
// stored and never made as a whole.
//
//     init segment       ftyp moov
//     sidx               version 1, one reference for each media segment
//     media segments     styp moof mdat, exactly as they are made one by one
//
// It is what byte-range playlists of HLS and the on-demand profile of DASH point into. Where everything lies is
// arithmetic: the plan knows the length of each segment, heads included. Whoever sends a range makes the segments that
// it touches.
//
// Times of `sidx` (ISO/IEC 14496-12 §8.16.3) are presentation times after the edit list, as DASH-IF IOP reads them and
// players use them: the start of the first segment, then the lengths of all.
//
// A `sidx` has room for 65,535 references. A plan of more segments gets references to several segments each. A reference
// has 31 bits for bytes and 32 for ticks; where a segment is longer than that, which takes a film without a second key
// frame, the file has no `sidx`, and the on-demand MPD leaves the rendition out. HLS needs none.

/// Where the parts of a rendition lie when it is one file, and the bytes in front of its segments.
public struct CMAFFile: Sendable, Equatable {
  /// Init segment and `sidx`: the file up to its first media segment.
  public let head: [UInt8]
  /// Offsets of the first and the last byte of the init segment, as a manifest states them.
  public let initRange: ClosedRange<UInt64>
  /// Offsets of the first and the last byte of `sidx`; `nil` where the file has none.
  public let indexRange: ClosedRange<UInt64>?
  /// Where each segment starts, and the length of the file.
  private let offsets: [UInt64]

  /// The name's ending: CMAF's own for picture and for sound, which players that judge by names know.
  public static func fileExtension(_ track: Track) -> StaticString {
    track.kind == .audio ? ".cmfa" : ".cmfv"
  }

  /// Length of the file in bytes.
  public var totalBytes: UInt64 { offsets[offsets.count - 1] }

  public var segmentCount: Int { offsets.count - 1 }

  /// The layout of `track`.
  ///
  /// - Parameters:
  ///   - segments: the whole plan of the track.
  ///   - firstDecodeTicks: `decodeTicks` of the track's segment 0, as it was given to `InitSegment.bytes`.
  ///   - segmentsAreIndependent: whether every segment starts with a sync sample.
  /// - Complexity: linear in the segments: 12 bytes and an addition for each.
  public init(
    track: Track, segments: [Segment], firstDecodeTicks: UInt64 = 0, segmentsAreIndependent: Bool = true
  ) {
    let initSegment = InitSegment.bytes(for: track, firstDecodeTicks: firstDecodeTicks)
    let index = SegmentIndexBox(
      track: track, segments: segments, segmentsAreIndependent: segmentsAreIndependent)
    let initBytes = UInt64(initSegment.count)
    initRange = 0...initBytes - 1
    indexRange = index.map { initBytes...initBytes + UInt64($0.bytes.count) - 1 }
    head = initSegment + (index?.bytes ?? [])
    var offsets: [UInt64] = []
    offsets.reserveCapacity(segments.count + 1)
    var offset = UInt64(head.count)
    for segment in segments {
      offsets.append(offset)
      offset = offset.addingSaturating(segment.totalBytes)
    }
    offsets.append(offset)
    self.offsets = offsets
  }

  /// Where segment `number` lies: its bytes are those of `MediaSegment.make` with sequence number `number` + 1. For a
  /// segment that does not exist, no bytes at the end of the file.
  public func range(ofSegment number: Int) -> (offset: UInt64, count: UInt64) {
    guard number >= 0, number < segmentCount else { return (totalBytes, 0) }
    return (offsets[number], offsets[number + 1] - offsets[number])
  }
}

/// The segment index of a file whose media segments follow it at once.
private struct SegmentIndexBox {
  let bytes: [UInt8]

  private static let mostReferences = 65_535

  /// `nil` without segments, or where a reference has no room for one.
  init?(track: Track, segments: [Segment], segmentsAreIndependent: Bool) {
    guard let first = segments.first else { return nil }
    let step = (segments.count + Self.mostReferences - 1) / Self.mostReferences
    let count = (segments.count + step - 1) / step
    let accessPoint: UInt32 = segmentsAreIndependent ? 0x9000_0000 : 0  // starts with a SAP of type 1

    var writer = BoxWriter(capacityBytes: 40 + 12 * count)
    let sidx = writer.begin("sidx", version: 1, flags: 0)
    writer.u32(InitSegment.trackIdentifier)
    writer.u32(track.timescale)
    writer.u64(first.startTicks)
    writer.u64(0)  // the first segment lies right behind
    writer.u16(0)
    writer.u16(UInt16(truncatingIfNeeded: count))
    var allFit = true
    writer.rows(count: count, rowBytes: 12) { table, start in
      var offset = start
      var number = 0
      while number < segments.count {
        var bytes: UInt64 = 0
        var ticks: UInt64 = 0
        for segment in segments[number..<min(number + step, segments.count)] {
          bytes = bytes.addingSaturating(segment.totalBytes)
          ticks = ticks.addingSaturating(segment.durationTicks)
        }
        if bytes >= 1 << 31 || ticks >= 1 << 32 { allFit = false }
        table.storeBytes(
          of: UInt32(truncatingIfNeeded: bytes).bigEndian, toByteOffset: offset, as: UInt32.self)
        table.storeBytes(
          of: UInt32(truncatingIfNeeded: ticks).bigEndian, toByteOffset: offset + 4, as: UInt32.self)
        table.storeBytes(of: accessPoint.bigEndian, toByteOffset: offset + 8, as: UInt32.self)
        offset += 12
        number += step
      }
    }
    guard allFit else { return nil }
    writer.end(sidx)
    bytes = writer.bytes
  }
}

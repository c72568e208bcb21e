// WebVTT segments of a document (RFC 8216bis §3.1.4).
//
//     WEBVTT
//     X-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000
//
//     STYLE
//     …
//
//     00:00:05.500 --> 00:00:07.000
//     …
//
// Segments are those of the leading track: segment n of the text and of the picture cover the same time. A cue stands
// with its own times in every segment that it overlaps, so a player that starts anywhere shows it. Segment 0 also
// takes what is before it and the last one what comes after it. A segment without a cue is the head alone.
//
// The map line ties cue time 0 to a time of the media, in ticks of 90 kHz. Fragmented MP4 starts at media time 0, which
// is what the absence of the line means; a transport stream is written with an offset, which the line has to state.

/// Cuts a document along the segments of a track. Needs the document in memory, and makes a segment when asked.
public struct SubtitleSegments: Sendable {
  public let document: SubtitleDocument
  private let segments: [Segment]
  private let timescale: UInt32
  private let mediaTimeTicks: UInt64
  /// The latest end among a cue and all before it: ascending, so that it can be searched.
  private let latestEnds: [UInt64]

  /// - Parameters:
  ///   - segments: those of the leading track, in order; they touch.
  ///   - timescale: ticks per second of that track.
  ///   - mediaTimeTicks: what presentation time 0 is in the media, in ticks of 90 kHz; 0 for fragmented MP4.
  /// - Complexity: linear in the cues.
  public init(
    _ document: SubtitleDocument, segments: [Segment], timescale: UInt32, mediaTimeTicks: UInt64 = 0
  ) {
    self.document = document
    self.segments = segments
    self.timescale = timescale
    self.mediaTimeTicks = mediaTimeTicks
    var latest: UInt64 = 0
    latestEnds = document.cues.map { cue in
      latest = max(latest, cue.endMilliseconds)
      return latest
    }
  }

  public var count: Int { segments.count }

  /// The segment with a number from 0; nil where there is none.
  ///
  /// - Complexity: logarithmic in the cues, linear in those between the first that lasts into the segment and the
  ///   last that starts before its end.
  public func bytes(_ number: Int) -> [UInt8]? {
    guard segments.indices.contains(number) else { return nil }
    let cues = cues(number)
    var writer = TextWriter(
      capacityBytes: 64 + document.headerBlocks.reduce(0) { $0 + $1.utf8.count + 2 }
        + cues.reduce(0) { $0 + $1.boundBytes })
    writer.literal("WEBVTT\n")
    if mediaTimeTicks > 0 {
      writer.literal("X-TIMESTAMP-MAP=MPEGTS:")
      // The field is 33 bits wide, like the timestamps that it speaks of.
      writer.decimal(mediaTimeTicks & 0x1_FFFF_FFFF)
      writer.literal(",LOCAL:00:00:00.000\n")
    }
    writer.literal("\n")
    writer.headerBlocks(document.headerBlocks)
    for cue in cues { writer.cue(cue) }
    return writer.bytes
  }

  /// The cues of a segment, which exists.
  private func cues(_ number: Int) -> [SubtitleCue] {
    let segment = segments[number]
    let start = number == 0 ? 0 : ExactDuration.microseconds(ticks: segment.startTicks, timescale: timescale)
    let end =
      number == segments.count - 1
      ? UInt64.max
      : ExactDuration.microseconds(
        ticks: segment.startTicks.addingSaturating(segment.durationTicks), timescale: timescale)
    let cues = document.cues
    let first = Self.firstIndex(cues.count) { latestEnds[$0] * 1000 > start }
    let last = Self.firstIndex(cues.count) { cues[$0].startMilliseconds * 1000 >= end }
    guard first < last else { return [] }
    return cues[first..<last].filter { $0.endMilliseconds * 1000 > start }
  }

  /// The first index for which a condition holds that holds for all after it, or `count`.
  private static func firstIndex(_ count: Int, where holds: (Int) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if holds(middle) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}

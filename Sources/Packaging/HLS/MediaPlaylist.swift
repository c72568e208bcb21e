// The media playlist of a rendition on demand, after RFC 8216bis §4.4.
//
//     #EXTM3U
//     #EXT-X-VERSION:7
//     #EXT-X-TARGETDURATION:6
//     #EXT-X-MEDIA-SEQUENCE:0
//     #EXT-X-PLAYLIST-TYPE:VOD
//     #EXT-X-INDEPENDENT-SEGMENTS
//     #EXT-X-MAP:URI="init.mp4"
//     #EXTINF:6.006000,
//     segment_0000.m4s
//     …
//     #EXT-X-ENDLIST
//
// EXT-X-MAP outside of I-frame playlists needs version 6; 7 is what players of fragmented MP4 are tested
// with. Durations are rounded by `ExactDuration`, so their sum does not drift from the media.

/// Makes HLS media playlists for fragmented MP4.
public enum MediaPlaylist {
  /// The media playlist of one rendition.
  ///
  /// - Parameters:
  ///   - uriPrefix: put in front of every child, such as `../g/0123456789ab/source/`, or empty. Bytes that
  ///     no URI may hold are percent-encoded.
  ///   - uriSuffix: put behind every child, such as a signed query with its question mark, or empty.
  ///   - targetDurationSeconds: `Presentation.targetDurationSeconds`, so that all renditions state
  ///     the same; `nil` takes it from `segments` alone.
  ///   - segmentsAreIndependent: whether every segment starts with a sync sample.
  /// - Complexity: linear in the segments; one allocation but for the two encoded affixes.
  public static func bytes(
    track: Track, segments: [Segment], uriPrefix: String, uriSuffix: String = "",
    targetDurationSeconds: UInt64? = nil, segmentsAreIndependent: Bool = true
  ) -> [UInt8] {
    let prefix = URIText.reference(uriPrefix)
    let suffix = URIText.reference(uriSuffix)
    let lineBytes = 40 + prefix.count + suffix.count
    var writer = TextWriter(capacityBytes: 256 + (segments.count + 1) * lineBytes)
    writer.literal("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:")
    writer.decimal(
      targetDurationSeconds ?? self.targetDurationSeconds(segments: segments, timescale: track.timescale))
    writer.literal("\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n")
    if segmentsAreIndependent { writer.literal("#EXT-X-INDEPENDENT-SEGMENTS\n") }
    writer.literal("#EXT-X-MAP:URI=\"")
    writer.raw(prefix)
    writer.literal("init.mp4")
    writer.raw(suffix)
    writer.literal("\"\n")
    for (number, segment) in segments.enumerated() {
      writer.literal("#EXTINF:")
      writer.millionths(
        ExactDuration.microseconds(
          startTicks: segment.startTicks, durationTicks: segment.durationTicks, timescale: track.timescale))
      writer.literal(",\n")
      writer.raw(prefix)
      writer.literal("segment_")
      writer.decimal(UInt64(number), minimumDigits: 4)
      writer.literal(".m4s")
      writer.raw(suffix)
      writer.literal("\n")
    }
    writer.literal("#EXT-X-ENDLIST\n")
    return writer.bytes
  }

  /// The smallest `EXT-X-TARGETDURATION` that holds for `segments`: the longest, rounded to whole seconds, at
  /// least 1.
  public static func targetDurationSeconds(segments: [Segment], timescale: UInt32) -> UInt64 {
    var longestMicroseconds: UInt64 = 0
    for segment in segments {
      longestMicroseconds = max(
        longestMicroseconds,
        ExactDuration.microseconds(
          startTicks: segment.startTicks, durationTicks: segment.durationTicks, timescale: timescale))
    }
    return max(1, ExactDuration.scaled(longestMicroseconds, by: 1, over: 1_000_000, rounding: .nearest))
  }
}

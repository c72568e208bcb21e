/// Makes HLS media playlists for WebVTT segments (RFC 8216bis §4.4).
///
/// The same as `MediaPlaylist` but for what text does without: there is no init segment, and version 3 is enough for
/// durations with decimals. Durations are those of the leading track, rounded alike, so the segments of all
/// renditions of a presentation line up to the microsecond.
public enum SubtitlePlaylist {
  /// The media playlist of one rendition, with the children `segment_0000.vtt` and so on.
  ///
  /// - Parameters:
  ///   - segments: those of the leading track, the ones that `SubtitleSegments` was given.
  ///   - timescale: ticks per second of that track.
  ///   - targetDurationSeconds: `Presentation.targetDurationSeconds`, so that all renditions state the same.
  ///   - uriPrefix: put in front of every child, or empty.
  ///   - uriSuffix: put behind every child, such as a query with its question mark, `ManifestTemplate.suffix`, or empty.
  /// - Complexity: linear in the segments.
  public static func bytes(
    segments: [Segment], timescale: UInt32, targetDurationSeconds: UInt64, uriPrefix: String = "",
    uriSuffix: String = ""
  ) -> [UInt8] {
    let prefix = URIText.reference(uriPrefix)
    let suffix = URIText.suffix(uriSuffix)
    var writer = TextWriter(capacityBytes: 160 + segments.count * (40 + prefix.count + suffix.count))
    writer.literal("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:")
    writer.decimal(targetDurationSeconds)
    writer.literal("\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n")
    var number: UInt64 = 0
    for segment in segments {
      writer.literal("#EXTINF:")
      writer.millionths(
        ExactDuration.microseconds(
          startTicks: segment.startTicks, durationTicks: segment.durationTicks, timescale: timescale))
      writer.literal(",\n")
      writer.raw(prefix)
      writer.literal("segment_")
      writer.decimal(number, minimumDigits: 4)
      writer.literal(".vtt")
      writer.raw(suffix)
      writer.literal("\n")
      number += 1
    }
    writer.literal("#EXT-X-ENDLIST\n")
    return writer.bytes
  }
}

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
// By byte ranges, all segments are parts of one file, which stands beside the folder of the rendition:
//
//     #EXT-X-MAP:URI="../source.cmfv",BYTERANGE="784@0"
//     #EXTINF:6.006000,
//     #EXT-X-BYTERANGE:1502544@15248
//     ../source.cmfv
//
// As transport streams there is no EXT-X-MAP and segments are `segment_0000.ts`.
//
// Keys of encrypted media stand in front of EXT-X-MAP, so that they hold for the map and for all segments.
//
// EXT-X-MAP outside of I-frame playlists needs version 6; 7 is what players of fragmented MP4 are tested
// with. Without it, decimals in EXTINF need version 3. Durations are rounded by `ExactDuration`, so their sum does not
// drift from the media.

/// Makes HLS media playlists.
public enum MediaPlaylist {
  /// The media playlist of one rendition.
  ///
  /// - Parameters:
  ///   - uriPrefix: put in front of every child, such as `../g/0123456789ab/source/`, or empty. Bytes that
  ///     no URI may hold are percent-encoded. It names the folder of the rendition in every form.
  ///   - uriSuffix: put behind every child, such as a query with its question mark, `ManifestTemplate.suffix`, or empty.
  ///   - targetDurationSeconds: `Presentation.targetDurationSeconds`, so that all renditions state
  ///     the same; `nil` takes it from `segments` alone.
  ///   - segmentsAreIndependent: whether every segment starts with a sync sample.
  ///   - name: the word of the rendition in the URL; only byte ranges name it.
  ///   - keys: of all segments, the same content key for several players; none for clear media.
  /// - Complexity: linear in the segments; one allocation but for the two encoded affixes.
  public static func bytes(
    track: Track, segments: [Segment], uriPrefix: String, uriSuffix: String = "",
    targetDurationSeconds: UInt64? = nil, segmentsAreIndependent: Bool = true,
    form: DeliveryForm = .fragments, name: String = "", keys: [HLSKey] = []
  ) -> [UInt8] {
    let prefix = URIText.reference(uriPrefix)
    let suffix = URIText.suffix(uriSuffix)
    var lines = SegmentLines(
      stem: "segment_", fileExtension: form == .transport ? ".ts" : ".m4s", prefix: prefix, suffix: suffix,
      timescale: track.timescale)
    var writer = TextWriter(
      capacityBytes: 256 + prefix.count + suffix.count + segments.count * (lines.bytes.count + 2))
    writer.literal(form == .transport ? "#EXTM3U\n#EXT-X-VERSION:3\n" : "#EXTM3U\n#EXT-X-VERSION:7\n")
    writer.literal("#EXT-X-TARGETDURATION:")
    writer.decimal(
      targetDurationSeconds ?? self.targetDurationSeconds(segments: segments, timescale: track.timescale))
    writer.literal("\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n")
    if segmentsAreIndependent { writer.literal("#EXT-X-INDEPENDENT-SEGMENTS\n") }
    for key in keys { writer.raw(key.line) }
    if form == .byteRanges {
      let file = CMAFFile(
        track: track, segments: segments, firstDecodeTicks: segments.first?.decodeTicks ?? 0)
      let uri =
        prefix + Array("../".utf8) + URIText.pathSegment(name)
        + CMAFFile.fileExtension(track).withUTF8Buffer { Array($0) } + suffix
      ranges(of: file, segments: segments, timescale: track.timescale, uri: uri, into: &writer)
    } else {
      if form == .fragments { map(prefix: prefix, suffix: suffix, into: &writer) }
      var number: UInt64 = 0
      for segment in segments {
        lines.set(startTicks: segment.startTicks, durationTicks: segment.durationTicks, number: number)
        writer.raw(lines.bytes)
        number += 1
      }
    }
    writer.literal("#EXT-X-ENDLIST\n")
    return writer.bytes
  }

  /// The init segment of fragments, which is a resource of its own.
  static func map(prefix: [UInt8], suffix: [UInt8], into writer: inout TextWriter) {
    writer.literal("#EXT-X-MAP:URI=\"")
    writer.raw(prefix)
    writer.literal("init.mp4")
    writer.raw(suffix)
    writer.literal("\"\n")
  }

  /// Every range states its offset: that it may go unsaid where segments touch is a rule players get wrong.
  private static func ranges(
    of file: CMAFFile, segments: [Segment], timescale: UInt32, uri: [UInt8], into writer: inout TextWriter
  ) {
    writer.literal("#EXT-X-MAP:URI=\"")
    writer.raw(uri)
    writer.literal("\",BYTERANGE=\"")
    writer.decimal(UInt64(file.initRange.count))
    writer.literal("@0\"\n")
    let end = [0x0A] + uri + [0x0A]
    var instants = RoundedInstants(timescale: timescale)
    for (number, segment) in segments.enumerated() {
      let range = file.range(ofSegment: number)
      writer.literal("#EXTINF:")
      writer.millionths(
        instants.microseconds(startTicks: segment.startTicks, durationTicks: segment.durationTicks))
      writer.literal(",\n#EXT-X-BYTERANGE:")
      writer.decimal(range.count)
      writer.literal("@")
      writer.decimal(range.offset)
      writer.raw(end)
    }
  }

  /// The smallest `EXT-X-TARGETDURATION` that holds for `segments`: the longest, rounded to whole seconds, at
  /// least 1.
  public static func targetDurationSeconds(segments: [Segment], timescale: UInt32) -> UInt64 {
    var instants = RoundedInstants(timescale: timescale)
    var longestMicroseconds: UInt64 = 0
    for segment in segments {
      longestMicroseconds = max(
        longestMicroseconds,
        instants.microseconds(startTicks: segment.startTicks, durationTicks: segment.durationTicks))
    }
    return max(1, ExactDuration.scaled(longestMicroseconds, by: 1, over: 1_000_000, rounding: .nearest))
  }
}

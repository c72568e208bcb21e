// The I-frame playlist of a video rendition, after RFC 8216bis §4.4.3.6: what a player shows while a viewer moves
// through the film.
//
//     #EXTM3U
//     #EXT-X-VERSION:7
//     #EXT-X-TARGETDURATION:6
//     #EXT-X-MEDIA-SEQUENCE:0
//     #EXT-X-PLAYLIST-TYPE:VOD
//     #EXT-X-I-FRAMES-ONLY
//     #EXT-X-MAP:URI="init.mp4"
//     #EXTINF:2.002000,
//     iframe_0000.m4s
//     …
//     #EXT-X-ENDLIST
//
// Every entry lasts until the next key frame. A picture is a resource of its own and not a range of its media segment:
// the head of a segment states all of its samples, so a range that ends behind the first picture promises more than
// it has.
//
// As transport streams the entries are `iframe_0000.ts`, each with its own tables, and need no EXT-X-MAP.

/// Makes HLS I-frame playlists.
public enum IFramePlaylist {
  /// The I-frame playlist of one video rendition.
  ///
  /// - Parameters:
  ///   - form: byte ranges have the same I-frame playlist as fragments.
  ///   - uriPrefix: put in front of every child, such as `../g/0123456789ab/source/`, or empty.
  ///   - uriSuffix: put behind every child, such as a query with its question mark, `ManifestTemplate.suffix`, or empty.
  ///   - targetDurationSeconds: `Presentation.targetDurationSeconds`; raised where a key frame lasts longer.
  ///   - keys: see `MediaPlaylist.bytes`.
  /// - Complexity: linear in the key frames; one allocation but for the two encoded affixes.
  public static func bytes(
    track: Track, keyFrames: [KeyFrame], form: DeliveryForm = .fragments, uriPrefix: String,
    uriSuffix: String = "", targetDurationSeconds: UInt64, keys: [HLSKey] = []
  ) -> [UInt8] {
    let prefix = URIText.reference(uriPrefix)
    let suffix = URIText.suffix(uriSuffix)
    let isTransport = form == .transport
    var lines = SegmentLines(
      stem: "iframe_", fileExtension: isTransport ? ".ts" : ".m4s", prefix: prefix, suffix: suffix,
      timescale: track.timescale)
    var writer = TextWriter(
      capacityBytes: 256 + prefix.count + suffix.count + keyFrames.count * (lines.bytes.count + 2))
    // EXT-X-I-FRAMES-ONLY needs version 4, with EXT-X-MAP 5; 7 is what the media playlist states.
    writer.literal(isTransport ? "#EXTM3U\n#EXT-X-VERSION:4\n" : "#EXTM3U\n#EXT-X-VERSION:7\n")
    writer.literal("#EXT-X-TARGETDURATION:")
    writer.decimal(
      max(
        targetDurationSeconds,
        self.targetDurationSeconds(keyFrames: keyFrames, timescale: track.timescale)))
    writer.literal("\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-I-FRAMES-ONLY\n")
    for key in keys { writer.raw(key.line) }
    if !isTransport { MediaPlaylist.map(prefix: prefix, suffix: suffix, into: &writer) }
    var number: UInt64 = 0
    for frame in keyFrames {
      lines.set(startTicks: frame.startTicks, durationTicks: frame.durationTicks, number: number)
      writer.raw(lines.bytes)
      number += 1
    }
    writer.literal("#EXT-X-ENDLIST\n")
    return writer.bytes
  }

  /// An `EXT-X-TARGETDURATION` that holds for `keyFrames`; 1 without any.
  static func targetDurationSeconds(keyFrames: [KeyFrame], timescale: UInt32) -> UInt64 {
    let longestTicks = keyFrames.reduce(UInt64(0)) { max($0, $1.durationTicks) }
    // An entry is the difference of two rounded instants: the exact length, rounded up at the most.
    let longestMicroseconds = ExactDuration.scaled(
      longestTicks, by: 1_000_000, over: UInt64(timescale), rounding: .up)
    return max(1, ExactDuration.scaled(longestMicroseconds, by: 1, over: 1_000_000, rounding: .nearest))
  }
}

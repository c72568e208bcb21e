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
    var lines = SegmentLines(prefix: prefix, suffix: suffix)
    var writer = TextWriter(
      capacityBytes: 256 + prefix.count + suffix.count + segments.count * (lines.bytes.count + 2))
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
    var number: UInt64 = 0
    for segment in segments {
      lines.set(
        microseconds: ExactDuration.microseconds(
          startTicks: segment.startTicks, durationTicks: segment.durationTicks, timescale: track.timescale),
        number: number)
      writer.raw(lines.bytes)
      number += 1
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

/// The two lines of a segment, of which only the digits change from one to the next: they are set in place,
/// and the rest is made anew only when a number grows longer. That halves the instructions of a
/// playlist of two hours.
private struct SegmentLines {
  private let prefix: [UInt8]
  private let suffix: [UInt8]
  private(set) var bytes: [UInt8] = []
  private var secondDigits = 0
  private var numberDigits = 0
  /// Where the digits end: of whole seconds, of their fraction, and of the segment number.
  private var secondEnd = 0
  private var fractionEnd = 0
  private var numberEnd = 0

  init(prefix: [UInt8], suffix: [UInt8]) {
    self.prefix = prefix
    self.suffix = suffix
    layOut(secondDigits: 1, numberDigits: 4)
  }

  mutating func set(microseconds: UInt64, number: UInt64) {
    let (seconds, fraction) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    let neededSecondDigits = Self.digitCount(seconds)
    let neededNumberDigits = max(4, Self.digitCount(number))
    if neededSecondDigits != secondDigits || neededNumberDigits != numberDigits {
      layOut(secondDigits: neededSecondDigits, numberDigits: neededNumberDigits)
    }
    setDigits(seconds, count: secondDigits, end: secondEnd)
    setDigits(fraction, count: 6, end: fractionEnd)
    setDigits(number, count: numberDigits, end: numberEnd)
  }

  private mutating func layOut(secondDigits: Int, numberDigits: Int) {
    self.secondDigits = secondDigits
    self.numberDigits = numberDigits
    var writer = TextWriter(capacityBytes: 64 + prefix.count + suffix.count)
    writer.literal("#EXTINF:")
    writer.decimal(0, minimumDigits: secondDigits)
    secondEnd = writer.bytes.count
    writer.literal(".000000")
    fractionEnd = writer.bytes.count
    writer.literal(",\n")
    writer.raw(prefix)
    writer.literal("segment_")
    writer.decimal(0, minimumDigits: numberDigits)
    numberEnd = writer.bytes.count
    writer.literal(".m4s")
    writer.raw(suffix)
    writer.literal("\n")
    bytes = writer.bytes
  }

  private mutating func setDigits(_ value: UInt64, count: Int, end: Int) {
    var digits = bytes.mutableSpan
    var rest = value
    var index = end
    while index > end - count {
      index -= 1
      digits[index] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
  }

  private static func digitCount(_ value: UInt64) -> Int {
    var count = 1
    var rest = value / 10
    while rest > 0 {
      count += 1
      rest /= 10
    }
    return count
  }
}

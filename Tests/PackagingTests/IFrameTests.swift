import Packaging
import Testing

@Suite struct IFrameTests {
  static func text(
    _ frames: [KeyFrame], form: DeliveryForm = .fragments, prefix: String = "", suffix: String = "",
    target: UInt64 = 6
  ) -> String {
    String(
      decoding: IFramePlaylist.bytes(
        track: WriterFixture.video(), keyFrames: frames, form: form, uriPrefix: prefix, uriSuffix: suffix,
        targetDurationSeconds: target), as: UTF8.self)
  }

  @Test func isThisText() {
    #expect(
      Self.text(
        MultivariantFormTests.keyFrames([180_180, 97_597]), prefix: "../g/01/source/", suffix: "?sig=a&b")
          == """
          #EXTM3U
          #EXT-X-VERSION:7
          #EXT-X-TARGETDURATION:6
          #EXT-X-MEDIA-SEQUENCE:0
          #EXT-X-PLAYLIST-TYPE:VOD
          #EXT-X-I-FRAMES-ONLY
          #EXT-X-MAP:URI="../g/01/source/init.mp4?sig=a&b"
          #EXTINF:2.002000,
          ../g/01/source/iframe_0000.m4s?sig=a&b
          #EXTINF:1.084411,
          ../g/01/source/iframe_0001.m4s?sig=a&b
          #EXT-X-ENDLIST

          """)
    #expect(Self.text([], form: .byteRanges) == Self.text([]))
  }

  @Test func isThisTextAsTransportStreams() {
    #expect(
      Self.text(MultivariantFormTests.keyFrames([180_180]), form: .transport) == """
        #EXTM3U
        #EXT-X-VERSION:4
        #EXT-X-TARGETDURATION:6
        #EXT-X-MEDIA-SEQUENCE:0
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXT-X-I-FRAMES-ONLY
        #EXTINF:2.002000,
        iframe_0000.ts
        #EXT-X-ENDLIST

        """)
  }

  /// RFC 8216bis §4.4.3.1: no entry, rounded, is longer than the target duration.
  @Test func noEntryIsLongerThanTheTargetDuration() throws {
    var random = WriterRandom(state: 0x1F4A)
    for _ in 0..<200 {
      let durations = (0..<20).map { _ in UInt64.random(in: 90_000...900_000, using: &random) }
      let text = Self.text(MultivariantFormTests.keyFrames(durations), target: 1)
      let printed = MediaPlaylistTests.durations(text)
      let tag = try #require(MultivariantPlaylistTests.lines(text, "#EXT-X-TARGETDURATION").first)
      let target = try #require(UInt64(tag.dropFirst(22)))
      #expect(printed.count == 20 && printed.allSatisfy { ($0 + 500_000) / 1_000_000 <= target })
      #expect(printed.contains { ($0 + 500_001) / 1_000_000 == target })
    }
  }

  @Test(arguments: [-3003, 0, 500, -1_000_000] as [Int64])
  func thePictureIsPresentedWhenTheListSays(shift: Int64) throws {
    var track = WriterFixture.video()
    track.presentationShiftTicks = shift
    for firstDecodeTicks: UInt64 in [0, 1000, 9_000_000] {
      let timing = FragmentTiming(track: track, firstDecodeTicks: firstDecodeTicks)
      for start: UInt64 in [0, 90_000, 1 << 40] {
        let frame = KeyFrame(
          sample: 7, startTicks: start, durationTicks: 180_180, offset: 777, sizeBytes: 4321)
        let segment = IFrameSegment.make(
          track: track, keyFrame: frame, number: 4, firstDecodeTicks: firstDecodeTicks)
        let fragment = try #require(ParsedFragment(segment.head))
        #expect(fragment.sequenceNumber == 5)
        #expect(
          fragment.rows == [
            ParsedFragment.Row(
              durationTicks: 180_180, sizeBytes: 4321, flags: 0x0200_0000, compositionOffsetTicks: 0)
          ])
        #expect(Int64(fragment.baseMediaDecodeTicks) - (timing.editMediaTicks ?? 0) == Int64(start))
        #expect(segment.slices == [BlobSlice(offset: 777, count: 4321)])
        #expect(segment.totalBytes == UInt64(segment.head.count) + 4321)
        // What bandwidths count for the boxes.
        #expect(segment.head.count == 132)
        #expect(fragment.dataOffset == segment.head.count)
      }
    }
  }

  @Test func survivesNumbersOutsideOfAllRanges() throws {
    var track = WriterFixture.video()
    track.presentationShiftTicks = .min
    let frame = KeyFrame(
      sample: .max, startTicks: .max, durationTicks: .max, offset: .max, sizeBytes: .max)
    for number in [-1, 0, Int.max] {
      let segment = IFrameSegment.make(track: track, keyFrame: frame, number: number, firstDecodeTicks: .max)
      #expect(ParsedFragment(segment.head)?.rows.first?.durationTicks == .max)
    }
    #expect(MediaPlaylistTests.durations(Self.text([frame, frame])).count == 2)
  }
}

import Packaging
import Testing

@Suite struct MediaPlaylistTests {
  static func text(
    _ track: Track, _ segments: [Segment], prefix: String = "", suffix: String = "",
    target: UInt64? = nil, independent: Bool = true
  ) -> String {
    String(
      decoding: MediaPlaylist.bytes(
        track: track, segments: segments, uriPrefix: prefix, uriSuffix: suffix,
        targetDurationSeconds: target, segmentsAreIndependent: independent), as: UTF8.self)
  }

  /// The durations of a playlist in microseconds, read back from its text.
  static func durations(_ text: String) -> [UInt64] {
    text.split(separator: "\n").filter { $0.hasPrefix("#EXTINF:") }.map { line in
      UInt64(line.dropFirst(8).filter { $0 != "." && $0 != "," }) ?? .max
    }
  }

  @Test func isThisText() {
    let segments = WriterFixture.segments([540_540, 540_540, 200_002])
    #expect(
      Self.text(WriterFixture.video(), segments, prefix: "../g/0123456789ab/source/") == """
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-TARGETDURATION:6
        #EXT-X-MEDIA-SEQUENCE:0
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-MAP:URI="../g/0123456789ab/source/init.mp4"
        #EXTINF:6.006000,
        ../g/0123456789ab/source/segment_0000.m4s
        #EXTINF:6.006000,
        ../g/0123456789ab/source/segment_0001.m4s
        #EXTINF:2.222244,
        ../g/0123456789ab/source/segment_0002.m4s
        #EXT-X-ENDLIST

        """)
  }

  @Test func isThisTextWithoutPrefixAndWithSuffix() {
    let text = Self.text(
      WriterFixture.audio(), WriterFixture.segments([48000]), suffix: "?expires=1&kid=k&sig=a-_", target: 9,
      independent: false)
    #expect(
      text == """
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-TARGETDURATION:9
        #EXT-X-MEDIA-SEQUENCE:0
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXT-X-MAP:URI="init.mp4?expires=1&kid=k&sig=a-_"
        #EXTINF:1.000000,
        segment_0000.m4s?expires=1&kid=k&sig=a-_
        #EXT-X-ENDLIST

        """)
  }

  // `sidx` has 40 bytes, and 12 for each segment.
  @Test func isThisTextByByteRanges() throws {
    let segments = WriterFixture.segments([540_540, 540_540, 200_002], bytes: [1_000_000, 99_000, 848])
    let text = String(
      decoding: MediaPlaylist.bytes(
        track: WriterFixture.video(), segments: segments, uriPrefix: "../g/01/a b/", uriSuffix: "?x=1",
        form: .byteRanges, name: "a b"), as: UTF8.self)
    let initBytes = InitSegment.bytes(for: WriterFixture.video()).count
    let first = initBytes + 40 + 36
    #expect(
      text == """
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-TARGETDURATION:6
        #EXT-X-MEDIA-SEQUENCE:0
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-MAP:URI="../g/01/a%20b/../a%20b.cmfv?x=1",BYTERANGE="\(initBytes)@0"
        #EXTINF:6.006000,
        #EXT-X-BYTERANGE:1000152@\(first)
        ../g/01/a%20b/../a%20b.cmfv?x=1
        #EXTINF:6.006000,
        #EXT-X-BYTERANGE:99152@\(first + 1_000_152)
        ../g/01/a%20b/../a%20b.cmfv?x=1
        #EXTINF:2.222244,
        #EXT-X-BYTERANGE:1000@\(first + 1_099_304)
        ../g/01/a%20b/../a%20b.cmfv?x=1
        #EXT-X-ENDLIST

        """)
  }

  @Test func isThisTextAsTransportStreams() {
    let text = String(
      decoding: MediaPlaylist.bytes(
        track: WriterFixture.video(), segments: WriterFixture.segments([540_540, 90_000]), uriPrefix: "",
        form: .transport, name: "v"), as: UTF8.self)
    #expect(
      text == """
        #EXTM3U
        #EXT-X-VERSION:3
        #EXT-X-TARGETDURATION:6
        #EXT-X-MEDIA-SEQUENCE:0
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXTINF:6.006000,
        segment_0000.ts
        #EXTINF:1.000000,
        segment_0001.ts
        #EXT-X-ENDLIST

        """)
  }

  @Test func numbersGrowPastFourDigits() {
    let text = Self.text(
      WriterFixture.video(), WriterFixture.segments([UInt64](repeating: 90000, count: 10002)))
    #expect(text.contains("\nsegment_0999.m4s\n"))
    #expect(text.contains("\nsegment_9999.m4s\n#EXTINF:1.000000,\nsegment_10000.m4s\n"))
    #expect(text.hasSuffix("\nsegment_10001.m4s\n#EXT-X-ENDLIST\n"))
  }

  @Test(arguments: [
    "a\nb", "a\r\n#EXT-X-KEY", "a\"b", "a b", "{$x}", "#x", "\u{0}\u{7F}", "é/", "<>\\^`|",
  ])
  func hostilePrefixesStayInsideTheirLine(prefix: String) {
    let plain = Self.text(WriterFixture.video(), WriterFixture.segments([90000, 90000]))
    for text in [
      Self.text(WriterFixture.video(), WriterFixture.segments([90000, 90000]), prefix: prefix),
      Self.text(WriterFixture.video(), WriterFixture.segments([90000, 90000]), suffix: prefix),
    ] {
      #expect(text.split(separator: "\n").count == plain.split(separator: "\n").count)
      #expect(text.utf8.allSatisfy { $0 == 0x0A || (0x20..<0x7F).contains($0) })
      #expect(text.utf8.count(where: { $0 == 0x22 }) == 2)
      let children = text.split(separator: "\n").filter { $0.contains("segment_") }
      #expect(children.allSatisfy { !$0.hasPrefix("#") && !$0.contains(" ") && !$0.contains("{") })
    }
  }

  static let timescales: [UInt32] = [
    1, 24, 600, 1000, 11025, 12800, 22050, 24000, 30000, 44100, 48000, 60000, 90000, 10_000_000, .max,
  ]

  @Test(arguments: timescales)
  func durationsAddUpToTheLengthAndNeverDrift(timescale: UInt32) throws {
    let seed = 0xD21F_7000 + UInt64(timescale)
    var random = WriterRandom(state: seed)
    for round in 0..<40 {
      let longest = max(1, UInt64(timescale) * 12)
      let steps: [UInt64] = [1001, 1024, longest, 6 * UInt64(timescale) + 1]
      let durations = (0..<300).map { _ -> UInt64 in
        round < steps.count ? steps[round] : UInt64.random(in: 1...longest, using: &random)
      }
      let start = round % 2 == 0 ? 0 : UInt64.random(in: 0...(1 << 34), using: &random)
      let segments = WriterFixture.segments(durations, startTicks: start)
      let printed = Self.durations(
        Self.text(WriterFixture.video(timescale: timescale), segments))
      try #require(printed.count == segments.count)
      var sum: UInt64 = 0
      var worst: Int128 = 0
      for (segment, microseconds) in zip(segments, printed) {
        sum += microseconds
        // |sum - exact| <= 1 µs, half at each end, compared in whole numbers of 128 bits.
        let exact = Int128(segment.startTicks + segment.durationTicks - start) * 1_000_000
        worst = max(worst, abs(Int128(sum) * Int128(timescale) - exact))
      }
      #expect(worst <= Int128(timescale), "seed \(seed), round \(round)")
      if start == 0 {
        let exact = UInt128(durations.reduce(0, +)) * 1_000_000
        let rounded = (2 * exact + UInt128(timescale)) / (2 * UInt128(timescale))
        #expect(UInt128(sum) == rounded, "seed \(seed), round \(round)")
      }
    }
  }

  static let targets: [([UInt64], UInt64)] = [
    ([], 1), ([100], 1), ([449], 1), ([1499], 1), ([1500], 2), ([6490], 6), ([6499], 6), ([6500], 7),
    ([6000, 6500, 100], 7), ([7_200_000], 7200),
  ]

  @Test(arguments: targets)
  func targetDurationIsTheLongestRounded(milliseconds: [UInt64], expected: UInt64) {
    let segments = WriterFixture.segments(milliseconds)
    #expect(MediaPlaylist.targetDurationSeconds(segments: segments, timescale: 1000) == expected)
  }

  @Test func survivesTimesOutsideOfAllRanges() {
    let segments = [
      Segment(
        firstSample: 0, sampleCount: 1, startTicks: .max - 5, durationTicks: 100, decodeTicks: 0,
        mediaBytes: .max),
      Segment(
        firstSample: 1, sampleCount: .max, startTicks: 0, durationTicks: .max, decodeTicks: .max,
        mediaBytes: .max),
    ]
    for timescale: UInt32 in [1, 90000, .max, 0] {
      let text = Self.text(WriterFixture.video(timescale: timescale), segments)
      #expect(Self.durations(text).count == 2)
    }
  }
}

import Packaging
import Testing

@Suite("Subtitle segments and playlists")
struct SubtitleSegmentsTests {
  /// Segments that touch, of so many ticks each.
  private func segments(_ durations: [UInt64], start: UInt64 = 0) -> [Segment] {
    var ticks = start
    return durations.map { duration in
      defer { ticks += duration }
      return Segment(
        firstSample: 0, sampleCount: 1, startTicks: ticks, durationTicks: duration, decodeTicks: ticks,
        mediaBytes: 1)
    }
  }

  private func document(_ cues: [(UInt64, UInt64, String)], blocks: [String] = []) throws -> SubtitleDocument
  {
    try SubtitleDocument(
      language: "en", name: "English", headerBlocks: blocks,
      cues: cues.compactMap { SubtitleCue(startMilliseconds: $0.0, endMilliseconds: $0.1, text: $0.2) })
  }

  private func texts(_ cut: SubtitleSegments) throws -> [[String]] {
    try (0..<cut.count).map { number in
      let bytes = try #require(cut.bytes(number))
      // A segment without a cue is no document.
      guard let parsed = try? SubtitleDocument.parse(bytes, format: .webVTT) else { return [] }
      return parsed.document.cues.map(\.text)
    }
  }

  @Test func cuesAreInEverySegmentThatTheyOverlap() throws {
    let cut = SubtitleSegments(
      try document([
        (0, 9000, "long"), (1000, 2000, "ends at the cut"), (2000, 2500, "starts at the cut"),
        (3999, 4001, "across"), (50_000, 51_000, "beyond"),
      ]),
      segments: segments([180_000, 180_000, 90_000, 90_000, 90_000, 540_000, 90_000]), timescale: 90_000)
    #expect(
      try texts(cut) == [
        ["long", "ends at the cut"], ["long", "starts at the cut", "across"], ["long", "across"], ["long"],
        ["long"],
        ["long"], ["beyond"],
      ])
    #expect(cut.bytes(-1) == nil)
    #expect(cut.bytes(7) == nil)
  }

  @Test func segmentZeroTakesWhatIsBeforeIt() throws {
    let cut = SubtitleSegments(
      try document([(0, 500, "early"), (10_500, 11_000, "in time")]),
      segments: segments([1000, 1000], start: 10_000),
      timescale: 1000)
    #expect(try texts(cut) == [["early", "in time"], []])
  }

  @Test func wholeSegments() throws {
    let document = try document(
      [(1000, 3000, "<i>x")], blocks: ["STYLE\n::cue { color: red }"])
    let plain = SubtitleSegments(document, segments: segments([2000, 2000, 2000]), timescale: 1000)
    let head = "STYLE\n::cue { color: red }\n\n"
    let cue = "00:00:01.000 --> 00:00:03.000\n<i>x</i>\n\n"
    let wanted = ["WEBVTT\n\n" + head + cue, "WEBVTT\n\n" + head + cue, "WEBVTT\n\n" + head]
    #expect((0..<3).map { plain.bytes($0).map { String(decoding: $0, as: UTF8.self) } } == wanted)
    let mapped = SubtitleSegments(
      document, segments: segments([2000]), timescale: 1000, mediaTimeTicks: 900_000)
    let text = try #require(mapped.bytes(0).map { String(decoding: $0, as: UTF8.self) })
    #expect(text.hasPrefix("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\nSTYLE\n"))
  }

  /// The search against one that looks at everything.
  @Test func searchFindsWhatOverlaps() throws {
    for seed in 0..<UInt64(200) {
      var random = ReaderRandom(seed: seed)
      let cues = (0..<Int.random(in: 1...40, using: &random)).map { number -> (UInt64, UInt64, String) in
        let start = UInt64.random(in: 0..<20_000, using: &random)
        let longest: UInt64 = Bool.random(using: &random) ? 500 : 15_000
        return (start, start + UInt64.random(in: 1...longest, using: &random), "cue \(number)")
      }
      let document = try document(cues)
      let durations = (0..<Int.random(in: 1...10, using: &random)).map { _ in
        UInt64.random(in: 1...4000, using: &random)
      }
      let parts = segments(durations)
      let found = try texts(SubtitleSegments(document, segments: parts, timescale: 1000))
      for (number, part) in parts.enumerated() {
        let end = number == parts.count - 1 ? .max : part.startTicks + part.durationTicks
        let wanted = document.cues.filter {
          $0.startMilliseconds < end && $0.endMilliseconds > part.startTicks
        }
        #expect(found[number] == wanted.map(\.text))
      }
    }
  }

  @Test func playlist() {
    let parts = segments([180_180, 180_180, 90_000])
    let text = String(
      decoding: SubtitlePlaylist.bytes(
        segments: parts, timescale: 30_000, targetDurationSeconds: 6, uriPrefix: "ts/", uriSuffix: "?t=a b"),
      as: UTF8.self)
    #expect(
      text == """
        #EXTM3U
        #EXT-X-VERSION:3
        #EXT-X-TARGETDURATION:6
        #EXT-X-MEDIA-SEQUENCE:0
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXTINF:6.006000,
        ts/segment_0000.vtt?t=a%20b
        #EXTINF:6.006000,
        ts/segment_0001.vtt?t=a%20b
        #EXTINF:3.000000,
        ts/segment_0002.vtt?t=a%20b
        #EXT-X-ENDLIST

        """)
  }

  /// The durations are those that the leading track's own playlist states.
  @Test func durationsEqualTheLeadingTracks() {
    let parts = segments([300_001, 299_999, 287_744, 287_745], start: 77)
    let track = Track(
      id: 1, kind: .audio, codec: .aac, sampleEntry: [], codecString: "mp4a.40.2", timescale: 44_100)
    func durations(_ bytes: [UInt8]) -> [Substring] {
      String(decoding: bytes, as: UTF8.self).split(separator: "\n").filter { $0.hasPrefix("#EXTINF") }
    }
    let leading = durations(MediaPlaylist.bytes(track: track, segments: parts, uriPrefix: ""))
    let subtitles = durations(
      SubtitlePlaylist.bytes(segments: parts, timescale: 44_100, targetDurationSeconds: 7))
    #expect(subtitles == leading && subtitles.count == 4)
  }

  // MARK: Manifests

  @Test(arguments: [
    ("English (SDH)", true), ("cc", true), ("Deutsch [CC]", true), ("English for the Hearing-Impaired", true),
    ("Accent", false), ("Hearing", false), ("impaired hearing", false), ("SDHX", false), ("", false),
  ])
  func labelsThatPromiseSounds(label: String, wanted: Bool) {
    let subtitle = PresentationSubtitle(name: "s", language: "en", label: label)
    #expect(subtitle.describesSounds == wanted)
    var presentation = Presentation(
      renditions: [
        PresentationRendition(
          name: "a", track: WriterFixture.video(), segments: WriterFixture.segments([6000]))
      ], durationMilliseconds: 6000)
    presentation.subtitles = [subtitle]
    let playlist = MultivariantPlaylist.bytes(presentation, uriPrefix: "")
    #expect(String(decoding: playlist, as: UTF8.self).contains("CHARACTERISTICS=") == wanted)
    let mpd = String(decoding: MPD.bytes(presentation, baseURL: nil), as: UTF8.self)
    #expect(mpd.contains("value=\"caption\"") == wanted)
  }
}

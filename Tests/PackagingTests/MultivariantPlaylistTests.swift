import Packaging
import Testing

@Suite struct MultivariantPlaylistTests {
  static func text(_ renditions: [PresentationRendition], prefix: String = "", suffix: String = "") -> String
  {
    String(
      decoding: MultivariantPlaylist.bytes(
        Presentation(renditions: renditions, durationMilliseconds: 10000), uriPrefix: prefix,
        uriSuffix: suffix),
      as: UTF8.self)
  }

  static func video(_ name: String, width: UInt16 = 1280, height: UInt16 = 720, bytes: UInt64 = 1_500_000)
    -> PresentationRendition
  {
    PresentationRendition(
      name: name, track: WriterFixture.video(width: width, height: height),
      segments: WriterFixture.segments([540_000, 360_000], bytes: [bytes, bytes / 2], samples: 150))
  }

  static func audio(
    _ name: String, language: String = "und", codec: String = "mp4a.40.2", channels: UInt16 = 2,
    bytes: UInt64 = 96000
  ) -> PresentationRendition {
    var track = WriterFixture.audio(language: language)
    track.codecString = codec
    track.channelCount = channels
    return PresentationRendition(
      name: name, track: track,
      segments: WriterFixture.segments([288_000, 192_000], bytes: [bytes, bytes * 2 / 3], samples: 200))
  }

  static func lines(_ text: String, _ tag: String) -> [Substring] {
    text.split(separator: "\n").filter { $0.hasPrefix(tag) }
  }

  /// The unquoted value of an attribute whose values hold no comma.
  static func attribute(_ name: String, of line: Substring) -> String? {
    for part in line.split(separator: ",") {
      let field = part.split(separator: ":", maxSplits: 1).last ?? part
      if field.hasPrefix(name + "=") { return field.dropFirst(name.count + 1).filter { $0 != "\"" } }
      if part.hasPrefix(name + "=") { return part.dropFirst(name.count + 1).filter { $0 != "\"" } }
    }
    return nil
  }

  // 720p: first segment (1,500,000 + 144 + 16 × 150) × 8 / 6 s = 2,003,392, the second less; average
  // (12,020,352 + 6,020,352) / 10 s, up, = 1,804,071. 360p likewise 603,392 and 544,071. Sound: the second
  // segment (64,000 + 144 + 8 × 200) × 8 / 4 s = 131,488; average (781,952 + 525,952) / 10 s = 130,791.
  @Test func isThisText() {
    let text = Self.text(
      [
        Self.video("720p"), Self.video("360p", width: 640, height: 360, bytes: 450_000),
        Self.audio("audio", language: "en"), Self.audio("audio_de", language: "de"),
      ], prefix: "g/0123456789ab/")
    #expect(
      text == """
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-mp4a.40.2-2",NAME="en",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,\
        CHANNELS="2",URI="g/0123456789ab/audio/playlist.m3u8"
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-mp4a.40.2-2",NAME="de",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,\
        CHANNELS="2",URI="g/0123456789ab/audio_de/playlist.m3u8"
        #EXT-X-STREAM-INF:BANDWIDTH=2128507,AVERAGE-BANDWIDTH=1928488,CODECS="avc1.64001f,mp4a.40.2",\
        RESOLUTION=1280x720,FRAME-RATE=30.000,VIDEO-RANGE=SDR,AUDIO="audio-mp4a.40.2-2",CLOSED-CAPTIONS=NONE
        g/0123456789ab/720p/playlist.m3u8
        #EXT-X-STREAM-INF:BANDWIDTH=728507,AVERAGE-BANDWIDTH=668488,CODECS="avc1.64001f,mp4a.40.2",\
        RESOLUTION=640x360,FRAME-RATE=30.000,VIDEO-RANGE=SDR,AUDIO="audio-mp4a.40.2-2",CLOSED-CAPTIONS=NONE
        g/0123456789ab/360p/playlist.m3u8

        """)
  }

  @Test func pictureWithoutSoundNamesNoGroup() {
    let text = Self.text([Self.video("source")], suffix: "?sig=x")
    #expect(Self.lines(text, "#EXT-X-MEDIA").isEmpty)
    #expect(!text.contains("AUDIO="))
    #expect(text.hasSuffix(",VIDEO-RANGE=SDR,CLOSED-CAPTIONS=NONE\nsource/playlist.m3u8?sig=x\n"))
  }

  @Test func soundAloneIsTheVariant() {
    let text = Self.text([Self.audio("source", language: "en")])
    #expect(
      text == """
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-STREAM-INF:BANDWIDTH=128304,AVERAGE-BANDWIDTH=128244,CODECS="mp4a.40.2"
        source/playlist.m3u8

        """)
  }

  @Test func severalSoundsAloneAreAGroup() {
    let text = Self.text([Self.audio("a", language: "en"), Self.audio("b", language: "de")])
    #expect(Self.lines(text, "#EXT-X-MEDIA").count == 2)
    #expect(Self.lines(text, "#EXT-X-STREAM-INF").count == 1)
    #expect(text.hasSuffix("CODECS=\"mp4a.40.2\",AUDIO=\"audio-mp4a.40.2-2\"\na/playlist.m3u8\n"))
    #expect(!text.contains("RESOLUTION"))
  }

  @Test func namesAreUniqueAndOneIsTheDefault() {
    let text = Self.text(
      [Self.video("v")]
        + ["und", "und", "en", "en", "en", "en 2"].enumerated().map {
          Self.audio("a\($0.offset)", language: $0.element)
        })
    let media = Self.lines(text, "#EXT-X-MEDIA")
    #expect(
      media.map { Self.attribute("NAME", of: $0) } == ["Audio", "Audio 2", "en", "en 2", "en 3", "Audio 3"])
    #expect(media.map { Self.attribute("DEFAULT", of: $0) } == ["YES", "NO", "NO", "NO", "NO", "NO"])
    // RFC 8216bis: of one language only one may be selected automatically.
    #expect(media.map { Self.attribute("AUTOSELECT", of: $0) } == ["YES", "NO", "YES", "NO", "NO", "NO"])
    #expect(
      media.map { Self.attribute("LANGUAGE", of: $0) } == [nil, nil, "en", "en", "en", nil])
  }

  @Test func groupsByCodecWhereAllGroupsHaveTheSameMembers() {
    let text = Self.text([
      Self.video("v"), Self.audio("lc_en", language: "en"), Self.audio("lc_de", language: "de"),
      Self.audio("he_en", language: "en", codec: "mp4a.40.5", bytes: 24000),
      Self.audio("he_de", language: "de", codec: "mp4a.40.5", bytes: 24000),
    ])
    let media = Self.lines(text, "#EXT-X-MEDIA")
    #expect(
      media.map { Self.attribute("GROUP-ID", of: $0) } == [
        "audio-mp4a.40.2-2", "audio-mp4a.40.2-2", "audio-mp4a.40.5-2", "audio-mp4a.40.5-2",
      ])
    #expect(media.map { Self.attribute("NAME", of: $0) } == ["en", "de", "en", "de"])
    #expect(media.map { Self.attribute("DEFAULT", of: $0) } == ["YES", "NO", "YES", "NO"])
    let variants = Self.lines(text, "#EXT-X-STREAM-INF")
    #expect(variants.map { Self.attribute("AUDIO", of: $0) } == ["audio-mp4a.40.2-2", "audio-mp4a.40.5-2"])
    #expect(variants.map { Self.attribute("BANDWIDTH", of: $0) } == ["2128507", "2032507"])
    #expect(text.contains("CODECS=\"avc1.64001f,mp4a.40.5\""))
  }

  @Test func keepsOneGroupWhereCodecsOfLanguagesDiffer() {
    let text = Self.text([
      Self.video("v"), Self.audio("en", language: "en"),
      Self.audio("de", language: "de", codec: "mp4a.40.5"),
    ])
    #expect(
      Self.lines(text, "#EXT-X-MEDIA").map { Self.attribute("GROUP-ID", of: $0) }
        == ["audio-mp4a.40.2-2", "audio-mp4a.40.2-2"])
    #expect(Self.lines(text, "#EXT-X-STREAM-INF").count == 1)
    #expect(text.contains("CODECS=\"avc1.64001f,mp4a.40.2,mp4a.40.5\""))
  }

  @Test(arguments: [
    (UInt16(1), "SDR"), (2, "SDR"), (6, "SDR"), (14, "SDR"), (16, "PQ"), (18, "HLG"), (0, "SDR"),
  ])
  func saysTheRangeOfBrightness(transfer: UInt16, range: String) {
    var rendition = Self.video("v")
    rendition.track.transferCharacteristics = transfer
    #expect(Self.text([rendition]).contains(",VIDEO-RANGE=\(range),"))
  }

  static let frameRates: [(UInt32, UInt32, UInt64, String)] = [
    (24000, 240, 240_240, "23.976"), (24, 240, 240, "24.000"), (12800, 250, 128_000, "25.000"),
    (30000, 300, 300_300, "29.970"), (90000, 300, 900_900, "29.970"), (1000, 300, 10010, "29.970"),
    (90000, 300, 900_000, "30.000"), (60000, 600, 600_600, "59.940"), (600, 100, 6000, "10.000"),
    (1000, 299, 30000, "9.967"), (1000, 250, 10004, "25.000"), (1000, 250, 10006, "24.985"),
    (1, .max, 1, "4294967295.000"),
  ]

  @Test(arguments: frameRates)
  func statesTheFrameRate(timescale: UInt32, samples: UInt32, duration: UInt64, expected: String) {
    var rendition = Self.video("v")
    rendition.track.timescale = timescale
    rendition.track.sampleCount = samples
    rendition.track.durationTicks = duration
    #expect(Self.text([rendition]).contains(",FRAME-RATE=\(expected),"))
  }

  @Test func countsTheTimeOfPicturesThatAreOnlyDecoded() {
    var rendition = Self.video("v")
    rendition.track.sampleCount = 330
    rendition.track.presentationStartTicks = -90000
    #expect(Self.text([rendition]).contains(",FRAME-RATE=30.000,"))
  }

  @Test func leavesOutWhatIsNotKnown() {
    var rendition = Self.video("v", width: 0, height: 0)
    rendition.track.sampleCount = 0
    let text = Self.text([rendition])
    #expect(!text.contains("RESOLUTION") && !text.contains("FRAME-RATE"))
    rendition.track.sampleCount = 3
    rendition.track.durationTicks = 0
    #expect(!Self.text([rendition]).contains("FRAME-RATE"))
  }

  @Test func isIndependentOnlyIfAllRenditionsAre() {
    var dependent = Self.video("b")
    dependent.segmentsAreIndependent = false
    #expect(!Self.text([Self.video("a"), dependent]).contains("INDEPENDENT"))
  }

  @Test func hostileNamesLanguagesAndCodecsStayInsideTheirQuotes() {
    let hostile = "x\"\r\n#EXT-X-KEY:METHOD=AES-128,URI=\"http://evil/\"{$v}/../\u{0}é"
    var video = Self.video(hostile)
    video.track.codecString = hostile
    let text = Self.text(
      [video, Self.audio(hostile, language: hostile, codec: hostile), Self.audio("b", language: hostile)],
      prefix: hostile, suffix: hostile)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 10)  // head 3, media 2, two variants of 2, and the end of the last line
    #expect(!lines.contains { $0.hasPrefix("#EXT-X-KEY") })
    #expect(!text.contains("{") && !text.contains("\r") && !text.contains("\0"))
    for line in lines where line.hasPrefix("#EXT-X-MEDIA") || line.hasPrefix("#EXT-X-STREAM-INF") {
      #expect(line.count { $0 == "\"" } % 2 == 0)
      // Outside of quotes only attribute names, enumerated strings and numbers are left.
      let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
      let outside = stride(from: 0, to: parts.count, by: 2).map { parts[$0] }.joined()
      #expect(
        outside.utf8.allSatisfy { (0x2B...0x5A).contains($0) || $0 == 0x23 || $0 == 0x78 }, "\(outside)")
    }
    #expect(!text.contains("LANGUAGE"))
  }
}

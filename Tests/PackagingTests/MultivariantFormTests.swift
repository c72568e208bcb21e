import Packaging
import Testing

/// What the multivariant playlist says in each form of delivery: groups, sound inside of transport streams, pictures
/// for trick play, subtitles.
@Suite struct MultivariantFormTests {
  typealias Base = MultivariantPlaylistTests

  static func text(_ presentation: Presentation, _ form: DeliveryForm = .fragments, prefix: String = "")
    -> String
  {
    String(
      decoding: MultivariantPlaylist.bytes(presentation, form: form, uriPrefix: prefix), as: UTF8.self)
  }

  static func text(_ renditions: [PresentationRendition], _ form: DeliveryForm = .fragments) -> String {
    text(Presentation(renditions: renditions, durationMilliseconds: 10000), form)
  }

  static func keyFrames(_ durationsTicks: [UInt64], sizeBytes: UInt32 = 10000) -> [KeyFrame] {
    var start: UInt64 = 0
    return durationsTicks.enumerated().map { index, duration in
      defer { start += duration }
      return KeyFrame(
        sample: UInt32(index) * 60, startTicks: start, durationTicks: duration, offset: UInt64(index) * 50000,
        sizeBytes: sizeBytes)
    }
  }

  static func audio(_ name: String, _ language: String, codec: String, channels: UInt16)
    -> PresentationRendition
  {
    var rendition = Base.audio(name, language: language, codec: codec, channels: channels)
    if codec == "ac-3" { rendition.track.codec = .ac3 }
    if codec == "opus" { rendition.track.codec = .opus }
    return rendition
  }

  static let film: [PresentationRendition] = {
    var video = Base.video("720p")
    video.keyFrames = keyFrames([360_000, 360_000, 180_000])
    var english = Base.audio("en", language: "en")
    english.label = "English"
    return [
      video, english, Base.audio("cs", language: "cs"), audio("en51", "en", codec: "ac-3", channels: 6),
    ]
  }()

  // I-frames: (10,000 + 132) × 8 bits every 4 s, the last after 2 s; a run of 6 s holds two, 27,019 bit/s. The whole:
  // 243,168 bits in 10 s. The 5.1 of the fixture is as large as its stereo.
  @Test func isThisTextInFragments() {
    let presentation = Presentation(
      renditions: Self.film,
      subtitles: [
        PresentationSubtitle(name: "sub-en", language: "en", label: "English"),
        PresentationSubtitle(name: "sub-en-forced", language: "en", label: "English", isForced: true),
        PresentationSubtitle(name: "sub-und", language: "und", label: ""),
      ], durationMilliseconds: 10000)
    #expect(
      Self.text(presentation, prefix: "g/01/") == """
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-mp4a.40.2-2",NAME="English",LANGUAGE="en",DEFAULT=YES,\
        AUTOSELECT=YES,CHANNELS="2",URI="g/01/en/playlist.m3u8"
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-mp4a.40.2-2",NAME="cs",LANGUAGE="cs",DEFAULT=NO,\
        AUTOSELECT=YES,CHANNELS="2",URI="g/01/cs/playlist.m3u8"
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-ac-3-6",NAME="English",LANGUAGE="en",DEFAULT=YES,\
        AUTOSELECT=YES,CHANNELS="6",URI="g/01/en51/playlist.m3u8"
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-ac-3-6",NAME="cs",LANGUAGE="cs",DEFAULT=NO,\
        AUTOSELECT=YES,CHANNELS="2",URI="g/01/cs/playlist.m3u8"
        #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subtitles",NAME="English",LANGUAGE="en",DEFAULT=NO,\
        AUTOSELECT=YES,FORCED=NO,URI="g/01/sub-en/playlist.m3u8"
        #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subtitles",NAME="English 2",LANGUAGE="en",DEFAULT=NO,\
        AUTOSELECT=YES,FORCED=YES,URI="g/01/sub-en-forced/playlist.m3u8"
        #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subtitles",NAME="Subtitles",DEFAULT=NO,\
        AUTOSELECT=YES,FORCED=NO,URI="g/01/sub-und/playlist.m3u8"
        #EXT-X-STREAM-INF:BANDWIDTH=2128507,AVERAGE-BANDWIDTH=1928488,CODECS="avc1.64001f,mp4a.40.2",\
        RESOLUTION=1280x720,FRAME-RATE=30.000,VIDEO-RANGE=SDR,AUDIO="audio-mp4a.40.2-2",SUBTITLES="subtitles",\
        CLOSED-CAPTIONS=NONE
        g/01/720p/playlist.m3u8
        #EXT-X-STREAM-INF:BANDWIDTH=2128507,AVERAGE-BANDWIDTH=1928488,CODECS="avc1.64001f,ac-3,mp4a.40.2",\
        RESOLUTION=1280x720,FRAME-RATE=30.000,VIDEO-RANGE=SDR,AUDIO="audio-ac-3-6",SUBTITLES="subtitles",\
        CLOSED-CAPTIONS=NONE
        g/01/720p/playlist.m3u8
        #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=27019,AVERAGE-BANDWIDTH=24317,CODECS="avc1.64001f",\
        RESOLUTION=1280x720,VIDEO-RANGE=SDR,URI="g/01/720p/iframes.m3u8"

        """)
  }

  @Test func byteRangesNameTheirOwnPlaylistsAndShareTheRest() {
    let presentation = Presentation(
      renditions: Self.film,
      subtitles: [PresentationSubtitle(name: "s", language: "en", label: "English")],
      durationMilliseconds: 10000)
    let expected = Self.text(presentation).split(separator: "\n").map { line in
      guard !line.contains("TYPE=SUBTITLES") else { return String(line) }
      return String(line.replacing("/playlist.m3u8", with: "/playlist_byterange.m3u8"))
    }
    #expect(Self.text(presentation, .byteRanges).split(separator: "\n").map(String.init) == expected)
    #expect(expected.contains { $0.hasSuffix("URI=\"720p/iframes.m3u8\"") })
    #expect(expected.contains { $0.hasSuffix("URI=\"s/playlist.m3u8\"") })
  }

  @Test func oneSoundTravelsInsideOfTheTransportStream() {
    let text = Self.text(Array(Self.film.prefix(2)), .transport)
    #expect(text.hasPrefix("#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-STREAM-INF:"))
    #expect(!text.contains("AUDIO=") && !text.contains("#EXT-X-MEDIA"))
    #expect(text.contains("CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION"))
    #expect(text.contains("\n720p/playlist_ts.m3u8\n"))
    #expect(text.hasSuffix(",URI=\"720p/iframes_ts.m3u8\"\n"))
  }

  @Test func ofSeveralSoundsTheFirstIsInTheVariantAndHasNoURI() {
    let text = Self.text(Self.film, .transport)
    let media = Base.lines(text, "#EXT-X-MEDIA")
    #expect(
      media.map { Base.attribute("URI", of: $0) } == [
        nil, "cs/playlist_ts.m3u8", "en51/playlist_ts.m3u8", "cs/playlist_ts.m3u8",
      ])
    #expect(media.map { Base.attribute("DEFAULT", of: $0) } == ["YES", "NO", "YES", "NO"])
    // The variant brings its AAC even to those who listen to AC-3.
    #expect(
      text.contains("CODECS=\"avc1.64001f,mp4a.40.2\",")
        && text.contains("CODECS=\"avc1.64001f,mp4a.40.2,ac-3\","))
    // Group 1: picture, English inside, the worst of what is beside. Group 2: the same, for no track is larger.
    let rates = Base.lines(text, "#EXT-X-STREAM-INF").compactMap {
      Base.attribute("BANDWIDTH", of: $0).flatMap { UInt64($0) }
    }
    #expect(rates.count == 2 && rates.allSatisfy { $0 > 2_128_507 + 131_488 })
  }

  @Test func transportStreamsLeaveOutWhatTheyCannotCarry() {
    var hevc = Base.video("hevc")
    (hevc.track.codec, hevc.track.codecString) = (.hevc, "hvc1.1.6.L93.B0")
    var av1 = Base.video("av1")
    (av1.track.codec, av1.track.codecString, av1.keyFrames) = (
      .av1, "av01.0.05M.08", Self.keyFrames([900_000])
    )
    let opus = Self.audio("opus", "en", codec: "opus", channels: 2)
    let renditions = [av1, hevc, opus, Base.audio("aac", language: "en")]
    let text = Self.text(renditions, .transport)
    #expect(!text.contains("av1/") && !text.contains("opus") && !text.contains("I-FRAME"))
    #expect(Base.lines(text, "#EXT-X-STREAM-INF").count == 1)
    #expect(text.contains("CODECS=\"hvc1.1.6.L93.B0,mp4a.40.2\""))
    let presentation = Presentation(renditions: [av1, opus], durationMilliseconds: 10000)
    #expect(presentation.renditions(in: .transport).isEmpty)
    #expect(presentation.renditions(in: .byteRanges).count == 2)
    #expect(Self.text([av1, opus], .transport) == "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-INDEPENDENT-SEGMENTS\n")
  }

  @Test func pictureThatIsCutElsewhereGetsItsSoundBesideIt() {
    var other = Base.video("other")
    other.segments = WriterFixture.segments([300_000, 600_000], samples: 150)
    let text = Self.text([Base.video("a"), other, Base.audio("en", language: "en")], .transport)
    let media = Base.lines(text, "#EXT-X-MEDIA")
    #expect(
      media.map { Base.attribute("GROUP-ID", of: $0) } == ["audio-mp4a.40.2-2", "audio-mp4a.40.2-2-way2"])
    #expect(media.map { Base.attribute("URI", of: $0) } == [nil, "en/playlist_ts.m3u8"])
    let variants = Base.lines(text, "#EXT-X-STREAM-INF")
    #expect(
      variants.map { Base.attribute("AUDIO", of: $0) } == ["audio-mp4a.40.2-2", "audio-mp4a.40.2-2-way2"])
  }

  @Test func soundAloneIsATransportStreamOfItsOwn() {
    let text = Self.text([Base.audio("a", language: "en"), Base.audio("b", language: "de")], .transport)
    #expect(Base.lines(text, "#EXT-X-MEDIA").allSatisfy { Base.attribute("URI", of: $0) != nil })
    #expect(text.hasSuffix("\na/playlist_ts.m3u8\n"))
  }

  @Test func namesThatAreOneInQuotesAreToldApart() {
    var sounds = ["en", "de", "fr", "cs"].map { Base.audio($0, language: $0) }
    for (index, label) in ["Say \"x\"", "Say 'x'", " ", "Say 'x'\n"].enumerated() {
      sounds[index].label = label
    }
    let names = Base.lines(Self.text([Base.video("v")] + sounds), "#EXT-X-MEDIA").map {
      Base.attribute("NAME", of: $0)
    }
    #expect(names == ["Say 'x'", "Say 'x' 2", "fr", "Say 'x' 3"])
  }

  @Test func onlyTheFirstSubtitleOfALanguageIsSelectedByItself() {
    let subtitles = [
      ("en", false), ("en", false), ("en", true), ("de", false), ("und", false), ("??", false),
    ]
    .enumerated().map {
      PresentationSubtitle(
        name: "s\($0.offset)", language: $0.element.0, label: "x", isForced: $0.element.1)
    }
    let text = Self.text(
      Presentation(renditions: [Base.video("v")], subtitles: subtitles, durationMilliseconds: 1), .transport)
    let media = Base.lines(text, "#EXT-X-MEDIA")
    #expect(media.map { Base.attribute("AUTOSELECT", of: $0) } == ["YES", "NO", "YES", "YES", "YES", "NO"])
    #expect(media.map { Base.attribute("NAME", of: $0) } == ["x", "x 2", "x 3", "x 4", "x 5", "x 6"])
    #expect(media.map { Base.attribute("LANGUAGE", of: $0) } == ["en", "en", "en", "de", nil, nil])
    #expect(media.allSatisfy { Base.attribute("URI", of: $0)?.hasSuffix("/playlist_ts.m3u8") == true })
  }

  /// Rules of RFC 8216bis §4.4.6, over presentations of all shapes.
  @Test func rulesHoldForAnyPresentation() throws {
    var random = WriterRandom(state: 0x6A0F)
    for round in 0..<90 {
      let presentation = Self.presentation(&random)
      let form = [DeliveryForm.fragments, .transport, .byteRanges][round % 3]
      let text = Self.text(presentation, form)
      let media = Base.lines(text, "#EXT-X-MEDIA")
      let variants = Base.lines(text, "#EXT-X-STREAM-INF")
      for type in ["AUDIO", "SUBTITLES"] {
        let typed = media.filter { Base.attribute("TYPE", of: $0) == type }
        let groups = Dictionary(grouping: typed) { Base.attribute("GROUP-ID", of: $0) }
        var members: [[String?]] = []
        for (identifier, lines) in groups {
          let names = lines.map { Base.attribute("NAME", of: $0) }
          #expect(Set(names).count == names.count, "\(text)")
          let defaults = lines.filter { Base.attribute("DEFAULT", of: $0) == "YES" }
          #expect(defaults.count == (type == "AUDIO" ? 1 : 0))
          #expect(defaults.allSatisfy { Base.attribute("AUTOSELECT", of: $0) == "YES" })
          let automatic = lines.filter { Base.attribute("AUTOSELECT", of: $0) == "YES" }.map {
            [Base.attribute("LANGUAGE", of: $0), Base.attribute("FORCED", of: $0)]
          }
          #expect(Set(automatic).count == automatic.count)
          #expect(variants.contains { Base.attribute(type, of: $0) == identifier })
          members.append(names)
        }
        // All groups of a type have the same members.
        #expect(Set(members).count <= 1, "\(text)")
      }
      for variant in variants {
        for type in ["AUDIO", "SUBTITLES"] {
          guard let group = Base.attribute(type, of: variant) else { continue }
          #expect(media.contains { Base.attribute("GROUP-ID", of: $0) == group })
        }
        let peak = try #require(Base.attribute("BANDWIDTH", of: variant).flatMap { UInt64($0) })
        let average = try #require(Base.attribute("AVERAGE-BANDWIDTH", of: variant).flatMap { UInt64($0) })
        #expect(peak >= average && average > 0)
      }
      let pictures = presentation.renditions(in: form).filter { $0.track.kind == .video }
      #expect(
        Base.lines(text, "#EXT-X-I-FRAME-STREAM-INF").count == pictures.count { !$0.keyFrames.isEmpty })
      #expect(Set(variants.map { Base.attribute("SUBTITLES", of: $0) }).count <= 1)
    }
  }

  private static func presentation(_ random: inout WriterRandom) -> Presentation {
    var renditions: [PresentationRendition] = []
    for number in 0..<Int.random(in: 0...3, using: &random) {
      var video = Base.video("v\(number)")
      if Bool.random(using: &random) { video.keyFrames = keyFrames([500_000, 400_000]) }
      if Int.random(in: 0..<4, using: &random) == 0 { video.track.codec = .vp9 }
      if Int.random(in: 0..<4, using: &random) == 0 {
        video.segments = WriterFixture.segments([450_000, 450_000], samples: 150)
      }
      renditions.append(video)
    }
    for number in 0..<Int.random(in: 0...6, using: &random) {
      let language = ["en", "de", "und"].randomElement(using: &random) ?? "en"
      let (codec, channels) =
        [("mp4a.40.2", UInt16(2)), ("mp4a.40.2", 6), ("ac-3", 6), ("opus", 2)].randomElement(using: &random)
        ?? ("mp4a.40.2", 2)
      var sound = audio("a\(number)", language, codec: codec, channels: channels)
      if Bool.random(using: &random) {
        sound.label = ["English", "Commentary"].randomElement(using: &random)
      }
      renditions.append(sound)
    }
    if renditions.isEmpty { renditions = [Base.video("v")] }
    let subtitles = (0..<Int.random(in: 0...4, using: &random)).map { number in
      PresentationSubtitle(
        name: "s\(number)", language: ["en", "de", "und"].randomElement(using: &random) ?? "en",
        label: ["", "English", "Deutsch"].randomElement(using: &random) ?? "",
        isForced: Bool.random(using: &random))
    }
    return Presentation(renditions: renditions, subtitles: subtitles, durationMilliseconds: 10000)
  }
}

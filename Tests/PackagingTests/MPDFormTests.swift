import Packaging
import Testing

/// What the MPD says beside pictures and sounds in fragments: trick play, subtitles, labels, roles, byte ranges.
@Suite struct MPDFormTests {
  static func text(_ presentation: Presentation, _ form: DeliveryForm = .fragments, suffix: String = "")
    -> String
  {
    String(decoding: MPD.bytes(presentation, form: form, baseURL: nil, uriSuffix: suffix), as: UTF8.self)
  }

  static func text(_ renditions: [PresentationRendition], _ form: DeliveryForm = .fragments) -> String {
    text(Presentation(renditions: renditions, durationMilliseconds: 10000), form)
  }

  static let film = Presentation(
    renditions: MultivariantFormTests.film,
    subtitles: [
      PresentationSubtitle(name: "sub-en", language: "en", label: "English <SDH> & more"),
      PresentationSubtitle(name: "sub-cs", language: "cs", label: "Česky", isForced: true),
    ], durationMilliseconds: 10000)

  @Test func trickPlayIsASetThatNamesTheMainSet() throws {
    let text = Self.text(Self.film)
    let tail = """
          <AdaptationSet id="6" contentType="video" mimeType="video/mp4" startWithSAP="1" par="16:9">
            <EssentialProperty schemeIdUri="http://dashif.org/guidelines/trickmode" value="0"/>
            <Representation id="720p-iframes" bandwidth="27019" codecs="avc1.64001f" width="1280" height="720" \
      maxPlayoutRate="100" codingDependency="false">
              <SegmentTemplate timescale="90000" startNumber="0" initialization="720p/init.mp4" \
      media="720p/iframe_$Number%04d$.m4s">
                <SegmentTimeline>
                  <S t="0" d="360000" r="1"/>
                  <S d="180000"/>
                </SegmentTimeline>
              </SegmentTemplate>
            </Representation>
          </AdaptationSet>
        </Period>
      </MPD>

      """
    #expect(text.hasSuffix(tail), "\(text)")
    #expect(MPDTests.elements(text) != nil)
  }

  @Test func subtitlesAreWholeFilesWithTheirRoles() throws {
    let text = Self.text(Self.film, suffix: "?a=1&b=$2")
    let expected = """
          <AdaptationSet id="4" contentType="text" mimeType="text/vtt" lang="en">
            <Label>English &lt;SDH&gt; &amp; more</Label>
            <Role schemeIdUri="urn:mpeg:dash:role:2011" value="caption"/>
            <Representation id="sub-en" bandwidth="1000">
              <BaseURL>sub-en.vtt?a=1&amp;b=$2</BaseURL>
            </Representation>
          </AdaptationSet>
          <AdaptationSet id="5" contentType="text" mimeType="text/vtt" lang="cs">
            <Label>Česky</Label>
            <Role schemeIdUri="urn:mpeg:dash:role:2011" value="forced-subtitle"/>

      """
    #expect(text.contains(expected), "\(text)")
  }

  @Test func rolesTellWorksApart() throws {
    let sounds = [
      MultivariantPlaylistTests.audio("a", language: "en"),
      MultivariantPlaylistTests.audio("b", language: "en"),
      MultivariantPlaylistTests.audio("c", language: "de"),
      MultivariantFormTests.audio("d", "en", codec: "ac-3", channels: 6),
      MultivariantFormTests.audio("e", "en-GB", codec: "mp4a.40.2", channels: 2),
      MultivariantFormTests.audio("f", "und", codec: "mp4a.40.2", channels: 2),
    ]
    #expect(
      try #require(MPDTests.values(Self.text(sounds), "Role", "value"))
        == ["main", "alternate", "dub", "main", "alternate", "alternate"])
  }

  // The init segments are as long as their sample entries make them, so only the sums are spelled here.
  @Test func byByteRangesARepresentationIsOneFile() throws {
    let text = Self.text(Self.film, .byteRanges, suffix: "?a=1&b=$2")
    #expect(
      text.contains(
        """
        profiles="urn:mpeg:dash:profile:isoff-on-demand:2011,urn:mpeg:dash:profile:cmaf:2019" type="static" \
        mediaPresentationDuration="PT10.000S" minBufferTime="PT6.000S" maxSubsegmentDuration="PT6.000S">
        """))
    let elements = try #require(MPDTests.elements(text))
    #expect(!text.contains("SegmentTemplate") && !text.contains("trickmode") && !text.contains(" segmentAl"))
    let sets = elements.filter { $0.name == "AdaptationSet" }.map(\.attributes)
    #expect(sets.map { $0["subsegmentAlignment"] } == ["true", "true", "true", "true", nil, nil])
    #expect(sets.map { $0["subsegmentStartsWithSAP"] } == ["1", "1", "1", "1", nil, nil])
    let bases = elements.filter { $0.name == "SegmentBase" }.map { $0.attributes["indexRange"] }
    let initializations = elements.filter { $0.name == "Initialization" }.map { $0.attributes["range"] }
    for (index, rendition) in Self.film.renditions.enumerated() {
      let initBytes = InitSegment.bytes(for: rendition.track).count
      #expect(initializations[index] == "0-\(initBytes - 1)")
      #expect(bases[index] == "\(initBytes)-\(initBytes + 40 + 24 - 1)")
      #expect(
        text.contains(
          "<BaseURL>\(rendition.name)\(CMAFFile.fileExtension(rendition.track))?a=1&amp;b=$2</BaseURL>\n        <SegmentBase "
        ))
    }
    #expect(text.contains("<BaseURL>sub-en.vtt?a=1&amp;b=$2</BaseURL>"))
  }

  @Test func aFileWithoutIndexIsNotOnDemand() throws {
    var long = MultivariantPlaylistTests.video("long")
    long.segments = WriterFixture.segments([900_000], bytes: [1 << 32])
    let renditions = [long, MultivariantPlaylistTests.audio("a", language: "en")]
    #expect(
      try #require(MPDTests.values(Self.text(renditions, .byteRanges), "Representation", "id")) == ["a"])
    #expect(
      try #require(MPDTests.values(Self.text(renditions), "Representation", "id")) == ["long", "a"])
  }

  @Test func picturesCutElsewhereAreASetOfTheirOwn() throws {
    func video(_ name: String, _ timescale: UInt32, _ lengths: [UInt64]) -> PresentationRendition {
      PresentationRendition(
        name: name, track: WriterFixture.video(timescale: timescale),
        segments: WriterFixture.segments(lengths))
    }
    let text = Self.text([
      video("a", 30000, [180_180, 180_180, 60_060]),
      video("shorter-tail", 90000, [540_540, 540_540, 90_090]),
      video("rounded", 1000, [6006, 6006, 2002]),
      video("elsewhere", 30000, [180_180, 90_090, 150_150]),
      video("off-by-one-millisecond", 1000, [6007, 6005, 2002]),
      video("fewer", 30000, [180_180, 180_180]),
      video("elsewhere-too", 60000, [360_360, 180_180, 300_300]),
    ])
    var sets: [[String]] = []
    for element in try #require(MPDTests.elements(text)) {
      if element.name == "AdaptationSet" { sets.append([]) }
      if element.name == "Representation" { sets[sets.count - 1].append(element.attributes["id"] ?? "") }
    }
    #expect(
      sets == [
        ["a", "shorter-tail", "rounded"], ["elsewhere", "elsewhere-too"], ["off-by-one-millisecond"],
        ["fewer"],
      ])
  }

  @Test func identifiersAreUnique() throws {
    var first = MultivariantPlaylistTests.video("v")
    first.keyFrames = MultivariantFormTests.keyFrames([900_000])
    var second = MultivariantPlaylistTests.video("v-iframes")
    second.keyFrames = first.keyFrames
    let third = MultivariantPlaylistTests.video("v-iframes2")
    let text = Self.text([first, second, third])
    #expect(
      try #require(MPDTests.values(text, "Representation", "id"))
        == ["v", "v-iframes", "v-iframes2", "v-iframes3", "v-iframes-iframes"])
    #expect(try #require(MPDTests.values(text, "AdaptationSet", "id")) == ["0", "1"])
    let media = try #require(MPDTests.values(text, "SegmentTemplate", "media"))
    #expect(media.suffix(2) == ["v/iframe_$Number%04d$.m4s", "v-iframes/iframe_$Number%04d$.m4s"])
  }

  @Test func hostileLabelsStayText() throws {
    let hostile = "</Label><x>&\"'\u{0}\u{1F}\u{7F}\u{85}\u{FFFE}\u{FFFF}]]>🎬"
    var sound = MultivariantPlaylistTests.audio("a", language: "en")
    sound.label = hostile
    let subtitle = PresentationSubtitle(name: hostile, language: hostile, label: hostile)
    for form in [DeliveryForm.fragments, .byteRanges] {
      let text = Self.text(
        Presentation(renditions: [sound], subtitles: [subtitle], durationMilliseconds: 1), form)
      let elements = try #require(MPDTests.elements(text))
      #expect(elements.count { $0.name == "Label" } == 2 && !elements.contains { $0.name == "x" })
      #expect(text.contains("<Label>&lt;/Label&gt;&lt;x&gt;&amp;\"']]&gt;🎬</Label>"))
      #expect(elements.last { $0.name == "AdaptationSet" }?.attributes["lang"] == nil)
    }
  }

  @Test func timelineOfKeyFramesIsExact() throws {
    var random = WriterRandom(state: 0x7A1C)
    for _ in 0..<100 {
      let lengths = (0..<30).map { _ in UInt64.random(in: 99_998...100_001, using: &random) }
      var video = MultivariantPlaylistTests.video("v")
      video.segments = []
      video.keyFrames = MultivariantFormTests.keyFrames(lengths)
      var unrolled: [UInt64] = []
      for element in try #require(MPDTests.elements(Self.text([video]))) where element.name == "S" {
        let length = try #require(element.attributes["d"].flatMap { UInt64($0) })
        let count = 1 + (element.attributes["r"].flatMap { Int($0) } ?? 0)
        unrolled += [UInt64](repeating: length, count: count)
      }
      #expect(unrolled == lengths)
    }
  }
}

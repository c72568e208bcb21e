import Packaging
import Testing

@Suite struct MPDTests {
  static func text(
    _ renditions: [PresentationRendition], milliseconds: UInt64 = 10000, baseURL: String? = nil,
    suffix: String = ""
  ) -> String {
    String(
      decoding: MPD.bytes(
        Presentation(renditions: renditions, durationMilliseconds: milliseconds), baseURL: baseURL,
        uriSuffix: suffix), as: UTF8.self)
  }

  static func video(_ name: String, _ track: Track, _ segments: [Segment]) -> PresentationRendition {
    PresentationRendition(name: name, track: track, segments: segments)
  }

  // The peak runs are the last two segments: 2 × (1000 + 144 + 16 × 180) × 8 / 8.008 s and
  // 2 × (1000 + 144 + 8) × 8 / 7.998 s.
  @Test func isThisText() {
    var first = WriterFixture.video(width: 1920, height: 1080, timescale: 30000, sampleCount: 420)
    first.durationTicks = 420_420
    var second = WriterFixture.video(width: 854, height: 480, timescale: 90000, sampleCount: 420)
    second.durationTicks = 1_261_260
    let audio = WriterFixture.audio(language: "en")
    let text = Self.text(
      [
        Self.video("1080p", first, WriterFixture.segments([180_180, 180_180, 60_060], samples: 180)),
        Self.video("480p", second, WriterFixture.segments([540_540, 540_540, 180_180], samples: 180)),
        Self.video("audio", audio, WriterFixture.segments([288_768, 288_768, 95_136], startTicks: 96)),
      ], milliseconds: 14016, baseURL: "g/0123456789ab/")
    #expect(
      text == """
        <?xml version="1.0" encoding="UTF-8"?>
        <MPD xmlns="urn:mpeg:dash:schema:mpd:2011" \
        profiles="urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019" type="static" \
        mediaPresentationDuration="PT14.016S" minBufferTime="PT6.016S" maxSegmentDuration="PT6.016S">
          <BaseURL>g/0123456789ab/</BaseURL>
          <Period id="0" start="PT0S">
            <AdaptationSet id="0" contentType="video" mimeType="video/mp4" segmentAlignment="true" \
        startWithSAP="1" par="16:9">
              <Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/>
              <Representation id="1080p" bandwidth="2302" codecs="avc1.64001f" width="1920" height="1080" \
        frameRate="30000/1001">
                <SegmentTemplate timescale="30000" startNumber="0" initialization="$RepresentationID$/init.mp4" \
        media="$RepresentationID$/segment_$Number%04d$.m4s">
                  <SegmentTimeline>
                    <S t="0" d="180180" r="1"/>
                    <S d="60060"/>
                  </SegmentTimeline>
                </SegmentTemplate>
              </Representation>
              <Representation id="480p" bandwidth="2302" codecs="avc1.64001f" width="854" height="480" \
        frameRate="30000/1001">
                <SegmentTemplate timescale="90000" startNumber="0" initialization="$RepresentationID$/init.mp4" \
        media="$RepresentationID$/segment_$Number%04d$.m4s">
                  <SegmentTimeline>
                    <S t="0" d="540540" r="1"/>
                    <S d="180180"/>
                  </SegmentTimeline>
                </SegmentTemplate>
              </Representation>
            </AdaptationSet>
            <AdaptationSet id="1" contentType="audio" mimeType="audio/mp4" segmentAlignment="true" \
        startWithSAP="1" lang="en">
              <Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/>
              <Representation id="audio" bandwidth="2305" codecs="mp4a.40.2" audioSamplingRate="48000">
                <AudioChannelConfiguration schemeIdUri="urn:mpeg:mpegB:cicp:ChannelConfiguration" value="2"/>
                <SegmentTemplate timescale="48000" startNumber="0" initialization="$RepresentationID$/init.mp4" \
        media="$RepresentationID$/segment_$Number%04d$.m4s">
                  <SegmentTimeline>
                    <S t="96" d="288768" r="1"/>
                    <S d="95136"/>
                  </SegmentTimeline>
                </SegmentTemplate>
              </Representation>
            </AdaptationSet>
          </Period>
        </MPD>

        """)
  }

  /// All start tags of the text, if it is well-formed XML of the kind we write.
  static func elements(_ text: String) -> [(name: String, attributes: [String: String])]? {
    var elements: [(String, [String: String])] = []
    var open: [Substring] = []
    var rest = Substring(text)
    guard rest.hasPrefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") else { return nil }
    rest = rest.dropFirst(39)
    while let start = rest.firstIndex(of: "<") {
      guard let end = rest[start...].firstIndex(of: ">") else { return nil }
      var tag = rest[rest.index(after: start)..<end]
      rest = rest[rest.index(after: end)...]
      if tag.hasPrefix("/") {
        guard open.popLast() == tag.dropFirst() else { return nil }
        continue
      }
      let closed = tag.hasSuffix("/")
      if closed { tag = tag.dropLast() }
      guard !tag.contains("<") else { return nil }
      let name = tag.prefix { $0 != " " }
      var attributes: [String: String] = [:]
      var list = tag.dropFirst(name.count)
      while !list.isEmpty {
        guard list.hasPrefix(" "), let equals = list.firstIndex(of: "=") else { return nil }
        let key = String(list[list.index(after: list.startIndex)..<equals])
        let quote = list.index(after: equals)
        guard quote < list.endIndex, list[quote] == "\"",
          let close = list[list.index(after: quote)...].firstIndex(of: "\"")
        else { return nil }
        let value = String(list[list.index(after: quote)..<close])
        guard attributes.updateValue(value, forKey: key) == nil, isText(value) else { return nil }
        list = list[list.index(after: close)...]
      }
      elements.append((String(name), attributes))
      if !closed { open.append(name) }
    }
    return open.isEmpty ? elements : nil
  }

  /// Printable ASCII in which every ampersand starts an entity.
  static func isText(_ value: String) -> Bool {
    guard value.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else { return false }
    let entities = ["amp;", "lt;", "gt;", "quot;", "apos;"]
    return value.split(separator: "&", omittingEmptySubsequences: false).dropFirst().allSatisfy { after in
      entities.contains { after.hasPrefix($0) }
    }
  }

  static func values(_ text: String, _ element: String, _ attribute: String) -> [String?]? {
    elements(text)?.filter { $0.name == element }.map { $0.attributes[attribute] }
  }

  static func rendition(_ name: String = "v", _ change: (inout Track) -> Void = { _ in })
    -> PresentationRendition
  {
    var track = WriterFixture.video()
    change(&track)
    return video(name, track, WriterFixture.segments([540_000, 360_000]))
  }

  @Test func hostileTextStaysText() throws {
    let hostile = "<x a='1' b=\"2\">&amp;]]>\r\n\u{0}\u{FFFF}$Time$ é"
    let codec = Self.rendition(hostile) {
      $0.codecString = hostile
      $0.language = hostile
    }
    let sound = PresentationRendition(
      name: hostile + "2", track: WriterFixture.audio(language: hostile),
      segments: WriterFixture.segments([48000]))
    let text = Self.text([codec, sound], baseURL: hostile, suffix: "?a=1&b=\"<$Number$>'")
    let elements = try #require(Self.elements(text))
    #expect(elements.filter { $0.name == "Representation" }.count == 2)
    #expect(!elements.contains { $0.name == "x" })
    let identifiers = try #require(Self.values(text, "Representation", "id"))
    #expect(identifiers.allSatisfy { $0?.contains(where: { " $&".contains($0) }) == false })
    #expect(try #require(Self.values(text, "AdaptationSet", "lang")) == [nil, nil])
    let media = try #require(Self.values(text, "SegmentTemplate", "media"))
    #expect(
      media
        == [String?](
          repeating: "$RepresentationID$/segment_$Number%04d$.m4s?a=1&amp;b=%22%3C$$Number$$%3E&apos;",
          count: 2))
    let initialization = try #require(Self.values(text, "SegmentTemplate", "initialization"))
    #expect(initialization[0] == "$RepresentationID$/init.mp4?a=1&amp;b=%22%3C$$Number$$%3E&apos;")
  }

  @Test func theCheckOfTheTextItselfFindsFaults() {
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    #expect(Self.elements(head + "<a b=\"1\"><c/></a>") != nil)
    for fault in ["<a>", "<a></b>", "<a b=\"1\" b=\"2\"/>", "<a b=\"&x;\"/>", "<a b=\"<\"/>", "<a b='1'/>"] {
      #expect(Self.elements(head + fault) == nil, "\(fault)")
    }
  }

  @Test func groupsPicturesThatMayBeSwitched() throws {
    let text = Self.text([
      Self.rendition("a"),
      Self.rendition("hevc") { $0.codecString = "hvc1.1.6.L93.B0" },
      Self.rendition("b") { ($0.widthPixels, $0.heightPixels) = (854, 480) },
      Self.rendition("hdr") { $0.transferCharacteristics = 16 },
      Self.rendition("hlg") { $0.transferCharacteristics = 18 },
      Self.rendition("wide") {
        ($0.widthPixels, $0.heightPixels) = (1440, 600)
        ($0.displayWidthPixels, $0.displayHeightPixels) = (1440, 600)
      },
      Self.rendition("avc3") { $0.codecString = "avc3.64001f" },
      Self.rendition("none") {
        ($0.widthPixels, $0.heightPixels) = (0, 0)
        ($0.displayWidthPixels, $0.displayHeightPixels) = (0, 0)
      },
    ])
    let elements = try #require(Self.elements(text))
    var sets: [[String]] = []
    for element in elements {
      if element.name == "AdaptationSet" { sets.append([]) }
      if element.name == "Representation" { sets[sets.count - 1].append(element.attributes["id"] ?? "") }
    }
    #expect(sets == [["a", "b"], ["hevc"], ["hdr"], ["hlg"], ["wide"], ["avc3"], ["none"]])
    #expect(
      try #require(Self.values(text, "AdaptationSet", "id")) == (0..<7).map { String($0) })
    #expect(try #require(Self.values(text, "AdaptationSet", "par"))[4] == "12:5")
    #expect(try #require(Self.values(text, "SupplementalProperty", "value")) == ["16", "18"])
    #expect(try #require(Self.values(text, "Representation", "width")).last == .some(nil))
  }

  @Test func soundsOfOneLanguageAreNotSwitched() throws {
    let sounds = ["en", "en", "de"].enumerated().map {
      PresentationRendition(
        name: "a\($0.offset)", track: WriterFixture.audio(language: $0.element),
        segments: WriterFixture.segments([48000]))
    }
    let text = Self.text(sounds)
    #expect(try #require(Self.values(text, "AdaptationSet", "lang")) == ["en", "en", "de"])
    #expect(try #require(Self.values(text, "Role", "value")) == ["main", "alternate", "dub"])
  }

  struct Shape: Sendable {
    var coded: (UInt16, UInt16)
    var shown: (UInt32, UInt32)
    var pixel: (UInt32, UInt32)?
    var isTurned = false
    var size: [String]
    var par: String
    var sar: String?
  }

  @Test(arguments: [
    Shape(coded: (1920, 1080), shown: (1920, 1080), size: ["1920", "1080"], par: "16:9", sar: nil),
    Shape(coded: (854, 480), shown: (854, 480), size: ["854", "480"], par: "16:9", sar: nil),
    Shape(coded: (720, 576), shown: (1024, 576), size: ["720", "576"], par: "16:9", sar: "64:45"),
    Shape(
      coded: (720, 480), shown: (853, 480), pixel: (32, 27), size: ["720", "480"], par: "16:9", sar: "32:27"),
    Shape(coded: (720, 480), shown: (640, 480), pixel: (8, 9), size: ["720", "480"], par: "4:3", sar: "8:9"),
    Shape(coded: (720, 480), shown: (720, 480), pixel: (1, 1), size: ["720", "480"], par: "3:2", sar: nil),
    Shape(
      coded: (1920, 1080), shown: (1080, 1920), isTurned: true, size: ["1080", "1920"], par: "9:16", sar: nil),
    Shape(
      coded: (720, 480), shown: (480, 853), pixel: (32, 27), isTurned: true, size: ["480", "720"],
      par: "9:16",
      sar: "27:32"),
    Shape(coded: (640, 360), shown: (0, 0), size: ["640", "360"], par: "16:9", sar: nil),
    Shape(
      coded: (1000, 300), shown: (1000, 300), pixel: (0, 9), size: ["1000", "300"], par: "10:3", sar: nil),
  ])
  func statesTheShapeOfThePicture(_ shape: Shape) throws {
    let rendition = Self.rendition {
      ($0.widthPixels, $0.heightPixels) = shape.coded
      ($0.displayWidthPixels, $0.displayHeightPixels) = shape.shown
      if shape.isTurned { $0.matrix = [0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x4000_0000] }
      if let pixel = shape.pixel {
        let numbers = [pixel.0, pixel.1].flatMap { word in
          (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) }
        }
        let free: [UInt8] = [0, 0, 0, 8] + Array("free".utf8)
        $0.sampleEntry = WriterFixture.sampleEntry(
          "avc1", boxes: free + [0, 0, 0, 16] + Array("pasp".utf8) + numbers)
      }
    }
    let text = Self.text([rendition])
    let representation = try #require(Self.elements(text)?.first { $0.name == "Representation" }).attributes
    #expect([representation["width"], representation["height"]] == shape.size)
    #expect(representation["sar"] == shape.sar)
    #expect(try #require(Self.values(text, "AdaptationSet", "par")) == [shape.par])
  }

  @Test(
    arguments: [[0, 0, 0, 0], [0, 0, 0, 7], [0, 0, 0, 17], [255, 255, 255, 255], [0, 0, 0, 1]] as [[UInt8]])
  func sampleEntriesThatDoNotAddUpHaveNoPixelShape(size: [UInt8]) throws {
    let rendition = Self.rendition {
      $0.sampleEntry = WriterFixture.sampleEntry(
        "avc1", boxes: size + Array("pasp".utf8) + [0, 0, 0, 32, 0, 0, 0, 27])
    }
    #expect(try #require(Self.values(Self.text([rendition]), "Representation", "sar")) == [nil])
  }

  @Test(
    arguments: [
      (UInt16(1), "1"), (2, "2"), (6, "6"), (7, "11"), (8, "7"), (0, nil), (24, nil),
    ] as [(UInt16, String?)])
  func statesTheChannels(count: UInt16, configuration: String?) throws {
    var track = WriterFixture.audio()
    track.channelCount = count
    track.sampleRateHertz = 0
    let text = Self.text([Self.video("a", track, WriterFixture.segments([48000]))])
    let expected: [String?] = configuration.map { [$0] } ?? []
    #expect(try #require(Self.values(text, "AudioChannelConfiguration", "value")) == expected)
    #expect(!text.contains("audioSamplingRate"))
  }

  @Test func timelineIsExactWhateverTheLengths() throws {
    let seed: UInt64 = 0xDA54
    var random = WriterRandom(state: seed)
    for round in 0..<200 {
      let count = Int.random(in: 0...40, using: &random)
      let lengths = (0..<count).map { _ in UInt64.random(in: 1...3, using: &random) * 90090 }
      var segments = WriterFixture.segments(lengths, startTicks: round % 2 == 0 ? 0 : 1 << 40)
      // A hole, which no plan has, must not shift what follows.
      if round % 5 == 0, count > 3 {
        for index in 2..<count { segments[index].startTicks += 7 }
      }
      let text = Self.text([Self.video("v", WriterFixture.video(), segments)])
      var unrolled: [[UInt64]] = []
      var next: UInt64 = 0
      for element in try #require(Self.elements(text)) where element.name == "S" {
        func number(_ name: String) -> UInt64? { element.attributes[name].flatMap { UInt64($0) } }
        next = number("t") ?? next
        let length = try #require(number("d"))
        for _ in 0...(number("r") ?? 0) {
          unrolled.append([next, length])
          next += length
        }
      }
      #expect(unrolled == segments.map { [$0.startTicks, $0.durationTicks] }, "seed \(seed), round \(round)")
    }
  }

  @Test(arguments: [
    (UInt64(0), "PT0.000S"), (1, "PT0.001S"), (10010, "PT10.010S"), (7_200_000, "PT7200.000S"),
    (.max, "PT18446744073709551.615S"),
  ])
  func statesTheLengthToTheMillisecond(milliseconds: UInt64, expected: String) throws {
    let text = Self.text([Self.rendition()], milliseconds: milliseconds)
    #expect(try #require(Self.values(text, "MPD", "mediaPresentationDuration")) == [expected])
  }

  @Test func saysNothingOfStartsThatAreNoAccessPoints() throws {
    var rendition = Self.rendition()
    rendition.segmentsAreIndependent = false
    #expect(!Self.text([rendition]).contains("startWithSAP"))
    #expect(Self.text([Self.rendition()]).contains("startWithSAP=\"1\""))
  }

  @Test func survivesNothingAtAllAndTimesOutsideOfAllRanges() {
    #expect(Self.elements(Self.text([], milliseconds: 0)) != nil)
    let track = WriterFixture.video(width: .max, height: 1, timescale: .max, sampleCount: .max)
    let segments = WriterFixture.segments([.max / 2, .max / 2], bytes: [.max, 0])
    #expect(Self.elements(Self.text([Self.video("v", track, segments)])) != nil)
    #expect(Self.elements(Self.text([Self.video("v", track, [])])) != nil)
  }
}

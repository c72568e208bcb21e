import Packaging
import Testing

/// Mutated subtitles never trap, and whatever is taken keeps its promises.
@Suite("Mutated subtitles")
struct SubtitleMutationTests {
  private static let seeds: [String] = [
    """
    WEBVTT
    Language: en
    Name: A

    STYLE
    ::cue { color: red }

    one
    00:01.000 --> 00:02.000 line:0 align:left
    <v Bob>Hello <i>x</i> &amp; <00:01.500>y</v>

    00:00:03.000 --> 00:00:04.000
    <c.a>b</c> --&gt;
    """,
    """
    1
    00:00:01,000 --> 00:00:02,500
    <i>Hello</i> <font color="red">x</font> {\\an8}

    2
    00:00:03,000 --> 00:00:04,000
    a & b < c
    """,
    """
    [Events]
    Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
    Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\an8\\i1}Hello,\\Nworld{\\p1}m 0{\\p0\\b700}{\\t(\\i1)}
    """,
  ]

  private static let fragments = [
    "-->", "\n\n", "<", ">", "&", "{\\", "}", "00:00:01.000 --> 00:00:02.000\n", "\u{FEFF}", "\r", "</i>",
    "<b>", ",",
    "99999999999999999999", ":", "\n", "&#x", "Dialogue:", "STYLE\n", "\u{0}", "é",
  ]

  private func mutated(_ source: [UInt8], _ random: inout ReaderRandom) -> [UInt8] {
    var bytes = source
    for _ in 0..<Int.random(in: 1...8, using: &random) where !bytes.isEmpty {
      let position = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<5, using: &random) {
      case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
      case 1:
        bytes.insert(contentsOf: Array(Self.fragments.randomElement(using: &random)!.utf8), at: position)
      case 2:
        bytes.removeSubrange(position..<min(bytes.count, position + Int.random(in: 1...9, using: &random)))
      case 3:
        let end = min(bytes.count, position + Int.random(in: 1...40, using: &random))
        bytes.insert(contentsOf: bytes[position..<end], at: Int.random(in: 0..<bytes.count, using: &random))
      default: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      }
    }
    return bytes
  }

  /// Whatever was read can be stored, read again to the same, and cut.
  private func check(_ document: SubtitleDocument) throws {
    let stored = document.bytes()
    let again = try SubtitleDocument.parse(stored, format: .webVTT)
    #expect(again.document == document)
    #expect(again.defects.isEmpty)
    let segment = Segment(
      firstSample: 0, sampleCount: 1, startTicks: 0, durationTicks: 1, decodeTicks: 0, mediaBytes: 0)
    let whole = try #require(SubtitleSegments(document, segments: [segment], timescale: 1).bytes(0))
    #expect(try SubtitleDocument.parse(whole, format: .webVTT).document.cues == document.cues)
  }

  @Test(arguments: SubtitleFormat.allCases)
  func files(format: SubtitleFormat) throws {
    for seed in 0..<UInt64(3000) {
      var random = ReaderRandom(seed: seed)
      let bytes = mutated(Array(Self.seeds[Int(seed % 3)].utf8), &random)
      _ = SubtitleFormat.probe(bytes)
      guard let parsed = try? SubtitleDocument.parse(bytes, format: format) else { continue }
      try check(parsed.document)
    }
  }

  @Test func samples() throws {
    let styl = BoxBytes.box(
      "styl", BoxBytes.u16(1), BoxBytes.u16(0), BoxBytes.u16(3), [0, 1, 7, 18, 0, 0, 0, 0])
    let tx3g = BoxBytes.u16(5) + Array("hello".utf8) + styl
    let wvtt = BoxBytes.box(
      "vttc", BoxBytes.box("vsid", BoxBytes.u32(1)), BoxBytes.box("sttg", Array("line:0".utf8)),
      BoxBytes.box("payl", Array("<i>x".utf8)))
    for seed in 0..<UInt64(5000) {
      var random = ReaderRandom(seed: seed)
      let first = mutated(tx3g, &random)
      let second = mutated(wvtt, &random)
      let line = mutated(Array("1,0,D,,0,0,0,,{\\i1}a\\N<b>".utf8), &random)
      let cues =
        [
          SubtitleCue.fromTX3G(sample: first, startMilliseconds: 0, endMilliseconds: 1),
          SubtitleCue.fromASS(dialogueFields: line, startMilliseconds: 1, endMilliseconds: 2),
          SubtitleCue.fromSubRip(text: line, startMilliseconds: 2, endMilliseconds: 3),
        ].compactMap { $0 } + SubtitleCue.fromWVTT(sample: second, startMilliseconds: 3, endMilliseconds: 4)
      if !cues.isEmpty { try check(SubtitleDocument(language: "en", cues: cues)) }
    }
  }

  /// Texts that a careless reader needs quadratic time for: then this suite does not end.
  @Test(arguments: [
    "<", "&", "{", "{\\", "<i>", "</i>", "<b", "&#", "<v ", "a:", "}\\", "\n1", "STYLE\n", "(\\i1",
  ])
  func repetitionIsLinear(part: String) throws {
    let text = Array(String(repeating: part, count: 1 << 18 / part.utf8.count).utf8)
    for format in SubtitleFormat.allCases {
      #expect(throws: MediaError.self) { try SubtitleDocument.parse(text, format: format) }
      let head =
        format == .ass ? "Dialogue: 0,0:00:01.00,0:00:02.50,D,,0,0,0,,seen" : "00:01.000 --> 00:02.000\nseen"
      if let parsed = try? SubtitleDocument.parse(Array(head.utf8) + text, format: format) {
        try check(parsed.document)
      }
    }
  }
}

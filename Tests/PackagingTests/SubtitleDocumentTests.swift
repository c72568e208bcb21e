import Packaging
import Testing

/// The parts of cues that tests compare, in one line each.
func summary(_ document: SubtitleDocument) -> [String] {
  document.cues.map { cue in
    let identifier = cue.identifier.map { "#\($0) " } ?? ""
    let settings = cue.settings.isEmpty ? "" : " [\(cue.settings)]"
    let text = cue.text.split(separator: "\n").joined(separator: "|")
    return "\(identifier)\(cue.startMilliseconds)-\(cue.endMilliseconds)\(settings) \(text)"
  }
}

@Suite("Subtitle documents")
struct SubtitleDocumentTests {
  private func cue(_ start: UInt64, _ end: UInt64, _ text: String, settings: String = "") throws
    -> SubtitleCue
  {
    try #require(SubtitleCue(startMilliseconds: start, endMilliseconds: end, settings: settings, text: text))
  }

  @Test func whatIsStored() throws {
    let document = try SubtitleDocument(
      language: "de-AT", name: " Deutsch --> (SDH)\n", isForced: true,
      headerBlocks: ["STYLE\n\n::cue { color: red }  \n", "NOTE no", "STYLE", "REGION\nid:a-->b"],
      cues: [
        cue(3_600_001, 3_600_002, "later"), cue(1000, 2000, "B", settings: "line:0"), cue(1000, 1500, "<i>C"),
      ])
    let wanted = """
      WEBVTT
      Language: de-AT
      Name: Deutsch -- (SDH)
      Forced: yes

      STYLE
      ::cue { color: red }

      00:00:01.000 --> 00:00:02.000 line:0
      B

      00:00:01.000 --> 00:00:01.500
      <i>C</i>

      01:00:00.001 --> 01:00:00.002
      later


      """
    #expect(String(decoding: document.bytes(), as: UTF8.self) == wanted)
    let again = try SubtitleDocument.parse(document.bytes(), format: .webVTT)
    #expect(again.document == document)
    #expect(again.defects.isEmpty)
  }

  @Test func aHeaderThatSaysNothingIsNotWritten() throws {
    let document = try SubtitleDocument(language: "no language", cues: [cue(0, 1, "x")])
    #expect(document.language == "und")
    #expect(
      String(decoding: document.bytes(), as: UTF8.self) == "WEBVTT\n\n00:00:00.000 --> 00:00:00.001\nx\n\n")
  }

  @Test func limitsHold() throws {
    let one = try cue(0, 1, "x")
    #expect(throws: MediaError.self) { try SubtitleDocument(language: "en", cues: []) }
    let many = Array(repeating: one, count: 100_001)
    let tooMany = #expect(throws: MediaError.self) { try SubtitleDocument(language: "en", cues: many) }
    #expect(tooMany?.code == "subtitles-too-large")
    #expect(try SubtitleDocument(language: "en", cues: many.dropLast()).cues.count == 100_000)

    let long = try cue(0, 1, String(repeating: "x", count: 16 << 10))
    #expect(try SubtitleDocument(language: "en", cues: [long]).cues.count == 1)
    let longer = try cue(0, 1, String(repeating: "x", count: 16 << 10 + 1))
    #expect(throws: MediaError.self) { try SubtitleDocument(language: "en", cues: [longer]) }
    let heavy = Array(repeating: long, count: 512)
    let tooHeavy = #expect(throws: MediaError.self) { try SubtitleDocument(language: "en", cues: heavy) }
    #expect(tooHeavy?.code == "subtitles-too-large")
  }

  @Test func limitsHoldWhileReading() throws {
    let head = "WEBVTT\n\n"
    let manyCues = head + String(repeating: "00:01.000 --> 00:02.000\nx\n\n", count: 100_001)
    let longCue = head + "00:01.000 --> 00:02.000\n" + String(repeating: "&", count: 5000)
    let hugeCue = head + "00:01.000 --> 00:02.000\n" + String(repeating: "<i></i>", count: 100_000)
    let hugeFile = head + String(repeating: "\n", count: 9 << 20)
    for text in [manyCues, longCue, hugeCue, hugeFile] {
      let error = #expect(throws: MediaError.self) {
        try SubtitleDocument.parse(Array(text.utf8), format: .webVTT)
      }
      #expect(error?.code == "subtitles-too-large")
    }
  }

  @Test(arguments: SubtitleFormat.allCases)
  func noCueIsDamage(format: SubtitleFormat) {
    for text in ["", "WEBVTT\n\n", "hello", "00:00:02,000 --> 00:00:01,000\nbackwards\n"] {
      let error = #expect(throws: MediaError.self) {
        try SubtitleDocument.parse(Array(text.utf8), format: format)
      }
      #expect(error?.code == "no-cues")
    }
  }
}

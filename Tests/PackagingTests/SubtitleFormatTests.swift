import Packaging
import Testing

@Suite("Subtitle files")
struct SubtitleFormatTests {
  private func parse(_ text: String, _ format: SubtitleFormat) throws -> ParsedSubtitles {
    try SubtitleDocument.parse(Array(text.utf8), format: format)
  }

  @Test func webVTT() throws {
    let parsed = try parse(
      """
      WEBVTT - a title
      Kind: captions
      Language: fr
      Name: Français

      NOTE
      a comment

      STYLE
      ::cue(b) { color: lime }

      REGION
      id:top
      width:40%

      one
      00:01.000 --> 00:02.000 align:end foo:bar region:top
      <v Bob>Hello
      world

      00:00:01.500 --> 00:03.000
      overlap
      00:04.000-->00:05.000
      no blank line before

      00:10.000 --> 00:09.000
      backwards

      00:xx --> 00:yy
      unreadable

      STYLE
      ::cue { too late }

      00:00.500 --> 00:00.900
      out of order
      """, .webVTT)
    #expect(
      summary(parsed.document) == [
        "500-900 out of order",
        "#one 1000-2000 [region:top align:end] <v Bob>Hello|world</v>",
        "1500-3000 overlap",
        "4000-5000 no blank line before",
      ])
    #expect(
      parsed.document.headerBlocks == ["STYLE\n::cue(b) { color: lime }", "REGION\nid:top\nwidth:40%"])
    #expect(parsed.document.language == "fr")
    #expect(parsed.document.name == "Français")
    #expect(parsed.defects.map(\.code) == ["cue-ends-before-start", "cue-times"])
  }

  @Test func whatTheCallerSaysOverridesTheFile() throws {
    let text = "WEBVTT\nLanguage: fr\nName: A\nForced: yes\n\n00:01.000 --> 00:02.000\nx\n"
    let file = try SubtitleDocument.parse(Array(text.utf8), format: .webVTT).document
    #expect(file.language == "fr" && file.name == "A" && file.isForced)
    let named = try SubtitleDocument.parse(
      Array(text.utf8), format: .webVTT, language: "de", name: "B", isForced: false
    ).document
    #expect(named.language == "de" && named.name == "B" && !named.isForced)
  }

  @Test func subRip() throws {
    let parsed = try parse(
      """
      1
      00:00:01,000 --> 00:00:02,500  X1:100 X2:200 Y1:10 Y2:20
      <I>Hello</I> <font color="#ff0000">red</font>

      2
      00:00:03.5 --> 00:00:04,25
      {\\an8}Tom & <Jerry> 1 < 2 &amp; {brace}
      --> not a time

      second paragraph

      00:01:00,000 --> 00:01:01,000
      no number before
      7
      01:10,000 --> 01:11,000
      no hours, no blank line
      8

      9
      00:00:09,000 --> 00:00:08,000
      backwards

      00:00:0x,000 --> 00:00:08,000
      unreadable

      11
      00:00:00,100 --> 00:00:00,200
      {\\i1}out of{\\i0} {\\a6}order{\\pos(1,2)}

      12
      00:02:00,000 --> 00:02:01,000
      42
      """, .subRip)
    #expect(
      summary(parsed.document) == [
        "100-200 [line:0] <i>out of</i> order",
        "1000-2500 <i>Hello</i> red",
        "3500-4250 [line:0] Tom &amp;  1 &lt; 2 &amp; {brace}|--&gt; not a time|second paragraph",
        "60000-61000 no number before",
        "70000-71000 no hours, no blank line|8",
        "120000-121000 42",
      ])
    #expect(parsed.defects.map(\.code) == ["cue-ends-before-start", "cue-times"])
    #expect(parsed.document.language == "und")
  }

  @Test(arguments: [
    ("{\\an1}x", "align:left"), ("{\\an2}x", ""), ("{\\an3}x", "align:right"),
    ("{\\an4}x", "line:50% align:left"),
    ("{\\an5}x", "line:50%"), ("{\\an6}x", "line:50% align:right"), ("{\\an7}x", "line:0 align:left"),
    ("{\\an8}x", "line:0"), ("{\\an9}x", "line:0 align:right"), ("{\\an0}x", ""),
    ("{\\a5}x", "line:0 align:left"),
    ("{\\a10}x", "line:50%"), ("{\\an8}{\\an1}x", "line:0"),
  ])
  func places(text: String, settings: String) throws {
    let cue = SubtitleCue.fromSubRip(text: Array(text.utf8), startMilliseconds: 0, endMilliseconds: 1)
    #expect(try #require(cue).settings == settings)
  }

  @Test func ass() throws {
    let parsed = try parse(
      """
      [Script Info]
      ; a comment
      ScriptType: v4.00+

      [V4+ Styles]
      Format: Name, Fontname, Fontsize
      Style: Default,Arial,20

      [Events]
      Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
      Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\an8\\fs20}Hello,\\Nworld {\\i1}it{\\b1}both{\\i0}bold{\\r}\\hplain
      Comment: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,not shown
      Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,{\\p1}m 0 0 l 100 0{\\p0}
      Dialogue: 0,0:00:05.00,0:00:06.00,Default,,0,0,0,,{\\p1}m 0 0{\\p0}seen <b> & {never closed
      Dialogue: 0,0:00:09.00,0:00:08.00,Default,,0,0,0,,backwards
      Dialogue: 0,soon,0:00:08.00,Default,,0,0,0,,unreadable
      Dialogue: too,few,fields
      Dialogue: 0,0:00:00.00,0:00:00.50,Default,,0,0,0,,{\\t(0,100,\\i1\\b1)\\bord2\\blur1\\b700}first\\n
      """, .ass)
    #expect(
      summary(parsed.document) == [
        "0-500 <b>first</b>",
        "1000-2500 [line:0] Hello,|world <i>it<b>both</b></i><b>bold</b> plain",
        "5000-6000 seen &lt;b&gt; &amp; {never closed",
      ])
    #expect(parsed.defects.map(\.code) == ["cue-ends-before-start", "cue-times"])
    #expect(parsed.defects[1].message.hasPrefix("2 "))
  }

  @Test func assFieldsAreWhereTheFormatLineSays() throws {
    let parsed = try parse(
      "[Events]\nFormat: Start, End, Text\nDialogue: 0:00:01.00, 0:00:02.00,a,b\n", .ass)
    #expect(summary(parsed.document) == ["1000-2000 a,b"])
  }

  @Test func matroskaSamples() throws {
    let ass = SubtitleCue.fromASS(
      dialogueFields: Array("3,0,Default,,0,0,0,,{\\i1}a, b\\Nc".utf8), startMilliseconds: 10,
      endMilliseconds: 20)
    #expect(try #require(ass).text == "<i>a, b\nc</i>")
    #expect(
      SubtitleCue.fromASS(dialogueFields: Array("a,b".utf8), startMilliseconds: 0, endMilliseconds: 1) == nil)
    let subRip = SubtitleCue.fromSubRip(
      text: Array("a\r\n<u>b</u>".utf8), startMilliseconds: 10, endMilliseconds: 20)
    #expect(try #require(subRip).text == "a\n<u>b</u>")
  }

  @Test(
    arguments: [
      ("WEBVTT", SubtitleFormat.webVTT), ("WEBVTT title", .webVTT), ("\u{FEFF}WEBVTT\n\n", .webVTT),
      ("WEBVTTX", nil),
      ("1\n00:00:01,000 --> 00:00:02,000\nx", .subRip), ("\n\n01:02.3 --> 01:03.4", .subRip),
      ("[Script Info]\nTitle: x", .ass), ("; made by\n\n[V4+ Styles]\n", .ass), ("a --> b", nil), ("", nil),
      ("#EXTM3U\n", nil), ("{\"a\": 1}", nil),
    ] as [(String, SubtitleFormat?)])
  func formatsAreTold(text: String, format: SubtitleFormat?) {
    #expect(SubtitleFormat.probe(Array(text.utf8)) == format)
  }

  @Test func encodings() throws {
    let text = "1\r\n00:00:01,000 --> 00:00:02,000\r\nnaïve “é”\r\rdeux\r\n"
    let wanted = ["1000-2000 naïve “é”|deux"]
    var little: [UInt8] = [0xFF, 0xFE]
    var big: [UInt8] = [0xFE, 0xFF]
    for unit in text.utf16 {
      little += [UInt8(unit & 255), UInt8(unit >> 8)]
      big += [UInt8(unit >> 8), UInt8(unit & 255)]
    }
    big.append(0)
    let windows = text.unicodeScalars.map { scalar -> UInt8 in
      switch scalar {
      case "“": 0x93
      case "”": 0x94
      default: UInt8(scalar.value)
      }
    }
    let plain = Array(text.utf8)
    let files: [[UInt8]] = [plain, [0xEF, 0xBB, 0xBF] + plain, little, big, windows]
    for bytes in files {
      #expect(SubtitleFormat.probe(bytes) == .subRip)
      #expect(try summary(SubtitleDocument.parse(bytes, format: .subRip).document) == wanted)
    }
  }
}

import Packaging
import Testing

@Suite("Cue text and settings are made valid")
struct SubtitleCueTests {
  private func text(_ source: String) -> String? {
    SubtitleCue(startMilliseconds: 0, endMilliseconds: 1, text: source)?.text
  }

  private func settings(_ source: String) -> String? {
    SubtitleCue(startMilliseconds: 0, endMilliseconds: 1, settings: source, text: "x")?.settings
  }

  @Test(
    arguments: [
      ("plain", "plain"),
      ("two\nlines", "two\nlines"),
      ("\n\nno \t\n \nempty\n\n lines  \n", "no\nempty\n lines"),
      ("a --> b", "a --&gt; b"),
      ("1 < 2 > 0", "1 &lt; 2 &gt; 0"),
      ("<3 you", "&lt;3 you"),
      ("open <b", "open &lt;b"),
      ("<- <i>x</i>", "&lt;- <i>x</i>"),
      ("Tom & Jerry &amp; co &eacute;", "Tom &amp; Jerry &amp; co &eacute;"),
      ("&#60;&#x26;&#39;&#233;", "&lt;&amp;'é"),
      ("&#xD800; &#99999999;", "&amp;#xD800; &amp;#99999999;"),
      ("&; &# &#; &#x;", "&amp;; &amp;# &amp;#; &amp;#x;"),
      ("a\u{0}b\u{7}c\u{7F}d", "abcd"),
      ("<i>never closed", "<i>never closed</i>"),
      ("never opened</i>", "never opened"),
      ("<b>1<i>2</b>3</i>", "<b>1<i>2</i></b><i>3</i>"),
      ("<i>a<i>b</i>c", "<i>ab</i>c"),
      ("<font color=red>red</font> <blink>x</blink>", "red x"),
      ("<c.yellow.bg_blue>x</c>", "<c.yellow.bg_blue>x</c>"),
      ("<v  Mary\n Ann >Hi", "<v Mary Ann>Hi</v>"),
      ("<v a-->Hi</v>", "<v a>Hi</v>"),
      ("<c.-->x</c>", "<c.>x</c>"),
      ("<lang en-GB>colour</lang>", "<lang en-GB>colour</lang>"),
      ("<ruby>漢<rt>kan</rt></ruby>", "<ruby>漢<rt>kan</rt></ruby>"),
      ("<ruby>漢<rt>kan</ruby>.", "<ruby>漢<rt>kan</rt></ruby>."),
      ("one <00:01.5>two <1:00:00,250>three", "one <00:00:01.500>two <01:00:00.250>three"),
      ("<i></i>", nil), (" \n\t", nil), ("", nil), ("<font></font>", nil),
    ] as [(String, String?)])
  func textIsNormalised(source: String, wanted: String?) {
    #expect(text(source) == wanted)
    // What is normalised stays.
    if let wanted { #expect(text(wanted) == wanted) }
  }

  @Test func nestingIsBounded() throws {
    let deep = try #require(text(String(repeating: "<c>", count: 1000) + "x"))
    #expect(deep == String(repeating: "<c>", count: 16) + "x" + String(repeating: "</c>", count: 16))
  }

  @Test(arguments: [
    ("", ""),
    ("align:left line:0", "line:0 align:left"),
    (
      "line:-1 position:10%,line-left size:50.5% vertical:rl",
      "vertical:rl line:-1 position:10%,line-left size:50.5%"
    ),
    ("align:middle", "align:center"),
    ("line:10%,start line:20%", "line:20%"),
    ("line:abc size:101% size:100.0% position:50 align:top vertical:up", "size:100.0%"),
    ("region:fred X1:10 Y1:20 :x x: line", "region:fred"),
    ("region:a-->b line:1,middle", ""),
    ("line:123456789", ""),
  ])
  func settingsAreNormalised(source: String, wanted: String) {
    #expect(settings(source) == wanted)
    #expect(settings(wanted) == wanted)
  }

  @Test func whatIsNeverSeenIsNoCue() {
    #expect(SubtitleCue(startMilliseconds: 5, endMilliseconds: 5, text: "x") == nil)
    #expect(SubtitleCue(startMilliseconds: 6, endMilliseconds: 5, text: "x") == nil)
    #expect(SubtitleCue(startMilliseconds: 0, endMilliseconds: .max, text: "x") == nil)
    #expect(SubtitleCue(startMilliseconds: 0, endMilliseconds: 359_999_999_999, text: "x") != nil)
  }

  @Test(
    arguments: [
      ("12", "12"), (" a b ", "a b"), ("a\nb", "ab"), ("", nil), ("a-->b", nil), ("NOTE x", nil),
      ("STYLE", nil),
      ("region", nil),
    ] as [(String, String?)])
  func identifiers(source: String, wanted: String?) {
    let cue = SubtitleCue(startMilliseconds: 0, endMilliseconds: 1, text: "x", identifier: source)
    #expect(cue?.identifier == wanted)
  }
}

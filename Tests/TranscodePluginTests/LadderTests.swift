import Foundation
import Origin
import Support
import Testing

@testable import TranscodePlugin

@Suite("Ladders")
struct LadderTests {
  private func decode(_ text: String) -> (ladder: Ladder, problems: [ConfigProblem]) {
    let (table, problems) = Ladder.section.decode(text: text, file: "ladders/own.toml")
    return (Ladder(table), problems)
  }

  @Test func theShippedFileShowsTheDefaults() throws {
    let text = try String(
      contentsOf: Checkout.root.appending(path: "etc/ladders/default.toml"), encoding: .utf8)
    let (ladder, problems) = decode(text)
    #expect(problems.isEmpty)
    #expect(ladder == Ladder(Ladder.section.defaults))
    #expect(ladder.rungs.map(\.name) == ["240p", "360p", "480p", "720p", "1080p", "1440p", "2160p"])
    #expect(ladder.rungs.map(\.kilobitsPerSecond) == [400, 800, 1500, 3000, 6000, 10_000, 20_000])
    for key in Ladder.section.keys { #expect(text.contains("\n\(key.name) = "), "\(key.name)") }
  }

  @Test func aRungHasItsOwnOrTheLadders() {
    let (ladder, problems) = decode(
      """
      preset = "fast"
      quality = 20
      rungs = [
        { name = "b", height = 480, kbps = 900, encoder = "libsvtav1" },
        { name = "a", height = 240, kbps = 300, quality = 25 },
      ]
      """)
    #expect(problems.isEmpty)
    #expect(ladder.rungs.map(\.name) == ["a", "b"])
    #expect(ladder.rungs.map(\.encoder) == ["libx264", "libsvtav1"])
    // A word for one encoder is none for another.
    #expect(ladder.rungs.map(\.preset) == ["fast", ""])
    #expect(ladder.rungs.map(\.quality) == [25, 20])
  }

  @Test(
    arguments: [
      ("presett = \"fast\"", "1:1: ", "unknown key"),
      ("quality = 99", "1:11: ", "must be from 1 to 63"),
      ("encoder = \"x264\"", "1:11: ", "libx264"),
      ("rungs = [\n  { name = \"a\", height = 241, kbps = 300 },\n]", "2:26: ", "even height"),
      ("rungs = [\n  { name = \"a\", height = 240 },\n]", "2:3: ", "at least 16 kbit/s"),
      ("rungs = [\n  { height = 240, kbps = 300 },\n]", "2:3: ", "needs the key \"name\""),
      (
        "rungs = [\n  { name = \"a\", height = 240, kbps = 300 },\n  { name = \"a\", height = 360, kbps = 600 },\n]",
        "3:12: ", "stands twice"
      ),
    ])
  func aProblemSaysWhereItIs(text: String, place: String, message: String) throws {
    let problem = try #require(decode(text).problems.first)
    #expect("\(problem.line):\(problem.column): " == place, "\(problem)")
    #expect("\(problem)".contains(message), "\(problem)")
  }
}

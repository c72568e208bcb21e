import Store
import Testing

@testable import Origin

@Suite struct VideoMetadataTests {
  @Test func wholeMetadataReplaceAll() throws {
    let some = try VideoMetadata(whole: Array(#"{"title":"T","tags":["a","b"]}"#.utf8))
    #expect((some.title, some.description, some.privacy) == ("T", "", .public))
    #expect(some.tags == ["a", "b"])
  }

  @Test func aPatchLeavesWhatItDoesNotSay() throws {
    let patch = try VideoMetadata(patch: Array(#"{"title":null,"privacy":"private"}"#.utf8))
    #expect((patch.title, patch.description, patch.privacy) == ("", nil, .private))
    #expect(patch.tags == nil)
  }

  static let refused: [(String, String, String)] = [
    ("[]", "invalid-field", "an array"), ("{", "invalid-json", "at byte 1"),
    (#"{"title":1}"#, "invalid-field", #""title" is a number; it must be a string"#),
    (#"{"tags":"a"}"#, "invalid-field", #""tags" is a string; it must be an array"#),
    (#"{"tags":["a",{}]}"#, "invalid-field", #""tags[1]" is an object"#),
    (#"{"tags":["a","a"]}"#, "invalid-field", #""tags[1]" is in the list already"#),
    (#"{"tags":[""]}"#, "invalid-field", #""tags[0]" is empty"#),
    (#"{"title":"a\nb"}"#, "invalid-field", "control character"),
    (#"{"privacy":"secret"}"#, "invalid-field", "public, unlisted, private"),
    (#"{"thumbnail_time":"1"}"#, "invalid-field", "must be a number"),
    (#"{"thumbnail_time":-1}"#, "invalid-field", "from 0 to 345600"),
    (#"{"thumbnail_time":345601}"#, "invalid-field", "from 0 to 345600"),
    (#"{"thumbnail_time":1e300}"#, "invalid-field", "from 0 to 345600"),
    (#"{"thumbnail_time":99999999999999999999}"#, "invalid-field", "from 0 to 345600"),
    (#"{"status":"ready"}"#, "invalid-field", #"The key "status" is unknown"#),
    (#"{"title":"a","title":"b"}"#, "invalid-json", "twice"),
    (#"{"title":"\#(String(repeating: "x", count: 501))"}"#, "invalid-field", "more than 500"),
  ]

  @Test(arguments: refused) func saysWhatIsWrong(text: String, code: String, detail: String) throws {
    let problem = try #require(throws: Problem.self) { try VideoMetadata(patch: Array(text.utf8)) }
    #expect(problem.status == 400 && problem.code == code)
    #expect(problem.detail.contains(detail), "\(problem.detail)")
  }

  @Test(
    arguments: [
      ("12.5", 12_500), ("0", 0), ("-0", 0), ("1.0009", 1000), ("345600", 345_600_000), ("1.5e1", 15_000),
      ("0.04", 40),
    ] as [(String, UInt64)])
  func theTimeOfThePosterIsInSeconds(text: String, milliseconds: UInt64) throws {
    let patch = try VideoMetadata(patch: Array("{\"thumbnail_time\":\(text)}".utf8))
    #expect(patch.thumbnailMilliseconds == .some(.some(milliseconds)))
    #expect(patch.members == ["thumbnail_time"])
  }

  @Test func theTimeOfThePosterCanBeTakenAway() throws {
    #expect(try VideoMetadata(patch: Array("{}".utf8)).thumbnailMilliseconds == nil)
    #expect(
      try VideoMetadata(patch: Array(#"{"thumbnail_time":null}"#.utf8)).thumbnailMilliseconds == .some(nil))
    #expect(try VideoMetadata(whole: Array("{}".utf8)).thumbnailMilliseconds == .some(nil))
  }

  @Test func textsOfTheLongestLengthAreTaken() throws {
    let title = String(repeating: "é", count: VideoMetadata.titleCharacters)
    #expect(try VideoMetadata(patch: Array("{\"title\":\"\(title)\"}".utf8)).title == title)
    #expect(try VideoMetadata(patch: Array(#"{"description":"a\nb\tc"}"#.utf8)).description == "a\nb\tc")
  }
}

import FoundationEssentials
import Store
import Testing

@testable import Origin

/// What a worker elsewhere tells the origin reads back as what it was.
@Suite struct JobResultMessageTests {
  private static let blob = BlobID.digest(of: Array("a blob".utf8))

  static let results: [JobResult] = [
    JobResult(),
    JobResult(result: [0, 1, 255], keptBlobs: [blob]),
    JobResult(
      result: Array("{}".utf8), keptBlobs: [blob, BlobID.digest(of: [2])],
      followUps: [
        JobDraft(
          site: "demo", kind: "t.a", key: "Ü/\"", asset: "film", priority: 7, payload: [1, 2, 3],
          dependencies: [JobID(site: "a", kind: "b", key: "c")], notBeforeMilliseconds: .max,
          supersedes: true,
          servesDependantsOnly: true), JobDraft(site: "demo", kind: "t.b", key: ""),
      ],
      change: .renditions(
        asset: "film", ifSource: blob,
        add: [
          RenditionRecord(
            name: "720p", kind: .video, blob: blob, trackIndex: 3, language: "de", label: "A", isForced: true),
          RenditionRecord(name: "audio", kind: .audio, blob: blob),
        ], remove: ["source"], status: .ready)),
    JobResult(change: .renditions(asset: "film", ifSource: blob, add: [], status: nil)),
  ]

  @Test(arguments: results) func readsBack(result: JobResult) throws {
    let bytes = try JobResultMessage.encoder().encode(JobResultMessage(result, fence: .max))
    let message = try JobResultMessage.decoder().decode(JobResultMessage.self, from: bytes)
    #expect(message.jobResult == result && message.fence == .max)
  }

  @Test func whatIsNoNameIsRefused() throws {
    let bytes = try JobResultMessage.encoder().encode(JobResultMessage(Self.results[2], fence: 1))
    let text = String(decoding: bytes, as: UTF8.self)
    let id = "\(JobID(site: "a", kind: "b", key: "c"))"
    for (old, new) in [
      (Self.blob.hex, "00"), (id, "x"), ("\"video\"", "\"film\""), ("\"ready\"", "\"done\""),
    ] {
      let broken = text.replacing(old, with: new)
      #expect(broken != text, "\(old)")
      let message = try JobResultMessage.decoder().decode(
        JobResultMessage.self, from: Data(Array(broken.utf8)))
      #expect(message.jobResult == nil, "\(old)")
    }
  }

  @Test func endingsReadBack() {
    for ending in [JobEnding.completed, .lost, .cancelled(JobError(code: "a", message: "b"))] {
      #expect(JobResultMessage.Answer(ending).jobEnding == ending)
    }
  }

  @Test func rangesAreReadStrictly() throws {
    let range = try #require(OriginClient.range("bytes 5-9/10"))
    #expect(range.first == 5 && range.last == 9 && range.total == 10)
    for text in [
      "", "bytes 5-9/*", "bytes */10", "bytes 9-5/10", "bytes 5-10/10", "lines 5-9/10", "bytes 5-9",
    ] {
      #expect(OriginClient.range(text) == nil, "\(text)")
    }
  }
}

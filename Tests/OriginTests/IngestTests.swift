import Foundation
import Glibc
import Packaging
import Store
import Testing

@testable import Origin

/// Imports into a store, with a shell script in the place of the program for other containers.
@Suite struct IngestTests {
  private let folder: StoreFolder
  private let files: ConfigFolder

  init() throws {
    folder = try StoreFolder()
    files = try ConfigFolder()
  }

  /// - Parameter script: what the program does; nil where it is not installed.
  private func ingest(_ script: String? = nil) throws -> Ingest {
    var ingest = Ingest(store: folder.store, site: "default", segmentMilliseconds: 2000)
    let program = try script.map { try files.write("program", "#!/bin/sh\n\($0)\n", mode: 0o700) }
    ingest.findProgram = { () throws(MediaProcessError) in
      guard let program else { throw MediaProcess.missing }
      return MediaProcess(program: program)
    }
    return ingest
  }

  /// A file that the probe takes for Matroska; no test reads further.
  private func matroska() throws -> String {
    let path = try files.write("film.mkv", "")
    let file = open(path, O_WRONLY)
    defer { close(file) }
    let bytes: [UInt8] = [0x1A, 0x45, 0xDF, 0xA3, 0x42, 0x82, 0x88] + Array("matroska".utf8)
    #expect(write(file, bytes, bytes.count) == bytes.count)
    return path
  }

  /// A script that reports, having written a file as its output.
  private func remux(_ output: String = "/dev/null", _ change: (inout RemuxReport) -> Void = { _ in }) throws
    -> String
  {
    var report = RemuxReport()
    change(&report)
    let text = String(decoding: try JSONEncoder().encode(report), as: UTF8.self)
    let path = try files.write("report.json", text)
    return "cat '\(output)' >&4; cat '\(path)' >&5"
  }

  private func incoming() throws -> [String] {
    try ConfigFixture.names(in: folder.path + "/storage/incoming")
  }

  private func refusal(_ body: () throws(IngestError) -> AssetRecord) -> String? {
    do throws(IngestError) {
      _ = try body()
      return nil
    } catch { return error.code }
  }

  @Test func anotherContainerIsKeptAndPackagedFromAnMP4OfItsSamples() throws {
    guard let media = SharedMediaFile.path("h264-aac-2997.mp4") else { return }
    let record = try ingest(try remux(media)).importFile(path: try matroska(), id: "film", title: nil)
    #expect(record.mediaType == "video/x-matroska" && record.reason == nil && record.title == "film")
    #expect(record.renditions.map(\.name) == ["source", "audio"])
    let blob = try #require(record.renditions.first?.blob)
    #expect(blob != record.source && Set(record.renditions.map(\.blob)) == [blob])
    // What is packaged has our own form, however the program wrote it.
    let stored = try FileBytes(path: folder.store.blobs.path(of: blob))
    guard case .packageable(let movie) = MediaInspector.inspect(stored) else {
      Issue.record("the stored MP4 can't be packaged")
      return
    }
    #expect(ProgressiveFile(movie).slices.count == 1)
    #expect(try folder.store.blobs.openSidecar(blob) != nil)
    #expect(try incoming().isEmpty)
    // The same again is the same asset.
    let again = try ingest(try remux(media)).importFile(path: try matroska(), id: "film", title: nil)
    #expect(again == record)
  }

  @Test func whatTheProgramReportsIsTold() throws {
    guard let media = SharedMediaFile.path("h264-aac-2997.mp4") else { return }
    var ingest = try ingest(
      try remux(media) { report in
        report.kept = ["", "Commentary\u{7}"].enumerated().map {
          .init(streamIndex: $0, codecName: "aac", language: nil, title: $1, isDefault: true)
        }
        report.leftOut = [
          .init(
            streamIndex: 7, kind: "subtitle", codecName: "pgs", language: nil,
            reason: .init(code: "bitmap-subtitles", message: "Pictures."))
        ]
        report.defects = [.init(code: "gap", message: "A gap.")]
        report.warnings = [.init(code: "sandbox-partial", message: "No landlock.")]
        func subtitles(_ language: String?, isForced: Bool, _ texts: [String]) -> RemuxReport.Subtitles {
          .init(
            streamIndex: 3, language: language, title: isForced ? "Signs" : nil, isForced: isForced,
            isDefault: false, format: .subrip, header: "",
            cues: texts.enumerated().map {
              .init(
                startMilliseconds: Int64($0) * 2000, endMilliseconds: Int64($0) * 2000, text: $1, settings: ""
              )
            })
        }
        report.subtitles = [
          subtitles("eng", isForced: false, ["<i>one</i>", "two"]),
          subtitles("eng", isForced: true, ["three"]),
          subtitles(nil, isForced: false, ["four"]), subtitles("ger", isForced: false, []),
        ]
      })
    nonisolated(unsafe) var notices: [String] = []
    ingest.notice = { notices.append($0) }
    let record = try ingest.importFile(path: try matroska(), id: "film", title: nil)
    #expect(record.defects.contains("gap: A gap."))
    #expect(record.defects.contains("track-left-out: track 7 (pgs): Pictures."))
    #expect(notices.contains { $0.contains("[sandbox-partial]") })
    #expect(record.renditions.map(\.label) == [nil, "Commentary", nil, "Signs", nil])
    #expect(
      record.renditions.map(\.name) == ["source", "audio", "subtitle-en", "subtitle-en-2", "subtitle-und"])
    #expect(record.renditions.map(\.isForced) == [false, false, false, true, false])
    // A cue without an end lasts until the next one, the last five seconds.
    let blob = try folder.store.blobs.open(record.renditions[2].blob).readAll()
    let text = String(decoding: blob, as: UTF8.self)
    #expect(text.contains("00:00:00.000 --> 00:00:02.000\n<i>one</i>"))
    #expect(text.contains("00:00:02.000 --> 00:00:07.000\ntwo"))
  }

  @Test(arguments: [
    ("exit 1", "media-program-failed"), ("kill -11 $$", "media-program-failed"),
    (nil, "media-program-missing"),
  ])
  func withoutAReportTheBytesAreKeptWithTheReason(script: String?, code: String) throws {
    let record = try ingest(script).importFile(path: try matroska(), id: "film", title: nil)
    #expect(record.reason?.contains("[\(code)]") == true, "\(record.reason ?? "")")
    #expect(record.renditions.isEmpty && record.source != nil)
    #expect(record.reason?.contains("/") == false, "no path is shown")
    #expect(try incoming().isEmpty)
  }

  @Test func anOutputThatIsNoMovieIsAReasonToo() throws {
    let rubbish = try files.write("rubbish", "rubbish")
    let record = try ingest(try remux(rubbish)).importFile(path: try matroska(), id: "film", title: nil)
    #expect(record.reason != nil && record.renditions.isEmpty)
    #expect(try incoming().isEmpty)
  }

  @Test func failuresGoByTheirKind() throws {
    func outcome(_ kind: RemuxReport.Failure.Kind) throws -> String? {
      let script = try remux { $0.failure = .init(kind: kind, code: "some-code", message: "Words.") }
      let (ingest, path) = (try ingest(script), try matroska())
      return refusal { () throws(IngestError) in try ingest.importFile(path: path, id: "film", title: nil) }
    }
    #expect(try outcome(.damaged) == "refused")
    #expect(try outcome(.environment) == "media-program")
    let none = try folder.store.read { reader throws(StoreError) in
      try reader.asset(site: "default", id: "film")
    }
    #expect(none == nil)
    #expect(try outcome(.unsupported) == nil)
    let kept = try folder.store.read { reader throws(StoreError) in
      try reader.asset(site: "default", id: "film")
    }
    #expect(kept?.reason == "Words. [some-code]" && kept?.renditions.isEmpty == true)
    #expect(try incoming().isEmpty)
  }

  @Test func aRenditionJoinsAnAssetAndIsReplaced() throws {
    guard let source = SharedMediaFile.path("h264-video-only.mp4"),
      let other = SharedMediaFile.path("h264-aac-2997.mp4"), let sound = SharedMediaFile.path("heaac.mp4")
    else { return }
    let ingest = try ingest()
    #expect(
      refusal { () throws(IngestError) in try ingest.addRendition("720p", path: other, to: "film") }
        == "no-asset")
    let first = try ingest.importFile(path: source, id: "film", title: "Film")
    let second = try ingest.addRendition("720p", path: other, to: "film")
    #expect(second.renditions.map(\.name) == ["source", "720p", "audio"])
    #expect(second.renditions[1].blob == second.renditions[2].blob && second.source == first.source)
    #expect(second.title == "Film" && second.generation != first.generation)
    // 1.0 s of 3:2 beside 2.7 s of 16:9.
    #expect(second.defects.contains { $0.hasPrefix("aspect-ratio-mismatch: Renditions source and 720p") })
    // Sound there is already stays.
    let third = try ingest.addRendition("360p", path: other, to: "film")
    #expect(third.renditions.map(\.name) == ["source", "720p", "360p", "audio"])
    let fourth = try ingest.addRendition("stereo", path: sound, to: "film")
    #expect(fourth.renditions.map(\.kind) == [.video, .video, .video, .audio, .audio])
    #expect(
      refusal { () throws(IngestError) in try ingest.addRendition("stereo", path: other, to: "film") }
        == "rendition-kind")
    // The same bytes under the same name are no new generation.
    #expect(try ingest.addRendition("stereo", path: sound, to: "film") == fourth)
    let fifth = try ingest.addRendition("720p", path: source, to: "film")
    #expect(fifth.renditions.map(\.name) == fourth.renditions.map(\.name))
    #expect(!fifth.defects.contains { $0.contains("source and 720p") })
    #expect(fifth.defects.count { $0.contains("rendition 720p: ") } <= 1)
  }

  @Test func aRenditionMakesAnAssetOfBytesPlay() throws {
    guard let media = SharedMediaFile.path("h264-aac-2997.mp4") else { return }
    let ingest = try ingest()
    #expect(try ingest.importFile(path: try matroska(), id: "film", title: nil).reason != nil)
    let record = try ingest.addRendition("360p", path: media, to: "film")
    #expect(record.reason == nil && record.renditions.map(\.name) == ["360p", "audio"])
    #expect(record.defects.contains { $0.hasPrefix("source-not-packaged: ") })
  }

  @Test func subtitlesJoinAndAreReplaced() throws {
    guard let media = SharedMediaFile.path("h264-video-only.mp4") else { return }
    func subtitle(_ language: String, _ text: String) throws -> SidecarSubtitle {
      let path = try files.write("\(language).srt", "1\n00:00:01,000 --> 00:00:02,000\n\(text)\n")
      return try #require(SidecarSubtitle(language: language, path: path))
    }
    let ingest = try ingest()
    let first = try ingest.importFile(
      path: media, id: "film", title: nil, subtitles: [try subtitle("en", "one"), try subtitle("de", "eins")])
    #expect(first.renditions.map(\.name) == ["source", "subtitle-en", "subtitle-de"])
    #expect(first.renditions.map(\.language) == [nil, "en", "de"])
    let blob = try folder.store.blobs.open(first.renditions[1].blob).readAll()
    #expect(String(decoding: blob, as: UTF8.self).hasPrefix("WEBVTT\n"))
    let second = try ingest.addSubtitles([try subtitle("en", "two")], to: "film")
    #expect(second.renditions.map(\.name) == first.renditions.map(\.name))
    #expect(second.renditions[1].blob != first.renditions[1].blob && second.generation != first.generation)
    #expect(second.renditions[2] == first.renditions[2])
    // Upkeep looks for no packaging index beside subtitles.
    let report = try IndexUpkeep(store: folder.store).run(
      site: "default", segmentMilliseconds: 2000, repairs: false)
    #expect(report.checked == 1 && report.unusable.isEmpty)
  }

  @Test func anUnreadableSubtitleRefusesTheImport() throws {
    guard let media = SharedMediaFile.path("h264-video-only.mp4") else { return }
    let path = try files.write("en.srt", "no cue at all")
    let subtitle = try #require(SidecarSubtitle(language: "en", path: path))
    let ingest = try ingest()
    let code = refusal { () throws(IngestError) in
      try ingest.importFile(path: media, id: "film", title: nil, subtitles: [subtitle])
    }
    #expect(code == "subtitle-refused")
    #expect(
      refusal { () throws(IngestError) in try ingest.addSubtitles([subtitle], to: "film") } == "no-asset")
    #expect(SidecarSubtitle(language: "not a tag", path: "x") == nil)
  }

  @Test(arguments: [
    ("720p", true), ("hd_2", true), ("audio-de", true), ("source", false), ("g", false), ("", false),
    ("subtitle-en", false), ("a/b", false), ("ü", false), (String(repeating: "a", count: 33), false),
  ])
  func namesOfRenditions(name: String, isValid: Bool) { #expect(Ingest.isRenditionName(name) == isValid) }
}

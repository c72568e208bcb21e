import Foundation
import Packaging
import Support
import Testing

/// What becomes of a shared file: `kept`, `leftOut` and `subtitles` by stream and code, `failure` by code.
struct RemuxExpectation: Sendable, CustomTestStringConvertible {
  var name: String
  var kept: [String] = []
  var leftOut: [String] = []
  var subtitles: [String] = []
  var failure: String?
  var defects: [String] = []
  /// Packets at the start of sound streams that are too damaged to be written.
  var lost = 0
  var testDescription: String { name }
}

@Suite("Remuxing real files")
struct RemuxTests {
  static let expectations: [RemuxExpectation] = {
    let dvbLeftOut = [
      "5 bitmap-subtitles", "6 bitmap-subtitles", "7 bitmap-subtitles", "8 data", "9 data",
    ]
    let dvbKept = ["0 h264", "1 eac3 fra", "2 eac3 fra", "3 eac3 qaa", "4 eac3 deu"]
    return [
      RemuxExpectation(name: "av1.webm", kept: ["0 av1"]),
      RemuxExpectation(name: "mkv-ass.mkv", kept: ["0 h264", "1 ac3"], subtitles: ["2 ass 1"]),
      RemuxExpectation(name: "mkv-av1.mkv", kept: ["0 av1"]),
      RemuxExpectation(name: "mkv-h264-aac-60s-5fps.mkv", kept: ["0 h264", "1 aac"]),
      RemuxExpectation(name: "mkv-pgs.mkv", kept: ["0 h264", "1 ac3"], leftOut: ["2 bitmap-subtitles"]),
      RemuxExpectation(name: "mkv-srt.mkv", kept: ["0 h264", "1 ac3"], subtitles: ["2 subrip 1 eng"]),
      RemuxExpectation(
        name: "ts-declared-silent-pids.ts", kept: ["3 eac3 eng"],
        leftOut: ["0 no-samples", "1 no-samples", "2 no-samples", "4 data"]),
      RemuxExpectation(name: "ts-h264-aac-6s.ts", kept: ["0 h264", "1 aac"]),
      RemuxExpectation(name: "ts-h264-aac-pts-wrap.ts", kept: ["0 h264", "1 aac"]),
      RemuxExpectation(name: "ts-h264-aac.ts", kept: ["0 h264", "1 aac"]),
      RemuxExpectation(name: "ts-h264-ac3.ts", kept: ["0 h264", "1 ac3"]),
      RemuxExpectation(name: "ts-h264-cea608.ts", kept: ["0 h264"]),
      RemuxExpectation(name: "ts-h264-mp3-id3.ts", kept: ["0 h264", "1 mp3"], leftOut: ["2 data"]),
      RemuxExpectation(name: "ts-hevc-aac.ts", kept: ["0 hevc", "1 aac"]),
      RemuxExpectation(name: "ts-live-1080-mp2.ts", kept: ["0 h264"], leftOut: ["1 codec"]),
      RemuxExpectation(
        name: "ts-live-dvb-a.ts", kept: dvbKept, leftOut: dvbLeftOut,
        defects: ["damaged-packets", "packets-dropped"], lost: 2),
      RemuxExpectation(
        name: "ts-live-dvb-b.ts", kept: dvbKept, leftOut: dvbLeftOut,
        defects: ["damaged-packets"]),
      RemuxExpectation(
        name: "ts-mpeg2-1080p.ts", leftOut: ["0 codec", "1 codec"], failure: "no-packageable-track"),
      RemuxExpectation(
        name: "ts-scte35-mpeg2.ts", leftOut: ["0 codec", "1 codec", "2 data"],
        failure: "no-packageable-track"),
      RemuxExpectation(
        name: "vp8-live-no-duration.webm", leftOut: ["0 codec", "1 codec"], failure: "no-packageable-track"),
      RemuxExpectation(
        name: "vp8-vorbis.webm", leftOut: ["0 codec", "1 codec"], failure: "no-packageable-track"),
      RemuxExpectation(
        name: "vp8-webvtt.webm", leftOut: ["0 codec", "1 codec"], failure: "no-packageable-track"),
      RemuxExpectation(name: "vp9-opus.webm", kept: ["0 vp9", "1 opus"]),
    ]
  }()

  @Test func everySharedFileIsExpected() throws {
    guard let folder = SharedMedia.folder else { return print("note:", SharedMedia.absence) }
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { $0.hasSuffix(".ts") || $0.hasSuffix(".mkv") || $0.hasSuffix(".webm") }
    #expect(names.sorted() == Self.expectations.map(\.name).sorted())
  }

  @Test(arguments: expectations) func aFileBecomesWhatItShould(expected: RemuxExpectation) throws {
    guard SharedMedia.folder != nil, Oracle.isThere else { return print("note:", SharedMedia.absence) }
    let source = try SharedMedia.path(expected.name)
    let remuxed = try Remuxed(source, demuxer: Remuxed.demuxer(of: expected.name))
    let report = try #require(remuxed.report, "status \(remuxed.status) \(remuxed.errors)")
    let kept = report.kept.map { kept in
      ["\(kept.streamIndex)", kept.codecName, kept.language].compactMap { $0 }.joined(separator: " ")
    }
    let subtitles = report.subtitles.map { text in
      ["\(text.streamIndex)", text.format.rawValue, "\(text.cues.count)", text.language].compactMap { $0 }
        .joined(separator: " ")
    }
    #expect(kept == expected.kept)
    #expect(subtitles == expected.subtitles)
    #expect(report.leftOut.map { "\($0.streamIndex) \($0.reason.code)" } == expected.leftOut)
    #expect(report.failure?.code == expected.failure)
    #expect(report.defects.map(\.code) == expected.defects)
    guard report.failure == nil else { return }
    for (track, stream) in report.kept.enumerated() {
      try compare(stream, source, remuxed.outputPath, track: track, lost: expected.lost)
    }
    try compareTimes(report, source, remuxed.outputPath)
    inspect(report, try bytes(ofFile: remuxed.outputPath))
  }

  private func compare(_ kept: RemuxReport.Kept, _ source: String, _ output: String, track: Int, lost: Int)
    throws
  {
    if ["h264", "hevc", "av1", "vp9"].contains(kept.codecName) {
      let before = try Oracle.pictures(source, stream: kept.streamIndex)
      let after = try Oracle.pictures(output, stream: track)
      #expect(!after.isEmpty)
      #expect(before == after, "pictures of stream \(kept.streamIndex)")
    } else {
      let filter = kept.codecName == "aac" && source.hasSuffix(".ts") ? "aac_adtstoasc" : nil
      let before = try Oracle.packets(source, stream: kept.streamIndex, filter: filter)
      let after = try Oracle.packets(output, stream: track)
      #expect(!after.isEmpty)
      #expect(before.count - after.count <= lost)
      #expect(before.suffix(after.count) == after[...], "packets of stream \(kept.streamIndex)")
    }
  }

  /// The first thing is at zero, streams are as far from each other as in the source, decode times increase.
  private func compareTimes(_ report: RemuxReport, _ source: String, _ output: String) throws {
    let before = try report.kept.map { try Oracle.times(source, stream: $0.streamIndex) }
    let after = try report.kept.indices.map { try Oracle.times(output, stream: $0) }
    for track in report.kept.indices {
      // Damaged packets are missing at the start of a stream: compare the last that both have.
      let first = try #require(before[0].last)
      let own = try #require(before[track].last)
      let newFirst = try #require(after[0].last)
      let newOwn = try #require(after[track].last)
      let difference = (own.presentation - first.presentation) - (newOwn.presentation - newFirst.presentation)
      #expect(abs(difference) < 0.0021, "last of \(track): \(difference)")
      if before[track].count == after[track].count, before[0].count == after[0].count {
        let offset = before[track][0].presentation - before[0][0].presentation
        let newOffset = after[track][0].presentation - after[0][0].presentation
        #expect(abs(offset - newOffset) <= 0.001, "first of \(track): \(offset) and \(newOffset)")
      }
      let decode = after[track].compactMap(\.decode)
      let isIncreasing = zip(decode, decode.dropFirst()).allSatisfy { $0 < $1 }
      #expect(decode.count == after[track].count && isIncreasing)
    }
    let start = try #require(after.compactMap { $0.map(\.presentation).min() }.min())
    // An encoder's delay stands before zero.
    #expect(start <= 0.0001 && start > -0.05, "\(start)")
  }

  private func inspect(_ report: RemuxReport, _ output: [UInt8]) {
    guard report.kept.allSatisfy({ ["h264", "hevc", "aac"].contains($0.codecName) }) else { return }
    guard case .packageable(let movie) = MediaInspector.inspect(ArraySource(output)) else {
      Issue.record("\(MediaInspector.inspect(ArraySource(output)))")
      return
    }
    #expect(movie.tracks.count == report.kept.count)
  }

  @Test func subtitlesAreOnTheClockOfTheOutput() throws {
    guard SharedMedia.folder != nil else { return print("note:", SharedMedia.absence) }
    let ass = try Remuxed(SharedMedia.path("mkv-ass.mkv"), demuxer: "matroska").report?.subtitles.first
    // The file's first picture is at 67 ms, the text at 0.
    #expect(ass?.cues.first?.startMilliseconds == -67)
    #expect(ass?.cues.first?.endMilliseconds == 433)
    #expect(ass?.cues.first?.text == "0,0,Default ,Olly,,,,,This is the first subtitle.")
    #expect(ass?.header.hasPrefix("[Script Info]") == true)
    let srt = try Remuxed(SharedMedia.path("mkv-srt.mkv"), demuxer: "matroska").report?.subtitles.first
    #expect(srt?.title == "Subs Label")
    #expect(
      srt?.cues == [
        RemuxReport.Cue(
          startMilliseconds: 0, endMilliseconds: 1234, text: "This is the first subtitle.", settings: "")
      ])
  }
}

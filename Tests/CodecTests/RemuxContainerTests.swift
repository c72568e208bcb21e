import Foundation
import Packaging
import Support
import Testing

/// Containers of which there is no shared file: ffmpeg puts shared streams into them first, without coding.
@Suite("Remuxing containers made for it")
struct RemuxContainerTests {
  private func made(_ name: String, from source: String, _ arguments: [String], _ folder: TemporaryFolder)
    throws -> String
  {
    let path = folder.path(name)
    let ended = try Command.run(
      "ffmpeg",
      ["-nostdin", "-v", "error", "-i", try SharedMedia.path(source)] + arguments + ["-c", "copy", path])
    #expect(ended.status == 0, "\(ended.errors)")
    return path
  }

  private var isPossible: Bool {
    if SharedMedia.folder != nil, Oracle.isThere { return true }
    print("note:", SharedMedia.absence)
    return false
  }

  @Test(
    arguments: [
      ("flv", "a.flv", "h264-aac-2997.mp4", ["h264", "aac"]), ("aac", "a.aac", "h264-aac-2997.mp4", ["aac"]),
      ("ogg", "a.ogg", "vp9-opus.webm", ["opus"]), ("flac", "a.flac", "flac.mp4", ["flac"]),
      ("mp3", "a.mp3", "ts-h264-mp3-id3.ts", ["mp3"]), ("matroska", "a.mkv", "flac.mp4", ["flac"]),
      ("matroska", "a.mkv", "alac.mp4", ["alac"]),
      ("matroska", "a.mkv", "hevc-hvc1-hdr10.mp4", ["hevc", "aac"]),
      ("matroska", "a.mkv", "h264-eac3.mp4", ["h264", "eac3"]),
      ("matroska", "a.mkv", "hevc-open-gop-720p.mp4", ["hevc", "aac"]),
      ("matroska", "a.mkv", "vfr-screen.mp4", ["h264", "aac"]),
      ("mpegts", "a.ts", "heaac.mp4", ["aac"]),
      ("mpegts", "a.ts", "demo-bbb-480p-30s-51.mp4", ["h264", "aac"]),
    ])
  func theSameStreamsComeOut(demuxer: String, name: String, source: String, codecs: [String]) throws {
    guard isPossible else { return }
    let folder = try TemporaryFolder("container")
    let isSoundAlone = codecs.count == 1
    let path = try made(name, from: source, isSoundAlone ? ["-vn"] : [], folder)
    let remuxed = try Remuxed(path, demuxer: demuxer)
    let report = try #require(remuxed.report, "status \(remuxed.status)")
    #expect(report.failure == nil)
    #expect(report.kept.map(\.codecName) == codecs)
    #expect(report.defects.isEmpty, "\(report.defects)")
    for (track, kept) in report.kept.enumerated() {
      if ["h264", "hevc"].contains(kept.codecName) {
        let before = try Oracle.pictures(path, stream: kept.streamIndex)
        let after = try Oracle.pictures(remuxed.outputPath, stream: track)
        #expect(before == after && !after.isEmpty)
      } else {
        let isADTS = kept.codecName == "aac" && ["aac", "mpegts"].contains(demuxer)
        let before = try Oracle.packets(
          path, stream: kept.streamIndex, filter: isADTS ? "aac_adtstoasc" : nil)
        let after = try Oracle.packets(remuxed.outputPath, stream: track)
        #expect(before == after && !after.isEmpty)
      }
    }
    if codecs.allSatisfy({ ["h264", "hevc", "aac"].contains($0) }) {
      let verdict = try MediaInspector.inspect(ArraySource(bytes(ofFile: remuxed.outputPath)))
      guard case .packageable(let movie) = verdict else {
        Issue.record("\(verdict)")
        return
      }
      #expect(movie.tracks.count == codecs.count)
    }
  }

  /// The same recording twice, the second time with the clock elsewhere.
  @Test(arguments: ["ts-h264-aac.ts", "ts-h264-aac-pts-wrap.ts"])
  func aJumpOfTheClockIsClosedUp(second: String) throws {
    guard isPossible else { return }
    let folder = try TemporaryFolder("container")
    let one = try bytes(ofFile: SharedMedia.path("ts-h264-aac.ts"))
    let both = try folder.write("both.ts", one + bytes(ofFile: SharedMedia.path(second)))
    let remuxed = try Remuxed(both, demuxer: "mpegts")
    let report = try #require(remuxed.report)
    #expect(report.defects.map(\.code).contains("discontinuity"))
    let pictures = try Oracle.pictures(SharedMedia.path("ts-h264-aac.ts"), stream: 0)
    let after = try Oracle.pictures(remuxed.outputPath, stream: 0)
    #expect(after == pictures + pictures)
    for track in 0..<2 {
      let times = try Oracle.times(remuxed.outputPath, stream: track).map(\.presentation).sorted()
      let widest = zip(times, times.dropFirst()).map { $1 - $0 }.max() ?? 0
      #expect(widest < 0.25, "\(widest)")
      #expect(times.last.map { $0 > 5.3 && $0 < 5.8 } == true)
    }
  }

  @Test func theFirstProgrammeWithPicturesIsKept() throws {
    guard isPossible else { return }
    let folder = try TemporaryFolder("container")
    let second = try SharedMedia.path("ts-h264-aac-6s.ts")
    // A programme of sound alone, one of both, and another of both.
    let path = try made(
      "two.ts", from: "ts-h264-aac.ts",
      [
        "-i", second, "-map", "1:1", "-map", "0:0", "-map", "0:1", "-map", "1:0", "-program", "title=a:st=0",
        "-program", "title=b:st=1:st=2", "-program", "title=c:st=3",
      ], folder)
    let report = try #require(try Remuxed(path, demuxer: "mpegts").report)
    #expect(report.kept.map(\.codecName).sorted() == ["aac", "h264"])
    #expect(report.leftOut.map(\.reason.code) == ["other-program", "other-program"])
  }

  @Test func theShapeOfThePixelsStays() throws {
    guard isPossible else { return }
    let folder = try TemporaryFolder("container")
    let path = try made("a.mkv", from: "sar-pasp.mp4", ["-t", "0.9"], folder)
    let remuxed = try Remuxed(path, demuxer: "matroska")
    func shape(_ path: String) throws -> String {
      try Command.run(
        "ffprobe", ["-v", "error", "-show_entries", "stream=sample_aspect_ratio", "-of", "csv=p=0", path]
      ).text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
    #expect(try shape(remuxed.outputPath) == shape(path))
    #expect(try shape(path) != "1:1")
  }

  @Test func picturesBeforeTheFirstKeyFrameAreDropped() throws {
    guard isPossible else { return }
    let folder = try TemporaryFolder("container")
    // The middle of a recording, with its tables at the start.
    let whole = try bytes(ofFile: SharedMedia.path("ts-h264-cea608.ts"))
    let packets = whole.count / 188
    let cut = try folder.write("cut.ts", whole[..<(188 * 3)] + whole[(188 * (packets / 2))...])
    let report = try #require(try Remuxed(cut, demuxer: "mpegts").report)
    #expect(report.failure == nil)
    #expect(report.defects.map(\.code).contains("no-key-frame-first"))
  }
}

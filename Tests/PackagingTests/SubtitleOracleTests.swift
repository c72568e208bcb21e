import Foundation
import Packaging
import Testing

/// Our reading of subtitles against ffmpeg's: the same cues at the same times with the same words.
@Suite("Subtitles equal ffmpeg's")
struct SubtitleOracleTests {
  private typealias Clip = FFmpegOracleTests.Clip

  /// Times and words, without tags and escapes.
  private func words(_ document: SubtitleDocument) -> [String] {
    document.cues.map { cue in
      let text = cue.text.replacing(/<[^>]*>/, with: "")
        .replacing("&lt;", with: "<").replacing("&gt;", with: ">").replacing("&amp;", with: "&")
      return "\(cue.startMilliseconds)-\(cue.endMilliseconds) \(text)"
    }
  }

  /// What ffmpeg makes of the first text stream that a selector names, as WebVTT.
  private func oracle(_ path: String, stream: String = "0:s:0") throws -> [String] {
    let made = try Clip.run(
      "ffmpeg", ["-v", "error", "-i", path, "-map", stream, "-f", "webvtt", "-"])
    #expect(made.status == 0, "\(made.errors)")
    return words(try SubtitleDocument.parse(Array(made.output.utf8), format: .webVTT).document)
  }

  private func temporaryFile(_ name: String) -> URL {
    FileManager.default.temporaryDirectory.appending(path: "headwater-\(UUID().uuidString)-\(name)")
  }

  @Test func timedTextOfARealFile() throws {
    let name = "multi-2video-2audio-2tx3g.mp4"
    guard let folder = MediaFolder.url, Clip.tool("ffmpeg") != nil, let bytes = try MediaFolder.bytes(name)
    else {
      print("note: no media folder or no ffmpeg; nothing was compared")
      return
    }
    let source = ArraySource(bytes)
    let movie = try MovieReader.read(source)
    #expect(movie.textTracks.count == 2)
    for (number, track) in movie.textTracks.enumerated() {
      let document = try SubtitleTrackReader.read(track, from: source).document
      #expect(document.language == "en")
      #expect(try words(document) == oracle(folder.appending(path: name).path(), stream: "0:s:\(number)"))
    }
  }

  /// ffmpeg does not read WebVTT in MP4; times and words are those that the boxes of the file state.
  @Test func webVTTOfARealFile() throws {
    guard let bytes = try MediaFolder.bytes("wvtt-frag.mp4") else { return }
    let media = try #require((0..<bytes.count - 4).first { bytes[$0..<$0 + 4].elementsEqual("mdat".utf8) })
    var columns = SampleColumns()
    var offset = UInt64(media + 4)
    for (duration, size) in [(0xEA, 0x2B), (0x6F, 8), (0x6F, 0x2C), (0x15A8, 8)] as [(UInt32, UInt32)] {
      columns.offsets.append(offset)
      columns.sizesBytes.append(size)
      columns.durationsTicks.append(duration)
      offset += UInt64(size)
    }
    let entryAt = try #require((0..<bytes.count - 4).first { bytes[$0..<$0 + 4].elementsEqual("wvtt".utf8) })
    let track = Track(
      id: 1, kind: .subtitle, codec: .unsupported(FourCC("wvtt")),
      sampleEntry: Array(bytes[entryAt - 4..<entryAt - 4 + 0x32]), codecString: "wvtt", timescale: 1000)
    let parsed = try SubtitleTrackReader.read(
      MovieTrack(track: track, columns: columns), from: ArraySource(bytes))
    #expect(
      words(parsed.document) == ["0-234 This is the first subtitle.", "345-456 This is the second subtitle."])
    #expect(parsed.document.headerBlocks.isEmpty && parsed.document.language == "und")
  }

  @Test(arguments: [
    ("mkv-srt.mkv", "srt", SubtitleFormat.subRip), ("vp8-webvtt.webm", "vtt", .webVTT),
  ])
  func textOfRealFiles(name: String, suffix: String, format: SubtitleFormat) throws {
    guard let folder = MediaFolder.url, Clip.tool("ffmpeg") != nil else {
      print("note: no media folder or no ffmpeg; nothing was compared")
      return
    }
    let path = folder.appending(path: name).path()
    let file = temporaryFile("text.\(suffix)")
    defer { try? FileManager.default.removeItem(at: file) }
    let made = try Clip.run(
      "ffmpeg", ["-v", "error", "-i", path, "-map", "0:s:0", "-c", "copy", file.path()])
    #expect(made.status == 0, "\(made.errors)")
    let bytes = try Array(Data(contentsOf: file))
    #expect(SubtitleFormat.probe(bytes) == format)
    #expect(try words(SubtitleDocument.parse(bytes, format: format).document) == oracle(path))
  }

  /// The one text block of each file, as it lies in Matroska.
  @Test(arguments: ["mkv-srt.mkv", "mkv-ass.mkv"])
  func matroskaBlocks(name: String) throws {
    guard let folder = MediaFolder.url, Clip.tool("ffmpeg") != nil else {
      print("note: no media folder or no ffmpeg; nothing was compared")
      return
    }
    let path = folder.appending(path: name).path()
    let made = try Clip.run(
      "ffmpeg", ["-v", "error", "-i", path, "-map", "0:s:0", "-c", "copy", "-f", "data", "-"])
    #expect(made.status == 0, "\(made.errors)")
    let end: UInt64 = name == "mkv-srt.mkv" ? 1234 : 500
    let cue =
      name == "mkv-srt.mkv"
      ? SubtitleCue.fromSubRip(text: Array(made.output.utf8), startMilliseconds: 0, endMilliseconds: end)
      : SubtitleCue.fromASS(
        dialogueFields: Array(made.output.utf8), startMilliseconds: 0, endMilliseconds: end)
    let document = try SubtitleDocument(language: "en", cues: [try #require(cue)])
    #expect(try words(document) == oracle(path))
  }

  /// Sidecar files as people write them, through ffmpeg's readers of the same formats.
  @Test(arguments: [
    (
      "srt", SubtitleFormat.subRip,
      "1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>Hello</i>\r\n<b>world</b>\r\n\r\n"
        + "2\r\n00:00:02,000 --> 00:00:04,000\r\n{\\an8}overlaps <font color=\"red\">red</font>\r\n\r\n"
        + "3\r\n01:00:00,001 --> 01:00:00,999\r\nlast\r\n"
    ),
    (
      "ass", .ass,
      "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
        + "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        + "Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\an8\\i1}Hello{\\i0},\\Nworld\n"
        + "Dialogue: 0,0:00:03.10,0:00:04.25,Default,,0,0,0,,{\\fad(100,100)}second, line\n"
    ),
  ])
  func sidecarFiles(suffix: String, format: SubtitleFormat, text: String) throws {
    guard Clip.tool("ffmpeg") != nil else {
      print("note: no ffmpeg; nothing was compared")
      return
    }
    let file = temporaryFile("sidecar.\(suffix)")
    try Data(text.utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let document = try SubtitleDocument.parse(Array(text.utf8), format: format).document
    #expect(try words(document) == oracle(file.path()))
    // And ffmpeg reads what we store.
    let stored = temporaryFile("stored.vtt")
    try Data(document.bytes()).write(to: stored)
    defer { try? FileManager.default.removeItem(at: stored) }
    #expect(try oracle(stored.path()) == words(document))
  }
}

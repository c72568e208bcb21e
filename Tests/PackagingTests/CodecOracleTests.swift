import Foundation
import Packaging
import Testing

/// Every coding from a file to fragments and back: ffmpeg decodes our init and media segments to the frames of the source.
@Suite struct CodecOracleTests {
  typealias Clip = FFmpegOracleTests.Clip

  /// Init segment and all media segments of a track.
  static func package(_ movieTrack: MovieTrack, of bytes: [UInt8]) -> [UInt8] {
    let track = movieTrack.track
    let samples = movieTrack.columns.samples()
    let segments = SegmentPlan.make([movieTrack], targetMilliseconds: 1000)[0]
    let firstDecodeTicks = segments.first?.decodeTicks ?? 0
    var file = InitSegment.bytes(for: track, firstDecodeTicks: firstDecodeTicks)
    for (number, segment) in segments.enumerated() {
      let first = Int(segment.firstSample)
      let made = MediaSegment.make(
        track: track, sequenceNumber: UInt32(number + 1),
        samples: Array(samples[first..<first + Int(segment.sampleCount)]), firstDecodeTicks: firstDecodeTicks)
      file += made.head
      for slice in made.slices { file += bytes[Int(slice.offset)..<Int(slice.offset + slice.count)] }
    }
    return file
  }

  /// Packages every track of a file and compares what ffmpeg decodes, before and after.
  static func compare(_ path: String, folder: URL, codecs: [String], channels: UInt16, rate: UInt32) throws {
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    let movie = try MovieReader.read(ArraySource(bytes))
    #expect(movie.leftOut.isEmpty)
    #expect(movie.tracks.map(\.track.codecString) == codecs)
    for movieTrack in movie.tracks {
      let track = movieTrack.track
      let stream = track.kind == .video ? "v:0" : "a:0"
      if track.kind == .audio {
        #expect(track.channelCount == channels)
        #expect(track.sampleRateHertz == rate)
        let allSync = movieTrack.columns.samples().allSatisfy(\.isSync)
        #expect(allSync)
      }
      let url = folder.appendingPathComponent("packaged-\(track.id).mp4")
      try Data(package(movieTrack, of: bytes)).write(to: url)
      let expected = try FFmpegOracleTests.frames(path, stream: stream)
      var found = try FFmpegOracleTests.frames(url.path, stream: stream)
      // Where an edit cuts a frame of sound in two, ffmpeg cuts what it decodes of a plain file and drops all before. In
      // fragments it gives everything, at times before 0.
      var whole = expected[...]
      if let first = expected.first,
        !found.contains(where: { $0.presentationTicks == first.presentationTicks })
      {
        whole = expected.dropFirst()
      }
      if track.kind == .audio, let first = whole.first {
        found.removeAll { $0.presentationTicks < first.presentationTicks }
      }
      let differing = zip(found, whole).filter { $0 != $1 }.map(\.0.presentationTicks)
      #expect(whole.count > 2)
      #expect(found.count == whole.count, "\(path) \(stream)")
      #expect(differing.isEmpty, "\(path) \(stream)")
    }
  }

  static func inFolder(_ body: (URL) throws -> Void) throws {
    guard Clip.tool("ffmpeg") != nil, Clip.tool("ffprobe") != nil else {
      print("skipped: ffmpeg and ffprobe are not on PATH")
      return
    }
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "headwater-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder)
  }

  @Test(
    arguments: [
      ("av1-aac-elst.mp4", ["av01.0.05M.08", "mp4a.40.2"], 1, 44100),
      ("vp9-aac.mp4", ["vp09.00.21.08", "mp4a.40.2"], 2, 44100), ("ac3.mp4", ["ac-3"], 6, 48000),
      ("h264-eac3.mp4", ["avc1.64001e", "ec-3"], 2, 44100), ("flac.mp4", ["fLaC"], 2, 44100),
      ("alac.mp4", ["alac"], 2, 44100), ("heaac.mp4", ["mp4a.40.5"], 2, 44100),
    ] as [(String, [String], UInt16, UInt32)])
  func sharedMedia(name: String, codecs: [String], channels: UInt16, rate: UInt32) throws {
    guard let media = MediaFolder.url else { return }
    try Self.inFolder { folder in
      try Self.compare(
        media.appending(path: name).path(), folder: folder, codecs: codecs, channels: channels, rate: rate)
    }
  }

  static let tone = ["-f", "lavfi", "-i", "sine=duration=2.5:frequency=440:sample_rate="]
  static let surround = [
    "-f", "lavfi", "-i",
    "aevalsrc='sin(300*t)|sin(400*t)|sin(500*t)|sin(90*t)|sin(700*t)|sin(800*t)':c=5.1:d=2.5",
  ]
  static let picture = [
    "-f", "lavfi", "-i", "testsrc=duration=2:size=160x90:rate=10", "-g", "10", "-cpu-used", "8",
  ]

  private static func tone(_ rate: Int) -> [String] { tone.dropLast() + [(tone.last ?? "") + String(rate)] }

  struct Made: Sendable, CustomTestStringConvertible {
    var file: String
    var arguments: [String]
    var codec: String
    var channels: UInt16 = 1
    var rate: UInt32 = 48000
    var testDescription: String { "\(codec) in \(file)" }
  }

  static let made = [
    Made(file: "opus.mp4", arguments: tone(48000) + ["-c:a", "libopus"], codec: "Opus"),
    Made(
      file: "opus51.mp4", arguments: surround + ["-c:a", "libopus"], codec: "Opus", channels: 6, rate: 48000),
    Made(
      file: "mp3.mp4", arguments: tone(44100) + ["-ac", "2", "-c:a", "libmp3lame"], codec: "mp4a.40.34",
      channels: 2, rate: 44100),
    Made(
      file: "low.mp4", arguments: tone(22050) + ["-ac", "2", "-c:a", "libmp3lame"], codec: "mp4a.40.34",
      channels: 2, rate: 22050),
    Made(
      file: "mp3.mov", arguments: tone(44100) + ["-ac", "2", "-c:a", "libmp3lame"], codec: "mp4a.40.34",
      channels: 2, rate: 44100),
    Made(file: "ac3.mov", arguments: tone(48000) + ["-c:a", "ac3"], codec: "ac-3"),
    Made(file: "eac3.mov", arguments: tone(48000) + ["-c:a", "eac3"], codec: "ec-3"),
    Made(
      file: "eac351.mp4", arguments: surround + ["-ar", "48000", "-c:a", "eac3"], codec: "ec-3", channels: 6),
    Made(file: "alac.mov", arguments: tone(48000) + ["-c:a", "alac"], codec: "alac"),
    Made(
      file: "flac96.mp4", arguments: tone(96000) + ["-c:a", "flac", "-strict", "-2"], codec: "fLaC",
      rate: 96000),
    Made(file: "aac.mov", arguments: tone(48000) + ["-c:a", "aac"], codec: "mp4a.40.2"),
    Made(
      file: "av1.mp4", arguments: picture + ["-pix_fmt", "yuv420p10le", "-c:v", "libaom-av1"],
      codec: "av01.0.00M.10"
    ),
    Made(
      file: "vp9.mp4", arguments: picture + ["-pix_fmt", "yuv420p", "-c:v", "libvpx-vp9"],
      codec: "vp09.00.10.08"),
  ]

  @Test(arguments: made)
  func madeByFFmpeg(_ given: Made) throws {
    try Self.inFolder { folder in
      let path = folder.appendingPathComponent(given.file).path
      let run = try Clip.run("ffmpeg", ["-v", "error", "-y"] + given.arguments + [path])
      guard run.status == 0 else {
        print("skipped: this ffmpeg cannot make \(given.file): \(run.errors)")
        return
      }
      try Self.compare(
        path, folder: folder, codecs: [given.codec], channels: given.channels, rate: given.rate)
    }
  }
}

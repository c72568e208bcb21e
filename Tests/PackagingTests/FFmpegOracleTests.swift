import Foundation
import Packaging
import Support
import Testing

/// What we write, read by an independent reader: ffmpeg decodes init and media segments to the same
/// pictures and sounds as the file they were cut from, and has nothing to complain about.
@Suite struct FFmpegOracleTests {
  /// A clip made by ffmpeg, and its tracks as ffprobe and a box walk see them.
  final class Clip {
    let folder: URL
    let bytes: [UInt8]
    var path: String { folder.appendingPathComponent("clip.mp4").path }

    /// `nil`, with a note, where ffmpeg cannot make it.
    init?(_ arguments: [String]) throws {
      guard Self.tool("ffmpeg") != nil, Self.tool("ffprobe") != nil else {
        print("skipped: ffmpeg and ffprobe are not on PATH")
        return nil
      }
      folder = FileManager.default.temporaryDirectory.appendingPathComponent("headwater-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      let file = folder.appendingPathComponent("clip.mp4")
      let made = try Self.run("ffmpeg", ["-v", "error", "-y"] + arguments + [file.path])
      guard made.status == 0 else {
        print("skipped: this ffmpeg cannot make the clip: \(made.errors)")
        try FileManager.default.removeItem(at: folder)
        return nil
      }
      bytes = [UInt8](try Data(contentsOf: file))
    }

    deinit {
      try? FileManager.default.removeItem(at: folder)
    }

    static func tool(_ name: String) -> String? {
      (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    static func run(_ name: String, _ arguments: [String]) throws -> (
      status: Int32, output: String, errors: String
    ) {
      // A busy machine takes more than a minute for two seconds of HEVC.
      let done = try Command.run(try #require(tool(name)), arguments, timeout: .seconds(600))
      return (done.status, done.text, done.errors)
    }

    /// The packets of a stream of a file: what ffprobe says of time, place and size.
    static func packets(_ path: String, stream: String, ignoringEdits: Bool = false) throws -> [[String:
      String]]
    {
      let probe = try run(
        "ffprobe",
        ["-v", "error"] + (ignoringEdits ? ["-ignore_editlist", "1"] : [])
          + ["-select_streams", stream, "-show_packets", "-of", "compact=p=0", path])
      return probe.output.split(separator: "\n").map { line in
        Dictionary(
          line.split(separator: "|").compactMap { field in
            let parts = field.split(separator: "=", maxSplits: 1)
            return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
          }, uniquingKeysWith: { first, _ in first })
      }
    }

    /// Track and samples of the first stream of a kind, built from the file's boxes and ffprobe's packets.
    func track(_ kind: TrackKind) throws -> (Track, [Sample]) {
      let walk = BoxWalk(bytes: bytes)
      let moov = try #require(walk.box("moov"))
      let handler = kind == .video ? "vide" : "soun"
      for trak in try #require(walk.boxes(in: moov.payload)) where trak.type == "trak" {
        let inner = BoxWalk(bytes: Array(bytes[trak.payload]))
        let hdlr = try #require(inner.box("mdia/hdlr")).payload.lowerBound
        guard inner.bytes[hdlr + 8..<hdlr + 12].elementsEqual(handler.utf8) else { continue }
        let stsd = try #require(inner.box("mdia/minf/stbl/stsd"))
        let mdhd = try #require(inner.box("mdia/mdhd")).payload.lowerBound
        let entry = stsd.payload.lowerBound + 8
        let elst = try #require(inner.box("edts/elst")).payload.lowerBound
        try #require(inner.word(elst) == 0 && inner.word(elst + 4) == 1)
        let shift = -Int64(Int32(bitPattern: inner.word(elst + 12)))

        let packets = try Self.packets(path, stream: kind == .video ? "v:0" : "a:0", ignoringEdits: true)
        let samples = try packets.map { packet in
          let decode = try #require(packet["dts"].flatMap { UInt64($0) })
          let presentation = try #require(packet["pts"].flatMap { Int64($0) })
          return Sample(
            offset: try #require(packet["pos"].flatMap { UInt64($0) }),
            sizeBytes: try #require(packet["size"].flatMap { UInt32($0) }),
            durationTicks: try #require(packet["duration"].flatMap { UInt32($0) }), decodeTicks: decode,
            compositionOffsetTicks: Int32(presentation - Int64(decode)),
            isSync: packet["flags"]?.hasPrefix("K") == true)
        }
        let track = Track(
          id: 1, kind: kind, codec: kind == .video ? .avc : .aac,
          sampleEntry: Array(inner.bytes[entry..<stsd.payload.upperBound]), codecString: "",
          timescale: inner.word(mdhd + 12), widthPixels: kind == .video ? inner.half(entry + 32) : 0,
          heightPixels: kind == .video ? inner.half(entry + 34) : 0, presentationShiftTicks: shift)
        return (Self.settingStart(of: track, samples), samples)
      }
      throw CocoaError(.fileReadCorruptFile)
    }

    static func settingStart(of track: Track, _ samples: [Sample]) -> Track {
      var track = track
      track.presentationStartTicks =
        presentationTimes(track, samples).min() ?? 0
      return track
    }

    static func presentationTimes(_ track: Track, _ samples: [Sample]) -> [Int64] {
      samples.map {
        Int64($0.decodeTicks) + Int64($0.compositionOffsetTicks) + track.presentationShiftTicks
      }
    }

    /// Init segment and all media segments in one file, cut before each of these samples.
    func write(_ track: Track, _ samples: [Sample], cuts: [Int], name: String) throws -> String {
      let firstDecodeTicks = samples.first?.decodeTicks ?? 0
      var file = InitSegment.bytes(for: track, firstDecodeTicks: firstDecodeTicks)
      for (number, (start, end)) in zip(cuts, cuts.dropFirst() + [samples.count]).enumerated() {
        let segment = MediaSegment.make(
          track: track, sequenceNumber: UInt32(number + 1), samples: Array(samples[start..<end]),
          firstDecodeTicks: firstDecodeTicks)
        let before = file.count
        file += segment.head
        for slice in segment.slices {
          file += bytes[Int(slice.offset)..<Int(slice.offset + slice.count)]
        }
        #expect(UInt64(file.count - before) == segment.totalBytes)
      }
      let url = folder.appendingPathComponent(name)
      try Data(file).write(to: url)
      return url.path
    }
  }

  struct Frame: Equatable {
    var presentationTicks: Int64
    /// Hash of the decoded bytes.
    var hash: String
  }

  /// The frames of a stream as ffmpeg decodes them; fails on any warning.
  static func frames(_ path: String, stream: String) throws -> [Frame] {
    let decoded = try Clip.run(
      "ffmpeg",
      [
        "-v", "warning", "-i", path, "-map", "0:\(stream)", "-copyts", "-fps_mode", "passthrough", "-f",
        "framemd5", "-",
      ])
    #expect(decoded.status == 0)
    #expect(decoded.errors.isEmpty, "\(decoded.errors)")
    return try decoded.output.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let fields = line.split(separator: ",").map { $0.filter { $0 != " " } }
      return Frame(
        presentationTicks: try #require(Int64(fields[2])), hash: try #require(fields.last))
    }
  }

  /// The same frames with the first at 0. ffmpeg moves a fragmented track with negative composition offsets as
  /// a whole, so that no decode time exceeds its presentation time; only differences can be compared.
  static func fromZero(_ frames: some Sequence<Frame>) -> [Frame] {
    let all = Array(frames)
    let first = all.map(\.presentationTicks).min() ?? 0
    return all.map { Frame(presentationTicks: $0.presentationTicks - first, hash: $0.hash) }
  }

  static func fromZero(_ ticks: [Int64]) -> [Int64] {
    let first = ticks.min() ?? 0
    return ticks.map { $0 - first }
  }

  static let arguments = [
    "-f", "lavfi", "-i", "testsrc=duration=5:size=160x90:rate=30000/1001",
    "-f", "lavfi", "-i", "sine=duration=5:frequency=440:sample_rate=48000",
    "-c:v", "libx264", "-preset", "veryfast", "-g", "30", "-bf", "2", "-sc_threshold", "0", "-pix_fmt",
    "yuv420p",
    "-c:a", "aac", "-movflags", "+faststart",
  ]

  @Test func picturesDecodeToTheSameFramesAtTheSameTimes() throws {
    guard let clip = try Clip(Self.arguments) else { return }
    let (track, samples) = try clip.track(.video)
    try #require(track.presentationShiftTicks < 0, "the clip has no B-frame delay to take away")
    let path = try clip.write(
      track, samples, cuts: samples.indices.filter { samples[$0].isSync }, name: "video.mp4")
    let expected = try Self.frames(clip.path, stream: "v")
    #expect(expected.count == samples.count)
    #expect(try Self.fromZero(Self.frames(path, stream: "v")) == expected)
    let packets = try Clip.packets(path, stream: "v:0").map { try #require($0["pts"].flatMap { Int64($0) }) }
    #expect(Self.fromZero(packets) == Clip.presentationTimes(track, samples))
  }

  @Test func soundDecodesToTheSameFramesAndStartsAfterThePriming() throws {
    guard let clip = try Clip(Self.arguments) else { return }
    let (track, samples) = try clip.track(.audio)
    try #require(track.presentationShiftTicks == -1024, "the clip's sound has no priming to skip")
    let path = try clip.write(
      track, samples, cuts: Array(stride(from: 0, to: samples.count, by: 94)), name: "audio.mp4")
    let packets = try Clip.packets(path, stream: "a:0")
    #expect(packets.map { $0["pts"] } == Clip.presentationTimes(track, samples).map { String($0) })
    #expect(packets.map { $0["size"] } == samples.map { String($0.sizeBytes) })
    // In a fragmented file ffmpeg gives the edit's sound negative times, in a plain one it drops it.
    let heard = try Self.frames(path, stream: "a").filter { $0.presentationTicks >= 0 }
    #expect(heard == (try Self.frames(clip.path, stream: "a")))
  }

  /// The first two GOPs are dropped, as an edit at a later key frame does: decode times start late, and
  /// what is written must start at 0 all the same.
  @Test func whatIsCutAtALaterKeyFrameStartsAtZero() throws {
    guard let clip = try Clip(Self.arguments) else { return }
    var (track, samples) = try clip.track(.video)
    let all = try Self.frames(clip.path, stream: "v")
    let first = try #require(samples.indices.filter { samples[$0].isSync }.dropFirst(2).first)
    samples.removeFirst(first)
    track.presentationShiftTicks = -Int64(samples[0].decodeTicks) - Int64(samples[0].compositionOffsetTicks)
    track = Clip.settingStart(of: track, samples)
    #expect(track.presentationStartTicks == 0)
    let path = try clip.write(
      track, samples, cuts: samples.indices.filter { samples[$0].isSync }, name: "later.mp4")
    let packets = try Clip.packets(path, stream: "v:0")
    // Only the delay of the B frames is left for the edit list to take off.
    #expect(packets.first?["dts"] == "\(-Int64(samples[0].compositionOffsetTicks))")
    let ticks = try packets.map { try #require($0["pts"].flatMap { Int64($0) }) }
    #expect(Self.fromZero(ticks) == Clip.presentationTimes(track, samples))
    #expect(try Self.fromZero(Self.frames(path, stream: "v")) == Self.fromZero(all.dropFirst(first)))
  }

  /// Presentation starts inside the first GOP: its head is decoded at times before 0.
  @Test func whatIsCutInsideAGOPIsPresentedFromZero() throws {
    guard let clip = try Clip(Self.arguments) else { return }
    var (track, samples) = try clip.track(.video)
    track.presentationShiftTicks -= Int64(20 * samples[0].durationTicks)
    track = Clip.settingStart(of: track, samples)
    #expect(track.presentationStartTicks == -Int64(20 * samples[0].durationTicks))
    let path = try clip.write(
      track, samples, cuts: samples.indices.filter { samples[$0].isSync }, name: "inside.mp4")
    let packets = try Clip.packets(path, stream: "v:0")
    #expect(packets.map { $0["pts"] } == Clip.presentationTimes(track, samples).map { String($0) })
    let warnings = try Clip.run("ffmpeg", ["-v", "warning", "-i", path, "-f", "null", "-"])
    #expect(warnings.status == 0)
    #expect(warnings.errors.isEmpty, "\(warnings.errors)")
  }

  /// A segment is of use by itself: init segment and the third media segment alone decode to that GOP.
  @Test func aSingleSegmentDecodesByItself() throws {
    guard let clip = try Clip(Self.arguments) else { return }
    let (track, samples) = try clip.track(.video)
    let cuts = samples.indices.filter { samples[$0].isSync }
    try #require(cuts.count > 3)
    let segment = MediaSegment.make(
      track: track, sequenceNumber: 3, samples: Array(samples[cuts[2]..<cuts[3]]))
    var file = InitSegment.bytes(for: track) + segment.head
    for slice in segment.slices { file += clip.bytes[Int(slice.offset)..<Int(slice.offset + slice.count)] }
    let url = clip.folder.appendingPathComponent("third.mp4")
    try Data(file).write(to: url)
    let expected = try Self.frames(clip.path, stream: "v")[cuts[2]..<cuts[3]]
    #expect(try Self.fromZero(Self.frames(url.path, stream: "v")) == Self.fromZero(expected))
  }
}

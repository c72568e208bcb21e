import Foundation
import Packaging
import Testing

/// Transport streams read by ffmpeg and tshark: the pictures and sounds of the source, at its times, and no
/// complaint.
@Suite(.serialized) struct TransportOracleTests {
  typealias Clip = FFmpegOracleTests.Clip

  /// A file cut into segments of about a second, each a transport stream.
  final class Cut {
    let source: String
    let folder: URL
    /// The tracks that are carried, video first, with their samples for each segment.
    let parts: [(track: Track, segments: [[Sample]])]
    let segments: [[UInt8]]

    var path: String { folder.appendingPathComponent("all.ts").path }
    func path(_ segment: Int) -> String { folder.appendingPathComponent("segment\(segment).ts").path }
    var video: Int? { parts.firstIndex { $0.track.kind == .video } }
    var audio: Int? { parts.firstIndex { $0.track.kind == .audio } }

    init(source: String, bytes: [UInt8], tracks: [MovieTrack]) throws {
      self.source = source
      let plan = SegmentPlan.make(tracks, targetMilliseconds: 1000)
      parts = zip(tracks, plan).map { movie, segments in
        let samples = movie.columns.samples()
        return (
          movie.track,
          segments.map { Array(samples[Int($0.firstSample)..<Int($0.firstSample + $0.sampleCount)]) }
        )
      }
      let streams = try tracks.map { track in
        try TransportStream(track.track)
      }
      var made: [[UInt8]] = []
      for number in 0..<(parts.map(\.segments.count).max() ?? 0) {
        let segment = TransportSegment(
          zip(streams, parts).map { stream, part in
            .init(stream: stream, samples: number < part.segments.count ? part.segments[number] : [])
          }, sequenceNumber: UInt64(number))
        made.append(try segment.bytes(reading: ArraySource(bytes)))
        #expect(segment.totalBytes == UInt64(made[number].count))
      }
      segments = made
      folder = FileManager.default.temporaryDirectory.appendingPathComponent("headwater-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      for (number, segment) in segments.enumerated() {
        try Data(segment).write(to: URL(fileURLWithPath: path(number)))
      }
      try Data(segments.flatMap { $0 }).write(to: URL(fileURLWithPath: path))
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// The first video and the first sound track of a shared file that transport streams carry; nil where
    /// there is no such file or no ffmpeg.
    static func shared(_ name: String) throws -> Cut? {
      guard let folder = MediaFolder.url, let bytes = try MediaFolder.bytes(name) else { return nil }
      guard Clip.tool("ffmpeg") != nil, Clip.tool("ffprobe") != nil else {
        print("skipped: ffmpeg and ffprobe are not on PATH")
        return nil
      }
      return try Cut(source: folder.appending(path: name).path(), movie: bytes)
    }

    convenience init(source: String, movie bytes: [UInt8]) throws {
      let movie = try MovieReader.read(ArraySource(bytes))
      let video = movie.tracks.first { $0.track.kind == .video }
      let audio = movie.tracks.first { $0.track.kind == .audio }
      try self.init(source: source, bytes: bytes, tracks: [video, audio].compactMap { $0 })
    }

    /// When each sample of a part is shown, on the 90 kHz clock.
    func presentationClocks(_ part: Int) -> [Double] {
      let track = parts[part].track
      return parts[part].segments.joined().map { sample in
        let ticks =
          Int64(sample.decodeTicks) + Int64(sample.compositionOffsetTicks) + track.presentationShiftTicks
        return Double(ticks) * 90000 / Double(track.timescale) + 900_000
      }
    }
  }

  struct Frame: Equatable {
    var presentation: Int64
    var hash: String
  }

  /// `-f framemd5` of one stream: decoded pictures, or packets as they are with `copying`.
  static func frames(_ path: String, _ stream: String, copying: [String]? = nil, source: Bool = false) throws
    -> [Frame]
  {
    let made = try Clip.run(
      "ffmpeg",
      ["-v", "error"] + (source ? ["-ignore_editlist", "1"] : []) + ["-i", path, "-map", "0:\(stream):0"]
        + (copying ?? ["-fps_mode", "passthrough"]) + ["-copyts", "-f", "framemd5", "-"])
    return try made.output.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let fields = line.split(separator: ",").map { $0.filter { $0 != " " } }
      // Columns of side data may follow the hash.
      try #require(fields.count > 5)
      return Frame(presentation: try #require(Int64(fields[2])), hash: fields[5])
    }
  }

  /// What ffmpeg has to say while it decodes a file; the same lines count once.
  static func complaints(_ path: String) throws -> Set<String> {
    let run = try Clip.run(
      "ffmpeg", ["-v", "warning", "-i", path, "-map", "0", "-fps_mode", "passthrough", "-f", "null", "-"])
    return Set(
      run.errors.split(separator: "\n").map { line in
        // The address of a decoder differs from run to run.
        String(line.split(separator: "]", maxSplits: 1).last ?? line)
      })
  }

  static let files = [
    "demo-bbb-720p-10s.mp4", "demo-bbb-480p-30s-51.mp4", "bbb-720p-5s-51.mp4", "h264-aac-2997.mp4",
    "h264-aac-elst-audio-delay.mp4", "h264-co64-elst.mp4", "h264-firstpts-10s.mp4", "h264-video-only.mp4",
    "h264-short-audio.mp4", "h264-sparse-key.mp4", "aac-audio-only.m4a", "aac-count-english.mp4", "heaac.mp4",
    "hevc-hev1.mp4", "hevc-hvc1-hdr10.mp4", "hevc-open-gop-720p.mp4", "vfr-phone-360p.mp4", "vfr-screen.mp4",
    "mov-aac-first.mov", "h264-no-stss.mp4", "multi-2video-2audio-2tx3g.mp4",
  ]

  /// All that is asked of a stream of segments.
  static func check(_ cut: Cut, name: String) throws {
    let parsed = try cut.segments.map { try #require(ParsedTransport($0), "\(name)") }
    let faults = ParsedTransport.continuityFaults(parsed)
    #expect(faults.isEmpty, "\(name): \(faults.prefix(3))")
    let theirs = try complaints(cut.source)
    let ours = try complaints(cut.path).subtracting(theirs)
    #expect(ours.isEmpty, "\(name): \(ours)")

    if let video = cut.video {
      let ours = try frames(cut.path, "v")
      let expected = try frames(cut.source, "v", source: true)
      #expect(
        ours.map(\.hash) == expected.map(\.hash), "\(name): \(ours.count) of \(expected.count) pictures")
      try checkTimes(cut, part: video, stream: "v:0", name: name)
      // Each segment alone shows its sync picture first: leading pictures of an open GOP need the segment
      // before.
      let times = cut.presentationClocks(video)
      let order = times.sorted()
      var first = 0
      for (number, samples) in cut.parts[video].segments.enumerated() where number < 8 {
        let alone = try frames(cut.path(number), "v")
        let place = try #require(order.firstIndex(of: times[first]))
        #expect(alone.first?.hash == expected[place].hash, "\(name), segment \(number)")
        first += samples.count
      }
    }
    if let audio = cut.audio {
      let track = cut.parts[audio].track
      let ours = try frames(
        cut.path, "a",
        copying: track.codec == .aac ? ["-c", "copy", "-bsf:a", "aac_adtstoasc"] : ["-c", "copy"])
      // Those that an edit removes are not sent.
      let kept = Set(cut.parts[audio].segments.joined().map { String($0.offset) })
      let places = try Clip.packets(cut.source, stream: "a:0", ignoringEdits: true).map { $0["pos"] ?? "" }
      let theirs = zip(try frames(cut.source, "a", copying: ["-c", "copy"], source: true), places)
        .filter { kept.contains($0.1) }.map(\.0)
      #expect(
        ours.map(\.hash) == theirs.map(\.hash), "\(name): \(ours.count) of \(theirs.count) sound frames")
      try checkTimes(cut, part: audio, stream: "a:0", name: name)
    }
  }

  /// Each packet that ffprobe sees is at its source's time, plus 10 s, within a tick; for sound within two,
  /// since ffprobe adds up rounded durations inside of a PES packet.
  static func checkTimes(_ cut: Cut, part: Int, stream: String, name: String) throws {
    let packets = try Clip.packets(cut.path, stream: stream)
    let expected = cut.presentationClocks(part)
    #expect(packets.count == expected.count, "\(name)")
    let limit: Double = stream == "v:0" ? 1 : 2
    var worst = 0.0
    for (packet, time) in zip(packets, expected) {
      guard let presentation = packet["pts"].flatMap(Double.init) else {
        Issue.record("\(name): a packet without a time")
        return
      }
      worst = max(worst, abs(presentation - time))
    }
    #expect(worst <= limit, "\(name), \(stream): \(worst) ticks off")
  }

  @Test(arguments: files)
  func sharedFilesComeBackAsTheyWere(name: String) throws {
    guard let cut = try Cut.shared(name) else { return }
    try Self.check(cut, name: name)
  }

  static let clips: [(name: String, arguments: [String])] = [
    ("B frames and sound", FFmpegOracleTests.arguments),
    (
      "an access unit delimiter in each picture, slices",
      [
        "-f", "lavfi", "-i", "testsrc=duration=3:size=320x180:rate=25", "-c:v", "libx264", "-g", "25",
        "-x264-params",
        "aud=1:slices=4:repeat-headers=1", "-pix_fmt", "yuv420p",
      ]
    ),
    (
      "five pictures a second",
      [
        "-f", "lavfi", "-i", "testsrc=duration=6:size=160x90:rate=5", "-f", "lavfi", "-i", "sine=duration=6",
        "-c:v", "libx264", "-g", "5", "-pix_fmt", "yuv420p", "-c:a", "aac",
      ]
    ),
    (
      "mono at 8 kHz",
      ["-f", "lavfi", "-i", "sine=duration=4:sample_rate=8000", "-c:a", "aac", "-b:a", "16k"]
    ),
  ]

  @Test(arguments: clips.indices)
  func madeClipsComeBackAsTheyWere(index: Int) throws {
    let made = Self.clips[index]
    guard let clip = try Clip(made.arguments) else { return }
    let cut = try Cut(source: clip.path, movie: clip.bytes)
    #expect(cut.segments.count >= 3)
    try Self.check(cut, name: made.name)
  }

  /// Sound whose tracks are put together by hand from what ffprobe sees.
  @Test(arguments: ["ac3.mp4", "h264-eac3.mp4", "mp3"])
  func otherSoundComesBackAsItWas(name: String) throws {
    let made = ["-f", "lavfi", "-i", "sine=duration=4:sample_rate=48000", "-c:a", "libmp3lame"]
    var clip: Clip?
    if name == "mp3" {
      clip = try Clip(made)
      if clip == nil { return }
    }
    guard let path = clip?.path ?? MediaFolder.url?.appending(path: name).path(), Clip.tool("ffprobe") != nil,
      let bytes = try clip?.bytes ?? MediaFolder.bytes(name)
    else { return }
    let walk = BoxWalk(bytes: bytes)
    let moov = try #require(walk.box("moov"))
    var sound: (entry: [UInt8], timescale: UInt32)?
    for trak in try #require(walk.boxes(in: moov.payload)) where trak.type == "trak" {
      let inner = BoxWalk(bytes: Array(bytes[trak.payload]))
      let handler = try #require(inner.box("mdia/hdlr")).payload.lowerBound
      guard inner.bytes[handler + 8..<handler + 12].elementsEqual("soun".utf8) else { continue }
      let entries = try #require(inner.box("mdia/minf/stbl/stsd"))
      let header = try #require(inner.box("mdia/mdhd")).payload.lowerBound
      sound = (
        Array(inner.bytes[entries.payload.lowerBound + 8..<entries.payload.upperBound]),
        inner.word(header + 12)
      )
    }
    let found = try #require(sound)
    let codecs: [String: TrackCodec] = ["ac3.mp4": .ac3, "h264-eac3.mp4": .eac3, "mp3": .mp3]
    var movie = MovieTrack(
      track: Track(
        id: 1, kind: .audio, codec: try #require(codecs[name]), sampleEntry: found.entry, codecString: "",
        timescale: found.timescale, language: "en", sampleRateHertz: found.timescale),
      columns: SampleColumns())
    for packet in try Clip.packets(path, stream: "a:0", ignoringEdits: true) {
      let decode = try #require(packet["dts"].flatMap { UInt64($0) })
      if movie.columns.count == 0 { movie.columns.firstDecodeTicks = decode }
      movie.columns.offsets.append(try #require(packet["pos"].flatMap { UInt64($0) }))
      movie.columns.sizesBytes.append(try #require(packet["size"].flatMap { UInt32($0) }))
      movie.columns.durationsTicks.append(try #require(packet["duration"].flatMap { UInt32($0) }))
      movie.track.durationTicks = decode
    }
    movie.track.sampleCount = UInt32(movie.columns.count)
    let cut = try Cut(source: path, bytes: bytes, tracks: [movie])
    #expect(cut.segments.count >= 2)
    try Self.check(cut, name: name)
    let entry = try Clip.run(
      "ffprobe",
      ["-v", "error", "-show_entries", "stream=codec_name:stream_tags=language", "-of", "csv=p=0", cut.path])
    let codec = name == "mp3" ? "mp3" : name == "ac3.mp4" ? "ac3" : "eac3"
    #expect(entry.output.contains("\(codec),eng"), "\(entry.output)")
  }

  /// A second reader: tshark finds neither damage nor gaps.
  @Test(arguments: ["demo-bbb-720p-10s.mp4", "h264-aac-2997.mp4", "heaac.mp4", "hevc-hvc1-hdr10.mp4"])
  func tsharkFindsNothing(name: String) throws {
    guard Clip.tool("tshark") != nil else {
      print("skipped: tshark is not on PATH")
      return
    }
    guard let cut = try Cut.shared(name) else { return }
    let run = try Clip.run("tshark", ["-r", cut.path, "-q", "-z", "expert"])
    #expect(run.status == 0, "\(run.errors)")
    for word in ["Malformed", "Error", "Warn", "Missing", "missing", "lost", "Drop"] {
      #expect(!run.output.contains(word), "\(name): \(run.output)")
    }
    let tables = try Clip.run(
      "tshark", ["-r", cut.path, "-Y", "mpeg_pat || mpeg_pmt", "-T", "fields", "-e", "frame.number"])
    #expect(tables.output.split(separator: "\n").count == 2 * cut.segments.count)
  }
}

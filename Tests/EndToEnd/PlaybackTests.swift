import Foundation
import Support
import Testing

/// What becomes of a media file.
enum Outcome: Sendable {
  /// HLS and DASH play exactly the frames of the source.
  case plays
  /// The same, for the tracks that this version can package; the others are left out for the reason.
  case playsInPart(String)
  /// Refused at import, or kept as bytes whose manifests are refused; the reason says why.
  case isNotPackaged(String)
}

struct MediaCase: Sendable, CustomTestStringConvertible {
  let name: String
  let outcome: Outcome

  init(_ name: String, _ outcome: Outcome = .plays) { (self.name, self.outcome) = (name, outcome) }

  var testDescription: String { name }
}

/// Files of many makers; `SharedMedia` says where they lie.
private let sharedMedia: [MediaCase] =
  [
    "demo-bbb-720p-10s.mp4", "demo-bbb-480p-30s-51.mp4", "bbb-720p-5s-51.mp4", "h264-aac-2997.mp4",
    "h264-aac-moov-end.mp4", "h264-aac-elst-audio-delay.mp4", "h264-co64-elst.mp4", "h264-firstpts-10s.mp4",
    "h264-no-stss.mp4", "h264-video-only.mp4", "h264-short-audio.mp4", "h264-long-6min-1080p.mp4",
    "h264-sparse-key.mp4", "aac-count-english.mp4", "aac-count-german.mp4", "aac-audio-only.m4a",
    "aac-long-elst-audio-only.mp4", "heaac.mp4", "aac-two-51-tracks.mp4", "multi-2video-2audio-2tx3g.mp4",
    "hevc-hev1.mp4", "hevc-hvc1-hdr10.mp4", "hevc-open-gop-720p.mp4", "vfr-phone-360p.mp4", "vfr-screen.mp4",
    "mov-aac-first.mov", "fuzz/seed-8.mp4", "fuzz/seed-36.mp4", "fuzz/seed-81.mp4",
  ].map { MediaCase($0) } + [
    MediaCase("h264-eac3.mp4", .playsInPart("E-AC-3 sound")),
    MediaCase("mov-pcm-sowt-1080p50.mov", .playsInPart("PCM sound")),
    MediaCase("av1-aac-elst.mp4", .playsInPart("AV1 picture")),
    MediaCase("vp9-aac.mp4", .playsInPart("VP9 picture")),
    MediaCase("bad-missing-stsd.mp4", .playsInPart("a track without a description")),
    MediaCase("bad-mdat-too-long.mp4", .plays), MediaCase("bad-trailing-junk.mp4", .plays),
    MediaCase("bad-invalid-nalu.mp4", .plays),
    MediaCase("ac3.mp4", .isNotPackaged("AC-3")), MediaCase("flac.mp4", .isNotPackaged("FLAC")),
    MediaCase("alac.mp4", .isNotPackaged("ALAC")), MediaCase("vvc-unsupported.mp4", .isNotPackaged("VVC")),
    MediaCase("stpp-progressive.mp4", .isNotPackaged("subtitles only")),
    MediaCase("bad-empty-stsc.mp4", .isNotPackaged("no samples")),
    MediaCase("cenc-frag.mp4", .isNotPackaged("encrypted")),
    MediaCase("cbcs-frag-c608.mp4", .isNotPackaged("encrypted")),
  ]
  + [
    "frag-h264-aac.mp4", "frag-h264-aac-8s.mp4", "frag-23976-h264.mp4", "frag-audio-aac.isma",
    "wvtt-frag.mp4",
    "stpp-frag.mp4", "rotate-90-1080p-51.mp4", "sar-pasp.mp4",
  ].map { MediaCase($0, .isNotPackaged("fragmented")) }
  + [
    "mkv-ass.mkv", "mkv-srt.mkv", "mkv-pgs.mkv", "mkv-h264-aac-60s-5fps.mkv", "mkv-av1.mkv", "vp9-opus.webm",
    "vp8-vorbis.webm", "vp8-live-no-duration.webm", "av1.webm", "vp8-webvtt.webm",
  ].map { MediaCase($0, .isNotPackaged("Matroska")) }
  + [
    "ts-h264-aac.ts", "ts-h264-aac-pts-wrap.ts", "ts-hevc-aac.ts", "ts-h264-ac3.ts", "ts-h264-cea608.ts",
    "ts-h264-aac-6s.ts", "ts-h264-mp3-id3.ts", "ts-scte35-mpeg2.ts", "ts-mpeg2-1080p.ts",
    "ts-live-1080-mp2.ts",
    "ts-live-dvb-a.ts", "ts-live-dvb-b.ts", "ts-declared-silent-pids.ts",
  ].map { MediaCase($0, .isNotPackaged("MPEG-TS")) }

/// What `scripts/make-fixtures.sh` makes.
private let ownMedia: [MediaCase] =
  [
    "h264-aac-moov-end.mp4", "h264-aac-faststart.mp4", "h264-aac-2997.mp4", "h264-aac-co64.mp4",
    "h264-aac.mov",
    "video-only.mp4", "audio-only.m4a", "audio-delay.mp4", "two-audio.mp4", "hevc-aac.mp4",
  ].map { MediaCase($0) } + [
    MediaCase("fragmented.mp4", .isNotPackaged("fragmented")),
    MediaCase("truncated-index.mp4", .isNotPackaged("the index is cut off")),
    MediaCase("garbage.mp4", .isNotPackaged("no media")), MediaCase("empty.mp4", .isNotPackaged("empty")),
    MediaCase("playlist-in-disguise.mp4", .isNotPackaged("a playlist")),
    MediaCase("notes.txt", .isNotPackaged("text")),
  ]

extension EndToEnd {
  /// Every frame of HLS and DASH against the source, judged by ffmpeg.
  @Suite(.served { _ in }) struct PlaybackTests {
    @Test(
      .enabled(if: SharedMedia.folder != nil, Comment(rawValue: SharedMedia.absence)), arguments: sharedMedia)
    func sharedMediaPlaysAsItsSource(_ media: MediaCase) async throws {
      try await judge(media, file: SharedMedia.path(media.name), prefix: "s")
    }

    @Test(arguments: ownMedia) func ownMediaPlaysAsItsSource(_ media: MediaCase) async throws {
      if media.name.hasPrefix("hevc"), !Fixtures.has(media.name) {
        print("note: \(media.name) left out: this ffmpeg has no HEVC encoder")
        return
      }
      try await judge(media, file: Fixtures.path(media.name), prefix: "o")
    }

    /// The shared folder's table is complete: a file that is added there needs a line above.
    @Test(.enabled(if: SharedMedia.folder != nil, Comment(rawValue: SharedMedia.absence)))
    func everySharedFileIsInTheTable() throws {
      let folder = try #require(SharedMedia.folder)
      let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
        .filter { $0.contains(".") && !$0.hasSuffix(".md") }
      #expect(Set(names).subtracting(sharedMedia.map(\.name)).isEmpty)
    }

    // MARK: - One file

    private func judge(_ media: MediaCase, file: String, prefix: String) async throws {
      let server = try Served.server
      let id = prefix + media.name.replacing(/[^A-Za-z0-9_-]/, with: "_")
      let imported = try server.headwater(["import", "--site", "demo", "--id", id, file])
      switch media.outcome {
      case .plays:
        try #require(imported.status == 0, "\(imported.errors)")
        try await expectSameFrames(server, id, file, tracks: ["v:0", "a:0"])
      case .playsInPart(let missing):
        try #require(imported.status == 0, "\(imported.errors)")
        let picture = !missing.contains("picture")
        try await expectSameFrames(server, id, file, tracks: [picture ? "v:0" : "a:0"])
      case .isNotPackaged(let why):
        #expect([0, 1].contains(imported.status))
        if imported.status == 1 {
          #expect(
            imported.errors.contains(URL(filePath: file).lastPathComponent), "\(why): \(imported.errors)")
          #expect(try server.request("GET", "/v/\(id)/source").status == 404)
        } else {
          #expect(try Content(server.request("GET", "/v/\(id)/source").body) == Content(ofFile: file))
          for manifest in ["master.m3u8", "manifest.mpd"] {
            let answer = try server.request("GET", "/v/\(id)/\(manifest)")
            #expect(answer.status == 422, "\(why): \(manifest) \(answer.status)")
            #expect(answer["Content-Type"] == "application/problem+json")
            let problem = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: any Sendable]
            #expect((problem?["detail"] as? String)?.isEmpty == false)
          }
        }
      }
    }

    private func expectSameFrames(
      _ server: ServerUnderTest, _ id: String, _ file: String, tracks: [String]
    ) async throws {
      let present = try tracks.filter { try !FFmpeg.packets(file, $0).isEmpty }
      try #require(!present.isEmpty)
      for manifest in ["master.m3u8", "manifest.mpd"] {
        let url = server.url("/v/\(id)/\(manifest)")
        for track in present {
          async let source = FFmpeg.frames(file, track)
          async let made = FFmpeg.frames(url, track)
          let (expected, found) = try await (source, made)
          #expect(!expected.isEmpty)
          #expect(firstDifference(found, expected) == nil, "\(manifest) \(track): \(found.count) frames")
          try expectSameTimes(server, id, url, file, track)
        }
        let judged = try FFmpeg.warnings(url)
        #expect(judged.isEmpty, "\(manifest): \(judged.prefix(5))")
      }
      try expectDurations(server, id, file)
    }

    /// Every coded frame is presented when the source presents it: sound and picture stay together, from the
    /// first segment to the last.
    private func expectSameTimes(
      _ server: ServerUnderTest, _ id: String, _ url: String, _ file: String, _ track: String
    ) throws {
      let source = try FFmpeg.packets(file, track)
      let made = try FFmpeg.packets(url, track)
      let difference = firstDifference(made.map(\.digest), source.map(\.digest))
      try #require(difference == nil, "\(url) \(track): \(made.count) coded frames")
      let lateness = try track == "v:0" ? ffmpegLatenessSeconds(server, id) : made.map { _ in [0] }
      try #require(lateness.count == made.count)
      let drift = zip(zip(made, lateness), source).map { pair, original in
        pair.1.map { abs(pair.0.seconds - $0 - original.seconds) }.min() ?? .infinity
      }
      let worst = drift.max() ?? .infinity
      #expect(worst < 0.002, "\(url) \(track): presented \(worst) s from where the source has it")
    }

    /// For each coded picture, how much too late ffmpeg may say that it is presented.
    ///
    /// Its demuxer does not decode earlier when an offset from decoding to presentation is negative: it moves
    /// pictures up from there on, by the most negative offset it has met; but its DASH reader does not do so in
    /// a segment that states no offsets.
    private func ffmpegLatenessSeconds(_ server: ServerUnderTest, _ id: String) throws -> [[Double]] {
      guard let playlist = try Presentation(server, asset: id).playlists.first?.playlist,
        let start = playlist.initSegment
      else { throw SupportError("\(id): no init segment") }
      let timescale = try Box.timescale(ofInitSegment: server.request("GET", start).body)
      var lowest = 0
      return try playlist.segments.flatMap { path in
        let offsets = Box.compositionOffsets(ofSegment: try server.request("GET", path).body)
        lowest = min(lowest, offsets.min() ?? 0)
        let late = Double(-lowest) / Double(timescale)
        let statesOffsets = offsets.contains { $0 != 0 }
        return offsets.map { _ in statesOffsets ? [late] : [late, 0] }
      }
    }

    /// The durations a playlist states are those of what it names, and no segment exceeds the target.
    private func expectDurations(_ server: ServerUnderTest, _ id: String, _ file: String) throws {
      let presentation = try Presentation(server, asset: id)
      let longest = try ["v", "a"].flatMap { try FFmpeg.durationsSeconds(file, $0) }.max() ?? 0
      var stated = 0.0
      for (path, playlist) in presentation.playlists {
        #expect(playlist.isEnded && !playlist.segments.isEmpty, "\(path)")
        #expect(playlist.durationsSeconds.count == playlist.segments.count, "\(path)")
        let largest = playlist.durationsSeconds.max() ?? 0
        #expect(Int(largest.rounded()) <= playlist.targetDurationSeconds, "\(path): \(largest)")
        stated = max(stated, playlist.totalSeconds)
      }
      #expect(abs(stated - longest) < 0.1, "EXTINF sum \(stated), longest track \(longest)")
    }
  }
}

/// Where two lists of frames part, in words; `nil` when they are equal.
private func firstDifference<Digest: Equatable>(_ frames: [Digest], _ source: [Digest]) -> String? {
  if frames == source { return nil }
  let place =
    zip(frames, source).enumerated().first { $1.0 != $1.1 }?.offset ?? min(frames.count, source.count)
  return "frame \(place) of \(source.count) in the source"
}

/// The commands that judge, as their makers document them.
private enum FFmpeg {
  /// A digest for each of the first 1,200 frames: decoded pictures, or the coded sound.
  @concurrent static func frames(_ url: String, _ track: String) async throws -> [Substring] {
    let kind =
      track.hasPrefix("v") ? ["-fps_mode", "passthrough"] : ["-c", "copy", "-bsf:a", "aac_adtstoasc"]
    let done = try Command.run(
      "ffmpeg",
      ["-v", "error", "-nostdin", "-i", url, "-map", "0:\(track)", "-frames", "1200"] + kind + [
        "-f", "framemd5", "-",
      ],
      timeout: .seconds(120))
    guard done.status == 0 else { throw SupportError("ffmpeg \(url): \(done.errors.prefix(500))") }
    // Column 6; side data may follow it.
    return done.lines.filter { !$0.hasPrefix("#") }.compactMap { line in
      let columns = line.split(separator: ",")
      return columns.count > 5 ? columns[5] : nil
    }
  }

  struct Packet: Decodable {
    let time: String
    let digest: String
    var seconds: Double { Double(time) ?? .nan }

    enum CodingKeys: String, CodingKey {
      case time = "pts_time"
      case digest = "data_hash"
    }
  }

  /// Every coded frame of a track in the order of the file, with its presentation time. Empty without the track.
  static func packets(_ url: String, _ track: String) throws -> [Packet] {
    struct Listing: Decodable { let packets: [Packet]? }
    let done = try Command.run(
      "ffprobe",
      [
        "-v", "error", "-select_streams", track, "-show_packets", "-show_data_hash", "md5", "-show_entries",
        "packet=pts_time,data_hash", "-of", "json", url,
      ])
    guard done.status == 0 else { throw SupportError("ffprobe \(url): \(done.errors.prefix(500))") }
    return try JSONDecoder().decode(Listing.self, from: Data(done.output)).packets ?? []
  }

  /// What ffmpeg complains about, reading everything; the exit code too, for it does not fail on all it logs.
  static func warnings(_ url: String) throws -> [Substring] {
    let done = try Command.run(
      "ffmpeg",
      ["-v", "warning", "-nostdin", "-xerror", "-i", url, "-map", "0", "-c", "copy", "-f", "null", "-"])
    // Said of a stream whose parameter sets do not announce its reordering, when the first such picture comes.
    let lines = done.errors.split(separator: "\n").filter { !$0.contains("Increasing reorder buffer to") }
    return done.status == 0 ? lines : lines + ["exit code \(done.status)"]
  }

  static func durationsSeconds(_ file: String, _ type: String) throws -> [Double] {
    try Command.run(
      "ffprobe",
      ["-v", "error", "-select_streams", type, "-show_entries", "stream=duration", "-of", "csv=p=0", file]
    ).lines.compactMap { Double($0.prefix { $0 != "," }) }
  }
}

/// As much of ISO/IEC 14496-12 as it takes to read composition offsets.
private enum Box {
  /// The payloads of the boxes at `path`, outermost first.
  static func find(_ path: [String], in data: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    guard let kind = path.first else { return [data] }
    var found: [ArraySlice<UInt8>] = []
    var rest = data
    while rest.count >= 8 {
      let size = number(rest, 0)
      guard size >= 8, size <= rest.count else { break }
      if rest.dropFirst(4).prefix(4).elementsEqual(kind.utf8) {
        found += find(Array(path.dropFirst()), in: rest.prefix(size).dropFirst(8))
      }
      rest = rest.dropFirst(size)
    }
    return found
  }

  static func number(_ data: ArraySlice<UInt8>, _ offset: Int) -> Int {
    data.dropFirst(offset).prefix(4).reduce(0) { $0 << 8 | Int($1) }
  }

  static func timescale(ofInitSegment bytes: [UInt8]) throws -> Int {
    guard let header = find(["moov", "trak", "mdia", "mdhd"], in: bytes[...]).first else {
      throw SupportError("an init segment without mdhd")
    }
    return number(header, header.first == 1 ? 20 : 12)
  }

  /// One for each sample, in ticks.
  static func compositionOffsets(ofSegment bytes: [UInt8]) -> [Int] {
    find(["moof", "traf", "trun"], in: bytes[...]).flatMap { run in
      let flags = number(run, 0) & 0xff_ffff
      guard flags & 0x800 != 0 else { return [Int](repeating: 0, count: number(run, 4)) }
      let columns = [0x100, 0x200, 0x400, 0x800].filter { flags & $0 != 0 }.count
      let table = 8 + (flags & 0x1 != 0 ? 4 : 0) + (flags & 0x4 != 0 ? 4 : 0)
      return (0..<number(run, 4)).map { sample in
        let offset = number(run, table + (sample + 1) * columns * 4 - 4)
        return run.first == 0 ? offset : Int(Int32(truncatingIfNeeded: offset))
      }
    }
  }
}

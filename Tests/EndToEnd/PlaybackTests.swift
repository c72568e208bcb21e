import Foundation
import Support
import Testing

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
      let id = media.assetID(prefix)
      let imported = try server.headwater(["import", "--site", "demo", "--id", id, file])
      switch media.outcome {
      case .plays:
        try #require(imported.status == 0, "\(imported.errors)")
        try await expectSameFrames(server, id, file, media, tracks: ["v:0", "a:0"])
      case .playsInPart(let tracks, _):
        try #require(imported.status == 0, "\(imported.errors)")
        try await expectSameFrames(server, id, file, media, tracks: tracks)
      case .playsFromKeyFrame:
        try #require(imported.status == 0, "\(imported.errors)")
        for form in try Form.all(server, id) { try await expectTail(server, id, file, form) }
      case .isNotPackaged(let why):
        try expectRefusal(server, id, file, imported, why)
      }
    }

    private func expectRefusal(
      _ server: ServerUnderTest, _ id: String, _ file: String, _ imported: Command, _ why: String
    ) throws {
      #expect([0, 1].contains(imported.status))
      if imported.status == 1 {
        #expect(
          imported.errors.contains(URL(filePath: file).lastPathComponent), "\(why): \(imported.errors)")
        #expect(try server.request("GET", "/v/\(id)/source").status == 404)
        return
      }
      #expect(try Content(server.request("GET", "/v/\(id)/source").body) == Content(ofFile: file))
      for manifest in Form.manifests {
        let answer = try server.request("GET", "/v/\(id)/\(manifest)")
        #expect(answer.status == 422, "\(why): \(manifest) \(answer.status)")
        #expect(answer["Content-Type"] == "application/problem+json")
        let problem = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: any Sendable]
        #expect((problem?["detail"] as? String)?.isEmpty == false)
      }
    }

    private func expectSameFrames(
      _ server: ServerUnderTest, _ id: String, _ file: String, _ media: MediaCase, tracks: [String]
    ) async throws {
      let present = try tracks.filter { try !FFmpeg.packets(file, $0).isEmpty }
      try #require(!present.isEmpty)
      let forms = try Form.all(server, id)
      #expect(forms.count >= 4, "\(forms)")
      for track in present {
        let expected = try await FFmpeg.frames(file, track)
        #expect(!expected.isEmpty)
        for form in forms {
          let url = server.url("/v/\(id)/\(form.manifest)")
          let found = try await FFmpeg.frames(url, track)
          #expect(
            firstDifference(found, expected) == nil, "\(form.manifest) \(track): \(found.count) frames")
          try expectSameTimes(server, id, file, track, form, media)
        }
      }
      for form in forms {
        let judged = try FFmpeg.warnings(server.url("/v/\(id)/\(form.manifest)"))
        #expect(judged.isEmpty, "\(form.manifest): \(judged.prefix(5))")
      }
      try expectDurations(server, id, file)
    }

    /// What is shown is the end of what the source shows, and nearly all of it.
    private func expectTail(
      _ server: ServerUnderTest, _ id: String, _ file: String, _ form: Form
    ) async throws {
      for track in ["v:0", "a:0"] where try FFmpeg.codec(file, track).map({ $0 != "unknown" }) ?? false {
        let source = try await FFmpeg.frames(file, track)
        guard !source.isEmpty else { continue }
        let made = try await FFmpeg.frames(server.url("/v/\(id)/\(form.manifest)"), track)
        #expect(made.count * 10 > source.count * 8, "\(form.manifest) \(track): \(made.count)")
        #expect(made.suffix(20) == source.suffix(20), "\(form.manifest) \(track)")
      }
    }

    /// Every coded frame is presented when the source presents it: sound and picture stay together, from the
    /// first segment to the last.
    private func expectSameTimes(
      _ server: ServerUnderTest, _ id: String, _ file: String, _ track: String, _ form: Form,
      _ media: MediaCase
    ) throws {
      let url = server.url("/v/\(id)/\(form.manifest)")
      let source = try FFmpeg.packets(file, track)
      let made = try FFmpeg.packets(url, track)
      let keepsPackets = form != .transport && (media.isMP4 || track != "v:0")
      if keepsPackets {
        let difference = firstDifference(made.map(\.digest), source.map(\.digest))
        try #require(difference == nil, "\(url) \(track): \(made.count) coded frames")
      } else if track == "v:0" {
        try #require(made.count == source.count, "\(url) \(track): \(made.count) coded frames")
      }
      // A file that is no MP4 starts at 0 here, whatever its own clock says; a transport stream at 10 s.
      let base = try media.isMP4 ? 0 : FFmpeg.startSeconds(file)
      let start = form == .transport ? 10.0 : 0
      let lateness =
        try track == "v:0" && form != .transport
        ? ffmpegLatenessSeconds(server, id) : made.map { _ in [0] }
      try #require(lateness.count == made.count)
      let drift = zip(zip(made, lateness), source).map { pair, original in
        pair.1.map { abs(pair.0.seconds - start - $0 - (original.seconds - base)) }.min() ?? .infinity
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

extension MediaCase {
  func assetID(_ prefix: String) -> String { prefix + name.replacing(/[^A-Za-z0-9_-]/, with: "_") }
}

/// The ways an asset is delivered.
enum Form: String, CaseIterable, CustomStringConvertible {
  case hls = "master.m3u8"
  case transport = "master_ts.m3u8"
  case byteRanges = "master_byterange.m3u8"
  case dash = "manifest.mpd"
  case onDemand = "ondemand.mpd"

  var manifest: String { rawValue }
  var description: String { rawValue }
  static var manifests: [String] { allCases.map(\.manifest) }

  /// The forms of an asset: all, but for a transport stream where a codec has no place in one.
  static func all(_ server: ServerUnderTest, _ id: String) throws -> [Form] {
    let master = try server.request("GET", "/v/\(id)/master.m3u8").text
    let codecs = master.matches(of: /CODECS="([^"]*)"/).flatMap { $0.1.split(separator: ",") }
    let carried = ["avc1", "avc3", "hvc1", "hev1", "mp4a", "ac-3", "ec-3"]
    let isCarried = codecs.allSatisfy { codec in carried.contains { codec.hasPrefix($0) } }
    return allCases.filter { $0 != .transport || isCarried }
  }
}

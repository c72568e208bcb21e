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
        try await together(Form.all(server, id)) { try await expectTail(server, id, file, $0, media) }
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
      let wanted = try Form.isCarriedInTransport(server, id) && media.withoutTransport == nil
      #expect(forms == Form.allCases.filter { $0 != .transport || wanted }, "\(forms)")
      let base = try startSeconds(file, media, present)
      for track in present {
        let codec = try FFmpeg.codec(file, track)
        let expected = try await FFmpeg.frames(file, track, codec: codec)
        #expect(!expected.isEmpty)
        let source = try FFmpeg.packets(file, track)
        try await together(forms) { form in
          let url = try form.url(server, id, track)
          if Torture.isLong || !(form.isInOneFile && keepsPackets(form, track, media)) {
            let found = try await FFmpeg.frames(url, track, codec: codec)
            let difference = firstDifference(found, expected)
            if let reason = form == .transport
              ? media.differsInTransport : form == .dash ? media.differsInDASH : nil
            {
              withKnownIssue("\(reason)", isIntermittent: true) { #expect(difference == nil) }
            } else {
              #expect(difference == nil, "\(form.manifest) \(track): \(found.count) frames")
            }
          }
          try expectSameTimes(server, id, track, form, media, source, from: base, of: present)
        }
      }
      try await together(forms) { form in
        let judged = try FFmpeg.warnings(server.url("/v/\(id)/\(form.manifest)"))
        #expect(judged.isEmpty, "\(form.manifest): \(judged.prefix(5))")
      }
      try expectDurations(server, id, file)
    }

    /// Nearly all is there, and most of what is whole in the source looks the same. What depends on missing pictures
    /// is concealed by guesses, which depend on more than the stream.
    private func expectTail(
      _ server: ServerUnderTest, _ id: String, _ file: String, _ form: Form, _ media: MediaCase
    ) async throws {
      for track in ["v:0", "a:0"] where media.sourceTracks[track] != "none" {
        let source = try await FFmpeg.frames(file, media.sourceTracks[track] ?? track)
        try #require(!source.isEmpty)
        let made = try await FFmpeg.frames(form.url(server, id, track), track)
        #expect(made.count * 10 > source.count * 8, "\(form.manifest) \(track): \(made.count)")
        let same = Set(made).intersection(source).count
        #expect(same * 2 > Set(source).count, "\(form.manifest) \(track): \(same) of \(source.count)")
      }
    }

    /// Whether the coded frames of a form are compared with the source's, byte by byte.
    private func keepsPackets(_ form: Form, _ track: String, _ media: MediaCase) -> Bool {
      form != .transport && (media.isMP4 || track != "v:0") && !media.isTransport
    }

    /// Every coded frame is presented when the source presents it: sound and picture stay together, from the
    /// first segment to the last.
    private func expectSameTimes(
      _ server: ServerUnderTest, _ id: String, _ track: String, _ form: Form, _ media: MediaCase,
      _ source: [FFmpeg.Packet], from base: Double, of tracks: [String]
    ) throws {
      let url = try form.url(server, id, track)
      let made = try FFmpeg.packets(url, track)
      if keepsPackets(form, track, media) {
        let difference = firstDifference(made.map(\.digest), source.map(\.digest))
        try #require(difference == nil, "\(url) \(track): \(made.count) coded frames")
      } else if track == "v:0" {
        try #require(made.count == source.count, "\(url) \(track): \(made.count) coded frames")
      }
      let start = form == .transport ? 10.0 : 0
      let late = track == "v:0" ? media.sourceLatenessSeconds : 0
      let lateness =
        try track == "v:0" && form != .transport
        ? ffmpegLatenessSeconds(server, id) : made.map { _ in [0] }
      try #require(lateness.count == made.count)
      let drift = zip(zip(made, lateness), source).map { pair, original in
        pair.1.map { abs(pair.0.seconds - start - $0 - (original.seconds - base - late)) }.min()
          ?? .infinity
      }
      let worst = drift.max() ?? .infinity
      // Of sound alone in a transport stream ffmpeg says the time of the first frame twice.
      let isSoundAlone =
        form == .transport && (tracks == ["a:0"] || url.hasSuffix("audio/playlist_ts.m3u8"))
      #expect(
        worst < (isSoundAlone ? 0.05 : 0.002),
        "\(url) \(track): presented \(worst) s from where the source has it")
    }

    /// When the source starts by its own clock, which here is 0: of a transport stream, and of a fragmented file that
    /// was cut from a longer one.
    private func startSeconds(_ file: String, _ media: MediaCase, _ tracks: [String]) throws -> Double {
      let isMoved =
        media.isTransport || !media.isMP4 || media.name.hasPrefix("frag-") || media.name == "sar-pasp.mp4"
      guard isMoved else { return 0 }
      let first = try tracks.flatMap { try FFmpeg.packets(file, $0).map(\.seconds) }.min() ?? 0
      // What precedes 0 in Matroska is what a decoder throws away.
      return media.isTransport ? first : max(0, first)
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
      let longest = try FFmpeg.longestTrackSeconds(file)
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
  var isTransport: Bool { name.hasSuffix(".ts") }

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

  /// These deliver the coded frames of the others by ranges of a file. Where those are compared with the source's, decoding them,
  /// which is most of what these tests take, is left to the long form.
  var isInOneFile: Bool { self == .byteRanges || self == .onDemand }

  /// Where to find a track: ffmpeg counts those of a transport stream beside others its own way, so they are asked for
  /// by their own playlists.
  func url(_ server: ServerUnderTest, _ id: String, _ track: String) throws -> String {
    let path = "/v/\(id)/\(manifest)"
    guard self == .transport else { return server.url(path) }
    let master = try MultivariantPlaylist(server.request("GET", path).text, at: path)
    guard master.media.contains(where: { $0.type == "AUDIO" }) else { return server.url(path) }
    return server.url("/v/\(id)/\(track == "v:0" ? "source" : "audio")/playlist_ts.m3u8")
  }
  var description: String { rawValue }
  static var manifests: [String] { allCases.map(\.manifest) }

  /// The forms that an asset has: all, but for a transport stream where it has no place in one, which is said.
  static func all(_ server: ServerUnderTest, _ id: String) throws -> [Form] {
    try allCases.filter { form in
      let answer = try server.request("GET", "/v/\(id)/\(form.manifest)")
      #expect(answer.status == 200 || form == .transport && answer.status == 422, "\(form): \(answer.status)")
      return answer.status == 200
    }
  }

  /// Whether transport streams know the codecs of an asset's picture, or of its sound where it has none.
  static func isCarriedInTransport(_ server: ServerUnderTest, _ id: String) throws -> Bool {
    let master = try server.request("GET", "/v/\(id)/master.m3u8").text
    let codecs = master.matches(of: /CODECS="([^"]*)"/).flatMap { $0.1.split(separator: ",") }
    let carried = ["avc1", "avc3", "hvc1", "hev1", "mp4a", "ac-3", "ec-3"]
    let pictures = codecs.filter { codec in ["av", "h", "vp"].contains { codec.hasPrefix($0) } }
    return (pictures.isEmpty ? codecs : pictures).allSatisfy { codec in
      carried.contains { codec.hasPrefix($0) }
    }
  }
}

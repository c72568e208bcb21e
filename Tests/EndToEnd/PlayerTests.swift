import Foundation
import Support
import Testing

extension EndToEnd {
  /// Players and parsers that nobody here wrote, on every file of the table: mpv without a warning, GStreamer's
  /// adaptive demuxers without an error, and tshark's dissector on every transport stream segment.
  @Suite(
    .enabled(if: SharedMedia.folder != nil, Comment(rawValue: SharedMedia.absence)), .served { _ in })
  struct PlayerTests {
    static let packaged = sharedMedia.filter { if case .isNotPackaged = $0.outcome { false } else { true } }

    @Test(.enabled(if: Player.hasMpv, "mpv is not installed"), arguments: packaged)
    func mpvPlaysWithoutAWarning(_ media: MediaCase) async throws {
      let (server, id) = try imported(media, "m")
      try await together(forms(server, id, media)) { form in
        let said = try Player.mpv(
          server.url("/v/\(id)/\(form.manifest)"), beside: SharedMedia.path(media.name))
        // Pictures that decode otherwise are complained of otherwise.
        if form == .transport, let reason = media.differsInTransport {
          withKnownIssue("\(reason)", isIntermittent: true) { #expect(said.isEmpty) }
        } else {
          #expect(said.isEmpty, "\(form): \(said)")
        }
      }
    }

    @Test(.enabled(if: Player.hasGStreamer, "GStreamer is not installed"), arguments: packaged)
    func gstreamerEndsWithoutAnError(_ media: MediaCase) async throws {
      let (server, id) = try imported(media, "g")
      try await together(forms(server, id, media)) { form in
        let problem = try Player.gstreamer(server.url("/v/\(id)/\(form.manifest)"))
        if let reason = media.withoutGStreamer {
          withKnownIssue("\(reason)", isIntermittent: true) { #expect(problem == nil) }
        } else {
          #expect(problem == nil, "\(form): \(problem ?? "")")
        }
      }
    }

    @Test(.enabled(if: Player.hasTshark, "tshark is not installed"), arguments: packaged)
    func tsharkFindsNothingInTheSegments(_ media: MediaCase) async throws {
      let (server, id) = try imported(media, "t")
      guard try Form.all(server, id).contains(.transport) else { return }
      let folder = try TemporaryFolder("segments")
      let path = "/v/\(id)/master_ts.m3u8"
      let master = try MultivariantPlaylist(server.request("GET", path).text, at: path)
      try #require(!master.playlists.isEmpty)
      for child in master.playlists where !child.contains("subtitle-") {
        let playlist = try MediaPlaylist(server.request("GET", child).text, at: child)
        #expect(!playlist.segments.isEmpty)
        // Some at a time: tshark takes most of a second to start.
        for first in stride(from: 0, to: playlist.segments.count, by: 4) {
          let last = min(first + 4, playlist.segments.count)
          try await together(Array(first..<last)) { number in
            let segment = playlist.segments[number]
            let answer = try server.request("GET", segment)
            try #require(answer.status == 200, "\(segment)")
            let file = folder.url.appending(path: "\(number).ts")
            try Data(answer.body).write(to: file)
            let said = try Player.tshark(file.path)
            #expect(said.isEmpty, "\(segment): \(said.prefix(3))")
          }
        }
      }
    }

    /// Every manifest that is XML is well-formed.
    @Test(.enabled(if: Checkout.tool("xmllint") != nil, "xmllint is not installed"))
    func everyMPDIsWellFormed() throws {
      for name in ["multi-2video-2audio-2tx3g.mp4", "h264-eac3.mp4", "vp9-aac.mp4"] {
        let (server, id) = try imported(MediaCase(name), "x")
        for manifest in ["manifest.mpd", "ondemand.mpd"] {
          let text = try server.request("GET", "/v/\(id)/\(manifest)").body
          let done = try Command.run("xmllint", ["--noout", "-"], stdin: text)
          #expect(done.status == 0, "\(name) \(manifest): \(done.errors)")
        }
      }
    }

    /// The forms to play: all, or in the short form one of them, files taking turns. ffmpeg plays all of them all the time.
    private func forms(_ server: ServerUnderTest, _ id: String, _ media: MediaCase) throws -> [Form] {
      let all = try Form.all(server, id).filter { [.hls, .transport, .dash].contains($0) }
      guard !Torture.isLong, let place = Self.packaged.firstIndex(where: { $0.name == media.name }) else {
        return all
      }
      return [all[place % all.count]]
    }

    private func imported(_ media: MediaCase, _ prefix: String) throws -> (ServerUnderTest, String) {
      let server = try Served.server
      let id = media.assetID(prefix)
      try server.importAsset(id, SharedMedia.path(media.name))
      return (server, id)
    }
  }
}

/// The commands, as their makers document them.
private enum Player {
  static let hasMpv = Checkout.tool("mpv") != nil
  static let hasGStreamer = Checkout.tool("gst-launch-1.0") != nil
  static let hasTshark = Checkout.tool("tshark") != nil

  /// What mpv warns about every time that it plays `url`, and never of the source.
  ///
  /// What is wrong with an answer is told whenever it is played; what a loaded machine makes it say ("too slow
  /// hardware, temporary CPU spikes") comes and goes. What it says of the very file too is the file's.
  static func mpv(_ url: String, beside source: String) throws -> Set<String> {
    var said = try mpv(url)
    for _ in 0..<3 where !said.isEmpty {
      said.subtract(try mpv(source))
      if !said.isEmpty { said.formIntersection(try mpv(url)) }
    }
    return said
  }

  /// Everything mpv warns about, and its exit code if that is not 0.
  private static func mpv(_ url: String) throws -> Set<String> {
    let done = try Command.run(
      "mpv",
      [
        "--no-config", "--vo=null", "--ao=null", "--ao-null-untimed=yes", "--untimed",
        "--msg-level=all=warn", "--no-terminal", "--log-file=/dev/stderr", url,
      ], timeout: .seconds(120))
    let warnings = done.errors.split(separator: "\n").filter { line in
      ["[w]", "[e]", "[f]"].contains { line.contains("]\($0)[") || line.contains($0 + "[") }
    }
    // Numbers tell frames apart, not troubles. The last two are said of every file of their kind: libavformat does not
    // read WebVTT of HLS, and reordering that a stream does not announce is learned when it comes.
    var said = Set(warnings.map { String($0.drop { $0 != "]" }.dropFirst()).replacing(/[0-9]+/, with: "#") })
    said = said.filter {
      !$0.contains("Can't support the subtitle") && !$0.contains("Increasing reorder buffer")
    }
    if done.status != 0 { said.insert("exit code \(done.status)") }
    return said
  }

  /// The error that ends playback; nil when it reaches the end.
  ///
  /// The HLS reader of GStreamer 1.22 now and then says that it could not download a fragment at the end of a short
  /// presentation although it did: the same files from nginx meet the same. It is asked again then.
  static func gstreamer(_ url: String) throws -> String? {
    var problem: String?
    for _ in 0..<6 {
      problem = try playedByGStreamer(url)
      guard let problem, problem.contains("Couldn't download fragments") else { return problem }
    }
    return problem
  }

  private static func playedByGStreamer(_ url: String) throws -> String? {
    let done = try Command.run(
      "timeout",
      [
        "60", "gst-launch-1.0", "-q", "playbin3", "uri=\(url)", "video-sink=fakesink sync=false",
        "audio-sink=fakesink sync=false", "text-sink=fakesink sync=false",
      ],
      environment: ["GST_PLUGIN_FEATURE_RANK": "hlsdemux2:MAX,dashdemux2:MAX"], timeout: .seconds(90))
    let errors = (done.errors + done.text).split(separator: "\n").filter { $0.contains("ERROR:") }
    if let first = errors.first { return String(first) }
    return done.status == 0 ? nil : "exit code \(done.status)"
  }

  static func tshark(_ file: String) throws -> [Substring] {
    let done = try Command.run("tshark", ["-r", file, "-q", "-z", "expert"])
    return (done.lines + done.errors.split(separator: "\n")).filter {
      $0.localizedCaseInsensitiveContains("missing TS frames") || $0.contains("Malformed")
    }
  }
}

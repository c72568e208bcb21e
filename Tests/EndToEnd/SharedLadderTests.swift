import Foundation
import Support
import Testing

private enum SmallLadder {
  static let options: ServerUnderTest.Options = {
    var options = ServerUnderTest.Options()
    options.tables = "[jobs]\nworkers = \"2\""
    options.sites = [
      "demo":
        "hosts = [\"*\"]\n[plugins.transcode]\nladder = \"small\"\n[plugins.thumbnails]\nenabled = true",
      "../ladders/small": """
      preset = "ultrafast"
      quality = 35
      rungs = [{ name = "90p", height = 90, kbps = 200, max_fps = 30 }, { name = "144p", height = 144, kbps = 400 }]
      """,
    ]
    return options
  }()
}

extension EndToEnd {
  /// Files of many makers through a ladder: what can be decoded plays by HLS and DASH in all its rungs, what cannot ends as
  /// a failed job with its reason, and is served as it came. A few files; all of them with `HEADWATER_TORTURE=1`.
  @Suite(
    .enabled(if: SharedMedia.folder != nil, Comment(rawValue: SharedMedia.absence)),
    .served(SmallLadder.options, { _ in }))
  struct SharedLadderTests {
    /// What ends as a failed job, and the code of the reason.
    private static let refused = [
      "vvc-unsupported.mp4": "no-decoder", "cenc-frag.mp4": "encrypted", "cbcs-frag-c608.mp4": "encrypted",
      "stpp-progressive.mp4": "no-stream", "wvtt-frag.mp4": "no-stream", "stpp-frag.mp4": "no-stream",
      "bad-empty-stsc.mp4": "",
    ]

    static let files: [String] = {
      let all = sharedMedia.map(\.name).filter { $0 != "h264-long-6min-1080p.mp4" }
      if Torture.isLong { return all + ["h264-long-6min-1080p.mp4"] }
      return [
        "h264-aac-2997.mp4", "rotate-90-1080p-51.mp4", "vp8-vorbis.webm", "ts-scte35-mpeg2.ts",
        "aac-audio-only.m4a",
        "cenc-frag.mp4", "vfr-screen.mp4",
      ]
    }()

    private struct Job: Decodable {
      let kind: String
      let state: String
      let error: Reason?
      struct Reason: Decodable { let code: String, message: String }
    }

    private func jobs(_ id: String) throws -> [Job] {
      let listed = try Served.server.headwater(["jobs", "list", "--site", "demo", "--asset", id, "--json"])
      return try listed.lines.map { try JSONDecoder().decode(Job.self, from: Data($0.utf8)) }
        .filter { $0.kind.hasPrefix("transcode.") }
    }

    /// Waits until nothing of it is left to do.
    private func settled(_ id: String) throws -> [Job] {
      let deadline = ContinuousClock.now + .seconds(300)
      while true {
        let jobs = try jobs(id)
        let isOver = jobs.allSatisfy { !["pending", "processing"].contains($0.state) }
        // A plan that came to its end has been followed by jobs or failed.
        if !jobs.isEmpty, isOver { return jobs }
        guard ContinuousClock.now < deadline else {
          throw SupportError("\(id): \(jobs)\n\(try Served.server.log.suffix(3000))")
        }
        _ = try Served.server.headwater(["jobs", "watch", "--site", "demo"], timeout: .seconds(300))
      }
    }

    @Test(arguments: files) func aLadderOrAReason(name: String) throws {
      let server = try Served.server
      let id = name.replacing(/[^A-Za-z0-9_-]/, with: "_")
      let done = try server.headwater(
        ["import", "--site", "demo", "--id", id, SharedMedia.path(name)], timeout: .seconds(120))
      guard done.status == 0 else {
        // Refused at the door, with a reason.
        #expect(Self.refused[name] != nil && !done.errors.isEmpty, "\(done.errors)")
        return
      }
      let jobs = try settled(id)
      let failed = jobs.filter { $0.state == "failed" }
      if let code = Self.refused[name] {
        let reason = try #require(failed.first?.error, "\(jobs)")
        #expect(reason.code.contains(code) && !reason.message.isEmpty, "\(reason)")
      } else {
        #expect(failed.isEmpty, "\(failed)")
        // Cuts of a broadcast have other languages whose first frame is cut, too, and stay as they are.
        // Of an MPD the first picture: ffmpeg decodes sets of key frames for trick play as well, and complains where there is one.
        for (manifest, picture) in [("master.m3u8", "0:v?"), ("manifest.mpd", "0:v:0?")] {
          let sound = name.hasPrefix("ts-live-dvb") ? "0:a:99?" : "0:a?"
          let complaint = try plays(server.url("/v/\(id)/\(manifest)"), picture, sound)
          #expect(complaint == "", "\(manifest)")
        }
      }
      #expect(try server.curl("/v/\(id)/source", method: "HEAD").status == 200)
    }

    /// Decodes all of it; what ffmpeg says where that fails.
    private func plays(_ url: String, _ picture: String, _ sound: String) throws -> String {
      let done = try Command.run(
        "ffmpeg",
        [
          "-v", "error", "-nostdin", "-xerror", "-i", url, "-map", picture, "-map", sound, "-f", "null", "-",
        ],
        timeout: .seconds(300))
      return done.status == 0 ? "" : "exit code \(done.status): \(done.errors.suffix(500))"
    }
  }
}

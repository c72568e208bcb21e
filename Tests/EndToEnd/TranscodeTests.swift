import Foundation
import Support
import Testing

/// A site with the plugin on, and a ladder of small rungs.
enum TranscodeLadder {
  static func options(workers: String) -> ServerUnderTest.Options {
    var options = ServerUnderTest.Options()
    options.tables = "[jobs]\nworkers = \"\(workers)\""
    options.sites = [
      "demo": """
      hosts = ["*"]
      [packaging]
      segment = "2s"
      [plugins.transcode]
      ladder = "test"
      """,
      "../ladders/test": """
      preset = "ultrafast"
      rungs = [
        { name = "72p", height = 72, kbps = 150, max_fps = 15 },
        { name = "108p", height = 108, kbps = 300 },
        { name = "180p", height = 180, kbps = 600 },
      ]
      """,
    ]
    return options
  }
}

extension EndToEnd {
  /// Import with the plugin on, up to a ladder that plays.
  @Suite(.served(TranscodeLadder.options(workers: "2"), { _ in })) struct TranscodeTests {
    struct Asset: Decodable {
      struct Rendition: Decodable { let name: String }
      let status: String
      let renditions: [Rendition]
    }

    static func asset(_ id: String, on server: ServerUnderTest? = nil) throws -> Asset {
      let shown = try (server ?? Served.server).headwater(["assets", "show", "--site", "demo", id, "--json"])
      return try JSONDecoder().decode(Asset.self, from: Data(shown.output))
    }

    /// Waits until the asset has what it gets.
    static func transcoded(_ id: String, _ isDone: (Asset) -> Bool) async throws -> Asset {
      let deadline = ContinuousClock.now + .seconds(90)
      while true {
        let asset = try asset(id)
        if isDone(asset) { return asset }
        guard ContinuousClock.now < deadline else {
          throw SupportError("\(id): \(asset)\n\(try Served.server.log.suffix(3000))")
        }
        // Returns when no job is left, which is at once before the import is noticed.
        _ = try Served.server.headwater(["jobs", "watch", "--site", "demo"], timeout: .seconds(90))
      }
    }

    private func keySeconds(_ path: String) throws -> [Double] {
      try Command.run(
        "ffprobe",
        [
          "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0",
          path,
        ]
      ).lines.filter { $0.contains("K") }.compactMap { Double($0.prefix { $0 != "," }) }.sorted()
    }

    private func frames(_ url: String) throws -> [Double] {
      try FFmpeg.packets(url, "v:0").map(\.seconds).sorted()
    }

    @Test func aLadderAppearsAndPlays() async throws {
      let server = try Served.server
      let path = try Fixtures.path("h264-aac-faststart.mp4")
      try server.importAsset("film", path)
      let asset = try await Self.transcoded("film") {
        $0.status == "ready" && $0.renditions.contains { $0.name == "180p" }
      }
      #expect(Set(asset.renditions.map(\.name)) == ["72p", "108p", "180p", "audio"])
      let base = "http://127.0.0.1:\(server.port)/v/film"
      // Every rendition as one file: as long as its source, key frames where those of the others are.
      let source = try frames(path)
      let keys = try keySeconds("\(base)/180p.mp4")
      #expect(keys == [0, 2, 4, 6])
      for (name, step) in [("72p", 2), ("108p", 1), ("180p", 1)] {
        let url = "\(base)/\(name).mp4"
        #expect(try keySeconds(url) == keys, "\(name)")
        let own = try frames(url)
        #expect(own == stride(from: 0, to: source.count, by: step).map { source[$0] }, "\(name)")
        #expect(abs(try FFmpeg.longestTrackSeconds(url) - 8) < 0.03, "\(name)")
        // Sound beside it that begins with it.
        let sound = try FFmpeg.packets(url, "a:0")
        #expect(abs((sound.first?.seconds ?? 9)) < 0.025, "\(name)")
      }
      // What players are given, without a complaint.
      #expect(try FFmpeg.warnings("\(base)/master.m3u8") == [])
      #expect(try FFmpeg.warnings("\(base)/manifest.mpd") == [])
      // The job queue is at rest: the plugin's own events begin nothing.
      let jobs = try server.headwater(["jobs", "list", "--site", "demo", "--json"])
      #expect(!jobs.text.contains("\"failed\""), "\(jobs.text)")
    }

    /// Sound alone, pictures on their side, an uneven pace, two fields: each ends in something that plays.
    @Test(arguments: [
      "transcode-sound.flac", "transcode-rotated.mp4", "transcode-vfr.mp4", "transcode-interlaced.mp4",
      "transcode-mpeg2.avi",
    ])
    func oddFiles(name: String) async throws {
      let server = try Served.server
      let id = String(name.split(separator: ".")[0])
      try server.importAsset(id, try Fixtures.path(name))
      let hasPicture = !name.hasSuffix("flac")
      let base = "http://127.0.0.1:\(server.port)/v/\(id)"
      let asset = try await Self.transcoded(id) { asset in
        guard asset.status == "ready" else { return false }
        return hasPicture
          ? asset.renditions.contains { $0.name == "108p" }
          : (try? FFmpeg.codec("\(base)/audio.mp4", "a:0")) == "aac"
      }
      #expect(try FFmpeg.warnings("\(base)/master.m3u8") == [])
      #expect(try FFmpeg.warnings("\(base)/manifest.mpd") == [])
      guard hasPicture else { return #expect(asset.renditions.map(\.name) == ["audio"]) }
      let size = try Command.run(
        "ffprobe",
        [
          "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0",
          "\(base)/108p.mp4",
        ]
      ).lines.first.map(String.init)
      #expect(size == (name.contains("rotated") ? "108,192" : "192,108"))
      if name.contains("vfr") {
        #expect(try frames("\(base)/108p.mp4") == frames(try Fixtures.path(name)))
      }
    }

    @Test func whatCannotBeDecodedIsServedAllTheSame() async throws {
      let server = try Served.server
      // Sound tables, and pictures that are none: every byte of the media is nulled.
      let path = server.folder.path("broken.mp4")
      var bytes = try [UInt8](Data(contentsOf: URL(filePath: try Fixtures.path("video-only.mp4"))))
      let media = try #require(bytes.firstRange(of: Array("mdat".utf8)))
      let tables = bytes.firstRange(of: Array("moov".utf8)).map(\.lowerBound) ?? bytes.count
      let end = tables > media.upperBound ? tables - 4 : bytes.count
      for index in media.upperBound..<end { bytes[index] = 0 }
      try Data(bytes).write(to: URL(filePath: path))
      try server.importAsset("broken", path)
      let deadline = ContinuousClock.now + .seconds(60)
      while true {
        let jobs = try server.headwater(["jobs", "list", "--site", "demo", "--json"]).text
        if jobs.contains("transcode-decode") || jobs.contains("\"failed\"") { break }
        guard ContinuousClock.now < deadline else { throw SupportError("no failed job\n\(jobs)") }
        _ = try server.headwater(["jobs", "watch", "--site", "demo"], timeout: .seconds(60))
      }
      #expect(try Self.asset("broken").status == "ready")
      #expect(try server.curl("/v/broken/source").status == 200)
    }
  }
}

import Foundation
import Support
import Testing

extension EndToEnd {
  /// What `import` makes of containers other than MP4, of several files for one asset, and of subtitles.
  @Suite struct ImportTests {
    private func show(_ server: ServerUnderTest, _ id: String) throws -> [String: any Sendable] {
      let done = try server.headwater(["assets", "show", "--site", "demo", "--json", id])
      try #require(done.status == 0, "\(done.errors)")
      return try #require(
        try JSONSerialization.jsonObject(with: Data(done.output)) as? [String: any Sendable])
    }

    private func renditions(_ asset: [String: any Sendable]) -> [[String: any Sendable]] {
      asset["renditions"] as? [[String: any Sendable]] ?? []
    }

    private func names(_ asset: [String: any Sendable]) -> [String] {
      renditions(asset).compactMap { $0["name"] as? String }
    }

    /// The packets that ffprobe finds: their sizes, by kind.
    private func packetSizes(_ path: String, _ stream: String) throws -> [String] {
      let done = try Command.run(
        "ffprobe",
        ["-v", "error", "-select_streams", stream, "-show_entries", "packet=size", "-of", "csv=p=0", path])
      try #require(done.status == 0, "\(done.errors)")
      return done.lines.map(String.init)
    }

    @Test(arguments: [("h264-aac-srt.mkv", "video/x-matroska"), ("h264-aac.ts", "video/mp2t")])
    func otherContainersPlayAndKeepTheirBytes(name: String, mediaType: String) throws {
      let server = try ServerUnderTest()
      try server.start()
      let path = try Fixtures.path(name)
      try server.importAsset("film", path)
      let source = try server.request("GET", "/v/film/source")
      #expect(source.status == 200 && source["Content-Type"] == mediaType)
      #expect(Data(source.body) == (try Data(contentsOf: URL(filePath: path))), "byte for byte")

      let progressive = try server.request("GET", "/v/film/source.mp4")
      #expect(progressive.status == 200 && progressive["Content-Type"] == "video/mp4")
      let copy = try server.folder.write("copy.mp4", progressive.body)
      #expect(try packetSizes(copy, "v:0").count == 200)
      if name.hasSuffix(".mkv") {
        // Matroska keeps samples as MP4 does.
        for stream in ["v:0", "a:0", "a:1"] {
          let equal = try packetSizes(copy, stream) == packetSizes(path, stream)
          #expect(equal, "\(stream)")
        }
      }
      let decoded = try Command.run(
        "ffmpeg", ["-v", "error", "-i", server.url("/v/film/master.m3u8"), "-f", "null", "-"])
      #expect(decoded.status == 0 && decoded.errors.isEmpty, "\(decoded.errors)")
      #expect(try server.request("GET", "/v/film/manifest.mpd").status == 200)

      let gc = try server.headwater(["gc", "--json"])
      #expect(gc.status == 0, "\(gc.errors)")
      let scrub = try server.headwater(["scrub"])
      #expect(scrub.status == 0, "\(scrub.errors)")
      let left = try FileManager.default.contentsOfDirectory(atPath: server.folder.path("storage/incoming"))
      #expect(left.isEmpty, "\(left)")
      #expect(try server.stop() == 0)
    }

    @Test func subtitlesAndLanguagesOfMatroskaAreRenditions() throws {
      let server = try ServerUnderTest()
      try server.importAsset("film", Fixtures.path("h264-aac-srt.mkv"))
      let asset = try show(server, "film")
      #expect(names(asset) == ["source", "audio", "audio-2", "subtitle-en"])
      #expect(renditions(asset).last?["language"] as? String == "en")
      #expect(renditions(asset).last?["kind"] as? String == "subtitle")
    }

    @Test func withoutTheProgramOtherContainersAreKeptAsBytes() throws {
      let server = try ServerUnderTest()
      // The same program where none lies beside it. A link, since a debug build has a hundred megabytes.
      let folder = server.folder.path("alone")
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      do {
        try FileManager.default.linkItem(atPath: Checkout.binary, toPath: folder + "/headwater")
      } catch {
        try FileManager.default.copyItem(atPath: Checkout.binary, toPath: folder + "/headwater")
      }
      let done = try Command.run(
        folder + "/headwater",
        [
          "import", "--site", "demo", "--id", "film", "--config", server.configPath,
          try Fixtures.path("h264-aac-srt.mkv"),
        ], environment: ["PATH": "/usr/bin:/bin"])
      #expect(done.status == 0, "\(done.errors)")
      #expect((try show(server, "film")["reason"] as? String)?.contains("media-program-missing") == true)
      try server.start()
      #expect(try server.request("GET", "/v/film/source").status == 200)
      #expect(try server.request("GET", "/v/film/master.m3u8").status == 422)
      #expect(try server.stop() == 0)
    }

    @Test func renditionsJoinAnAsset() throws {
      let server = try ServerUnderTest()
      try server.start()
      let small = try Fixtures.path("rendition-90p.mp4")
      let early = try server.headwater([
        "import", "--site", "demo", "--id", "film", "--rendition", "90p", small,
      ])
      #expect(early.status == 1 && early.errors.contains("no asset film"), "\(early.errors)")
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      let before = try #require(try show(server, "film")["generation"] as? String)
      func add(_ name: String, _ file: String) throws {
        let done = try server.headwater([
          "import", "--site", "demo", "--id", "film", "--rendition", name, try Fixtures.path(file),
        ])
        try #require(done.status == 0, "\(done.errors)")
      }
      try add("90p", "rendition-90p.mp4")
      let asset = try show(server, "film")
      #expect(names(asset) == ["source", "90p", "audio"])
      #expect(asset["generation"] as? String != before)
      #expect((asset["defects"] as? [String])?.contains { $0.hasPrefix("misaligned") } == false)
      let playlist = try server.request("GET", "/v/film/master.m3u8").text
      #expect(playlist.contains("160x90") && playlist.contains("320x180"), "\(playlist)")
      #expect(
        try server.request("GET", "/v/film/g/\(before)/master.m3u8").status == 200, "the one before stays")
      let file = try server.request("GET", "/v/film/90p.mp4")
      #expect(Data(file.body) == (try Data(contentsOf: URL(filePath: small))))

      try add("90p", "rendition-other-keys.mp4")
      let defects = try #require(try show(server, "film")["defects"] as? [String])
      #expect(
        defects.contains { $0.hasPrefix("misaligned-key-frames: Renditions source and 90p") }, "\(defects)")
      let text = try server.headwater(["assets", "show", "--site", "demo", "film"]).text
      #expect(text.contains("misaligned-key-frames"))
      try add("90p", "rendition-90p.mp4")
      #expect(
        (try show(server, "film")["defects"] as? [String])?.contains { $0.contains("misaligned") } == false)
      #expect(try server.stop() == 0)
    }

    /// Two at a time, from two processes: none is lost.
    @Test func renditionsMayBeAddedAtTheSameTime() throws {
      let server = try ServerUnderTest()
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      let file = try Fixtures.path("rendition-90p.mp4")
      let names = (1...6).map { "copy-\($0)" }
      let running = try names.map {
        try server.inBackground(["import", "--site", "demo", "--id", "film", "--rendition", $0, file])
      }
      for command in running {
        let done = try #require(command.wait(.seconds(60)))
        #expect(done.status == 0, "\(done.errors)")
      }
      let found = try show(server, "film")
      #expect(Set(self.names(found)) == Set(names + ["source", "audio"]))
    }

    @Test func subtitlesBesideTheMedia() throws {
      let server = try ServerUnderTest()
      let english = try server.folder.write("en.srt", text: "1\n00:00:01,000 --> 00:00:02,000\nHello\n")
      let german = try server.folder.write("de.vtt", text: "WEBVTT\n\n00:01.000 --> 00:02.000\nHallo\n")
      let media = try Fixtures.path("h264-aac-faststart.mp4")
      let done = try server.headwater([
        "import", "--site", "demo", "--id", "film", "--subtitle", "eng=\(english)", media,
      ])
      #expect(done.status == 0, "\(done.errors)")
      #expect(names(try show(server, "film")) == ["source", "audio", "subtitle-en"])
      let alone = try server.headwater([
        "import", "--site", "demo", "--id", "film", "--subtitle", "de=\(german)",
      ])
      #expect(alone.status == 0, "\(alone.errors)")
      #expect(names(try show(server, "film")) == ["source", "audio", "subtitle-en", "subtitle-de"])
      let text = try server.headwater(["assets", "show", "--site", "demo", "film"]).text
      #expect(text.contains("subtitle    subtitle-de (subtitle, de)"), "\(text)")
      let scrub = try server.headwater(["scrub"])
      #expect(scrub.status == 0, "\(scrub.errors)")
    }

    @Test(arguments: [
      ["import", "--subtitle", "en=x.srt"], ["import", "--rendition", "720p", "x.mp4"],
      ["import", "--id", "a", "--rendition", "source", "x.mp4"],
      ["import", "--id", "a", "--rendition", "720p", "--title", "T", "x.mp4"],
      ["import", "--id", "a", "--subtitle", "no tag=x.srt", "x.mp4"],
      ["import", "--subtitle", "en", "x.mp4"],
      ["import", "--subtitle", "en=a", "--subtitle", "eng=b", "x.mp4"],
      ["import", "--subtitle", "en=a", "x.mp4", "y.mp4"],
    ])
    func wrongUsageIsTold(arguments: [String]) throws {
      let done = try ServerUnderTest().headwater(arguments)
      #expect(done.status == 64 && !done.errors.isEmpty, "\(done.status) \(done.errors)")
    }
  }
}

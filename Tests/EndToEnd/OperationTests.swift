import Foundation
import Support
import Testing

extension EndToEnd {
  /// The pages and logs of the operator, and the commands of daily work.
  @Suite struct OperationTests {
    // MARK: - Watching

    @Test func healthAndMetricsAreOnTheAdminListenerOnly() throws {
      let server = try ServerUnderTest()
      try server.start()
      for path in ["/healthz", "/readyz", "/metrics", "/"] {
        #expect(try server.request("GET", path, admin: true).status == 200, "\(path)")
        #expect(try server.request("GET", path).status == 404, "\(path) on the public listener")
      }
      func served() throws -> Double {
        let text = try server.request("GET", "/metrics", admin: true).text
        for line in text.split(separator: "\n") where !line.hasPrefix("# ") {
          #expect(line.wholeMatch(of: /[a-z_:][a-z0-9_:]*(\{[^}]*\})? -?[0-9.e+]+/) != nil, "\(line)")
        }
        let samples = text.split(separator: "\n").filter { $0.hasPrefix("headwater_responses_total{") }
        return samples.compactMap { Double($0.split(separator: " ").last ?? "") }.reduce(0, +)
      }
      let before = try served()
      for _ in 0..<25 { _ = try server.request("GET", "/f/none") }
      #expect(try served() - before >= 25)
      #expect(try server.stop() == 0)
    }

    @Test func theAccessLogHasOneJSONLineForEachRequest() throws {
      let server = try ServerUnderTest()
      try server.start()
      try server.putFile("notes.txt", Fixtures.path("notes.txt"))
      let hostile = [("User-Agent", "a \"quoted\" \\ agent"), ("X-Request-Id", "log-test-1")]
      #expect(try server.curl("/f/notes.txt?token=secret", hostile).status == 200)
      let line = try #require(server.logLine { $0.contains("log-test-1") })
      let record = try #require(
        try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: any Sendable], "\(line)")
      #expect(record["request_id"] as? String == "log-test-1")
      #expect(record["status"] as? Int == 200)
      #expect(record["site"] as? String == "demo")
      #expect(record["method"] as? String == "GET")
      #expect(record["user_agent"] as? String == "a \"quoted\" \\ agent")
      #expect((record["target"] as? String)?.hasPrefix("/f/notes.txt") == true)
      #expect(try server.stop() == 0)
    }

    /// `headwater plugins | head -1`, with a reader that has certainly gone: bash starts the program when it has seen it end.
    @Test func aReaderMayLeaveEarly() throws {
      let server = try ServerUnderTest()
      let leaving = #"exec 3> >(:); wait $!; "$@" >&3; echo "ended with $?""#
      let command = try Command.run(
        "bash", ["-c", leaving, "bash", Checkout.binary, "plugins", "--config", server.configPath])
      #expect(command.text == "ended with 141\n" && command.errors == "", "\(command)")
    }

    // MARK: - Configuration

    @Test(arguments: [
      ("listen = [\"127.0.0.1:0\"]\nthread = 2", "threads"), ("storage = 5", "storage"),
      ("drain_timeout = \"30\"", "\"30s\""), ("listen = [\"localhost\"]", "\"localhost\""), ("= 1", "'='"),
    ])
    func aMistakeIsNamedWithItsPlace(_ mistake: String, _ word: String) throws {
      let server = try ServerUnderTest()
      let good = try server.headwater(["check"])
      #expect(good.status == 0, "\(good.errors)")
      try server.folder.write("etc/headwater.toml", text: "[server]\n\(mistake)\n")
      let bad = try server.headwater(["check"])
      #expect(bad.status == 1)
      let text = bad.text + bad.errors
      #expect(text.contains(/headwater\.toml:[0-9]+:[0-9]+:/), "\(text)")
      #expect(text.contains(word), "\(text)")
      #expect(try server.headwater(["serve"]).status == 1, "no server starts on it")
    }

    @Test func theHeadersPluginSetsAndRemovesByClass() throws {
      var options = ServerUnderTest.Options()
      options.sites["demo"] = """
        hosts = ["*"]
        [plugins.headers]
        enabled = true
        rules = [
          { class = "segment", set = { "X-Class" = "media" } }, { remove = ["Timing-Allow-Origin"] },
        ]
        """
      let server = try ServerUnderTest(options)
      try server.start()
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      let segment = try server.curl(Presentation(server, asset: "film").segment(0))
      #expect(segment["X-Class"] == "media" && segment["Timing-Allow-Origin"] == nil)
      let master = try server.curl("/v/film/master.m3u8")
      #expect(master["X-Class"] == nil && master["Timing-Allow-Origin"] == nil)
      let plugins = try server.headwater(["plugins"])
      #expect(plugins.status == 0 && plugins.text.contains("headers") && plugins.text.contains("demo"))
      #expect(try server.stop() == 0)
    }

    @Test func wrongUsageIsSixtyFour() throws {
      let server = try ServerUnderTest()
      for arguments in [["fly"], ["import"], ["put", "--nonsense", "a"], ["explain"]] {
        #expect(try server.headwater(arguments).status == 64, "\(arguments)")
      }
      for command in ["serve", "check", "import", "put", "assets", "scrub", "gc", "explain", "plugins"] {
        let help = try Command.run(Checkout.binary, [command, "--help"])
        #expect(help.status == 0 && help.text.contains("USAGE"), "\(command)")
      }
    }

    // MARK: - Catalog

    @Test func whatIsImportedWhileServingIsThereAtOnce() throws {
      let server = try ServerUnderTest()
      try server.start()
      #expect(try server.request("GET", "/v/film/master.m3u8").status == 404)
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      #expect(try server.request("GET", "/v/film/master.m3u8").status == 200)
      try server.putFile("a/b c.txt", Fixtures.path("notes.txt"))
      #expect(try server.request("GET", "/f/a/b%20c.txt").status == 200)
      let removed = try server.headwater(["assets", "remove", "--site", "demo", "film"])
      #expect(removed.status == 0, "\(removed.errors)")
      #expect(try server.request("GET", "/v/film/master.m3u8").status == 404)
      #expect(try server.request("GET", "/v/film/source").status == 404)
      #expect(try server.stop() == 0)
    }

    @Test func newBytesAreANewGenerationAndTheOldOneStays() throws {
      let server = try ServerUnderTest()
      try server.start()
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      let old = try Presentation(server, asset: "film")
      let oldSegment = try server.request("GET", old.segment(0))
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      #expect(
        try Presentation(server, asset: "film").segment(0) == old.segment(0), "same bytes, same generation")

      try server.importAsset("film", Fixtures.path("h264-aac-2997.mp4"))
      let new = try Presentation(server, asset: "film")
      #expect(try new.segment(0) != old.segment(0))
      #expect(try server.request("GET", new.segment(0)).status == 200)
      let still = try server.request("GET", old.segment(0))
      #expect(still.status == 200 && still.body == oldSegment.body && still["ETag"] == oldSegment["ETag"])
      let gc = try server.headwater(["gc"])
      #expect(gc.status == 0, "\(gc.errors)")
      #expect(try server.request("GET", old.segment(0)).status == 200, "within the grace time")
      #expect(try server.stop() == 0)
    }

    @Test func recursivePutPublishesATree() throws {
      let server = try ServerUnderTest()
      try server.folder.write("tree/index.html", text: "<p>hello")
      try server.folder.write("tree/deep/er/style.css", text: "p{}")
      let done = try server.headwater([
        "put", "--site", "demo", "--recursive", "site", server.folder.path("tree"),
      ])
      #expect(done.status == 0, "\(done.errors)")
      try server.start()
      let page = try server.request("GET", "/f/site/index.html")
      #expect(page.text == "<p>hello" && page["Content-Type"]?.hasPrefix("text/html") == true)
      let style = try server.request("GET", "/f/site/deep/er/style.css")
      #expect(style.text == "p{}" && style["Content-Type"]?.hasPrefix("text/css") == true)
      #expect(try server.stop() == 0)
    }

    @Test func listsAreReadableByMachines() throws {
      let server = try ServerUnderTest()
      try server.importAsset("one", Fixtures.path("video-only.mp4"))
      try server.importAsset("two", Fixtures.path("audio-only.m4a"))
      let list = try server.headwater(["assets", "list", "--site", "demo", "--json"])
      #expect(list.status == 0, "\(list.errors)")
      let records = try list.lines.map {
        try #require(
          try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: any Sendable], "\($0)")
      }
      #expect(records.compactMap { $0["id"] as? String }.sorted() == ["one", "two"])
      #expect(records.allSatisfy { ($0["generation"] as? String)?.wholeMatch(of: /[0-9a-f]{12}/) != nil })
      let missing = try server.headwater(["assets", "show", "--site", "demo", "three"])
      #expect(missing.status == 1 && !missing.errors.isEmpty)
    }

    @Test func explainTellsWhyAURLIsAnsweredSo() throws {
      let server = try ServerUnderTest()
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      let done = try server.headwater(["explain", "http://localhost/v/film/master.m3u8"])
      #expect(done.status == 0, "\(done.errors)")
      for word in ["demo", "film", "Cache-Control"] {
        #expect(done.text.contains(word), "\(word): \(done.text)")
      }
      #expect(done.text.contains(/\b[0-9a-f]{12}\b/), "the generation")
    }

    // MARK: - Damage

    @Test func scrubMakesAPackagingIndexAgain() throws {
      let server = try ServerUnderTest()
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      try server.start()
      let playlist = try server.request("GET", "/v/film/master.m3u8").body
      #expect(try server.stop() == 0)
      let blobs = server.folder.path("storage/blobs")
      let indexes = try FileManager.default.subpathsOfDirectory(atPath: blobs).filter {
        $0.hasSuffix(".index")
      }
      let index = blobs + "/" + (try #require(indexes.first))
      try FileManager.default.removeItem(atPath: index)
      try Data("no index".utf8).write(to: URL(filePath: index))

      let found = try server.headwater(["scrub"])
      #expect(found.status == 1 && found.text.contains("index"), "\(found.text) \(found.errors)")
      try server.start()
      let broken = try server.request("GET", "/v/film/master.m3u8")
      #expect(broken.status == 500 && broken.text.contains("blob-damaged"), "\(broken.text)")
      #expect(try server.request("GET", "/v/film/source").status == 200)
      let repaired = try server.headwater(["scrub", "--repair"])
      #expect(repaired.status == 0, "\(repaired.text) \(repaired.errors)")
      #expect(try server.request("GET", "/v/film/master.m3u8").body == playlist, "without a restart")
      #expect(try server.stop() == 0)
    }

    @Test func scrubFindsAFlippedBit() throws {
      let server = try ServerUnderTest()
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      try server.putFile("notes.txt", Fixtures.path("notes.txt"))
      let sound = try server.headwater(["scrub"])
      #expect(sound.status == 0, "\(sound.text) \(sound.errors)")

      let digest = String(try Command.run("sha256sum", [Fixtures.path("notes.txt")]).text.prefix(64))
      let blob = server.folder.path(
        "storage/blobs/\(digest.prefix(2))/\(digest.dropFirst(2).prefix(2))/\(digest)")
      var content = try bytes(ofFile: blob)
      content[700] ^= 4
      try FileManager.default.removeItem(atPath: blob)
      try Data(content).write(to: URL(filePath: blob))

      let found = try server.headwater(["scrub"])
      #expect(found.status == 1)
      #expect((found.text + found.errors).contains(digest), "\(found.text) \(found.errors)")
      let repaired = try server.headwater(["scrub", "--repair"])
      #expect((repaired.text + repaired.errors).contains(digest))
      let quarantine = try FileManager.default.subpathsOfDirectory(
        atPath: server.folder.path("storage/quarantine"))
      #expect(quarantine.contains { $0.contains(digest) }, "\(quarantine)")
      try server.start()
      #expect(try server.request("GET", "/f/notes.txt").status != 200, "damaged bytes are not served")
      #expect(try server.request("GET", "/v/film/source").status == 200)
      #expect(try server.stop() == 0)
    }
  }
}

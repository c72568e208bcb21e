import Foundation
import Support
import Testing

extension EndToEnd {
  /// Sites whose content keys come from a key service: one request an asset, and nothing in clear whatever the service does.
  @Suite struct KeyServiceTests {
    private static let key = "5ec2e7d00102030405060708090a0b0c"
    private static let keyID = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
    private static let film = "h264-aac-2997.mp4"
    private static let keys = [
      "film": #"{"kid": "\#(keyID)", "key": "\#(key)", "more": {}}"#,
      "other": #"{"kid": "oKGio6SlpqeoqaqrrK2urg", "key": "XsLn0AECAwQFBgcICQoLDA"}"#,
    ]

    private static func options(_ method: String, _ lines: String) -> ServerUnderTest.Options {
      var options = ServerUnderTest.Options()
      options.threads = 2
      options.sites["demo"] = """
        hosts = ["*"]
        [encryption]
        method = "\(method)"
        serve_key = true
        \(lines)
        """
      return options
    }

    /// A node and its key service; the film is imported.
    private static func start(
      _ method: String, _ lines: String = "", keys: [String: String] = keys
    ) throws -> (server: ServerUnderTest, service: KeyServer) {
      let service = try KeyServer(keys)
      let server = try ServerUnderTest()
      try server.configure(options(method, service.settings(server) + "\n" + lines))
      try server.start()
      try server.importAsset("film", Fixtures.path(film))
      return (server, service)
    }

    private static func end(_ server: ServerUnderTest) throws {
      let told = server.log.split(separator: "\n").filter {
        $0.lowercased().contains("5ec2e7d001") || $0.contains(KeyServer.token)
      }
      #expect(told.isEmpty)
      #expect(try server.stop() == 0, "log: \(server.log.suffix(2000))")
    }

    // MARK: One request

    @Test func aPlayerCostsOneRequest() async throws {
      let (server, service) = try Self.start("aes-128")
      for track in ["v:0", "a:0"] {
        let expected = try await FFmpeg.frames(Fixtures.path(Self.film), track)
        let found = try await FFmpeg.frames(server.url("/v/film/master.m3u8"), track)
        #expect(!expected.isEmpty && found == expected)
      }
      #expect(service.requests(for: "film") == 1)
      let metrics = try server.request("GET", "/metrics", admin: true).text
      #expect(metrics.contains("headwater_content_key_requests_total 1\n"))
      try Self.end(server)
    }

    @Test(arguments: ["cbcs", "cenc"]) func commonEncryptionCostsOneRequest(method: String) async throws {
      let (server, service) = try Self.start(method)
      let presentation = try Presentation(server, asset: "film")
      let (_, playlist) = try #require(presentation.playlists.first)
      let children = [try #require(playlist.initSegment)] + playlist.segments
      let bytes = try children.flatMap { try server.request("GET", $0).body }
      let opened = try await FFmpeg.frames(
        try server.folder.write("media.mp4", bytes), "v:0",
        inputOptions: ["-seekable", "0", "-decryption_key", Self.key])
      #expect(try await FFmpeg.frames(Fixtures.path(Self.film), "v:0") == opened)
      #expect(try server.request("GET", "/v/film/manifest.mpd").status == 200)
      #expect(service.requests(for: "film") == 1)
      try Self.end(server)
    }

    /// The paths are those of a node that has the same key in a file: caches behind both share what they keep.
    @Test func pathsAreThoseOfANodeWithAKeyFile() throws {
      let (server, service) = try Self.start("cbcs")
      defer { service.kill() }
      let other = try ServerUnderTest(Self.options("cbcs", "key_file = \"../keys.toml\""))
      try other.folder.writeSecret(
        "etc/keys.toml", "[assets.film]\nid = \"\(Self.keyID)\"\nkey = \"\(Self.key)\"\n")
      try other.start()
      try other.importAsset("film", Fixtures.path(Self.film))
      let paths = try [server, other].map { try Presentation($0, asset: "film").children }
      #expect(!paths[0].isEmpty && paths[0] == paths[1])
      for path in paths[0].prefix(4) {
        #expect(try server.request("GET", path).body == other.request("GET", path).body)
      }
      try Self.end(server)
      #expect(try other.stop() == 0)
    }

    @Test func manyViewersAtOnceCostOneRequest() throws {
      let (server, service) = try Self.start("aes-128")
      try service.behave("hang")
      let viewers = try (0..<64).map { _ in try server.connect() }
      for viewer in viewers { try viewer.send("GET /v/film/master.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n") }
      // The loops go on meanwhile.
      #expect(try server.request("GET", "/v/none/master.m3u8").status == 404)
      try service.behave("ok")
      for viewer in viewers { #expect(try viewer.response().status == 200) }
      #expect(service.requests(for: "film") == 1)
      #expect(service.requests(for: "none") == 0, "nobody asks for an asset that is not there")
      try Self.end(server)
    }

    // MARK: A service that fails

    @Test(arguments: ["500", "401", "429", "302", "garbage", "hang"]) func failuresAreClosed(mode: String)
      throws
    {
      let (server, service) = try Self.start("cbcs", "key_timeout = \"500ms\"")
      try service.behave(mode)
      for _ in 0..<5 {
        for path in ["/v/film/master.m3u8", "/v/film/manifest.mpd"] {
          let answer = try server.request("GET", path)
          #expect(answer.status == 503 && answer.text.contains("content-key-unavailable"), "\(answer.text)")
          #expect(answer["Cache-Control"] == "no-store")
          let seconds = try #require(answer["Retry-After"].flatMap { Int($0) })
          #expect((mode == "429" ? 6...9 : 1...3).contains(seconds))
        }
        #expect(try server.request("GET", "/v/film/source").status == 503)
      }
      #expect((1...3).contains(service.requests(for: "film")), "a failure is remembered for a moment")
      try service.behave("ok")
      if mode != "429" {
        // Nothing was kept but the wait.
        let deadline = ContinuousClock.now + .seconds(10)
        var status = 503
        while status == 503, .now < deadline {
          status = try server.request("GET", "/v/film/master.m3u8").status
        }
        #expect(status == 200)
      }
      try Self.end(server)
    }

    @Test func aServiceThatIsDownStopsOnlyWhatIsNew() throws {
      let (server, service) = try Self.start("cbcs")
      let segment = try Presentation(server, asset: "film").segment(0)
      let before = try server.request("GET", segment).body
      try server.importAsset("other", Fixtures.path("video-only.mp4"))
      service.kill()
      let answer = try server.request("GET", "/v/other/master.m3u8")
      #expect(answer.status == 503 && answer["Retry-After"] != nil)
      #expect(try server.request("GET", segment).body == before)
      #expect(try server.request("GET", "/v/film/master.m3u8").status == 200)
      try Self.end(server)
    }

    @Test func anAssetThatTheServiceDoesNotKnowIsRefused() throws {
      let (server, service) = try Self.start("cbcs", keys: [:])
      for _ in 0..<5 {
        let answer = try server.request("GET", "/v/film/master.m3u8")
        #expect(answer.status == 403 && answer.text.contains("content-key-missing"))
      }
      #expect(service.requests(for: "film") == 1)
      try Self.end(server)
    }

    /// The address is that of a private network, and nobody said that it may be.
    @Test func privateAddressesAreNotAsked() throws {
      let (server, service) = try Self.start("cbcs", "")
      let lines = try service.settings(server).replacing("= true", with: "= false")
      try server.configure(Self.options("cbcs", lines))
      server.signal(SIGHUP)
      #expect(server.logLine { $0.contains("configuration reloaded") } != nil)
      #expect(try server.request("GET", "/v/film/master.m3u8").status == 503)
      #expect(service.requests(for: "film") == 0)
      #expect(server.logLine { $0.contains("key_allow_private") } != nil)
      try Self.end(server)
    }

    /// `explain` asks too, and says neither key nor token.
    @Test func explainAsksTheService() throws {
      let (server, service) = try Self.start("cbcs")
      let path = try Presentation(server, asset: "film").segment(0)
      let name = try #require(path.firstMatch(of: /cbcs-[0-9a-f]{8}/)).0
      let told = try server.headwater(["explain", "/v/film/master.m3u8"])
      #expect(
        told.status == 0 && told.text.contains("below enc/\(name)/") && told.text.contains("key service"))
      #expect(!told.text.lowercased().contains("5ec2e7d001") && !told.text.contains(KeyServer.token))
      #expect(service.requests(for: "film") == 2)
      try service.behave("500")
      let failed = try server.headwater(["explain", "/v/film/master.m3u8"])
      #expect(failed.text.contains("503 content-key-unavailable"))
      try Self.end(server)
    }

    // MARK: Reload

    @Test func aReloadAsksAgainAndAnotherKeyIsAnotherPath() throws {
      let (server, service) = try Self.start("cbcs")
      let first = try Presentation(server, asset: "film").segment(0)
      #expect(service.requests(for: "film") == 1)
      let changed = try KeyServer(["film": Self.keys["other"] ?? ""])
      try server.configure(Self.options("cbcs", changed.settings(server)))
      server.signal(SIGHUP)
      #expect(server.logLine { $0.contains("configuration reloaded") } != nil)
      let second = try Presentation(server, asset: "film").segment(0)
      #expect(changed.requests(for: "film") == 1 && first != second)
      #expect(try server.request("GET", first).status == 404)
      #expect(try server.request("GET", second).status == 200)
      try Self.end(server)
    }
  }
}

import Foundation
import Support
import Testing

extension EndToEnd {
  /// Real caches in front: what changes is forgotten at once, what does not change stays, what is new is there already.
  @Suite struct CDNTests {
    /// From the change in the catalog to the first right answer; generous, since machines that test are busy.
    static let freshLimit = Duration.seconds(10)

    static let kinds = [
      EdgeCache.Kind.varnish, .banning, .nginx, .refreshing, .trafficServer,
    ].filter(\.isInstalled)

    static func options(_ edges: String = "") -> ServerUnderTest.Options {
      var options = APIFixture.options(
        site: "[cache]\nmanifest_max_age = \"1h\"\nfile_max_age = \"1h\"\n\(edges)")
      options.sites["closed"] = nil
      return options
    }

    /// A server with a cache in front that it knows of.
    static func start(
      _ kind: EdgeCache.Kind, _ more: String = "", prepare: (ServerUnderTest) throws -> Void = { _ in }
    ) throws -> (ServerUnderTest, EdgeCache) {
      let server = try ServerUnderTest(options())
      try server.start()
      try prepare(server)
      let edge = try EdgeCache(kind, before: server)
      try server.configure(options(try edge.settings(server, more)))
      server.signal(SIGHUP)
      try #require(
        server.logLine { $0.contains("configuration reloaded") } != nil, "\(server.log.suffix(2000))")
      return (server, edge)
    }

    static func eventually(
      _ what: String, _ limit: Duration = .seconds(30), _ holds: () throws -> Bool
    ) throws {
      let deadline = ContinuousClock.now + limit
      while try !holds() {
        guard ContinuousClock.now < deadline else { throw SupportError("never: \(what)") }
        usleep(20_000)
      }
    }

    /// The members of an edge as the API tells them.
    static func status(_ server: ServerUnderTest) throws -> [String: Any] {
      let answer = try server.call("GET", "/api/v1/cdn")
      try #require(answer.status == 200, "\(answer.text)")
      return try #require((answer.json["edges"] as? [[String: Any]])?.first)
    }

    static func isSettled(_ server: ServerUnderTest) throws -> Bool {
      let status = try status(server)
      return status["pending"] as? Int == 0 && status["warming"] as? Int == 0
    }

    // MARK: Purges

    @Test(arguments: kinds) func aReplacedAssetIsNewAtOnceAndTheOldOnePlaysOn(kind: EdgeCache.Kind) throws {
      let (server, edge) = try Self.start(kind) { server in
        try server.importAsset("film", Fixtures.path("h264-aac-2997.mp4"))
        try server.putFile("a b.txt", server.folder.write("1.txt", text: "one"))
      }
      let manifests = ["master.m3u8", "master_ts.m3u8", "manifest.mpd", "source/playlist.m3u8"]
        .map { "/v/film/\($0)" }
      let old = try Presentation(server, asset: "film")
      var oldBytes: [String: Content] = [:]
      for path in manifests + old.master.playlists + old.children + ["/f/a%20b.txt"] {
        let first = try edge.get(path)
        #expect(first.status == 200, "\(path)")
        oldBytes[path] = Content(first.body)
        #expect(try edge.isHit(edge.get(path)), "\(path) is not kept")
      }

      try server.importAsset("film", Fixtures.path("video-only.mp4"))
      let changed = ContinuousClock.now
      let newTag = try #require(try server.request("GET", "/v/film/master.m3u8")["ETag"])
      try Self.eventually("the edge serves the new playlist", Self.freshLimit) {
        try edge.get("/v/film/master.m3u8")["ETag"] == newTag
      }
      print("cdn \(kind.rawValue): fresh \(ContinuousClock.now - changed) after the import had ended")
      try Self.eventually("all is acknowledged", Self.freshLimit) { try Self.isSettled(server) }
      // Never a mix: each manifest is the origin's, and all it names is of the new generation.
      for path in manifests {
        let (direct, through) = (try server.request("GET", path), try edge.get(path))
        #expect(through.status == direct.status && Content(through.body) == Content(direct.body), "\(path)")
      }
      let generation = newTag.dropFirst().prefix(12)
      let new = try Presentation(server, asset: "film")
      for path in new.master.playlists + new.children {
        #expect(path.contains("/g/\(generation)/"), "\(path)")
        #expect(try Content(edge.get(path).body) == Content(server.request("GET", path).body), "\(path)")
      }
      // Who is in the middle of the old one goes on to its end, out of the cache.
      for path in old.master.playlists + old.children {
        let answer = try edge.get(path)
        #expect(answer.status == 200 && Content(answer.body) == oldBytes[path], "\(path)")
        #expect(edge.isHit(answer), "\(path) was purged although it never changes")
      }

      try server.putFile("a b.txt", server.folder.write("2.txt", text: "two"))
      try Self.eventually("the edge serves the new file", Self.freshLimit) {
        try edge.get("/f/a%20b.txt").text == "two"
      }
      #expect(try server.headwater(["assets", "remove", "--site", "demo", "film"]).status == 0)
      try Self.eventually("the edge has forgotten the asset", Self.freshLimit) {
        try edge.get("/v/film/master.m3u8").status == 404
      }
      try Self.eventually("all is acknowledged", Self.freshLimit) { try Self.isSettled(server) }
      #expect(try edge.get("/v/film/manifest.mpd").status == 404)
      // Renewing hides nothing that the origin has no more.
      let gone =
        kind == .refreshing
        ? new.master.playlists : new.master.playlists + new.children + old.master.playlists + old.children
      for path in gone { #expect(try edge.get(path).status == 404, "\(path)") }
      let status = try Self.status(server)
      #expect(status["failed"] as? Int == 0)
      #expect((status["unlisted_segments"] as? Int ?? 0 > 0) == (kind == .refreshing))
      #expect(try server.stop() == 0)
    }

    // MARK: Warming

    @Test(.enabled(if: EdgeCache.Kind.varnish.isInstalled, "Varnish is not installed"))
    func theFirstViewerOfANewAssetHitsTheCache() throws {
      let (server, edge) = try Self.start(.varnish, "prefetch = \"requests\"\nverify = true")
      try server.importAsset("film", Fixtures.path("h264-aac-2997.mp4"))
      try Self.eventually("it is warm") {
        try Self.isSettled(server) && (Self.status(server)["warmed_requests"] as? Int ?? 0) > 0
      }
      let new = try Presentation(server, asset: "film")
      var paths = ["/v/film/master.m3u8", "/v/film/manifest.mpd"] + new.master.playlists
      for (_, playlist) in new.playlists {
        paths += [playlist.initSegment].compactMap { $0 } + playlist.segments.prefix(3)
      }
      for path in paths {
        let answer = try edge.get(path)
        #expect(answer.status == 200 && edge.isHit(answer), "\(path)")
      }
      if let later = new.playlists.first(where: { $0.playlist.segments.count > 3 })?.playlist.segments[3] {
        #expect(try !edge.isHit(edge.get(later)), "more was fetched than was asked for")
      }
      let metrics = try server.request("GET", "/metrics", admin: true).text
      #expect(
        metrics.contains("headwater_cdn_warmed_requests_total{edge=\"edge\",site=\"demo\"}")
          || metrics.contains("headwater_cdn_warmed_requests_total{site=\"demo\",edge=\"edge\"}"))
      // The probe saw the purge of the import work.
      try Self.eventually("fresh") { try Self.status(server)["fresh"] as? Int ?? 0 > 0 }
      #expect(try server.stop() == 0)
    }

    /// Signed URLs: the warming brings a token of its own.
    @Test(.enabled(if: EdgeCache.Kind.varnish.isInstalled, "Varnish is not installed"))
    func aSignedSiteIsWarmedWithAToken() throws {
      let server = try ServerUnderTest(Self.options())
      try server.start()
      let edge = try EdgeCache(.varnish, before: server)
      let signing = """
        [signing]
        required = true
        keys = [{ id = "k1", secret_file = "../k1.key" }]
        """
      try server.folder.writeSecret("etc/k1.key", "0123456789abcdef0123456789abcdef")
      try server.configure(
        Self.options(signing + "\n" + (try edge.settings(server, "prefetch = \"requests\"\nverify = true"))))
      server.signal(SIGHUP)
      try #require(server.logLine { $0.contains("configuration reloaded") } != nil)
      try server.importAsset("film", Fixtures.path("h264-aac-2997.mp4"))
      try Self.eventually("it is warm") {
        try Self.isSettled(server) && (Self.status(server)["warmed_requests"] as? Int ?? 0) >= 8
      }
      try Self.eventually("fresh") { try Self.status(server)["fresh"] as? Int ?? 0 > 0 }
      #expect(try server.stop() == 0)
    }

    /// An edge that acknowledges and does nothing is found out.
    @Test(.enabled(if: EdgeCache.Kind.nginx.isInstalled, "nginx's purge module is not installed"))
    func anEdgeThatForgetsNothingIsFoundOut() throws {
      let server = try ServerUnderTest(Self.options())
      try server.start()
      try server.importAsset("film", Fixtures.path("h264-aac-2997.mp4"))
      let edge = try EdgeCache(.nginx, before: server)
      let api = try ScriptedAPI()
      let lying = """
        [plugins.cdn]
        verify_timeout = "300ms"
        [[plugins.cdn.edges]]
        name = "edge"
        vendor = "generic"
        urls = ["http://127.0.0.1:\(edge.port)"]
        api = "\(api.url)"
        private_addresses = true
        verify = true
        """
      try server.configure(Self.options(lying))
      server.signal(SIGHUP)
      try #require(server.logLine { $0.contains("configuration reloaded") } != nil)
      // Kept under the Host that the probe uses.
      _ = try Command.run(
        "curl", ["-s", "-o", "/dev/null", "http://127.0.0.1:\(edge.port)/v/film/master.m3u8"])
      try server.importAsset("film", Fixtures.path("video-only.mp4"))
      try Self.eventually("stale") { try Self.status(server)["stale"] as? Int ?? 0 > 0 }
      try Self.eventually("purged again") {
        api.acknowledged.filter { $0.contains("/v/film/master.m3u8") }.count >= 2
      }
      #expect(try server.stop() == 0)
    }
  }
}

import Foundation
import Support
import Testing

extension EndToEnd {
  /// What a site's own systems say about videos, through Redis, to nodes of the real program.
  @Suite(.enabled(if: Checkout.tool("redis-server") != nil, "redis-server is not installed"))
  struct MetadataTests {
    private let redis: RedisServer
    private let upstream: MetadataUpstream
    private static let patch = "application/merge-patch+json"
    /// An answer that waits for nothing comes within a millisecond, and one that waited for Redis for its time-outs:
    /// what lies between is the machine's.
    private static let anAnswerAtOnce = Duration.seconds(Torture.isLong ? 1 : 3)

    init() throws {
      redis = try RedisServer()
      upstream = try MetadataUpstream()
    }

    /// A node with the asset `film` in the renditions `source`, `90p` and `audio`.
    private func node(_ settings: String = "", site: String = "") throws -> ServerUnderTest {
      var options = APIFixture.options(site: upstream.settings(redis.url, settings) + "\n" + site)
      options.files["etc/upstream.token"] = MetadataUpstream.token
      options.files["etc/k1.key"] = "a key that signs what it is given"
      let server = try ServerUnderTest(options)
      try server.start()
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      let added = try server.headwater([
        "import", "--site", "demo", "--id", "film", "--rendition", "90p", Fixtures.path("rendition-90p.mp4"),
      ])
      try #require(added.status == 0, "\(added.errors)")
      return server
    }

    private func eventually(_ what: Comment, _ holds: () throws -> Bool) rethrows {
      let deadline = ContinuousClock.now + .seconds(20)
      while try !holds() {
        if ContinuousClock.now > deadline {
          Issue.record(what)
          return
        }
        usleep(10_000)
      }
    }

    private func metadata(_ server: ServerUnderTest) throws -> String? {
      let video = try server.call("GET", "/api/v1/videos/film").json
      return (video["metadata"] as? [String: Any])?["title"] as? String
    }

    // MARK: - The API

    @Test func theAPIShowsWhatTheSiteSays() throws {
      try upstream.set("film", #"{"title":"From elsewhere","rank":7}"#)
      let server = try node()
      let answer = try server.call("GET", "/api/v1/videos/film")
      let title = try #require(answer.json["title"] as? String)
      #expect(answer.status == 200 && title != "From elsewhere")
      let metadata = try #require(answer.json["metadata"] as? [String: Any], "\(answer.text)")
      #expect(metadata["title"] as? String == "From elsewhere" && metadata["rank"] as? Int == 7)
      #expect(answer.json["metadata_available"] as? Bool == true)
      #expect(upstream.requests(for: "film") >= 1)
      // The events of the import take it out once more.
      try eventually("Redis has it") {
        _ = try server.call("GET", "/api/v1/videos/film/metadata")
        return try redis.command("get", "video:meta:film").contains("elsewhere")
      }
      // The tag of what was read opens a change, whatever the metadata are by then.
      let tag = try #require(answer["ETag"])
      #expect(try server.call("GET", "/api/v1/videos/film", nil, [("If-None-Match", tag)]).status == 304)
      let changed = try server.call(
        "PATCH", "/api/v1/videos/film", #"{"title":"Own"}"#, type: Self.patch, [("If-Match", tag)])
      #expect(changed.status == 200 && changed.json["title"] as? String == "Own", "\(changed.text)")
      #expect(
        try server.call(
          "PATCH", "/api/v1/videos/film", "{}", type: Self.patch, [("If-Match", tag)]
        ).status == 412)
      let line = try #require(server.logLine { $0.contains("api: changed") })
      for part in ["token=ops", "subject=film", "members=title", "site=demo"] { #expect(line.contains(part)) }
      #expect(!server.log.contains(MetadataUpstream.token))
      // By itself, as it was given.
      let alone = try server.call("GET", "/api/v1/videos/film/metadata")
      #expect(alone.status == 200 && alone.json["rank"] as? Int == 7)
      let aloneTag = try #require(alone["ETag"])
      #expect(
        try server.call("GET", "/api/v1/videos/film/metadata", nil, [("If-None-Match", aloneTag)]).status
          == 304)
      #expect(try server.call("GET", "/api/v1/videos/none/metadata").code == "video-unknown")
      #expect(upstream.requests(for: "none") == 0, "a name that was made up costs nothing")
      let explained = try server.headwater(["explain", "http://localhost/v/film/master.m3u8"])
      #expect(explained.text.contains("video:meta:film"), "\(explained.text)\(explained.errors)")
      #expect(explained.text.contains("none beyond the catalog's"))
      let metrics = try server.request("GET", "/metrics", admin: true).text
      #expect(metrics.contains(#"headwater_redis_breakers_open{site="demo"} 0"#))
      #expect(metrics.contains(#"headwater_redis_listening{site="demo"} 1"#))
      #expect(try server.stop() == 0)
    }

    @Test func withoutAnUpstreamTheCatalogIsTheSource() throws {
      var options = APIFixture.options(
        site: "[plugins.redis]\nurl = \"\(redis.url)\"\nkey = \"{site}:meta:{id}\"")
      options.threads = 1
      let server = try ServerUnderTest(options)
      try server.start()
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      let path = "/api/v1/videos/film"
      #expect(try server.call("GET", path).json["metadata"] == nil)
      #expect(try server.call("GET", "\(path)/metadata").json["video_id"] as? String == "film")
      try eventually("Redis has it") {
        _ = try server.call("GET", "\(path)/metadata")
        return try redis.command("exists", "demo:meta:film") == "1"
      }
      let renamed = try server.call("PATCH", path, #"{"title":"New"}"#, type: Self.patch, [("If-Match", "*")])
      #expect(renamed.status == 200)
      try eventually("the change has reached Redis") {
        try server.call("GET", "\(path)/metadata").json["title"] as? String == "New"
      }
      #expect(try server.call("DELETE", path, nil, [("If-Match", "*")]).status == 204)
      eventually("what is removed is no more") { (try? redis.command("exists", "demo:meta:film")) == "0" }
      #expect(try server.stop() == 0)
    }

    // MARK: - Rights

    @Test func rightsDecideAndChangesReachEveryNode() throws {
      try upstream.set("film", #"{"title":"one"}"#)
      // Nothing is asked for again by itself within the test.
      let lasting = "memory_fresh = \"10m\""
      let nodes = [try node(lasting), try node(lasting)]
      let (first, second) = (nodes[0], nodes[1])
      let all = try first.request("GET", "/v/film/master.m3u8")
      #expect(all.status == 200 && all.text.contains("/90p/") && all.text.contains("/source/"))
      for path in ["/v/film/90p/playlist.m3u8", "/v/film/90p.mp4", "/v/film/source", "/v/film/source.mp4"] {
        #expect(try second.request("GET", path).status == 200, "\(path)")
      }
      #expect(try second.request("GET", "/v/film/master.m3u8")["ETag"] == all["ETag"])
      let generation = try #require(
        try first.call("GET", "/api/v1/videos/film").json["generation"] as? String)
      let pinned = try first.request("GET", "/v/film/g/\(generation)/master.m3u8")
      #expect(pinned["Cache-Control"]?.contains("immutable") == false, "it depends on what may change")
      let segment = "/v/film/g/\(generation)/90p/segment_0000.m4s"
      let media = try first.request("GET", segment)
      #expect(media["Cache-Control"]?.contains("immutable") == true)

      try upstream.set("film", #"{"title":"two","renditions":["90p"]}"#)
      #expect(try first.call("DELETE", "/api/v1/videos/film/metadata").status == 204)
      for node in nodes {
        try eventually("the change has come") { try metadata(node) == "two" }
        let playlist = try node.request("GET", "/v/film/master.m3u8")
        #expect(playlist.text.contains("/90p/") && !playlist.text.contains("/source/"), "\(playlist.text)")
        #expect(playlist.text.contains("audio"), "sound stays")
        #expect(playlist["ETag"] != all["ETag"])
        #expect(!(try node.request("GET", "/v/film/manifest.mpd").text.contains(#"id="source""#)))
        for path in [
          "source/playlist.m3u8", "source", "source.mp4", "g/\(generation)/source/segment_0000.m4s",
        ] {
          #expect(try node.request("GET", "/v/film/\(path)").status == 404, "\(path)")
        }
        // What may be had is what it was, byte for byte.
        let same = try node.request("GET", segment)
        #expect(same["ETag"] == media["ETag"] && Content(same.body) == Content(media.body))
      }
      let explained = try first.headwater(["explain", "http://localhost/v/film/master.m3u8"])
      #expect(explained.text.contains("pictures: 90p"), "\(explained.text)")

      try upstream.set("film", #"{"title":"three","renditions":[]}"#)
      #expect(try second.call("DELETE", "/api/v1/videos/film/metadata").status == 204)
      try eventually("the change has come") { try metadata(first) == "three" }
      #expect(try first.request("GET", "/v/film/master.m3u8").code == "no-rendition-allowed")

      try upstream.set("film", #"{"title":"four","privacy":"private"}"#)
      #expect(try second.call("DELETE", "/api/v1/videos/film/metadata").status == 204)
      try eventually("the change has come") { try metadata(first) == "four" }
      for path in ["/v/film/master.m3u8", "/v/film/source", segment] {
        #expect(try first.request("GET", path).code == "asset-private", "\(path)")
      }
      #expect(try first.call("GET", "/api/v1/videos/film/playlist.m3u8").status == 200)
      for node in nodes { #expect(try node.stop() == 0) }
    }

    @Test func countriesAreLookedAt() throws {
      try upstream.set("film", #"{"countries":["DE","AT"]}"#)
      let server = try node("country_header = \"X-Country\"")
      func status(_ path: String, _ country: String?) throws -> Int {
        try server.request("GET", path, country.map { [("x-country", $0)] } ?? []).status
      }
      for path in ["/v/film/master.m3u8", "/v/film/source", "/v/film/90p/segment_0000.m4s"] {
        #expect(try status(path, "DE") == 200)
        #expect(try status(path, "at") == 200)
        #expect(try status(path, "FR") == 403)
        #expect(try status(path, nil) == 403)
        #expect(try status(path, "nowhere") == 403)
      }
      let refused = try server.request("GET", "/v/film/master.m3u8", [("X-Country", "FR")])
      #expect(refused.code == "country-not-allowed" && refused["Cache-Control"] == "no-store")
      let german = [("X-Country", "DE")]
      #expect(try server.request("GET", "/v/film/master.m3u8", german)["Vary"] == "x-country")
      #expect(try server.request("GET", "/v/film/90p/segment_0000.m4s", german)["Vary"] == nil)
      for number in 0..<50 { #expect(try status("/v/made-up-\(number)/master.m3u8", "DE") == 404) }
      #expect(upstream.requests(for: "made-up-7") == 0)
      #expect(try server.stop() == 0)
    }

    /// Before and after its time a video is refused, and no cache may have its playlists longer.
    @Test func rightsHaveTheirTime() throws {
      func text(_ seconds: Int64) -> String { Date(timeIntervalSince1970: Double(seconds)).ISO8601Format() }
      func now() -> Int64 { Int64(Date().timeIntervalSince1970) }
      try upstream.set("film", "{}")
      let server = try node(
        "memory_fresh = \"10m\"",
        site: """
          [cache]
          manifest_max_age = "2h"
          cdn_cache_control = "max-age=7200"
          [plugins.cdn]
          [[plugins.cdn.edges]]
          name = "edge"
          vendor = "varnish"
          urls = ["http://media.test"]
          servers = ["http://127.0.0.1:1"]
          edge_max_age = "24h"
          """)
      func say(_ number: Int, _ members: String) throws {
        try upstream.set("film", "{\"n\":\(number),\(members)}")
        #expect(try server.call("DELETE", "/api/v1/videos/film/metadata").status == 204)
        try eventually("the change has come") {
          let said = try server.call("GET", "/api/v1/videos/film").json["metadata"] as? [String: Any]
          return said?["n"] as? Int == number
        }
      }
      let generation = try #require(
        try server.call("GET", "/api/v1/videos/film").json["generation"] as? String)
      let manifests = [
        "master.m3u8", "manifest.mpd", "source/playlist.m3u8", "g/\(generation)/source/playlist.m3u8",
        "g/\(generation)/master.m3u8",
      ].map { "/v/film/\($0)" }
      let segment = "/v/film/g/\(generation)/source/segment_0000.m4s"
      let media = [segment, "/v/film/source", "/v/film/90p.mp4"]
      for path in manifests + media { #expect(try server.request("GET", path).status == 200, "\(path)") }
      #expect(try server.request("GET", manifests[3])["Cache-Control"]?.contains("immutable") == true)

      try say(1, #""available_from":"\#(text(now() + 3600))""#)
      for path in manifests + media {
        let answer = try server.request("GET", path)
        #expect(answer.status == 403 && answer.code == "not-yet-available", "\(path)")
        #expect(answer["Cache-Control"] == "no-store")
      }
      #expect(try server.headwater(["explain", "http://localhost\(manifests[0])"]).text.contains("from 20"))

      // It ends within the lifetimes that the settings give.
      let end = now() + 3600
      try say(2, #""available_from":"\#(text(now() - 1))","available_until":"\#(text(end))""#)
      func seconds(_ answer: RawResponse, _ field: String) -> Int64? {
        answer[field]?.firstMatch(of: /max-age=(\d+)/).flatMap { Int64($0.1) }
      }
      for path in manifests {
        let asked = now()
        let answer = try server.request("GET", path)
        #expect(answer.status == 200, "\(path)")
        for field in ["Cache-Control", "CDN-Cache-Control", "Surrogate-Control"] {
          let lifetime = try #require(seconds(answer, field), "\(path): \(field)")
          #expect(lifetime > 0 && asked + lifetime <= end, "\(path): \(field) \(answer[field] ?? "")")
        }
        #expect(answer["Cache-Control"]?.contains("must-revalidate") == true)
        #expect(answer["Cache-Control"]?.contains("stale") == false)
      }
      #expect(try server.request("GET", segment)["Cache-Control"]?.contains("immutable") == true)

      // It ends by itself, for what is kept in memory, too.
      let soon = now() + 4
      try say(3, #""available_until":"\#(text(soon))""#)
      for path in manifests + media {
        try eventually("\(path) is refused") {
          let asked = now()
          let answer = try server.request("GET", path)
          if answer.status == 200, manifests.contains(path) {
            #expect(asked + (try #require(seconds(answer, "Cache-Control"))) <= soon + 1, "\(path)")
          }
          return answer.code == "no-longer-available"
        }
      }
      #expect(now() >= soon)
      #expect(try server.call("GET", "/api/v1/videos/film").status == 200)
      #expect(try server.stop() == 0)
    }

    @Test func whenNobodySaysTheSettingDecides() throws {
      try upstream.behave("500")
      let open = try node()
      #expect(try open.request("GET", "/v/film/master.m3u8").status == 200)
      let video = try open.call("GET", "/api/v1/videos/film").json
      #expect(video["metadata"] is NSNull && video["metadata_available"] as? Bool == false)
      #expect(try open.call("GET", "/api/v1/videos/film/metadata").code == "metadata-unavailable")
      let closed = try node("when_unknown = \"refuse\"")
      let refused = try closed.request("GET", "/v/film/master.m3u8")
      #expect(refused.code == "metadata-unavailable" && refused["Retry-After"] == "1")
      #expect(try closed.request("GET", "/f/x").status == 404)
      try upstream.set("film", "{}")
      try upstream.behave("ok")
      try eventually("it is asked again") { try closed.request("GET", "/v/film/master.m3u8").status == 200 }
      for node in [open, closed] { #expect(try node.stop() == 0) }
    }

    // MARK: - Failures of Redis

    /// Whatever Redis does, media requests are answered as ever, and calls of the plugin end.
    @Test(arguments: [
      "silent", "slow", "reset", "garbage", "half", "-LOADING Redis is loading", "-OOM command not allowed",
      "-READONLY You can't write",
    ])
    func mediaNeverNoticesRedis(mode: String) throws {
      let scripted = try ScriptedRedis("empty")
      try upstream.set("film", #"{"title":"one"}"#)
      var options = APIFixture.options(
        site: upstream.settings(scripted.url, "memory_fresh = \"100ms\"\ncommand_timeout = \"50ms\""))
      options.files["etc/upstream.token"] = MetadataUpstream.token
      let server = try ServerUnderTest(options)
      try server.start()
      try server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      let paths = ["/v/film/master.m3u8", "/v/film/source/playlist.m3u8", "/v/film/source/segment_0000.m4s"]
      for path in paths { #expect(try server.request("GET", path).status == 200) }
      try scripted.behave(mode)
      let deadline = ContinuousClock.now + .seconds(2)
      while ContinuousClock.now < deadline {
        for path in paths {
          let begin = ContinuousClock.now
          #expect(try server.request("GET", path).status == 200, "\(mode): \(path)")
          #expect(ContinuousClock.now - begin < Self.anAnswerAtOnce)
        }
        let begin = ContinuousClock.now
        #expect(try server.call("GET", "/api/v1/videos/film/metadata").status == 200)
        #expect(ContinuousClock.now - begin < Self.anAnswerAtOnce)
      }
      func isOpen() throws -> Bool {
        try server.request("GET", "/metrics", admin: true).text
          .contains(#"headwater_redis_breakers_open{site="demo"} 1"#)
      }
      // What memory knows asks for nothing; what has changed does.
      try eventually("the breaker opens") {
        #expect(try server.call("DELETE", "/api/v1/videos/film/metadata").code == "redis-unavailable")
        #expect(try server.request("GET", paths[0]).status == 200)
        return try isOpen()
      }
      try scripted.behave("empty")
      let begin = ContinuousClock.now
      try eventually("the breaker closes") { try !isOpen() }
      #expect(ContinuousClock.now - begin < Self.anAnswerAtOnce + .seconds(2))
      #expect(try server.stop() == 0)
    }

    @Test func aServerStartsWithoutRedis() throws {
      redis.kill()
      try upstream.set("film", #"{"title":"one"}"#)
      let server = try node()
      #expect(try metadata(server) == "one")
      #expect(try server.request("GET", "/v/film/master.m3u8").status == 200)
      #expect(try server.call("DELETE", "/api/v1/videos/film/metadata").code == "redis-unavailable")
      try redis.restart()
      try eventually("it is found") {
        try server.call("DELETE", "/api/v1/videos/film/metadata").status == 204
      }
      #expect(try metadata(server) == "one")
      // The events of the import, which have waited for Redis, take it out once more.
      try eventually("it is used") {
        #expect(try metadata(server) == "one")
        return try redis.command("exists", "video:meta:film") == "1"
      }
      #expect(try server.stop() == 0)
    }

    // MARK: - The document

    private static let tool = Checkout.tool("schemathesis")

    @Test(.enabled(if: tool != nil, "schemathesis is not installed (pip install schemathesis)"))
    func theServerDoesWhatTheDocumentSays() throws {
      try upstream.set("film", #"{"title":"one","renditions":["90p"]}"#)
      let server = try node()
      let run = try Command.run(
        Self.tool ?? "",
        [
          "run", Checkout.root.appending(path: "docs/openapi.yaml").path, "--url", server.url("/"), "-H",
          "Authorization: Bearer \(APIFixture.token)", "--max-examples", "\(Torture.rounds(10, long: 100))",
          "--seed", "1", "--generation-database", "none", "--include-operation-id", "getVideo",
          "--include-operation-id", "getVideoMetadata",
          "--include-operation-id", "refreshVideoMetadata", "--phases",
          "examples,coverage,fuzzing", "--request-timeout", "20", "--warnings", "off", "--no-color",
        ], folder: server.folder.url.path, timeout: .seconds(120))
      #expect(run.status == 0, "\(run.text.suffix(6000))\n\(run.errors.suffix(1000))")
      #expect(try server.stop() == 0)
    }
  }
}

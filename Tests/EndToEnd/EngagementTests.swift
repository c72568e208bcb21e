import Foundation
import Support
import Testing

extension EndToEnd {
  /// What players send and systems ask, with Redis and without.
  @Suite struct EngagementTests {
    static let video = "/api/v1/videos/film"

    /// A server with the plugin and a video of ten seconds.
    static func server(
      _ redis: RedisServer? = nil, _ settings: String = "", prefix: String = "", signing: String = ""
    ) throws -> ServerUnderTest {
      let url = redis.map { "url = \"\($0.url)\"\n" } ?? ""
      let options = APIFixture.options(
        tables: "[log]\naccess = \"json\"",
        site: "\(signing)\n[plugins.engagement]\n\(url)beacon_rate = 0\nprefix = \"\(prefix)\"\n\(settings)\n"
      )
      let server = try ServerUnderTest(options)
      try server.start()
      try server.importAsset("film", Fixtures.path(APIFixture.film))
      return server
    }

    private func beacon(_ server: ServerUnderTest, _ path: String) throws -> Int {
      try server.request("POST", "\(Self.video)/\(path)", body: []).status
    }

    private func views(_ server: ServerUnderTest) throws -> Int? {
      try server.call("GET", Self.video).json["views"] as? Int
    }

    @Test(arguments: [true, false]) func viewsReachTheCatalog(hasRedis: Bool) throws {
      let redis = hasRedis ? try RedisServer() : nil
      let server = try Self.server(redis)
      #expect(
        server.logLine { $0.contains("engagement is kept in \(hasRedis ? "Redis" : "the memory")") } != nil)
      let before = try server.call("GET", Self.video)
      for viewer in ["viewer-1", "viewer-2", "viewer-1"] {
        #expect(try beacon(server, "view?watched=30&viewer=\(viewer)") == 204)
      }
      #expect(try beacon(server, "view?watched=1&viewer=viewer-3") == 204, "too short to be a view")
      #expect(try server.curl("\(Self.video)/view?watched=30", method: "POST").status == 204, "without an id")
      #expect(try server.curl("\(Self.video)/view?watched=30.5", method: "POST").status == 204)
      let now = try server.call("GET", "\(Self.video)/engagement").json
      #expect(
        now["views"] as? Int == 3 && now["unique_viewers"] as? Int == 3 && now["live_viewers"] as? Int == 0)
      #expect(try views(server) == 0)
      #expect(try server.call("GET", "/api/v1/trending").json["videos"] as? [String] == ["film"])
      #expect(try server.call("POST", "/api/v1/views/flush").json["added_views"] as? Int == 3)
      let after = try server.call("GET", Self.video)
      #expect(after.json["views"] as? Int == 3 && after["ETag"] != before["ETag"])
      #expect(try server.call("POST", "/api/v1/views/flush").json["added_views"] as? Int == 0)
      #expect(try server.call("GET", "\(Self.video)/engagement").json["views"] as? Int == 3)
      let shown = try server.headwater(["assets", "show", "--site", "demo", "--json", "film"])
      #expect(shown.text.contains(#""views" : 3"#) || shown.text.contains(#""views":3"#), "\(shown.text)")
      #expect(try beacon(server, "view?watched=30&viewer=viewer-9") == 204)
      let metrics = try server.request("GET", "/metrics", admin: true).text
      #expect(metrics.contains("headwater_engagement_views_total{site=\"demo\"} 4"))
      #expect(metrics.contains("headwater_engagement_repeated_views_total{site=\"demo\"} 2"))
      #expect(try server.stop() == 0)
      try server.start()
      if hasRedis { #expect(try server.call("POST", "/api/v1/views/flush").status == 200) }
      #expect(try views(server) == 4, "what was counted before the end is there")
      #expect(try server.stop() == 0)
    }

    @Test func whatIsNoBeaconIsRefused() throws {
      let server = try Self.server()
      for (path, status) in [
        ("view", 400), ("view?watched=x", 400), ("view?watched=30&viewer=a", 400),
        ("view?watched=30&x=1", 400),
        ("view?watched=30&watched=31", 400), ("progress", 400), ("progress?position=-1", 400),
        ("reports?reason=dull", 400), ("reports", 400), ("heartbeat?viewer=%2e%2e%2fetc%2f", 400),
      ] {
        #expect(try beacon(server, path) == status, "\(path)")
      }
      #expect(
        try server.request("POST", "/api/v1/videos/none/view?watched=30", body: []).code == "video-unknown")
      #expect(try server.request("GET", "\(Self.video)/view?watched=30").status == 405)
      for path in [
        "\(Self.video)/engagement", "/api/v1/realtime", "/api/v1/moderation",
        "/api/v1/viewers/viewer-1/history",
      ] {
        #expect(try server.request("GET", path).status == 401, "\(path)")
      }
      let preflight = try server.request(
        "OPTIONS", "/api/v1/cmcd", [("Origin", "https://a.test"), ("Access-Control-Request-Method", "POST")])
      #expect(preflight["Access-Control-Allow-Headers"]?.contains("Content-Type") == true)
      #expect(try server.stop() == 0)
    }

    @Test func beaconsAndMediaAreLimitedByAddress() throws {
      var options = APIFixture.options(
        site:
          "[plugins.engagement]\nbeacon_rate = 1\nbeacon_burst = 3\nmedia_rate = 1\nmedia_per = \"1h\"\nmedia_burst = 2"
      )
      options.server = "trusted_proxies = [\"127.0.0.1/32\"]"
      let server = try ServerUnderTest(options)
      try server.start()
      try server.importAsset("film", Fixtures.path(APIFixture.film))
      func statuses(_ method: String, _ path: String, _ client: String) throws -> [Int] {
        try (0..<4).map { _ in
          try server.request(method, path, [("X-Forwarded-For", client)], body: method == "POST" ? [] : nil)
            .status
        }
      }
      #expect(try statuses("GET", "/v/film/master.m3u8", "192.0.2.1") == [200, 200, 429, 429])
      #expect(try statuses("GET", "/v/film/master.m3u8", "192.0.2.2") == [200, 200, 429, 429])
      let refused = try server.request("GET", "/v/film/master.m3u8", [("X-Forwarded-For", "192.0.2.1")])
      #expect(refused.code == "rate-limited" && (Int(refused["Retry-After"] ?? "") ?? 0) > 1000)
      #expect(try statuses("POST", "\(Self.video)/heartbeat", "192.0.2.1").prefix(3) == [204, 204, 204])
      #expect(
        try server.request("GET", "/metrics", admin: true).text.contains(
          "headwater_engagement_refused_requests_total{site=\"demo\"} 5"))
      #expect(try server.stop() == 0)
    }

    /// Two nodes hold one limit together.
    @Test func nodesShareALimit() throws {
      let redis = try RedisServer()
      let settings = "media_rate = 10\nmedia_per = \"1h\"\nmedia_algorithm = \"fixed-window\""
      let nodes = try (0..<2).map { _ in try Self.server(redis, settings) }
      for _ in 0..<10 { #expect(try nodes[0].request("GET", "/v/film/master.m3u8").status == 200) }
      #expect(try nodes[0].request("GET", "/v/film/master.m3u8").status == 429)
      // The other learns of it with what it tells itself: at its second request at the earliest.
      let deadline = ContinuousClock.now + .seconds(30)
      var allowed = 0
      while ContinuousClock.now < deadline, allowed < 10 {
        if try nodes[1].request("GET", "/v/film/master.m3u8").status == 429 { break }
        allowed += 1
        _ = try redis.command("ping")
        try #require(nodes[1].isRunning)
        usleep(300_000)
      }
      #expect(allowed < 10, "\(allowed) passed at the second node")
      for node in nodes { #expect(try node.stop() == 0) }
    }

    @Test(arguments: [true, false]) func progressHistoryAndFeed(hasRedis: Bool) throws {
      let redis = hasRedis ? try RedisServer() : nil
      let server = try Self.server(redis, "view_after = \"1s\"", prefix: "demo:")
      let viewer = "viewer-of-the-film"
      #expect(try server.request("GET", "\(Self.video)/progress?viewer=\(viewer)").code == "session-unknown")
      for position in ["0", "1.5", "3.25"] {
        #expect(try beacon(server, "progress?viewer=\(viewer)&position=\(position)") == 204)
      }
      let session = try server.request("GET", "\(Self.video)/progress?viewer=\(viewer)").json
      #expect(session["position_seconds"] as? Double == 3.25 && session["watched_seconds"] as? Double == 3.25)
      let now = try server.call("GET", "\(Self.video)/engagement").json
      #expect(now["views"] as? Int == 1 && now["live_viewers"] as? Int == 1)
      let history =
        try server.call("GET", "/api/v1/viewers/\(viewer)/history").json["history"] as? [[String: Any]]
      #expect(history?.map { $0["video_id"] as? String } == ["film"])
      let feed = #"{"videos":["film"]}"#
      #expect(try server.call("PUT", "/api/v1/viewers/\(viewer)/feed", feed).status == 204)
      #expect(try server.call("GET", "/api/v1/viewers/\(viewer)/feed").text == feed)
      #expect(try server.call("PUT", "/api/v1/viewers/\(viewer)/feed", "{").code == "invalid-field")
      #expect(try server.call("PUT", "/api/v1/viewers/\(viewer)/feed", "1").code == "invalid-field")
      if let redis {
        #expect(
          try redis.command("EXISTS", "demo:session:\(viewer):film", "demo:hist:\(viewer)", "demo:views:film")
            == "3")
        let left = Int(try redis.command("TTL", "demo:session:\(viewer):film")) ?? 0
        #expect((7000...7200).contains(left))
      }
      #expect(try server.call("DELETE", "/api/v1/viewers/\(viewer)").status == 204)
      #expect(try server.request("GET", "\(Self.video)/progress?viewer=\(viewer)").status == 404)
      #expect(try server.call("GET", "/api/v1/viewers/\(viewer)/feed").code == "feed-unknown")
      #expect(try server.stop() == 0)
    }

    @Test func whatIsHiddenIsPrivate() throws {
      let server = try Self.server()
      let told = try server.request(
        "POST", "\(Self.video)/reports?reason=spam&viewer=viewer-1",
        [("Content-Type", "text/plain;charset=UTF-8")],
        body: Array("sells \"things\"".utf8))
      #expect(told.status == 204)
      #expect(try beacon(server, "reports?reason=hate&viewer=viewer-2") == 204)
      let items = try server.call("GET", "/api/v1/moderation").json["items"] as? [[String: Any]]
      #expect(items?.count == 1 && items?.first?["reports"] as? Int == 2)
      #expect(items?.first?["note"] as? String == "sells \"things\"")
      #expect(try server.call("POST", "/api/v1/moderation/film?decision=burn").status == 400)
      #expect(try server.call("POST", "/api/v1/moderation/film?decision=hide").status == 204)
      #expect(try server.request("GET", "/v/film/master.m3u8").code == "asset-private")
      #expect((try server.call("GET", "/api/v1/moderation").json["items"] as? [Any])?.isEmpty == true)
      #expect(
        try server.call("POST", "/api/v1/moderation/film?decision=keep").code == "moderation-item-unknown")
      #expect(server.logLine { $0.contains("moderation: hide") && $0.contains("ops") } != nil)
      #expect(try server.stop() == 0)
    }

    @Test(arguments: [true, false]) func playersReport(hasRedis: Bool) throws {
      let redis = hasRedis ? try RedisServer() : nil
      let server = try Self.server(redis, "realtime_interval = \"100ms\"")
      let plain = try server.request("GET", "/v/film/source", [("Range", "bytes=0-9999")])
      let query = "CMCD=br%3D3200%2Cbs%2Cd%3D4000%2Cot%3Dv%2Csid%3D%22session-1%22"
      let told = try server.request("GET", "/v/film/source?\(query)", [("Range", "bytes=0-9999")])
      #expect(told.status == 206 && told["ETag"] == plain["ETag"] && told.body == plain.body)
      let fields = [
        ("CMCD-Object", "br=800,ot=v"), ("CMCD-Session", "sid=\"session-2\""), ("Range", "bytes=0-9999"),
      ]
      #expect(try server.request("GET", "/v/film/source", fields).body == plain.body)
      let events = "cid=\"film\",e=ps,sid=\"session-3\",sta=r,ts=1,v=2\nbroken=\"\ne=t,ts=2\n"
      let sent = try server.request(
        "POST", "/api/v1/cmcd", [("Content-Type", "application/cmcd")], body: Array(events.utf8))
      #expect(sent.status == 204)
      var report: [String: Any] = [:]
      let deadline = ContinuousClock.now + .seconds(30)
      while ContinuousClock.now < deadline {
        report = try server.call("GET", "/api/v1/realtime").json
        if report["reports"] as? Int == 4, report["concurrent_viewers"] as? Int == 3 { break }
      }
      #expect(report["reports"] as? Int == 4 && report["concurrent_viewers"] as? Int == 3, "\(report)")
      #expect(report["buffering_ratio"] as? Double == 0.5)
      let qualities = report["qualities"] as? [[String: Any]]
      #expect(qualities?.map { $0["kilobits_per_second"] as? Int } == [800, 3200])
      let film = (report["videos"] as? [[String: Any]])?.first
      #expect(film?["video_id"] as? String == "film" && film?["reports"] as? Int == 3)
      #expect((film?["bits_per_second"] as? Int ?? 0) > 2 * 10_000 * 8 / 300)
      let line = try #require(server.logLine { $0.contains(#""cmcd":{"br":3200,"bs":true"#) })
      #expect(line.contains(#""sid":"session-1""#))
      let made = try server.request("GET", "/metrics", admin: true).text
      #expect(made.contains("headwater_engagement_beacons_total{site=\"demo\"} 1"))
      #expect(try server.stop() == 0)
    }
  }
}

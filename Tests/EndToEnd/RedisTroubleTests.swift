import Foundation
import Support
import Testing

extension EndToEnd {
  /// Metadata, engagement and the job queue in one Redis that fails: viewers notice nothing, callers are told in time, and all goes on
  /// when it is back. `scripts/bench-plugins.py redis` measures the same with the release build.
  @Suite(.enabled(if: Checkout.tool("redis-server") != nil, "redis-server is not installed"))
  struct RedisTroubleTests {
    enum Trouble: String, CaseIterable, CustomTestStringConvertible {
      case killed, stopped, slow, reset, loading, outOfMemory, readOnly, garbage
      var testDescription: String { rawValue }
    }

    private let redis: RedisServer
    private let between: RedisBetween
    private let upstream: MetadataUpstream

    init() throws {
      redis = try RedisServer()
      between = try RedisBetween(redis)
      upstream = try MetadataUpstream()
    }

    private func begin(_ trouble: Trouble) throws {
      switch trouble {
      case .killed:
        between.kill()
        redis.kill()
      case .stopped: redis.pause()
      case .readOnly: _ = try redis.command("replicaof", "127.0.0.1", "1")
      case .outOfMemory: _ = try redis.command("config", "set", "maxmemory", "1")
      case .slow, .reset, .loading, .garbage: try between.behave(trouble.rawValue)
      }
    }

    private func end(_ trouble: Trouble) throws {
      switch trouble {
      case .killed:
        try redis.restart()
        try between.restart()
      case .stopped: redis.goOn()
      case .readOnly: _ = try redis.command("replicaof", "no", "one")
      case .outOfMemory: _ = try redis.command("config", "set", "maxmemory", "0")
      case .slow, .reset, .loading, .garbage: try between.behave("pass")
      }
    }

    @Test(arguments: Trouble.allCases) func mediaLoseNothing(trouble: Trouble) throws {
      try upstream.set("film", #"{"title":"one"}"#)
      var options = APIFixture.options(
        tables: "[jobs]\nworkers = \"off\"\nqueue = \"\(between.url)/0\"",
        site: upstream.settings(between.url, "memory_fresh = \"100ms\"") + """

          [plugins.engagement]
          url = "\(between.url)"
          beacon_rate = 0
          media_rate = 1000000
          media_per = "1s"
          realtime_interval = "100ms"
          """)
      options.files["etc/upstream.token"] = MetadataUpstream.token
      let server = try ServerUnderTest(options)
      try server.start()
      try server.importAsset("film", Fixtures.path(APIFixture.film))
      let paths = ["master.m3u8", "source/playlist.m3u8", "source/segment_0000.m4s", "manifest.mpd"]
      let connection = try server.connect()

      /// How long requests for media took, each.
      func media(_ rounds: Int, _ beside: (Int) throws -> Void = { _ in }) throws -> [Duration] {
        var times: [Duration] = []
        for round in 0..<rounds {
          let start = ContinuousClock.now
          try connection.send(
            "GET /v/film/\(paths[round % paths.count])?CMCD=sid%3D%22s\(round)%22 HTTP/1.1\r\nHost: a\r\n\r\n"
          )
          let status = try connection.response().status
          #expect(status == 200, "\(trouble.rawValue): \(paths[round % paths.count])")
          times.append(ContinuousClock.now - start)
          try beside(round)
        }
        return times.sorted()
      }
      func call(_ number: Int) throws -> Int {
        switch number % 4 {
        case 0:
          try server.request(
            "POST", "\(EngagementTests.video)/view?watched=30&viewer=viewer-\(number)", body: []
          ).status
        case 1: try server.call("DELETE", "\(EngagementTests.video)/metadata").status
        case 2: try server.call("GET", "\(EngagementTests.video)/engagement").status
        default: try server.call("GET", "/api/v1/jobs").status
        }
      }
      for number in 0..<4 { #expect([200, 204].contains(try call(number)), "\(number)") }
      let healthy = try media(40)
      try begin(trouble)
      var slowestCall = Duration.zero
      var refused = 0
      let troubled = try media(80) { round in
        guard round % 4 == 0 else { return }
        let start = ContinuousClock.now
        let status = try call(round / 4)
        // The queue gives Redis two seconds: who submits a job would rather wait.
        if round / 4 % 4 != 3 { slowestCall = max(slowestCall, ContinuousClock.now - start) }
        #expect([200, 204, 503].contains(status), "\(trouble.rawValue): call \(round / 4 % 4): \(status)")
        if status == 503 { refused += 1 }
      }
      #expect(refused > 0)
      // 500 ms by themselves, and 5 ms for media; the machine may have more to do.
      #expect(slowestCall < .milliseconds(Torture.isLong ? 500 : 2000), "\(slowestCall)")
      let added = troubled[40] - healthy[20]
      #expect(added < .milliseconds(Torture.isLong ? 5 : 100), "\(added) at the median")
      #expect(troubled[78] < .seconds(1), "\(troubled[78])")
      try end(trouble)
      let back = ContinuousClock.now
      for number in 0..<4 {
        let deadline = ContinuousClock.now + .seconds(30)
        while ![200, 204].contains(try call(number)) {
          guard ContinuousClock.now < deadline else {
            throw SupportError("call \(number) does not pass again")
          }
          usleep(10_000)
        }
      }
      print(
        "\(trouble.rawValue): media \(healthy[20]) → \(troubled[40]) at the median, calls end within \(slowestCall), pass again after \(ContinuousClock.now - back)"
      )
      #expect(try server.stop() == 0)
    }
  }
}

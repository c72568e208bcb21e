import Foundation
import Support
import Synchronization
import Testing

extension EndToEnd {
  /// Server and Redis are killed while views come in; and what their clients notice while Redis fails.
  @Suite struct EngagementCrashTests {
    /// Sends the views of some viewers, each until it is acknowledged, over connections that may end at any time.
    private enum Sender {
      static func send(_ viewers: Range<Int>, to server: ServerUnderTest, _ count: borrowing Atomic<Int>)
        throws
      {
        var connection: RawConnection?
        let deadline = ContinuousClock.now + .seconds(Torture.rounds(240, long: 3600))
        for viewer in viewers {
          var isAcknowledged = false
          while !isAcknowledged {
            guard ContinuousClock.now < deadline else {
              throw SupportError("viewer \(viewer): no answer in time")
            }
            do {
              let current = try connection ?? RawConnection(port: server.port, timeout: .seconds(5))
              connection = current
              try current.send(
                "POST /api/v1/videos/film/view?watched=31&viewer=viewer-\(viewer) HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
              )
              let status = try current.response().status
              guard status == 204 || status == 503 else { throw SupportError("status \(status)") }
              isAcknowledged = status == 204
              if status == 503 { usleep(20_000) }
            } catch {
              connection = nil
              usleep(20_000)
            }
          }
          count.add(1, ordering: .relaxed)
        }
      }
    }

    @Test func everyAcknowledgedViewIsInTheCatalogOnce() async throws {
      // With "everysec" Redis puts its writes off while a sync takes long, and answers before they are with the kernel: what it
      // has acknowledged could go with the process.
      let redis = try RedisServer(["--appendonly", "yes", "--appendfsync", "always"])
      let server = try EngagementTests.server(redis, "flush = \"1s\"\ncommand_timeout = \"500ms\"")
      let total = Torture.rounds(20_000, long: 1_000_000)
      // Many wait for one sync of the disk together.
      let clients = Torture.rounds(8, long: 50)
      let count = Counter()
      let began = ContinuousClock.now
      try await withThrowingTaskGroup(of: Void.self) { group in
        for client in 0..<clients {
          group.addTask {
            let share = total / clients
            try Sender.send(client * share..<(client + 1) * share, to: server, count.value)
          }
        }
        // Each at another point of the way.
        for (kill, part) in [("server", 4), ("redis", 3), ("server", 2), ("redis", 1)] {
          let mark = total - total * part / 5
          let deadline = ContinuousClock.now + .seconds(Torture.rounds(240, long: 3600))
          while count.value.load(ordering: .relaxed) < mark {
            guard ContinuousClock.now < deadline else { throw SupportError("\(mark) views were not reached") }
            usleep(1_000)
          }
          if kill == "server" {
            server.signal(SIGKILL)
            _ = try server.waitForEnd()
            try server.start()
          } else {
            redis.kill()
            try redis.restart()
          }
        }
        try await group.waitForAll()
      }
      let elapsed = ContinuousClock.now - began
      #expect(count.value.load(ordering: .relaxed) == total)
      // The breaker may have to find out that Redis is back.
      let deadline = ContinuousClock.now + .seconds(60)
      while try server.call("POST", "/api/v1/views/flush").status != 200, ContinuousClock.now < deadline {
        usleep(100_000)
      }
      let views = try server.call("GET", EngagementTests.video).json["views"] as? Int
      #expect(views == total, "\(total) views in \(elapsed)")
      let figures = try server.call("GET", "\(EngagementTests.video)/engagement").json
      #expect(figures["views"] as? Int == total)
      let unique = figures["unique_viewers"] as? Int ?? 0
      #expect(abs(unique - total) < total / 20, "\(unique)")
      print(
        "\(total) views, each acknowledged, with two kills of server and of Redis: \(views ?? 0) in \(elapsed)"
      )
      #expect(try server.stop() == 0)
    }

    private final class Counter: Sendable {
      let value = Atomic<Int>(0)
    }

    enum Trouble: String, CaseIterable, CustomTestStringConvertible {
      case killed, stopped, readOnly, outOfMemory
      var testDescription: String { rawValue }
    }

    @Test(arguments: Trouble.allCases) func mediaNoticeNothingOfRedis(trouble: Trouble) throws {
      let redis = try RedisServer(["--appendonly", "yes"])
      let server = try EngagementTests.server(
        redis, "realtime_interval = \"100ms\"\nmedia_rate = 1000000\nmedia_per = \"1s\"")
      #expect(
        try server.request("POST", "\(EngagementTests.video)/view?watched=30&viewer=viewer-1", body: [])
          .status == 204)
      switch trouble {
      case .killed: redis.kill()
      case .stopped: redis.pause()
      case .readOnly: _ = try redis.command("replicaof", "127.0.0.1", "1")
      case .outOfMemory:
        _ = try redis.command("config", "set", "maxmemory", "1")
        _ = try redis.command("config", "set", "maxmemory-policy", "noeviction")
      }
      let connection = try server.connect()
      var slowestCall = Duration.zero
      var slowestMedia = Duration.zero
      var failures = 0
      for round in 0..<60 {
        var start = ContinuousClock.now
        try connection.send(
          "GET /v/film/source?CMCD=bs%2Csid%3D%22s\(round)%22 HTTP/1.1\r\nHost: a\r\nRange: bytes=0-999\r\n\r\n"
        )
        #expect(try connection.response().status == 206)
        slowestMedia = max(slowestMedia, ContinuousClock.now - start)
        guard round % 4 == 0 else { continue }
        start = ContinuousClock.now
        let answer = try server.request(
          "POST", "\(EngagementTests.video)/view?watched=30&viewer=another-\(round)", body: [])
        slowestCall = max(slowestCall, ContinuousClock.now - start)
        if answer.status == 503 {
          failures += 1
          #expect(answer.code == "engagement-unavailable" && answer["Retry-After"] == "1")
        } else {
          #expect(answer.status == 204)
        }
      }
      #expect(failures >= 14, "the first one may have come before the trouble")
      // 500 ms by themselves; the machine may have more to do.
      let most = Duration.milliseconds(Torture.isLong ? 500 : 2500)
      #expect(slowestCall < most, "\(slowestCall)")
      #expect(slowestMedia < most, "\(slowestMedia)")
      print("\(trouble.rawValue): calls end within \(slowestCall), media within \(slowestMedia)")
      switch trouble {
      case .killed: try redis.restart()
      case .stopped: redis.goOn()
      case .readOnly: _ = try redis.command("replicaof", "no", "one")
      case .outOfMemory: _ = try redis.command("config", "set", "maxmemory", "0")
      }
      let deadline = ContinuousClock.now + .seconds(30)
      var status = 0
      while status != 204, ContinuousClock.now < deadline {
        status = try server.request(
          "POST", "\(EngagementTests.video)/view?watched=30&viewer=viewer-2", body: []
        ).status
      }
      #expect(status == 204, "it is back")
      #expect(try server.call("POST", "/api/v1/views/flush").status == 200)
      #expect((try server.call("GET", EngagementTests.video).json["views"] as? Int ?? 0) >= 2)
      #expect(try server.stop() == 0)
    }
  }
}

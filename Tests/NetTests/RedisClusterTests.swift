import Foundation
import Loop
import Support
import Synchronization
import Testing

@testable import Net

/// Against real clusters and sentinels.
@Suite(.serialized) struct RedisClusterTests {
  @Test func callsFindTheirNode() async throws {
    let nodes = try RedisServer.cluster()
    try await withRedis("redis-cluster://127.0.0.1:\(nodes[0].port)") { client in
      for number in 0..<200 {
        #expect(
          try await client.call(RedisCommand("SET", "k\(number)", RedisArgument(number))) == .status("OK"))
      }
      let counts = try nodes.map { Int(try $0.command("dbsize")) ?? 0 }
      #expect(counts.reduce(0, +) == 200 && counts.allSatisfy { $0 > 50 }, "\(counts)")
      // The map is known by now: no more detours.
      let moved = try nodes.map { try $0.command("info", "errorstats") }
      let results = await client.pipeline((0..<200).map { RedisCommand("GET", "k\($0)") })
      for (number, result) in results.enumerated() { #expect(try result.get().integer == Int64(number)) }
      #expect(try nodes.map { try $0.command("info", "errorstats") } == moved)
      let script = RedisScript("return redis.call('INCR', KEYS[1]) + redis.call('INCR', KEYS[2])")
      #expect(try await client.run(script, keys: ["{t}a", "{t}b"]).integer == 2)
      let crossing = await #expect(throws: RedisError.self) {
        try await client.run(script, keys: ["foo", "bar"])
      }
      #expect(crossing?.serverErrorName == "CROSSSLOT")
    }
  }

  @Test func slotsThatMoveAreFollowed() async throws {
    let nodes = try RedisServer.cluster()
    // `{user1000}.following` and its like are in slot 3443, which the first node has.
    let ids = try nodes.map { try $0.command("cluster", "myid") }
    try await withRedis("redis-cluster://127.0.0.1:\(nodes[1].port)") { client in
      #expect(try await client.call(RedisCommand("SET", "{user1000}.a", 1)) == .status("OK"))
      try nodes[1].command("cluster", "setslot", "3443", "importing", ids[0])
      try nodes[0].command("cluster", "setslot", "3443", "migrating", ids[1])
      // One that is there, and one that is new and so lives at the other node already (ASK).
      #expect(try await client.call(RedisCommand("GET", "{user1000}.a")).integer == 1)
      #expect(try await client.call(RedisCommand("SET", "{user1000}.b", 2)) == .status("OK"))
      #expect(try nodes[0].command("dbsize") == "1" && nodes[1].command("dbsize") == "1")
      try nodes[0].command("migrate", "127.0.0.1", "\(nodes[1].port)", "{user1000}.a", "0", "5000")
      for node in [nodes[1], nodes[0]] { try node.command("cluster", "setslot", "3443", "node", ids[1]) }
      #expect(try await client.call(RedisCommand("GET", "{user1000}.a")).integer == 1)
      #expect(try await client.call(RedisCommand("GET", "{user1000}.b")).integer == 2)
      // A node that has gone harms only its own slots.
      nodes[0].kill()
      #expect(try await client.call(RedisCommand("GET", "{user1000}.a")).integer == 1)
    }
  }

  // MARK: Sentinels

  @Test func thePrimaryIsFound() async throws {
    let server = try RedisServer()
    let sentinel = try RedisSentinel(of: server)
    let nobody = try Canary().port
    let sentinels = "127.0.0.1:\(nobody),127.0.0.1:\(sentinel.port)"
    try await withRedis("redis-sentinel://\(sentinels)/mymaster/2") { client in
      let value = try await client.call(RedisCommand("SET", "k", 1))
      #expect(value == .status("OK"))
    }
    #expect(try server.command("-n", "2", "get", "k") == "1")
    try await withRedis("redis-sentinel://\(sentinels)/other") { client in
      #expect(await client.failure(RedisCommand("GET", "k")) == .noPrimary)
    }
    // A replica, whoever calls it the primary, is none.
    let replica = try RedisServer(["--replicaof", "127.0.0.1 \(server.port)"])
    let mistaken = try RedisSentinel(of: replica)
    try await withRedis("redis-sentinel://127.0.0.1:\(mistaken.port)/mymaster") { client in
      let code = await client.failure(RedisCommand("GET", "k"))
      // Or the sentinel has found out by now.
      #expect(code == .noPrimary || code == nil)
    }
  }

  /// Half a minute, most of which the sentinel takes to hear of the replica.
  @Test(.enabled(if: Torture.isLong)) func thePrimaryIsFollowed() async throws {
    let first = try RedisServer()
    let second = try RedisServer(["--replicaof", "127.0.0.1 \(first.port)"])
    let sentinel = try RedisSentinel(of: first)
    let deadline = ContinuousClock.now + .seconds(60)
    while !(try sentinel.command("sentinel", "replicas", "mymaster").contains("\(second.port)")) {
      try #require(ContinuousClock.now < deadline)
    }
    while !(try second.command("info", "replication").contains("master_link_status:up")) {
      try #require(ContinuousClock.now < deadline)
    }
    let url = "redis-sentinel://127.0.0.1:\(sentinel.port)/mymaster"
    try await withRedis(url, commandTimeoutMilliseconds: 2_000) { client in
      _ = try await client.call(RedisCommand("SET", "k", 1))
      #expect(try first.command("get", "k") == "1")
      #expect(try sentinel.command("sentinel", "failover", "mymaster").contains("OK"))
      // The old one becomes a replica under us: READONLY, or a lost connection, and then the new one.
      while try second.command("get", "k") != "2" {
        _ = await client.failure(RedisCommand("SET", "k", 2))
        try #require(ContinuousClock.now < deadline)
      }
    }
  }
}

import Loop
import Support
import Synchronization
import Testing

@testable import Net

/// Against a real redis-server.
@Suite(.serialized) struct RedisClientTests {
  @Test func valuesGoAndComeAsTheyAre() async throws {
    let server = try RedisServer()
    for url in [server.url, "redis+unix://\(server.socketPath)?db=3", "redis://localhost:\(server.port)/3"] {
      try await withRedis(url) { client in
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        #expect(try await client.call(RedisCommand("SET", "k", RedisArgument(bytes))) == .status("OK"))
        #expect(try await client.call(RedisCommand("GET", "k")) == .bytes(bytes))
        #expect(try await client.call(RedisCommand("GET", "none")).isNull)
        #expect(try await client.call(RedisCommand("INCRBY", "n", 41)).integer != nil)
        #expect(try await client.call(RedisCommand("DEL", "n")).integer == 1)
        _ = try await client.call(RedisCommand("DEL", "h"))
        _ = try await client.call(RedisCommand("HSET", "h", "a", "1", "b", "2"))
        let fields = try await client.call(RedisCommand("HGETALL", "h")).array
        #expect(fields?.compactMap(\.text) == ["a", "1", "b", "2"] && fields?[1].integer == 1)
        let error = await client.error(RedisCommand("INCR", "h"))
        #expect(
          error?.code == .serverError && error?.serverErrorName == "WRONGTYPE" && error?.isTransient == false)
      }
    }
  }

  @Test func databasesAreApart() async throws {
    let server = try RedisServer()
    try await withRedis(server.url + "/5") { client in
      _ = try await client.call(RedisCommand("SET", "k", "five"))
    }
    #expect(try server.command("get", "k") == "" && server.command("-n", "5", "get", "k") == "five")
    try await withRedis(server.url + "/99") { client in
      #expect(await client.failure(RedisCommand("GET", "k")) == .signInFailed)
    }
  }

  @Test func pipelinesKeepTheirOrder() async throws {
    let server = try RedisServer()
    try await withRedis(server.url) { client in
      let commands = (0..<1000).flatMap { number in
        [RedisCommand("SET", "k\(number)", RedisArgument(number)), RedisCommand("GET", "k\(number)")]
      }
      let results = await client.pipeline(commands)
      for number in 0..<1000 {
        let value = try results[2 * number + 1].get()
        #expect(value.integer == Int64(number))
      }
      #expect(client.figures.connections.load(ordering: .relaxed) == 1)
      await withTaskGroup(of: Bool.self) { group in
        for number in 0..<500 {
          group.addTask {
            (try? await client.call(RedisCommand("GET", "k\(number)")))?.integer == Int64(number)
          }
        }
        for await isRight in group { #expect(isRight) }
      }
      #expect(client.figures.heldCommands.load(ordering: .relaxed) == 0)
      #expect(client.figures.heldBytes.load(ordering: .relaxed) == 0)
    }
  }

  @Test func usersSignIn() async throws {
    let server = try RedisServer(["--requirepass", "secret"])
    try server.command(
      "-a", "secret", "--no-auth-warning", "acl", "setuser", "origin", "on", ">p@ss", "~origin:*", "+@all")
    try await withRedis("redis://:secret@127.0.0.1:\(server.port)") { client in
      let value = try await client.call(RedisCommand("SET", "k", 1))
      #expect(value == .status("OK"))
    }
    try await withRedis("redis://origin:p%40ss@127.0.0.1:\(server.port)") { client in
      let value = try await client.call(RedisCommand("SET", "origin:k", 1))
      #expect(value == .status("OK"))
      #expect(await client.error(RedisCommand("SET", "other", 1))?.serverErrorName == "NOPERM")
    }
    try await withRedis("redis://origin:wrong@127.0.0.1:\(server.port)") { client in
      let error = await client.error(RedisCommand("SET", "origin:k", 1))
      #expect(error?.code == .signInFailed && error?.description.contains("wrong:") == false)
    }
    try await withRedis(server.url) { client in
      #expect(await client.error(RedisCommand("GET", "k"))?.serverErrorName == "NOAUTH")
    }
  }

  @Test func scriptsAreSentOnce() async throws {
    let server = try RedisServer()
    let script = RedisScript("return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}")
    try await withRedis(server.url) { client in
      for count in 1...3 {
        let value = try await client.run(script, keys: ["n"], arguments: ["x"])
        #expect(value == .array([.bytes(Array("n".utf8)), .bytes(Array("x".utf8)), .integer(Int64(count))]))
      }
      let statistics = try server.command("info", "commandstats")
      #expect(statistics.contains("cmdstat_eval:calls=1,") && statistics.contains("cmdstat_evalsha:calls=3,"))
      try server.command("script", "flush")
      #expect(try await client.run(script, keys: ["n"], arguments: ["x"]).array?.last == .integer(4))
      let broken = await #expect(throws: RedisError.self) {
        try await client.run(RedisScript("return redis.call('NOSUCH')"), keys: [])
      }
      #expect(broken?.code == .serverError)
    }
  }

  @Test func commandsThatWaitDisturbNobody() async throws {
    let server = try RedisServer()
    try await withRedis(server.url, mostBlockingCommands: 2) { client in
      var wait = RedisCommand("BLPOP", "list", 60)
      wait.blockMilliseconds = 60_000
      let first = Task { try await client.call(wait) }
      let second = Task { [wait] in await client.failure(wait) }
      while try server.command("client", "list").split(separator: "\n").filter({ $0.contains("cmd=blpop") })
        .count < 2
      {}
      #expect(await client.failure(wait) == .overloaded)
      #expect(try await client.call(RedisCommand("GET", "k")).isNull, "the shared connection is free")
      second.cancel()
      #expect(await second.value == .cancelled)
      // The one that was given up is gone from the server, too: it takes nothing that another could have had.
      while try server.command("client", "list").split(separator: "\n").filter({ $0.contains("cmd=blpop") })
        .count > 1
      {}
      _ = try await client.call(RedisCommand("RPUSH", "list", "a"))
      #expect(try await first.value.array?.last?.text == "a")
      var short = RedisCommand("BLPOP", "list", "0.05")
      short.blockMilliseconds = 50
      #expect(try await client.call(short).isNull)
    }
  }

  @Test func whatIsTooMuchIsRefused() async throws {
    let server = try RedisServer()
    try await withRedis(
      server.url, mostReplyBytes: 50_000, mostCommands: 4, mostCommandBytes: 10_000
    ) { client in
      let large = RedisCommand("SET", "k", RedisArgument([UInt8](repeating: 1, count: 20_000)))
      #expect(await client.failure(large) == .overloaded)
      let results = await client.pipeline(Array(repeating: RedisCommand("PING", []), count: 10))
      #expect(results.count { (try? $0.get()) != nil } == 4)
      try server.command("eval", "redis.call('SET', 'k', string.rep('x', 100000))", "0")
      #expect(await client.failure(RedisCommand("GET", "k")) == .replyTooLarge)
      try server.command("eval", "for i = 1, 10000 do redis.call('RPUSH', 'l', i) end", "0")
      #expect(await client.failure(RedisCommand("LRANGE", "l", 0, -1)) == .replyTooLarge)
      #expect(try await client.call(RedisCommand("LLEN", "l")).integer == 10_000)
      #expect(await client.failure(RedisCommand("MULTI", [])) == .commandRefused)
    }
  }

  @Test func aKilledServerIsNoticedAndComesBack() async throws {
    let server = try RedisServer()
    try await withRedis(server.url, commandTimeoutMilliseconds: 1000) { client in
      let get = RedisCommand("GET", "k")
      #expect(await client.failure(get) == nil)
      server.kill()
      var failures = 0
      while await client.failure(get) != .unavailable {
        failures += 1
        try #require(failures <= 6)
      }
      #expect(failures <= 5 && client.figures.openBreakers.load(ordering: .relaxed) == 1)
      let begin = ContinuousClock.now
      #expect(await client.failure(get) == .unavailable)
      #expect(ContinuousClock.now - begin < .milliseconds(500), "nothing is waited for")
      try server.restart()
      let time = try #require(await client.timeUntilAnswer(get))
      // 1.3 s at most on a quiet machine.
      #expect(time < .seconds(3), "\(time)")
      #expect(client.figures.openBreakers.load(ordering: .relaxed) == 0)
    }
  }

  @Test func aStoppedServerIsNoticedAndComesBack() async throws {
    let server = try RedisServer()
    try await withRedis(server.url, commandTimeoutMilliseconds: 100) { client in
      let get = RedisCommand("GET", "k")
      _ = await client.timeUntilAnswer(get)
      server.pause()
      for _ in 0..<5 {
        let (code, time) = await client.timedFailure(get)
        #expect(code == .timedOut)
        #expect(time < .milliseconds(2000))
      }
      #expect(await client.failure(get) == .unavailable)
      server.goOn()
      let time = try #require(await client.timeUntilAnswer(get))
      // 1.3 s at most on a quiet machine.
      #expect(time < .seconds(3), "\(time)")
    }
  }

  @Test func closingEndsWhatIsUnderWay() async throws {
    let server = try RedisServer()
    let threads = try LoopThreads(count: 1)
    let workers = try WorkerPool(threadCount: 1)
    let client = RedisClient(
      loop: threads.loops[0], workers: workers, configuration: try RedisConfiguration(url: server.url))
    var wait = RedisCommand("BLPOP", "list", 60)
    wait.blockMilliseconds = 60_000
    let waiting = Task { [wait] in await client.failure(wait) }
    while !(try server.command("client", "list").contains("cmd=blpop")) {}
    threads.stopAndJoin()
    #expect(await waiting.value == .closed)
    workers.shutdown()
  }

  @Test func nobodyListens() async throws {
    let port = try Canary().port
    try await withRedis("redis://127.0.0.1:\(port)") { client in
      #expect(await client.failure(RedisCommand("GET", "k")) == .connectFailed)
    }
    try await withRedis("redis+unix:///nowhere/redis.sock") { client in
      #expect(await client.failure(RedisCommand("GET", "k")) == .connectFailed)
    }
    try await withRedis("redis://name.invalid") { client in
      #expect(await client.failure(RedisCommand("GET", "k")) == .nameUnresolved)
    }
    try await withRedis("redis://169.254.169.254") { client in
      #expect(await client.failure(RedisCommand("GET", "k")) == .connectFailed)
    }
  }
}

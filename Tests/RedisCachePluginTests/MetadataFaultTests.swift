import Net
import Origin
import Support
import Synchronization
import Testing

@testable import RedisCachePlugin

/// Redis that fails: the source answers, in time, and Redis is used again when it is back.
@Suite(.serialized) struct MetadataFaultTests {
  @Test(arguments: [
    "silent", "slow", "reset", "half", "garbage", "http", "deep", "huge-bulk", "-LOADING Redis is loading",
    "-OOM command not allowed", "-READONLY You can't write", "-MASTERDOWN Link down", "-NOAUTH who",
  ])
  func theSourceAnswersInTime(mode: String) async throws {
    let redis = try ScriptedRedis(mode)
    let source = CountingSource()
    try await withCaches(redis.url, source, settings: "command_timeout = \"50ms\"\nwait = \"500ms\"") {
      caches in
      let cache = caches[0]
      let figures = cache.shelf.client.figures
      // On the loop throughout: between two steps on a pool that is busy, what is known may grow old.
      let slowest = await withTaskExecutorPreference(cache.shelf.client.loop) {
        var slowest = Duration.zero
        for number in 0..<8 {
          let begin = ContinuousClock.now
          await cache.fetch("film-\(number)")
          slowest = max(slowest, ContinuousClock.now - begin)
          #expect(cache.json("film-\(number)") == MetadataCacheTests.one)
        }
        return slowest
      }
      // The machine's own time comes on top.
      #expect(slowest < .milliseconds(1500), "\(slowest)")
      #expect(source.loads == 8)
      #expect(figures.breakerOpenings.load(ordering: .relaxed) == 1, "five failures open it")
      #expect(figures.openBreakers.load(ordering: .relaxed) == 1)
      try redis.behave("empty")
      let begin = ContinuousClock.now
      #expect(await eventually { figures.openBreakers.load(ordering: .relaxed) == 0 })
      // Below 2 s where the machine has time.
      #expect(ContinuousClock.now - begin < .seconds(20))
      let loads = source.loads
      await cache.fetch("another")
      #expect(cache.json("another") == MetadataCacheTests.one && source.loads == loads + 1)
      #expect(await redis.sees("command EVALSHA"), "what was loaded is stored again")
    }
  }

  @Test func killedPausedAndBackAgain() async throws {
    let redis = try RedisServer()
    let source = CountingSource()
    try await withCaches(redis.url, source, settings: "command_timeout = \"50ms\"") { (caches) throws in
      let cache = caches[0]
      await cache.fetch("before")
      redis.pause()
      for number in 0..<6 { await cache.fetch("paused-\(number)") }
      #expect(cache.json("paused-5") == MetadataCacheTests.one)
      redis.goOn()
      let figures = cache.shelf.client.figures
      #expect(await eventually { figures.openBreakers.load(ordering: .relaxed) == 0 })
      redis.kill()
      for number in 0..<6 { await cache.fetch("killed-\(number)") }
      #expect(cache.json("killed-5") == MetadataCacheTests.one)
      #expect(cache.json("before") == MetadataCacheTests.one, "memory needs nobody")
      try redis.restart()
      #expect(await eventually { figures.openBreakers.load(ordering: .relaxed) == 0 })
      await cache.fetch("after")
      #expect(await eventually { (try? redis.command("get", "video:meta:after")) == MetadataCacheTests.one })
    }
  }
}

import Foundation
import Net
import Origin
import Support
import Testing

@testable import RedisCachePlugin

/// Memory, Redis and source together, against a real Redis.
@Suite(.serialized) struct MetadataCacheTests {
  static let one = #"{"title":"one"}"#
  static let two = #"{"title":"two"}"#

  @Test func tenThousandWhoMissAreOneLoad() async throws {
    let redis = try RedisServer()
    let source = CountingSource()
    source.hold()
    try await withCaches(redis.url, source, nodes: 2) { (caches) throws in
      await withTaskGroup(of: Void.self) { group in
        for number in 0..<10_000 { group.addTask { await caches[number % 2].fetch("film") } }
        group.addTask {
          _ = await eventually { source.waiting > 0 }
          source.release()
        }
      }
      #expect(await caches[0].becomes(Self.one))
      #expect(await caches[1].becomes(Self.one))
      #expect(source.loads == 1)
      #expect(try redis.command("get", "video:meta:film") == Self.one)
      let remaining = try #require(Int(try redis.command("pttl", "video:meta:film")))
      #expect((3_200_000...3_960_000).contains(remaining), "an hour, a tenth more or less")
      #expect(await eventually { (try? redis.command("exists", "{video:meta:film}:lock")) == "0" })
    }
  }

  @Test func whatRedisHasNeedsNoSource() async throws {
    let redis = try RedisServer()
    try redis.command("set", "video:meta:film", Self.two)
    let source = CountingSource()
    try await withCaches(redis.url, source) { (caches) throws in
      await caches[0].fetch("film")
      #expect(caches[0].json() == Self.two)
      #expect(source.loads == 0)
    }
  }

  @Test func aMissingVideoIsRememberedForAWhile() async throws {
    let redis = try RedisServer()
    let source = CountingSource(.missing)
    try await withCaches(redis.url, source, nodes: 2) { (caches) throws in
      await caches[0].fetch("film")
      #expect(caches[0].json() == "null")
      #expect(await eventually { (try? redis.command("get", "video:meta:film")) == "null" })
      await caches[1].fetch("film")
      #expect(caches[1].json() == "null")
      #expect(source.loads == 1)
      let remaining = try #require(Int(try redis.command("pttl", "video:meta:film")))
      #expect((1...33_000).contains(remaining))
    }
  }

  @Test func whatNearsItsEndIsUsedWhileOneNodeLoadsIt() async throws {
    let redis = try RedisServer()
    try redis.command("set", "video:meta:film", Self.one, "PX", "60000")
    let source = CountingSource(.facts(Self.two))
    source.hold()
    try await withCaches(redis.url, source, settings: "memory_fresh = \"100ms\"", nodes: 2) {
      (caches) throws in
      await caches[0].fetch("film")
      await caches[1].fetch("film")
      #expect(caches[0].json() == Self.one && caches[1].json() == Self.one)
      #expect(await eventually { source.waiting == 1 })
      source.release()
      #expect(await caches[0].becomes(Self.two))
      #expect(await caches[1].becomes(Self.two))
      #expect(source.loads == 1)
    }
  }

  @Test func whoWaitsForAnotherNodeTakesWhatItStores() async throws {
    let redis = try RedisServer()
    try redis.command("set", "{video:meta:film}:lock", "another", "PX", "60000")
    let source = CountingSource()
    try await withCaches(redis.url, source) { (caches) throws in
      await caches[0].fetch("film")
      // Given up after `wait`; the question is still under way.
      if caches[0].json() != nil { Issue.record("nobody has stored it") }
      try redis.command("set", "video:meta:film", Self.two, "PX", "3600000")
      #expect(await caches[0].becomes(Self.two))
      #expect(source.loads == 0)
    }
  }

  @Test func whoseLoaderDoesNotComeBackLoadsByItself() async throws {
    let redis = try RedisServer()
    try redis.command("set", "{video:meta:film}:lock", "another", "PX", "60000")
    let source = CountingSource()
    try await withCaches(redis.url, source) { (caches) throws in
      #expect(
        await eventually {
          if case .unknown = caches[0].lookup("film") { Task { await caches[0].fetch("film") } }
          return caches[0].json() == Self.one
        })
      // It had no leave to store it.
      #expect(try redis.command("exists", "video:meta:film") == "0")
      #expect(try redis.command("get", "{video:meta:film}:lock") == "another")
    }
  }

  @Test func whatIsLoadedWhileItChangesIsNotKept() async throws {
    let redis = try RedisServer()
    let source = CountingSource()
    source.hold()
    try await withCaches(redis.url, source) { (caches) throws in
      async let fetched: Void = caches[0].fetch("film")
      #expect(await eventually { source.waiting == 1 })
      source.answer(.facts(Self.two))
      try await caches[0].remove("film")
      source.release()
      await fetched
      // The flight of before the change brings nothing home; the next one does.
      #expect(await eventually { caches[0].usage.flights == 0 })
      #expect(try redis.command("exists", "video:meta:film") == "0")
      #expect(caches[0].json() == nil)
      await caches[0].fetch("film")
      #expect(caches[0].json() == Self.two)
    }
  }

  @Test func aChangeIsPublished() async throws {
    let redis = try RedisServer()
    try redis.command("set", "video:meta:film", Self.one)
    try await withCaches(redis.url, CountingSource(.facts(Self.two))) { (caches) throws in
      await caches[0].fetch("film")
      #expect(caches[0].json() == Self.one)
      let before = try redis.command("pubsub", "channels")
      #expect(before == "")
      try await caches[0].remove("film")
      #expect(caches[0].json() == nil, "it must be asked for")
      #expect(try redis.command("exists", "video:meta:film") == "0")
    }
  }

  // MARK: - Failures of the source

  @Test func whatWasKnownServesWhileTheSourceFails() async throws {
    let redis = try RedisServer()
    let source = CountingSource()
    try await withCaches(redis.url, source) { (caches) throws in
      #expect(
        await eventually {
          await caches[0].fetch("film")
          return caches[0].json() == Self.one
        })
      source.answer(.failure)
      try await caches[0].remove("film")
      await caches[0].fetch("film")
      #expect(caches[0].json() == Self.one, "stale, but known")
      let loads = source.loads
      for _ in 0..<100 { _ = caches[0].json() }
      #expect(source.loads <= loads + 1, "it is not asked again at once")
      source.answer(.facts(Self.two))
      #expect(
        await eventually {
          if case .unknown = caches[0].lookup("film") { Task { await caches[0].fetch("film") } }
          return caches[0].json() == Self.two
        })
    }
  }

  @Test func withoutAnythingKnownItIsUnavailable() async throws {
    let redis = try RedisServer()
    try await withCaches(redis.url, CountingSource(.failure)) { (caches) throws in
      await caches[0].fetch("film")
      guard case .unavailable = caches[0].lookup("film") else {
        Issue.record("a failure is remembered")
        return
      }
      #expect(try redis.command("exists", "{video:meta:film}:lock") == "0", "the lock is given back")
    }
  }

  @Test func aSourceThatHangsHoldsNobodyForLong() async throws {
    let redis = try RedisServer()
    let source = CountingSource()
    source.hold()
    try await withCaches(redis.url, source, settings: "wait = \"50ms\"") { (caches) throws in
      await caches[0].fetch("film")
      guard case .unavailable = caches[0].lookup("film") else {
        Issue.record("the flight is overdue")
        return
      }
      // Its answer is kept when it comes.
      source.release()
      #expect(await caches[0].becomes(Self.one))
      #expect(source.loads == 1)
    }
  }

  // MARK: - Rights

  @Test func otherRightsMoveTheRevision() async throws {
    let redis = try RedisServer()
    let source = CountingSource()
    try await withCaches(redis.url, source) { (caches) throws in
      let cache = caches[0]
      await cache.fetch("film")
      #expect(cache.revision == 0)
      func change(_ json: String) async throws {
        source.answer(.facts(json))
        try await cache.remove("film")
        await cache.fetch("film")
        #expect(cache.json() == json)
      }
      try await change(#"{"title":"other"}"#)
      #expect(cache.revision == 0)
      try await change(#"{"privacy":"private"}"#)
      #expect(cache.revision == 1)
      try await change(#"{"privacy":"private","title":"x"}"#)
      #expect(cache.revision == 1)
      try await change(#"{"renditions":["720p"]}"#)
      #expect(cache.revision == 2)
      try await change("{}")
      #expect(cache.revision == 3)
    }
  }
}

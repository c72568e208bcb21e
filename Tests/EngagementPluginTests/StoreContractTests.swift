import HTTP
import Store
import Support
import Testing

@testable import EngagementPlugin

/// What both stores are held to.
@Suite(.serialized) struct StoreContractTests {
  typealias Bench = EngagementBench
  typealias Kind = EngagementBench.Kind

  private static func run(
    _ kind: Kind, with times: EngagementConfig.Times = EngagementConfig.Times(),
    _ body: @Sendable (Bench, any EngagementStore) async throws -> Void
  ) async throws {
    let bench = try Bench(kind, times: times)
    try await withTaskExecutorPreference(bench.loop) { try await body(bench, bench.store) }
  }

  private static let ana = "viewer-ana"
  private static let ben = "viewer-ben"

  @Test(arguments: Kind.usual) func aViewCountsOncePerViewer(kind: Kind) async throws {
    try await Self.run(kind) { _, store in
      #expect(try await store.count(View(video: "film", viewer: Self.ana)))
      #expect(try await store.count(View(video: "film", viewer: Self.ana)) == false)
      #expect(try await store.count(View(video: "film", viewer: Self.ben)))
      #expect(try await store.count(View(video: "other", viewer: Self.ana, weight: 10)))
      let figures = try await store.figures(of: "film")
      #expect(figures.views == 2 && figures.uniqueViewers == 2)
      #expect(try await store.figures(of: "other").views == 10)
      #expect(try await store.figures(of: "none") == VideoFigures(views: 0, uniqueViewers: 0, liveViewers: 0))
    }
  }

  /// Every call once: what needs several keys finds them in one place of a cluster.
  @Test(arguments: [Kind.sentinel, .cluster]) func allOfItWorksBehindASentinelAndInACluster(kind: Kind)
    async throws
  {
    let folder = try TemporaryFolder("views")
    let catalog = try Store(
      path: folder.path("storage"), options: StoreOptions(indexMapSizeBytes: 1 << 30, indexReserveBytes: 0))
    try catalog.publishAsset(AssetDraft(site: "demo", id: "film", status: .uploading))
    try await Self.run(kind, with: .with(\.watched, 1_000)) { _, store in
      #expect(try await store.count(View(video: "film", viewer: Self.ana)))
      #expect(try await store.count(View(video: "film", viewer: Self.ana)) == false)
      #expect(try await store.count(View(video: "other", viewer: Self.ben)))
      let counts = try #require(try await store.viewCounts(after: catalog.viewCursor(site: "demo")))
      #expect(try catalog.apply(counts, site: "demo") == 1)
      store.settled(counts, isApplied: true)
      try await store.note(viewers: ["film": [Self.ben]])
      try await store.heartbeat(["film": [Self.ana, Self.ben], "other": [Self.ana]])
      #expect(try await store.liveViewers(of: ["film", "other", "none"]) == [2, 1, 0])
      let figures = try await store.figures(of: "film")
      #expect(figures.views == 1 && figures.uniqueViewers == 2 && figures.liveViewers == 2)
      #expect(Set(try await store.trending(limit: 5)) == ["film", "other"])
      try await store.setFeed(Array("[1]".utf8), of: Self.ana)
      #expect(try await store.feed(of: Self.ana) == Array("[1]".utf8))
      try await store.append(RealtimeInterval(rows: ["": RealtimeRow()]))
      #expect(try await store.intervals().count == 1)
      let rule = RateRule(.fixedWindow, requests: 10, perMilliseconds: 60_000, burst: 1)
      let spendings = (1...20).map { RateSpending(address: "192.0.2.\($0)", window: 1, amount: 2) }
      #expect(try await store.spend(spendings, rule) == Array(repeating: 2, count: 20))
      #expect(try await store.moderationQueue(limit: 5).isEmpty)
      #expect(try await store.settle(video: "film") == false)
      try await store.erase(viewer: Self.ana)
      #expect(try await store.feed(of: Self.ana) == nil)
      #expect(try await store.history(of: Self.ana).isEmpty)
    }
  }

  @Test(arguments: Kind.usual) func anotherViewCountsAfterTheTime(kind: Kind) async throws {
    try await Self.run(kind, with: .with(\.again, 50)) { bench, store in
      #expect(try await store.count(View(video: "film", viewer: Self.ana)))
      #expect(try await eventually { try await store.count(View(video: "film", viewer: Self.ana)) })
      let figures = try await store.figures(of: "film")
      #expect(figures.views == 2 && figures.uniqueViewers == 1)
    }
  }

  @Test(arguments: Kind.usual) func viewsReachTheCatalogOnce(kind: Kind) async throws {
    let folder = try TemporaryFolder("views")
    let catalog = try Store(
      path: folder.path("storage"), options: StoreOptions(indexMapSizeBytes: 1 << 30, indexReserveBytes: 0))
    for id in ["a", "b"] { try catalog.publishAsset(AssetDraft(site: "demo", id: id, status: .uploading)) }
    try await Self.run(kind) { _, store in
      func bring(applied: Bool = true) async throws -> UInt64 {
        guard let counts = try await store.viewCounts(after: catalog.viewCursor(site: "demo")) else {
          return 0
        }
        // The process may end before it has told: what is shared is then asked for again.
        let added = applied ? try catalog.apply(counts, site: "demo") : 0
        store.settled(counts, isApplied: applied)
        return added
      }
      #expect(try await bring() == 0)
      for viewer in 1...5 { _ = try await store.count(View(video: "a", viewer: "viewer-\(viewer)")) }
      #expect(try await bring(applied: false) == 0, "it could not be taken")
      #expect(try await bring() == 5)
      #expect(try await bring() == 0, "they are there already")
      _ = try await store.count(View(video: "a", viewer: "viewer-6"))
      _ = try await store.count(View(video: "b", viewer: "viewer-6", weight: 10))
      #expect(try await bring() == 11)
      let views = try catalog.read { reader throws(StoreError) in
        [try reader.asset(site: "demo", id: "a")?.views, try reader.asset(site: "demo", id: "b")?.views]
      }
      #expect(views == [6, 10])
    }
  }

  @Test(arguments: Kind.usual) func progressIsKeptAndBecomesAView(kind: Kind) async throws {
    try await Self.run(kind) { _, store in
      func at(_ position: Int64, _ threshold: Int64? = 1500) async throws -> ProgressOutcome {
        try await store.progress(
          ProgressReport(
            video: "film", viewer: Self.ana, positionMilliseconds: position, thresholdMilliseconds: threshold)
        )
      }
      #expect(try await store.session(of: Self.ana, video: "film") == nil)
      #expect(try await at(0) == ProgressOutcome(watchedMilliseconds: 0, isCounted: false))
      #expect(try await at(1000) == ProgressOutcome(watchedMilliseconds: 1000, isCounted: false))
      #expect(try await at(600_000).watchedMilliseconds == 1000, "what was skipped was not watched")
      #expect(try await at(601_000) == ProgressOutcome(watchedMilliseconds: 2000, isCounted: true))
      #expect(try await at(602_000) == ProgressOutcome(watchedMilliseconds: 3000, isCounted: false))
      #expect(
        try await at(0) == ProgressOutcome(watchedMilliseconds: 0, isCounted: false), "from the beginning")
      let session = try await store.session(of: Self.ana, video: "film")
      #expect(session?.positionMilliseconds == 0 && session?.watchedMilliseconds == 0)
      let figures = try await store.figures(of: "film")
      #expect(figures.views == 1 && figures.liveViewers == 1)
    }
  }

  @Test(arguments: Kind.usual) func sessionsEnd(kind: Kind) async throws {
    try await Self.run(kind, with: .with(\.session, 50)) { bench, store in
      _ = try await store.progress(
        ProgressReport(video: "film", viewer: Self.ana, positionMilliseconds: 9, thresholdMilliseconds: nil))
      #expect(try await eventually { try await store.session(of: Self.ana, video: "film") == nil })
    }
  }

  @Test(arguments: Kind.usual) func theHistoryHoldsAHundredAndCanBeErased(kind: Kind) async throws {
    try await Self.run(kind) { _, store in
      for number in 1...105 {
        _ = try await store.progress(
          ProgressReport(
            video: "film-\(number)", viewer: Self.ana, positionMilliseconds: 1, thresholdMilliseconds: nil))
      }
      let history = try await store.history(of: Self.ana)
      #expect(history.count == 100 && Set(history.map(\.video)).count == 100)
      #expect(zip(history, history.dropFirst()).allSatisfy { $0.atMilliseconds >= $1.atMilliseconds })
      #expect(history.contains { $0.video == "film-105" })
      try await store.setFeed(Array("[1]".utf8), of: Self.ana)
      #expect(try await store.history(of: Self.ben).isEmpty)
      try await store.erase(viewer: Self.ana)
      #expect(try await store.history(of: Self.ana).isEmpty)
      #expect(try await store.feed(of: Self.ana) == nil)
      #expect(try await store.session(of: Self.ana, video: "film-105") == nil)
      try await store.erase(viewer: Self.ana)
    }
  }

  @Test(arguments: Kind.usual) func liveViewersGoAway(kind: Kind) async throws {
    try await Self.run(kind, with: .with(\.live, 2_000)) { bench, store in
      try await store.heartbeat(["film": [Self.ana, Self.ben], "other": [Self.ana]])
      try await store.heartbeat(["film": [Self.ana]])
      let counts = try await store.liveViewers(of: ["film", "other", "none", LiveViewers.everywhere])
      #expect(counts == [2, 1, 0, 2])
      #expect(
        try await eventually {
          try await store.liveViewers(of: ["film", LiveViewers.everywhere]) == [0, 0]
        })
    }
  }

  @Test(arguments: Kind.usual) func whatIsWatchedMostComesFirst(kind: Kind) async throws {
    try await Self.run(kind) { _, store in
      for (video, count) in [("a", 1), ("b", 3), ("c", 2)] {
        for viewer in 0..<count { _ = try await store.count(View(video: video, viewer: "viewer-\(viewer)")) }
      }
      #expect(try await store.trending(limit: 2) == ["b", "c"])
      #expect(try await store.trending(limit: 10) == ["b", "c", "a"])
    }
  }

  @Test(arguments: Kind.usual) func viewersAreEstimated(kind: Kind) async throws {
    try await Self.run(kind) { _, store in
      try await store.note(viewers: ["film": Set((0..<5000).map { "viewer-\($0)" })])
      try await store.note(viewers: ["film": Set((0..<5000).map { "viewer-\($0)" })])
      let found = try await store.figures(of: "film").uniqueViewers
      #expect((4700...5300).contains(found), "\(found)")
    }
  }

  @Test(arguments: Kind.usual) func reportsGather(kind: Kind) async throws {
    try await Self.run(kind) { _, store in
      func report(_ video: String, _ viewer: String, _ reason: String, _ note: String = "") async throws {
        try await store.report(ViewerReport(video: video, viewer: viewer, reason: reason, note: note))
      }
      try await report("film", Self.ana, "spam", "first")
      try await report("film", Self.ana, "spam", "again")
      try await report("worse", Self.ana, "hate")
      try await report("worse", Self.ben, "spam", "note")
      let queue = try await store.moderationQueue(limit: 10)
      #expect(queue.map(\.video) == ["worse", "film"] && queue.map(\.reports) == [2, 1])
      #expect(queue[0].reasons == ["hate": 1, "spam": 1] && queue[0].note == "note")
      #expect(queue[1].note == "first" && queue[1].firstMilliseconds > 0)
      #expect(queue[0].firstMilliseconds <= queue[0].lastMilliseconds)
      #expect(try await store.moderationQueue(limit: 1).count == 1)
      #expect(try await store.settle(video: "worse"))
      #expect(try await store.settle(video: "worse") == false)
      #expect(try await store.moderationQueue(limit: 10).map(\.video) == ["film"])
    }
  }

  @Test(arguments: Kind.usual) func feedsEnd(kind: Kind) async throws {
    try await Self.run(kind, with: .with(\.feed, 1_000)) { bench, store in
      try await store.setFeed(Array(#"{"a":[1]}"#.utf8), of: Self.ana)
      #expect(try await store.feed(of: Self.ana) == Array(#"{"a":[1]}"#.utf8))
      #expect(try await eventually { try await store.feed(of: Self.ana) == nil })
    }
  }

  @Test(arguments: Kind.usual) func intervalsAreKeptForTheWindow(kind: Kind) async throws {
    try await Self.run(kind, with: .with(\.realtimeWindow, 2_000)) { bench, store in
      var row = RealtimeRow()
      row.add(try #require(CMCD(dictionary: Array("br=3200,bs,d=4000,ot=v".utf8))), bytes: 1000)
      let interval = RealtimeInterval(rows: ["film": row, "": row])
      try await store.append(interval)
      try await store.append(interval)
      #expect(try await store.intervals() == [interval, interval])
      #expect(try await eventually { try await store.intervals().isEmpty })
    }
  }

  @Test(arguments: Kind.usual) func whatAddressesUseIsAddedUp(kind: Kind) async throws {
    try await Self.run(kind) { _, store in
      let windows = RateRule(.fixedWindow, requests: 10, perMilliseconds: 60_000, burst: 1)
      func spend(_ amount: UInt32, _ window: UInt64) async throws -> [UInt64] {
        try await store.spend(
          [
            RateSpending(address: "192.0.2.1", window: window, amount: amount),
            RateSpending(address: "192.0.2.2", window: window, amount: 1),
          ], windows)
      }
      #expect(try await spend(3, 7) == [3, 1])
      #expect(try await spend(4, 7) == [7, 2])
      #expect(try await spend(1, 8) == [1, 1])
      // A request each 100 s: time hardly matters here.
      let cells = RateRule(.cellRate, requests: 1, perMilliseconds: 100_000, burst: 5)
      let spending = RateSpending(address: "192.0.2.3", window: 0, amount: 2)
      let first = try await store.spend([spending], cells)[0]
      let second = try await store.spend([spending], cells)[0]
      #expect(first == 200_000_000)
      #expect((380_000_000...400_000_000).contains(second), "\(second)")
    }
  }
}

extension EngagementConfig.Times {
  fileprivate static func with(_ path: WritableKeyPath<Self, Int64>, _ milliseconds: Int64) -> Self {
    var times = Self()
    times[keyPath: path] = milliseconds
    return times
  }
}

import Store
import Testing

@testable import CDNPlugin

@Suite struct EdgeQueueTests {
  private func queue(_ fixture: StoreFixture, mostAttempts: UInt32 = 3) throws -> EdgeQueue {
    try EdgeQueue(fixture.store, site: "demo", mostAttempts: mostAttempts)
  }

  private func task(_ kind: EdgeTask.Kind, _ name: String = "") throws -> EdgeTask {
    try #require(EdgeTask(kind, name))
  }

  @Test func tasksComeInTheirOrderAndOnce() throws {
    let fixture = try StoreFixture()
    let queue = try queue(fixture)
    let (first, second) = (try task(.tag, "latest-a"), try task(.path, "/f/b%20c.txt"))
    try queue.add([("e", first), ("e", second), ("f", first)])
    try queue.add([("e", first)])
    let entries = try queue.entries("e", .purge, limit: 10)
    #expect(entries.map(\.task) == [first, second])
    #expect(entries.map(\.version) == [2, 1])
    #expect(try queue.entries("f", .purge, limit: 10).map(\.version) == [1])
    #expect(try queue.entries("e", .warm, limit: 10).isEmpty)
    #expect(try queue.count("e", .purge).entries == 2)
  }

  @Test func whatComesAgainWhileItIsOnTheWayIsSentAgain() throws {
    let fixture = try StoreFixture()
    let queue = try queue(fixture)
    let tag = try task(.tag, "latest-a")
    try queue.add([("e", tag)])
    var settlement = EdgeQueue.Settlement()
    settlement.done = try queue.entries("e", .purge, limit: 10)
    try queue.add([("e", tag)])
    try queue.settle(settlement)
    #expect(try queue.entries("e", .purge, limit: 10).map(\.version) == [2])
    settlement.done = try queue.entries("e", .purge, limit: 10)
    try queue.settle(settlement)
    #expect(try queue.count("e", .purge).entries == 0)
    try queue.add([("e", tag)])
    #expect(try queue.entries("e", .purge, limit: 10).map(\.version) == [1])
  }

  @Test func whatFailsTooOftenWaitsForAPerson() throws {
    let fixture = try StoreFixture()
    let queue = try queue(fixture)
    let tag = try task(.tag, "latest-a")
    try queue.add([("e", tag)])
    for attempt in 1...3 {
      let entry = try #require(try queue.entries("e", .purge, limit: 1).first)
      #expect(entry.attempts == UInt32(attempt - 1))
      var settlement = EdgeQueue.Settlement()
      settlement.tried = [(entry, "it answers 500\twith\na tab")]
      try queue.settle(settlement)
    }
    #expect(try queue.entries("e", .purge, limit: 1).isEmpty)
    let failed = try queue.entries("e", .failed, limit: 10)
    #expect(failed.map(\.task) == [tag] && failed.map(\.attempts) == [3])
    #expect(failed.first?.error == "it answers 500 with a tab")
    #expect(try queue.retry("e") == 1)
    #expect(try queue.entries("e", .purge, limit: 10).map(\.attempts) == [0])
    #expect(try queue.entries("e", .failed, limit: 10).isEmpty)
  }

  @Test func aNewChangeBringsARefusedTaskBack() throws {
    let fixture = try StoreFixture()
    let queue = try queue(fixture)
    let tag = try task(.tag, "latest-a")
    try queue.add([("e", tag)])
    var settlement = EdgeQueue.Settlement()
    settlement.refused = try queue.entries("e", .purge, limit: 1).map { ($0, "it answers 400") }
    try queue.settle(settlement)
    #expect(try queue.count("e", .failed).entries == 1)
    try queue.add([("e", tag)])
    #expect(try queue.count("e", .failed).entries == 0)
    #expect(try queue.count("e", .purge).entries == 1)
  }

  @Test func sitesAndEdgesDoNotMeet() throws {
    let fixture = try StoreFixture()
    let demo = try queue(fixture)
    let other = try EdgeQueue(fixture.store, site: "demo2", mostAttempts: 3)
    let tag = try task(.tag, "latest-a")
    try demo.add([("e", tag), ("ee", tag)])
    try other.add([("e", tag)])
    #expect(try demo.forget(except: ["e"]) == ["ee"])
    #expect(try demo.count("e", .purge).entries == 1)
    #expect(try demo.count("ee", .purge).entries == 0)
    #expect(try other.count("e", .purge).entries == 1)
  }

  @Test func standingIsKept() throws {
    let fixture = try StoreFixture()
    let queue = try queue(fixture)
    #expect(try queue.standing("e") == "")
    try queue.setStanding("e", "it answers 500")
    #expect(try queue.standing("e") == "it answers 500")
    #expect(try queue.standing("ee") == "")
  }

  @Test(arguments: [
    (EdgeTask.Kind.tag, ""), (.tag, "a b"), (.tag, "a,b"), (.path, "f/a"), (.path, "/f/ä"), (.path, "/f/a b"),
    (.path, "/f/a#b"), (.tree, "/v/a"), (.tree, "/v/?a/"), (.everything, "x"), (.warm, ""),
  ])
  func whatCanNotStandInARequestIsNoTask(kind: EdgeTask.Kind, name: String) {
    #expect(EdgeTask(kind, name) == nil)
  }

  @Test func namesTellTheAsset() throws {
    #expect(try task(.tag, "latest-film").asset == "film")
    #expect(try task(.tag, "asset-film").asset == "film")
    #expect(try task(.tag, "site-demo").asset == nil)
    #expect(try task(.path, "/v/film/master.m3u8").asset == "film")
    #expect(try task(.path, "/f/film/a").asset == nil)
    #expect(try task(.tree, "/v/film/").asset == "film")
  }
}

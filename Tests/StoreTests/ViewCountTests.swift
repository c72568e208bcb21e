import Testing

@testable import Store

@Suite struct ViewCountTests {
  private func views(_ fixture: Fixture, _ id: String = "film") throws -> UInt64? {
    try fixture.store.read { reader throws(StoreError) in try reader.asset(site: "demo", id: id) }?.views
  }

  private func cursor(_ sequence: UInt64, line: UInt64 = 7, rewinds: UInt64 = 0) -> ViewCursor {
    ViewCursor(line: line, rewinds: rewinds, sequence: sequence)
  }

  @Test func incrementsAreAdded() throws {
    let fixture = try Fixture()
    let before = try fixture.publish("film", "bytes")
    #expect(try fixture.store.apply(.increments(["film": 3, "gone": 5, "no id": 1]), site: "demo") == 3)
    #expect(try fixture.store.apply(.increments(["film": 4]), site: "demo") == 4)
    #expect(try views(fixture) == 7)
    let after = try fixture.store.read { reader throws(StoreError) in
      try reader.asset(site: "demo", id: "film")
    }
    #expect(after?.updatedMilliseconds == before.updatedMilliseconds, "it is no change of the asset")
    #expect(try fixture.store.events(after: 0, limit: 10).count == 1)
  }

  @Test func aTotalCountsOnce() throws {
    let fixture = try Fixture()
    try fixture.publish("film", "bytes")
    #expect(try fixture.store.apply(.totals(["film": 10], cursor(1)), site: "demo") == 10)
    #expect(try fixture.store.apply(.totals(["film": 10], cursor(1)), site: "demo") == 0, "the same again")
    #expect(try fixture.store.apply(.totals(["film": 15], cursor(4)), site: "demo") == 5)
    #expect(try fixture.store.apply(.totals(["film": 12], cursor(3)), site: "demo") == 0, "read before that")
    #expect(try fixture.store.apply(.totals(["film": 16], cursor(5)), site: "demo") == 1)
    #expect(try views(fixture) == 16)
    #expect(try fixture.store.viewCursor(site: "demo") == cursor(5))
    #expect(try fixture.store.viewCursor(site: "other") == nil)
  }

  @Test func aCounterThatWasLostIsAnotherOne() throws {
    let fixture = try Fixture()
    try fixture.publish("film", "bytes")
    try fixture.store.apply(.totals(["film": 10], cursor(10)), site: "demo")
    #expect(try fixture.store.apply(.totals(["film": 12], cursor(1, line: 8)), site: "demo") == 12)
    #expect(try views(fixture) == 22)
  }

  @Test func aCounterThatWentBackAddsNothingTwice() throws {
    let fixture = try Fixture()
    try fixture.publish("film", "bytes")
    try fixture.store.apply(.totals(["film": 100], cursor(100)), site: "demo")
    #expect(try fixture.store.apply(.totals(["film": 98], cursor(98, rewinds: 1)), site: "demo") == 0)
    #expect(try fixture.store.apply(.totals(["film": 99], cursor(99, rewinds: 1)), site: "demo") == 1)
    #expect(try views(fixture) == 101)
  }

  @Test func viewsOutliveChangesOfTheAssetButNotTheAsset() throws {
    let fixture = try Fixture()
    try fixture.publish("film", "bytes")
    try fixture.store.apply(.totals(["film": 10], cursor(10)), site: "demo")
    try fixture.publish("film", "other", title: "New")
    try fixture.store.updateAsset(site: "demo", id: "film") { asset in asset.tags = ["a"] }
    #expect(try views(fixture) == 10)
    try fixture.store.removeAsset(site: "demo", id: "film")
    #expect(try fixture.store.apply(.totals(["film": 12], cursor(12)), site: "demo") == 0)
    try fixture.publish("film", "bytes")
    try fixture.store.apply(.totals(["film": 13], cursor(13)), site: "demo")
    #expect(try views(fixture) == 1)
  }
}

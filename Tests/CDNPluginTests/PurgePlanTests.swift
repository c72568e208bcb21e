import Store
import Testing

@testable import CDNPlugin

/// What changes of the catalog make false.
@Suite struct PurgePlanTests {
  private func plan(_ fixture: StoreFixture, _ vendor: String, _ more: String) throws -> PurgePlan {
    try PurgePlan(
      fixture.store, site: "demo", edges: [CDNFixture.edge(vendor, more)], names: ["poster.jpg"])
  }

  /// What the newest events come to, handled as the plugin does.
  private func tasks(_ fixture: StoreFixture, _ plan: PurgePlan, after: inout UInt64) throws -> [String] {
    let events = try fixture.events(after: after)
    after = events.last?.sequence ?? after
    let tasks = try plan.tasks(for: events).map(\.task.text)
    try plan.remember(events)
    return tasks
  }

  private let varnish = "servers = [\"http://10.0.0.5\"]\nprefetch = \"requests\""

  @Test func byTag() throws {
    let fixture = try StoreFixture()
    let plan = try plan(fixture, "varnish", varnish)
    var at: UInt64 = 0
    try fixture.publish("film", "one")
    #expect(try tasks(fixture, plan, after: &at) == ["tag latest-film", "warm film"])
    try fixture.publish("film", "two")
    #expect(try tasks(fixture, plan, after: &at) == ["tag latest-film", "warm film"])
    try fixture.publish("film", "two", privacy: .private)
    #expect(try tasks(fixture, plan, after: &at) == ["tag asset-film"])
    try fixture.store.removeAsset(site: "demo", id: "film")
    #expect(try tasks(fixture, plan, after: &at) == ["tag asset-film"])
    try fixture.store.publishFile(
      FileDraft(site: "demo", path: "a b/ü.txt", blob: fixture.stage("x"), mediaType: "text/plain"))
    #expect(try tasks(fixture, plan, after: &at) == ["path /f/a%20b/%C3%BC.txt"])
  }

  @Test func byTree() throws {
    let fixture = try StoreFixture()
    let plan = try plan(fixture, "varnish", "by = \"tree\"\n\(varnish)")
    var at: UInt64 = 0
    try fixture.publish("film", "one")
    #expect(try tasks(fixture, plan, after: &at) == ["tree /v/film/", "warm film"])
  }

  @Test func byURLTheOldNamesGoToo() throws {
    let fixture = try StoreFixture()
    let plan = try plan(fixture, "nginx", "servers = [\"http://10.0.0.5\"]")
    var at: UInt64 = 0
    try fixture.publish("film", "one", renditions: ["source", "720p"])
    let first = try tasks(fixture, plan, after: &at)
    #expect(first.first == "path /v/film/master.m3u8")
    for name in [
      "master_ts.m3u8", "manifest.mpd", "ondemand.mpd", "source", "source.mp4", "720p/playlist.m3u8",
      "720p/playlist_ts.m3u8", "720p/iframes.m3u8", "720p/init.mp4", "poster.jpg",
    ] {
      #expect(first.contains("path /v/film/\(name)"), "\(name)")
    }
    #expect(!first.contains { $0.contains("/g/") })
    // 720p goes: its URLs are false from now on.
    let old = try fixture.publish("film", "two", renditions: ["source"])
    #expect(try tasks(fixture, plan, after: &at).contains("path /v/film/720p/playlist.m3u8"))
    try fixture.publish("film", "three", renditions: ["source"])
    #expect(try !tasks(fixture, plan, after: &at).contains("path /v/film/720p/playlist.m3u8"))
    let newest = try #require(
      try fixture.store.read { reader throws(StoreError) in try reader.asset(site: "demo", id: "film") })
    #expect(newest.generation != old.generation)
    try fixture.store.removeAsset(site: "demo", id: "film")
    let last = try tasks(fixture, plan, after: &at)
    let generation = try #require(newest.generation).hex
    #expect(last.contains("path /v/film/source/playlist.m3u8"))
    #expect(last.contains("path /v/film/g/\(generation)/source/playlist.m3u8"))
  }

  @Test func eventsThatComeAgainComeToTheSame() throws {
    let fixture = try StoreFixture()
    let plan = try plan(fixture, "nginx", "servers = [\"http://10.0.0.5\"]")
    try fixture.publish("film", "one", renditions: ["source", "720p"])
    try plan.remember(try fixture.events())
    try fixture.publish("film", "two", renditions: ["source"])
    let events = try fixture.events().suffix(1)
    let first = try plan.tasks(for: Array(events)).map(\.task)
    // As after a crash in front of `remember`.
    #expect(try plan.tasks(for: Array(events)).map(\.task) == first)
    #expect(first.contains { $0.name.hasSuffix("720p/playlist.m3u8") })
  }
}

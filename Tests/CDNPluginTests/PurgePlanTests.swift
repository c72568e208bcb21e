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

  @Test func aRemovedAssetsSegmentsGoOneByOneUpToABound() throws {
    let fixture = try StoreFixture()
    func plan(_ vendor: String, _ more: String, most: Int) throws -> PurgePlan {
      try PurgePlan(
        fixture.store, site: "demo", edges: [CDNFixture.edge(vendor, more)], names: [], mostSegments: most)
    }
    let servers = "servers = [\"http://10.0.0.5\"]"
    let nginx = try plan("nginx", servers, most: 1000)
    try fixture.publish("film", "one")
    let old = ("aaaaaaaaaaaa", [(name: "source", segments: 2), (name: "subtitle-en", segments: 0)])
    let new = ("bbbbbbbbbbbb", [(name: "source", segments: 3), (name: "audio", segments: 1)])
    try nginx.remember(
      "film", [new, old].map { PurgePlan.Known(generation: $0.0, renditions: $0.1) }, isHidden: false)
    try fixture.store.removeAsset(site: "demo", id: "film")
    let removal = try fixture.events().suffix(1)
    func segments(_ plan: PurgePlan) throws -> [String] {
      try plan.tasks(for: Array(removal)).map(\.task.name).filter { $0.contains("segment_") }
    }
    let all = try segments(nginx)
    // Both forms; the newest generation first, and the beginnings first; a piece of subtitles for each segment.
    #expect(all.count == 2 * (3 + 1 + 2 + 2))
    #expect(
      all.prefix(5) == [
        "/v/film/g/bbbbbbbbbbbb/source/segment_0000.m4s", "/v/film/g/bbbbbbbbbbbb/source/segment_0000.ts",
        "/v/film/g/bbbbbbbbbbbb/audio/segment_0000.m4s", "/v/film/g/bbbbbbbbbbbb/audio/segment_0000.ts",
        "/v/film/g/bbbbbbbbbbbb/source/segment_0001.m4s",
      ])
    #expect(Set(all).count == all.count && all.last?.hasPrefix("/v/film/g/aaaaaaaaaaaa/subtitle-en/") == true)
    #expect(try nginx.unlistedSegments(of: Array(removal)) == [:])
    #expect(
      try nginx.tasks(for: Array(removal)).contains { $0.task.name == "/v/film/g/aaaaaaaaaaaa/master.m3u8" })

    let few = try plan("trafficserver", servers, most: 5)
    #expect(try segments(few) == Array(all.prefix(5)))
    #expect(try few.unlistedSegments(of: Array(removal)) == ["e": 11])
    let refreshing = try plan("nginx", "refresh = true\n\(servers)", most: 1000)
    #expect(try segments(refreshing).isEmpty)
    #expect(try refreshing.unlistedSegments(of: Array(removal)) == ["e": 16])
    // Trees and tags take them along.
    let bunny = try plan("bunny", "zone = \"z\"\ntoken_env = \"TOKEN\"\nby = \"url\"", most: 1000)
    #expect(try segments(bunny).isEmpty && bunny.unlistedSegments(of: Array(removal)) == [:])
  }

  @Test func whatIsMadePrivateIsForgottenOnce() throws {
    let fixture = try StoreFixture()
    let plan = try plan(fixture, "nginx", "servers = [\"http://10.0.0.5\"]")
    let record = try fixture.publish("film", "one")
    let known = [
      PurgePlan.Known(
        generation: try #require(record.generation).hex, renditions: [(name: "source", segments: 2)])
    ]
    try plan.remember("film", known, isHidden: false)
    func segments(_ privacy: Privacy) throws -> Int {
      try fixture.publish("film", "one", privacy: privacy)
      let events = try fixture.events().suffix(1)
      defer { try? plan.remember("film", known, isHidden: privacy == .private) }
      return try plan.tasks(for: Array(events)).count { $0.task.name.contains("/segment_") }
    }
    #expect(try segments(.unlisted) == 0)
    #expect(try segments(.private) == 4)
    #expect(try segments(.private) == 0)
    #expect(try segments(.public) == 0)
    #expect(try segments(.private) == 4)
  }

  @Test func fourGenerationsAreRemembered() throws {
    let fixture = try StoreFixture()
    let plan = try plan(fixture, "nginx", "servers = [\"http://10.0.0.5\"]")
    var generations: [String] = []
    for text in ["one", "two", "three", "four", "five"] {
      generations.append(try #require(try fixture.publish("film", text).generation).hex)
      try plan.remember(try fixture.events())
    }
    try fixture.store.removeAsset(site: "demo", id: "film")
    let events = try fixture.events().suffix(1)
    let names = try plan.tasks(for: Array(events)).map(\.task.name)
    for (number, generation) in generations.enumerated() {
      #expect(names.contains("/v/film/g/\(generation)/master.m3u8") == (number > 0), "\(number)")
    }
    try plan.remember(Array(events))
    #expect(try !plan.tasks(for: Array(events)).contains { $0.task.name.contains("/g/") })
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

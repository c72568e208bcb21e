import Loop
import Store
import Synchronization
import Testing

@testable import Origin

/// What happened to the plugins of a test, in order.
final class Journal: Sendable {
  private let lines = Mutex<[String]>([])
  var entries: [String] { lines.withLock { $0 } }
  func note(_ line: String) { lines.withLock { $0.append(line) } }
}

/// Journals its life. Settings say what goes wrong, and under which journal it writes.
class JournalingPlugin: Plugin, @unchecked Sendable {
  // Subclasses only give other names; the state is a journal that locks.
  class var declaration: PluginDeclaration { declaration(named: "journaling") }

  static let journals = Mutex<[String: Journal]>([:])

  static func declaration(named name: String) -> PluginDeclaration {
    PluginDeclaration(
      name: name, summary: "Journals its life.",
      settings: ConfigSection(
        name, "What goes wrong.",
        keys: [
          .string("journal", default: "", .any, "Where to.", example: "a"),
          .bool("refuses", default: false, "Refuses its settings."),
          .bool("fails", default: false, "Fails to start."),
        ]))
  }

  let title: String
  let fails: Bool
  let journal: Journal?

  required init(site: String, settings: ConfigTable) throws(PluginError) {
    let name = Self.declaration.name
    title = "\(site)/\(name)"
    fails = settings.bool("fails")
    let key = settings.string("journal")
    journal = Self.journals.withLock { $0[key] }
    if settings.bool("refuses") { throw PluginError(key: "refuses", "set it to false") }
  }

  func provision(_ host: PluginHost) throws(PluginError) {
    journal?.note("provision \(title) for \(host.site)")
    if fails { throw PluginError("can't start") }
  }

  func join(_ pipeline: inout PipelineBuilder) { pipeline.add(Mark(title: title)) }

  func run() async {
    journal?.note("run \(title)")
    // Until cancelled.
    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
    journal?.note("ran \(title)")
  }

  func shutDown() async { journal?.note("shut down \(title)") }

  struct Mark: HeaderFilter {
    let title: String
    func filter(_ fields: inout HeaderFields, of answer: AnswerInfo) { fields.add("X-Mark", title) }
  }
}

// As its parent, which says why.
final class SecondJournalingPlugin: JournalingPlugin, @unchecked Sendable {
  override class var declaration: PluginDeclaration { declaration(named: "second") }
}

/// Knows what is watched, and journals what its host offers.
final class WatchedPlugin: TrendingSource {
  static let declaration = JournalingPlugin.declaration(named: "watched")
  private let journal: Journal?

  init(site: String, settings: ConfigTable) throws(PluginError) {
    let key = settings.string("journal")
    journal = JournalingPlugin.journals.withLock { $0[key] }
  }

  func provision(_ host: PluginHost) throws(PluginError) {
    let signs = host.signer == nil ? "nothing" : "URLs"
    journal?.note("\(host.site) signs \(signs), trending is known: \(host.trending != nil)")
  }

  func join(_ pipeline: inout PipelineBuilder) {}
  func trending(limit: Int) async throws -> [String] { ["film"] }
}

@Suite struct PluginRegistryTests {
  @Test func keepsItsOrderAndFindsByName() {
    let registry = PluginRegistry([SecondJournalingPlugin.self, JournalingPlugin.self])
    #expect(registry.declarations.map(\.name) == ["second", "journaling"])
    #expect(registry.plugin(named: "journaling") == JournalingPlugin.self)
    #expect(registry.plugin(named: "Journaling") == nil)
    #expect(PluginRegistry([]).declarations.isEmpty)
  }

  @Test func oneNameTwiceIsAMistakeOfTheProgram() async {
    await #expect(processExitsWith: .failure) {
      _ = PluginRegistry([JournalingPlugin.self, JournalingPlugin.self])
    }
  }
}

@Suite struct PluginSetTests {
  static let registry = PluginRegistry([JournalingPlugin.self, SecondJournalingPlugin.self])

  private func configuration(_ sites: [(name: String, text: String)]) throws -> Configuration {
    OriginFixture.configuration(
      try sites.map {
        try OriginFixture.siteConfiguration($0.text, name: $0.name, plugins: Self.registry.declarations)
      })
  }

  /// A journal under a name of its own; tests run side by side.
  private func journal(_ name: String = #function) -> (name: String, journal: Journal) {
    let journal = Journal()
    JournalingPlugin.journals.withLock { $0[name] = journal }
    return (name, journal)
  }

  private func withLoop(_ body: (EventLoop, WorkerPool) async throws -> Void) async throws {
    let threads = try LoopThreads(count: 1)
    let workers = try WorkerPool(threadCount: 1)
    defer {
      threads.stopAndJoin()
      workers.shutdown()
    }
    try await body(threads.loops[0], workers)
  }

  @Test func onlyWhatASiteEnablesIsMade() throws {
    let set = try PluginSet(
      configuration([
        ("a", "[plugins.second]\n[plugins.journaling]\n"), ("b", ""),
        ("c", "[plugins.journaling]\nenabled = false\n[plugins.second]\nenabled = true\n"),
      ]), Self.registry)
    // In registry order, whatever the order in the file.
    #expect(set.members.map { "\($0.site)/\($0.name)" } == ["a/journaling", "a/second", "c/second"])
    #expect(set.plugins(of: "a").count == 2)
    #expect(set.plugins(of: "b").isEmpty)
    #expect(set.plugins(of: "none").isEmpty)
  }

  @Test func filtersRunInRegistryOrder() throws {
    let set = try PluginSet(
      configuration([("a", "[plugins.second]\n[plugins.journaling]\n")]), Self.registry)
    let site = Site(try OriginFixture.siteConfiguration(name: "a"), number: 0, plugins: set.plugins(of: "a"))
    var fields = HeaderFields()
    site.addFields(to: &fields, for: AnswerInfo(site: "a", kind: .file))
    let marks = fields.fields.filter { $0.name == "X-Mark" }.map { String(decoding: $0.value, as: UTF8.self) }
    #expect(marks == ["a/journaling", "a/second"])
  }

  @Test func theHostOffersWhatTheSiteHas() async throws {
    let (name, journal) = journal()
    let registry = PluginRegistry([WatchedPlugin.self])
    let set = try PluginSet(
      OriginFixture.configuration([
        try OriginFixture.siteConfiguration(
          "[plugins.watched]\njournal = \"\(name)\"\n", name: "a", plugins: registry.declarations)
      ]), registry)
    let fixture = try StoreFolder()
    try await withLoop { loop, workers in
      try await set.provision(
        on: loop, store: fixture.store, workers: workers, logger: OriginFixture.logger)
      await set.stop()
    }
    #expect(journal.entries == ["a signs nothing, trending is known: true"])
  }

  @Test func refusedSettingsNameSiteAndPlugin() throws {
    let configuration = try configuration([("a", "[plugins.second]\nrefuses = true\n")])
    let error = #expect(throws: PluginError.self) { _ = try PluginSet(configuration, Self.registry) }
    #expect(error?.key == "site a, [plugins.second] refuses")
    #expect(error?.message == "set it to false")
    #expect(throws: PluginError.self) { try PluginCheck.decode(configuration, Self.registry) }
  }

  @Test func checkingStartsNothing() throws {
    let (name, journal) = journal()
    try PluginCheck.decode(
      configuration([("a", "[plugins.journaling]\njournal = \"\(name)\"\nfails = true\n")]), Self.registry)
    #expect(journal.entries.isEmpty)
  }

  @Test func aFailedStartEndsAllOfThemOnceInReverse() async throws {
    let (name, journal) = journal()
    let folder = try StoreFolder()
    let text = "[plugins.journaling]\njournal = \"\(name)\"\n"
    let set = try PluginSet(
      configuration([
        ("a", text), ("b", text + "fails = true\n[plugins.second]\njournal = \"\(name)\"\n"),
      ]), Self.registry)
    try await withLoop { loop, workers in
      let error = await #expect(throws: PluginError.self) {
        try await set.provision(on: loop, store: folder.store, workers: workers, logger: OriginFixture.logger)
      }
      #expect(error?.key == "site b, [plugins.journaling]")
      #expect(error?.message == "can't start")
    }
    #expect(
      journal.entries == [
        "provision a/journaling for a", "provision b/journaling for b",
        // The last was never started, and is shut down all the same.
        "shut down b/second", "shut down b/journaling", "shut down a/journaling",
      ])
  }

  @Test func stoppingWaitsForTheBackgroundAndShutsDownOnce() async throws {
    let (name, journal) = journal()
    let folder = try StoreFolder()
    let set = try PluginSet(
      configuration([
        (
          "a",
          "[plugins.journaling]\njournal = \"\(name)\"\n[plugins.second]\njournal = \"\(name)\"\n"
        )
      ]), Self.registry)
    try await withLoop { loop, workers in
      try await set.provision(on: loop, store: folder.store, workers: workers, logger: OriginFixture.logger)
      set.start(on: loop, store: folder.store, workers: workers, logger: OriginFixture.logger)
      await set.stop()
    }
    let entries = journal.entries
    #expect(entries.prefix(2) == ["provision a/journaling for a", "provision a/second for a"])
    #expect(Set(entries.dropFirst(2).prefix(4)).count == 4, "both ran, both ended: \(entries)")
    #expect(entries.suffix(2) == ["shut down a/second", "shut down a/journaling"])
    #expect(entries.count == 8)
  }

  /// A reload makes new instances, starts them, and only then ends the old ones.
  @Test func aReloadOverlaps() async throws {
    let (name, journal) = journal()
    let folder = try StoreFolder()
    let configuration = try configuration([("a", "[plugins.journaling]\njournal = \"\(name)\"\n")])
    let old = try PluginSet(configuration, Self.registry)
    let new = try PluginSet(configuration, Self.registry)
    #expect(old.members[0].plugin !== new.members[0].plugin)
    try await withLoop { loop, workers in
      for set in [old, new] {
        try await set.provision(on: loop, store: folder.store, workers: workers, logger: OriginFixture.logger)
      }
      await old.stop()
      #expect(
        journal.entries == [
          "provision a/journaling for a", "provision a/journaling for a", "shut down a/journaling",
        ])
      await new.stop()
      #expect(journal.entries.count == 4)
    }
  }
}

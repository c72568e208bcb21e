import Logging
import Loop
import Net
import Origin
import Store
import Support
import Testing

@testable import CDNPlugin

/// Sending, against a service that behaves badly in every way it can.
@Suite(.serialized) struct EdgeSenderTests {
  /// A running plugin with one edge that is the scripted service.
  private func withPlugin(
    _ api: ScriptedAPI, _ more: String = "", plugin settings: String = "",
    _ body: (StoreFixture, CDNPlugin, CDNControl) async throws -> Void
  ) async throws {
    let fixture = try StoreFixture()
    try await fixture.withHost { host in
      let text = """
        \(settings)
        [[edges]]
        name = "e"
        vendor = "generic"
        urls = ["https://media.example.com"]
        api = "\(api.url)"
        private_addresses = true
        timeout = "1s"
        \(more)
        """
      let plugin = try CDNPlugin(site: "demo", settings: CDNFixture.table(text))
      try plugin.provision(host)
      let control = try CDNControl(fixture.store, site: "demo", CDNFixture.config(text))
      let running = Task(executorPreference: host.loop) { await plugin.run() }
      do {
        try await body(fixture, plugin, control)
      } catch {
        running.cancel()
        await running.value
        await plugin.shutDown()
        throw error
      }
      running.cancel()
      await running.value
      await plugin.shutDown()
    }
  }

  /// Waits until a condition holds, and fails where it never does.
  private func eventually(_ what: String, _ holds: () throws -> Bool) async throws {
    guard try await Support.eventually(holds) else { throw SupportError("never: \(what)") }
  }

  private func wish(_ paths: [String]) -> CDNControl.Wish {
    var wish = CDNControl.Wish()
    wish.paths = paths
    return wish
  }

  private func pending(_ control: CDNControl) throws -> Int { try control.status()[0].pending }

  @Test func eventsBecomeOneCall() async throws {
    let api = try ScriptedAPI()
    try await withPlugin(api, "purge_tags_body = '{\"tags\":${tags}}'") { fixture, plugin, control in
      for id in ["a", "b", "c"] { try fixture.publish(id, id) }
      try await plugin.consume(try fixture.events())
      try await eventually("all acknowledged") { try pending(control) == 0 }
      #expect(api.calls == [#"POST /cache/purge {"tags":["latest-a","latest-b","latest-c"]}"#])
      try await eventually("counted") {
        plugin.metrics.first { $0.name == "cdn_purged_total" }?.samples.first?.value == 3
      }
    }
  }

  @Test(arguments: ["500", "503", "408", "truncated", "hang", "redirect", "401"])
  func whatFailsIsTriedAgain(mode: String) async throws {
    let api = try ScriptedAPI()
    try api.behave(mode, count: mode == "redirect" || mode == "401" ? 1_000_000 : 2)
    try await withPlugin(api) { _, plugin, control in
      #expect(try control.purge(wish(["/f/a"])) == 1)
      // What only a person can mend is not tried again in the time of a test; the others' trouble may be over between two looks.
      if mode == "redirect" || mode == "401" {
        try await eventually("a failure") { try !control.status()[0].standing.isEmpty }
        #expect(try pending(control) == 1)
        #expect(api.calls.count == 1)
        return
      }
      try await eventually("acknowledged") { try pending(control) == 0 }
      #expect(
        api.calls
          == Array(repeating: #"POST /cache/purge {"urls":["https://media.example.com/f/a"]}"#, count: 3))
      try await eventually("no trouble") { try control.status()[0].standing.isEmpty }
    }
  }

  @Test func retryAfterIsKept() async throws {
    let api = try ScriptedAPI()
    try api.behave("429", count: 1)
    try await withPlugin(api) { _, _, control in
      _ = try control.purge(wish(["/f/a"]))
      try await eventually("acknowledged") { try pending(control) == 0 }
      #expect(api.gaps.count == 2 && api.gaps[1] >= 2000)
    }
  }

  @Test func oneBadItemDoesNotHoldTheOthers() async throws {
    let api = try ScriptedAPI()
    try api.behave("refuse:bad")
    try await withPlugin(api) { _, _, control in
      _ = try control.purge(wish((0..<20).map { $0 == 13 ? "/f/bad" : "/f/\($0)" }))
      try await eventually("all settled") { try pending(control) == 0 }
      let status = try control.status()[0]
      #expect(status.failed == 1)
      #expect(status.failures.map(\.task) == ["path /f/bad"])
      #expect(status.failures.map(\.error) == ["it answers 400"])
      let done = api.acknowledged.joined()
      for number in 0..<20 where number != 13 { #expect(done.contains("/f/\(number)\"")) }
      // A person has mended it.
      try api.behave("ok")
      #expect(try control.retry(edge: nil) == 1)
      try await eventually("acknowledged") { try pending(control) == 0 }
      #expect(try control.status()[0].failed == 0)
      #expect(api.acknowledged.last?.contains("/f/bad") == true)
    }
  }

  @Test func whatNeverSucceedsIsGivenUp() async throws {
    let api = try ScriptedAPI()
    try api.behave("500")
    try await withPlugin(api, plugin: "attempts = 2") { _, _, control in
      _ = try control.purge(wish(["/f/a"]))
      try await eventually("given up") { try control.status()[0].failed == 1 }
      #expect(api.calls.count == 2)
    }
  }

  @Test func rulesArePostedUntilTheyAreTaken() async throws {
    let api = try ScriptedAPI()
    try api.behave("500", count: 1)
    try await withPlugin(api, "rules = { \"/v/*\" = \"60s\" }") { _, _, _ in
      try await eventually("taken") { !api.acknowledged.isEmpty }
      #expect(api.acknowledged == [#"POST /cache/rules {"rules":[{"path":"/v/*","ttl":60}]}"#])
    }
  }

  /// What a plugin of the same site knows of views.
  private final class Watched: TrendingSource {
    static let declaration = PluginDeclaration(
      name: "watched", summary: "Knows.", settings: ConfigSection("watched", "None."))
    init() {}
    init(site: String, settings: ConfigTable) throws(PluginError) {}
    func join(_ pipeline: inout PipelineBuilder) {}
    func trending(limit: Int) async throws -> [String] { Array(["b", "a", "c"].prefix(limit)) }
  }

  @Test func whatIsWatchedIsQueued() async throws {
    let fixture = try StoreFixture()
    for id in ["a", "b", "c"] { try fixture.publish(id, id) }
    try await fixture.withHost { host in
      // Nobody listens there: what is to be fetched stays in the queue for a while.
      let text = """
        trending = 2
        [[edges]]
        name = "e"
        vendor = "varnish"
        urls = ["http://media.example.com"]
        servers = ["http://127.0.0.1:1"]
        prefetch = "requests"
        """
      let plugin = try CDNPlugin(site: "demo", settings: CDNFixture.table(text))
      try plugin.provision(
        PluginHost(
          site: "demo", store: host.store, workers: host.workers, loop: host.loop, logger: host.logger,
          trending: Watched()))
      let control = try CDNControl(fixture.store, site: "demo", CDNFixture.config(text))
      let running = Task(executorPreference: host.loop) { await plugin.run() }
      try await eventually("both are queued") {
        try control.queue.entries("e", .warm, limit: 10).map(\.task.text) == ["trend b", "trend a"]
      }
      running.cancel()
      await running.value
      await plugin.shutDown()
    }
  }

  /// Names that lead into the machine or to a cloud's metadata are refused when they are resolved, whatever is allowed elsewhere.
  @Test(arguments: [
    "http://169.254.169.254", "http://[fd00:ec2::254]", "http://localhost:1", "http://0x7f.1:1",
  ])
  func addressesThatNobodyMeans(address: String) async throws {
    let fixture = try StoreFixture()
    try await fixture.withHost { host in
      let text =
        "[[edges]]\nname = \"e\"\nvendor = \"generic\"\nurls = [\"https://m.example.com\"]\napi = \"\(address)\""
      let config = try CDNFixture.config(text)
      let control = try CDNControl(fixture.store, site: "demo", config)
      _ = try control.purge(wish(["/f/a"]))
      let sender = EdgeSender(config.edges[0], config, control.queue, host, EdgeMeasures(["e"]))
      let running = Task(executorPreference: host.loop) { await sender.run() }
      try await eventually("refused") { try !control.status()[0].standing.isEmpty }
      #expect(try control.status()[0].standing.contains("net.address-refused"))
      running.cancel()
      await running.value
      sender.client.close()
    }
  }

  @Test func privateAddressesAreRefusedUnlessAllowed() async throws {
    let api = try ScriptedAPI()
    try await withPlugin(api, "concurrency = 1") { fixture, _, _ in
      try await fixture.withHost { host in
        let text = """
          [[edges]]
          name = "e"
          vendor = "generic"
          urls = ["https://media.example.com"]
          api = "\(api.url)"
          """
        let config = try CDNFixture.config(text)
        let control = try CDNControl(fixture.store, site: "other", config)
        _ = try control.purge(wish(["/f/a"]))
        let sender = EdgeSender(config.edges[0], config, control.queue, host, EdgeMeasures(["e"]))
        let running = Task(executorPreference: host.loop) { await sender.run() }
        try await eventually("refused") { try !control.status()[0].standing.isEmpty }
        #expect(try control.status()[0].standing.contains("net.address-refused"))
        #expect(try pending(control) == 1 && api.calls.isEmpty)
        running.cancel()
        await running.value
        sender.client.close()
      }
    }
  }
}

import Origin
import Support
import Testing

@testable import CDNPlugin

/// Asking for traffic, of a service that behaves badly in every way it can.
@Suite(.serialized) struct AnalyticsPullTests {
  private static let answer = #"{"data": [{"requests": 100, "hits": 80, "miss": 20, "bandwidth": 4500}]}"#

  private func settings(_ api: String, _ more: String) -> String {
    """
    [[edges]]
    name = "e"
    vendor = "fastly"
    urls = ["https://media.example.com"]
    zone = "z"
    token_env = "TOKEN"
    analytics = "1h"
    analytics_api = "\(api)"
    analytics_interval = "1s"
    \(more)
    """
  }

  private func withPlugin(
    _ api: String, in fixture: StoreFixture, _ more: String = "private_addresses = true",
    _ body: (CDNPlugin, () throws -> CDNControl.Status) async throws -> Void
  ) async throws {
    try await fixture.withHost { host in
      let text = settings(api, more)
      let plugin = try CDNPlugin(site: "demo", settings: CDNFixture.table(text))
      try plugin.provision(host)
      let control = try CDNControl(fixture.store, site: "demo", CDNFixture.config(text))
      let running = Task(executorPreference: host.loop) { await plugin.run() }
      let result: Result<Void, any Error>
      do { result = .success(try await body(plugin) { try control.status()[0] }) } catch {
        result = .failure(error)
      }
      running.cancel()
      await running.value
      await plugin.shutDown()
      try result.get()
    }
  }

  private func eventually(_ what: String, _ holds: () throws -> Bool) async throws {
    guard try await Support.eventually(holds) else { throw SupportError("never: \(what)") }
  }

  private func value(_ plugin: CDNPlugin, _ name: String) -> Double? {
    plugin.metrics.first { $0.name == "cdn_traffic_\(name)" }?.samples.first?.value
  }

  @Test func whatIsToldIsKeptAndShown() async throws {
    let api = try ScriptedAPI(answer: Self.answer)
    let fixture = try StoreFixture()
    try await withPlugin(api.url, in: fixture) { plugin, status in
      try await eventually("told") { try status().traffic != nil }
      let report = try #require(try status().traffic)
      #expect(report.requests == 100 && report.bytes == 4500 && report.hitRatio == 0.8)
      #expect(report.bitsPerSecond == 10 && report.untilSeconds - report.fromSeconds == 3600)
      // What the service writes down comes by another way than its answers.
      try await eventually("written down") {
        api.calls.contains { $0.hasPrefix("GET /stats/service/z?from=\(report.fromSeconds)&to=") }
      }
      try await eventually("measured") { value(plugin, "hit_ratio") == 0.8 }
      #expect(value(plugin, "requests") == 100 && value(plugin, "bytes") == 4500)
      #expect(value(plugin, "bits_per_second") == 10 && value(plugin, "window_seconds") == 3600)
      #expect(try #require(value(plugin, "age_seconds")) >= 900)
      #expect(value(plugin, "failures_total") == 0)
      try await eventually("asked again") { api.calls.count >= 2 }
    }
    // The next process knows it from the start, though nobody answers.
    try api.behave("500")
    try await withPlugin(api.url, in: fixture) { plugin, status in
      try await eventually("known") { value(plugin, "requests") == 100 }
      #expect(try status().traffic?.requests == 100)
    }
  }

  @Test(arguments: ["500", "503", "404", "401", "truncated", "hang", "huge", "redirect", "204"])
  func whatFailsIsCountedAndHarmless(mode: String) async throws {
    let api = try ScriptedAPI(answer: Self.answer)
    let fixture = try StoreFixture()
    // Who hangs is waited for; who answers has time to on a busy machine.
    let timeout = "private_addresses = true\ntimeout = \"\(mode == "hang" ? "500ms" : "20s")\""
    try await withPlugin(api.url, in: fixture, timeout) { plugin, status in
      try await eventually("told") { try status().traffic != nil }
      try api.behave(mode)
      try await eventually("told to be wrong") { try !status().trafficTrouble.isEmpty }
      #expect(try #require(value(plugin, "failures_total")) >= 1)
      let state = try status()
      #expect(state.traffic?.requests == 100, "what was known stays")
      #expect(state.standing.isEmpty, "purges have no trouble")
      if mode == "huge" {
        #expect(state.trafficTrouble.contains("net.response-too-large"), "\(state.trafficTrouble)")
      }
      // A person's mistakes are not tried again within the time of a test.
      guard !["401", "404", "redirect", "huge"].contains(mode) else { return }
      try api.behave("ok")
      try await eventually("told again") { try status().trafficTrouble.isEmpty }
    }
    #expect(!api.calls.contains { $0.contains("meta-data") })
  }

  @Test func retryAfterIsKept() async throws {
    let api = try ScriptedAPI(answer: Self.answer)
    try api.behave("429", count: 1)
    try await withPlugin(api.url, in: try StoreFixture()) { plugin, status in
      try await eventually("told") { try status().traffic != nil }
      try await eventually("written down") { api.gaps.count >= 2 }
      #expect(api.gaps[1] >= 2000, "\(api.gaps)")
      #expect(value(plugin, "failures_total") == 1)
    }
  }

  /// Where a name leads into the machine or to a cloud's metadata, nobody is asked.
  @Test(arguments: ["http://169.254.169.254", "http://127.0.0.1:1"])
  func addressesThatNobodyMeans(address: String) async throws {
    try await withPlugin(address, in: try StoreFixture(), "") { _, status in
      try await eventually("refused") { try status().trafficTrouble.contains("net.address-refused") }
      #expect(try status().traffic == nil)
    }
  }

  @Test func whoHasNothingToTellSaysSo() throws {
    for vendor in ["varnish", "nginx", "trafficserver"] {
      #expect {
        _ = try CDNFixture.edge(vendor, "servers = [\"http://10.0.0.5\"]\nanalytics = \"1h\"")
      } throws: {
        ($0 as? PluginError)?.key == "edges[0].analytics"
      }
    }
    #expect(try CDNFixture.edge("fastly", "zone = \"z\"\ntoken_env = \"TOKEN\"").analytics == nil)
  }
}

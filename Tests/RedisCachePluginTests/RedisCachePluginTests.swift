import Foundation
import Origin
import PluginContract
import Store
import Support
import Testing

@testable import RedisCachePlugin

/// Settings as they stand in a site file, and what every plugin keeps to.
@Suite struct RedisCachePluginTests {
  @Test func keepsTheContract() async throws {
    let folder = try TemporaryFolder("redis-cache")
    let store = try Store(
      path: folder.url.path, options: StoreOptions(indexMapSizeBytes: 1 << 30, indexReserveBytes: 0))
    let contract = PluginContract(
      RedisCachePlugin.self,
      settings: [
        "upstream_url = \"https://cms.example.com/{id}\"\nwhen_unknown = \"refuse\"",
        "upstream_url = \"https://cms.example.com/{id}\"\ncountry_header = \"X-Country\"",
      ], store: store)
    let violations = await contract.violations()
    #expect(violations.isEmpty, "\(violations)")
  }

  @Test(
    arguments: [
      ("upstream_url = \"https://cms.example.com/\"", "{id} must stand"),
      ("upstream_url = \"ftp://cms.example.com/{id}\"", "https://"),
      ("upstream_url = \"https://me:secret@cms.example.com/{id}\"", "a secret does not stand in it"),
      ("key = \"video\"", "{id} must stand"), ("country_header = \"X-Country\"", "set upstream_url"),
      ("ttl = \"1m\"", "shorter than ttl"), ("wait = \"1s\"", "500ms"),
      ("user = \"origin\"", "a user needs a password"),
    ])
  func settingsThatMeanNothingAreRefused(text: String, part: String) {
    let problems = RedisCachePlugin.declaration.settings.decode(text: text).problems.map(\.message)
    #expect(problems.count == 1 && problems[0].contains(part), "\(problems)")
  }

  /// `docs/openapi.yaml` describes the calls, as those of this plugin.
  @Test func theCallsAreDescribed() throws {
    let text = String(
      decoding: try bytes(ofFile: Checkout.root.appending(path: "docs/openapi.yaml").path), as: UTF8.self)
    let path = try #require(text.firstRange(of: "\n  /api/v1/videos/{id}/metadata:\n    x-plugin: redis\n"))
    let described = text[path.upperBound...].split(separator: "\n  /")[0]
    let (table, _) = RedisCachePlugin.declaration.settings.decode(text: "")
    for route in try RedisCachePlugin(site: "demo", settings: table).apiRoutes {
      #expect(route.path == "/api/v1/videos/{id}/metadata")
      #expect(
        described.contains("\n    \(route.method)".lowercased() + ":")
          || described.hasPrefix("    \(route.method):"))
    }
  }
}

import Foundation
import PluginContract
import Support
import Testing

@testable import CDNPlugin
@testable import Origin

@Suite struct CDNPluginTests {
  @Test func keepsTheContract() async throws {
    let fixture = try StoreFixture()
    let nowhere = "servers = [\"http://127.0.0.1:1\"]"
    let contract = PluginContract(
      CDNPlugin.self,
      settings: [
        """
        [[edges]]
        name = "pop"
        vendor = "varnish"
        urls = ["http://media.example.com"]
        \(nowhere)
        prefetch = "requests"
        verify = true
        edge_max_age = "1h"
        """,
        """
        trending = 5
        [[edges]]
        name = "any"
        vendor = "generic"
        urls = ["http://media.example.com"]
        api = "http://127.0.0.1:1"
        """,
      ], store: fixture.store)
    #expect(await contract.violations().isEmpty)
  }

  @Test(arguments: [
    ("vendor = \"fastly\"\nzone = \"z\"\ntoken_env = \"TOKEN\"", "urls"),
    ("vendor = \"fastly\"\nurls = [\"https://a\"]\ntoken_env = \"TOKEN\"", "zone"),
    ("vendor = \"fastly\"\nurls = [\"https://a\"]\nzone = \"z\"", "token_file"),
    ("vendor = \"generic\"\nurls = [\"https://a\"]", "api"),
    ("vendor = \"nginx\"\nurls = [\"https://a\"]", "servers"),
    (
      "vendor = \"bunny\"\nurls = [\"https://a\"]\nservers = [\"http://b\"]\nzone = \"z\"\ntoken_env = \"TOKEN\"",
      "servers"
    ),
    ("vendor = \"nginx\"\nurls = [\"https://a\"]\nservers = [\"http://b\"]\nby = \"tag\"", "by"),
    ("vendor = \"nginx\"\nurls = [\"https://a\"]\nservers = [\"http://b\"]\nprefetch = \"api\"", "prefetch"),
    (
      "vendor = \"nginx\"\nurls = [\"https://a\"]\nservers = [\"http://b\"]\nrules = { \"/\" = \"1h\" }",
      "rules"
    ),
    (
      "vendor = \"generic\"\nurls = [\"https://a\"]\napi = \"https://b\"\nrules = { \"/\" = \"soon\" }",
      "rules"
    ),
  ])
  func wrongSettingsAreRefused(text: String, key: String) throws {
    let table = try CDNFixture.table("[[edges]]\nname = \"e\"\n\(text)")
    do throws(PluginError) {
      _ = try CDNPlugin(site: "demo", settings: table)
      Issue.record("\(text) is taken")
    } catch {
      #expect(error.key == "edges[0].\(key)", "\(error)")
    }
  }

  @Test(arguments: [
    "[[edges]]\nname = \"a b\"\nvendor = \"nginx\"", "[[edges]]\nname = \"a\"\nvendor = \"squid\"",
    "[[edges]]\nname = \"a\"\nvendor = \"nginx\"\nurls = [\"https://a/b\"]",
    "[[edges]]\nname = \"a\"\nvendor = \"nginx\"\n[[edges]]\nname = \"a\"\nvendor = \"nginx\"",
    "[[edges]]\nname = \"a\"\nvendor = \"nginx\"\nurl = \"https://a\"",
  ])
  func mistakesAreFoundByTheDeclaration(text: String) {
    #expect(!CDNPlugin.declaration.settings.decode(text: text).problems.isEmpty)
  }

  /// The end of docs/CDN.md is derived from what is declared.
  @Test func theSettingsAreDocumented() throws {
    let file = Checkout.root.appending(path: "docs/CDN.md")
    let text = try String(contentsOf: file, encoding: .utf8)
    let mark = "## Settings\n\n"
    let start = try #require(text.range(of: mark)).upperBound
    let whole = ConfigReference.markdown(plugins: [CDNPlugin.declaration])
    let reference = whole[try #require(whole.range(of: "### `[plugins.cdn]`")).lowerBound...]
    if ProcessInfo.processInfo.environment["HEADWATER_REWRITE"] == "1" {
      try (text[..<start] + reference).write(to: file, atomically: true, encoding: .utf8)
      return
    }
    #expect(
      text[start...] == reference,
      "run HEADWATER_REWRITE=1 swift test --filter CDNPluginTests and read the difference")
  }

  @Test func withoutEdgesNothingIsJoined() throws {
    let plugin = try CDNPlugin(site: "demo", settings: CDNFixture.table(""))
    #expect(Pipeline(plugins: [plugin]).headerFilters.isEmpty)
  }
}

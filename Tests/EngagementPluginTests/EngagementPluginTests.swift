import Foundation
import HTTP
import Net
import PluginContract
import Store
import Support
import Testing

@testable import EngagementPlugin
@testable import Origin

/// Settings as they stand in a site file, and what becomes of them.
@Suite struct EngagementPluginTests {
  struct Refused: Error { let problem: ConfigProblem }

  static func table(_ text: String) throws -> ConfigTable {
    let (table, problems) = EngagementPlugin.declaration.settings.decode(text: text)
    if let problem = problems.first { throw Refused(problem: problem) }
    return table
  }

  @Test func keepsTheContract() async throws {
    let folder = try TemporaryFolder("engagement")
    let store = try Store(
      path: folder.path("storage"), options: StoreOptions(indexMapSizeBytes: 1 << 30, indexReserveBytes: 0))
    let contract = PluginContract(
      EngagementPlugin.self,
      settings: [
        "url = \"redis://127.0.0.1:1\"\nmedia_rate = 10",
        "media_rate = 5\nmedia_algorithm = \"fixed-window\"",
      ], store: store)
    #expect(await contract.violations().isEmpty)
  }

  @Test func settingsBecomeValues() throws {
    let config = try EngagementConfig(
      Self.table(
        "url = \"redis://127.0.0.1:1\"\nprefix = \"x:\"\nview_after = \"10s\"\nflush = \"2h\"\nmedia_rate = 60\n[keys]\nviews = \"count:{id}\""
      ))
    #expect(config.keys(.views, ["id": "film"]).bytes == Array("x:count:film".utf8))
    #expect(config.keys(.session, ["id": "film", "user": "ana"]).bytes == Array("x:session:ana:film".utf8))
    #expect(config.keys.parts(.views).map(\.bytes) == [Array("x:count:".utf8), []])
    #expect(config.times.watched == 10_000 && config.times.flush == 7_200_000)
    #expect(config.mediaRate.intervalMicroseconds == 1_000_000 && config.mediaRate.burst == 50)
    #expect(try EngagementConfig(Self.table("flush = \"2h\"")).times.flush == 60_000, "without Redis")
    #expect(
      EngagementConfig().times == (try EngagementConfig(Self.table("flush = \"60s\"")).times.withHourlyFlush))
  }

  @Test(arguments: [
    ("url = \"redis-cluster://127.0.0.1:1\"", "prefix"),
    ("url = \"redis-cluster://127.0.0.1:1\"\nprefix = \"{}:\"", "prefix"), ("prefix = \"a b\"", "prefix"),
    ("[keys]\nviewed = \"a:{id}:{user}\"\nreported = \"a:{id}:{user}\"", "keys"),
  ])
  func wrongSettingsAreRefused(text: String, key: String) throws {
    let table = try Self.table(text)
    do throws(PluginError) {
      _ = try EngagementConfig(table)
      Issue.record("\(text) is taken")
    } catch {
      #expect(error.key == key)
    }
  }

  @Test(arguments: [
    "[keys]\nviews = \"views\"", "[keys]\nviews = \"views:{id}:{user}\"", "[keys]\nqueue = \"a b\"",
    "[keys]\nviews = \"{id}{id}\"", "exempt = [\"here\"]", "media_algorithm = \"leaky\"",
  ])
  func wrongTextsAreRefused(text: String) {
    #expect(throws: Refused.self) { try Self.table(text) }
  }

  /// The calls that docs/openapi.yaml ascribes to the plugin are those that it has.
  @Test func everyCallIsDescribedAndNothingElse() throws {
    let text = try String(contentsOf: Checkout.root.appending(path: "docs/openapi.yaml"), encoding: .utf8)
    var described: Set<String> = []
    var path = ""
    var isOurs = false
    for line in text.split(separator: "\n") {
      if line.hasPrefix("  /"), line.hasSuffix(":") {
        path = String(line.dropFirst(2).dropLast())
        isOurs = false
      } else if line == "    x-plugin: engagement" {
        isOurs = true
      } else if isOurs, let method = ["get", "post", "put", "delete"].first(where: { line == "    \($0):" }) {
        described.insert("\(method.uppercased()) \(path)")
      }
    }
    let routes = try EngagementPlugin(site: "demo", settings: Self.table("")).apiRoutes
    #expect(Set(routes.map { "\($0.method.name) \($0.path)" }) == described)
    #expect(described.count == routes.count, "a call is there twice")
  }

  @Test(arguments: [
    ("31", 31_000), ("0.5", 500), ("31.25", 31_250), ("1.2345", 1_234), ("00", 0),
    ("10000000", 10_000_000_000),
  ])
  func secondsAreRead(text: String, milliseconds: Int64) throws {
    #expect(try BeaconAPI.milliseconds(text, "watched") == milliseconds)
  }

  @Test(arguments: [
    "", ".", "1.", ".5", "-1", "1e3", "1,5", "10000001", "99999999999999999999", "1.2.3", "NaN",
  ])
  func whatIsNoNumberOfSecondsIsRefused(text: String) {
    #expect(throws: Problem.self) { try BeaconAPI.milliseconds(text, "watched") }
  }
}

extension EngagementConfig.Times {
  fileprivate var withHourlyFlush: Self {
    var times = self
    times.flush = 3_600_000
    return times
  }
}

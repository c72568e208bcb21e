import Foundation
import Net
import Testing

@testable import Origin

/// Where a plugin finds Redis, as its section says it.
@Suite struct RedisSettingsTests {
  private static let section = ConfigSection(
    "redis", "A plugin that asks Redis.", keys: RedisSettings.keys(), validate: RedisSettings.complaints)

  private func problems(_ text: String) -> [String] {
    Self.section.decode(text: text, environment: ["SECRET": "swordfish", "EMPTY": ""]).problems.map(\.message)
  }

  private func configuration(_ text: String) throws -> RedisConfiguration {
    let (table, problems) = Self.section.decode(text: text, environment: ["SECRET": "swordfish"])
    #expect(problems.isEmpty)
    return try #require(RedisSettings.configuration(table))
  }

  @Test func theDefaultsServe() throws {
    let configuration = try configuration("")
    #expect(configuration.place == .server(.init(name: "127.0.0.1", port: 6379)))
    #expect(configuration.user == nil && configuration.password == nil)
    #expect(configuration.commandTimeoutMilliseconds == 100)
    #expect(configuration.connectTimeoutMilliseconds == 500)
  }

  @Test func everyPlaceIsTaken() throws {
    #expect(
      try configuration("url = \"redis-sentinel://a,b:1/main/2\"").place
        == .sentinels([.init(name: "a", port: 26379), .init(name: "b", port: 1)], primary: "main"))
    #expect(
      try configuration("url = \"redis+unix:///run/redis.sock\"").place == .socket(path: "/run/redis.sock"))
    #expect(
      try configuration("url = \"redis-cluster://a\"").place == .cluster([.init(name: "a", port: 6379)]))
  }

  @Test func whoWeAreComesFromSecrets() throws {
    let configuration = try configuration(
      "user = \"origin\"\npassword_env = \"SECRET\"\nsentinel_password_env = \"SECRET\"\ncommand_timeout = \"50ms\""
    )
    #expect(configuration.user == "origin" && configuration.password == "swordfish")
    #expect(configuration.sentinelUser == nil && configuration.sentinelPassword == "swordfish")
    #expect(configuration.commandTimeoutMilliseconds == 50)
    #expect(!"\(configuration)".contains("swordfish"))
  }

  @Test(
    arguments: [
      ("url = \"redis://:swordfish@host\"", "do not stand in the URL"),
      ("url = \"redis://origin:swordfish@host/0\"", "do not stand in the URL"),
      ("url = \"redis-sentinel://host/main?sentinel_password=swordfish\"", "does not stand in the URL"),
      ("url = \"rediss://host\"", "needs TLS"),
      ("url = \"\"", "write redis://"),
      ("url = \"redis://host/x\"", "the database is a number"),
      ("user = \"origin\"", "a user needs a password"),
      ("password_env = \"EMPTY\"", "empty"),
      ("command_timeout = \"2s\"", "500ms"),
    ])
  func whatCannotBeMeantIsRefused(text: String, part: String) {
    let found = problems(text)
    #expect(found.count == 1 && found[0].contains(part), "\(found)")
    #expect(!found.joined().contains("swordfish"))
  }

  @Test func withoutRedisWhereThatIsTheDefault() {
    let section = ConfigSection("x", "Optional.", keys: RedisSettings.keys(url: ""))
    let (table, problems) = section.decode(text: "")
    #expect(problems.isEmpty)
    #expect(RedisSettings.configuration(table) == nil)
  }

  @Test func figuresBeginWithTheirPlugin() {
    let metrics = PluginMetric.redis("engagement_redis", nil)
    #expect(metrics.allSatisfy { $0.name.hasPrefix("engagement_redis_") && $0.samples.count == 1 })
    #expect(metrics.contains { $0.name == "engagement_redis_breakers_open" && $0.kind == .gauge })
  }
}

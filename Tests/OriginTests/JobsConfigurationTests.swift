import Net
import Testing

@testable import Origin

/// `[jobs]`: where the queue is, and what workers on other machines need.
@Suite struct JobsConfigurationTests {
  private func decode(_ text: String) -> (jobs: ServerConfiguration.Jobs, problems: [ConfigProblem]) {
    let environment = ["REDIS": "p%w:@", "TOKEN": "0123456789abcdef", "SHORT": "short"]
    let result = ServerConfiguration.schema.decode(text: "[jobs]\n\(text)", environment: environment)
    return (ServerConfiguration(result.table, base: "").jobs, result.problems)
  }

  @Test func theQueueIsInTheStoreUnlessItIsInRedis() throws {
    #expect(decode("").jobs.redis == nil && decode("queue = \"embedded\"").jobs.redis == nil)
    let (jobs, problems) = decode(
      "queue = \"redis://cache:6380/3\"\nqueue_password_env = \"REDIS\"\nworker_token_env = \"TOKEN\"")
    let redis = try #require(jobs.redis)
    #expect(problems.isEmpty && redis.description == "redis://:***@cache:6380/3")
    #expect(redis.password == "p%w:@" && redis.database == 3)
    #expect(jobs.workerToken == Secret(bytes: Array("0123456789abcdef".utf8)))
    #expect(!"\(jobs)".contains("p%w") && !"\(jobs)".contains("0123456789"))
    let named = decode("queue = \"redis-sentinel://me:@a,b/main\"\nqueue_password_env = \"REDIS\"").jobs.redis
    #expect(named?.user == "me" && named?.password == "p%w:@")
  }

  @Test(arguments: [
    ("queue = \"redis://:secret@cache\"", "a password never stands in a URL"),
    ("queue = \"redis-sentinel://a/main?sentinel_user=x&sentinel_password=secret\"", "a password never"),
    ("queue = \"rediss://cache\"", "needs TLS"), ("queue = \"redis\"", "write redis://host"),
    ("queue = \"http://cache\"", "no place of a queue"),
    ("queue_password_env = \"REDIS\"", "a password without a queue in Redis"),
    ("queue = \"redis://me:@cache\"", "the user of the queue needs a password"),
    ("worker_token_env = \"SHORT\"", "at least 16 characters"),
    ("origin = \"media.example.com\"", "a URL of http or https"),
    ("origin = \"https://media.example.com/a\"", "without a path"),
    ("origin = \"https://\"", "without a path"),
    ("origin = \"https://me@media.example.com\"", "without a path"),
    ("origin_ca_file = \"ca.pem\"", "an absolute path"),
  ]) func whatMakesNoSenseIsSaid(text: String, reason: String) {
    let problems = decode(text).problems.map(\.description)
    #expect(problems.count == 1 && problems.first?.contains(reason) == true, "\(problems)")
    #expect(problems.first?.contains("secret@") != true && problems.first?.contains("=secret") != true)
  }

  @Test func theOriginIsSchemeAndAuthority() {
    #expect(decode("").jobs.originURL == nil)
    for text in ["https://media.example.com", "https://media.example.com/"] {
      #expect(decode("origin = \"\(text)\"").jobs.originURL == "https://media.example.com")
    }
    #expect(decode("origin = \"http://[::1]:8080\"").jobs.originURL == "http://[::1]:8080")
  }
}

import Foundation
import Support
import Testing

extension EndToEnd {
  /// `kill -9` while purges are on their way, and the commands and calls around the queue.
  @Suite struct CDNCrashTests {
    private static func edges(_ api: ScriptedAPI, _ more: String = "") -> String {
      """
      [plugins.cdn]
      [[plugins.cdn.edges]]
      name = "any"
      vendor = "generic"
      urls = ["http://media.test"]
      api = "\(api.url)"
      private_addresses = true
      timeout = "2s"
      \(more)
      """
    }

    private static func start(_ api: ScriptedAPI, _ more: String = "") throws -> ServerUnderTest {
      let server = try ServerUnderTest(CDNTests.options(edges(api, more)))
      try server.start()
      return server
    }

    @Test func noAcknowledgedPurgeIsLostByAKill() throws {
      let api = try ScriptedAPI()
      let server = try Self.start(api)
      let file = try server.folder.write("file.txt", text: "zero")
      var random = SplitMix64(seed: 20)
      var published: [String] = []
      for round in 0..<6 {
        // Up to the kill the service fails, hangs or takes it, as it comes.
        try api.behave(["500", "hang", "ok"][round % 3])
        for number in 0..<4 {
          let path = "r\(round)-\(number).txt"
          // The command returns when the change is in the catalog: from then on the purge is owed.
          try server.putFile(path, file)
          published.append(path)
          usleep(UInt32(random.next() % 150_000))
        }
        server.signal(SIGKILL)
        _ = try server.waitForEnd()
        if round % 2 == 0 {
          // Published while no server is there.
          try server.putFile("r\(round)-offline.txt", file)
          published.append("r\(round)-offline.txt")
        }
        try server.start()
      }
      try api.behave("ok")
      try CDNTests.eventually("all is acknowledged", .seconds(90)) {
        let done = api.acknowledged.joined(separator: "\n")
        return published.allSatisfy { done.contains("/f/\($0)\"") }
      }
      try CDNTests.eventually("nothing is owed") { try CDNTests.isSettled(server) }
      #expect(try CDNTests.status(server)["failed"] as? Int == 0)
      // The trouble that the killed ones have written down is over.
      try CDNTests.eventually("no trouble") { try CDNTests.status(server)["trouble"] is NSNull }
      #expect(try server.stop() == 0)
    }

    @Test func commandsWorkWithAndWithoutAServer() throws {
      let api = try ScriptedAPI()
      let server = try Self.start(api, "purge_tags_body = '{\"tags\":${tags}}'")
      try server.importAsset("film", Fixtures.path("video-only.mp4"))
      let waited = try server.headwater(
        [
          "cdn", "purge", "--asset", "film", "--path", "/f/a", "--tag", "kind-file", "--everything", "--wait",
          "20s",
        ])
      #expect(waited.status == 0 && waited.text == "queued 4\n", "\(waited.errors)")
      // The service writes down what it answers; that comes by another way than its answers.
      try CDNTests.eventually("all four") {
        let done = api.acknowledged.joined(separator: "\n")
        return ["latest-film", "http://media.test/f/a", "kind-file", #"{"all":true}"#].allSatisfy {
          done.contains($0)
        }
      }
      #expect(try server.stop() == 0)
      #expect(try server.headwater(["cdn", "purge", "--path", "/f/later"]).status == 0)
      let status = try server.headwater(["cdn", "status", "--json"])
      #expect(
        status.text.contains("\"pending\":1") && status.text.contains("\"edge\":\"any\""), "\(status.text)")
      try server.start()
      try CDNTests.eventually("done later") { api.acknowledged.contains { $0.contains("/f/later") } }

      for (words, message) in [
        (["purge"], "say what is to be purged"), (["purge", "--path", "f/a"], "no path"),
        (["purge", "--path", "/a", "--edge", "none"], "there is no edge"),
        (["prefetch", "film"], "prefetch is off"), (["purge", "--asset", "a/b"], "no id of an asset"),
      ] {
        let refused = try server.headwater(["cdn"] + words)
        #expect(refused.status != 0 && refused.errors.contains(message), "\(words): \(refused.errors)")
      }
      #expect(try server.stop() == 0)
    }

    @Test func callsOfTheAPI() throws {
      let api = try ScriptedAPI()
      let server = try Self.start(api)
      #expect(try server.request("GET", "/api/v1/cdn").status == 401)
      let purged = try server.call("POST", "/api/v1/cdn/purge", #"{"assets":["film"],"paths":["/f/a"]}"#)
      #expect(purged.status == 202 && purged.json["queued"] as? Int ?? 0 > 5, "\(purged.text)")
      try CDNTests.eventually("done") { try CDNTests.isSettled(server) && api.acknowledged.count > 0 }
      for (call, body, code) in [
        ("purge", "{}", "invalid-field"), ("purge", #"{"paths":["x"]}"#, "invalid-field"),
        ("purge", #"{"assets":[1]}"#, "invalid-field"), ("purge", #"{"urls":[]}"#, "invalid-field"),
        ("purge", #"{"tags":["a"]}"#, "invalid-field"), ("purge", #"{"everything":1}"#, "invalid-field"),
        ("purge", #"{"paths":["/a"],"edge":"none"}"#, "invalid-field"), ("purge", "[", "invalid-json"),
        ("prefetch", #"{"assets":["film"]}"#, "invalid-field"), ("prefetch", "{}", "invalid-field"),
        ("retry", #"{"edge":"none"}"#, "invalid-field"),
      ] {
        let answer = try server.call("POST", "/api/v1/cdn/\(call)", body)
        #expect(answer.status == 400 && answer.code == code, "\(call) \(body): \(answer.text)")
      }
      try api.behave("refuse:bad")
      _ = try server.call("POST", "/api/v1/cdn/purge", #"{"paths":["/f/bad"]}"#)
      try CDNTests.eventually("refused") { try CDNTests.status(server)["failed"] as? Int == 1 }
      try api.behave("ok")
      #expect(try server.call("POST", "/api/v1/cdn/retry").json["queued"] as? Int == 1)
      try CDNTests.eventually("done") { try CDNTests.isSettled(server) }
      #expect(try CDNTests.status(server)["failed"] as? Int == 0)
      let metrics = try server.request("GET", "/metrics", admin: true).text
      #expect(metrics.contains("headwater_cdn_purged_total"))
      #expect(try server.stop() == 0)
    }
  }
}

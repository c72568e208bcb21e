import Foundation
import Support
import Testing

extension EndToEnd {
  /// The command line of background work, and a worker beside a server.
  @Suite struct JobTests {
    @Test func commandsSayWhatIsThereAndWhatIsNot() throws {
      let server = try ServerUnderTest()
      #expect(try server.headwater(["jobs", "list"]).text.isEmpty)
      #expect(
        try server.headwater(["jobs", "list", "--json", "--state", "failed", "--limit", "0"]).status == 0)
      #expect(try server.headwater(["jobs", "watch"]).status == 0)
      for (words, reason) in [
        (["list", "--state", "running"], "pending, processing, completed, failed, cancelled"),
        (["show", "film"], "a job's id is 26 characters"),
        (["retry", String(repeating: "0", count: 26)], "there is no such job"),
        (["cancel", String(repeating: "0", count: 26)], "there is no such job"),
      ] {
        let done = try server.headwater(["jobs"] + words)
        #expect(done.status != 0 && done.errors.contains(reason), "\(words): \(done.errors)")
      }
    }

    @Test func aWorkerStartsBesideAServerAndEnds() throws {
      let server = try ServerUnderTest()
      try server.start()
      let worker = try server.inBackground(["worker", "--workers", "2"])
      #expect(worker.line(startingWith: "works with ") == "2 at a time")
      kill(worker.id, SIGTERM)
      #expect(try #require(worker.wait(.seconds(20))).status == 0)
      #expect(try server.headwater(["worker", "--drain"]).status == 0)
      #expect(try server.headwater(["worker", "--workers", "0"]).status != 0)
      let incoming = try FileManager.default.contentsOfDirectory(
        atPath: server.folder.path("storage/incoming"))
      #expect(incoming.isEmpty)
      #expect(try server.stop() == 0)
    }
  }
}

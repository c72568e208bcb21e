import Foundation
import Support
import Testing

extension EndToEnd {
  /// `kill -9` of the worker, of the process that encodes, and of worker and server together, in the middle of a ladder: the
  /// asset plays all the while, every job ends completed, and nothing is left behind.
  @Suite struct TranscodeCrashTests {
    private static let rungs = ["72p", "108p", "180p"]

    @Test func whateverIsKilledTheLadderIsCompletedOnce() throws {
      let rounds = Torture.rounds(6, long: 51)
      let seed = Torture.seed
      var random = SplitMix64(seed: seed)
      let server = try ServerUnderTest(TranscodeLadder.options(workers: "off"))
      try server.start()
      let film = try Fixtures.path("h264-aac-faststart.mp4")
      var kills = 0
      for round in 0..<rounds {
        let id = "film\(round)"
        try server.importAsset(id, film)
        try waitForJobs(of: id, on: server)
        let worker = try server.inBackground(["worker", "--workers", "2"])
        _ = try #require(worker.line(startingWith: "works with "))
        // A ladder of this clip takes about a second.
        if worker.wait(.milliseconds(Int.random(in: 0...(round % 3 == 1 ? 200 : 700), using: &random))) == nil
        {
          switch round % 3 {
          case 0: worker.kill()
          case 1:
            // There may be none any more, or for a moment between two jobs.
            let deadline = ContinuousClock.now + .milliseconds(500)
            var running: [Int32] = []
            while running.isEmpty, ContinuousClock.now < deadline {
              running = Processes.children(of: worker.id)
            }
            for process in running where kill(process, SIGKILL) == 0 { kills += 1 }
            // The worker goes on, and gives back what it is at when it is asked to end.
            _ = worker.wait(.milliseconds(300))
            kill(worker.id, SIGTERM)
          default:
            worker.kill()
            server.signal(SIGKILL)
            #expect(try server.waitForEnd() == -SIGKILL)
            try server.start()
          }
        }
        _ = try #require(worker.wait(.seconds(20)))
        // Whatever is published by now is whole.
        #expect(try FFmpeg.warnings(server.url("/v/\(id)/master.m3u8")) == [], "seed \(seed), round \(round)")
        let shown = try TranscodeTests.asset(id, on: server)
        let made = shown.renditions.map(\.name).filter { Self.rungs.contains($0) }
        // The lowest rung and the others appear at once each; which comes first is another matter where one had to be begun anew.
        let whole = [[], ["72p"], ["108p", "180p"], Self.rungs]
        #expect(whole.contains(made), "seed \(seed), round \(round): \(made)")

        try work(on: server)
        let asset = try TranscodeTests.asset(id, on: server)
        #expect(asset.status == "ready", "seed \(seed), round \(round)")
        #expect(
          Set(asset.renditions.map(\.name)) == Set(Self.rungs + ["audio"]), "seed \(seed), round \(round)")
        #expect(try FFmpeg.warnings(server.url("/v/\(id)/master.m3u8")) == [], "seed \(seed), round \(round)")
        let jobs = try self.jobs(of: id, on: server)
        #expect(jobs.allSatisfy { $0.state == "completed" }, "seed \(seed), round \(round): \(jobs)")
      }
      #expect(kills > 0, "seed \(seed): no process was met while it encoded")
      print("transcode crashes: \(rounds) rounds, \(kills) encoding processes killed, seed \(seed)")
      let incoming = try FileManager.default.contentsOfDirectory(
        atPath: server.folder.path("storage/incoming"))
      // The files of the living: the server's.
      #expect(incoming.count <= 2, "seed \(seed): \(incoming)")
      #expect(try server.headwater(["scrub"]).status == 0)
      #expect(try server.stop() == 0)
    }

    private struct Job: Decodable {
      let kind: String
      let state: String
    }

    private func jobs(of id: String, on server: ServerUnderTest) throws -> [Job] {
      let listed = try server.headwater(["jobs", "list", "--site", "demo", "--asset", id, "--json"])
      return try listed.lines.map { try JSONDecoder().decode(Job.self, from: Data($0.utf8)) }
    }

    /// The server hears of an import a moment after it.
    private func waitForJobs(of id: String, on server: ServerUnderTest) throws {
      let deadline = ContinuousClock.now + .seconds(20)
      while try jobs(of: id, on: server).isEmpty {
        guard ContinuousClock.now < deadline else { throw SupportError("no job for \(id)\n\(server.log)") }
      }
    }

    /// Works until nothing is left, also what waits for its next attempt.
    private func work(on server: ServerUnderTest) throws {
      let deadline = ContinuousClock.now + .seconds(90)
      while true {
        #expect(
          try server.headwater(["worker", "--workers", "2", "--drain"], timeout: .seconds(90)).status == 0)
        let left = try server.headwater(
          ["jobs", "list", "--site", "demo", "--state", "pending", "--state", "processing"])
        if left.text.isEmpty { return }
        guard ContinuousClock.now < deadline else { throw SupportError("jobs are left:\n\(left.text)") }
      }
    }
  }
}

import Foundation
import Support
import Testing

extension EndToEnd {
  /// `kill -STOP` of a worker in the middle of a job: its lease passes on, somebody else does the job, and what it brings when it
  /// wakes is refused. Takes as long as a lease, 30 s.
  @Suite(.timeLimit(.minutes(8))) struct StoppedWorkerTests {
    enum Place: CaseIterable {
      case onTheStore
      case elsewhere
    }

    private struct State: Equatable {
      var generation: String
      var playlist: String
    }

    private struct Shown: Decodable {
      let generation: String
    }

    private func state(of server: ServerUnderTest) throws -> State {
      let shown = try server.headwater(["assets", "show", "--site", "demo", "film", "--json"])
      return State(
        generation: try JSONDecoder().decode(Shown.self, from: Data(shown.output)).generation,
        playlist: try server.request("GET", "/v/film/master.m3u8").text)
    }

    /// Both places at once, since what takes its time is the lease.
    @Test func itsLeaseGoesOnWithoutIt() async throws {
      try await together(Place.allCases) { place in try goesOn(at: place) }
    }

    private func goesOn(at place: Place) throws {
      let site = try RemoteSite(isEmbedded: place == .onTheStore)
      let server = site.server
      func worker() throws -> BackgroundCommand {
        guard place == .onTheStore else { return try site.worker(on: try site.machine()) }
        let worker = try server.inBackground(["worker", "--workers", "1"])
        guard worker.line(startingWith: "works with ") != nil else { throw SupportError("no worker") }
        return worker
      }
      try server.importAsset("film", try Fixtures.path("h264-aac-faststart.mp4"))
      let stopped = try worker()
      let job = try site.waitForWork(of: stopped)
      #expect(kill(stopped.id, SIGSTOP) == 0)
      let held = try #require(try site.jobs().first { $0.id == job })
      guard held.state == "processing" else {
        // It was done in the moment before.
        stopped.kill()
        _ = try server.stop()
        return
      }
      let other = try worker()
      try site.expectLadders(["film"])
      let taken = try #require(try site.jobs().first { $0.id == job })
      #expect(taken.attempt == 2)
      let before = try state(of: server)
      #expect(kill(stopped.id, SIGCONT) == 0)
      // It finds out by itself, throws away what it made, and goes on.
      #expect(stopped.line(containing: "job lost: its lease has passed on", .seconds(60)) != nil)
      for process in [stopped, other] { try RemoteSite.end(process) }
      #expect(try state(of: server) == before)
      let jobs = try site.jobs()
      #expect(jobs.allSatisfy { $0.state == "completed" }, "\(jobs)")
      #expect(jobs.first { $0.id == job }?.attempt == 2)
      #expect(try RemoteSite.leftovers(in: server, "storage").filter { $0.hasSuffix(".part") }.isEmpty)
      #expect(try server.stop() == 0)
    }
  }
}

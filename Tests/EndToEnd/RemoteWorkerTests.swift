import Foundation
import Support
import Testing

/// A server that has the store, the queue in a Redis of its own, and machines with workers: folders that have nothing in
/// common but a token.
final class RemoteSite {
  static let token = "the-token-of-workers-0123456789"
  static let rungs = ["72p", "108p", "180p"]

  let redis: RedisServer
  let server: ServerUnderTest
  /// Their folders last as long as this.
  private var machines: [ServerUnderTest] = []

  /// Small rungs that take their time, so that workers can be met in the middle of a job.
  private static func options(
    _ redis: RedisServer, _ certificates: Certificates? = nil
  ) -> ServerUnderTest.Options {
    var options = TranscodeLadder.options(workers: "off")
    options.tables = """
      [jobs]
      workers = "off"
      queue = "\(redis.url)/1"
      worker_token_file = "worker.token"
      """
    options.files = ["etc/worker.token": token]
    options.sites["../ladders/test"] = """
      preset = "veryslow"
      rungs = [
        { name = "72p", height = 72, kbps = 150, max_fps = 15 },
        { name = "108p", height = 108, kbps = 300 },
        { name = "180p", height = 180, kbps = 600 },
      ]
      """
    if let certificates {
      options.listen.append("127.0.0.1:0 tls")
      options.sites["demo"]? += """

        [tls]
        certificate = "\(certificates.path("localhost.pem"))"
        key_file = "\(certificates.path("localhost.key"))"
        """
    }
    return options
  }

  /// - Parameter isEmbedded: the queue is in the store, and Redis is not asked.
  init(_ certificates: Certificates? = nil, isEmbedded: Bool = false) throws {
    redis = try RedisServer(["--appendonly", "yes", "--appendfsync", "always"])
    var options = Self.options(redis, certificates)
    if isEmbedded { options.tables = "[jobs]\nworkers = \"off\"" }
    server = try ServerUnderTest(options)
    try server.start()
  }

  /// Another machine: the same sites and ladders, storage of its own.
  func machine(token: String = RemoteSite.token, jobs: String = "") throws -> ServerUnderTest {
    var options = Self.options(redis)
    options.tables = "[jobs]\nworker_token_file = \"worker.token\"\n\(jobs)"
    options.files = ["etc/worker.token": token]
    let machine = try ServerUnderTest(options)
    machines.append(machine)
    return machine
  }

  /// Starts a worker there and waits until it works.
  func worker(
    on machine: ServerUnderTest, _ more: [String] = [], origin: String? = nil, workers: Int = 1
  ) throws -> BackgroundCommand {
    let worker = try machine.inBackground(
      [
        "worker", "--workers", "\(workers)", "--queue", "\(redis.url)/1", "--origin",
        origin ?? server.url(""),
      ]
        + more)
    guard worker.line(startingWith: "works with ", .seconds(30)) != nil else {
      throw SupportError("the worker does not start: \(worker.wait(.seconds(1))?.errors ?? "")")
    }
    return worker
  }

  struct Job: Decodable {
    let id: String
    let kind: String
    let state: String
    let attempt: Int
    let owner: String?
  }

  /// What the command says on the server's machine; nothing while Redis does not answer.
  func jobs(_ more: [String] = []) throws -> [Job] {
    let listed = try server.headwater(["jobs", "list", "--limit", "0", "--json"] + more)
    guard listed.status == 0 else { return [] }
    return try listed.lines.map { try JSONDecoder().decode(Job.self, from: Data($0.utf8)) }
  }

  func wait(
    _ what: String, _ timeout: Duration = .seconds(150), until isReached: ([Job]) throws -> Bool
  ) throws {
    let deadline = ContinuousClock.now + timeout
    while true {
      let jobs = try jobs()
      if try isReached(jobs) { return }
      guard ContinuousClock.now < deadline else {
        throw SupportError(
          "\(what): \(jobs.map { "\($0.kind) \($0.state) \($0.attempt)" })\n\(server.log.suffix(3000))")
      }
    }
  }

  /// Until a job is under way in a process; its id.
  @discardableResult
  func waitForWork(of worker: BackgroundCommand, kind: String = "transcode.chunk") throws -> String {
    var found: String?
    try wait("no job of \(worker.id)") { jobs in
      found =
        jobs.first { job in
          job.state == "processing" && job.kind == kind && job.owner?.contains("/\(worker.id)-") == true
        }?.id
      return found != nil
    }
    return found ?? ""
  }

  /// Every job is completed, every asset has its ladder, each end happened once.
  func expectLadders(_ assets: [String]) throws {
    try wait("not all is done") { jobs in
      let joins = jobs.filter { $0.kind == "transcode.join" }
      return joins.count == 2 * assets.count && jobs.allSatisfy { $0.state == "completed" }
    }
    for id in assets {
      let asset = try EndToEnd.TranscodeTests.asset(id, on: server)
      #expect(
        asset.status == "ready" && Set(asset.renditions.map(\.name)) == Set(Self.rungs + ["audio"]),
        "\(asset)")
      let playlist = try server.request("GET", "/v/\(id)/master.m3u8").text
      for rung in Self.rungs { #expect(playlist.contains("/\(rung)/playlist.m3u8"), "\(id): \(rung)") }
      #expect(try FFmpeg.warnings(server.url("/v/\(id)/master.m3u8")) == [], "\(id)")
    }
    // The server's own are of nobody; each rung of an asset appeared once, with a generation.
    #expect(try server.headwater(["scrub"]).status == 0)
  }

  static func leftovers(in machine: ServerUnderTest, _ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: machine.folder.path("\(folder)/incoming"))
  }

  static func end(_ worker: BackgroundCommand) throws {
    kill(worker.id, SIGTERM)
    let ended = try #require(worker.wait(.seconds(30)))
    #expect(ended.status == 0, "\(ended.errors.suffix(2000))")
  }
}

extension EndToEnd {
  /// Workers on machines that have nothing of the store.
  @Suite(.timeLimit(.minutes(8))) struct RemoteWorkerTests {
    @Test func aWorkerThatDiesAndARedisThatDiesLoseNothing() throws {
      let site = try RemoteSite()
      let film = try Fixtures.path("h264-aac-faststart.mp4")
      for id in ["one", "two"] { try site.server.importAsset(id, film) }
      let (left, right) = (try site.machine(), try site.machine())
      let doomed = try site.worker(on: left)
      let other = try site.worker(on: right)
      let job = try site.waitForWork(of: doomed)
      doomed.kill()
      // Nobody can be asked for a while, and what was said before is still known.
      site.redis.kill()
      #expect(try site.server.headwater(["jobs", "list"]).status != 0)
      #expect(try site.server.request("GET", "/v/one/master.m3u8").status == 200)
      #expect(try site.server.request("GET", "/metrics", admin: true).status == 200)
      try site.redis.restart()
      try site.expectLadders(["one", "two"])
      let again = try #require(try site.jobs().first { $0.id == job })
      #expect(again.attempt >= 1 && again.state == "completed")
      try RemoteSite.end(other)
      // The next process of the machine on which one died finds nothing to do but to clean up.
      #expect(try RemoteSite.leftovers(in: right, "storage/worker").isEmpty)
      let cleaner = try site.worker(on: left, ["--drain"])
      #expect(cleaner.wait(.seconds(30))?.status == 0)
      #expect(try RemoteSite.leftovers(in: left, "storage/worker").isEmpty)
      #expect(try RemoteSite.leftovers(in: site.server, "storage").filter { $0.hasSuffix(".part") }.isEmpty)
      let metrics = try site.server.request("GET", "/metrics", admin: true).text
      #expect(metrics.contains("headwater_jobs{kind=\"transcode.join\",state=\"completed\"} 4"), "\(metrics)")
      #expect(try site.server.stop() == 0)
    }

    @Test func aWorkerWithoutTheOriginWaits() throws {
      let site = try RemoteSite()
      let machine = try site.machine()
      try site.server.importAsset("film", try Fixtures.path("h264-aac-faststart.mp4"))
      let worker = try site.worker(on: machine, workers: 2)
      try site.waitForWork(of: worker)
      // The port was the kernel's choice; the server has to come back to it.
      let port = site.server.port
      site.server.signal(SIGKILL)
      _ = try site.server.waitForEnd()
      #expect(worker.line(startingWith: "never", .seconds(3)) == nil)
      let text = try String(contentsOfFile: site.server.configPath, encoding: .utf8)
      try site.server.folder.write(
        "etc/headwater.toml",
        text: text.replacing("listen = [\"127.0.0.1:0\"]", with: "listen = [\"127.0.0.1:\(port)\"]"))
      try site.server.start()
      try site.expectLadders(["film"])
      let attempts = try site.jobs().map(\.attempt)
      #expect(attempts.allSatisfy { $0 == 1 }, "waiting is no attempt: \(attempts)")
      try RemoteSite.end(worker)
      #expect(try site.server.stop() == 0)
    }

    @Test func cancellingReachesAWorkerElsewhere() async throws {
      let site = try RemoteSite()
      let machine = try site.machine()
      try site.server.importAsset("film", try Fixtures.path("h264-aac-faststart.mp4"))
      let worker = try site.worker(on: machine)
      // A process that does not go on can't be done before it is killed. One of a job before it may just be ending.
      var found: (job: String, process: Int32)?
      let isFound = await eventually {
        guard let job = try? site.waitForWork(of: worker),
          let process = Processes.children(of: worker.id).first, kill(process, SIGSTOP) == 0
        else { return false }
        found = (job, process)
        let state = try? site.jobs().first { $0.id == job }?.state
        if state == "processing", Processes.isThere(process) { return true }
        kill(process, SIGCONT)
        return false
      }
      let (job, process) = try #require(isFound ? found : nil)
      #expect(try site.server.headwater(["jobs", "cancel", job]).status == 0)
      let asked = ContinuousClock.now
      #expect(await eventually { !Processes.isThere(process) })
      let taken = ContinuousClock.now - asked
      print("note: the process of a job elsewhere ended \(taken) after it was cancelled")
      // Half a second, on a machine that does nothing else.
      #expect(taken < .seconds(10))
      try site.wait("still at work") { jobs in
        !jobs.contains { $0.state == "processing" || $0.state == "pending" }
      }
      #expect(try site.jobs().first { $0.id == job }?.state == "cancelled")
      let retried = try site.server.headwater(["jobs", "retry", job])
      #expect(retried.status == 0, "\(retried.errors)")
      for join in try site.jobs() where join.state == "cancelled" {
        _ = try site.server.headwater(["jobs", "retry", join.id])
      }
      try site.expectLadders(["film"])
      try RemoteSite.end(worker)
      #expect(try site.server.stop() == 0)
    }

    @Test func theOriginsCertificateIsVerified() throws {
      let certificates = try Certificates()
      try certificates.make("localhost", hosts: ["localhost"])
      let site = try RemoteSite(certificates)
      try site.server.importAsset("film", try Fixtures.path("h264-aac-faststart.mp4"))
      let origin = "https://localhost:\(site.server.tlsPort)"
      let distrustful = try site.worker(on: try site.machine(), origin: origin)
      #expect(distrustful.line(containing: "net.tls-failed", .seconds(60)) != nil)
      try RemoteSite.end(distrustful)
      #expect(try site.jobs().allSatisfy { $0.state == "pending" && $0.attempt == 0 })
      let machine = try site.machine(jobs: "origin_ca_file = \"\(certificates.authority)\"")
      let worker = try site.worker(on: machine, origin: origin, workers: 2)
      try site.expectLadders(["film"])
      try RemoteSite.end(worker)
      #expect(try site.server.stop() == 0)
    }

    @Test func whoIsNotKnownGetsNothing() throws {
      let site = try RemoteSite()
      let machine = try site.machine(token: "another-token-0123456789")
      try site.server.importAsset("film", try Fixtures.path("h264-aac-faststart.mp4"))
      let worker = try site.worker(on: machine)
      try site.wait("the worker is not refused") { jobs in
        guard let plan = jobs.first else { return false }
        let shown = try site.server.headwater(["jobs", "show", plan.id])
        return shown.text.contains("origin-refuses") && shown.text.contains("worker_token")
      }
      #expect(try site.jobs().allSatisfy { $0.state == "pending" && $0.attempt == 0 })
      try RemoteSite.end(worker)
      for (words, reason) in [
        (["--origin", site.server.url("")], "--queue redis://"),
        (["--queue", "redis://:secret@127.0.0.1/"], "a password never stands in a URL"),
        (["--queue", "http://127.0.0.1/"], "--queue"), (["--origin", "https://a/b"], "--origin"),
        (["--kind", "transcode.none"], "transcode.chunk"),
      ] {
        let done = try machine.headwater(["worker", "--drain"] + words)
        #expect(done.status != 0 && done.errors.contains(reason), "\(words): \(done.errors)")
        #expect(!done.errors.contains("secret@"))
      }
      #expect(try site.server.stop() == 0)
    }
  }
}

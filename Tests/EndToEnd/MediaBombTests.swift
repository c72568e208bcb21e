import Foundation
import Support
import Testing

extension EndToEnd {
  /// Small files that ask for much, `scripts/make-media-bombs.py`, with transcoding and pictures switched on: each has its
  /// verdict within five seconds of processor time and 512 MB, at import and in every job that follows from it; no process
  /// crashes, nothing is tried again, and the server goes on.
  @Suite(.enabled(if: Checkout.tool("ffmpeg") != nil, "ffmpeg is not installed")) struct MediaBombTests {
    private static let mostKibibytes = 512 << 10
    private static let mostSeconds = 5.0

    /// Runs a program, and says how much memory it or any process that it waited for had at most, in KiB, how many seconds of
    /// processor time all of them took, and how it ended.
    private static let measure = """
      import resource, subprocess, sys
      done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120)
      sys.stderr.buffer.write(done.stderr)
      used = resource.getrusage(resource.RUSAGE_CHILDREN)
      print(used.ru_maxrss, used.ru_utime + used.ru_stime, done.returncode)
      """

    private struct Job: Decodable {
      struct Reason: Decodable { let code: String, message: String }
      let kind: String
      let state: String
      let attempts: Int?
      let error: Reason?
    }

    private static func options() -> ServerUnderTest.Options {
      var options = ServerUnderTest.Options()
      options.tables = "[jobs]\nworkers = \"off\""
      options.sites = [
        "demo": """
        hosts = ["*"]
        [plugins.transcode]
        ladder = "small"
        [plugins.thumbnails]
        enabled = true
        """,
        "../ladders/small":
          "preset = \"ultrafast\"\nrungs = [{ name = \"90p\", height = 90, kbps = 200 }]",
      ]
      return options
    }

    @Test func everyBombHasItsVerdictInTimeAndMemory() throws {
      let server = try ServerUnderTest(Self.options())
      try server.start()
      let folder = try TemporaryFolder("bombs")
      let script = Checkout.root.appending(path: "scripts/make-media-bombs.py").path
      let made = try Command.run(
        "python3",
        [script, folder.url.path, Fixtures.path("video-only.mp4"), Fixtures.path("h264-aac-srt.mkv")],
        timeout: .seconds(120))
      try #require(made.status == 0, "\(made.errors)")
      let names = made.lines.map(String.init)
      #expect(names.count >= 20)
      var most = (kibibytes: 0, seconds: 0.0)
      for name in names {
        let id = name.replacing(/[^A-Za-z0-9_-]/, with: "_")
        let path = folder.path(name)
        let (status, errors) = try held(
          ["import", "--site", "demo", "--id", id, path], on: server, "\(name): import", &most)
        // Taken or refused with a reason; a crash is a signal.
        #expect(status == 0 || status == 1 && !errors.isEmpty, "\(name): \(errors)")
        if status == 0 { try work(id, name, on: server, &most) }
        try ask(id, name, on: server)
      }
      print(
        "media bombs: \(names.count), at most \(most.kibibytes / 1024) MiB and \(most.seconds) s of processor time"
      )
      #expect(try server.stop() == 0, "log: \(server.log.suffix(2000))")
    }

    /// Runs a command of the program under measurement.
    private func held(
      _ words: [String], on server: ServerUnderTest, _ what: String,
      _ most: inout (kibibytes: Int, seconds: Double)
    ) throws -> (status: Int, errors: String) {
      let done = try Command.run(
        "python3", ["-c", Self.measure, Checkout.binary] + words + ["--config", server.configPath],
        timeout: .seconds(150))
      let numbers = done.text.split(whereSeparator: \.isWhitespace)
      try #require(numbers.count == 3, "\(what): \(done.errors.suffix(1000))")
      let (kibibytes, seconds) = (Int(numbers[0]) ?? .max, Double(numbers[1]) ?? .infinity)
      #expect(kibibytes <= Self.mostKibibytes, "\(what): \(kibibytes / 1024) MiB")
      #expect(seconds <= Self.mostSeconds, "\(what): \(seconds) s")
      most = (max(most.kibibytes, kibibytes), max(most.seconds, seconds))
      return (Int(numbers[2]) ?? -1, done.errors)
    }

    /// All jobs of the asset, to their ends.
    private func work(
      _ id: String, _ name: String, on server: ServerUnderTest,
      _ most: inout (kibibytes: Int, seconds: Double)
    ) throws {
      func jobs() throws -> [Job] {
        try server.headwater(["jobs", "list", "--site", "demo", "--asset", id, "--json"]).lines.map {
          try JSONDecoder().decode(Job.self, from: Data($0.utf8))
        }
      }
      let deadline = ContinuousClock.now + .seconds(20)
      while try jobs().isEmpty {
        try #require(ContinuousClock.now < deadline, "\(name): no job\n\(server.log.suffix(1000))")
      }
      var rounds = 0
      while try jobs().contains(where: { ["pending", "processing"].contains($0.state) }) {
        _ = try held(["worker", "--workers", "1", "--drain"], on: server, "\(name): jobs", &most)
        rounds += 1
        // What waits for another attempt has crashed or run out of time.
        guard rounds < 4 else { throw SupportError("\(name): \(try jobs())\n\(server.log.suffix(1000))") }
      }
      for job in try jobs() where job.state == "failed" {
        let code = try #require(job.error?.code)
        #expect(!code.hasPrefix("media-program") && !code.contains("memory"), "\(name): \(job)")
      }
    }

    /// What viewers may ask of it.
    private func ask(_ id: String, _ name: String, on server: ServerUnderTest) throws {
      for path in [
        "master.m3u8", "manifest.mpd", "poster.jpg", "storyboard_0.jpg", "storyboard.vtt",
        "thumb_0.jpg?exact=1",
      ] {
        let clock = ContinuousClock.now
        let status = try server.curl("/v/\(id)/\(path)").status
        #expect([200, 400, 404, 422].contains(status), "\(name): \(path) \(status)")
        #expect(ContinuousClock.now - clock < .seconds(20), "\(name): \(path)")
        try #require(server.isRunning, "\(name): \(path)")
      }
    }
  }
}

import Foundation
import Support
import Testing

extension EndToEnd {
  /// `kill -9` at random times: what was acknowledged is there and whole, what was not is there whole or not
  /// at all. Rounds: `HEADWATER_CRASH_ROUNDS`, default 10; seed: `HEADWATER_CRASH_SEED`.
  @Suite struct CrashTests {
    /// One object that a round tried to store.
    private struct Attempt {
      let path: String
      let content: [UInt8]
      let isAcknowledged: Bool
    }

    @Test func killedImportsLoseNothingAndShowNoHalves() throws {
      let environment = ProcessInfo.processInfo.environment
      let rounds = Int(environment["HEADWATER_CRASH_ROUNDS"] ?? "") ?? 10
      let seed = UInt64(environment["HEADWATER_CRASH_SEED"] ?? "") ?? UInt64.random(in: 0..<1_000_000)
      print("crash: \(rounds) rounds, seed \(seed)")
      var random = SplitMix64(seed: seed)
      let server = try ServerUnderTest()
      let film = try bytes(ofFile: Fixtures.path("h264-aac-faststart.mp4"))
      try server.start()

      // How long one undisturbed import takes tells when a kill can hit something.
      let clock = ContinuousClock()
      let whole = try clock.measure { try server.importAsset("calm", server.folder.write("calm.mp4", film)) }

      var attempts: [Attempt] = []
      var violations: [String] = []
      for round in 0..<rounds {
        var running: [(path: String, content: [UInt8], command: BackgroundCommand)] = []
        for worker in 0..<3 {
          let name = "r\(round)w\(worker)"
          // A `free` box of random bytes makes every file another blob, and some of them large.
          let padding = random.bytes(worker == 0 ? 3_000_000 : 1000)
          let content = film + Self.freeBox(padding)
          let file = try server.folder.write("in/\(name).mp4", content)
          let isImport = worker < 2
          let command = try server.inBackground(
            isImport
              ? ["import", "--site", "demo", "--id", name, file]
              : ["put", "--site", "demo", "\(name).mp4", file])
          running.append((isImport ? "/v/\(name)/source" : "/f/\(name).mp4", content, command))
        }
        if round % 3 == 2 { server.signal(SIGKILL) }
        for (path, content, command) in running {
          let pause = whole * Double.random(in: 0...1.2, using: &random)
          let ended = command.wait(pause)
          command.kill()
          let status = try #require(ended ?? command.wait(.seconds(10))).status
          attempts.append(Attempt(path: path, content: content, isAcknowledged: status == 0))
          if status != 0 && status != -SIGKILL { violations.append("\(path): exit code \(status)") }
        }
        if round % 3 == 2 {
          #expect(try server.waitForEnd() == -SIGKILL)
          try server.start()
        }
        for attempt in attempts.suffix(3) { violations += try Self.verify(attempt, on: server) }
      }
      for attempt in attempts { violations += try Self.verify(attempt, on: server) }
      let scrub = try server.headwater(["scrub"])
      #expect(scrub.status == 0, "\(scrub.text) \(scrub.errors)")
      #expect(try server.headwater(["gc"]).status == 0)
      let acknowledged = attempts.count { $0.isAcknowledged }
      print("crash: \(attempts.count) events (\(acknowledged) acknowledged), \(violations.count) violations")
      #expect(violations.isEmpty, "seed \(seed): \(violations.prefix(5))")
      #expect(try server.stop() == 0)
    }

    private static func verify(_ attempt: Attempt, on server: ServerUnderTest) throws -> [String] {
      let answer = try server.request("GET", attempt.path)
      var wrong: [String] = []
      if answer.status == 404 && !attempt.isAcknowledged { return [] }
      if answer.status != 200 {
        wrong.append("\(attempt.path): \(answer.status), acknowledged \(attempt.isAcknowledged)")
      }
      if answer.status == 200 && answer.body != attempt.content {
        wrong.append("\(attempt.path): wrong bytes")
      }
      if attempt.path.hasPrefix("/v/") {
        let master = try server.request("GET", attempt.path.replacing("/source", with: "/master.m3u8"))
        if master.status != answer.status {
          wrong.append("\(attempt.path): its playlist answers \(master.status)")
        }
      }
      return wrong
    }

    private static func freeBox(_ padding: [UInt8]) -> [UInt8] {
      let size = UInt32(padding.count + 8)
      return withUnsafeBytes(of: size.bigEndian) { Array($0) } + Array("free".utf8) + padding
    }
  }
}

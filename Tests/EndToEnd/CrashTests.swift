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

    /// The same at every call to the disk that changes something, one after the other, instead of at random times.
    @Test func aKillAtAnyCallLosesNothing() throws {
      let seed = Torture.seed
      var random = SplitMix64(seed: seed)
      let server = try ServerUnderTest()
      let shim = try FaultShim(below: server.folder.path("storage"))
      let film = try bytes(ofFile: Fixtures.path("video-only.mp4"))
      try server.start()
      server.environment = shim.environment
      let calls: [FaultShim.Call] = [
        .open, .write, .pwrite, .fsync, .fdatasync, .rename, .link, .unlink, .mkdir, .ftruncate,
      ]
      var violations: [String] = []
      var kills = 0
      for command in ["put", "import", "remove", "gc"] {
        var number = 0
        /// Runs the command with a kill at the n-th call, then again without; returns how many calls there were.
        func attempt(_ nth: Int?) throws -> Int {
          number += 1
          let name = "\(command)\(number)"
          let content = anotherFilm(film, &random)
          let file = try server.folder.write("in/\(name)", content)
          let isFile = command == "put"
          let path = isFile ? "/f/\(name)" : "/v/\(name)/source"
          let bringIn =
            isFile
            ? ["put", "--site", "demo", name, file] : ["import", "--site", "demo", "--id", name, file]
          if command == "remove" || command == "gc" { try server.importAsset(name, file) }
          if command == "gc" {
            #expect(try server.headwater(["assets", "remove", "--site", "demo", name]).status == 0)
            shim.clockOffsetSeconds += 3 * 86_400
          }
          let words =
            command == "remove"
            ? ["assets", "remove", "--site", "demo", name] : command == "gc" ? ["gc"] : bringIn
          shim.resetCounts()
          if let nth { shim.arm(.kill, at: calls, nth: nth) }
          let done = try server.headwater(words)
          shim.disarm()
          let count = calls.reduce(0) { $0 + shim.count($1) }
          kills += shim.faults
          let label = "\(command), killed at \(nth ?? 0) (\(shim.lastPath.suffix(50)))"
          if done.status != (shim.faults > 0 ? -SIGKILL : 0) {
            violations.append("\(label): \(done.status) \(done.errors)")
          }
          let answer = try server.request("GET", path)
          switch command {
          case "gc": if answer.status != 404 { violations.append("\(label): \(answer.status)") }
          default:
            let isWhole = answer.status == 200 && answer.body == content
            if !isWhole && answer.status != 404 {
              violations.append("\(label): \(answer.status), \(answer.body.count) bytes")
            }
            if isWhole, !isFile, try server.request("GET", path + "/playlist.m3u8").status != 200 {
              violations.append("\(label): visible without its playlist")
            }
          }
          // What was cut short can be done again, and is then as if nothing had been.
          let again = try server.headwater(words)
          let mayBeGone = command == "remove" && again.errors.contains("not-found")
          if again.status != 0 && !mayBeGone {
            violations.append("\(label): again \(again.status) \(again.errors)")
          }
          let after = try server.request("GET", path)
          let isRight = command == "put" || command == "import" ? after.body == content : after.status == 404
          if !isRight { violations.append("\(label): \(after.status) after doing it again") }
          return count
        }
        let count = try attempt(nil)
        for nth in Torture.spread(count, over: command == "import" ? 14 : 8) { _ = try attempt(nth) }
      }
      server.environment = [:]
      let scrub = try server.headwater(["scrub"])
      #expect(scrub.status == 0, "\(scrub.text) \(scrub.errors)")
      let incoming = try FileManager.default.contentsOfDirectory(
        atPath: server.folder.path("storage/incoming"))
      #expect(incoming.isEmpty, "left behind: \(incoming)")
      print("kill at calls: \(kills) events, \(violations.count) violations, seed \(seed)")
      #expect(kills > 25)
      #expect(violations.isEmpty, "seed \(seed):\n\(violations.prefix(10).joined(separator: "\n"))")
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

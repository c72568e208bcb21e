import Foundation
import Support
import Testing

extension EndToEnd {
  /// Damaged files through the real program: each gets a verdict within five seconds and 256 MB, at import and when what was
  /// taken is served. Files: `HEADWATER_MUTATED_FILES`, default 48; seed: `HEADWATER_MUTATED_SEED`.
  @Suite struct MutatedImportTests {
    /// Runs a program with so many bytes of memory of its own and says how much it had, in KiB, how many seconds it took, and
    /// how it ended.
    private static let measure = """
      import resource, subprocess, sys, time
      limit = int(sys.argv[1])
      started = time.monotonic()
      done = subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60,
                            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)))
      sys.stderr.buffer.write(done.stderr)
      used = resource.getrusage(resource.RUSAGE_CHILDREN)
      print(used.ru_maxrss, used.ru_utime + used.ru_stime, done.returncode)
      """
    private static let mostBytes = 256 << 20

    /// Small files of every kind that is read here, and of one that the other program reads.
    private static let sources = [
      "h264-aac-faststart.mp4", "h264-aac-2997.mp4", "video-only.mp4", "fragmented.mp4", "audio-only.m4a",
      "h264-aac-srt.mkv", "h264-aac.ts",
    ].filter { Fixtures.has($0) }

    @Test func everyFileHasAVerdictInTimeAndMemory() throws {
      let environment = ProcessInfo.processInfo.environment
      let count = Int(environment["HEADWATER_MUTATED_FILES"] ?? "") ?? 48
      let seed = UInt64(environment["HEADWATER_MUTATED_SEED"] ?? "") ?? UInt64.random(in: 0..<1_000_000)
      print("mutated imports: \(count) files, seed \(seed)")
      try #require(Self.sources.count >= 3)
      var random = SplitMix64(seed: seed)
      let server = try ServerUnderTest()
      try server.start()
      var most = (kibibytes: 0, seconds: 0.0)
      var verdicts = (taken: 0, refused: 0)
      for number in 0..<count {
        let source = Self.sources[number % Self.sources.count]
        let mutated = try Self.mutate(bytes(ofFile: Fixtures.path(source)), using: &random)
        let name = (source as NSString).pathExtension
        let file = try server.folder.write("in/mutated.\(name)", mutated)
        let id = "m\(number)"
        let done = try Command.run(
          "python3",
          [
            "-c", Self.measure, "\(Self.mostBytes)", Checkout.binary, "import", "--site", "demo", "--id", id,
            file,
            "--config", server.configPath,
          ])
        let words = done.text.split(whereSeparator: \.isWhitespace)
        let what = "seed \(seed), file \(number), \(source): \(done.errors.suffix(500))"
        try #require(words.count == 3, "\(what)")
        let status = Int(words[2])
        // A verdict is either: a crash is a signal, and a bug another exit code.
        #expect(status == 0 || status == 1, "\(what)")
        #expect(status == 0 || !done.errors.isEmpty, "\(what)")
        let (kibibytes, seconds) = (Int(words[0]) ?? .max, Double(words[1]) ?? .infinity)
        #expect(kibibytes < Self.mostBytes >> 10 && seconds < 5, "\(what): \(kibibytes) KiB, \(seconds) s")
        most = (max(most.kibibytes, kibibytes), max(most.seconds, seconds))
        guard status == 0 else {
          verdicts.refused += 1
          continue
        }
        verdicts.taken += 1
        try Self.ask(server, id, what)
      }
      let status = try String(decoding: bytes(ofFile: "/proc/\(server.processID)/status"), as: UTF8.self)
      let peak = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        .flatMap { Int($0.filter(\.isNumber)) }
      #expect(try #require(peak) < Self.mostBytes >> 10, "the server's peak in KiB")
      print(
        "mutated imports: \(verdicts.taken) taken, \(verdicts.refused) refused; at most \(most.kibibytes) KiB and "
          + "\(most.seconds) s of CPU; server \(peak ?? 0) KiB")
      #expect(verdicts.taken > 0 && verdicts.refused > 0)
      #expect(try server.stop() == 0, "log: \(server.log.suffix(2000))")
    }

    /// Everything of it that a player would ask for first, each within five seconds.
    private static func ask(_ server: ServerUnderTest, _ id: String, _ what: String) throws {
      var paths = ["master.m3u8", "master_ts.m3u8", "manifest.mpd", "source.mp4"]
      for rendition in ["source", "audio"] {
        paths += ["playlist.m3u8", "init.mp4", "segment_0000.m4s", "segment_0000.ts"].map {
          "\(rendition)/\($0)"
        }
      }
      for path in paths {
        let started = ContinuousClock.now
        let answer = try? server.request("GET", "/v/\(id)/\(path)")
        // A body whose bytes cannot be made ends its connection early, which is an answer too.
        if let answer {
          #expect([200, 404, 422, 500].contains(answer.status), "\(what): \(path) \(answer.status)")
        }
        #expect(ContinuousClock.now - started < .seconds(5), "\(what): \(path)")
        try #require(server.isRunning, "\(what): \(path)")
      }
    }

    /// Bytes changed, boxes' sizes among them, runs of ones and zeros, parts moved, and the end cut off.
    private static func mutate(_ whole: [UInt8], using random: inout SplitMix64) -> [UInt8] {
      var bytes = whole
      // Tables are where damage tells: the first and the last 16 KiB have them, whichever way the file was written.
      let edge = min(bytes.count / 2, 16 << 10)
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        let isAtEnd = Bool.random(using: &random)
        let position = (isAtEnd ? bytes.count - edge : 0) + Int.random(in: 0..<edge, using: &random)
        let end = min(bytes.count, position + Int.random(in: 1...8, using: &random))
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 2:
          let value: UInt8 = Bool.random(using: &random) ? 0xFF : 0
          for index in position..<end { bytes[index] = value }
        default:
          let from = Int.random(in: 0..<bytes.count - 8, using: &random)
          for index in position..<end { bytes[index] = whole[from + index - position] }
        }
      }
      if Int.random(in: 0..<6, using: &random) == 0 {
        bytes.removeLast(Int.random(in: 0..<bytes.count / 2, using: &random))
      }
      return bytes
    }
  }
}

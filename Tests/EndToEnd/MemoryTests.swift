import Foundation
import Support
import Testing

extension EndToEnd {
  /// Memory that is not to be had: a process may be refused or end, and what was acknowledged stays.
  @Suite struct MemoryTests {
    /// Allocations of the C libraries, one after the other. Swift's own end the process, which is what the next test is
    /// about.
    @Test func anyAllocationOfALibraryMayFail() throws {
      let server = try ServerUnderTest()
      let shim = try FaultShim(below: "")
      var random = SplitMix64(seed: 12)
      let film = try bytes(ofFile: Fixtures.path("video-only.mp4"))
      try server.start()
      server.environment = shim.environment
      var violations: [String] = []
      var events = 0
      var ends = 0
      for library in ["liblmdb", "libcrypto"] {
        for command in ["put", "import", "scrub"] {
          var number = 0
          func attempt(_ nth: Int) throws {
            number += 1
            let name = "\(library)\(command)\(number)"
            let content = anotherFilm(film, &random)
            let file = try server.folder.write("in/\(name)", content)
            let words =
              command == "put"
              ? ["put", "--site", "demo", name, file]
              : command == "import" ? ["import", "--site", "demo", "--id", name, file] : ["scrub"]
            shim.resetCounts()
            shim.arm(.fail(ENOMEM), at: [.malloc], nth: nth, library: library)
            let done = try server.headwater(words)
            shim.disarm()
            events += shim.faults
            let label = "\(words[0]), allocation \(nth) of \(library)"
            // OpenSSL 3.0 uses locks that it could not make, when memory ends while it starts: the process ends, as by
            // the kernel's own killer, and like then nothing may be lost.
            let mayEnd = library == "libcrypto" && done.status == -SIGSEGV
            if mayEnd { ends += 1 }
            if done.status < 0 && !mayEnd {
              violations.append("\(label): signal \(-done.status) \(done.errors.prefix(200))")
            }
            guard command != "scrub" else { return }
            let answer = try server.request("GET", command == "put" ? "/f/\(name)" : "/v/\(name)/source")
            let isWhole = answer.status == 200 && answer.body == content
            if done.status == 0 ? !isWhole : !isWhole && answer.status != 404 {
              violations.append("\(label): exit \(done.status), then \(answer.status)")
            }
          }
          // Allocations are counted only while some may fail.
          try attempt(Int.max)
          let count = shim.count(.malloc)
          for nth in Torture.spread(min(count, 500), over: 12) where count > 0 { try attempt(nth) }
        }
      }
      server.environment = [:]
      #expect(try server.headwater(["scrub"]).status == 0)
      print("allocations: \(events) events, \(ends) ends within OpenSSL, \(violations.count) violations")
      #expect(events > 30)
      #expect(violations.isEmpty, "\(violations.prefix(10).joined(separator: "\n"))")
      #expect(try server.stop() == 0)
    }

    /// The same in the program that reads foreign containers, which may crash and must not take anything with it.
    @Test(.enabled(if: Checkout.tool("bash") != nil, "bash is not installed"))
    func libavWithoutMemoryIsARefusal() throws {
      let folder = try TemporaryFolder("media")
      let shim = try FaultShim(below: "")
      let program = URL(filePath: Checkout.binary).deletingLastPathComponent().appending(
        path: "headwater-media"
      ).path
      let input = try Fixtures.path("h264-aac-srt.mkv")
      var ends: [String: Int] = [:]
      func run() throws -> Command {
        // Opened without being cut: what an earlier run wrote must not pass for this one's.
        for name in ["output", "report"] { try folder.write(name, [UInt8]()) }
        return try Command.run(
          "bash",
          [
            "-c", "exec \"$0\" remux --demuxer matroska 3<\"$1\" 4<>\"$2\" 5>\"$3\"", program, input,
            folder.path("output"), folder.path("report"),
          ], environment: shim.environment, timeout: .seconds(60))
      }
      for library in ["libavformat", "libavutil"] {
        shim.resetCounts()
        shim.arm(.fail(ENOMEM), at: [.malloc], nth: Int.max, library: library)
        #expect(try run().status == 0)
        let whole = try Content(ofFile: folder.path("output"))
        let count = min(shim.count(.malloc), 500)
        for nth in Torture.spread(count, over: 12) where count > 0 {
          shim.arm(.fail(ENOMEM), at: [.malloc], nth: nth, library: library)
          let done = try run()
          let text = try String(decoding: bytes(ofFile: folder.path("report")), as: UTF8.self)
          let isWhole = try Content(ofFile: folder.path("output")) == whole
          ends[
            done.status < 0
              ? "crashed" : text.contains("\"failure\"") ? "refused" : isWhole ? "whole" : "in part",
            default: 0] += 1
          // libav may lose a stream for want of memory and go on; then that stream is named as left out.
          #expect(
            done.status < 0 || isWhole || text.contains("\"failure\"") || text.contains("\"codecName\""))
        }
      }
      shim.disarm()
      print("libav without memory: ended with \(ends)")
      #expect(try run().status == 0)
    }

    /// As the kernel's killer or a limit would: an import that gets less and less memory, beside a server.
    @Test(.enabled(if: Checkout.tool("prlimit") != nil, "prlimit is not installed"))
    func aProcessWithoutMemoryLosesNothing() throws {
      var options = ServerUnderTest.Options()
      options.tables = "[store]\nindex_map_size = \"64MiB\"\n"
      let server = try ServerUnderTest(options)
      try server.start()
      var random = SplitMix64(seed: 13)
      let film = try bytes(ofFile: Fixtures.path("video-only.mp4"))
      var statuses: [Int32] = []
      for megabytes in stride(from: 1500, through: 100, by: Torture.isLong ? -10 : -100) {
        let name = "film\(megabytes)"
        let content = anotherFilm(film, &random, paddingBytes: 2_000_000)
        let file = try server.folder.write("in/\(name)", content)
        let run = try BackgroundCommand(
          "prlimit",
          [
            "--as=\(megabytes << 20)", Checkout.binary, "import", "--site", "demo", "--id", name, file,
            "--config", server.configPath,
          ])
        // Without memory for the stack of a thread Swift's own pool may wait for good; whoever watches it ends it.
        let ended = run.wait(.seconds(15))
        run.kill()
        let done = try #require(ended ?? run.wait(.seconds(10)))
        statuses.append(done.status)
        let answer = try server.request("GET", "/v/\(name)/source")
        let isWhole = answer.status == 200 && answer.body == content
        #expect(
          done.status == 0 ? isWhole : isWhole || answer.status == 404,
          "\(megabytes) MiB: \(done.status), \(answer.status)")
      }
      #expect(statuses.first == 0 && statuses.contains { $0 != 0 }, "\(statuses)")
      #expect(try server.headwater(["scrub"]).status == 0)
      #expect(try server.stop() == 0)
    }
  }
}

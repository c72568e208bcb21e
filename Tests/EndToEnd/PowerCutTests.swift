import Foundation
import Support
import Testing

extension EndToEnd {
  /// The power fails between any two changes of the disk: every state that may be left opens, what was acknowledged is
  /// whole, what was removed is gone, and nothing is visible by halves. `DiskModel` says what a cut may leave.
  @Suite struct PowerCutTests {
    private enum Answer: Equatable {
      case bytes([UInt8])
      /// 404.
      case nothing
    }

    /// A command, and what paths answer once it has succeeded.
    private struct Step {
      var words: [String]
      var effects: [String: Answer]
    }

    @Test func noCutLosesWhatWasAcknowledged() throws {
      let seed = Torture.seed
      var random = SplitMix64(seed: seed)
      let recorded = try record(&random)
      let states = Torture.rounds(140, long: 2400)

      // Cuts where much is unsynced are the telling ones, but none is left out for good.
      let cuts = recorded.changes.count
      var picks: [(at: Int, cut: DiskModel.Cut)] = []
      for _ in 0..<states {
        picks.append(
          (
            Int.random(in: 0...cuts, using: &random),
            DiskModel.Cut.allCases.randomElement(using: &random) ?? .some
          ))
      }
      picks.sort { $0.at < $1.at }

      var model = DiskModel()
      var applied = 0
      /// What each path answered last, and what a step under way may have made of it.
      var settled: [String: Answer] = [:]
      var underWay: [String: Answer] = [:]
      var violations: [String] = []
      let server = try ServerUnderTest()
      let storage = server.folder.path("storage")
      for pick in picks {
        while applied < pick.at {
          let change = recorded.changes[applied]
          applied += 1
          if case .mark(let label) = change {
            let step = recorded.steps[Int(label.drop { !$0.isNumber }) ?? 0]
            if label.hasPrefix("begin") {
              underWay = step.effects
            } else {
              settled.merge(step.effects) { $1 }
              underWay = [:]
            }
          }
          model.apply(change)
        }
        try? FileManager.default.removeItem(atPath: storage)
        try FileManager.default.createDirectory(atPath: storage, withIntermediateDirectories: false)
        try model.write(pick.cut, to: storage, using: &random)
        let label = "cut at \(pick.at) of \(cuts), \(pick.cut)"
        do {
          violations += try judge(server, settled, underWay, recorded.paths).map { "\(label): \($0)" }
        } catch {
          violations.append("\(label): \(error)")
        }
      }
      print(
        "power cut: \(picks.count) states of \(cuts) changes, \(violations.count) violations, seed \(seed)")
      #expect(violations.isEmpty, "seed \(seed):\n\(violations.prefix(10).joined(separator: "\n"))")
    }

    private struct Recorded {
      var steps: [Step]
      var changes: [DiskTrace.Change]
      var paths: Set<String> { Set(steps.flatMap(\.effects.keys)) }
    }

    /// Runs a history with the real program and writes down what it does to the disk.
    private func record(_ random: inout SplitMix64) throws -> Recorded {
      let server = try ServerUnderTest()
      let storage = server.folder.path("storage")
      let shim = try FaultShim(below: storage, isTracing: true)
      server.environment = shim.environment
      let film = try bytes(ofFile: Fixtures.path("video-only.mp4"))
      let first = random.bytes(40_000)
      let second = random.bytes(5000)
      let one = anotherFilm(film, &random)
      let two = anotherFilm(film, &random, paddingBytes: 50_000)
      func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        try server.folder.write("in/\(name)", bytes)
      }
      let (firstFile, secondFile) = (try file("first", first), try file("second", second))
      let (oneFile, twoFile) = (try file("one.mp4", one), try file("two.mp4", two))
      let steps = [
        Step(words: ["put", "--site", "demo", "a.bin", firstFile], effects: ["/f/a.bin": .bytes(first)]),
        Step(
          words: ["import", "--site", "demo", "--id", "film", oneFile],
          effects: ["/v/film/source": .bytes(one)]),
        Step(words: ["put", "--site", "demo", "a.bin", secondFile], effects: ["/f/a.bin": .bytes(second)]),
        Step(words: ["put", "--site", "demo", "b.bin", firstFile], effects: ["/f/b.bin": .bytes(first)]),
        Step(
          words: ["import", "--site", "demo", "--id", "film", twoFile],
          effects: ["/v/film/source": .bytes(two)]),
        Step(
          words: ["import", "--site", "demo", "--id", "clip", oneFile],
          effects: ["/v/clip/source": .bytes(one)]),
        Step(words: ["assets", "remove", "--site", "demo", "clip"], effects: ["/v/clip/source": .nothing]),
        Step(words: ["gc"], effects: [:]),
        Step(
          words: ["import", "--site", "demo", "--id", "clip", oneFile],
          effects: ["/v/clip/source": .bytes(one)]),
        Step(words: ["scrub", "--repair"], effects: [:]),
      ]
      for (number, step) in steps.enumerated() {
        // Three days on, the collector finds what was replaced.
        if step.words == ["gc"] { shim.clockOffsetSeconds = 3 * 86_400 }
        try DiskTrace.mark("begin \(number)", in: shim.tracePath)
        let done = try server.headwater(step.words)
        try #require(done.status == 0, "\(step.words): \(done.errors)")
        try DiskTrace.mark("end \(number)", in: shim.tracePath)
      }
      let changes = try DiskTrace(contentsOf: shim.tracePath, below: storage).changes
      // Were the shim blind to a kind of call, the states would be kinder than the disk.
      for kind in ["created", "data", "synced", "linked", "renamed", "unlinked", "madeFolder"] {
        try #require(changes.contains { "\($0)".hasPrefix(kind) }, "the trace has no \(kind)")
      }
      return Recorded(steps: steps, changes: changes)
    }

    /// Boots the program on what the cut has left.
    private func judge(
      _ server: ServerUnderTest, _ settled: [String: Answer], _ underWay: [String: Answer],
      _ paths: Set<String>
    ) throws -> [String] {
      var wrong: [String] = []
      try server.start()
      for path in paths {
        let answer = try server.request("GET", path)
        let allowed = [settled[path] ?? .nothing] + [underWay[path]].compactMap(\.self)
        let found = answer.status == 404 ? .nothing : Answer.bytes(answer.body)
        if answer.status != 200 && answer.status != 404 || !allowed.contains(found) {
          wrong.append("\(path) answers \(answer.status) with \(answer.body.count) bytes")
        }
        if path.hasPrefix("/v/"), answer.status == 200 {
          let playlist = try server.request("GET", path + "/playlist.m3u8")
          if playlist.status != 200 { wrong.append("the playlist of \(path) answers \(playlist.status)") }
        }
      }
      let scrub = try server.headwater(["scrub"])
      if scrub.status != 0 { wrong.append("scrub: \(scrub.text)\(scrub.errors)") }
      let status = try server.stop()
      if status != 0 { wrong.append("the server ended with \(status)") }
      let incoming = try FileManager.default.contentsOfDirectory(
        atPath: server.folder.path("storage/incoming"))
      if !incoming.isEmpty { wrong.append("left in incoming/: \(incoming)") }
      return wrong
    }
  }
}

import Foundation
import Support
import Testing

/// A film with a `free` box of random bytes behind it: another blob each time, and as good a film.
func anotherFilm(_ film: [UInt8], _ random: inout SplitMix64, paddingBytes: Int = 1000) -> [UInt8] {
  let padding = random.bytes(paddingBytes)
  let size = UInt32(padding.count + 8)
  return film + withUnsafeBytes(of: size.bigEndian) { Array($0) } + Array("free".utf8) + padding
}

extension EndToEnd {
  /// Calls to the disk that fail, one at a time, by a library under the program (`Tests/Faults/fault_shim.c`):
  /// nothing crashes, no wrong byte is served, what was acknowledged is whole, and afterwards all works again.
  @Suite struct FaultTests {
    /// What a fault may come to, and where it comes.
    private static let failures: [(FaultShim.Call, FaultShim.Fault)] =
      FaultShim.Call.files.map { ($0, .fail(EIO)) } + [
        (.open, .fail(EMFILE)), (.write, .fail(ENOSPC)), (.pwrite, .fail(ENOSPC)), (.mkdir, .fail(ENOSPC)),
        (.link, .fail(ENOSPC)), (.write, .short), (.pwrite, .short), (.read, .short), (.pread, .short),
        (.read, .fail(EINTR)), (.write, .fail(EINTR)), (.mmap, .fail(ENOMEM)),
      ]

    /// Commands beside a server that sees no faults itself and judges what they leave.
    @Test func everyCallOfACommandMayFail() throws {
      let seed = Torture.seed
      var random = SplitMix64(seed: seed)
      let server = try ServerUnderTest()
      let shim = try FaultShim(below: server.folder.path("storage"))
      let film = try bytes(ofFile: Fixtures.path("video-only.mp4"))
      try server.start()
      try server.putFile("kept.bin", server.folder.write("kept.bin", random.bytes(20_000)))
      server.environment = shim.environment

      var violations: [String] = []
      var events = 0
      var number = 0
      /// Makes a command, runs it, and checks what it left.
      func attempt(_ command: String, _ arm: () -> Void, mustRefuse: Bool, _ label: String) throws {
        number += 1
        let name = "\(command)\(number)"
        var words = [command]
        var path: String?
        var content: [UInt8] = []
        switch command {
        case "put":
          content = random.bytes(3000)
          path = "/f/\(name)"
          words += ["--site", "demo", name, try server.folder.write("in/\(name)", content)]
        case "import":
          content = anotherFilm(film, &random)
          path = "/v/\(name)/source"
          words += ["--site", "demo", "--id", name, try server.folder.write("in/\(name)", content)]
        default: break
        }
        shim.resetCounts()
        arm()
        let done = try server.headwater(words)
        shim.disarm()
        let faults = shim.faults
        events += faults
        let place = "\(label) \(command), \(shim.lastPath.suffix(60))"
        if done.status < 0 || (done.status != 0 && done.errors.isEmpty) {
          violations.append("\(place): ended with \(done.status) \(done.errors.prefix(300))")
        }
        if mustRefuse && faults > 0 && done.status == 0 { violations.append("\(place): success") }
        if let path {
          let answer = try server.request("GET", path)
          let isWhole = answer.status == 200 && answer.body == content
          if done.status == 0 ? !isWhole : !(isWhole || answer.status == 404) {
            violations.append(
              "\(place): exit \(done.status), then \(answer.status), \(answer.body.count) bytes")
          }
          if done.status != 0 {
            let again = try server.headwater(words)
            let second = try server.request("GET", path)
            if again.status != 0 || second.body != content {
              violations.append("\(place): not to be repeated: \(again.errors.prefix(300))")
            }
          }
        }
      }

      for command in ["put", "import", "scrub", "gc"] {
        try attempt(command, {}, mustRefuse: false, "no fault")
        let counts = Dictionary(uniqueKeysWithValues: FaultShim.Call.files.map { ($0, shim.count($0)) })
        for (call, fault) in Self.failures {
          guard let count = counts[call], count > 0 else { continue }
          // A sync that failed proves nothing when it succeeds later, so the command must say no.
          let isSync = call == .fsync || call == .fdatasync
          for nth in Torture.spread(count, over: command == "import" ? 4 : 2) {
            try attempt(
              command, { shim.arm(fault, at: [call], nth: nth) }, mustRefuse: isSync,
              "\(call) \(nth) \(fault)")
          }
        }
        // A disk that dies: everything fails from some call on.
        let writing: [FaultShim.Call] = [.write, .pwrite, .fsync, .fdatasync, .link, .rename, .mkdir]
        let all = writing.reduce(0) { $0 + (counts[$1] ?? 0) }
        for nth in Torture.spread(all, over: 4) where all > 0 {
          try attempt(
            command, { shim.arm(.fail(EIO), at: writing, nth: nth, isSticky: true) }, mustRefuse: false,
            "dead disk from \(nth)")
        }
      }
      for round in 0..<Torture.rounds(6, long: 200) {
        try attempt(
          round % 2 == 0 ? "put" : "import",
          { shim.arm(.fail(EIO), at: FaultShim.Call.files, perMille: 10, seed: seed &+ UInt64(round)) },
          mustRefuse: false, "1 % of all calls, round \(round)")
      }
      shim.arm(
        .delay(milliseconds: Torture.isLong ? 200 : 20), at: FaultShim.Call.files, nth: 1, isSticky: true)
      try attempt("import", {}, mustRefuse: false, "slow disk")

      server.environment = [:]
      let scrub = try server.headwater(["scrub"])
      #expect(scrub.status == 0, "\(scrub.text) \(scrub.errors)")
      print("faults of commands: \(events) events, \(violations.count) violations, seed \(seed)")
      #expect(events > 50)
      #expect(violations.isEmpty, "seed \(seed):\n\(violations.prefix(12).joined(separator: "\n"))")
      #expect(try server.stop() == 0)
    }

    /// A server whose own calls fail: an answer is right and whole, or says so, or is visibly cut off.
    @Test func everyCallOfAServerMayFail() throws {
      let seed = Torture.seed
      var random = SplitMix64(seed: seed)
      let server = try ServerUnderTest()
      let shim = try FaultShim(below: server.folder.path("storage"))
      var contents: [String: [UInt8]] = [:]
      // Each file is asked for once or twice only, so that answers are made and not remembered.
      let rounds = Torture.rounds(8, long: 60)
      let kinds: [(FaultShim.Call, FaultShim.Fault)] = [
        (.open, .fail(EIO)), (.open, .fail(EMFILE)), (.pread, .fail(EIO)), (.pread, .short),
        (.mmap, .fail(ENOMEM)), (.sendfile, .fail(EIO)), (.sendfile, .short), (.stat, .fail(EIO)),
      ]
      for index in 0..<(rounds * kinds.count) {
        for (kind, size) in [("small", 3000), ("large", 90_000)] {
          let bytes = random.bytes(size + index)
          contents["\(kind)\(index)"] = bytes
          try server.folder.write("in/\(kind)\(index)", bytes)
        }
      }
      #expect(
        try server.headwater(["put", "--site", "demo", "--recursive", "", server.folder.path("in")]).status
          == 0)
      try server.importAsset("film", Fixtures.path("h264-aac-2997.mp4"))
      server.environment = shim.environment
      try server.start()
      server.environment = [:]

      var violations: [String] = []
      var events = 0
      func ask(_ path: String, _ content: [UInt8]?, _ label: String) throws {
        guard server.isRunning else { return violations.append("\(label): the server has ended") }
        let answer: RawResponse
        do { answer = try server.request("GET", path) } catch {
          // Cut off where the client can see it: fewer bytes than the length promised, or no head at all.
          return
        }
        if answer.status == 200 {
          if let content, answer.body != content { violations.append("\(label): wrong bytes of \(path)") }
        } else if answer.status < 500 {
          violations.append("\(label): \(answer.status) for \(path)")
        }
      }
      var hits: [String: Int] = [:]
      var index = 0
      for (call, fault) in kinds {
        for nth in 1...rounds {
          let name = ["small", "large"][nth % 2] + "\(index)"
          index += 1
          var (path, content) = ("/f/\(name)", contents[name])
          if call == .mmap || nth % 4 == 3 {
            // A commit makes the server forget the segment it has made before.
            try server.putFile("commit", server.folder.write("commit", random.bytes(10)))
            (path, content) = ("/v/film/source/segment_000\(nth % 3).m4s", nil)
          }
          shim.resetCounts()
          shim.arm(fault, at: [call], nth: nth % 4 == 0 ? 2 : 1)
          try ask(path, content, "\(call) \(fault)")
          shim.disarm()
          events += shim.faults
          hits["\(call)", default: 0] += shim.faults
          let after = try server.request("GET", path)
          if after.status != 200 || content.map({ $0 != after.body }) == true {
            violations.append("\(call) \(fault): \(path) is \(after.status) after the fault")
          }
        }
      }
      // The whole film in turns of 2 MiB, with the disk failing in its midst.
      try server.putFile("long.bin", server.folder.write("long.bin", random.bytes(6_000_000)))
      let long = try bytes(ofFile: server.folder.path("long.bin"))
      shim.arm(.fail(EIO), at: [.sendfile], nth: 2, isSticky: true)
      let connection = try server.connect()
      try connection.send("GET /f/long.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
      let cut = try connection.receiveToEnd()
      shim.disarm()
      #expect(cut.count < long.count && cut.count > 1000, "\(cut.count) bytes: cut off, visibly")
      #expect(try server.request("GET", "/f/long.bin").body == long)

      shim.arm(.fail(EIO), at: FaultShim.Call.files, perMille: 10, seed: seed)
      let names = contents.keys.sorted()
      for _ in 0..<Torture.rounds(150, long: 3000) {
        let name = names[Int.random(in: 0..<names.count, using: &random)]
        try ask("/f/\(name)", contents[name], "1 %")
      }
      shim.disarm()
      events += shim.faults
      for name in names.prefix(20) {
        #expect(try server.request("GET", "/f/\(name)").body == contents[name])
      }
      print("faults of a server: \(events) events \(hits), \(violations.count) violations, seed \(seed)")
      #expect(events > 20)
      #expect(violations.isEmpty, "seed \(seed):\n\(violations.prefix(12).joined(separator: "\n"))")
      #expect(try server.stop() == 0)
    }
  }
}

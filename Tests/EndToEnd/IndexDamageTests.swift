import Foundation
import Support
import Testing

extension EndToEnd {
  /// An index that something has spoilt: a start refuses with a sentence or serves what is right, and `index restore`
  /// brings back all that was there at the last snapshot, and of what came later all that the damage did not hit.
  @Suite struct IndexDamageTests {
    private static let page = 4096

    /// A server with a film and files published before and after a snapshot of its index.
    private struct Library {
      let server: ServerUnderTest
      var before: [String: [UInt8]] = [:]
      var after: [String: [UInt8]] = [:]
      var index: String { server.folder.path("storage/index/data.mdb") }

      init(_ random: inout SplitMix64, files: Int) throws {
        server = try ServerUnderTest()
        for (number, isLate) in [(0, false), (1, true)] {
          for index in 0..<files {
            let bytes = random.bytes(Int.random(in: 1...300, using: &random))
            let name = "\(number)/\(index)-\(String(repeating: "n", count: index % 90))"
            try server.folder.write("in\(number)/\(name)", bytes)
            if isLate { after["/f/\(name)"] = bytes } else { before["/f/\(name)"] = bytes }
          }
          let put = try server.headwater(
            ["put", "--site", "demo", "--recursive", "", server.folder.path("in\(number)")],
            timeout: .seconds(120))
          guard put.status == 0 else { throw SupportError(put.errors) }
          if !isLate {
            try server.importAsset("film", Fixtures.path("video-only.mp4"))
            let made = try server.headwater(["index", "snapshot"])
            guard made.status == 0, made.lines.count == 1 else { throw SupportError(made.errors) }
          }
        }
      }

      /// What is asked for answers right, or not at all; returns how many of the paths did.
      func served(_ contents: [String: [UInt8]]) throws -> (right: Int, wrong: [String]) {
        let connection = try server.connect()
        var right = 0
        var wrong: [String] = []
        for (path, content) in contents {
          try connection.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
          let answer = try connection.response()
          if answer.status == 200 && answer.body == content {
            right += 1
          } else {
            wrong.append("\(path): \(answer.status)")
          }
        }
        return (right, wrong)
      }
    }

    @Test func aPageOverwrittenAtRandomIsNoticedAndMended() throws {
      let seed = Torture.seed
      var random = SplitMix64(seed: seed)
      let library = try Library(&random, files: Torture.rounds(100, long: 400))
      let server = library.server
      let whole = try bytes(ofFile: library.index)
      var (refusals, unnoticed, lost) = (0, 0, 0)
      for round in 0..<Torture.rounds(9, long: 60) {
        var spoilt = whole
        // One to three places, on page boundaries or not; the first rounds hit the two pages that all hangs on.
        for _ in 0..<(1 + round % 3) {
          let offset =
            round < 2
            ? round * Self.page
            : round % 2 == 0
              ? Int.random(in: 0..<(whole.count / Self.page), using: &random) * Self.page
              : Int.random(in: 0...(whole.count - Self.page), using: &random)
          spoilt.replaceSubrange(offset..<(offset + Self.page), with: random.bytes(Self.page))
        }
        try Data(spoilt).write(to: URL(filePath: library.index))
        let check = try server.headwater(["index", "check"])
        let label = "round \(round), seed \(seed)"
        if check.status == 0 {
          // Pages that nothing uses may hold anything. What hits only records and not their page is for scrub to see.
          unnoticed += 1
          try server.start()
          let wrong = try library.served(library.before.merging(library.after) { $1 }).wrong
          #expect(try server.stop() == 0)
          if wrong.isEmpty { continue }
          #expect(try server.headwater(["scrub"]).status == 1, "\(label): \(wrong.prefix(3))")
        } else {
          refusals += 1
          #expect(
            check.status == 1 && check.errors.contains("headwater index restore"),
            "\(label): \(check.status) \(check.errors)")
          let serve = try server.headwater(["serve"])
          #expect(
            serve.status == 1 && serve.errors.contains("damaged"), "\(label): \(serve.status) \(serve.errors)"
          )
        }

        let restore = try server.headwater(["index", "restore", "--json"])
        #expect(restore.status == 0, "\(label): \(restore.errors)")
        guard restore.status == 0 else { continue }
        let scrub = try server.headwater(["scrub", "--repair"])
        #expect(scrub.status >= 0, "\(label): \(scrub.errors)")
        #expect(try server.headwater(["scrub"]).status == 0, "\(label): \(scrub.text)")
        try server.start()
        let old = try library.served(library.before)
        #expect(old.wrong.isEmpty, "\(label), older than the snapshot: \(old.wrong.prefix(3))")
        #expect(try server.request("GET", "/v/film/source/playlist.m3u8").status == 200)
        let new = try library.served(library.after)
        lost += new.wrong.count
        #expect(new.wrong.allSatisfy { $0.hasSuffix(": 404") }, "\(label): \(new.wrong.prefix(3))")
        #expect(try server.stop() == 0)
      }
      print(
        "index damage: \(refusals) refusals, \(unnoticed) in unused pages, \(lost) records newer than the snapshot lost, seed \(seed)"
      )
      #expect(refusals > 3)
    }

    @Test func restoreRefusesWhereItMustAndGoesBackWhenAsked() throws {
      var random = SplitMix64(seed: 17)
      let library = try Library(&random, files: 20)
      let server = library.server
      #expect(try server.headwater(["index", "restore"]).status == 1, "nothing is wrong with it")
      try server.start()
      let running = try server.headwater(["index", "restore", "--discard"])
      #expect(running.status == 1 && running.errors.contains("stop all of them"), "\(running.errors)")
      #expect(try server.stop() == 0)
      #expect(try server.headwater(["index", "restore", "--snapshot", "none"]).status == 1)

      let back = try server.headwater(["index", "restore", "--discard"])
      #expect(back.status == 0, "\(back.errors)")
      // Blobs of what is no longer named stay until they are collected.
      #expect(try server.headwater(["scrub", "--repair"]).status == 0)
      try server.start()
      #expect(try library.served(library.before).wrong.isEmpty)
      #expect(try library.served(library.after).right == 0)
      #expect(try server.headwater(["index", "snapshots"]).lines.count == 1)
      // It takes new things like any other.
      try server.putFile("again", server.folder.write("again", random.bytes(100)))
      #expect(try server.stop() == 0)
    }

    @Test func aLostLockFileAndAnIndexCutOffAreTold() throws {
      var random = SplitMix64(seed: 18)
      let library = try Library(&random, files: 20)
      let server = library.server
      try FileManager.default.removeItem(atPath: server.folder.path("storage/index/lock.mdb"))
      try server.start()
      #expect(try library.served(library.before).wrong.isEmpty)
      #expect(try server.stop() == 0)

      let whole = try bytes(ofFile: library.index)
      for length in [whole.count - 1, whole.count / 2, 3 * Self.page, 2 * Self.page + 100] {
        try Data(whole.prefix(length)).write(to: URL(filePath: library.index))
        let check = try server.headwater(["index", "check"])
        #expect(
          check.status == 1 && check.errors.contains("index restore"),
          "\(length): \(check.status) \(check.errors)")
      }
      #expect(try server.headwater(["index", "restore"]).status == 0)
      try server.start()
      #expect(try library.served(library.before).wrong.isEmpty)
      #expect(try server.stop() == 0)
    }
  }
}

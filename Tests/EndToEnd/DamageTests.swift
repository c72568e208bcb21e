import Foundation
import Support
import Testing

extension EndToEnd {
  /// Stored bytes that change by themselves: all of it is found and nothing else, nothing damaged is served as whole for
  /// longer than it takes to find it, and what is cut short is never an answer that looks complete.
  @Suite struct DamageTests {
    private enum Harm: CaseIterable { case bit, cut, extended, zeros, swapped, deleted }

    @Test func scrubFindsAllDamageAndNothingElse() throws {
      let seed = Torture.seed
      var random = SplitMix64(seed: seed)
      let server = try ServerUnderTest()
      let count = Torture.rounds(240, long: 2000)
      var contents: [String: [UInt8]] = [:]
      for index in 0..<count {
        let bytes = random.bytes(Int.random(in: 1...9000, using: &random))
        contents["f\(index)"] = bytes
        try server.folder.write("in/f\(index)", bytes)
      }
      let put = try server.headwater(
        ["put", "--site", "demo", "--recursive", "", server.folder.path("in"), "--json"],
        timeout: .seconds(300))
      #expect(put.status == 0, "\(put.errors)")
      try server.start()
      var blobs: [(name: String, blob: String)] = []
      for line in put.lines {
        let row = try #require(
          try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: any Sendable])
        blobs.append((row["path"] as? String ?? "", row["blob"] as? String ?? ""))
      }
      try #require(blobs.count == count)

      func path(_ blob: String) -> String {
        server.folder.path("storage/blobs/\(blob.prefix(2))/\(blob.dropFirst(2).prefix(2))/\(blob)")
      }
      var harmed: Set<String> = []
      var names: [String] = []
      blobs.shuffle(using: &random)
      for (index, entry) in blobs.prefix(count / 10).enumerated() {
        let file = path(entry.blob)
        var bytes = try bytes(ofFile: file)
        switch Harm.allCases[index % Harm.allCases.count] {
        case .bit:
          bytes[Int.random(in: 0..<bytes.count, using: &random)] ^=
            1 << UInt8.random(in: 0..<8, using: &random)
        case .cut: bytes.removeLast()
        case .extended: bytes.append(0)
        case .zeros: bytes = [UInt8](repeating: 0, count: bytes.count)
        case .swapped:
          let other = blobs[count - 1 - index]
          let theirs = try Support.bytes(ofFile: path(other.blob))
          try write(bytes, to: path(other.blob))
          bytes = theirs
          harmed.insert(other.blob)
          names.append(other.name)
        case .deleted:
          try FileManager.default.removeItem(atPath: file)
          harmed.insert(entry.blob)
          names.append(entry.name)
          continue
        }
        try write(bytes, to: file)
        harmed.insert(entry.blob)
        names.append(entry.name)
      }
      let found = try server.headwater(["scrub", "--json"], timeout: .seconds(300))
      #expect(found.status == 1)
      let report = try #require(
        try JSONSerialization.jsonObject(with: Data(found.output)) as? [String: any Sendable])
      let damaged = Set((report["damaged"] as? [String: String] ?? [:]).keys)
      #expect(
        damaged == harmed,
        "missed \(harmed.subtracting(damaged)), invented \(damaged.subtracting(harmed)), seed \(seed)")
      #expect(try server.headwater(["scrub", "--repair"], timeout: .seconds(300)).status == 1)

      for (name, content) in contents {
        let answer = try server.request("GET", "/f/\(name)")
        let isHarmed = names.contains(name)
        #expect(answer.status == (isHarmed ? 500 : 200), "\(name): \(answer.status), seed \(seed)")
        if !isHarmed { #expect(answer.body == content) }
        #expect(!answer.text.contains(server.folder.url.path))
      }
      let kept = try FileManager.default.contentsOfDirectory(atPath: server.folder.path("storage/quarantine"))
      #expect(kept.count == harmed.count - (0..<(count / 10)).count { $0 % Harm.allCases.count == 5 })
      // The same bytes again make everything whole.
      let again = try server.headwater(
        ["put", "--site", "demo", "--recursive", "", server.folder.path("in")], timeout: .seconds(300))
      #expect(again.status == 0)
      for name in names { #expect(try server.request("GET", "/f/\(name)").body == contents[name]) }
      #expect(try server.headwater(["scrub"], timeout: .seconds(300)).status == 0)
      print(
        "damage: \(harmed.count) of \(count) blobs, \(harmed.symmetricDifference(damaged).count) violations, seed \(seed)"
      )
      #expect(try server.stop() == 0)
    }

    /// Before scrub has come round: what the server can see without reading all bytes it does not serve.
    @Test func aShortenedBlobIsNeverAWholeAnswer() throws {
      let server = try ServerUnderTest()
      try server.start()
      var random = SplitMix64(seed: 11)
      let content = random.bytes(3_000_000)
      for isOpenAlready in [false, true] {
        let name = "cut\(isOpenAlready)"
        let padded = content + Array(name.utf8)
        let put = try server.headwater(["put", "--site", "demo", name, server.folder.write(name, padded)])
        #expect(put.status == 0)
        let blob = try #require(put.text.firstMatch(of: /[0-9a-f]{64}/)).0
        let file = server.folder.path(
          "storage/blobs/\(blob.prefix(2))/\(blob.dropFirst(2).prefix(2))/\(blob)")
        if isOpenAlready { #expect(try server.request("GET", "/f/\(name)").body == padded) }
        #expect(truncate(file, 1_000_000) == 0)
        for field in [nil, "bytes=2000000-2500000", "bytes=999990-1000010", "bytes=0-0,2000000-2000001"] {
          let connection = try server.connect()
          let range = field.map { "Range: \($0)\r\n" } ?? ""
          try connection.send(
            "GET /f/\(name) HTTP/1.1\r\nHost: localhost\r\n\(range)Connection: close\r\n\r\n")
          let bytes = try connection.receiveToEnd()
          if let answer = try? RawResponse.parse(bytes) {
            #expect(
              answer.status == 500, "\(name) \(field ?? "whole"): a complete answer of \(answer.status)")
          }
        }
        // Storing it again replaces the short one.
        #expect(try server.headwater(["put", "--site", "demo", name, server.folder.path(name)]).status == 0)
        let again = try server.request("GET", "/f/\(name)")
        #expect(again.body == padded, "\(name): \(again.status)")
      }
      #expect(try server.headwater(["scrub"]).status == 0)
      #expect(try server.stop() == 0)
    }

    /// With `verify_reads` no answer is ever complete with bytes that are not the blob's, whichever way it leaves.
    @Test func bytesThatHaveChangedAreNeverSentAsAWhole() throws {
      var options = ServerUnderTest.Options()
      options.tables = "[store]\nverify_reads = true"
      let server = try ServerUnderTest(options)
      try server.start()
      let seed = Torture.seed
      var random = SplitMix64(seed: seed)
      let film = try server.headwater(
        ["import", "--site", "demo", "--id", "film", try Fixtures.path("h264-aac-faststart.mp4")])
      #expect(film.status == 0, "\(film.errors)")
      let segment = try server.request("GET", "/v/film/source/segment_0001.m4s").body
      var answers = 0
      // Small ones leave with their head, larger ones by sendfile; the longest is more than is checked at a time.
      for (size, isWarm) in [
        (700, false), (700, true), (90_000, false), (90_000, true), (3_500_000, false), (3_500_000, true),
      ] {
        for client in [["--http1.1"], ["--http2-prior-knowledge"], ["--http1.1", "-r", "\(size / 2)-"]] {
          let name = "f\(answers)"
          answers += 1
          let content = random.bytes(size)
          let put = try server.headwater(["put", "--site", "demo", name, server.folder.write("in", content)])
          #expect(put.status == 0, "\(put.errors)")
          let blob = try #require(put.text.firstMatch(of: /[0-9a-f]{64}/)).0
          let file = server.folder.path(
            "storage/blobs/\(blob.prefix(2))/\(blob.dropFirst(2).prefix(2))/\(blob)")
          let whole = client.contains("-r") ? Array(content[(size / 2)...]) : content
          func get() throws -> Command {
            try Command.run("curl", ["-sS", "-f", "--max-time", "30"] + client + [server.url("/f/\(name)")])
          }
          if isWarm { #expect(try Array(get().output) == whole) }
          var bytes = content
          bytes[Int.random(in: (size * 3 / 4)..<size, using: &random)] ^= 1
          try write(bytes, to: file)
          if isWarm {
            // As if the page had gone from memory and come back from the disk.
            #expect(try Command.run("sync", [file]).status == 0)
            #expect(try Command.run("dd", ["if=\(file)", "iflag=nocache", "count=0"]).status == 0)
          }
          let answer = try get()
          #expect(answer.status != 0, "\(size) \(isWarm) \(client): a complete answer, seed \(seed)")
          // The next one knows; and what was given out is not what is stored any more.
          #expect(try server.request("GET", "/f/\(name)").status == 500)
          #expect(
            try server.headwater(["put", "--site", "demo", name, server.folder.path("in")]).status == 0)
          #expect(try Array(get().output) == whole)
        }
      }
      let metrics = try server.request("GET", "/metrics", admin: true).text
      #expect(metrics.contains("headwater_blobs_found_damaged_total \(answers)\n"), "\(metrics)")
      #expect(try server.request("GET", "/v/film/source/segment_0001.m4s").body == segment)
      #expect(try server.headwater(["scrub"]).status == 0)
      print("verified reads: \(answers) damaged blobs, seed \(seed)")
      #expect(try server.stop() == 0)
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
      // Blobs are read-only; damage does not ask.
      chmod(path, 0o644)
      try Data(bytes).write(to: URL(filePath: path))
    }
  }
}

import Foundation
import Support
import Testing

/// A filesystem in memory, unmounted with the last reference; `nil` where this process may not mount.
private final class SmallDisk: Sendable {
  let path: String

  init?(_ path: String, megabytes: Int) throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    guard getuid() == 0,
      try Command.run("mount", ["-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", path]).status == 0
    else {
      print("This process may not mount a small filesystem: the checks of a full disk are skipped.")
      return nil
    }
    self.path = path
  }

  deinit { _ = try? Command.run("umount", ["--lazy", path]) }
}

extension EndToEnd {
  /// A disk without room beside a server: the client is told, reading goes on, removing works, and when there is room
  /// again so does everything, without a restart.
  @Suite struct FullDiskServingTests {
    @Test func aFullDiskIsSurvived() throws {
      let server = try ServerUnderTest()
      guard let disk = try SmallDisk(server.folder.path("storage"), megabytes: 64) else { return }
      let shim = try FaultShim(below: disk.path)
      var random = SplitMix64(seed: 10)
      try server.start()
      let film = try bytes(ofFile: Fixtures.path("video-only.mp4"))
      var kept: [String: [UInt8]] = [:]
      func publish(_ name: String, _ megabytes: Int) throws -> Command {
        let content = anotherFilm(film, &random, paddingBytes: megabytes << 20)
        let done = try server.headwater(
          ["import", "--site", "demo", "--id", name, server.folder.write("in/\(name)", content)])
        if done.status == 0 { kept[name] = content }
        return done
      }
      func allAreWhole() throws {
        for (name, content) in kept {
          let answer = try server.request("GET", "/v/\(name)/source")
          #expect(answer.status == 200 && answer.body == content, "\(name): \(answer.status)")
        }
      }
      // Ever smaller films, until not one more fits.
      var refusals = 0
      for megabytes in [20, 20, 20, 8, 4, 2, 1, 0, 0, 0] {
        let done = try publish("film\(kept.count)x\(megabytes)", megabytes)
        if done.status != 0 {
          refusals += 1
          #expect(done.status == 1 && done.errors.contains("no space is left"), "\(done.errors)")
        }
      }
      #expect(refusals > 0 && kept.count > 2)
      try allAreWhole()
      #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path + "/incoming").isEmpty)

      // Not a block left: removing and collecting work from what is kept in reserve.
      _ = try Command.run("sh", ["-c", "cat /dev/zero > \(disk.path)/ballast"])
      try allAreWhole()
      let removed = try #require(kept.keys.max { kept[$0]?.count ?? 0 < kept[$1]?.count ?? 0 })
      let done = try server.headwater(["assets", "remove", "--site", "demo", removed])
      #expect(done.status == 0, "\(done.errors)")
      kept[removed] = nil
      #expect(try server.request("GET", "/v/\(removed)/source").status == 404)
      shim.clockOffsetSeconds = 3 * 86_400
      server.environment = shim.environment
      let collected = try server.headwater(["gc"])
      server.environment = [:]
      #expect(collected.status == 0, "\(collected.errors)")
      #expect(try publish("again", 4).status == 0, "there is room again")
      try allAreWhole()
      try FileManager.default.removeItem(atPath: disk.path + "/ballast")
      #expect(try server.headwater(["scrub"]).status == 0)
      #expect(try server.stop() == 0)
    }

    @Test func anIndexWithoutRoomIsSurvived() throws {
      let server = try ServerUnderTest()
      guard let disk = try SmallDisk(server.folder.path("storage/index"), megabytes: 1) else { return }
      try server.start()
      try server.importAsset("film", Fixtures.path("video-only.mp4"))
      // Long names fill an index sooner than many files.
      let folders = Array(repeating: String(repeating: "x", count: 220), count: 4).joined(separator: "/")
      for index in 0..<420 { try server.folder.write("in/\(index)", text: "file \(index)") }
      let done = try server.headwater(
        ["put", "--site", "demo", "--recursive", folders, server.folder.path("in"), "--json"],
        timeout: .seconds(120))
      #expect(done.status == 1 && done.errors.contains("no space is left"), "\(done.errors.suffix(300))")
      // Each line is an acknowledgement.
      let acknowledged = done.lines.count
      #expect(acknowledged > 50 && acknowledged < 420, "\(acknowledged)")
      let client = try server.connect()
      for line in done.lines {
        let name = try #require(line.firstMatch(of: /x\\?\/([0-9]+)"/)).1
        try client.send("GET /f/\(folders)/\(name) HTTP/1.1\r\nHost: localhost\r\n\r\n")
        let answer = try client.response()
        #expect(answer.status == 200 && answer.text == "file \(name)")
      }
      #expect(try server.request("GET", "/v/film/source").status == 200)
      #expect(try server.headwater(["assets", "remove", "--site", "demo", "film"]).status == 0)
      #expect(try server.request("GET", "/v/film/source").status == 404)
      #expect(try Command.run("mount", ["-o", "remount,size=16m", disk.path]).status == 0)
      try server.importAsset("film", Fixtures.path("video-only.mp4"))
      #expect(try server.request("GET", "/v/film/source").status == 200)
      #expect(try server.headwater(["scrub"]).status == 0)
      #expect(try server.stop() == 0)
    }
  }
}

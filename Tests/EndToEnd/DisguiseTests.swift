import Foundation
import Support
import Testing

extension EndToEnd {
  /// Playlists and scripts with the names of media, taken in with everything on that would decode them.
  @Suite(
    .served(
      {
        var options = TranscodeLadder.options(workers: "2")
        options.sites["demo"]? += "\n[plugins.thumbnails]\n"
        return options
      }(), { _ in })) struct DisguiseTests
  {
    @Test func theyAreRefusedOrKeptAsBytesAndOpenNothing() async throws {
      let server = try Served.server
      let folder = try TemporaryFolder("disguise")
      let canary = try Canary()
      // Whoever opened it would wait for ever.
      let pipe = folder.path("secret.ts")
      #expect(try Command.run("mkfifo", [pipe]).status == 0)
      let texts = Disguise.texts(file: pipe, port: canary.port)
      #expect(texts.count == 9)
      var kept: [String] = []
      for (name, bytes) in texts {
        let file = try folder.write("\(name).mp4", bytes)
        let done = try server.headwater(["import", "--site", "demo", "--id", name, file])
        if done.status != 0 {
          #expect(done.errors.contains("is no audio or video") || done.errors.contains("["), "\(done.errors)")
          #expect(try server.request("GET", "/v/\(name)/source").status == 404, "\(name)")
          continue
        }
        kept.append(name)
        #expect(try server.request("GET", "/v/\(name)/source").body == bytes, "\(name)")
        #expect(try server.request("GET", "/v/\(name)/master.m3u8").status == 422, "\(name)")
        #expect(try server.request("GET", "/v/\(name)/poster.jpg").status != 200, "\(name)")
      }
      print("disguises: \(texts.count) brought, kept as bytes: \(kept)")
      // A film behind them: when its jobs have come, theirs have.
      try server.importAsset("film", try Fixtures.path("h264-aac-faststart.mp4"))
      _ = try await EndToEnd.TranscodeTests.transcoded("film") {
        $0.renditions.contains { $0.name == "180p" }
      }
      let watched = try server.headwater(["jobs", "watch"], timeout: .seconds(120))
      #expect(watched.status == 0 || watched.status == 1, "\(watched.errors)")
      for line in try server.headwater(["jobs", "list", "--limit", "0"]).lines
      where !line.contains("\tfilm\t") {
        #expect(line.contains("\tfailed\ttranscode.plan\t"), "\(line)")
      }
      for name in kept {
        #expect(try EndToEnd.TranscodeTests.asset(name, on: server).renditions.isEmpty, "\(name)")
      }
      #expect(canary.visits == 0)
    }
  }
}

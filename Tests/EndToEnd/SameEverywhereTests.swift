import Foundation
import Support
import Testing

extension EndToEnd {
  /// A made answer is a pure function of the source: the same on every node and after every restart, which is
  /// what lets a CDN take one range here and the next one there.
  @Suite struct SameEverywhereTests {
    private struct Answer: Equatable {
      let path: String
      let tag: String?
      let body: Content
    }

    private func answers(_ server: ServerUnderTest) throws -> [Answer] {
      var paths = ["/v/film/source", "/v/film/source.mp4"]
      for asset in ["film", "film/clip/3000-9000"] {
        paths += ["/v/\(asset)/manifest.mpd", "/v/\(asset)/ondemand.mpd"]
        for form in ["", "_ts", "_byterange"] {
          let manifest = "master\(form).m3u8"
          let presentation = try Presentation(server, asset: asset, manifest: manifest, withIFrames: true)
          paths += ["/v/\(asset)/\(manifest)"] + presentation.playlists.map(\.path) + presentation.children
        }
      }
      return try paths.map { path in
        let answer = try server.request("GET", path)
        try #require(answer.status == 200 && answer["ETag"] != nil, "\(path)")
        return Answer(path: path, tag: answer["ETag"], body: Content(answer.body))
      }
    }

    @Test func afterARestartAndOnAnotherNode() throws {
      let film = try Fixtures.path("h264-aac-2997.mp4")
      let server = try ServerUnderTest()
      try server.start()
      try server.importAsset("film", film)
      try server.addSubtitles("film")
      let before = try answers(server)
      #expect(try server.stop() == 0)
      try server.start()
      #expect(try answers(server) == before, "after a restart")
      #expect(try server.stop() == 0)

      var options = ServerUnderTest.Options()
      options.threads = 3
      let other = try ServerUnderTest(options)
      try other.importAsset("film", film)
      try other.addSubtitles("film")
      try other.start()
      #expect(try answers(other) == before, "on another node, imported while it was stopped")
      #expect(try other.stop() == 0)
    }

    @Test func sitesSeeTheirOwnAssetsOnly() throws {
      var options = ServerUnderTest.Options()
      options.sites = ["one": #"hosts = ["one.example"]"#, "two": #"hosts = ["two.example"]"#]
      let server = try ServerUnderTest(options)
      try server.start()
      for (site, name) in [("one", "video-only.mp4"), ("two", "audio-only.m4a")] {
        let done = try server.headwater(["import", "--site", site, "--id", "same", Fixtures.path(name)])
        try #require(done.status == 0, "\(done.errors)")
      }
      for (host, name) in [
        ("one.example", "video-only.mp4"), ("two.example", "audio-only.m4a"),
        ("ONE.example:80", "video-only.mp4"),
      ] {
        let answer = try server.request("GET", "/v/same/source", [("Host", host)])
        #expect(try Content(answer.body) == Content(ofFile: Fixtures.path(name)), "\(host)")
      }
      let stranger = try server.request("GET", "/v/same/source", [("Host", "three.example")])
      #expect([404, 421].contains(stranger.status))
      #expect(try server.stop() == 0)
    }
  }
}

extension ServerUnderTest {
  /// Gives an asset English subtitles from a file as people have them.
  func addSubtitles(_ id: String) throws {
    let text = """
      1
      00:00:01,000 --> 00:00:02,500
      <i>First</i> words & more

      2
      00:00:05,500 --> 00:00:07,000
      across a cut

      """
    let file = try folder.write("film.srt", text: text)
    let done = try headwater(["import", "--site", "demo", "--id", id, "--subtitle", "en=\(file)"])
    try #require(done.status == 0, "\(done.errors)")
  }
}

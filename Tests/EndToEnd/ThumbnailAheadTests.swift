import Foundation
import Support
import Testing

extension EndToEnd {
  /// Pictures before anybody asks, for those who may see them, and when too many ask.
  @Suite(.enabled(if: Checkout.tool("ffmpeg") != nil, "ffmpeg is not installed"))
  struct ThumbnailAheadTests {
    private func withServer(
      _ site: String, jobs: String = "2", _ body: (ServerUnderTest) async throws -> Void
    ) async throws {
      var options = ServerUnderTest.Options()
      options.tables = "[log]\nlevel = \"debug\"\n[jobs]\nworkers = \"\(jobs)\""
      options.threads = 2
      let server = try ServerUnderTest(options)
      let key = try server.folder.write("etc/k1.key", text: "a key")
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key)
      options.sites["demo"] = "hosts = [\"*\"]\n\(site)"
      try server.configure(options)
      try server.start()
      try server.importAsset("film", StillMedia.make(.film, in: server.folder, name: "film.mp4"))
      try await body(server)
      #expect(try server.stop() == 0, "log: \(server.log.suffix(2000))")
    }

    private func made(_ server: ServerUnderTest) -> Int {
      server.log.split(separator: "\n").count { $0.contains("picture made") && $0.contains("asset=film") }
    }

    /// Waits for the job that makes the pictures of the newest generation.
    private func prepared(_ server: ServerUnderTest) throws {
      let deadline = ContinuousClock.now + .seconds(60)
      while true {
        let jobs = try server.headwater(["jobs", "list", "--site", "demo", "--asset", "film", "--json"]).text
        if jobs.contains("thumbnails.storyboard"), jobs.contains("\"completed\""),
          !jobs.contains("\"pending\""),
          !jobs.contains("\"processing\"")
        {
          return
        }
        try #require(ContinuousClock.now < deadline, "\(jobs)\n\(server.log.suffix(2000))")
        _ = try server.headwater(["jobs", "watch", "--site", "demo"], timeout: .seconds(60))
      }
    }

    @Test func theyAreThereBeforeTheFirstViewer() async throws {
      try await withServer("[plugins.thumbnails]\nenabled = true") { server in
        try prepared(server)
        // The poster and the one sheet.
        #expect(made(server) == 2)
        for name in ["poster.jpg", "storyboard_0.jpg"] {
          #expect(try server.curl("/v/film/\(name)").status == 200)
        }
        #expect(made(server) == 2)
        // By a worker of its own, for a server that has none.
        try server.importAsset("other", server.folder.path("film.mp4"))
        #expect(try server.curl("/v/other/poster.jpg").status == 200)
      }
    }

    @Test func aWorkerMakesThemForTheServer() async throws {
      try await withServer("[plugins.thumbnails]\nenabled = true", jobs: "off") { server in
        let deadline = ContinuousClock.now + .seconds(20)
        while !(try server.headwater(["jobs", "list", "--site", "demo"]).text.contains(
          "thumbnails.storyboard"))
        {
          try #require(ContinuousClock.now < deadline, "no job")
        }
        let done = try server.headwater(["worker", "--workers", "1", "--drain"], timeout: .seconds(60))
        #expect(done.status == 0, "\(done.errors)")
        try prepared(server)
        let poster = try server.curl("/v/film/poster.jpg")
        #expect(poster.status == 200 && poster["Content-Type"] == "image/jpeg")
        // Found, not made.
        #expect(made(server) == 0)
      }
    }

    @Test func nothingIsMadeAheadWhereASiteDoesNotWantIt() async throws {
      try await withServer("[plugins.thumbnails]\nahead = false") { server in
        let poster = try server.curl("/v/film/poster.jpg")
        let jobs = try server.headwater(["jobs", "list", "--site", "demo"])
        #expect(poster.status == 200 && made(server) == 1 && jobs.text.isEmpty)
      }
    }

    @Test func aPrivateFilmShowsPicturesToTokensOnly() async throws {
      let site =
        "[signing]\nkeys = [{ id = \"k1\", secret_file = \"../k1.key\" }]\n[plugins.thumbnails]\nwidths = [\"160\"]"
      try await withServer(site) { server in
        let changed = try server.headwater(
          ["assets", "update", "--site", "demo", "film", "--privacy", "private"])
        #expect(changed.status == 0, "\(changed.errors)")
        let names = [
          "poster.jpg", "thumb_2000.jpg?w=160", "storyboard.vtt", "storyboard_0.jpg", "storyboard.m3u8",
          "trick_160.bif",
        ]
        for name in names {
          let refused = try server.curl("/v/film/\(name)")
          #expect(refused.status == 403 && !refused.text.contains("JFIF"), "\(name): \(refused.status)")
        }
        let signed = try server.headwater(
          ["sign", "--scope", "/v/film/", "--expires", "10m", "/v/film/storyboard.vtt"])
        let token = try #require(signed.lines.first?.split(separator: "?").last)
        for name in names {
          let path = "/v/film/\(name)\(name.contains("?") ? "&" : "?")\(token)"
          #expect(try server.curl(path).status == 200, "\(path)")
        }
        // The sheets that a text names open by themselves.
        let text = try server.curl("/v/film/storyboard.vtt?\(token)").text
        let sheet = try #require(text.firstMatch(of: /\n(\S+\.jpg[^#\s]*)#xywh/)).1
        #expect(sheet.contains("?"), "\(sheet)")
        #expect(try server.curl("/v/film/\(sheet)")["Content-Type"] == "image/jpeg")
        #expect(try server.curl("/v/film/\(sheet.prefix { $0 != "?" })").status == 403)
      }
    }

    @Test func whoeverIsTooManyIsToldWhenToComeAgain() async throws {
      try await withServer("[plugins.thumbnails]\nahead = false") { server in
        // 600 different pictures at once, each of which costs up to fifty decoded ones.
        let count = 600
        let list = (0..<count).map { number in
          "url = \"\(server.url("/v/film/thumb_\(number / 2 * 40).\(number % 2 == 0 ? "jpg" : "webp")?exact=1"))\""
            + "\noutput = \"/dev/null\""
        }
        let config = try server.folder.write("urls", text: list.joined(separator: "\n"))
        let done = try Command.run(
          "curl",
          [
            "-sS", "--no-keepalive", "--parallel", "--parallel-immediate", "--parallel-max", "300",
            "--max-time",
            "120", "--config", config, "--write-out", "%{http_code} %header{retry-after}\n",
          ], timeout: .seconds(240))
        let answers = done.lines.map(String.init)
        #expect(answers.count == count, "\(done.errors.suffix(500))")
        let made = answers.count { $0.hasPrefix("200") }
        let busy = answers.count { $0 == "503 1" }
        #expect(made + busy == count, "\(Set(answers))")
        // What runs and the queue's 256 are answered; what came while it was full is not.
        #expect(made >= 256 && busy > 0, "\(made) made, \(busy) busy")
        #expect(self.made(server) == made)
        // Whoever comes again gets it, and the server had time for others.
        let again = try await StillPatience.get("/v/film/thumb_11960.jpg?exact=1", server)
        #expect(again.status == 200)
      }
    }
  }
}

/// A client that comes again when it is told to.
private enum StillPatience {
  static func get(_ path: String, _ server: ServerUnderTest) async throws -> RawResponse {
    let deadline = ContinuousClock.now + .seconds(60)
    while true {
      let answer = try server.curl(path)
      guard answer.status == 503, ContinuousClock.now < deadline else { return answer }
      try await Task.sleep(for: .seconds(Double(answer["Retry-After"] ?? "1") ?? 1))
    }
  }
}

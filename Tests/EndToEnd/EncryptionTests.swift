import Foundation
import Support
import Testing

extension EndToEnd {
  /// Sites that encrypt: ffmpeg has to get the frames of the source out of what is served, and nothing else gets them.
  @Suite struct EncryptionTests {
    private static let key = "5ec2e7d00102030405060708090a0b0c"
    private static let keyID = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
    /// A file that can be sought in is read ahead by ffmpeg 5.1, and its fragments then lose their encryption.
    private static let opening = ["-seekable", "0", "-decryption_key", key]
    private static let widevine = "AAAAIHBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAAAA="
    private static let film = "h264-aac-2997.mp4"

    private static func options(_ method: String, _ lines: String = "") -> ServerUnderTest.Options {
      var options = ServerUnderTest.Options()
      options.threads = 2
      options.sites["demo"] = """
        hosts = ["*"]
        [encryption]
        method = "\(method)"
        key_file = "../keys.toml"
        systems = ["\(widevine)"]
        \(lines)
        """
      return options
    }

    private static func withServer(
      _ method: String, _ lines: String = "", _ body: (ServerUnderTest) async throws -> Void
    ) async throws {
      let server = try ServerUnderTest(options(method, lines))
      let keys = try server.folder.write(
        "etc/keys.toml", text: "[assets.film]\nid = \"\(keyID)\"\nkey = \"\(key)\"\n")
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: keys)
      try server.start()
      try server.importAsset("film", Fixtures.path(film))
      try server.addSubtitles("film")
      try await body(server)
      // Whatever was said about the asset, the key was not among it.
      let said =
        try ["check", "plugins"].map { try server.headwater([$0]) }
        + [server.headwater(["explain", "/v/film/master.m3u8"])]
      for text in said.map({ $0.errors + String(decoding: $0.output, as: UTF8.self) }) + [server.log] {
        #expect(!text.lowercased().contains("5ec2e7"))
      }
      #expect(try server.stop() == 0, "log: \(server.log.suffix(2000))")
    }

    private static func get(_ server: ServerUnderTest, _ path: String) throws -> RawResponse {
      let answer = try server.request("GET", path)
      guard answer.status == 200 else { throw SupportError("\(path): \(answer.status) \(answer.text)") }
      return answer
    }

    // MARK: AES-128

    @Test(arguments: ["master.m3u8", "master_ts.m3u8"])
    func wholeSegmentsPlayAsTheSource(manifest: String) async throws {
      try await Self.withServer("aes-128", "serve_key = true") { server in
        for track in ["v:0", "a:0"] {
          let expected = try await FFmpeg.frames(Fixtures.path(Self.film), track)
          let found = try await FFmpeg.frames(server.url("/v/film/\(manifest)"), track)
          #expect(!expected.isEmpty && found == expected, "\(manifest) \(track): \(found.count) frames")
        }
        let presentation = try Presentation(server, asset: "film", manifest: manifest, withIFrames: true)
        for (path, playlist) in presentation.playlists where !path.contains("subtitle") {
          let text = try Self.get(server, path).text
          let lines = text.split(separator: "\n").filter { $0.hasPrefix("#EXT-X-KEY:") }
          #expect(
            lines.count == 1 && lines[0].contains("METHOD=AES-128,URI=\"../key\",IV=0x"), "\(path): \(text)")
          for child in playlist.segments + [playlist.initSegment].compactMap({ $0 }) {
            let whole = try Self.get(server, child).body
            #expect(whole.count % 16 == 0 && whole.count > 0)
            let head = try server.request("HEAD", child)
            #expect(head["Content-Length"] == "\(whole.count)")
            let part = try server.request("GET", child, [("Range", "bytes=5-40")])
            #expect(part.status == 206 && part.body == Array(whole[5...40]), "\(child)")
          }
        }
        // A clip of it plays too.
        let clip = try await FFmpeg.frames(server.url("/v/film/clip/3000-9000/\(manifest)"), "v:0")
        #expect(!clip.isEmpty)
        #expect(try server.request("GET", "/v/film/manifest.mpd").status == 404)
      }
    }

    /// By another program than the one that encrypted, and by nothing but the playlist and the key.
    @Test func opensslOpensASegment() async throws {
      try await Self.withServer("aes-128", "serve_key = true") { server in
        let presentation = try Presentation(server, asset: "film")
        let (path, playlist) = try #require(presentation.playlists.first)
        let text = try Self.get(server, path).text
        let iv = try #require(text.firstMatch(of: /IV=0x([0-9a-f]{32})/)).1
        let child = try #require(playlist.initSegment)
        let encrypted = try server.folder.write("init", Self.get(server, child).body)
        let done = try Command.run(
          "openssl", ["aes-128-cbc", "-d", "-K", Self.key, "-iv", String(iv), "-in", encrypted])
        #expect(done.status == 0)
        #expect(Array(done.output.dropFirst(4).prefix(4)) == Array("ftyp".utf8))
      }
    }

    // MARK: Common Encryption

    @Test(arguments: ["cbcs", "cenc"]) func samplesOpenToThoseOfTheSource(method: String) async throws {
      try await Self.withServer(method) { server in
        let presentation = try Presentation(server, asset: "film", withIFrames: true)
        let media = presentation.playlists.filter { !$0.path.contains("subtitle") }
        #expect(media.count == 3)
        for (path, playlist) in media {
          #expect(path.contains("/enc/\(method)-"))
          let text = try Self.get(server, path).text
          let attribute = method == "cbcs" ? "METHOD=SAMPLE-AES," : "METHOD=SAMPLE-AES-CTR,"
          #expect(text.contains("#EXT-X-KEY:\(attribute)") && text.contains("urn:uuid:edef8ba9"), "\(text)")
          let children = [try #require(playlist.initSegment)] + playlist.segments
          let bytes = try children.flatMap { try Self.get(server, $0).body }
          let file = try server.folder.write("media.mp4", bytes)
          let isPictures = path.contains("iframes")
          let track = path.contains("/audio/") ? "a:0" : "v:0"
          let opened = try await FFmpeg.frames(file, track, inputOptions: Self.opening)
          let expected = try await FFmpeg.frames(Fixtures.path(Self.film), track)
          if isPictures {
            #expect(opened.count == playlist.segments.count && opened.allSatisfy { expected.contains($0) })
          } else {
            #expect(!opened.isEmpty && opened == expected, "\(path) \(track): \(opened.count) frames")
          }
          // Without the key there is nothing of it.
          let closed = try? await FFmpeg.frames(file, track)
          #expect(closed.map { found in !found.contains { expected.contains($0) } } ?? true, "\(path)")
          let again = try Self.get(server, playlist.segments[0])
          let head = try server.request("HEAD", playlist.segments[0])
          #expect(head["Content-Length"] == "\(again.body.count)" && head["ETag"] == again["ETag"])
        }
      }
    }

    @Test(arguments: ["cbcs", "cenc"]) func manifestsSayWhichKey(method: String) async throws {
      try await Self.withServer(method, "license_url = \"https://license.example/?a&b\"") { server in
        let mpd = try Self.get(server, "/v/film/manifest.mpd").text
        let sets = mpd.split(separator: "<AdaptationSet ").dropFirst().filter {
          !$0.contains("contentType=\"text\"")
        }
        #expect(sets.count == 3)
        for set in sets {
          let protections = set.split(separator: "<ContentProtection ").dropFirst()
          #expect(protections.count == 4)
          #expect(protections.first?.contains("value=\"\(method)\"") == true)
          #expect(
            protections.first?.contains("default_KID=\"a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf\"") == true)
          #expect(protections.dropFirst().allSatisfy { $0.contains("<cenc:pssh>") })
          // In the schema it comes before all that describes the set.
          #expect(set.contains(#/^[^>]*>\s*<ContentProtection /#))
        }
        #expect(mpd.contains("https://license.example/?a&amp;b"))
        let master = try Self.get(server, "/v/film/master.m3u8").text
        #expect(master.contains("#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES") && master.contains(Self.widevine))
        let name = try #require(mpd.firstMatch(of: /enc\/[a-z]+-[0-9a-f]{8}\//)).0
        #expect(master.contains(name))
      }
    }

    /// What is asked for again comes out of memory, with the same bytes and the same tag.
    @Test(arguments: ["cbcs", "cenc"]) func segmentsThatAreAskedForAgainAreKept(method: String) async throws {
      try await Self.withServer(method) { server in
        func count(_ name: String) throws -> Int {
          let metrics = try server.request("GET", "/metrics", admin: true).text
          let line = metrics.split(separator: "\n").first { $0.hasPrefix("headwater_\(name) ") }
          return try #require(line?.split(separator: " ").last.flatMap { Int($0) })
        }
        let path = try Presentation(server, asset: "film").segment(1)
        // One connection, and so one loop.
        let viewer = try server.connect()
        func get(_ fields: String = "") throws -> RawResponse {
          try viewer.send("GET \(path) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
          return try viewer.response()
        }
        let first = try get()
        #expect(first.status == 200 && first.body.count > 10_000)
        #expect(try count("segments_assembled_total") == 0)
        let deadline = ContinuousClock.now + .seconds(10)
        repeat {
          let again = try get()
          #expect(again.body == first.body && again["ETag"] == first["ETag"])
        } while try count("segments_assembled_total") == 0 && .now < deadline
        let misses = try count("hot_table_misses_total")
        for _ in 0..<5 {
          let hot = try get()
          #expect(hot.body == first.body && hot["ETag"] == first["ETag"])
        }
        let part = try get("Range: bytes=100-9999\r\n")
        #expect(part.status == 206 && part.body == Array(first.body[100...9999]))
        #expect(try count("hot_table_misses_total") == misses)
      }
    }

    // MARK: What is refused

    @Test(arguments: ["aes-128", "cbcs", "cenc"]) func nothingLeavesInClear(method: String) async throws {
      // The clear paths, as a site without encryption names them.
      let clear = try ServerUnderTest()
      try clear.importAsset("film", Fixtures.path(Self.film))
      try clear.addSubtitles("film")
      try clear.start()
      var media: [String] = []
      var manifests: [String] = []
      for manifest in ["master.m3u8", "master_ts.m3u8", "master_byterange.m3u8"] {
        let presentation = try Presentation(clear, asset: "film", manifest: manifest, withIFrames: true)
        manifests += presentation.playlists.map(\.path)
        media += presentation.children
      }
      #expect(try clear.stop() == 0)
      let generation = try #require(media[0].firstMatch(of: /g\/[0-9a-f]{12}\//)).0
      media += ["source", "source.mp4", "source.cmaf"].flatMap {
        ["/v/film/\($0)", "/v/film/\(generation)\($0)"]
      }
      manifests += ["master.m3u8", "manifest.mpd"].map { "/v/film/\(generation)\($0)" }
      let paths = media + media.map { $0.replacing(String(generation), with: "") } + manifests
      try await Self.withServer(method) { server in
        for path in Set(paths) {
          let answer = try server.request("GET", path)
          if path.contains("subtitle") {
            #expect(answer.status == 200, "\(path)")
          } else {
            #expect(answer.status == 403, "\(path): \(answer.status)")
            #expect(answer.text.contains("encryption-required") && answer["Cache-Control"] == "no-store")
          }
        }
        let presentation = try Presentation(server, asset: "film")
        let first = try presentation.segment(0)
        let folder = try #require(first.firstMatch(of: /^.*\/enc\/[^\/]+\//)).0
        for name in [
          "source", "source.mp4", "source.cmaf", "master_byterange.m3u8", "ondemand.mpd", "nothing",
        ] {
          #expect(try server.request("GET", folder + name).status == 404, "\(name)")
        }
        let key = try server.request("GET", folder + "key")
        #expect(key.status == 403 && key.text.contains("key-not-served"))
        // Another key, another name; the old one is gone, and with no encryption all of them are.
        let name = try #require(folder.split(separator: "/").last)
        let other = first.replacing(name, with: "\(method)-00000000")
        #expect(try server.request("GET", other).status == 404)
        #expect(
          try server.request("GET", "/v/film/clip/0-5000/master.m3u8").status
            == (method == "cenc" ? 404 : 200))
        try server.configure(ServerUnderTest.Options())
        server.signal(SIGHUP)
        #expect(server.logLine { $0.contains("configuration reloaded") } != nil)
        #expect(try server.request("GET", "/v/film/source").status == 200)
        #expect(try server.request("GET", first).status == 404)
      }
    }

    @Test func theKeyIsServedOnDemandAndNeverStored() async throws {
      try await Self.withServer("aes-128", "serve_key = true\n[cache]\ncdn_cache_control = \"max-age=60\"") {
        server in
        let first = try Presentation(server, asset: "film").segment(0)
        let folder = try #require(first.firstMatch(of: /^.*\/enc\/[^\/]+\//)).0
        let key = try Self.get(server, folder + "key")
        #expect(key.body.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() == Self.key)
        #expect(key["Content-Type"] == "application/octet-stream")
        #expect(key["Cache-Control"] == "no-store" && key["CDN-Cache-Control"] == nil)
      }
    }

    /// Two assets of one site have two keys, and an asset without one is refused.
    @Test func anAssetWithoutAKeyIsRefused() async throws {
      try await Self.withServer("cbcs") { server in
        try server.importAsset("other", Fixtures.path("video-only.mp4"))
        let answer = try server.request("GET", "/v/other/master.m3u8")
        #expect(answer.status == 403 && answer.text.contains("content-key-missing"))
      }
    }
  }
}

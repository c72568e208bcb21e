import Foundation
import Support
import Testing

extension EndToEnd {
  /// Sites that sign: a signed manifest plays to its end and nothing else opens, before and after keys change.
  @Suite struct SigningTests {
    private static let film = "h264-aac-2997.mp4"
    private static let contentKeys =
      "[assets.film]\nid = \"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\"\nkey = \"5ec2e7d00102030405060708090a0b0c\"\n"

    /// A server whose site `demo` signs, with the asset `film`.
    private static func withServer(
      _ signing: String = "required = true", _ tables: String = "",
      _ body: (ServerUnderTest) async throws -> Void
    ) async throws {
      var options = ServerUnderTest.Options()
      let server = try ServerUnderTest(options)
      for (name, text) in [("k1.key", "first key"), ("k2.key", "second key"), ("content.toml", contentKeys)] {
        let path = try server.folder.write("etc/\(name)", text: text)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
      }
      options.tables = "[log]\naccess = \"json\"\naccess_path = \"\(server.folder.path("access.log"))\""
      options.sites["demo"] = site(["k1"], signing, tables)
      try server.configure(options)
      try server.start()
      try server.importAsset("film", Fixtures.path(film))
      try server.addSubtitles("film")
      try await body(server)
      #expect(try server.stop() == 0, "log: \(server.log.suffix(2000))")
    }

    private static func site(_ keys: [String], _ signing: String, _ tables: String = "") -> String {
      let list = keys.map { "{ id = \"\($0)\", secret_file = \"../\($0).key\" }" }.joined(separator: ", ")
      return "hosts = [\"*\"]\n[signing]\nkeys = [\(list)]\n\(signing)\n\(tables)"
    }

    /// What `headwater sign` prints for a path of this server.
    private static func sign(_ server: ServerUnderTest, _ path: String, _ options: [String]) throws -> String
    {
      let done = try server.headwater(["sign"] + options + [path])
      guard done.status == 0, let line = done.lines.first else { throw SupportError("sign: \(done.errors)") }
      return String(line)
    }

    private static let wholeFilm = ["--scope", "/v/film/", "--expires", "10m"]

    /// Every URI that a manifest names, and those that the playlists among them name, with their queries.
    private static func children(
      _ server: ServerUnderTest, _ manifest: String, _ fields: [(String, String)] = [],
      seen: inout [String: RawResponse]
    ) throws {
      guard seen[manifest] == nil else { return }
      let answer = try server.request("GET", manifest, fields)
      seen[manifest] = answer
      guard answer.status == 200 else { throw SupportError("\(manifest): \(answer.status) \(answer.text)") }
      let path = manifest.prefix { $0 != "?" }
      guard path.hasSuffix(".m3u8") || path.hasSuffix(".mpd") else { return }
      for reference in try references(answer.text, isXML: path.hasSuffix(".mpd")) {
        guard !reference.hasPrefix("data:"), let base = URL(string: "http://host\(manifest)"),
          let url = URL(string: reference, relativeTo: base)?.absoluteURL
        else { continue }
        try children(server, url.path + (url.query.map { "?\($0)" } ?? ""), fields, seen: &seen)
      }
    }

    private static func references(_ text: String, isXML: Bool) throws -> [String] {
      guard isXML else {
        return text.split(separator: "\n").flatMap { line in
          line.hasPrefix("#") ? line.matches(of: /URI="([^"]*)"/).map { String($0.1) } : [String(line)]
        }
      }
      let base = text.firstMatch(of: /<BaseURL>([^<]*)<\/BaseURL>\s*<Period/).map { String($0.1) } ?? ""
      let plain = text.replacing("&amp;", with: "&")
      return plain.split(separator: "<Representation ").dropFirst().flatMap { part in
        let name = part.firstMatch(of: /id="([^"]*)"/).map { String($0.1) } ?? ""
        let files = part.matches(of: /<BaseURL>([^<]*)<\/BaseURL>/).map { base + $0.1 }
        let templates = part.matches(of: /(?:media|initialization)="([^"]*)"/).map {
          base + $0.1.replacing("$RepresentationID$", with: name).replacing("$Number%04d$", with: "0000")
        }
        return files + templates
      }
    }

    // MARK: Playing

    @Test(arguments: [
      "master.m3u8", "master_ts.m3u8", "master_byterange.m3u8", "manifest.mpd", "ondemand.mpd",
    ])
    func aSignedManifestPlaysToItsEnd(manifest: String) async throws {
      try await Self.withServer { server in
        let signed = try Self.sign(server, "/v/film/\(manifest)", Self.wholeFilm)
        // Its DASH demuxer takes an ampersand in a BaseURL for the beginning of an entity: no subtitles, no ranges.
        try server.importAsset("plain", Fixtures.path(Self.film))
        let played = try Self.sign(server, "/v/plain/\(manifest)", ["--scope", "/v/plain/"])
        for track in ["v:0", "a:0"] where manifest != "ondemand.mpd" {
          let expected = try await FFmpeg.frames(Fixtures.path(Self.film), track)
          let found = try await FFmpeg.frames(server.url(played), track)
          #expect(!expected.isEmpty && found == expected, "\(manifest) \(track): \(found.count) frames")
        }
        // Every child has the token, and is nothing without it.
        var seen: [String: RawResponse] = [:]
        try Self.children(server, signed, seen: &seen)
        #expect(seen.count >= 4)
        for (path, answer) in seen {
          #expect(path.contains("&scope=/v/film/&sig="), "\(path)")
          let bare = String(path.prefix { $0 != "?" })
          let refused = try server.request("GET", bare)
          #expect(refused.status == 403 && refused.text.contains("token-required"), "\(bare)")
          #expect(refused["Cache-Control"] == "no-store")
          let isManifest = bare.hasSuffix(".m3u8") || bare.hasSuffix(".mpd")
          #expect(answer["Cache-Control"]?.hasPrefix(isManifest ? "private" : "public") == true, "\(path)")
        }
      }
    }

    /// Clips, and what a site encrypts: the key is a child like the others.
    @Test func encryptedMediaAndClipsPlay() async throws {
      let encryption = "[encryption]\nmethod = \"aes-128\"\nserve_key = true\nkey_file = \"../content.toml\""
      try await Self.withServer("required = false", encryption) { server in
        for manifest in ["master.m3u8", "clip/3000-9000/master_ts.m3u8"] {
          let signed = try Self.sign(server, "/v/film/\(manifest)", Self.wholeFilm)
          #expect(try await !FFmpeg.frames(server.url(signed), "v:0").isEmpty)
          var seen: [String: RawResponse] = [:]
          try Self.children(server, signed, seen: &seen)
          #expect(seen.keys.allSatisfy { $0.contains("&sig=") })
          let keys = seen.filter { $0.key.contains("/key?") }
          #expect(keys.count == 1 && keys.allSatisfy { $0.value["Cache-Control"] == "no-store" })
          // Nothing else of this site needs a token; the key does.
          for key in keys.keys.map({ String($0.prefix { $0 != "?" }) }) {
            #expect(try server.request("GET", key).status == 403)
          }
          #expect(try server.request("GET", "/v/film/\(manifest)").status == 200)
        }
      }
    }

    @Test func aTokenForOnePathOpensNoChildren() async throws {
      try await Self.withServer { server in
        let signed = try Self.sign(server, "/v/film/master.m3u8", [])
        let answer = try server.request("GET", signed)
        #expect(answer.status == 200 && !answer.text.contains("sig="))
        #expect(answer["Cache-Control"]?.hasPrefix("public") == true)
        let query = try #require(signed.split(separator: "?").last)
        #expect(try server.request("GET", "/v/film/manifest.mpd?\(query)").status == 403)
      }
    }

    @Test func aCopyOfAManifestIsConsistent() async throws {
      try await Self.withServer { server in
        let paths = try ["5m", "10m"].map {
          try Self.sign(server, "/v/film/master.m3u8", ["--scope", "/v/film/", "--expires", $0])
        }
        let answers = try paths.map { try server.request("GET", $0) }
        #expect(answers.allSatisfy { $0.status == 200 })
        #expect(answers[0]["ETag"] != answers[1]["ETag"])
        for (path, whole) in zip(paths, answers) {
          #expect(try server.request("GET", path).body == whole.body)
          let head = try server.request("HEAD", path)
          #expect(head["Content-Length"] == "\(whole.body.count)" && head["ETag"] == whole["ETag"])
          let etag = try #require(whole["ETag"])
          let same = try server.request("GET", path, [("If-None-Match", etag)])
          #expect(same.status == 304 && same["Cache-Control"] == whole["Cache-Control"])
          let part = try server.request("GET", path, [("Range", "bytes=200-"), ("If-Range", etag)])
          #expect(part.status == 206 && part.body == Array(whole.body[200...]))
          let several = try server.request("GET", path, [("Range", "bytes=0-1,-7")])
          #expect(several.status == 206 && several["Content-Type"]?.hasPrefix("multipart/byteranges") == true)
        }
        let other = try server.request("GET", paths[0], [("If-None-Match", try #require(answers[1]["ETag"]))])
        #expect(other.status == 200)
      }
    }

    // MARK: Schemes of others

    /// Tokens that OpenSSL made, in the query of the manifest alone.
    @Test(arguments: ["nginx", "akamai", "cloudfront"]) func tokensOfOthersPlay(scheme: String) async throws {
      let tables = """
        [signing.nginx]
        keys = [{ id = "a", secret_file = "../k1.key" }]
        expression = "$secure_link_expires$asset $secret"
        [signing.akamai]
        keys = [{ id = "a", secret_file = "../akamai.key" }]
        [signing.cloudfront]
        keys = [{ id = "KTEST", public_key = "../public.pem" }]
        """
      var options = ServerUnderTest.Options()
      let server = try ServerUnderTest(options)
      let privateKey = server.folder.path("private.pem")
      func openssl(_ arguments: [String], _ input: String = "") throws -> [UInt8] {
        let done = try Command.run("openssl", arguments, stdin: Array(input.utf8))
        guard done.status == 0 else { throw SupportError("openssl \(arguments): \(done.errors)") }
        return done.output
      }
      _ = try openssl([
        "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", privateKey,
      ])
      let publicKey = try openssl(["pkey", "-in", privateKey, "-pubout"])
      for (name, text) in [
        ("k1.key", "first key"), ("akamai.key", "00112233445566778899aabbccddeeff"),
        ("public.pem", String(decoding: publicKey, as: UTF8.self)),
      ] {
        let path = try server.folder.write("etc/\(name)", text: text)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
      }
      options.sites["demo"] = "hosts = [\"*\"]\n[signing]\nrequired = true\n\(tables)"
      try server.configure(options)
      try server.start()
      try server.importAsset("film", Fixtures.path(Self.film))
      let expires = 4_102_444_800
      let query: String
      switch scheme {
      case "nginx":
        let digest = try openssl(["dgst", "-md5", "-binary"], "\(expires)/v/film/ first key")
        let text = Data(digest).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
        query = "md5=\(text.replacing("=", with: ""))&expires=\(expires)"
      case "akamai":
        let fields = "exp=\(expires)~acl=/v/film/*"
        let code = try openssl(
          ["dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:00112233445566778899aabbccddeeff", "-r"],
          fields)
        query = "hdnts=\(fields)~hmac=\(String(decoding: code.prefix(64), as: UTF8.self))"
      default:
        let policy = """
          {"Statement":[{"Resource":"http://127.0.0.1:\(server.port)/v/film/*","Condition":\
          {"DateLessThan":{"AWS:EpochTime":\(expires)}}}]}
          """
        let signature = try openssl(["dgst", "-sha1", "-sign", privateKey], policy)
        let texts = [Data(policy.utf8), Data(signature)].map {
          $0.base64EncodedString().replacing("+", with: "-").replacing("=", with: "_").replacing(
            "/", with: "~")
        }
        query = "Policy=\(texts[0])&Signature=\(texts[1])&Key-Pair-Id=KTEST"
      }
      let path = "/v/film/master.m3u8?\(query)"
      let expected = try await FFmpeg.frames(Fixtures.path(Self.film), "v:0")
      #expect(try await FFmpeg.frames(server.url(path), "v:0") == expected)
      for manifest in [path, "/v/film/manifest.mpd?\(query)"] {
        var seen: [String: RawResponse] = [:]
        let host = ("Host", "127.0.0.1:\(server.port)")
        try Self.children(server, manifest, [host], seen: &seen)
        #expect(seen.count > 4 && seen.keys.allSatisfy { $0.hasSuffix(query) })
        for child in seen.keys.map({ String($0.prefix { $0 != "?" }) }) {
          #expect(try server.request("GET", child, [host]).status == 403)
        }
      }
      #expect(try server.headwater(["explain", server.url(path)]).text.contains("valid: key"))
      #expect(try server.stop() == 0, "log: \(server.log.suffix(2000))")
    }

    // MARK: Keys

    @Test func keysRotateUnderAViewer() async throws {
      try await Self.withServer { server in
        let old = try Self.sign(server, "/v/film/master.m3u8", Self.wholeFilm)
        var seen: [String: RawResponse] = [:]
        try Self.children(server, old, seen: &seen)
        var reloads = 0
        func reload(_ keys: [String], until isDone: () throws -> Bool) throws {
          reloads += 1
          try server.folder.write("etc/sites/demo.toml", text: Self.site(keys, "required = true"))
          server.signal(SIGHUP)
          let isReloaded = try (0..<2000).contains { _ in
            // Whatever is being changed, what is valid before and after is never refused.
            if keys.contains("k1") { #expect(try server.request("GET", old).status == 200) }
            // The log says so when all loops have changed over.
            return try isDone()
              && server.log.components(separatedBy: "configuration reloaded").count > reloads
          }
          #expect(isReloaded)
        }
        let second = URLQuery.with(kid: "k2")
        #expect(try server.request("GET", "/v/film/manifest.mpd?\(second)").status == 403)
        try reload(["k2", "k1"]) {
          // The new key signs, since it is the first.
          let new = try Self.sign(server, "/v/film/master.m3u8", Self.wholeFilm)
          guard new.contains("kid=k2") else { return false }
          return try server.request("GET", new).status == 200
        }
        for (path, answer) in seen { #expect(try server.request("GET", path).body == answer.body, "\(path)") }
        try reload(["k2"]) { try server.request("GET", old).status == 403 }
        for path in seen.keys {
          let answer = try server.request("GET", path)
          #expect(answer.status == 403 && answer.text.contains("token-invalid"))
        }
        let new = try Self.sign(server, "/v/film/master.m3u8", Self.wholeFilm)
        var again: [String: RawResponse] = [:]
        try Self.children(server, new, seen: &again)
        #expect(again.count == seen.count)
      }
    }

    private enum URLQuery {
      static func with(kid: String) -> String {
        "expires=4102444800&kid=\(kid)&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
      }
    }

    @Test func aTokenNearItsEndIsRenewed() async throws {
      try await Self.withServer("required = true\nrenew_before = \"1h\"\nrenew_for = \"2h\"") { server in
        let signed = try Self.sign(server, "/v/film/master.m3u8", Self.wholeFilm)
        let answer = try server.request("GET", signed)
        let fresh = try #require(answer["Signed-Query"])
        #expect(!signed.hasSuffix(fresh) && answer.text.contains(fresh))
        #expect(answer["Access-Control-Expose-Headers"]?.hasSuffix("Signed-Query") == true)
        #expect(answer["Cache-Control"]?.hasPrefix("private") == true)
        #expect(try server.request("HEAD", signed)["Signed-Query"] == fresh)
        let next = try server.request("GET", "/v/film/manifest.mpd?\(fresh)")
        #expect(next.status == 200 && next["Signed-Query"] == nil)
        // Segments are shared: nothing of a viewer is in them.
        var seen: [String: RawResponse] = [:]
        try Self.children(server, signed, seen: &seen)
        for (path, answer) in seen where path.contains(".m4s") { #expect(answer["Signed-Query"] == nil) }
      }
    }

    // MARK: Refusing

    /// Through the real parser and on one connection: all of them 403, all with one body.
    @Test func changedTokensHearOneSentence() async throws {
      try await Self.withServer { server in
        let signed = try Self.sign(server, "/v/film/master.m3u8", Self.wholeFilm)
        let bytes = Array(signed.utf8)
        let start = try #require(signed.utf8.firstIndex(of: 0x3F)).utf16Offset(in: signed)
        var bodies: Set<[UInt8]> = []
        var count = 0
        for index in bytes.indices where index > start {
          for change: UInt8 in [1, 2, 0x20] {
            var copy = bytes
            copy[index] ^= change
            guard (0x21...0x7E).contains(copy[index]), copy[index] != 0x23 else { continue }
            let answer = try server.request("GET", String(decoding: copy, as: UTF8.self))
            guard answer.text.contains("token-invalid") else {
              #expect([400, 403].contains(answer.status), "\(String(decoding: copy, as: UTF8.self))")
              continue
            }
            #expect(answer.status == 403 && answer["Cache-Control"] == "no-store")
            bodies.insert(answer.body)
            count += 1
          }
        }
        #expect(count >= 200 && bodies.count == 1, "\(count) of \(bytes.count - start)")
        #expect(try server.request("GET", signed).status == 200)
        #expect(try server.request("OPTIONS", "/v/film/master.m3u8").status == 204)
      }
    }

    @Test func nothingIsLoggedThatOpensSomething() async throws {
      try await Self.withServer { server in
        let signed = try Self.sign(server, "/v/film/master.m3u8", Self.wholeFilm + ["--ip", "127.0.0.1"])
        let elsewhere = try Self.sign(server, "/v/film/master.m3u8", ["--ip", "127.0.0.2"])
        #expect(try server.request("GET", signed, [("Referer", server.url(signed))]).status == 200)
        #expect(try server.request("GET", elsewhere).status == 403)
        let story = try server.headwater(["explain", elsewhere])
        #expect(story.text.contains("needed: signing.required = true"))
        #expect(story.text.contains("refused: the token is bound to an address"))
        let signatures = [signed, elsewhere].map { $0.suffix(43) }
        #expect(try server.stop() == 0)
        let log = try String(contentsOfFile: server.folder.path("access.log"), encoding: .utf8)
        #expect(log.contains("&scope=/v/film/&ip=1&sig=***"))
        for text in [log, server.log, story.text] {
          #expect(signatures.allSatisfy { !text.contains($0) })
          #expect(!text.contains("first key"))
        }
        try server.start()
      }
    }

    @Test func privateAssetsAreForSignedURLs() async throws {
      try await Self.withServer("required = false") { server in
        #expect(try server.headwater(["assets", "update", "film", "--privacy", "private"]).status == 0)
        let signed = try Self.sign(server, "/v/film/master.m3u8", Self.wholeFilm)
        var seen: [String: RawResponse] = [:]
        #expect(try server.request("GET", "/v/film/master.m3u8").status == 403)
        try Self.children(server, signed, seen: &seen)
        // What a viewer with a token has just been given is in the hot table, and not for others.
        for path in seen.keys {
          let answer = try server.request("GET", String(path.prefix { $0 != "?" }))
          #expect(answer.status == 403 && answer.text.contains("asset-private"), "\(path)")
        }
      }
    }

    @Test func onlyTheCDNIsAnswered() async throws {
      let secrets = """
        [origin_secret]
        secrets = [{ id = "a", secret_file = "../k1.key" }, { id = "b", secret_file = "../k2.key" }]
        """
      try await Self.withServer("required = false", secrets) { server in
        for value in ["first key", "second key"] {
          #expect(
            try server.request("GET", "/v/film/master.m3u8", [("X-Origin-Secret", value)]).status == 200)
        }
        for fields in [[], [("X-Origin-Secret", "third key")], [("X-Origin-Secret", "")]] {
          for (method, path) in [
            ("GET", "/v/film/master.m3u8"), ("OPTIONS", "/"), ("PUT", "/f/x"), ("HEAD", "/no"),
          ] {
            let answer = try server.request(method, path, fields)
            #expect(answer.status == 403 && answer["Cache-Control"] == "no-store")
          }
        }
      }
    }
  }
}

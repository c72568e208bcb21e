import Foundation
import Support
import Testing

extension EndToEnd {
  /// The API as its clients see it.
  @Suite(
    .served(APIFixture.options()) { server in
      try server.importAsset("film", Fixtures.path(APIFixture.film))
      for number in 1...5 {
        let file = try Fixtures.path(APIFixture.film)
        let tags = number % 2 == 0 ? "even,number" : "odd,number"
        let done = try server.headwater([
          "import", "--site", "demo", "--id", "v\(number)", "--title", "Video \(6 - number)", file,
        ])
        try #require(done.status == 0, "\(done.errors)")
        let tagged = try server.call(
          "PATCH", "/api/v1/videos/v\(number)", #"{"tags":["\#(tags.replacing(",", with: "\",\""))"]}"#,
          type: "application/merge-patch+json", [("If-Match", "*")])
        try #require(tagged.status == 200, "\(tagged.text)")
      }
    }) struct APITests
  {
    // MARK: - Who may ask

    @Test func onlyTokensOfTheSiteOpenTheAPI() throws {
      let server = try Served.server
      let none = try server.request("GET", "/api/v1/videos")
      #expect(none.status == 401 && none.code == "token-required")
      #expect(none["WWW-Authenticate"] == #"Bearer realm="demo""#)
      #expect(none["Cache-Control"] == "no-store")
      for wrong in ["Bearer x", "Bearer \(APIFixture.token)x", "Basic \(APIFixture.token)", "Bearer"] {
        let answer = try server.request("GET", "/api/v1/videos", [("Authorization", wrong)])
        #expect(answer.status == 401 && answer["WWW-Authenticate"] != nil, "\(wrong)")
      }
      let twice = [APIFixture.bearer, APIFixture.bearer]
      #expect(try server.request("GET", "/api/v1/videos", twice).status == 401)
      for right in [APIFixture.token, "another-token-that-is-still-valid"] {
        #expect(
          try server.request("GET", "/api/v1/videos", [("Authorization", "bearer \(right)")]).status == 200)
      }
      let closed = [APIFixture.bearer, ("Host", "closed.test")]
      #expect(try server.request("GET", "/api/v1/videos", closed).status == 404)
      #expect(!server.log.contains(APIFixture.token))
    }

    @Test func methodsAreThoseOfThePath() throws {
      let server = try Served.server
      let post = try server.call("POST", "/api/v1/videos/film", "{}")
      #expect(post.status == 405 && post["Allow"] == "GET, HEAD, PUT, PATCH, DELETE, OPTIONS")
      #expect(try server.call("DELETE", "/api/v1/videos").status == 405)
      let options = try server.request("OPTIONS", "/api/v1/videos/film", [("Origin", "https://a.test")])
      #expect(options.status == 204 && options["Allow"] == post["Allow"])
      #expect(options["Access-Control-Allow-Methods"] == post["Allow"])
      #expect(options["Access-Control-Allow-Headers"]?.contains("If-Match") == true)
      #expect(try server.call("GET", "/api/v1/nothing").status == 404)
      #expect(try server.call("GET", "/api/v2/videos").status == 404)
      let head = try server.call("HEAD", "/api/v1/videos/film")
      let get = try server.call("GET", "/api/v1/videos/film")
      #expect(head.status == 200 && head.body.isEmpty && head["Content-Length"] == get["Content-Length"])
      let blob = String(repeating: "0", count: 64)
      #expect(try server.call("POST", "/blob/\(blob)", "x")["Allow"] == "GET, HEAD, PUT, OPTIONS")
      #expect(try server.call("POST", "/f/x", "x")["Allow"] == "GET, HEAD, OPTIONS")
    }

    // MARK: - Videos

    @Test func aVideoTellsOfItsMedia() throws {
      let server = try Served.server
      let answer = try server.call("GET", "/api/v1/videos/film")
      #expect(answer.status == 200 && answer["Content-Type"] == "application/json")
      #expect(answer["Cache-Control"] == "no-store" && answer["X-Content-Type-Options"] == "nosniff")
      let video = answer.json
      #expect(video["video_id"] as? String == "film" && video["status"] as? String == "ready")
      #expect((video["generation"] as? String)?.count == 12)
      let duration = try #require(video["duration_seconds"] as? Double)
      let file = try Fixtures.path(APIFixture.film)
      let probed = try Command.run(
        "ffprobe", ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", file])
      let expected = try #require(Double(probed.text.trimmingCharacters(in: .whitespacesAndNewlines)))
      #expect(abs(duration - expected) < 0.1)
      let source = try #require(video["source"] as? [String: Any])
      #expect(source["size_bytes"] as? Int == (try bytes(ofFile: file).count))
      #expect(source["blob"] as? String == (try APIFixture.sha256(bytes(ofFile: file))))
      let renditions = try #require(video["renditions"] as? [[String: Any]])
      let picture = try #require(renditions.first { $0["kind"] as? String == "video" })
      #expect((picture["width"] as? Int ?? 0) > 0 && (picture["codec"] as? String)?.isEmpty == false)
      let urls = try #require(video["urls"] as? [String: String])
      for path in urls.values {
        #expect(try server.request("GET", path, [APIFixture.bearer]).status == 200, "\(path)")
      }
      for rendition in renditions {
        for path in try #require(rendition["urls"] as? [String: String]).values {
          #expect(try server.request("GET", path).status == 200, "\(path)")
        }
      }
    }

    @Test func entityTagsGuardReadingAndWriting() throws {
      let server = try Served.server
      let path = "/api/v1/videos/v1"
      let tag = try #require(try server.call("GET", path)["ETag"])
      let same = try server.call("GET", path, nil, [("If-None-Match", "\"x\", W/\(tag)")])
      #expect(same.status == 304 && same.body.isEmpty && same["ETag"] == tag)
      let patch = "application/merge-patch+json"
      #expect(try server.call("PATCH", path, #"{"title":"A"}"#, type: patch).status == 428)
      let stale = try server.call("PATCH", path, #"{"title":"A"}"#, type: patch, [("If-Match", "\"0-0\"")])
      #expect(stale.status == 412 && stale["ETag"] == tag)
      let weak = try server.call("PATCH", path, #"{"title":"A"}"#, type: patch, [("If-Match", "W/\(tag)")])
      #expect(weak.status == 412)
      let changed = try server.call("PATCH", path, #"{"title":"A"}"#, type: patch, [("If-Match", tag)])
      #expect(changed.status == 200 && changed.json["title"] as? String == "A")
      #expect(changed["ETag"] != tag && changed["ETag"] != nil)
      #expect(changed.json["tags"] as? [String] == ["odd", "number"])
      // Nothing is changed, so the tag stays.
      let again = try server.call("PATCH", path, #"{"title":"A"}"#, type: patch, [("If-Match", "*")])
      #expect(again["ETag"] == changed["ETag"])
      let put = try server.call("PUT", path, #"{"description":"D"}"#, [("If-Match", changed["ETag"] ?? "")])
      #expect(put.status == 200 && put.json["title"] as? String == "" && put.json["tags"] as? [String] == [])
      let other = try server.call("PATCH", path, "{}", [("If-Match", "*")])
      #expect(other.status == 415 && other["Accept-Patch"] == patch)
      let restored = #"{"title":"Video 5","tags":["odd","number"],"description":null}"#
      #expect(try server.call("PATCH", path, restored, type: patch, [("If-Match", "*")]).status == 200)
    }

    @Test func aRemovedVideoIsGone() throws {
      let server = try Served.server
      try server.importAsset("gone", Fixtures.path(APIFixture.film))
      let path = "/api/v1/videos/gone"
      let tag = try #require(try server.call("GET", path)["ETag"])
      #expect(try server.call("DELETE", path).status == 428)
      #expect(try server.call("DELETE", path, nil, [("If-Match", "\"x\"")]).status == 412)
      #expect(try server.request("GET", "/v/gone/source").status == 200)
      let removed = try server.call("DELETE", path, nil, [("If-Match", tag)])
      #expect(removed.status == 204 && removed.body.isEmpty && removed["Content-Length"] == nil)
      #expect(try server.call("GET", path).code == "video-unknown")
      #expect(try server.request("GET", "/v/gone/source").status == 404)
      #expect(try server.call("DELETE", path, nil, [("If-Match", "*")]).status == 404)
    }

    @Test(arguments: [
      ("sort=id", ["film", "v1", "v2", "v3", "v4", "v5"]), ("", ["v5", "v4", "v3", "v2", "v1", "film"]),
      ("sort=title&tag=number", ["v5", "v4", "v3", "v2", "v1"]), ("tag=even&sort=id", ["v2", "v4"]),
      ("q=VIDEO+3", ["v3"]), ("q=odd&sort=-title", ["v1", "v3", "v5"]), ("q=nothing", []),
      ("status=failed", []), ("privacy=public&sort=created", ["film", "v1", "v2", "v3", "v4", "v5"]),
    ])
    func listsAreFilteredSortedAndPaged(query: String, expected: [String]) throws {
      let server = try Served.server
      for limit in [1, 2, 100] {
        var found: [String] = []
        var cursor: String?
        repeat {
          let next = cursor.map { "&cursor=\($0)" } ?? ""
          let answer = try server.call("GET", "/api/v1/videos?\(query)&limit=\(limit)\(next)")
          try #require(answer.status == 200, "\(answer.text)")
          let videos = try #require(answer.json["videos"] as? [[String: Any]])
          #expect(videos.count <= limit)
          found += videos.compactMap { $0["video_id"] as? String }
          cursor = answer.json["next_cursor"] as? String
        } while cursor != nil && found.count < 20
        // What another test makes and removes meanwhile is not this one's.
        #expect(found.filter { $0 != "gone" } == expected, "limit \(limit)")
      }
    }

    @Test(arguments: [
      "limit=0", "limit=101", "limit=x", "sort=size", "status=gone", "colour=red", "limit=1&limit=2", "q=%ff",
      "cursor=x", "cursor=AAAAAAAAAAAAAA", "q=%zz",
    ])
    func parametersThatMeanNothingAreRefused(query: String) throws {
      let answer = try Served.server.call("GET", "/api/v1/videos?\(query)")
      #expect(answer.status == 400 && answer["Content-Type"] == "application/problem+json")
      let code = query.hasPrefix("cursor") ? "invalid-cursor" : "invalid-parameter"
      #expect(answer.code == code, "\(answer.text)")
    }

    @Test func aCursorBelongsToItsList() throws {
      let server = try Served.server
      let page = try server.call("GET", "/api/v1/videos?limit=1&tag=number")
      let cursor = try #require(page.json["next_cursor"] as? String)
      #expect(try server.call("GET", "/api/v1/videos?limit=2&tag=number&cursor=\(cursor)").status == 200)
      #expect(try server.call("GET", "/api/v1/videos?limit=1&tag=odd&cursor=\(cursor)").status == 400)
    }

    // MARK: - Media

    @Test func theBestRenditionStreamsWithRanges() throws {
      let server = try Served.server
      let path = "/api/v1/videos/film/stream"
      let file = try bytes(ofFile: Fixtures.path(APIFixture.film))
      let whole = try server.call("GET", path)
      #expect(whole.status == 200 && whole["Content-Type"] == "video/mp4")
      #expect(whole["Cache-Control"] == "no-store" && whole["CDN-Cache-Control"] == nil)
      #expect(Content(whole.body) == Content(file))
      let part = try server.call("GET", path, nil, [("Range", "bytes=100-199")])
      #expect(part.status == 206 && part.body == Array(file[100..<200]))
      let tag = try #require(whole["ETag"])
      #expect(try server.call("GET", path, nil, [("If-None-Match", tag)]).status == 304)
      #expect(try server.request("GET", path).status == 401)
    }

    @Test func playlistsPlayWithTheTokenAlone() throws {
      let server = try Served.server
      for name in ["playlist.m3u8", "manifest.mpd"] {
        let media = name == "playlist.m3u8" ? "master.m3u8" : name
        let answer = try server.call("GET", "/api/v1/videos/film/\(name)")
        #expect(answer.status == 200)
        #expect(try answer.text == server.request("GET", "/v/film/\(media)").text)
      }
      let played = try Command.run(
        "ffmpeg",
        [
          "-v", "warning", "-nostdin", "-xerror", "-headers", "Authorization: Bearer \(APIFixture.token)\r\n",
          "-i", server.url("/api/v1/videos/film/playlist.m3u8"), "-map", "0", "-c", "copy", "-f", "null", "-",
        ])
      #expect(played.status == 0 && played.errors.isEmpty, "\(played.errors)")
    }

    // MARK: - Blobs

    @Test func blobsAreStoredUnderTheirDigest() throws {
      let server = try Served.server
      var random = SplitMix64(seed: 11)
      let bytes = random.bytes(3_000_003)
      let name = try APIFixture.sha256(bytes)
      let octets = [APIFixture.bearer, ("Content-Type", "application/octet-stream")]
      let put = try server.request("PUT", "/blob/\(name)", octets, body: bytes)
      #expect(put.status == 201 && put.json["size_bytes"] as? Int == bytes.count, "\(put.text)")
      #expect(try server.request("PUT", "/blob/\(name)", octets, body: bytes).status == 200)
      let wrong = String(name.reversed())
      #expect(try server.request("PUT", "/blob/\(wrong)", octets, body: bytes).code == "digest-mismatch")
      #expect(try server.request("PUT", "/blob/xyz", octets, body: bytes).code == "invalid-parameter")
      #expect(try server.request("PUT", "/blob/\(name)", [], body: bytes).status == 401)
      let stored = server.folder.path(
        "storage/blobs/\(name.prefix(2))/\(name.dropFirst(2).prefix(2))/\(name)")
      #expect(try APIFixture.sha256(Support.bytes(ofFile: stored)) == name)
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: server.folder.path("storage/incoming")) == [])
    }

    /// curl sends `Expect: 100-continue`, chunks and HTTP/2 by prior knowledge.
    @Test(arguments: [
      ["--http1.1", "-H", "Expect: 100-continue"], ["--http1.1", "-H", "Transfer-Encoding: chunked"],
      ["--http2-prior-knowledge"], ["--http2-prior-knowledge", "-H", "Expect: 100-continue"],
    ])
    func bodiesComeInEveryForm(arguments: [String]) throws {
      let server = try Served.server
      var random = SplitMix64(seed: 12)
      let file = try server.folder.write(
        "upload-\(arguments.count)\(arguments[0]).bin", random.bytes(2_500_000))
      let name = try APIFixture.sha256(bytes(ofFile: file))
      let common = ["-sS", "--max-time", "30", "-H", "Authorization: Bearer \(APIFixture.token)"] + arguments
      let put = try Command.run("curl", common + ["-T", file, server.url("/blob/\(name)")])
      #expect(put.status == 0 && put.text.contains(name), "\(put.text) \(put.errors)")
      let patch = try Command.run(
        "curl",
        common + [
          "-X", "PATCH", "-H", "Content-Type: application/merge-patch+json; charset=utf-8", "-H",
          "If-Match: *", "--data", #"{"description":"\#(name)"}"#, server.url("/api/v1/videos/v5"),
        ])
      #expect(patch.text.contains(#""description":"\#(name)""#), "\(patch.text) \(patch.errors)")
      let read = try Command.run("curl", common + [server.url("/api/v1/videos/v5")])
      #expect(read.text.contains(name))
    }
  }
}

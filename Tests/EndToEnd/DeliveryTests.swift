import Foundation
import Support
import Testing

extension EndToEnd {
  /// Bytes, ranges, conditions and headers of every kind of answer, asked by curl.
  @Suite(.delivery) struct DeliveryTests {
    /// One path of each kind of answer.
    static func kinds(_ server: ServerUnderTest) throws -> [String] {
      let presentation = try Presentation(server, asset: "film")
      let first = try #require(presentation.playlists.first)
      return [
        "/v/film/source", "/v/film/master.m3u8", "/v/film/manifest.mpd", first.path,
        try #require(first.playlist.initSegment), try presentation.segment(1), "/f/notes.txt", "/f/big.bin",
      ]
    }

    // MARK: - Bytes

    @Test func theSourceIsTheFileThatCameIn() throws {
      let answer = try Served.server.curl("/v/film/source")
      #expect(answer.status == 200)
      #expect(try Content(answer.body) == Content(ofFile: Fixtures.path(film)))
      #expect(answer["Content-Type"] == "video/mp4")
      #expect(answer["Accept-Ranges"] == "bytes")
    }

    @Test func staticFilesAreWhatWasPut() throws {
      let server = try Served.server
      let notes = try server.curl("/f/notes.txt")
      #expect(notes.status == 200)
      #expect(try Content(notes.body) == Content(ofFile: Fixtures.path("notes.txt")))
      #expect(notes["Content-Type"]?.hasPrefix("text/plain") == true)
      let big = try server.curl("/f/big.bin")
      #expect(try Content(big.body) == Content(ofFile: server.folder.path("big.bin")))
      #expect(big["Content-Type"] == "application/octet-stream")
      let empty = try server.curl("/f/empty.bin")
      #expect(empty.status == 200)
      #expect(empty["Content-Length"] == "0")
    }

    /// Each row: a Range field, and what RFC 9110 §14 allows for 1,920 bytes.
    @Test(arguments: [
      ("bytes=0-0", 0..<1), ("bytes=5-9", 5..<10), ("bytes=1919-", 1919..<1920), ("bytes=-1", 1919..<1920),
      ("bytes=-5000", 0..<1920), ("bytes=1900-99999", 1900..<1920), ("bytes=0-1919", 0..<1920),
      ("Bytes=3-4", 3..<5), ("bytes= 7-8", 7..<9), ("bytes=0-0,5000-", 0..<1),
      ("bytes=18-18446744073709551616", 18..<1920),
    ])
    func aRangeIsASliceOfTheWhole(_ range: String, _ expected: Range<Int>) throws {
      let whole = try bytes(ofFile: Fixtures.path("notes.txt"))
      let answer = try Served.server.curl("/f/notes.txt", [("Range", range)])
      #expect(answer.status == 206)
      #expect(answer["Content-Range"] == "bytes \(expected.lowerBound)-\(expected.upperBound - 1)/1920")
      #expect(answer["Content-Length"] == "\(expected.count)")
      #expect(Content(answer.body) == Content(whole[expected]))
      #expect(answer["ETag"] != nil && answer["Last-Modified"] != nil && answer["Cache-Control"] != nil)
    }

    @Test(arguments: [
      "bytes=1920-", "bytes=-0", "bytes=99999999999999999999-", "bytes=5000-6000,7000-",
    ])
    func aRangeBeyondTheEndIsNotSatisfiable(_ range: String) throws {
      let answer = try Served.server.curl("/f/notes.txt", [("Range", range)])
      #expect(answer.status == 416)
      #expect(answer["Content-Range"] == "bytes */1920")
    }

    /// What is no valid byte range is ignored, or refused as unsatisfiable; never answered with 206.
    @Test(arguments: [
      "items=0-1", "bytes=abc", "bytes=", "bytes", "bytes=5-4", "bytes=-", "bytes=1-2-3", "bytes=+1-2",
      "=0-1",
      "bytes=0x0-1",
    ])
    func whatIsNoRangeIsNotAnsweredInPart(_ range: String) throws {
      let answer = try Served.server.curl("/f/notes.txt", [("Range", range)])
      #expect(answer.status == 200 || (answer.status == 416 && range.hasPrefix("bytes=")))
      if answer.status == 200 { #expect(answer.body.count == 1920) }
    }

    @Test func severalRangesComeAsMultipart() throws {
      let server = try Served.server
      for path in try [Self.kinds(server)[5], "/f/big.bin"] {
        let whole = try server.curl(path).body
        let answer = try server.curl(path, [("Range", "bytes=10-19,1000-1099,-7")])
        #expect(answer.status == 206)
        #expect(answer["Content-Range"] == nil)
        let parts = try multipart(answer)
        #expect(
          parts.map(\.range) == [
            "bytes 10-19/\(whole.count)", "bytes 1000-1099/\(whole.count)",
            "bytes \(whole.count - 7)-\(whole.count - 1)/\(whole.count)",
          ])
        #expect(
          parts.map(\.body) == [Array(whole[10..<20]), Array(whole[1000..<1100]), Array(whole.suffix(7))])
      }
    }

    /// CVE-2011-3192 and its kind: many or overlapping ranges never cost more than the object.
    @Test func manyRangesNeverSendMoreThanTheObject() throws {
      let server = try Served.server
      let overlapping = (0..<200).map { "\($0)-" }.joined(separator: ",")
      let suffixes = Array(repeating: "-9223372036854775807", count: 4).joined(separator: ",")
      for range in [
        overlapping, suffixes, "0-,-1", (0..<17).map { "\($0 * 2)-\($0 * 2)" }.joined(separator: ","),
      ] {
        let answer = try server.curl("/f/notes.txt", [("Range", "bytes=\(range)")])
        #expect([200, 206, 416].contains(answer.status))
        #expect(answer.body.count <= 1920 + 17 * 200, "\(range.prefix(40)): \(answer.body.count) bytes")
      }
    }

    /// Seeded random slices of an answer that is made on request are slices of the whole.
    @Test func rangesOfMadeAnswersAreSlicesOfTheWhole() throws {
      let server = try Served.server
      let seed: UInt64 = 9110
      var random = SplitMix64(seed: seed)
      for path in try Self.kinds(server) {
        let whole = try server.curl(path).body
        let connection = try server.connect()
        for _ in 0..<40 {
          let first = Int.random(in: 0..<whole.count, using: &random)
          let last = Int.random(in: first..<whole.count, using: &random)
          try connection.send(
            "GET \(path) HTTP/1.1\r\nHost: localhost\r\nRange: bytes=\(first)-\(last)\r\n\r\n")
          let answer = try connection.response()
          try #require(
            answer.status == 206 && answer.body == Array(whole[first...last]),
            "\(path) bytes \(first)-\(last), seed \(seed)")
        }
      }
    }

    @Test(.enabled(if: Checkout.tool("aria2c") != nil, "aria2c is not installed"))
    func aDownloadInEightPiecesIsIdentical() throws {
      let server = try Served.server
      let folder = try TemporaryFolder("aria2")
      let done = try Command.run(
        "aria2c",
        [
          "-q", "-x", "8", "-s", "8", "-k", "1M", "-d", folder.url.path, "-o", "out",
          server.url("/f/big.bin"),
        ])
      #expect(done.status == 0)
      #expect(try Content(ofFile: folder.path("out")) == Content(ofFile: server.folder.path("big.bin")))
    }

    // MARK: - Conditions

    @Test func conditionsAreJudgedInTheirOrder() throws {
      let server = try Served.server
      let past = "Mon, 01 Jan 2001 00:00:00 GMT"
      for path in try Self.kinds(server) {
        let plain = try server.curl(path)
        let tag = try #require(plain["ETag"])
        let modified = try #require(plain["Last-Modified"])
        #expect(tag.hasPrefix("\"") && tag.hasSuffix("\""), "a strong tag: \(tag)")
        let rows: [(fields: [(String, String)], status: Int)] = [
          ([("If-None-Match", tag)], 304), ([("If-None-Match", "W/\(tag)")], 304),
          ([("If-None-Match", "*")], 304),
          ([("If-None-Match", "\"a,b\", \(tag)")], 304), ([("If-None-Match", "\"other\"")], 200),
          ([("If-Match", tag)], 200), ([("If-Match", "*")], 200), ([("If-Match", "\"other\"")], 412),
          ([("If-Match", "W/\(tag)")], 412), ([("If-Modified-Since", modified)], 304),
          ([("If-Modified-Since", past)], 200), ([("If-Modified-Since", "yesterday")], 200),
          ([("If-Unmodified-Since", past)], 412), ([("If-Unmodified-Since", modified)], 200),
          // If-None-Match makes If-Modified-Since irrelevant, If-Match the other one (RFC 9110 §13.2.2).
          ([("If-None-Match", "\"other\""), ("If-Modified-Since", modified)], 200),
          ([("If-Match", tag), ("If-Unmodified-Since", past)], 200),
          ([("If-Match", "\"other\""), ("If-None-Match", tag)], 412),
          // Ranges come last.
          ([("If-None-Match", tag), ("Range", "bytes=0-3")], 304),
          ([("If-Range", tag), ("Range", "bytes=0-3")], 206),
          ([("If-Range", "W/\(tag)"), ("Range", "bytes=0-3")], 200),
          ([("If-Range", "\"other\""), ("Range", "bytes=0-3")], 200),
          ([("If-Range", past), ("Range", "bytes=0-3")], 200), ([("If-Range", tag)], 200),
        ]
        for row in rows {
          let answer = try server.curl(path, row.fields)
          #expect(answer.status == row.status, "\(path) \(row.fields)")
          if row.status == 304 {
            #expect(answer["ETag"] == tag && answer["Cache-Control"] == plain["Cache-Control"], "\(path)")
          }
          if row.status == 200 {
            #expect(Content(answer.body) == Content(plain.body), "\(path) \(row.fields)")
          }
        }
      }
    }

    @Test func headAnswersTheFieldsOfGet() throws {
      let server = try Served.server
      for path in try Self.kinds(server) + ["/f/none", "/v/none/master.m3u8"] {
        let get = try server.curl(path)
        let head = try server.curl(path, method: "HEAD")
        #expect(head.status == get.status, "\(path)")
        #expect(head.body.isEmpty)
        let own: Set<String> = ["date", "x-request-id"]
        func comparable(_ answer: RawResponse) -> [String] {
          answer.fields.filter { !own.contains($0.name.lowercased()) }.map { "\($0.name): \($0.value)" }
        }
        #expect(comparable(head) == comparable(get), "\(path)")
      }
      // Range is defined for GET only (RFC 9110 §14.2).
      let ranged = try server.curl("/f/notes.txt", [("Range", "bytes=0-3")], method: "HEAD")
      #expect(ranged.status == 200 && ranged["Content-Length"] == "1920")
    }

    // MARK: - Headers

    @Test func browsersOfOtherOriginsMayRead() throws {
      let server = try Served.server
      for path in try Self.kinds(server) + ["/f/none"] {
        let answer = try server.curl(path)
        #expect(
          answer["Access-Control-Allow-Origin"] == "*", "\(path), without Origin too: caches are shared")
        #expect(answer["Set-Cookie"] == nil)
        #expect(answer["Vary"] == nil, "\(path): nothing that splits a cache")
        let exposed = (answer["Access-Control-Expose-Headers"] ?? "").lowercased()
        for name in ["content-length", "content-range", "etag", "date"] {
          #expect(exposed.contains(name), "\(path): \(name)")
        }
      }
      let asked = [
        ("Origin", "https://player.example"), ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "range,if-range"),
      ]
      let preflight = try server.curl("/v/film/master.m3u8", asked, method: "OPTIONS")
      #expect(preflight.status == 204)
      let methods = (preflight["Access-Control-Allow-Methods"] ?? "")
      #expect(methods.contains("GET") && methods.contains("HEAD"))
      let allowed = (preflight["Access-Control-Allow-Headers"] ?? "").lowercased()
      #expect(allowed.contains("range") && allowed.contains("if-range"))
      #expect(Int(preflight["Access-Control-Max-Age"] ?? "") ?? 0 > 0)
    }

    @Test func childrenAreImmutableAndManifestsAreShort() throws {
      let server = try Served.server
      let presentation = try Presentation(server, asset: "film")
      let mpd = try server.curl("/v/film/manifest.mpd")
      #expect(mpd["Content-Type"] == "application/dash+xml")
      #expect(mpd.text.contains("/g/") || mpd.text.contains("g/"), "an MPD names its children by generation")
      let master = try server.curl("/v/film/master.m3u8")
      #expect(master["Content-Type"] == "application/vnd.apple.mpegurl")
      for answer in [master, mpd] {
        let age = try #require(maximumAge(answer))
        #expect((0...3600).contains(age))
        #expect(answer["Cache-Control"]?.contains("immutable") == false)
      }
      for child in presentation.master.playlists + presentation.children {
        #expect(child.hasPrefix("/v/film/g/"), "\(child)")
        let answer = try server.curl(child)
        #expect(answer.status == 200, "\(child)")
        #expect(
          maximumAge(answer) == 31_536_000 && answer["Cache-Control"]?.contains("immutable") == true,
          "\(child)")
      }
      for answer in [try server.curl("/v/film/none.m4s"), try server.curl("/f/none")] {
        #expect(answer.status == 404)
        let control = answer["Cache-Control"] ?? ""
        #expect(control.contains("no-store") || (maximumAge(answer) ?? .max) <= 60, "\(control)")
      }
    }

    /// The form without `g/` answers the newest generation, with the short lifetime.
    @Test func bothFormsOfAPathAnswerTheSameBytes() throws {
      let server = try Served.server
      let child = try Presentation(server, asset: "film").segment(0)
      let plain = child.replacing(/\/g\/[0-9a-f]{12}\//, with: "/")
      #expect(plain != child)
      let versioned = try server.curl(child)
      let newest = try server.curl(plain)
      #expect(newest.status == 200 && newest.body == versioned.body)
      #expect(newest["Cache-Control"]?.contains("immutable") == false)
      let unknown = try server.curl(child.replacing(/\/g\/[0-9a-f]{12}\//, with: "/g/0123456789ab/"))
      #expect(unknown.status == 404)
    }

    @Test func answersCarryTheKeysTheyArePurgedBy() throws {
      let server = try Served.server
      let presentation = try Presentation(server, asset: "film")
      for path in try ["/v/film/master.m3u8", presentation.master.playlists[0], presentation.segment(0)] {
        let answer = try server.curl(path)
        let keys = (answer["Surrogate-Key"] ?? "").split(separator: " ").map(String.init)
        #expect(keys.contains("site-demo") && keys.contains("asset-film"), "\(path): \(keys)")
        #expect(keys.contains { $0.hasPrefix("kind-") }, "\(path): \(keys)")
        if path.contains("/g/") {
          #expect(keys.contains { $0.hasPrefix("rendition-film-") }, "\(path): \(keys)")
        }
        let tags = (answer["Cache-Tag"] ?? "").split { $0 == "," || $0 == " " }.map(String.init)
        #expect(Set(tags) == Set(keys), "\(path)")
      }
    }

    @Test func datesAndRequestIDs() throws {
      let server = try Served.server
      let answer = try server.curl("/v/film/source", [("X-Request-Id", "abc-123_DEF")])
      #expect(answer["X-Request-Id"] == "abc-123_DEF")
      let format = DateFormatter()
      format.locale = Locale(identifier: "en_US_POSIX")
      format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
      format.timeZone = TimeZone(secondsFromGMT: 0)
      let modified = try #require(answer["Last-Modified"].flatMap(format.date))
      let date = try #require(answer["Date"].flatMap(format.date))
      #expect(modified <= date && abs(date.timeIntervalSinceNow) < 5)
      let made = try [0, 1].map { _ in try #require(server.curl("/f/notes.txt")["X-Request-Id"]) }
      #expect(made[0] != made[1])
      // What could forge a log line is not echoed.
      let forged = try server.curl("/f/notes.txt", [("X-Request-Id", "a\"b{c}\tend")])
      #expect(forged["X-Request-Id"] != "a\"b{c}\tend")
      let long = try server.curl("/f/notes.txt", [("X-Request-Id", String(repeating: "x", count: 2000))])
      #expect((long["X-Request-Id"]?.count ?? 2000) < 2000)
    }

    // MARK: - Errors

    @Test(arguments: [
      "/", "/v", "/v/", "/v/none/master.m3u8", "/v/film", "/v/film/", "/v/film/none", "/v/film/source/",
      "/v/film/source/segment_9999.m4s", "/v/film/source/segment_1.m4s", "/v/film/g/zzz/master.m3u8", "/f/",
      "/f/none",
      "/f/../notes.txt", "/V/film/source", "/v/FILM/source", "/favicon.ico",
    ])
    func anUnknownPathIsAProblemDocument(_ path: String) throws {
      let server = try Served.server
      let answer = try server.curl(path)
      #expect([400, 404].contains(answer.status), "\(path): \(answer.status)")
      #expect(answer["Content-Type"] == "application/problem+json")
      let problem = try #require(
        try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: any Sendable])
      #expect(problem["status"] as? Int == answer.status)
      #expect(problem["title"] is String)
      #expect(!answer.text.contains(server.folder.url.path), "no path of the machine")
    }

    @Test func methodsThatMediaDoNotHave() throws {
      let server = try Served.server
      for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = try server.curl("/v/film/source", method: method)
        #expect(answer.status == 405, "\(method)")
        let allow = answer["Allow"] ?? ""
        #expect(allow.contains("GET") && allow.contains("HEAD"), "\(method): \(allow)")
      }
    }

    // MARK: - Connections

    @Test func oneConnectionAnswersManyRequestsInOrder() throws {
      let server = try Served.server
      let paths = try Self.kinds(server)
      let expected = try paths.map { try server.curl($0).body }
      let connection = try server.connect()
      for _ in 0..<20 {
        // All at once: answers come in the order of the requests.
        try connection.send(paths.map { "GET \($0) HTTP/1.1\r\nHost: localhost\r\n\r\n" }.joined())
        for (path, body) in zip(paths, expected) {
          let answer = try connection.response()
          try #require(answer.status == 200 && answer.body == body, "\(path)")
        }
      }
    }

    @Test func http10ClosesUnlessAskedToStay() throws {
      let server = try Served.server
      let closing = try server.connect()
      try closing.send("GET /f/notes.txt HTTP/1.0\r\nHost: localhost\r\n\r\n")
      #expect(try closing.response().body.count == 1920)
      #expect(closing.isClosedByPeer())
      let staying = try server.connect()
      for _ in 0..<2 {
        try staying.send("GET /f/notes.txt HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
        #expect(try staying.response().body.count == 1920)
      }
    }
  }
}

/// The file behind the asset `film`.
private let film = "h264-aac-2997.mp4"

extension Trait where Self == Served {
  /// Two loops, one asset, a few static files.
  fileprivate static var delivery: Self {
    var options = ServerUnderTest.Options()
    options.threads = 2
    return .served(options) { server in
      try server.importAsset("film", Fixtures.path(film))
      try server.putFile("notes.txt", Fixtures.path("notes.txt"))
      var random = SplitMix64(seed: 20_260_101)
      try server.putFile("big.bin", server.folder.write("big.bin", random.bytes(5_000_011)))
      try server.putFile("empty.bin", server.folder.write("empty.bin", []))
    }
  }
}

private func maximumAge(_ answer: RawResponse) -> Int? {
  guard let control = answer["Cache-Control"],
    let match = control.firstMatch(of: /(?:^|[ ,])max-age=([0-9]+)/)
  else { return nil }
  return Int(match.1)
}

/// The parts of a `multipart/byteranges` answer; throws when the framing is not exactly that of RFC 2046.
func multipart(_ answer: RawResponse) throws -> [(range: String, body: [UInt8])] {
  guard let type = answer["Content-Type"], type.hasPrefix("multipart/byteranges"),
    let boundary = type.firstMatch(of: /boundary="?([^";]+)"?/)
  else { throw SupportError("not multipart: \(answer["Content-Type"] ?? "")") }
  var rest = answer.body[...]
  var parts: [(String, [UInt8])] = []
  func take(_ text: String) throws {
    guard rest.starts(with: Array(text.utf8)) else {
      throw SupportError("expected \(text) at \(String(decoding: rest.prefix(80), as: UTF8.self))")
    }
    rest = rest.dropFirst(text.utf8.count)
  }
  if rest.starts(with: [13, 10]) { rest = rest.dropFirst(2) }
  while true {
    try take("--\(boundary.1)")
    if rest.starts(with: Array("--".utf8)) { return parts }
    try take("\r\n")
    var range = ""
    while !rest.starts(with: [13, 10]) {
      let line = String(decoding: rest.prefix { $0 != 13 }, as: UTF8.self)
      rest = rest.dropFirst(line.utf8.count)
      try take("\r\n")
      if line.lowercased().hasPrefix("content-range: ") { range = String(line.dropFirst(15)) }
    }
    try take("\r\n")
    guard let span = range.firstMatch(of: /bytes ([0-9]+)-([0-9]+)\//), let first = Int(span.1),
      let last = Int(span.2), last >= first, rest.count > last - first
    else { throw SupportError("no usable Content-Range in a part: \(range)") }
    parts.append((range, Array(rest.prefix(last - first + 1))))
    rest = rest.dropFirst(last - first + 1)
    try take("\r\n")
  }
}

import Foundation
import Support
import Testing

extension EndToEnd {
  /// HTTP/2 as curl and h2load speak it, by prior knowledge and over TLS.
  @Suite struct HTTP2Tests {
    private final class Installation: Sendable {
      let certificates: Certificates
      let server: ServerUnderTest

      init(_ change: (inout ServerUnderTest.Options) -> Void = { _ in }) throws {
        certificates = try Certificates()
        try certificates.make("a", hosts: ["localhost"])
        var options = ServerUnderTest.Options()
        options.listen.append("127.0.0.1:0 tls")
        options.sites = [
          "demo": """
          hosts = ["*"]
          [tls]
          certificate = "\(certificates.path("a.pem"))"
          key_file = "\(certificates.path("a.key"))"
          """
        ]
        change(&options)
        server = try ServerUnderTest(options)
      }

      /// The two ways to HTTP/2, as curl takes them.
      func curl(_ path: String, isEncrypted: Bool, _ arguments: [String] = []) throws -> Command {
        let way =
          isEncrypted
          ? ["--http2", "--cacert", certificates.authority, "https://localhost:\(server.tlsPort)\(path)"]
          : ["--http2-prior-knowledge", server.url(path)]
        return try Command.run("curl", ["-sS", "--max-time", "30"] + arguments + way)
      }
    }

    private static func random(_ count: Int) -> [UInt8] {
      var random = SplitMix64(seed: 6)
      return random.bytes(count)
    }

    @Test(arguments: [false, true]) func answersAreTheSameAsOfHTTP1(_ isEncrypted: Bool) throws {
      let it = try Installation { $0.tables = "[log]\naccess = \"combined\"" }
      let large = Self.random(9 << 20)
      try it.server.putFile("large.bin", it.server.folder.write("large.bin", large))
      try it.server.putFile("small.txt", it.server.folder.write("small.txt", text: "small"))
      try it.server.start()
      try it.server.importAsset("film", Fixtures.path("h264-aac-faststart.mp4"))
      let segment = try Presentation(it.server, asset: "film").segment(0)

      for path in [
        "/f/large.bin", "/f/small.txt", "/v/film/master.m3u8", "/v/film/manifest.mpd", segment,
      ] {
        let plain = try it.server.request("GET", path)
        for _ in 0..<2 {  // Made and put together, then found.
          let answer = try it.curl(
            path, isEncrypted: isEncrypted, ["-w", "%{stderr}%{http_version} %{http_code}"])
          #expect(answer.errors == "2 200", "\(path)")
          #expect(Content(answer.output) == Content(plain.body), "\(path)")
        }
      }
      let range = try it.curl("/f/large.bin", isEncrypted: isEncrypted, ["-r", "1000-5000000"])
      #expect(Content(range.output) == Content(large[1000...5_000_000]))
      let parts = try it.curl("/f/large.bin", isEncrypted: isEncrypted, ["-r", "0-9,100-199"])
      #expect(parts.text.contains("Content-Range: bytes 100-199/\(large.count)") || parts.output.count > 110)
      let head = try it.curl("/f/large.bin", isEncrypted: isEncrypted, ["-I", "-H", "X-Request-Id: mine"])
      #expect(head.text.contains("HTTP/2 200") && head.text.contains("content-length: \(large.count)"))
      #expect(head.text.contains("x-request-id: mine") && !head.text.lowercased().contains("connection:"))
      let tag = try #require(head.text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("etag: ") })
        .dropFirst(6)
      let same = try it.curl("/f/large.bin", isEncrypted: isEncrypted, ["-i", "-H", "If-None-Match: \(tag)"])
      #expect(same.text.hasPrefix("HTTP/2 304"))
      for (method, status) in [("OPTIONS", 204), ("POST", 405), ("BREW", 501)] {
        let answer = try it.curl(
          "/f/small.txt", isEncrypted: isEncrypted, ["-i", "-X", method, "-d", "body"])
        #expect(answer.text.hasPrefix("HTTP/2 \(status)"), "\(method)")
      }
      let slow = try it.curl("/f/large.bin", isEncrypted: isEncrypted, ["--limit-rate", "6M"])
      #expect(Content(slow.output) == Content(large))
      #expect(it.server.log.contains("\"GET /f/large.bin HTTP/2.0\" 206"))
      #expect(try it.server.stop() == 0)
    }

    @Test func theLogNamesTheProtocol() throws {
      let it = try Installation()
      try it.server.putFile("a.txt", it.server.folder.write("a.txt", text: "a"))
      try it.server.start()
      func named(_ path: String) -> String? { it.server.logLine { $0.contains(path) } }
      #expect(try it.server.request("GET", "/f/a.txt?1").status == 200)
      #expect(named("a.txt?1")?.contains(#""protocol":"HTTP/1.1","status""#) == true)
      #expect(try it.curl("/f/a.txt?2", isEncrypted: false).text == "a")
      #expect(named("a.txt?2")?.contains(#""protocol":"HTTP/2","status""#) == true)
      #expect(try it.curl("/f/a.txt?3", isEncrypted: true, ["--tls-max", "1.2"]).text == "a")
      #expect(named("a.txt?3")?.contains(#""protocol":"HTTP/2","tls":"TLSv1.2""#) == true)
      #expect(try it.curl("/f/a.txt?4", isEncrypted: true).text == "a")
      #expect(named("a.txt?4")?.contains(#""protocol":"HTTP/2","tls":"TLSv1.3""#) == true)
      #expect(try it.server.stop() == 0)
    }

    /// Limits of a head are those of HTTP/1.1, at each and one past it.
    @Test func limitsOfTheHead() throws {
      let it = try Installation {
        $0.tables = "[limits]\nrequest_line = \"256B\"\nheader_block = \"1KiB\"\nfields = 10"
      }
      try it.server.start()
      func status(_ path: String, _ fields: [String]) throws -> String {
        let words = fields.flatMap { ["-H", $0] }
        return try it.curl(
          path, isEncrypted: false,
          ["-o", "/dev/null", "-w", "%{http_code}", "-H", "User-Agent:", "-H", "Accept:"] + words
        ).text
      }
      // Method and target, the two spaces and the version.
      let longest = "/f/" + String(repeating: "a", count: 256 - 3 - 3 - 10)
      #expect(try status(longest, []) == "404")
      #expect(try status(longest + "a", []) == "414")
      #expect(try status("/f/a", (0..<10).map { "x-\($0): 1" }) == "404")
      #expect(try status("/f/a", (0..<11).map { "x-\($0): 1" }) == "431")
      let value = String(repeating: "b", count: 1024 - 2 - 4 - 1)
      #expect(try status("/f/a", ["x: \(value)"]) == "404")
      #expect(try status("/f/a", ["x: \(value)b"]) == "431")
      #expect(try it.server.stop() == 0)
    }

    @Test func manyStreamsOfManyConnections() throws {
      let it = try Installation { $0.threads = 2 }
      try it.server.putFile("k.bin", it.server.folder.write("k.bin", Self.random(100_000)))
      try it.server.start()
      for url in [it.server.url("/f/k.bin"), "https://127.0.0.1:\(it.server.tlsPort)/f/k.bin"] {
        // No more requests for each connection than it may make.
        let done = try Command.run("h2load", ["-n", "6000", "-c", "8", "-m", "50", url])
        #expect(done.text.contains("6000 done, 6000 succeeded, 0 failed, 0 errored"), "\(done.text)")
      }
      #expect(try it.server.stop() == 0)
    }

    /// A server that stops tells its clients first, finishes what it is at, and is gone in time.
    @Test func drainingSaysGoAway() throws {
      let it = try Installation()
      let large = Self.random(6 << 20)
      try it.server.putFile("large.bin", it.server.folder.write("large.bin", large))
      try it.server.start()
      let client = try HTTP2Client(port: it.server.port, settings: [(4, 100)])
      try client.send([HTTP2Frame.request(HTTP2Frame.get("/f/large.bin"))])
      var count = try client.first { $0.kind == .data }?.payload.count ?? 0
      it.server.signal(SIGTERM)
      let notice = try #require(try client.first { $0.kind == .goAway })
      #expect(notice.payload.starts(with: HTTP2Frame.word(0x7FFF_FFFF)) && notice.errorCode == 0)
      // A request that was under way is answered too.
      try client.send([
        HTTP2Frame.request(HTTP2Frame.get("/f/none"), stream: 3),
        HTTP2Frame(.windowUpdate, stream: 0, HTTP2Frame.word(1 << 30)),
        HTTP2Frame(.windowUpdate, stream: 1, HTTP2Frame.word(1 << 30)),
        HTTP2Frame(.windowUpdate, stream: 3, HTTP2Frame.word(1 << 30)),
      ])
      var last: UInt32?
      var answered: Set<UInt32> = []
      while let frame = try client.next() {
        if frame.kind == .data, frame.stream == 1 { count += frame.payload.count }
        if frame.kind == .headers { answered.insert(frame.stream) }
        if frame.kind == .goAway { last = frame.payload.prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }
      }
      #expect(count == large.count && answered.contains(3) && last == 3)
      #expect(try it.server.waitForEnd() == 0)
    }
  }
}

import Foundation
import Support
import Testing

extension EndToEnd {
  /// Each limit of `[limits]` that is not the parser's, at it and one past it. `HostileTests` has those of the parser.
  @Suite struct LimitsTests {
    private static let get = "GET /f/notes.txt HTTP/1.1\r\nHost: localhost\r\n"

    private func server(_ limits: String, server: String = "", launcher: [String] = []) throws
      -> ServerUnderTest
    {
      var options = ServerUnderTest.Options()
      options.server = server
      options.tables = "[limits]\n\(limits)"
      let server = try ServerUnderTest(options)
      try server.putFile("notes.txt", Fixtures.path("notes.txt"))
      try server.start(launcher: launcher)
      return server
    }

    private func refused(_ server: ServerUnderTest, _ limit: String) throws -> Int {
      let text = try server.request("GET", "/metrics", admin: true).text
      let line = try #require(text.split(separator: "\n").first { $0.contains("{limit=\"\(limit)\"}") })
      return try #require(Int(line.split(separator: " ").last ?? ""))
    }

    /// Opens connections that are known to be accepted, since each has had an answer.
    private func clients(_ count: Int, of server: ServerUnderTest) throws -> [RawConnection] {
      try (0..<count).map { _ in
        let client = try server.connect()
        try client.send(Self.get + "\r\n")
        #expect(try client.response().status == 200)
        return client
      }
    }

    private func isRefused(
      _ server: ServerUnderTest, _ status: Int, _ limit: String
    ) throws {
      let client = try server.connect()
      // The server may answer and close before the request is there.
      try? client.send(Self.get + "\r\n")
      let answer = try client.response()
      #expect(answer.status == status && answer["Retry-After"] == "1" && answer["Connection"] == "close")
      #expect(client.isClosedByPeer())
      #expect(try refused(server, limit) == 1)
      #expect(server.logLine { $0.contains("limit \(limit): 1 refused") } != nil)
      #expect(try server.request("GET", "/healthz", admin: true).status == 200)
    }

    /// The place of a client that has left is free at once for the server, but only soon for the test.
    private func isServedAgain(_ server: ServerUnderTest) throws {
      let deadline = ContinuousClock.now + .seconds(5)
      while (try? server.request("GET", "/f/notes.txt").status) != 200 {
        guard ContinuousClock.now < deadline else { throw SupportError("not served within 5 s") }
      }
      #expect(try server.stop() == 0)
    }

    @Test func connections() throws {
      let server = try server("connections = 16")
      var clients = try clients(16, of: server)
      try isRefused(server, 503, "connections")
      clients.removeLast()
      try isServedAgain(server)
    }

    @Test func memory() throws {
      let server = try server(#"memory = "64KiB""#)
      var clients = try clients(64, of: server)
      try isRefused(server, 503, "memory")
      clients.removeLast()
      try isServedAgain(server)
    }

    @Test func memoryOfAnswersThatWait() throws {
      let server = try server(#"memory = "256KiB""#)
      var random = SplitMix64(seed: 3)
      try server.putFile("big.bin", server.folder.write("big.bin", random.bytes(8 << 20)))
      let fine = try clients(1, of: server)[0]
      // Requests behind an answer that is not read are kept, up to what one read brings.
      let greedy = try (0..<8).map { _ in
        let client = try server.connect(timeout: .milliseconds(200), receiveBufferBytes: 4096)
        try? client.send(
          "GET /f/big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"
            + String(repeating: Self.get + "\r\n", count: 1200))
        return client
      }
      let deadline = ContinuousClock.now + .seconds(10)
      while try refused(server, "memory") == 0, ContinuousClock.now < deadline {
        try? fine.send(Self.get + "\r\n")
        guard let answer = try? fine.response(), answer.status == 200 else { break }
      }
      #expect(try refused(server, "memory") > 0)
      withExtendedLifetime(greedy) {}
      for client in greedy { client.resetOnClose() }
    }

    @Test func connectionsPerAddress() throws {
      let server = try server("connections_per_address = 2")
      var clients = try clients(2, of: server)
      try isRefused(server, 429, "connections_per_address")
      clients.removeLast()
      try isServedAgain(server)
    }

    @Test func requestsPerAddress() throws {
      let server = try server(
        "request_rate_per_address = 1\nrequest_burst_per_address = 3",
        server: #"trusted_proxies = ["127.0.0.1"]"#)
      let client = try server.connect()
      func ask(_ address: String) throws -> RawResponse {
        try client.send(Self.get + "X-Forwarded-For: 192.0.2.9, \(address)\r\n\r\n")
        return try client.response()
      }
      for _ in 0..<3 { #expect(try ask("203.0.113.7").status == 200) }
      let refusal = try ask("203.0.113.7")
      #expect(refusal.status == 429 && refusal["Retry-After"] == "1" && refusal["Connection"] == nil)
      #expect(refusal["Content-Type"] == "application/problem+json")
      #expect(
        try ask("203.0.113.8").status == 200, "another client of the same proxy, on the same connection")
      #expect(try refused(server, "request_rate_per_address") == 1)
      #expect(server.logLine { $0.contains("limit request_rate_per_address: 1 refused") } != nil)
      #expect(try server.stop() == 0)
    }

    @Test func exemptNetworks() throws {
      let server = try server(
        """
        connections_per_address = 1
        request_rate_per_address = 1
        request_burst_per_address = 1
        exempt_networks = ["127.0.0.0/8"]
        """)
      #expect(try clients(4, of: server).count == 4)
      #expect(try server.stop() == 0)
    }

    @Test func requestsPerConnection() throws {
      let server = try server("requests_per_connection = 3")
      let client = try server.connect()
      for last in [false, false, true] {
        try client.send(Self.get + "\r\n")
        let answer = try client.response()
        #expect(answer.status == 200 && answer["Connection"] == (last ? "close" : nil))
      }
      #expect(client.isClosedByPeer())
      #expect(try server.stop() == 0)
    }

    /// Answers that may not be sent keep their streams open.
    @Test(arguments: [true, false]) func http2Streams(_ knowsTheLimit: Bool) throws {
      let server = try server("http2_streams = 4")
      do {
        let client = try HTTP2Client(port: server.port, settings: [(4, 0)])
        let settings = try #require(try client.first { $0.kind == .settings && !$0.payload.isEmpty })
        #expect(settings.payload.starts(with: [0, 3, 0, 0, 0, 4]), "SETTINGS_MAX_CONCURRENT_STREAMS")
        if knowsTheLimit {
          try client.send([HTTP2Frame(.settings, flags: HTTP2Frame.acknowledgement)])
        }
        let request = { (number: UInt32) in
          HTTP2Frame.request(HTTP2Frame.get("/f/notes.txt"), stream: 2 * number + 1)
        }
        try client.send((0..<4).map(request))
        for _ in 0..<4 { #expect(try client.first { $0.kind == .headers } != nil) }
        try client.send([request(4)])
        let refusal = try #require(try client.first { $0.errorCode != nil })
        if knowsTheLimit {
          // Whoever was told and does it all the same is no peer to talk with (RFC 9113 §5.1.2).
          #expect(refusal.kind == .goAway && refusal.errorCode == 1)
        } else {
          #expect(refusal.kind == .reset && refusal.stream == 9 && refusal.errorCode == 7, "REFUSED_STREAM")
        }
      }
      // A client that holds streams open would hold up the end, too.
      #expect(try server.stop() == 0)
    }

    @Test(arguments: ["http2_requests = 3", "requests_per_connection = 3"])
    func http2Requests(_ limits: String) throws {
      let server = try server(limits)
      let client = try HTTP2Client(port: server.port)
      for stream in [1, 3, 5, 7] as [UInt32] {
        try client.send([HTTP2Frame.request(HTTP2Frame.get("/f/notes.txt"), stream: stream)])
      }
      var answered: [UInt32] = []
      var last: [UInt8] = []
      while let frame = try client.next() {
        if frame.kind == .headers { answered.append(frame.stream) }
        if frame.kind == .goAway { last = Array(frame.payload.prefix(8)) }
      }
      #expect(answered.sorted() == [1, 3, 5])
      #expect(last == HTTP2Frame.word(5) + HTTP2Frame.word(0), "GOAWAY names the last one")
      #expect(try server.stop() == 0)
    }

    @Test func explainTellsWhatLimitsSayOfAClient() throws {
      let server = try server(
        "connections_per_address = 2\nrequest_rate_per_address = 1\nrequest_burst_per_address = 5")
      let held = try clients(2, of: server)
      try isRefused(server, 429, "connections_per_address")
      func explain(_ client: String) throws -> String {
        let admin = "127.0.0.1:\(server.adminPort)"
        let done = try server.headwater(
          ["explain", "--client", client, "--admin", admin, "http://localhost/f/notes.txt"])
        #expect(done.status == 0, "\(done.errors)")
        return done.text
      }
      let told = try explain("127.0.0.1")
      for line in [
        #"connections_per_address +2 open connections, then 429"#,
        #"request_rate_per_address +1 requests a second, 5 at once, then 429"#,
        #"its connections +2 of 2"#, #"its requests +[0-5] may come now"#,
        #"refused +1 times by connections_per_address, last at 20[0-9T:.-]+Z"#, #"answer +200 by"#,
      ] { #expect(told.contains(try Regex(line)), "\(line): \(told)") }
      let other = try explain("2001:db8::7")
      #expect(other.contains("2001:db8::/64"))
      #expect(other.contains(/its connections +0 of 2/))
      #expect(other.contains("not among the last 1024 refusals"))
      let wrong = try server.headwater(["explain", "--client", "1.2.3", "/f/notes.txt"])
      #expect(wrong.status == 1 && wrong.errors.contains("1.2.3 is no IP address"))
      withExtendedLifetime(held) {}
      #expect(try server.request("GET", "/limits?client=", admin: true).status == 400)
      #expect(try server.stop() == 0)
      // Without a server the configuration still speaks.
      let alone = try explain("127.0.0.1")
      #expect(alone.contains("none answers at 127.0.0.1:") && alone.contains("then 429"))
    }

    @Test(arguments: [1, 4, 5, 40]) func pipeline(_ count: Int) throws {
      let server = try server("pipeline = 4")
      let client = try server.connect()
      try client.send(
        (0..<count).map { "\(Self.get)Range: bytes=\($0)-\($0)\r\n\r\n" }.joined())
      for index in 0..<count {
        #expect(try client.response()["Content-Range"] == "bytes \(index)-\(index)/1920")
      }
      #expect(try server.stop() == 0)
    }

    /// A chunk without data: 5 bytes of framing, extensions and trailers between.
    private static func chunked(extensionBytes: Int = 0, trailerBytes: Int = 0, data: Int = 0) -> String {
      let size = String(data, radix: 16)
      let first = data > 0 ? "\(size)\r\n\(String(repeating: "d", count: data))\r\n" : ""
      let named = extensionBytes > 0 ? ";" + String(repeating: "e", count: extensionBytes - 1) : ""
      let trailer = trailerBytes > 0 ? "T:\(String(repeating: "t", count: trailerBytes - 4))\r\n" : ""
      return
        "POST /f/notes.txt HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\(first)0\(named)\r\n\(trailer)\r\n"
    }

    @Test(arguments: [
      (chunked(extensionBytes: 1024), true), (chunked(extensionBytes: 1025), false),
      (chunked(trailerBytes: 512), true), (chunked(trailerBytes: 513), false), (chunked(data: 2048), true),
      (chunked(data: 2049), false),
      (
        "POST /f/notes.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2048\r\n\r\n"
          + String(repeating: "d", count: 2048), true
      ),
      (
        "POST /f/notes.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2049\r\n\r\n"
          + String(repeating: "d", count: 2049), false
      ),
    ]) func bodiesThatAreThrownAway(_ request: String, _ survives: Bool) throws {
      let server = try server(
        "chunk_extensions = \"1KiB\"\ntrailers = \"512B\"\ndiscarded_body = \"2KiB\"")
      let client = try server.connect()
      try client.send(request)
      #expect(try client.response().status == 405)
      if survives {
        try client.send(Self.get + "\r\n")
        #expect(try client.response().status == 200)
      } else {
        #expect(client.isClosedByPeer())
      }
      #expect(try server.stop() == 0)
    }

    @Test func aBodyThatTricklesGainsNoTime() throws {
      let server = try server("header_timeout = \"1s\"")
      let client = try server.connect(timeout: .milliseconds(300))
      try client.send("POST /f/notes.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
      #expect(try client.response().status == 405)
      let deadline = ContinuousClock.now + .seconds(8)
      var isOpen = true
      while isOpen, ContinuousClock.now < deadline {
        do {
          try client.send("X")
          isOpen = try !client.receive().isEmpty
        } catch let error as SupportError {
          isOpen = error.description.hasPrefix("waited")
        }
      }
      #expect(!isOpen, "still open after 8 s")
      #expect(try server.stop() == 0)
    }

    @Test func descriptors() throws {
      let server = try server("", launcher: ["sh", "-c", #"ulimit -n 128; exec "$0" "$@""#])
      var clients: [RawConnection] = []
      for _ in 0..<200 {
        let client = try server.connect()
        try? client.send(Self.get + "\r\n")
        clients.append(client)
      }
      #expect(try server.request("GET", "/healthz", admin: true).status == 200)
      #expect(try server.request("GET", "/readyz", admin: true).status == 200)
      #expect(try refused(server, "descriptors") > 50)
      #expect(try clients[0].response().status == 200)
      clients = []
      try isServedAgain(server)
    }
  }
}

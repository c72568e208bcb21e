import Foundation
import Support
import Testing

extension EndToEnd {
  /// Whom the server takes for the client, in its log, behind proxies that are trusted and others.
  @Suite struct ClientAddressTests {
    private static let version2: [UInt8] =
      [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x11, 0, 12]
      + [203, 0, 113, 9, 192, 0, 2, 1, 0xDC, 4, 1, 0xBB]
    private static let local = version2[..<12] + [0x20, 0, 0, 0]

    private func server(
      _ listen: String, trusted: String, limits: String = ""
    ) throws -> ServerUnderTest {
      var options = ServerUnderTest.Options()
      options.listen = [listen]
      options.server = "trusted_proxies = [\(trusted)]"
      options.tables = limits
      let server = try ServerUnderTest(options)
      try server.putFile("notes.txt", Fixtures.path("notes.txt"))
      try server.start()
      return server
    }

    private func request(_ id: String, _ fields: String = "") -> [UInt8] {
      Array("GET /f/notes.txt HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: \(id)\r\n\(fields)\r\n".utf8)
    }

    private func remote(_ server: ServerUnderTest, _ id: String) throws -> String? {
      let line = try #require(server.logLine { $0.contains("\"\(id)\"") })
      let record = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: any Sendable]
      return record?["remote"] as? String
    }

    @Test func aTrustedProxySaysWhoTheClientIs() throws {
      let server = try server("127.0.0.1:0 proxy", trusted: #""127.0.0.0/8""#)
      let first = try server.connect()
      try first.send(Array("PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n".utf8) + request("one"))
      #expect(try first.response().status == 200)
      // The header stands before the first request only.
      try first.send(request("two", "X-Forwarded-For: 198.51.100.4\r\n"))
      #expect(try first.response().status == 200)
      let second = try server.connect()
      for byte in Self.version2 + request("three") { try second.send([byte]) }
      #expect(try second.response().status == 200)
      let third = try server.connect()
      try third.send(Self.local + request("four", "Forwarded: for=\"[2001:db8::7]:1\", for=127.0.0.9\r\n"))
      #expect(try third.response().status == 200)
      #expect(try remote(server, "one") == "203.0.113.7")
      #expect(
        try remote(server, "two") == "203.0.113.7", "the client that the proxy names is not trusted itself")
      #expect(try remote(server, "three") == "203.0.113.9")
      #expect(try remote(server, "four") == "2001:db8::7", "the proxy's own connection")
      #expect(try server.stop() == 0)
    }

    @Test func theHeaderComesBeforeTLS() throws {
      let certificates = try Certificates()
      try certificates.make("a", hosts: ["localhost"])
      var options = ServerUnderTest.Options()
      options.listen = ["127.0.0.1:0", "127.0.0.1:0 proxy tls"]
      options.server = #"trusted_proxies = ["127.0.0.1"]"#
      options.sites["demo"] = """
        hosts = ["*"]
        [tls]
        certificate = "\(certificates.path("a.pem"))"
        key_file = "\(certificates.path("a.key"))"
        """
      let server = try ServerUnderTest(options)
      try server.putFile("notes.txt", Fixtures.path("notes.txt"))
      try server.start()
      // curl writes the PROXY line by itself, naming its own address, and the handshake in the same breath.
      let fetched = try Command.run(
        "curl",
        [
          "-sS", "--cacert", certificates.authority, "--haproxy-protocol", "-H", "X-Request-Id: six", "-H",
          "X-Forwarded-For: 203.0.113.7", "https://localhost:\(server.tlsPort)/f/notes.txt",
        ])
      #expect(fetched.status == 0 && fetched.output.count == 1920, "\(fetched.errors)")
      #expect(try remote(server, "six") == "203.0.113.7")
      let without = try Command.run(
        "curl",
        ["-sS", "--cacert", certificates.authority, "https://localhost:\(server.tlsPort)/f/notes.txt"])
      #expect(without.status == 35, "a handshake without the header is refused: \(without.errors)")
      #expect(try server.stop() == 0)
    }

    @Test func withoutASoundHeaderThereIsNoAnswer() throws {
      let server = try server(
        "127.0.0.1:0 proxy", trusted: #""127.0.0.0/8""#, limits: "[limits]\nheader_timeout = \"1s\"")
      let wrong: [[UInt8]] = [
        request("x"), Array("PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n".utf8) + request("x"),
        Self.version2[..<13] + [0xFF], Array("PROXY TCP4 1.2".utf8),
      ]
      for bytes in wrong {
        let connection = try server.connect()
        try connection.send(bytes)
        #expect(try connection.receiveToEnd().isEmpty, "\(bytes)")
      }
      let twice = try server.connect()
      try twice.send(Self.version2 + Self.version2)
      #expect(try twice.response().status == 400, "a second header is the beginning of a bad request")
      let metrics = try server.request("GET", "/metrics", admin: true).text
      #expect(
        metrics.contains("headwater_proxy_headers_refused_total 3\n"), "the fourth came to its time's end")
      #expect(try server.stop() == 0)
    }

    @Test func othersThanTrustedProxiesAreClosed() throws {
      let server = try server("127.0.0.1:0 proxy", trusted: #""10.0.0.0/8""#)
      let connection = try server.connect()
      try? connection.send(Self.version2 + request("x"))
      #expect(try connection.receiveToEnd().isEmpty)
      #expect(try server.stop() == 0)
    }

    @Test(arguments: [
      (#""127.0.0.1""#, "198.51.100.4, 203.0.113.7", "203.0.113.7"), ("", "203.0.113.7", "127.0.0.1"),
      (#""127.0.0.1", "203.0.113.0/24""#, "198.51.100.4, 203.0.113.7", "198.51.100.4"),
      (#""127.0.0.1""#, "nonsense", "127.0.0.1"),
    ]) func forwardedForIsBelievedFromTheRight(_ trusted: String, _ value: String, _ expected: String) throws
    {
      let server = try server("127.0.0.1:0", trusted: trusted)
      let connection = try server.connect()
      let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
      try connection.send(request("five", "X-Forwarded-For: \(value)\r\ntraceparent: \(trace)\r\n"))
      let answer = try connection.response()
      #expect(answer.status == 200 && answer["traceparent"] == nil)
      #expect(try remote(server, "five") == expected)
      #expect(server.logLine { $0.contains("\"traceparent\":\"\(trace)\"") } != nil)
      #expect(try server.stop() == 0)
    }
  }
}

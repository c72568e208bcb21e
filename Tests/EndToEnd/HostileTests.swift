import Foundation
import Support
import Testing

/// What a request that no client should send must come to.
enum Verdict: Sendable {
  /// One of these statuses; the connection may stay.
  case answered(Set<Int>)
  /// One of these statuses, or nothing; then the connection closes, so that what follows is never a request.
  case refused(Set<Int>)
}

/// Bytes on the wire, and what must come of them. Printed by its name.
struct Attack: Sendable, CustomTestStringConvertible {
  let name: String
  let bytes: [UInt8]
  let verdict: Verdict

  init(_ name: String, _ text: String, _ verdict: Verdict) {
    (self.name, self.bytes, self.verdict) = (name, Array(text.utf8), verdict)
  }

  init(_ name: String, bytes: [UInt8], _ verdict: Verdict) {
    (self.name, self.bytes, self.verdict) = (name, bytes, verdict)
  }

  var testDescription: String { name }
}

private let get = "GET /f/notes.txt HTTP/1.1\r\nHost: localhost\r\n"
/// Behind a message whose end is in doubt: answering it would be smuggling.
private let smuggled = "GET /f/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
private let bad: Verdict = .refused([400])

private func post(_ fields: String, _ body: String) -> String {
  "POST /f/notes.txt HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n\(body)\(smuggled)"
}

private let framing: [Attack] = [
  Attack("length and chunked", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), bad),
  Attack(
    "chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), .refused([400, 501])),
  Attack(
    "chunked in two fields",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), .refused([400, 501])),
  Attack("unknown coding", post("Transfer-Encoding: gzip\r\n", ""), .refused([400, 501])),
  Attack(
    "chunked not last", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), .refused([400, 501])),
  Attack(
    "coding with a vertical tab", post("Transfer-Encoding: \u{0B}chunked\r\n", "0\r\n\r\n"),
    .refused([400, 501])),
  Attack(
    "coding that only ends in chunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    .refused([400, 501])),
  Attack("space before the colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), bad),
  Attack(
    "chunked in HTTP/1.0", "POST /f/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\(smuggled)",
    .refused([400, 405])),
  Attack("lengths that differ", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), bad),
  Attack("lengths that differ in a list", post("Content-Length: 5, 6\r\n", "hello"), bad),
  Attack("length with a plus", post("Content-Length: +5\r\n", "hello"), bad),
  Attack("negative length", post("Content-Length: -5\r\n", "hello"), bad),
  Attack("hexadecimal length", post("Content-Length: 0x5\r\n", "hello"), bad),
  Attack("empty length", post("Content-Length: \r\n", ""), bad),
  Attack("length of two words", post("Content-Length: 5 5\r\n", "hello"), bad),
  Attack(
    "length beyond 64 bits", post("Content-Length: 99999999999999999999\r\n", "hello"), .refused([400, 413])),
  Attack(
    "chunk size beyond 64 bits",
    post("Transfer-Encoding: chunked\r\n", "FFFFFFFFFFFFFFFFF\r\nx\r\n0\r\n\r\n"), .refused([400, 405, 413])),
  Attack(
    "chunk size with a sign", post("Transfer-Encoding: chunked\r\n", "-1\r\nx\r\n0\r\n\r\n"),
    .refused([400, 405])),
  Attack(
    "chunk size with a prefix", post("Transfer-Encoding: chunked\r\n", "0x1\r\nx\r\n0\r\n\r\n"),
    .refused([400, 405])),
  Attack(
    "chunk without its end", post("Transfer-Encoding: chunked\r\n", "1\r\nxy0\r\n\r\n"), .refused([400, 405])),
  Attack(
    "bare LF in a chunk extension", post("Transfer-Encoding: chunked\r\n", "1;a\nb\r\nx\r\n0\r\n\r\n"),
    .refused([400, 405])),
]

private let syntax: [Attack] = [
  Attack("bare LF line ends", "GET /f/notes.txt HTTP/1.1\nHost: localhost\n\n", bad),
  Attack("bare CR in a value", get + "X: a\rb\r\n\r\n", bad),
  Attack("NUL in a value", get + "X: a\0b\r\n\r\n", bad),
  Attack("NUL in the target", "GET /f/\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", bad),
  Attack("space before the first field", "GET / HTTP/1.1\r\n Host: localhost\r\n\r\n", bad),
  Attack("folded field", get + "X: a\r\n b\r\n\r\n", bad),
  Attack("field without a colon", get + "nonsense\r\n\r\n", bad),
  Attack("field without a name", get + ": x\r\n\r\n", bad),
  Attack("field name with a space", get + "X Y: z\r\n\r\n", bad),
  Attack("field name that is no token", get + "X(Y): z\r\n\r\n", bad),
  Attack("no Host", "GET /f/notes.txt HTTP/1.1\r\n\r\n", bad),
  Attack("two Hosts", get + "Host: localhost\r\n\r\n", bad),
  Attack("Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", bad),
  Attack("Host with a slash", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", bad),
  Attack("Host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", bad),
  Attack("two Range fields", get + "Range: bytes=0-1\r\nRange: bytes=2-3\r\n\r\n", .answered([200, 400])),
  Attack("version 9.9", "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", .refused([400, 505])),
  Attack("version with a tail", "GET / HTTP/1.1x\r\nHost: localhost\r\n\r\n", .refused([400, 505])),
  Attack("version in lower case", "GET / http/1.1\r\nHost: localhost\r\n\r\n", .refused([400, 505])),
  Attack("no version", "GET /f/notes.txt\r\n\r\n", .refused([400, 505])),
  Attack("two spaces", "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", bad),
  Attack("unknown method", "FOO / HTTP/1.1\r\nHost: localhost\r\n\r\n", .answered([405, 501])),
  Attack("method in lower case", "get / HTTP/1.1\r\nHost: localhost\r\n\r\n", .answered([400, 405, 501])),
  Attack("CONNECT", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", .answered([400, 405, 501])),
  Attack("TRACE", "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", .answered([405, 501])),
  Attack("OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", .answered([200, 204])),
  Attack(
    "absolute form", "GET http://localhost/f/notes.txt HTTP/1.1\r\nHost: other\r\n\r\n", .answered([200])),
  Attack("an empty line in front", "\r\n" + get + "\r\n", .answered([200])),
  Attack("unknown expectation", get + "Expect: miracles\r\n\r\n", .answered([200, 417])),
  Attack("a TLS hello", bytes: [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3] + Array(repeating: 7, count: 506), bad),
  Attack("noise", bytes: noise, bad),
]

private let noise: [UInt8] = {
  var random = SplitMix64(seed: 1)
  return random.bytes(40_000)
}()

private let limits: [Attack] = [
  Attack(
    "request line at the limit", "GET /f/\(line(8192)) HTTP/1.1\r\nHost: localhost\r\n\r\n", .answered([404])),
  Attack(
    "request line past the limit", "GET /f/\(line(8193)) HTTP/1.1\r\nHost: localhost\r\n\r\n", .refused([414])
  ),
  Attack("request line without an end", "GET /f/" + String(repeating: "a", count: 70_000), .refused([414])),
  Attack("100 fields", get + fields(99) + "\r\n", .answered([200])),
  Attack("101 fields", get + fields(100) + "\r\n", .refused([431])),
  Attack("fields at the limit", head(32_768), .answered([200])),
  Attack("fields past the limit", head(32_769), .refused([431])),
  Attack("field without an end", get + "X: " + String(repeating: "a", count: 70_000), .refused([431])),
  Attack(
    "17 ranges",
    get + "Range: bytes=" + (0..<17).map { "\($0 * 9)-\($0 * 9)" }.joined(separator: ",") + "\r\n\r\n",
    .answered([200])),
  Attack(
    "40 tags to compare",
    get + "If-None-Match: " + (0..<40).map { "\"\($0)\"" }.joined(separator: ",") + "\r\n\r\n",
    .answered([200])),
]

/// A path that makes the request line, without its end, `count` bytes long.
private func line(_ count: Int) -> String {
  String(repeating: "a", count: count - "GET /f/ HTTP/1.1".utf8.count)
}
private func fields(_ count: Int) -> String { (0..<count).map { "X-\($0): y\r\n" }.joined() }
/// A request whose fields and the empty line behind them have exactly `count` bytes together.
private func head(_ count: Int) -> String {
  let count = count + "GET /f/notes.txt HTTP/1.1\r\n".utf8.count
  var text = get
  while count - text.utf8.count > 4200 { text += "X: \(String(repeating: "a", count: 3995))\r\n" }
  let rest = count - text.utf8.count - "X: \r\n\r\n".utf8.count
  return text + "X: \(String(repeating: "a", count: rest))\r\n\r\n"
}

private let traversal: [String] = [
  "/f/../../etc/passwd", "/f/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/f/..%2f..%2f..%2f..%2fetc%2fpasswd",
  "/f/%2e%2e%2f%2e%2e%2fetc/passwd", "/f/..%5c..%5cetc%5cpasswd", "/f/..\\..\\etc\\passwd",
  "/f/....//....//etc/passwd",
  "/f//etc/passwd", "/f/%00", "/f/notes.txt%00.jpg", "/f/%c0%ae%c0%ae/etc/passwd",
  "/f/%252e%252e/%252e%252e/etc/passwd",
  "/f/%u002e%u002e/etc/passwd", "/f/..;/..;/etc/passwd", "/f/.%2e/.%2e/etc/passwd", "/f/%zz", "/f/%", "/f/%4",
  "/v/../f/../etc/passwd", "/v/..%2f..%2fetc/passwd/source", "/v/film/../../etc/passwd",
  "/blob/../../index/data.mdb",
  "/blob/%2e%2e%2findex", "/f/x/../../../../../../../../etc/passwd", "//etc/passwd", "/f/index/data.mdb",
  "/f/storage/index/data.mdb",
]

extension EndToEnd {
  /// Raw bytes from a client that means harm or knows no better. After each the server answers as before.
  @Suite(.hostile) struct HostileTests {
    @Test(arguments: framing + syntax + limits) func badRequestsAreRefusedAlone(_ attack: Attack) throws {
      let server = try Served.server
      let connection = try server.connect(timeout: .seconds(8))
      // The server may close before it has read all.
      try? connection.send(attack.bytes)
      switch attack.verdict {
      case .answered(let statuses):
        let answer = try connection.response()
        #expect(statuses.contains(answer.status), "\(answer.status) \(answer.text)")
      case .refused(let statuses):
        connection.closeSending()
        let answer = try connection.receiveToEnd()
        let text = String(decoding: answer, as: UTF8.self)
        #expect(text.matches(of: /HTTP\/1\.1 [0-9]{3}\b/).count == 1, "exactly one answer: \(text)")
        let status = Int(text.dropFirst(9).prefix(3)) ?? 0
        #expect(statuses.contains(status), "\(text.prefix(300))")
        // 405 is said before the body is read, which only then turns out to be broken.
        if status != 405 { #expect(text.lowercased().contains("connection: close")) }
      }
      try expectAlive(server)
    }

    @Test(arguments: traversal) func noPathLeavesTheSite(_ path: String) throws {
      let server = try Served.server
      let connection = try server.connect()
      try connection.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
      let answer = try connection.response()
      #expect([400, 401, 403, 404].contains(answer.status), "\(answer.status)")
      #expect(!answer.text.contains("root:") && !answer.text.contains(server.folder.url.path))
      try expectAlive(server)
    }

    @Test func dotSegmentsAreRemovedBeforeRouting() throws {
      #expect(try Served.server.request("GET", "/v/../f/./x/%2e%2e/notes.txt").status == 200)
    }

    @Test func theTargetNeverBecomesAHeader() throws {
      let server = try Served.server
      for path in [
        "/f/%0d%0aSet-Cookie:%20a=b", "//evil.example/%2f..", "/f/%0aLocation:%20x",
        "/v/%0d%0a%0d%0a<script>",
      ] {
        let answer = try server.request("GET", path)
        #expect([400, 404].contains(answer.status))
        #expect(answer["Set-Cookie"] == nil && answer["Location"] == nil)
        #expect(!answer.text.contains("<script>"))
      }
    }

    /// A body nobody asked for is skipped whole or ends the connection; it is never the next request.
    @Test func aBodyOfGetIsNotTheNextRequest() throws {
      let server = try Served.server
      let connection = try server.connect()
      try connection.send(get + "Content-Length: \(smuggled.utf8.count)\r\n\r\n" + smuggled + get + "\r\n")
      connection.closeSending()
      let text = try String(decoding: connection.receiveToEnd(), as: UTF8.self)
      let statuses = text.components(separatedBy: "HTTP/1.1 ").dropFirst().map { String($0.prefix(3)) }
      #expect(statuses == ["200", "200"] || statuses.count == 1, "\(statuses)")
      #expect(!statuses.contains("404"), "the body was taken for a request")
      try expectAlive(server)
    }

    @Test func anAnswerReachesAClientThatIsStillSending() throws {
      let server = try Served.server
      let connection = try server.connect()
      let size = 4_000_000
      try connection.send("POST /f/notes.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(size)\r\n\r\n")
      try? connection.send([UInt8](repeating: 65, count: 200_000))
      #expect([405, 413].contains(try connection.response().status))
      try expectAlive(server)
    }

    @Test func aSlowHeadEndsInTime() throws {
      let server = try Served.server
      let connection = try server.connect(timeout: .seconds(6))
      let clock = ContinuousClock()
      try connection.send("GET /f/notes.txt HTTP/1.1\r\nHost: local")
      let elapsed = try clock.measure {
        let answer = try String(decoding: connection.receiveToEnd(), as: UTF8.self)
        #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 408 "), "\(answer)")
      }
      #expect(elapsed > .milliseconds(500) && elapsed < .seconds(5), "header_timeout is 1s: \(elapsed)")
      try expectAlive(server)
    }

    /// One byte at a time gains no time: the limit counts from the first byte to the last.
    @Test func tricklingAHeadGainsNoTime() throws {
      let server = try Served.server
      let connection = try server.connect(timeout: .milliseconds(300))
      let deadline = ContinuousClock.now + .seconds(8)
      try connection.send("GET /f/notes.txt HTTP/1.1\r\n")
      var isOpen = true
      while isOpen, ContinuousClock.now < deadline {
        do {
          try connection.send("X")
          // Waits its 300 ms while nothing comes, which paces the bytes.
          isOpen = try !connection.receive().isEmpty
        } catch let error as SupportError {
          isOpen = error.description.hasPrefix("waited")
        }
      }
      #expect(!isOpen, "still open after 8 s")
      try expectAlive(server)
    }

    @Test func manyRequestsAtOnceAreAnsweredInOrder() throws {
      let server = try Served.server
      let connection = try server.connect(timeout: .seconds(20))
      // Three times the number that may wait: the server stops reading and goes on later.
      for index in 0..<96 {
        try connection.send(get + "Range: bytes=\(index)-\(index)\r\n\r\n")
      }
      for index in 0..<96 {
        let answer = try connection.response()
        try #require(answer["Content-Range"] == "bytes \(index)-\(index)/1920")
      }
    }

    @Test func aClientThatNeverReadsIsBounded() throws {
      let server = try Served.server
      let before = try residentKiB(server)
      let connections = try (0..<20).map { _ in
        try server.connect(timeout: .milliseconds(200), receiveBufferBytes: 4096)
      }
      for connection in connections {
        // Sending stops when the server stops reading; that is what is wanted.
        try? connection.send(
          String(repeating: "GET /f/big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n", count: 4000))
      }
      try expectAlive(server)
      #expect(try residentKiB(server) - before < 40_000, "growth in KiB for 20 clients of 16 MB answers each")
    }

    @Test func clientsThatVanishLeaveNothing() throws {
      let server = try Served.server
      let seed: UInt64 = 31
      var random = SplitMix64(seed: seed)
      let descriptors = try openDescriptors(server)
      let request = Array("GET /f/big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)
      for _ in 0..<300 {
        let connection = try server.connect()
        let cut = Int.random(in: 0...request.count, using: &random)
        try connection.send(request[..<cut])
        if cut == request.count, Bool.random(using: &random) { _ = try connection.receive() }
        connection.resetOnClose()
      }
      try expectAlive(server)
      let deadline = ContinuousClock.now + .seconds(5)
      while try openDescriptors(server) > descriptors + 5, ContinuousClock.now < deadline {
        try expectAlive(server)
      }
      #expect(try openDescriptors(server) <= descriptors + 5, "seed \(seed)")
    }

    @Test func aHalfClosedClientStillGetsItsAnswer() throws {
      let server = try Served.server
      let connection = try server.connect()
      try connection.send("GET /f/big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
      connection.closeSending()
      #expect(try connection.response().body.count == 800_000)
      #expect(connection.isClosedByPeer())
    }

    // MARK: -

    private func expectAlive(_ server: ServerUnderTest) throws {
      try #require(server.isRunning, "the server has ended: \(server.log.suffix(2000))")
      let answer = try server.request("GET", "/f/notes.txt")
      #expect(answer.status == 200 && answer.body.count == 1920)
    }

    private func residentKiB(_ server: ServerUnderTest) throws -> Int {
      let status = try String(contentsOfFile: "/proc/\(server.processID)/status", encoding: .utf8)
      return try #require(status.firstMatch(of: /RssAnon:\s+([0-9]+) kB/).flatMap { Int($0.1) })
    }

    private func openDescriptors(_ server: ServerUnderTest) throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: "/proc/\(server.processID)/fd").count
    }
  }
}

extension Trait where Self == Served {
  /// A server that loses patience after a second.
  fileprivate static var hostile: Self {
    var options = ServerUnderTest.Options()
    options.tables = "[limits]\nheader_timeout = \"1s\"\n"
    return .served(options) { server in
      try server.putFile("notes.txt", Fixtures.path("notes.txt"))
      var random = SplitMix64(seed: 2)
      try server.putFile("big.bin", server.folder.write("big.bin", random.bytes(800_000)))
    }
  }
}

import Foundation
import Support
import Testing

extension EndToEnd {
  /// What clients of HTTP/2 do to servers: each time the connection ends, memory stays, and others are served.
  @Suite(
    .served(
      {
        var options = ServerUnderTest.Options()
        options.tables = "[limits]\nsend_timeout = \"1s\"\nheader_timeout = \"1s\""
        return options
      }()
    ) { server in
      try server.putFile("small.txt", server.folder.write("small.txt", text: "small"))
      try server.putFile("large.bin", server.folder.write("large.bin", [UInt8](repeating: 7, count: 3 << 20)))
    }, .serialized)
  struct HTTP2AbuseTests {
    /// More than a client may need, in pieces, so that a server can end it at any time.
    private func flood(
      _ name: String, settings: [(UInt16, UInt32)] = [], begin: [HTTP2Frame] = [],
      _ piece: (Int) -> [HTTP2Frame],
      pieces: Int
    ) throws {
      let server = try Served.server
      let before = try Self.memory(of: server)
      let client = try HTTP2Client(port: server.port, settings: settings)
      try client.send(begin)
      // Both buffers full, the client writes on only while the server reads.
      for number in 0..<pieces { try client.send(bytes: piece(number).flatMap(\.bytes)) }
      let end = try client.first { $0.kind == .goAway && $0.errorCode != 0 }
      #expect(end == nil || end?.errorCode == 11 || end?.errorCode == 1, "\(name): \(end?.errorCode ?? 0)")
      while try client.next() != nil {}
      let grown = try Self.memory(of: server) - before
      #expect(grown < 16 << 20, "\(name): \(grown) bytes more")
      let clock = ContinuousClock()
      let other = try clock.measure {
        let text = try server.request("GET", "/f/small.txt").text
        #expect(text == "small")
      }
      #expect(other < .seconds(Torture.isLong ? 1 : 5), "\(name): others waited \(other)")
    }

    /// Resident bytes of the process.
    private static func memory(of server: ServerUnderTest) throws -> Int {
      let text = try String(contentsOfFile: "/proc/\(server.processID)/statm", encoding: .utf8)
      return (Int(text.split(separator: " ")[1]) ?? 0) * 4096
    }

    private static func answers(of server: ServerUnderTest) throws -> Int {
      try server.request("GET", "/metrics", admin: true).text.split(separator: "\n")
        .filter { $0.hasPrefix("headwater_responses_total{") }
        .reduce(0) { $0 + (Int($1.split(separator: " ").last ?? "") ?? 0) }
    }

    /// CVE-2023-44487: 100,000 requests, each taken back at once.
    @Test func rapidReset() throws {
      let server = try Served.server
      let before = try Self.answers(of: server)
      try flood(
        "rapid reset",
        { number in
          (0..<100).flatMap { index in
            let stream = UInt32(number * 100 + index) * 2 + 1
            return [
              HTTP2Frame.request(stream: stream), HTTP2Frame(.reset, stream: stream, HTTP2Frame.word(8)),
            ]
          }
        }, pieces: 1000)
      #expect(try Self.answers(of: server) - before < 500)
    }

    /// CVE-2025-8671: requests that the server itself has to reset.
    @Test func resetsByTheServer() throws {
      try flood(
        "resets by the server", settings: [(4, 0)],
        { number in
          (0..<100).flatMap { index in
            let stream = UInt32(number * 100 + index) * 2 + 1
            return [
              HTTP2Frame.request(HTTP2Frame.get("/f/large.bin"), stream: stream),
              HTTP2Frame(.windowUpdate, stream: stream, HTTP2Frame.word(0)),
            ]
          }
        }, pieces: 100)
    }

    /// CVE-2024-27316 and its kin.
    @Test func continuationWithoutEnd() throws {
      let head = HTTP2Frame(.headers, stream: 1, HTTP2Frame.block(HTTP2Frame.get()))
      let field = HTTP2Frame.block([("x-filler", String(repeating: "a", count: 4000))])
      try flood(
        "CONTINUATION", begin: [head],
        { _ in (0..<4).map { _ in HTTP2Frame(.continuation, stream: 1, field) } },
        pieces: 5000)
      try flood(
        "empty CONTINUATION", begin: [head],
        { _ in (0..<1000).map { _ in HTTP2Frame(.continuation, stream: 1) } },
        pieces: 100)
    }

    @Test(arguments: [
      "SETTINGS", "PING", "empty DATA", "PRIORITY", "WINDOW_UPDATE", "unknown", "PRIORITY_UPDATE",
    ])
    func framesThatAskForNothing(_ kind: String) throws {
      let frame: HTTP2Frame =
        switch kind {
        case "SETTINGS": HTTP2Client.settings([(4, 65_535)])
        case "PING": HTTP2Frame(.ping, [UInt8](repeating: 1, count: 8))
        case "empty DATA": HTTP2Frame(.data, stream: 1)
        case "PRIORITY": HTTP2Frame(.priority, stream: 3, [0, 0, 0, 0, 1])
        case "WINDOW_UPDATE": HTTP2Frame(.windowUpdate, stream: 0, HTTP2Frame.word(1))
        case "unknown": HTTP2Frame(type: 0x30, stream: 0)
        default: HTTP2Frame(type: 0x10, HTTP2Frame.word(1) + Array("u=1".utf8))
        }
      // A stream with a body that may not end, whose answer may not begin.
      let open = HTTP2Frame.request(HTTP2Frame.get("/f/large.bin"), endStream: false)
      try flood(
        kind, settings: [(4, 0)], begin: [open], { _ in [HTTP2Frame](repeating: frame, count: 500) },
        pieces: 400)
    }

    /// One field of 4 KB in the table, and a thousand references to it a byte each, again and again.
    @Test func fieldsThatUnfold() throws {
      let value = String(repeating: "a", count: 3900)
      let literal: [UInt8] = [0x40] + Array(HTTP2Frame.block([("x", value)]).dropFirst())
      let begin = HTTP2Frame(
        .headers, flags: 5, stream: 1, HTTP2Frame.block(HTTP2Frame.get()) + literal)
      // 62: the newest entry of the table.
      let bomb = [UInt8](repeating: 0x80 | 62, count: 16_000)
      try flood(
        "HPACK", begin: [begin],
        { number in
          [
            HTTP2Frame(
              .headers, flags: 5, stream: UInt32(number) * 2 + 3, HTTP2Frame.block(HTTP2Frame.get()) + bomb)
          ]
        }, pieces: 2000)
    }

    /// Windows that stay shut: everything that could be sent is asked for, and nothing is taken.
    @Test func windowsThatStayShut() throws {
      let server = try Served.server
      let before = try Self.memory(of: server)
      let client = try HTTP2Client(port: server.port, settings: [(4, 0)])
      try client.send(
        (0..<128).map { HTTP2Frame.request(HTTP2Frame.get("/f/large.bin"), stream: UInt32($0) * 2 + 1) })
      let end = try client.first { $0.kind == .goAway }
      #expect(end?.errorCode == 11)
      #expect(try client.next() == nil)
      #expect(try Self.memory(of: server) - before < 16 << 20)
    }

    /// A head that never ends.
    @Test func aHeadThatDoesNotEnd() throws {
      let client = try HTTP2Client(port: Served.server.port)
      try client.send([HTTP2Frame(.headers, stream: 1, HTTP2Frame.block(HTTP2Frame.get()))])
      #expect(try client.first { $0.kind == .goAway } != nil)
      #expect(try client.next() == nil)
    }
  }
}

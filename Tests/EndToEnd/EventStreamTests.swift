import Foundation
import Support
import Testing

extension EndToEnd {
  /// `GET /api/v1/events` as its clients see it.
  @Suite(
    .served(
      {
        var options = APIFixture.options(tables: "[limits]\nsend_timeout = \"2s\"")
        options.threads = 1
        return options
      }()
    ) { server in
      try server.importAsset("film", Fixtures.path(APIFixture.film))
    }) struct EventStreamTests
  {
    /// A stream on a raw socket, its chunks taken off.
    private final class Stream {
      private let connection: RawConnection
      private var raw: [UInt8] = []
      private(set) var text = ""
      private(set) var hasEnded = false
      let status: Int

      init(_ server: ServerUnderTest, after: String? = nil) throws {
        connection = try server.connect()
        let last = after.map { "Last-Event-ID: \($0)\r\n" } ?? ""
        try connection.send(
          "GET /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(APIFixture.token)\r\n\(last)\r\n"
        )
        var end: Range<Int>?
        while end == nil {
          let more = try connection.receive()
          guard !more.isEmpty else {
            throw SupportError("no head: \(String(decoding: raw, as: UTF8.self))")
          }
          raw += more
          end = raw.firstRange(of: Array("\r\n\r\n".utf8))
        }
        let head = String(decoding: raw[..<(end?.lowerBound ?? 0)], as: UTF8.self)
        status = head.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        raw.removeFirst(end?.upperBound ?? 0)
        if status == 200 {
          #expect(
            head.contains("Content-Type: text/event-stream")
              && head.contains("Cache-Control: no-store"))
          #expect(head.contains("Transfer-Encoding: chunked") && !head.contains("\r\nContent-Length:"))
        }
      }

      /// Reads until `part` is there, or the stream has ended.
      @discardableResult
      func read(until part: String?) throws -> Bool {
        while true {
          while let line = raw.firstRange(of: [13, 10]),
            let count = Int(String(decoding: raw[..<line.lowerBound], as: UTF8.self), radix: 16),
            raw.count >= line.upperBound + count + 2
          {
            text += String(
              decoding: raw[line.upperBound..<(line.upperBound + count)], as: UTF8.self)
            raw.removeFirst(line.upperBound + count + 2)
            if count == 0 { hasEnded = true }
          }
          if let part, text.contains(part) { return true }
          if hasEnded { return false }
          let more = try connection.receive()
          if more.isEmpty { return false }
          raw += more
        }
      }

      func close() { connection.closeSending() }
    }

    private static func change(_ server: ServerUnderTest, _ title: String) throws {
      let done = try server.call(
        "PATCH", "/api/v1/videos/film", "{\"title\":\"\(title)\"}",
        type: "application/merge-patch+json",
        [("If-Match", "*")])
      try #require(done.status == 200)
    }

    @Test func changesAreToldAndMissedOnesToo() throws {
      let server = try Served.server
      let stream = try Stream(server)
      #expect(try stream.read(until: "retry: 2000\n\n"))
      try Self.change(server, "one")
      #expect(try stream.read(until: "event: asset.updated\ndata: {"))
      #expect(try stream.read(until: "}\n\n"))
      let id = try #require(stream.text.firstMatch(of: /id: ([0-9]+)\n/).flatMap { UInt64($0.1) })
      let data = try #require(stream.text.firstMatch(of: /data: (\{.*\})\n/)?.1)
      let json = try #require(
        try JSONSerialization.jsonObject(with: Data(data.utf8)) as? [String: Any])
      #expect(json["subject"] as? String == "film" && json["sequence"] as? UInt64 == id)
      stream.close()
      try Self.change(server, "two")
      let again = try Stream(server, after: "\(id)")
      #expect(try again.read(until: "id: \(id + 1)\n"))
      #expect(!again.text.contains("id: \(id)\n") && !again.text.contains("event: gap"))
      again.close()
      let ahead = try Stream(server, after: "\(id + 1000)")
      #expect(try ahead.read(until: "event: gap"))
      ahead.close()
      #expect(try Stream(server, after: "soon").status == 400)
    }

    @Test func theSameOverHTTP2() throws {
      let server = try Served.server
      let follow = try BackgroundCommand(
        "curl",
        [
          "-sN", "--http2-prior-knowledge", "-H", "Authorization: Bearer \(APIFixture.token)",
          server.url("/api/v1/events"),
        ])
      #expect(follow.line(startingWith: "retry: ") == "2000")
      try Self.change(server, "over HTTP/2")
      #expect(follow.line(startingWith: "event: ") == "asset.updated")
      follow.kill()
    }

    /// At the limit and one past it; who has gone makes room.
    @Test func streamsAreCounted() throws {
      let server = try Served.server
      var streams: [Stream] = []
      for _ in 0..<64 { streams.append(try Stream(server)) }
      let full = try Stream(server).status
      #expect(streams.allSatisfy { $0.status == 200 } && full == 503)
      // The first bytes have come, so each of them is open.
      for stream in streams { try stream.read(until: "retry") }
      streams = []
      var status = 503
      let deadline = ContinuousClock.now + .seconds(10)
      while status == 503, ContinuousClock.now < deadline { status = try Stream(server).status }
      #expect(status == 200)
      #expect(try server.call("GET", "/api/v1/videos").status == 200)
    }

    @Test func aDrainEndsStreamsInOrder() throws {
      let server = try ServerUnderTest(APIFixture.options())
      try server.start()
      let stream = try Stream(server)
      try stream.read(until: "retry")
      server.signal(SIGTERM)
      #expect(try !stream.read(until: nil) && stream.hasEnded)
      #expect(try server.waitForEnd() == 0)
    }
  }
}

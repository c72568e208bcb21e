import Foundation
import Support
import Testing

extension EndToEnd {
  /// What clients of the API should not send, on raw sockets.
  @Suite(
    .served(APIFixture.options(tables: "[limits]\nheader_timeout = \"1s\"\nsend_timeout = \"2s\"")) {
      server in
      try server.importAsset("film", Fixtures.path(APIFixture.film))
    }) struct APIHostileTests
  {
    private static let path = "/api/v1/videos/film"
    private static let next =
      "GET \(path) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(APIFixture.token)\r\n\r\n"

    private static func head(_ method: String, _ path: String, _ fields: String...) -> String {
      let lines = ["Host: a", "Authorization: Bearer \(APIFixture.token)", "If-Match: *"] + fields
      return "\(method) \(path) HTTP/1.1\r\n" + lines.map { "\($0)\r\n" }.joined() + "\r\n"
    }

    private static let json = "Content-Type: application/json"

    private static func put(_ body: String, _ fields: String...) -> String {
      "PUT \(path) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(APIFixture.token)\r\nIf-Match: *\r\n"
        + "\(json)\r\nContent-Length: \(body.utf8.count)\r\n\(fields.map { "\($0)\r\n" }.joined())\r\n\(body)"
    }

    /// What is wrong with a body is answered, and the next request on the connection is, too.
    @Test(arguments: [
      ("{\"title\":\"a\",\"title\":\"b\"}", "invalid-json"),
      ("{\"\\u0074itle\":1,\"title\":2}", "invalid-json"),
      (String(repeating: "[", count: 100_000), "invalid-json"), ("{\"title\":", "invalid-json"),
      ("\u{FEFF}{}", "invalid-json"), ("[]", "invalid-field"), ("{\"video_id\":\"x\"}", "invalid-field"),
      ("{\"tags\":[\(Array(repeating: "1", count: 200_000).joined(separator: ","))]}", "invalid-json"),
      ("{\"title\":\"\(String(repeating: "x", count: 900_000))\"}", "invalid-field"), ("", "invalid-json"),
    ])
    func unsoundTextsAreRefused(body: String, code: String) throws {
      let connection = try Served.server.connect()
      try connection.send(Self.put(body) + Self.next)
      let answer = try connection.response()
      #expect(answer.status == 400 && answer.code == code, "\(answer.text)")
      #expect(try connection.response().status == 200)
    }

    @Test func bodiesOfOtherTypesAndLengthsAreRefusedFromTheHead() throws {
      let server = try Served.server
      func answer(_ text: String) throws -> RawResponse {
        let connection = try server.connect()
        try connection.send(text)
        return try connection.response()
      }
      #expect(try answer(Self.head("PUT", Self.path, Self.json)).status == 411)
      #expect(try answer(Self.head("PUT", Self.path, "Content-Length: 2") + "{}").status == 415)
      #expect(
        try answer(Self.head("PUT", Self.path, "Content-Type: text/json", "Content-Length: 2") + "{}").status
          == 415)
      #expect(try answer(Self.head("PUT", Self.path, Self.json, "Content-Length: 1048577")).status == 413)
      // Never asked to go on.
      let expecting = try server.connect()
      try expecting.send(
        Self.head("PUT", Self.path, Self.json, "Content-Length: 1048577", "Expect: 100-continue"))
      let bytes = try expecting.receiveToEnd()
      #expect(bytes.starts(with: "HTTP/1.1 413 ".utf8))
    }

    /// At the limit and one byte past it.
    @Test func theLimitHoldsForChunksToo() throws {
      let server = try Served.server
      for (count, status) in [(1 << 20, 200), (1 << 20 | 1, 413)] {
        let body = Array(("{}" + String(repeating: " ", count: count - 2)).utf8)
        let connection = try server.connect()
        try connection.send(Self.head("PUT", Self.path, Self.json, "Transfer-Encoding: chunked"))
        for start in stride(from: 0, to: body.count, by: 50_000) {
          let piece = body[start..<min(start + 50_000, body.count)]
          // The server may have answered and closed already.
          try? connection.send(Array("\(String(piece.count, radix: 16))\r\n".utf8) + piece + [13, 10])
        }
        try? connection.send("0\r\nX-Trailer: a\r\n\r\n")
        #expect(try connection.response().status == status)
      }
    }

    @Test func pipelinesGoOnBehindBodies() throws {
      let connection = try Served.server.connect()
      let chunked = Self.head("PUT", Self.path, Self.json, "Transfer-Encoding: chunked")
      let body = "5;a=b\r\n{\"tit\r\n9\r\nle\":\"x\"}\n\r\n0\r\nTrailer: y\r\n\r\n"
      try connection.send(Self.put("{}") + chunked + body + Self.put("{\"title\":\"y\"}") + Self.next)
      #expect(try connection.response().json["title"] as? String == "")
      #expect(try connection.response().json["title"] as? String == "x")
      #expect(try connection.response().json["title"] as? String == "y")
      #expect(try connection.response().json["title"] as? String == "y")
    }

    /// A body byte by byte is the same body.
    @Test func bodiesMayComeInAnyPieces() throws {
      let connection = try Served.server.connect()
      for byte in Self.put("{\"title\":\"slow\"}").utf8 { try connection.send([byte]) }
      #expect(try connection.response().json["title"] as? String == "slow")
    }

    @Test func brokenChunksEndTheConnection() throws {
      for broken in ["zz\r\n", "2\r\n{}x", "-1\r\n", "ffffffffffffffffff\r\n", "2\n{}\n0\n\n"] {
        let connection = try Served.server.connect()
        try connection.send(Self.head("PUT", Self.path, Self.json, "Transfer-Encoding: chunked") + broken)
        try? connection.send(Self.next)
        #expect(try connection.response().status == 400, "\(broken)")
        #expect(connection.isClosedByPeer(), "\(broken)")
      }
    }

    @Test func halfABodyIsNotTakenForAWhole() throws {
      let server = try Served.server
      let before = try server.call("GET", Self.path)["ETag"]
      let ended = try server.connect()
      try ended.send(Self.head("PUT", Self.path, Self.json, "Content-Length: 20") + "{}")
      ended.closeSending()
      #expect(try ended.response().code == "body-incomplete")
      let vanished = try server.connect()
      try vanished.send(Self.head("PUT", Self.path, Self.json, "Content-Length: 2") + "{")
      vanished.resetOnClose()
      #expect(try server.call("GET", Self.path)["ETag"] == before)
      let name = String(repeating: "1", count: 64)
      let blob = try server.connect()
      try blob.send(Self.head("PUT", "/blob/\(name)", "Content-Length: 2000000") + "half")
      blob.closeSending()
      #expect(try blob.response().code == "body-incomplete")
    }

    /// `header_timeout` for a text, `send_timeout` for 64 KiB of what is streamed.
    @Test(arguments: ["PUT \(path)", "PUT /blob/\(String(repeating: "1", count: 64))"])
    func slowBodiesAreNotWaitedFor(call: String) throws {
      let server = try Served.server
      let connection = try server.connect()
      let parts = call.split(separator: " ").map(String.init)
      try connection.send(Self.head(parts[0], parts[1], Self.json, "Content-Length: 100000") + "{")
      let start = ContinuousClock.now
      #expect(try connection.response().status == 408)
      #expect(ContinuousClock.now - start < .seconds(6))
      #expect(connection.isClosedByPeer())
    }

    /// 64 clients that change one video at once: each change is made from what was there, none is lost.
    @Test func changesOfManyClientsAreOneAfterTheOther() async throws {
      let server = try Served.server
      let clear = try server.call("PUT", Self.path, "{}", [("If-Match", "*")])
      try #require(clear.status == 200)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for client in 0..<64 {
          group.addTask {
            while true {
              let read = try server.call("GET", Self.path)
              let tag = try #require(read["ETag"])
              let tags = (read.json["tags"] as? [String] ?? []) + ["c\(client)"]
              let list = tags.map { "\"\($0)\"" }.joined(separator: ",")
              let patch = try server.call(
                "PATCH", Self.path, "{\"tags\":[\(list)]}", type: "application/merge-patch+json",
                [("If-Match", tag)])
              if patch.status == 200 { return }
              try #require(patch.status == 412 || patch.status == 503, "\(patch.text)")
            }
          }
        }
        try await group.waitForAll()
      }
      let tags = try server.call("GET", Self.path).json["tags"] as? [String] ?? []
      #expect(Set(tags) == Set((0..<64).map { "c\($0)" }) && tags.count == 64)
    }

    @Test func anUploadThatTheDiskDoesNotHoldLeavesNothing() throws {
      let server = try ServerUnderTest(APIFixture.options())
      try server.start(launcher: ["prlimit", "--fsize=3000000"])
      let name = String(repeating: "1", count: 64)
      let connection = try server.connect()
      try connection.send(Self.head("PUT", "/blob/\(name)", "Content-Length: 8000000"))
      let piece = [UInt8](repeating: 7, count: 100_000)
      for _ in 0..<80 { if (try? connection.send(piece)) == nil { break } }
      let answer = try connection.response()
      #expect(answer.status == 507 || answer.status == 500, "\(answer.status) \(answer.text)")
      // A worker takes the file away, maybe after the answer.
      let incoming = server.folder.path("storage/incoming")
      let deadline = ContinuousClock.now + .seconds(10)
      while try !FileManager.default.contentsOfDirectory(atPath: incoming).isEmpty,
        ContinuousClock.now < deadline
      {}
      #expect(try FileManager.default.contentsOfDirectory(atPath: incoming) == [])
      #expect(try server.call("GET", "/api/v1/videos").status == 200)
      #expect(try server.stop() == 0)
    }
  }
}

import Glibc
import Loop
import Support
import Testing

@testable import Net

/// Against a server that does as it is told, mostly badly.
@Suite(.serialized) struct HTTPClientTests {
  static func get(_ url: String, _ timeoutMilliseconds: UInt64 = 10_000) -> HTTPRequest {
    var request = HTTPRequest("GET", url)
    request.timeoutMilliseconds = timeoutMilliseconds
    return request
  }

  // MARK: What goes well

  @Test func connectionsAreKept() async throws {
    let server = try ScriptedServer()
    try await withClient { client in
      var connections: Set<String?> = []
      for _ in 0..<20 {
        let response = try await client.response(to: Self.get(server.url("/ok")))
        #expect(response.status == 200 && response.body == Array("fine".utf8) && response.majorVersion == 1)
        connections.insert(response.field("x-connection"))
      }
      // One; a second where a machine without time made the first look as if it had gone.
      #expect(connections.count <= 2 && !connections.contains(nil), "\(connections)")
      let head = try await client.response(to: HTTPRequest("HEAD", server.url("/ok")))
      #expect(head.body.isEmpty && head.field("Content-Length") == "4")
    }
  }

  @Test func methodFieldsAndBodyArriveAsTheyAre() async throws {
    let server = try ScriptedServer()
    let body = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    try await withClient { client in
      for method in ["POST", "PUT", "PATCH", "PURGE"] {
        let request = HTTPRequest(
          method, server.url("/echo?a=b"),
          fields: [HTTPField("Authorization", "Bearer t"), HTTPField("X-Empty", "")],
          body: body)
        let response = try await client.response(to: request)
        #expect(response.body == body && response.field("X-Method") == method)
        #expect(response.field("X-Got-Authorization") == "Bearer t" && response.field("X-Got-X-Empty") == "")
        #expect(response.field("X-Got-Expect") == nil && response.field("X-Got-Content-Type") == nil)
        #expect(
          response.field("X-Got-Accept-Encoding") == nil && response.field("X-Got-User-Agent") == "headwater")
      }
      let empty = try await client.response(to: HTTPRequest("POST", server.url("/echo"), body: []))
      #expect(empty.body.isEmpty && empty.field("X-Got-Content-Length") == "0")
      let bare = try await client.response(to: HTTPRequest("DELETE", server.url("/echo")))
      #expect(bare.field("X-Method") == "DELETE" && bare.field("X-Got-Content-Length") == nil)
    }
  }

  @Test func aFileIsABodyOfAnyLength() async throws {
    let server = try ScriptedServer()
    let folder = try TemporaryFolder("body")
    let bytes = (0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* 11) }
    let descriptor = open(try folder.write("file", bytes), O_RDONLY | O_CLOEXEC)
    defer { close(descriptor) }
    try await withClient { client in
      for count in [0, 1, 65_536, bytes.count] {
        var request = HTTPRequest("PUT", server.url("/echo"))
        request.file = HTTPBodyFile(
          descriptor: descriptor, sizeBytes: UInt64(count), owner: folder)
        let response = try await client.response(to: request)
        #expect(response.body == Array(bytes.prefix(count)) && response.field("X-Method") == "PUT")
        #expect(response.field("X-Got-Content-Length") == "\(count)")
        #expect(response.field("X-Got-Expect") == nil && response.field("X-Got-Transfer-Encoding") == nil)
      }
      var post = HTTPRequest("POST", server.url("/echo"))
      post.file = HTTPBodyFile(descriptor: descriptor, sizeBytes: 1, owner: folder)
      let refused = await #expect(throws: HTTPClientError.self) { try await client.response(to: post) }
      #expect(refused?.code == .requestInvalid)
      // One that has become shorter, or can't be read, is no whole body.
      var broken = HTTPRequest("PUT", server.url("/echo"))
      broken.timeoutMilliseconds = 20_000
      broken.file = HTTPBodyFile(descriptor: -1, sizeBytes: 10, owner: folder)
      await #expect(throws: HTTPClientError.self) { try await client.response(to: broken) }
    }
  }

  @Test func whatStallsTimesOut() async throws {
    let server = try ScriptedServer()
    try await withClient { client in
      var request = HTTPRequest("GET", server.url("/hang"))
      request.stallTimeoutSeconds = 1
      request.timeoutMilliseconds = 60_000
      let begun = ContinuousClock.now
      let error = await #expect(throws: HTTPClientError.self) { try await client.response(to: request) }
      #expect(error?.code == .timedOut && ContinuousClock.now - begun < .seconds(40))
    }
  }

  @Test func manyAtATime() async throws {
    let server = try ScriptedServer()
    var options = HTTPClient.Options.local
    options.mostActive = 8
    options.mostConnectionsPerHost = 4
    try await withClient(options) { client in
      await withTaskGroup(of: Int.self) { group in
        for _ in 0..<100 {
          group.addTask { (try? await client.response(to: Self.get(server.url("/ok"))))?.status ?? 0 }
        }
        var count = 0
        for await status in group where status == 200 { count += 1 }
        #expect(count == 100)
      }
      let last = try await client.response(to: Self.get(server.url("/ok")))
      #expect(Int(last.field("X-Connection") ?? "").map { $0 <= 4 } == true)
    }
  }

  @Test func errorsAreAnswersAndSayWhenToComeBack() async throws {
    let server = try ScriptedServer()
    try await withClient { client in
      let plain = try await client.response(to: Self.get(server.url("/status?code=500")))
      #expect(plain.status == 500 && plain.body == Array("no".utf8) && plain.retryAfterMilliseconds == nil)
      let busy = try await client.response(to: Self.get(server.url("/status?code=429&after=7")))
      #expect(busy.status == 429 && busy.retryAfterMilliseconds == 7000)
      let past = try await client.response(
        to: Self.get(server.url("/status?code=503&after=Wed,%2021%20Oct%202015%2007:28:00%20GMT")))
      #expect(past.retryAfterMilliseconds == 0)
      let nonsense = try await client.response(to: Self.get(server.url("/status?code=503&after=soon")))
      #expect(nonsense.status == 503 && nonsense.retryAfterMilliseconds == 0)
    }
  }

  // MARK: What goes badly

  @Test(arguments: [
    ("/hang", HTTPClientError.Code.timedOut), ("/slow", .timedOut), ("/truncated", .responseBroken),
    ("/truncated-chunks", .responseBroken), ("/nothing", .responseBroken), ("/garbage", .responseBroken),
    ("/large?bytes=2000", .responseTooLarge), ("/large-chunks", .responseTooLarge),
    ("/endless-head", .responseTooLarge),
  ])
  func badServers(path: String, code: HTTPClientError.Code) async throws {
    let server = try ScriptedServer()
    try await withClient { client in
      var request = Self.get(server.url(path), code == .timedOut ? 300 : 10_000)
      request.mostResponseBytes = 1000
      #expect(await client.failure(request) == code)
      // The client is none the worse for it.
      let response = try await client.response(to: Self.get(server.url("/ok")))
      #expect(response.status == 200)
    }
  }

  @Test func aBodyOfExactlyTheLimitIsTaken() async throws {
    let server = try ScriptedServer()
    try await withClient { client in
      var request = Self.get(server.url("/large?bytes=1000"))
      request.mostResponseBytes = 1000
      let response = try await client.response(to: request)
      #expect(response.body.count == 1000)
    }
  }

  /// It is bounded all the same.
  @Test func aBodyMayBeCountedInsteadOfKept() async throws {
    let server = try ScriptedServer()
    try await withClient { client in
      var request = Self.get(server.url("/large?bytes=3000000"))
      request.keepsBody = false
      request.mostResponseBytes = 3_000_000
      let response = try await client.response(to: request)
      #expect(response.body.isEmpty && response.bodyBytes == 3_000_000)
      request.url = server.url("/large-chunks")
      #expect(await client.failure(request) == .responseTooLarge)
    }
  }

  @Test func nobodyListens() async throws {
    let port = try Canary().port
    try await withClient { client in
      #expect(await client.failure(Self.get("http://127.0.0.1:\(port)/")) == .connectFailed)
      #expect(await client.failure(Self.get("http://name.invalid/")) == .nameUnresolved)
    }
  }

  @Test(arguments: [
    HTTPRequest("GET /", "http://127.0.0.1/"), HTTPRequest("", "http://127.0.0.1/"),
    HTTPRequest("HEAD", "http://127.0.0.1/", body: []), HTTPRequest("GET", "http://127.0.0.1/a b"),
    HTTPRequest("GET", "http://127.0.0.1/\r\nX: y"), HTTPRequest("GET", "/relative"), HTTPRequest("GET", ""),
    HTTPRequest("GET", "http://127.0.0.1/", fields: [HTTPField("A:", "b")]),
    HTTPRequest("GET", "http://127.0.0.1/", fields: [HTTPField("A", "b\r\nC: d")]),
    HTTPRequest("GET", "http://127.0.0.1:port/"),
  ])
  func unsoundRequests(request: HTTPRequest) async throws {
    try await withClient { client in #expect(await client.failure(request) == .requestInvalid) }
  }

  // MARK: Redirections

  @Test func redirectionsAreAnswersUnlessAskedFor() async throws {
    let server = try ScriptedServer()
    try await withClient { client in
      var request = Self.get(server.url("/redirect?to=/ok"))
      let answer = try await client.response(to: request)
      #expect(answer.status == 302 && answer.field("Location") == "/ok")
      request.mostRedirects = 2
      let followed = try await client.response(to: request)
      #expect(
        followed.status == 200 && followed.body == Array("fine".utf8) && followed.field("Location") == nil)
      request.url = server.url("/loop")
      #expect(await client.failure(request) == .tooManyRedirects)
      for target in [
        "http://169.254.169.254/latest/meta-data/", "http://0.0.0.0:\(server.port)/ok", "http://[fe80::1]/",
      ] {
        request.url = server.url("/redirect?to=\(target)")
        #expect(await client.failure(request) == .addressRefused, "\(target)")
      }
      for target in [
        "file:///etc/passwd", "gopher://127.0.0.1:\(server.port)/ok", "ftp://127.0.0.1:\(server.port)/",
      ] {
        request.url = server.url("/redirect?to=\(target)")
        #expect(await client.failure(request) == .requestInvalid, "\(target)")
      }
    }
  }

  // MARK: Limits and ends

  @Test func aCancelledTaskEndsItsTransfer() async throws {
    let server = try ScriptedServer()
    try await withClient { client in
      let task = Task { await client.failure(Self.get(server.url("/hang"), 60_000)) }
      #expect(await server.sees("request GET /hang"))
      task.cancel()
      #expect(await task.value == .cancelled)
      #expect(await server.sees("gone"), "the connection was closed")
    }
  }

  @Test func aCancelledTaskNeverStarts() async throws {
    let server = try ScriptedServer()
    try await withClient { client in
      let code = await withTaskGroup(of: HTTPClientError.Code?.self) { group in
        group.cancelAll()
        group.addTask { await client.failure(Self.get(server.url("/ok"))) }
        return await group.next() ?? nil
      }
      #expect(code == .cancelled)
      _ = try await client.response(to: Self.get(server.url("/ok")))
      #expect(await server.sees("request GET /ok"))
      #expect(server.requests.count == 1)
    }
  }

  @Test func whatIsTooMuchIsRefusedAndWhatWaitsHasItsTime() async throws {
    let server = try ScriptedServer()
    var options = HTTPClient.Options.local
    options.mostActive = 1
    options.mostWaiting = 1
    try await withClient(options) { client in
      let first = Task { await client.failure(Self.get(server.url("/hang"), 60_000)) }
      #expect(await server.sees("request GET /hang"))
      #expect(await client.failure(Self.get(server.url("/ok"), 50)) == .timedOut)
      let (answers, answer) = AsyncStream.makeStream(of: Int?.self)
      client.send(Self.get(server.url("/ok"), 60_000)) { answer.yield(try? $0.get().status) }
      #expect(await client.failure(Self.get(server.url("/ok"))) == .overloaded)
      first.cancel()
      #expect(await first.value == .cancelled)
      #expect(await answers.first { _ in true } == 200)
      #expect(await client.failure(Self.get(server.url("/ok"))) == nil)
    }
  }

  @Test func closingEndsWhatIsUnderWay() async throws {
    let server = try ScriptedServer()
    try await withClient { client in
      async let hanging = client.failure(Self.get(server.url("/hang"), 60_000))
      #expect(await server.sees("request GET /hang"))
      client.close()
      #expect(await hanging == .closed)
      #expect(await client.failure(Self.get(server.url("/ok"))) == .closed)
    }
  }

  @Test func theLoopsEndEndsWhatIsUnderWay() async throws {
    let server = try ScriptedServer()
    let threads = try LoopThreads(count: 1)
    let client = HTTPClient(loop: threads.loops[0], options: .local)
    let hanging = Task { await client.failure(Self.get(server.url("/hang"), 60_000)) }
    #expect(await server.sees("request GET /hang"))
    threads.stopAndJoin()
    #expect(await hanging.value == .closed)
  }

  // MARK: TLS and HTTP/2

  @Test func certificatesAreVerified() async throws {
    let certificate = try TestCertificate()
    let server = try ScriptedServer(certificate)
    try await withClient { client in
      #expect(await client.failure(Self.get(server.url("/ok", host: "localhost"))) == .tlsFailed)
    }
    var options = HTTPClient.Options.local
    options.certificateAuthoritiesPath = certificate.path
    try await withClient(options) { client in
      let response = try await client.response(to: Self.get(server.url("/ok", host: "localhost")))
      #expect(response.status == 200)
      // The name is wrong.
      #expect(await client.failure(Self.get(server.url("/ok"))) == .tlsFailed)
      // Nor does a redirection lead out of TLS.
      var request = Self.get(server.url("/redirect?to=http://localhost:\(server.port)/ok", host: "localhost"))
      request.mostRedirects = 1
      #expect(await client.failure(request) == .requestInvalid)
    }
    #expect(await server.sees("request GET /redirect"))
    #expect(server.requests.count == 2)
  }

  @Test(.enabled(if: Checkout.tool("nginx") != nil, "nginx is not installed"))
  func requestsShareAConnectionOfHTTP2() async throws {
    let certificate = try TestCertificate()
    let server = try HTTP2Server(certificate)
    var options = HTTPClient.Options.local
    options.certificateAuthoritiesPath = certificate.path
    try await withClient(options) { client in
      let first = try await client.response(to: Self.get(server.url))
      #expect(first.status == 200 && first.majorVersion == 2)
      await withTaskGroup(of: String.self) { group in
        for _ in 0..<50 {
          group.addTask {
            let response = try? await client.response(to: Self.get(server.url))
            return response.map { String(decoding: $0.body, as: UTF8.self) } ?? "no answer"
          }
        }
        // nginx says the number of the connection.
        for await text in group { #expect(text == String(decoding: first.body, as: UTF8.self)) }
      }
    }
  }
}

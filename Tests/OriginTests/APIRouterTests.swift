import HTTP
import Loop
import Store
import Testing

@testable import Origin

/// A plugin with calls of its own.
private final class CallsPlugin: APIProvider {
  static let declaration = PluginDeclaration(
    name: "calls", summary: "Calls for tests.", settings: ConfigSection("calls", "None.", keys: []))

  init(site: String, settings: ConfigTable) throws(PluginError) {}
  init() {}
  func join(_ pipeline: inout PipelineBuilder) {}

  var apiRoutes: [APIRoute] {
    [
      APIRoute(
        .post, "/api/v1/beacons/{name}", access: .anyone,
        body: .optionalText(mediaTypes: ["text/plain"], mostBytes: 8)
      ) {
        request throws(Problem) in
        var reply = APIReply(status: 202, contentType: "text/plain", body: request.text)
        reply.fields.set("X-Name", request.parameters["name"] ?? "")
        reply.fields.set("X-Token", request.tokenID ?? "none")
        return reply
      },
      APIRoute(.get, "/api/v1/secrets") { request throws(Problem) in
        APIReply(status: 200, contentType: "text/plain", body: Array((request.tokenID ?? "").utf8))
      },
      APIRoute(.get, "/api/v1/broken") { _ throws(Problem) in throw .internalError },
    ]
  }
}

@Suite struct APIRouterTests {
  private static func withOrigin(
    tokens: Bool = true, _ body: (SocketAddress) throws -> Void
  ) throws {
    let folder = try StoreFolder()
    var configuration = try OriginFixture.siteConfiguration()
    if tokens {
      configuration.apiTokens = [
        .init(id: "one", secret: Secret(bytes: Array("first".utf8))),
        .init(id: "two", secret: Secret(bytes: Array("second".utf8))),
      ]
    }
    let site = Site(configuration, number: 0, plugins: [CallsPlugin()])
    let origin = try OriginUnderTest(folder.store, sites: [site])
    defer { origin.stop() }
    try body(origin.address)
  }

  @Test func pluginsAddCalls() throws {
    try Self.withOrigin { address in
      let beacon = try TestClient.get("/api/v1/beacons/caf%C3%A9", from: address, method: "POST")
      #expect(beacon.status == 202 && beacon.fields["x-name"] == "café" && beacon.fields["x-token"] == "none")
      let text = "Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody"
      #expect(try Self.send("POST", "/api/v1/beacons/a", text, to: address).text == "body")
      #expect(
        try Self.send("POST", "/api/v1/beacons/a", "Content-Length: 4\r\n\r\nbody", to: address).status == 415
      )
      let long = "Content-Type: text/plain\r\nContent-Length: 9\r\n\r\nbody body"
      #expect(try Self.send("POST", "/api/v1/beacons/a", long, to: address).status == 413)
      let second = try TestClient.get(
        "/api/v1/secrets", from: address, fields: "Authorization: Bearer second\r\n")
      #expect(second.status == 200 && second.text == "two")
      #expect(try TestClient.get("/api/v1/secrets", from: address).status == 401)
      let broken = try TestClient.get(
        "/api/v1/broken", from: address, fields: "Authorization: Bearer first\r\n")
      #expect(broken.status == 500 && broken.fields["cache-control"] == "no-store")
    }
  }

  @Test func withoutTokensOnlyWhatIsOpenAnswers() throws {
    try Self.withOrigin(tokens: false) { address in
      #expect(try TestClient.get("/api/v1/beacons/a", from: address, method: "POST").status == 202)
      for path in ["/api/v1/secrets", "/api/v1/videos", "/api/", "/api/v1/"] {
        let answer = try TestClient.get(path, from: address, fields: "Authorization: Bearer first\r\n")
        #expect(answer.status == 404 && answer.fields["cache-control"] == "no-store", "\(path)")
      }
    }
  }

  private static func send(
    _ method: String, _ path: String, _ fields: String, to address: SocketAddress
  ) throws -> TestClient.Answer {
    let client = try TestClient(address)
    try client.send("\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\(fields)")
    return try TestClient.Answer(client.readAll().bytes)
  }

  static let paths: [(String, String, [String: String]?)] = [
    ("/api/v1/videos/{id}", "/api/v1/videos/a", ["id": "a"]), ("/api/v1/videos/{id}", "/api/v1/videos", nil),
    ("/api/v1/videos/{id}", "/api/v1/videos/", nil), ("/api/v1/videos/{id}", "/api/v1/videos/a/b", nil),
    ("/api/v1/videos/{id}", "/api/v1/videos/%FF", nil),
    ("/g/{g}/{rest*}", "/g/1/a/b%20c", ["g": "1", "rest": "a/b%20c"]),
    ("/g/{g}/{rest*}", "/g/1", nil), ("/a", "//a", nil),
  ]

  @Test(arguments: paths) func routesTakeTheirPaths(pattern: String, path: String, values: [String: String]?)
  {
    let route = APIRoute(.get, pattern) { _ throws(Problem) in .noContent }
    let parts = Array(path.utf8).dropFirst().split(separator: 0x2F, omittingEmptySubsequences: false)
    #expect(route.match(parts) == values)
  }

  @Test func cursorsAreBoundToTheirList() throws {
    let cursor = ListCursor(list: "videos", site: "a", parameters: ["x", ""])
    let text = cursor.text(after: Array("key".utf8))
    #expect(try cursor.key(of: text) == Array("key".utf8))
    for other in [
      ListCursor(list: "videos", site: "b", parameters: ["x", ""]),
      ListCursor(list: "videos", site: "a", parameters: ["", "x"]),
      ListCursor(list: "jobs", site: "a", parameters: ["x", ""]),
    ] {
      #expect(throws: Problem.self) { try other.key(of: text) }
    }
    for broken in ["", "A", text + "=", String(text.dropFirst()), String(repeating: "A", count: 5000)] {
      #expect(throws: Problem.self, "\(broken)") { try cursor.key(of: broken) }
    }
  }
}

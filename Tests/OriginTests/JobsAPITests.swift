import Loop
import Store
import Testing

@testable import Origin

@Suite struct JobsAPITests {
  private static let bearer = "Authorization: Bearer first\r\n"

  private static func withOrigin(_ body: (Store, SocketAddress) throws -> Void) throws {
    let folder = try StoreFolder()
    var configuration = try OriginFixture.siteConfiguration()
    configuration.apiTokens = [.init(id: "one", secret: Secret(bytes: Array("first".utf8)))]
    let origin = try OriginUnderTest(folder.store, sites: [Site(configuration, number: 0, plugins: [])])
    defer { origin.stop() }
    try body(folder.store, origin.address)
  }

  private static func draft(_ key: String, site: String = "default", kind: String = "test.work") -> JobDraft {
    JobDraft(site: site, kind: kind, key: key, asset: "film")
  }

  /// The members of an answer.
  private static func object(_ answer: TestClient.Answer) throws -> [String: JSONValue] {
    guard case .object(let members) = try JSONValue(answer.body) else { throw TestClient.Failure(errno: 0) }
    return members.reduce(into: [:]) { $0[$1.key] = $1.value }
  }

  @Test func jobsOfTheSiteAreListedInPages() throws {
    try Self.withOrigin { store, address in
      let ids = try (1...5).map { try store.enqueue([Self.draft("\($0)")])[0].id.description }
      let other = try store.enqueue([Self.draft("1", site: "other")])[0].id
      try store.enqueue([Self.draft("x", kind: "test.other")])
      var found: [String] = []
      var next = ""
      repeat {
        let path = "/api/v1/jobs?limit=2&kind=test.work\(next)"
        let page = try Self.object(try TestClient.get(path, from: address, fields: Self.bearer))
        guard case .array(let jobs)? = page["jobs"] else { return #expect(Bool(false), "\(page)") }
        #expect(jobs.count <= 2)
        for case .object(let members) in jobs {
          if case .string(let id)? = members.first(where: { $0.key == "job_id" })?.value { found.append(id) }
        }
        if case .string(let cursor)? = page["next_cursor"] { next = "&cursor=\(cursor)" } else { next = "" }
      } while !next.isEmpty && found.count < 20
      #expect(found == ids.reversed())
      #expect(try TestClient.get("/api/v1/jobs/\(other)", from: address, fields: Self.bearer).status == 404)
      #expect(try TestClient.get("/api/v1/jobs/x", from: address, fields: Self.bearer).status == 404)
      #expect(try TestClient.get("/api/v1/jobs?state=gone", from: address, fields: Self.bearer).status == 400)
      #expect(try TestClient.get("/api/v1/jobs", from: address).status == 401)
    }
  }

  @Test func jobsAreCancelledAndRetried() throws {
    try Self.withOrigin { store, address in
      let id = try store.enqueue([Self.draft("1")])[0].id
      func post(_ verb: String) throws -> TestClient.Answer {
        try TestClient.get("/api/v1/jobs/\(id)/\(verb)", from: address, method: "POST", fields: Self.bearer)
      }
      #expect(try post("retry").status == 409)
      let cancelled = try post("cancel")
      #expect(try cancelled.status == 200 && Self.object(cancelled)["state"] == .string("cancelled"))
      #expect(try store.job(id)?.state == .cancelled)
      #expect(try post("cancel").status == 409)
      #expect(try Self.object(try post("retry"))["state"] == .string("pending"))
      #expect(try store.job(id)?.state == .pending)
      #expect(
        try TestClient.get("/api/v1/jobs/\(id)/retry", from: address, fields: Self.bearer).status == 405)
    }
  }
}

import FoundationEssentials
import Loop
import Store
import Testing

@testable import Origin

@Suite struct JobsAPITests {
  private static let bearer = "Authorization: Bearer first\r\n"

  private static func withOrigin(
    worker: String? = nil, _ body: (Store, SocketAddress) throws -> Void
  ) throws {
    let folder = try StoreFolder()
    var configuration = try OriginFixture.siteConfiguration()
    configuration.apiTokens = [.init(id: "one", secret: Secret(bytes: Array("first".utf8)))]
    let origin = try OriginUnderTest(
      folder.store,
      sites: [
        Site(configuration, number: 0, plugins: [], workerToken: worker.map { Secret(bytes: Array($0.utf8)) })
      ])
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

  // MARK: Workers elsewhere

  private static func finish(
    _ job: JobRecord, fence: UInt64? = nil, _ result: JobResult, token: String = "of-workers",
    _ address: SocketAddress
  ) throws -> TestClient.Answer {
    let bytes = try JobResultMessage.encoder().encode(JobResultMessage(result, fence: fence ?? job.fence))
    return try TestClient.get(
      "/api/v1/jobs/\(job.id)/finish", from: address, method: "POST",
      fields: "Authorization: Bearer \(token)\r\nContent-Type: application/json\r\n", body: Array(bytes))
  }

  @Test func aWorkerEndsJobsOfAnySite() throws {
    try Self.withOrigin(worker: "of-workers") { store, address in
      for site in ["default", "other"] {
        try store.enqueue([Self.draft("1", site: site)])
        let offers: Set<JobOffer> = [JobOffer(site: site, kind: "test.work")]
        let job = try #require(try store.claimJob(offers, owner: "elsewhere//1"))
        let result = JobResult(
          result: [7], followUps: [JobDraft(site: site, kind: "test.next", key: "n", dependencies: [job.id])])
        let missing = JobResult(keptBlobs: [BlobID.digest(of: [9])])
        #expect(try Self.finish(job, missing, address).status == 409)
        let foreign = JobResult(followUps: [Self.draft("f", site: "third")])
        #expect(try Self.finish(job, foreign, address).status == 422)
        let late = try Self.finish(job, fence: job.fence - 1, result, address)
        #expect(try late.status == 200 && Self.object(late)["ending"] == .string("lost"))
        #expect(try store.job(job.id)?.state == .processing)
        for _ in 0..<2 {
          let ended = try Self.finish(job, result, address)
          #expect(try ended.status == 200 && Self.object(ended)["ending"] == .string("completed"))
        }
        #expect(try store.job(job.id)?.result == [7])
        #expect(try store.job(JobID(site: site, kind: "test.next", key: "n"))?.state == .pending)
      }
    }
  }

  @Test func theTokenOfWorkersOpensBlobsAndEndsOfJobsAlone() throws {
    let draft = Self.draft("1")
    try Self.withOrigin(worker: "of-workers") { store, address in
      let job = try store.enqueue([draft])[0]
      let worker = "Authorization: Bearer of-workers\r\n"
      #expect(try TestClient.get("/api/v1/jobs", from: address, fields: worker).status == 401)
      #expect(try Self.finish(job, JobResult(), token: "first", address).status == 401)
      let writer = try store.blobs.makeWriter()
      try writer.write([1, 2, 3])
      let blob = try writer.finish().id
      // Known to the index once something refers to it.
      try store.publishAsset(AssetDraft(site: "default", id: "film", status: .ready, source: blob))
      for token in ["of-workers", "first"] {
        let read = try TestClient.get(
          "/blob/\(blob.hex)", from: address, fields: "Authorization: Bearer \(token)\r\n")
        #expect(read.status == 200 && read.body == [1, 2, 3], "\(token)")
      }
      #expect(try TestClient.get("/blob/\(blob.hex)", from: address).status == 401)
    }
    try Self.withOrigin { store, address in
      let job = try store.enqueue([draft])[0]
      #expect(try Self.finish(job, JobResult(), address).status == 404, "there are no workers elsewhere")
    }
  }

  // MARK: Changing

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

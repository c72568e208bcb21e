import Store
import Support
import Testing

@testable import Origin

/// What only the queue in Redis has; what it shares with the other stands in `JobQueueContractTests`.
@Suite(.serialized) struct RedisJobQueueTests {
  typealias Contract = JobQueueContractTests

  @Test func aHeartbeatKeepsAJobFromTheOthers() async throws {
    let bench = try Contract.Bench(.redis, leaseMilliseconds: 1000)
    try await withTaskExecutorPreference(bench.loop) {
      try await bench.add(Contract.draft("k"))
      let job = try await bench.claimed()
      let end = ContinuousClock.now + .milliseconds(1500)
      while ContinuousClock.now < end {
        let standing = try await bench.queue.heartbeat(
          job.id, fence: job.fence, progressPermille: 1, note: "")
        let other = try await bench.claim()
        #expect(standing == .held && other == nil)
      }
      let taken = try await bench.claimLater()
      #expect(taken?.id == job.id, "without one it is taken")
    }
  }

  @Test func jobsSurviveTheDeathOfRedis() async throws {
    let bench = try Contract.Bench(
      .redis, leaseMilliseconds: 2000, serverOptions: ["--appendonly", "yes", "--appendfsync", "always"])
    let server = try #require(bench.server)
    try await bench.add(Contract.draft("a"), Contract.draft("b"))
    let job = try await bench.claimed()
    server.kill()
    let error = await #expect(throws: JobQueueError.self) { try await bench.add(Contract.draft("c")) }
    #expect(error?.code == .unavailable)
    try server.restart()
    // The breaker may have to find out first; the lease of the job goes on meanwhile, and may pass on.
    let deadline = ContinuousClock.now + .seconds(120)
    var known: JobRecord?
    while known == nil, ContinuousClock.now < deadline { known = try? await bench.queue.job(job.id) }
    #expect(known == job)
    var ended: Set<String> = []
    while ended.count < 2, ContinuousClock.now < deadline {
      guard let next = try await bench.claim() else { continue }
      let ending = try await bench.queue.finish(next.id, fence: next.fence, JobResult())
      if ending == .completed { ended.insert(next.key) }
    }
    #expect(ended == ["a", "b"])
    let late = try await bench.queue.finish(job.id, fence: job.fence, JobResult())
    #expect(late == .lost)
  }

  /// The catalog is not in Redis: a worker may die, be stopped, or get no answer between the change of an asset and the end of
  /// its job.
  @Test func aChangeHappensOnceAndNotOverALaterOne() async throws {
    let bench = try Contract.Bench(.redis, leaseMilliseconds: 500)
    func blob(_ text: String) throws -> BlobID {
      let writer = try bench.store.blobs.makeWriter()
      try writer.write(Array(text.utf8))
      return try writer.finish().id
    }
    func renditions() throws -> [BlobID] {
      try bench.store.read { reader throws(StoreError) in try reader.asset(site: "demo", id: "film") }?
        .renditions.map(\.blob) ?? []
    }
    func events() throws -> Int { try bench.store.events(after: 0, limit: 1000).count }
    let source = try blob("source")
    try bench.store.publishAsset(AssetDraft(site: "demo", id: "film", status: .ready, source: source))
    func result(_ made: BlobID) -> JobResult {
      JobResult(
        change: .renditions(
          asset: "film", ifSource: source, add: [RenditionRecord(name: "file", kind: .file, blob: made)]))
    }
    try await bench.add(Contract.draft("k", asset: "film"))
    let first = try await bench.claimed()
    // Applied, and then its worker is stopped before it can say so; somebody else does the job again.
    let (early, late) = (try blob("early"), try blob("late"))
    #expect(try bench.store.applyJobResult(result(early), of: first) == .applied)
    let before = try events()
    #expect(try bench.store.applyJobResult(result(early), of: first) == .applied)
    #expect(try events() == before, "the same end again changes nothing")
    let second = try #require(try await bench.claimLater())
    let ending = try await bench.queue.finish(second.id, fence: second.fence, result(late))
    #expect(ending == .completed && second.fence > first.fence)
    #expect(try renditions() == [late])
    let after = try events()
    #expect(try bench.store.applyJobResult(result(early), of: first) == .lost)
    let woken = try await bench.queue.finish(first.id, fence: first.fence, result(early))
    let again = try await bench.queue.finish(second.id, fence: second.fence, result(late))
    #expect(woken == .lost && again == .completed)
    #expect(try renditions() == [late] && events() == after)
    // What the store has written down of it goes with time.
    #expect(try bench.store.job(first.id)?.state == .completed)
    #expect(try bench.store.purgeJobs(olderThanMilliseconds: -1) == 1)
  }

  @Test func fencesGrowEvenWhereRedisHasLostAll() async throws {
    let bench = try Contract.Bench(.redis)
    try await bench.add(Contract.draft("k"))
    let first = try await bench.claimed()
    try bench.server?.command("flushall")
    try await bench.add(Contract.draft("k"))
    let second = try await bench.claimed()
    #expect(second.id == first.id && second.attempt == 1 && second.fence > first.fence)
  }

  @Test func oldJobsGoUnlessTheyAreNeeded() async throws {
    let bench = try Contract.Bench(.redis)
    let queue = try #require(bench.queue as? RedisJobQueue)
    let first = Contract.draft("a", asset: "film")
    try await bench.add(first, Contract.draft("b", after: [first.id]))
    var job = try await bench.claimed()
    _ = try await queue.finish(job.id, fence: job.fence, JobResult())
    let kept = try await queue.purge(olderThanMilliseconds: -1)
    #expect(kept == 0, "a job that is alive needs it")
    job = try await bench.claimed()
    _ = try await queue.finish(job.id, fence: job.fence, JobResult())
    let young = try await queue.purge(olderThanMilliseconds: 3_600_000)
    #expect(young == 0)
    // The one that was waited for may go with the next look.
    var removed = 0
    for _ in 0..<2 { removed += try await queue.purge(olderThanMilliseconds: -1) }
    #expect(removed == 2)
    let left = try bench.server?.command("--scan")
    // The count of jobs and of turns, and the running of each site, which is zero.
    #expect(left?.split(separator: "\n").allSatisfy { $0.hasPrefix("{headwater:jobs}:") } == true)
    #expect(left?.contains("job:") == false && left?.contains("line:") == false, "\(left ?? "")")
  }
}

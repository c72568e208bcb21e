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

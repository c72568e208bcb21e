import Loop
import Net
import Store
import Support
import Synchronization
import Testing

@testable import Origin

/// What every queue is held to: the one in the index, and the one in Redis.
@Suite(.serialized) struct JobQueueContractTests {
  enum Kind: String, CaseIterable, CustomTestStringConvertible {
    case embedded
    case redis
    var testDescription: String { rawValue }
  }

  /// A queue of its own, with the store that its results go to.
  final class Bench: Sendable {
    let queue: any JobQueue
    let store: Store
    private let folder: TemporaryFolder
    /// nil of the queue in the index.
    let server: RedisServer?
    private let client: RedisClient?
    private let threads: LoopThreads
    /// Where the client's answers arrive: what is asked here is not held up by tests that fill the pool.
    var loop: EventLoop { threads.loops[0] }
    private let workers: WorkerPool
    let kind: Kind

    /// - Parameter leaseMilliseconds: of the queue in Redis, whose clock can't be moved on. Longer than any test, but where its
    ///   end is waited for.
    init(_ kind: Kind, leaseMilliseconds: Int64 = 120_000, serverOptions: [String] = []) throws {
      ignoreSIGPIPE()
      self.kind = kind
      folder = try TemporaryFolder("queue")
      threads = try LoopThreads(count: 1)
      workers = try WorkerPool(threadCount: 2)
      let clock = Clock()
      self.clock = clock
      store = try Store(
        path: folder.path("storage"),
        options: StoreOptions(
          indexMapSizeBytes: 1 << 30, indexReserveBytes: 0, nowMilliseconds: { clock.milliseconds }))
      switch kind {
      case .embedded:
        server = nil
        client = nil
        queue = EmbeddedJobQueue(store: store, workers: workers)
      case .redis:
        let server = try RedisServer(serverOptions)
        let client = RedisClient(
          loop: threads.loops[0], workers: workers, configuration: try RedisConfiguration(url: server.url))
        self.server = server
        self.client = client
        queue = RedisJobQueue(
          client: client, leaseMilliseconds: leaseMilliseconds,
          end: .here { [store] job, result throws(JobQueueError) in
            do throws(StoreError) { return try store.applyJobResult(result, of: job) } catch {
              throw JobQueueError(store: error)
            }
          })
      }
    }

    deinit {
      client?.close()
      workers.shutdown()
      threads.stopAndJoin()
    }

    private let clock: Clock

    final class Clock: Sendable {
      private let offset = Atomic<Int64>(0)
      var milliseconds: Int64 { Store.wallClockMilliseconds() + offset.load(ordering: .relaxed) }
      func advance(_ milliseconds: Int64) { offset.add(milliseconds, ordering: .relaxed) }
    }

    /// Claims when a lease or a time is over: the store's clock is moved on, the server's is waited for.
    func claimLater(_ offers: Set<JobOffer> = JobQueueContractTests.offers) async throws -> JobRecord? {
      clock.advance(JobRecord.leaseMilliseconds + 900_001)
      if kind == .embedded { return try await queue.claim(offers, owner: "later") }
      let deadline = ContinuousClock.now + .seconds(120)
      while ContinuousClock.now < deadline {
        if let job = try await queue.claim(offers, owner: "later") { return job }
        await Task.yield()
      }
      return nil
    }

    func claim(_ offers: Set<JobOffer> = JobQueueContractTests.offers) async throws -> JobRecord? {
      try await queue.claim(offers, owner: "first")
    }

    func claimed() async throws -> JobRecord { try #require(try await claim()) }

    @discardableResult
    func add(_ drafts: JobDraft...) async throws -> JobRecord {
      try #require(try await queue.enqueue(drafts).last)
    }

    func state(_ id: JobID) async throws -> JobState? { try await queue.job(id)?.state }
  }

  static let offers: Set<JobOffer> = [
    JobOffer(site: "demo", kind: "t.a"), JobOffer(site: "demo", kind: "t.b"),
    JobOffer(site: "other", kind: "t.a"),
  ]

  static func draft(
    _ key: String, site: String = "demo", kind: String = "t.a", priority: UInt8 = 100, after: [JobID] = [],
    asset: String? = nil, notBefore: Int64 = 0, supersedes: Bool = false, auxiliary: Bool = false
  ) -> JobDraft {
    JobDraft(
      site: site, kind: kind, key: key, asset: asset, priority: priority, payload: [0, 10, 255, 13],
      dependencies: after, notBeforeMilliseconds: notBefore, supersedes: supersedes,
      servesDependantsOnly: auxiliary)
  }

  // MARK: Coming in

  @Test(arguments: Kind.allCases) func theSameKeyIsOneJob(kind: Kind) async throws {
    let bench = try Bench(kind)
    let first = try await bench.add(Self.draft("k", priority: 7, asset: "film"))
    #expect(first.state == .pending && first.payload == [0, 10, 255, 13] && first.asset == "film")
    #expect(first.priority == 7 && first.key == "k" && first.fence == 0 && first.error == nil)
    let again = try await bench.add(Self.draft("k", priority: 9))
    #expect(again == first)
    let job = try await bench.claimed()
    #expect(job.id == first.id && job.state == .processing && job.attempt == 1 && job.fence > 0)
    #expect(job.owner == "first" && job.leaseUntilMilliseconds > job.startedMilliseconds)
    let ending = try await bench.queue.finish(job.id, fence: job.fence, JobResult(result: [1, 0, 2]))
    #expect(ending == .completed)
    let done = try await bench.add(Self.draft("k"))
    #expect(done.state == .completed && done.result == [1, 0, 2] && done.progressPermille == 1000)
    let none = try await bench.claim()
    #expect(none == nil)
  }

  @Test(arguments: Kind.allCases) func brokenLimitsAreRefused(kind: Kind) async throws {
    let bench = try Bench(kind)
    let unknown = JobID(site: "demo", kind: "t.a", key: "unknown")
    for drafts in [
      [Self.draft("a"), Self.draft("k", kind: "A b")], [Self.draft("a"), Self.draft("k", after: [unknown])],
      [Self.draft("b", after: [Self.draft("a").id]), Self.draft("a")],
    ] {
      let error = await #expect(throws: JobQueueError.self) { try await bench.queue.enqueue(drafts) }
      #expect(error?.code == .invalid, "\(String(describing: error))")
    }
    let all = try await bench.queue.jobs(JobFilter(), before: nil, limit: 10)
    #expect(all.isEmpty, "all or none")
  }

  // MARK: The order

  @Test(arguments: Kind.allCases) func theMostUrgentComesFirst(kind: Kind) async throws {
    let bench = try Bench(kind)
    for (key, priority) in [("late", 100), ("a", 10), ("b", 10), ("first", 0)] as [(String, UInt8)] {
      try await bench.add(Self.draft(key, priority: priority))
    }
    var order: [String] = []
    while let job = try await bench.claim() { order.append(job.key) }
    #expect(order == ["first", "a", "b", "late"])
  }

  @Test(arguments: Kind.allCases) func sitesTakeTurns(kind: Kind) async throws {
    let bench = try Bench(kind)
    for number in 0..<6 { try await bench.add(Self.draft("d\(number)")) }
    for number in 0..<2 { try await bench.add(Self.draft("o\(number)", site: "other")) }
    var order: [String] = []
    for _ in 0..<4 { order.append(try await bench.claimed().site) }
    #expect(order.sorted() == ["demo", "demo", "other", "other"], "\(order)")
    let onOffer = try await bench.claim([JobOffer(site: "other", kind: "t.a")])
    #expect(onOffer == nil, "only what is on offer is claimed")
  }

  @Test(arguments: Kind.allCases) func aTimeIsWaitedFor(kind: Kind) async throws {
    let bench = try Bench(kind)
    try await bench.add(Self.draft("k", notBefore: Store.wallClockMilliseconds() + 3000))
    let early = try await bench.claim()
    #expect(early == nil)
    let job = try #require(try await bench.claimLater())
    #expect(job.key == "k")
  }

  @Test(arguments: Kind.allCases) func everyJobGoesToOneWorker(kind: Kind) async throws {
    let bench = try Bench(kind)
    _ = try await bench.queue.enqueue((0..<60).map { Self.draft("k\($0)") })
    let keys = try await withThrowingTaskGroup(of: [String].self) { group in
      for worker in 0..<8 {
        group.addTask {
          var keys: [String] = []
          while let job = try await bench.queue.claim(Self.offers, owner: "worker \(worker)") {
            keys.append(job.key)
            let ending = try await bench.queue.finish(job.id, fence: job.fence, JobResult())
            #expect(ending == .completed)
          }
          return keys
        }
      }
      var all: [String] = []
      for try await keys in group { all += keys }
      return all
    }
    #expect(keys.count == 60 && Set(keys).count == 60)
  }

  // MARK: Leases

  @Test(arguments: Kind.allCases) func aLeaseHoldsAndPassesOn(kind: Kind) async throws {
    let bench = try Bench(kind, leaseMilliseconds: 3000)
    let queue = bench.queue
    try await bench.add(Self.draft("k"))
    let first = try await bench.claimed()
    let standing = try await queue.heartbeat(
      first.id, fence: first.fence, progressPermille: 250, note: "half")
    let beaten = try #require(try await queue.job(first.id))
    #expect(standing == .held && beaten.progressPermille == 250 && beaten.note == "half")
    let second = try #require(try await bench.claimLater())
    #expect(
      second.id == first.id && second.attempt == 2 && second.fence > first.fence
        && second.error?.code == "worker-lost"
    )
    // The first one wakes up: whatever it says is refused.
    let late = try await queue.heartbeat(first.id, fence: first.fence, progressPermille: 900, note: "")
    let finished = try await queue.finish(first.id, fence: first.fence, JobResult(result: [9]))
    let failed = try await queue.fail(first.id, fence: first.fence, JobFailure(.permanent, code: "x", "y"))
    let released = try await queue.release(first.id, fence: first.fence)
    #expect(late == .lost && finished == .lost && failed == nil && !released)
    let held = try await queue.standing(second.id, fence: second.fence)
    #expect(held == .held)
    let ending = try await queue.finish(second.id, fence: second.fence, JobResult(result: [2]))
    let done = try await queue.job(first.id)
    #expect(ending == .completed && done?.result == [2] && done?.error == nil)
    // Who got no answer asks again: it is told the same, and nothing changes.
    let twice = try await queue.finish(second.id, fence: second.fence, JobResult(result: [3]))
    let same = try await queue.job(first.id)
    #expect(twice == .completed && same == done)
  }

  @Test(arguments: Kind.allCases) func whatTakesItsWorkersDownEndsAsADeadLetter(kind: Kind) async throws {
    let bench = try Bench(kind, leaseMilliseconds: 400)
    try await bench.add(Self.draft("k"))
    _ = try await bench.claimed()
    for attempt in 2...5 {
      let job = try #require(try await bench.claimLater())
      #expect(job.attempt == UInt32(attempt))
    }
    // A claim after that finds the fifth lost; there is always one to be claimed, so that none is waited for.
    for number in 0..<10_000 where try await bench.state(Self.draft("k").id) == .processing {
      try await bench.add(Self.draft("\(number)"))
      _ = try await bench.claimLater()
    }
    let dead = try #require(try await bench.queue.job(Self.draft("k").id))
    #expect(dead.state == .failed && dead.error?.code == "worker-lost" && dead.owner.isEmpty)
  }

  @Test(arguments: Kind.allCases) func aReleasedAttemptDoesNotCount(kind: Kind) async throws {
    let bench = try Bench(kind)
    try await bench.add(Self.draft("k"))
    var fence: UInt64 = 0
    for _ in 1...7 {
      let job = try await bench.claimed()
      #expect(job.attempt == 1 && job.fence > fence)
      fence = job.fence
      let isReleased = try await bench.queue.release(job.id, fence: job.fence)
      #expect(isReleased)
    }
  }

  // MARK: Failures

  @Test(arguments: Kind.allCases) func failuresAreTriedAgainAsTheirKindSays(kind: Kind) async throws {
    let bench = try Bench(kind)
    try await bench.add(Self.draft("p"))
    var job = try await bench.claimed()
    let failure = JobFailure(.permanent, code: "bad", "It is bad.", log: "line")
    let failed = try #require(try await bench.queue.fail(job.id, fence: job.fence, failure))
    #expect(
      failed.state == .failed && failed.error == JobError(code: "bad", message: "It is bad.", log: "line"))
    try await bench.add(Self.draft("r"))
    job = try await bench.claimed()
    let waiting = try #require(
      try await bench.queue.fail(job.id, fence: job.fence, JobFailure(.retryable, code: "later", "Later.")))
    #expect(waiting.state == .pending && waiting.notBeforeMilliseconds > 0 && waiting.attempt == 1)
    #expect(waiting.notBeforeMilliseconds - waiting.updatedMilliseconds <= 5_000)
    try await bench.queue.cancel(job.id)
    try await bench.add(Self.draft("c"))
    for crash in 1...3 {
      job = try #require(try await bench.claimLater())
      let after = try #require(
        try await bench.queue.fail(job.id, fence: job.fence, JobFailure(.crashed, code: "crash", "It died.")))
      #expect(after.crashes == UInt32(crash) && after.state == (crash < 3 ? .pending : .failed))
    }
    try await bench.add(Self.draft("w"))
    for _ in 0..<8 {
      job = try #require(try await bench.claimLater())
      #expect(job.key == "w" && job.attempt == 1)
      let after = try await bench.queue.fail(
        job.id, fence: job.fence, JobFailure(.postponed(milliseconds: 5), code: "disk", "Full."))
      #expect(after?.attempt == 0)
    }
  }

  // MARK: Dependencies

  @Test(arguments: Kind.allCases) func dependantsWaitAndLearn(kind: Kind) async throws {
    let bench = try Bench(kind)
    let (a, b, c) = (Self.draft("a"), Self.draft("b"), Self.draft("c"))
    let last = Self.draft("last", after: [a.id, b.id])
    let stranded = Self.draft("stranded", after: [c.id])
    let further = Self.draft("further", after: [stranded.id])
    try await bench.add(a, b, last, c, stranded, further)
    for _ in 0..<2 {
      let job = try await bench.claimed()
      _ = try await bench.queue.finish(job.id, fence: job.fence, JobResult())
    }
    var (third, fourth) = (try await bench.claimed(), try await bench.claimed())
    // Which of the two that are ready comes first is left open.
    if third.key != "c" { swap(&third, &fourth) }
    #expect(third.key == "c" && fourth.key == "last" && fourth.dependencies == [a.id, b.id])
    _ = try await bench.queue.fail(third.id, fence: third.fence, JobFailure(.permanent, code: "bad", "Bad."))
    let ends = try await [bench.queue.job(stranded.id), bench.queue.job(further.id)]
    #expect(ends.allSatisfy { $0?.state == .failed && $0?.error?.code == "dependency-failed" })
    let late = try await bench.add(Self.draft("late", after: [c.id]))
    #expect(late.state == .failed)
    // A retry brings back all that failed because of it.
    let again = try await bench.queue.retry(further.id)
    #expect(again?.state == .pending && again?.attempt == 0)
    var order: [String] = []
    while let job = try await bench.claim() {
      order.append(job.key)
      _ = try await bench.queue.finish(job.id, fence: job.fence, JobResult())
    }
    #expect(
      order.filter { ["c", "stranded", "further"].contains($0) } == ["c", "stranded", "further"], "\(order)")
  }

  @Test(arguments: Kind.allCases) func cancellingReachesDependantsAndTheWorker(kind: Kind) async throws {
    let bench = try Bench(kind)
    let first = Self.draft("a")
    try await bench.add(first, Self.draft("b", after: [first.id]))
    let job = try await bench.claimed()
    let cancelled = try await bench.queue.cancel(job.id)
    #expect(cancelled?.state == .cancelled)
    let standing = try await bench.queue.heartbeat(job.id, fence: job.fence, progressPermille: 1, note: "")
    #expect(standing == .cancelled)
    guard case .cancelled(let reason) = try await bench.queue.finish(job.id, fence: job.fence, JobResult())
    else {
      return #expect(Bool(false), "a cancelled job does not end as completed")
    }
    #expect(reason.code == "cancelled")
    let dependant = try await bench.queue.job(Self.draft("b").id)
    #expect(dependant?.state == .cancelled && dependant?.error?.code == "dependency-cancelled")
    let unknown = try await bench.queue.cancel(Self.draft("unknown").id)
    #expect(unknown == nil)
  }

  @Test(arguments: Kind.allCases) func whatNobodyWantsIsCancelled(kind: Kind) async throws {
    let bench = try Bench(kind)
    let helper = Self.draft("helper", auxiliary: true)
    let (one, two) = (Self.draft("one", after: [helper.id]), Self.draft("two", after: [helper.id]))
    try await bench.add(helper, one, two)
    try await bench.queue.cancel(one.id)
    #expect(try await bench.state(helper.id) == .pending)
    try await bench.queue.cancel(two.id)
    let ended = try await bench.queue.job(helper.id)
    #expect(ended?.state == .cancelled && ended?.error?.code == "no-longer-needed")
  }

  @Test(arguments: Kind.allCases) func newerWorkTakesThePlaceOfOlder(kind: Kind) async throws {
    let bench = try Bench(kind)
    try await bench.add(Self.draft("old", asset: "film"))
    try await bench.add(Self.draft("other plugin", kind: "u.a", asset: "film"))
    try await bench.add(Self.draft("new", asset: "film", supersedes: true))
    let old = try await bench.queue.job(Self.draft("old").id)
    #expect(old?.state == .cancelled && old?.error?.code == "superseded")
    #expect(try await bench.state(Self.draft("other plugin", kind: "u.a").id) == .pending)
    let next = try await bench.claimed()
    #expect(next.key == "new")
  }

  // MARK: Ends

  @Test(arguments: Kind.allCases) func aResultHappensWithAllItsEffects(kind: Kind) async throws {
    let bench = try Bench(kind)
    let writer = try bench.store.blobs.makeWriter()
    try writer.write([1, 2, 3])
    let blob = try writer.finish().id
    try await bench.add(Self.draft("k"))
    let job = try await bench.claimed()
    let missing = JobResult(keptBlobs: [BlobID.digest(of: [9])])
    let error = await #expect(throws: JobQueueError.self) {
      try await bench.queue.finish(job.id, fence: job.fence, missing)
    }
    #expect(error?.code == .blobMissing)
    let foreign = JobResult(followUps: [Self.draft("f", site: "other")])
    let refused = await #expect(throws: JobQueueError.self) {
      try await bench.queue.finish(job.id, fence: job.fence, foreign)
    }
    #expect(refused?.code == .invalid)
    let result = JobResult(
      result: Array("{}".utf8), keptBlobs: [blob],
      followUps: [Self.draft("next", after: [job.id]), Self.draft("last", after: [Self.draft("next").id])])
    let ending = try await bench.queue.finish(job.id, fence: job.fence, result)
    let done = try await bench.queue.job(job.id)
    #expect(ending == .completed && done?.keptBlobs == [blob])
    let next = try await bench.claimed()
    #expect(next.key == "next")
    // A change of an asset that is not there.
    let change = AssetChange.renditions(asset: "gone", ifSource: blob, add: [])
    guard
      case .cancelled(let reason) = try await bench.queue.finish(
        next.id, fence: next.fence, JobResult(change: change))
    else { return #expect(Bool(false), "a change that does not fit cancels the job") }
    #expect(reason.code == "asset-changed")
    #expect(try await bench.state(Self.draft("last").id) == .cancelled)
  }

  @Test(arguments: Kind.allCases) func listsAreNewestFirstAndPaged(kind: Kind) async throws {
    let bench = try Bench(kind)
    for number in 0..<25 {
      try await bench.add(
        Self.draft("k\(number)", kind: number % 2 == 0 ? "t.a" : "t.b", asset: "a\(number % 3)"))
    }
    let job = try await bench.claimed()
    var keys: [String] = []
    var before: UInt64?
    repeat {
      let page = try await bench.queue.jobs(JobFilter(), before: before, limit: 7)
      keys += page.map(\.key)
      before = page.last?.sequence
    } while before != nil
    #expect(keys == (0..<25).reversed().map { "k\($0)" })
    let odd = try await bench.queue.jobs(JobFilter(kind: "t.b"), before: nil, limit: 100)
    let asset = try await bench.queue.jobs(JobFilter(site: "demo", asset: "a1"), before: nil, limit: 100)
    let held = try await bench.queue.jobs(JobFilter(states: [.processing]), before: nil, limit: 100)
    #expect(odd.count == 12 && asset.count == 8 && held.map(\.id) == [job.id])
    let alive = try await bench.queue.jobs(JobFilter(states: [.processing, .pending]), before: nil, limit: 9)
    #expect(alive.map(\.key) == (16..<25).reversed().map { "k\($0)" })
    _ = try await bench.queue.finish(job.id, fence: job.fence, JobResult())
    let figures = try await bench.queue.figures()
    let counts = figures.counts.map { "\($0.kind) \($0.state) \($0.jobs)" }.sorted()
    #expect(counts == ["t.a completed 1", "t.a pending 12", "t.b pending 12"], "\(counts)")
    #expect(Set(figures.nextMilliseconds.keys) == ["t.a", "t.b"])
    #expect(figures.nextMilliseconds["t.b"] == odd.last?.createdMilliseconds)
  }
}

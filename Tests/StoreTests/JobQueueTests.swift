import Testing

@testable import Store

@Suite struct JobQueueTests {
  private let fixture: Fixture
  private var store: Store { fixture.store }
  private let offers: Set<JobOffer> = [
    JobOffer(site: "demo", kind: "t.a"), JobOffer(site: "demo", kind: "t.b"),
    JobOffer(site: "other", kind: "t.a"),
  ]
  private static let owner = "host//1"

  init() throws { fixture = try Fixture() }

  private func draft(
    _ key: String, site: String = "demo", kind: String = "t.a", priority: UInt8 = 100, after: [JobID] = [],
    asset: String? = nil, notBefore: Int64 = 0, supersedes: Bool = false, auxiliary: Bool = false
  ) -> JobDraft {
    JobDraft(
      site: site, kind: kind, key: key, asset: asset, priority: priority, payload: Array("{}".utf8),
      dependencies: after, notBeforeMilliseconds: notBefore, supersedes: supersedes,
      servesDependantsOnly: auxiliary)
  }

  @discardableResult
  private func add(_ drafts: JobDraft...) throws -> JobRecord {
    let added = try store.enqueue(drafts)
    return try #require(added.last)
  }

  private func claim() throws -> JobRecord? { try store.claimJob(offers, owner: Self.owner) }

  private func claimed() throws -> JobRecord { try #require(try claim()) }

  private func state(_ id: JobID) throws -> JobState? { try store.job(id)?.state }

  // MARK: Ids and coming in

  @Test func idsReadBackAndAreOfTheirParts() throws {
    let id = JobID(site: "a", kind: "b", key: "c")
    #expect(id.description.utf8.count == 26 && JobID(id.description) == id)
    #expect(JobID(site: "ab", kind: "", key: "c") != JobID(site: "a", kind: "b", key: "c"))
    #expect(JobID(id.description.uppercased()) == nil || id.description == id.description.uppercased())
    for bad in [
      "", "0", String(repeating: "z", count: 26), String(repeating: "0", count: 27),
      "i" + String(repeating: "0", count: 25),
    ] {
      #expect(JobID(bad) == nil, "\(bad)")
    }
    #expect(JobID("7" + String(repeating: "z", count: 25))?.high == .max)
  }

  @Test func theSameKeyIsOneJob() throws {
    let first = try add(draft("k", priority: 7))
    fixture.clock.advance(seconds: 5)
    let again = try add(draft("k", priority: 9))
    #expect(again == first)
    let job = try claimed()
    _ = try store.finishJob(job.id, fence: job.fence, JobResult(result: [1]))
    #expect(try add(draft("k")).state == .completed)
    #expect(try claim() == nil)
  }

  @Test func brokenLimitsAreRefused() throws {
    let bad = [
      draft("k", site: ""), draft("k", kind: "Upper"), draft("k", kind: ""),
      draft(String(repeating: "k", count: 513)),
      draft("k", asset: "no/asset"), draft("k", after: [JobID(site: "x", kind: "y", key: "z")]),
      JobDraft(site: "demo", kind: "t.a", key: "k", payload: [UInt8](repeating: 32, count: (16 << 10) + 1)),
    ]
    for draft in bad { #expect(code { try store.enqueue([draft]) } == .invalid, "\(draft.kind)") }
    // All or none.
    #expect(code { try store.enqueue([self.draft("good"), bad[1]]) } == .invalid)
    #expect(try store.jobs(limit: 10).isEmpty)
  }

  // MARK: Order

  @Test func priorityAgesAndSequenceBreaksTies() throws {
    try add(draft("late-urgent-a", priority: 0), draft("b", priority: 2), draft("a", priority: 1))
    fixture.clock.advance(seconds: 61)
    // Priority 1 of a minute ago comes before priority 0 of now; priority 2 does not.
    try add(draft("new", priority: 0), draft("new-2", priority: 0))
    var keys: [String] = []
    while let job = try claim() { keys.append(job.key) }
    #expect(keys == ["late-urgent-a", "a", "new", "new-2", "b"])
  }

  @Test func sitesTakeTurns() throws {
    for number in 0..<6 { try add(draft("\(number)")) }
    fixture.clock.advance(seconds: 1)
    try add(draft("x", site: "other"), draft("y", site: "other"))
    var sites: [String] = []
    for _ in 0..<4 {
      let job = try claimed()
      sites.append(job.site)
      _ = try store.finishJob(job.id, fence: job.fence, JobResult())
    }
    #expect(sites == ["demo", "other", "demo", "other"])
    // With jobs under way the site with fewer of them comes first.
    try add(draft("p", site: "other"), draft("q", site: "other"))
    var running: [String: Int] = [:]
    for _ in 0..<4 { running[try claimed().site, default: 0] += 1 }
    #expect(running == ["demo": 2, "other": 2])
  }

  @Test func onlyWhatIsOnOfferIsClaimed() throws {
    try add(draft("k", kind: "t.b"))
    #expect(try store.claimJob([JobOffer(site: "demo", kind: "t.a")], owner: Self.owner) == nil)
    #expect(try store.claimJob([JobOffer(site: "other", kind: "t.b")], owner: Self.owner) == nil)
    #expect(try claim()?.kind == "t.b")
  }

  @Test func aTimeIsWaitedFor() throws {
    try add(draft("k", notBefore: fixture.clock.milliseconds + 10_000))
    #expect(try claim() == nil)
    fixture.clock.advance(seconds: 10)
    #expect(try claim()?.key == "k")
  }

  // MARK: Leases

  @Test func aLeaseHoldsAndPassesOn() throws {
    let id = try add(draft("k")).id
    let first = try claimed()
    #expect(first.attempt == 1 && first.fence == 1 && first.state == .processing && first.owner == Self.owner)
    fixture.clock.advance(seconds: 29)
    #expect(try store.heartbeat(id, fence: 1, progressPermille: 2000, note: "half") == .held)
    #expect(try store.job(id)?.progressPermille == 1000 && store.job(id)?.note == "half")
    fixture.clock.advance(seconds: 29)
    #expect(try claim() == nil)
    fixture.clock.advance(seconds: 1)
    let second = try claimed()
    #expect(second.fence == 2 && second.attempt == 2 && second.error?.code == JobError.workerLost)
    // Whatever the first one says is refused.
    #expect(try store.heartbeat(id, fence: 1, progressPermille: 1, note: "") == .lost)
    #expect(try store.jobStanding(id, fence: 1) == .lost && store.jobStanding(id, fence: 2) == .held)
    #expect(try store.finishJob(id, fence: 1, JobResult(followUps: [draft("late")])) == .lost)
    #expect(try store.failJob(id, fence: 1, JobFailure(.permanent, code: "x", "x")) == nil)
    #expect(try !store.releaseJob(id, fence: 1))
    #expect(try state(id) == .processing && store.jobs(limit: 10).count == 1)
    #expect(try store.finishJob(id, fence: 2, JobResult(result: [7])) == .completed)
    // Who got no answer asks again, and changes nothing by that.
    #expect(try store.finishJob(id, fence: 2, JobResult(result: [8])) == .completed)
    #expect(try store.job(id)?.result == [7])
    #expect(try store.finishJob(id, fence: 1, JobResult(result: [9])) == .lost)
  }

  @Test func aDeadProcessLosesItsJobsAtOnce() throws {
    try add(draft("k"))
    var presence: WorkerPresence? = try store.makeWorkerPresence()
    let owner = try #require(presence).owner(worker: 3)
    #expect(try store.claimJob(offers, owner: owner)?.owner == owner)
    #expect(try claim() == nil)
    try store.maintain()
    #expect(try claim() == nil)
    presence = nil
    #expect(try claim()?.attempt == 2)
  }

  @Test func whatKillsItsWorkersEndsAsADeadLetter() throws {
    let id = try add(draft("k")).id
    for _ in 0..<JobRecord.maximumAttempts {
      _ = try claimed()
      fixture.clock.advance(seconds: 31)
    }
    #expect(try claim() == nil)
    let job = try #require(try store.job(id))
    #expect(job.state == .failed && job.error?.code == JobError.workerLost && job.attempt == 5)
  }

  @Test func aReleasedAttemptDoesNotCount() throws {
    let id = try add(draft("k")).id
    for round in 1...9 {
      let job = try claimed()
      #expect(job.attempt == 1 && job.fence == UInt64(round))
      #expect(try store.releaseJob(id, fence: job.fence))
    }
  }

  // MARK: Failures

  private func fail(_ kind: JobFailure.Kind) throws -> JobRecord {
    fixture.clock.advance(seconds: 900)
    let job = try claimed()
    let failure = JobFailure(
      kind, code: "c", String(repeating: "m", count: 3000), log: String(repeating: "é", count: 9000))
    return try #require(try store.failJob(job.id, fence: job.fence, failure))
  }

  @Test func failuresAreTriedAgainAsTheirKindSays() throws {
    for (kind, attempts) in [
      (JobFailure.Kind.permanent, 1), (.retryable, 5), (.crashed, 3),
    ] {
      let id = try add(draft("\(kind)")).id
      for attempt in 1..<attempts {
        let job = try fail(kind)
        #expect(job.state == .pending && job.attempt == attempt)
        let wait = job.notBeforeMilliseconds - fixture.clock.milliseconds
        #expect(wait >= 1 && wait <= 5_000 << (attempt - 1))
      }
      if attempts == 1 { fixture.clock.advance(seconds: 900) }
      let last = try fail(kind)
      #expect(last.id == id && last.state == .failed && last.attempt == attempts)
      let error = try #require(last.error)
      #expect(error.code == "c" && error.message.utf8.count <= 1024 && error.log.utf8.count <= 8192)
    }
    #expect(JobRecord.backoff(afterAttempt: .max) <= 900_000)
  }

  @Test func postponingDoesNotCount() throws {
    try add(draft("k"))
    for _ in 0..<20 { #expect(try fail(.postponed(milliseconds: 1000)).state == .pending) }
    #expect(try fail(.permanent).state == .failed)
  }

  // MARK: Dependencies

  @Test func dependantsWaitAndLearn() throws {
    let a = try add(draft("a"))
    let b = try add(draft("b"))
    let c = try add(draft("c", after: [a.id, b.id]))
    let d = try add(draft("d", after: [c.id]))
    let first = try claimed()
    let second = try claimed()
    #expect(try claim() == nil)
    _ = try store.finishJob(first.id, fence: first.fence, JobResult())
    #expect(try claim() == nil)
    _ = try store.failJob(second.id, fence: second.fence, JobFailure(.permanent, code: "bad", "No picture."))
    let ended = try #require(try store.job(c.id))
    #expect(ended.state == .failed && ended.error?.code == JobError.dependencyFailed)
    #expect(ended.error?.message.contains("No picture.") == true)
    #expect(try state(d.id) == .failed)
    #expect(try add(draft("e", after: [d.id])).state == .failed)
    // A retry of what failed last takes up the first cause and all between.
    #expect(try store.retryJob(d.id)?.state == .pending)
    #expect(try state(second.id) == .pending && state(c.id) == .pending && state(first.id) == .completed)
    let order = try (0..<3).map { _ in
      let job = try claimed()
      _ = try store.finishJob(job.id, fence: job.fence, JobResult())
      return job.key
    }
    #expect(order == [second.key, "c", "d"])
    // "e" had failed because of "d".
    #expect(try claim()?.key == "e")
  }

  @Test func cancellingReachesDependantsAndTheWorker() throws {
    let a = try add(draft("a"))
    let b = try add(draft("b", after: [a.id]))
    let job = try claimed()
    #expect(try store.cancelJob(a.id)?.state == .cancelled)
    #expect(try state(b.id) == .cancelled)
    #expect(try store.jobStanding(a.id, fence: job.fence) == .cancelled)
    #expect(try store.heartbeat(a.id, fence: job.fence, progressPermille: 1, note: "") == .cancelled)
    guard case .cancelled = try store.finishJob(a.id, fence: job.fence, JobResult()) else {
      Issue.record("finished though cancelled")
      return
    }
    #expect(try store.cancelJob(a.id)?.state == .cancelled)
    #expect(try store.cancelJob(JobID(site: "", kind: "", key: "")) == nil)
    #expect(try add(draft("c", after: [a.id])).state == .cancelled)
    #expect(try store.retryJob(b.id)?.state == .pending)
    #expect(try claim()?.key == "a")
  }

  @Test func whatNobodyWantsIsCancelled() throws {
    let chunks = try (0..<3).map { try add(draft("\($0)", auxiliary: true)) }
    let own = try add(draft("own"))
    let join = try add(draft("join", after: chunks.map(\.id) + [own.id]))
    let first = try claimed()
    _ = try store.failJob(first.id, fence: first.fence, JobFailure(.permanent, code: "x", "x"))
    #expect(try state(join.id) == .failed)
    #expect(try chunks.dropFirst().allSatisfy { try state($0.id) == .cancelled })
    #expect(try state(own.id) == .pending)
    // And comes back with a retry.
    _ = try store.retryJob(join.id)
    #expect(try chunks.allSatisfy { try state($0.id) == .pending })
  }

  @Test func newerWorkTakesThePlaceOfOlder() throws {
    let old = try add(draft("plan-1", asset: "film"))
    let oldChunk = try add(draft("chunk-1", kind: "t.b", after: [old.id], asset: "film"))
    let others = try [add(draft("o", asset: "else")), add(draft("p", kind: "u.a", asset: "film"))]
    let drafts = [draft("plan-2", asset: "film", supersedes: true), draft("plan-3", asset: "film")]
    try store.enqueue(drafts)
    #expect(try store.job(old.id)?.error?.code == JobError.superseded)
    #expect(try state(oldChunk.id) == .cancelled)
    #expect(try others.allSatisfy { try state($0.id) == .pending })
    #expect(try drafts.allSatisfy { try state($0.id) == .pending })
    // Asked for again it changes nothing.
    try store.enqueue(drafts)
    #expect(try drafts.allSatisfy { try state($0.id) == .pending })
  }

  // MARK: Effects

  private func publishFilm() throws -> AssetRecord { try fixture.publish("film", "source") }

  private func rendition(_ name: String, _ text: String) throws -> RenditionRecord {
    RenditionRecord(name: name, kind: .video, blob: try fixture.stage(text).id)
  }

  @Test func aResultHappensWithAllItsEffects() throws {
    let asset = try publishFilm()
    let source = try #require(asset.source)
    let a = try add(draft("a", asset: "film"))
    let job = try claimed()
    let change = AssetChange.renditions(
      asset: "film", ifSource: source, add: [try rendition("240p", "small")], status: .ready)
    let head = try store.events(after: 0, limit: 100).count
    let ending = try store.finishJob(
      job.id, fence: job.fence,
      JobResult(
        result: [1, 2], followUps: [draft("next", after: [a.id]), draft("then", after: [draft("next").id])],
        change: change))
    #expect(ending == .completed)
    let now = try store.read { reader throws(StoreError) in try reader.asset(site: "demo", id: "film") }
    #expect(now?.renditions.map(\.name) == ["240p"] && now?.generation != asset.generation)
    #expect(try store.events(after: 0, limit: 100).count == head + 1)
    #expect(try claim()?.key == "next")
    // A second rung adds to the first, in a generation of its own, and one of the same name replaces.
    let b = try add(draft("b"))
    let second = try claimed()
    #expect(second.id == b.id)
    _ = try store.finishJob(
      second.id, fence: second.fence,
      JobResult(
        change: .renditions(
          asset: "film", ifSource: source,
          add: [try rendition("360p", "mid"), try rendition("240p", "other")])))
    let both = try store.read { reader throws(StoreError) in try reader.asset(site: "demo", id: "film") }
    #expect(both?.renditions.map(\.name) == ["360p", "240p"])
  }

  @Test func aChangeThatNoLongerFitsDoesNothing() throws {
    let source = try #require(try publishFilm().source)
    try fixture.publish("film", "another source")
    for (key, asset) in [("a", "film"), ("b", "gone")] {
      let id = try add(draft(key)).id
      let job = try claimed()
      let change = AssetChange.renditions(
        asset: asset, ifSource: source, add: [try rendition("240p", "small")])
      let ending = try store.finishJob(
        id, fence: job.fence, JobResult(followUps: [draft("follow")], change: change))
      guard case .cancelled(let reason) = ending else {
        Issue.record("\(ending)")
        continue
      }
      #expect(reason.code == JobError.outdated)
      #expect(try state(id) == .cancelled && state(draft("follow").id) == nil)
    }
  }

  @Test func aResultWithoutItsBlobIsRefused() throws {
    let source = try #require(try publishFilm().source)
    try add(draft("a"))
    let job = try claimed()
    let missing = RenditionRecord(name: "x", kind: .video, blob: BlobID.digest(of: [9]))
    #expect(
      code {
        try store.finishJob(
          job.id, fence: job.fence,
          JobResult(change: .renditions(asset: "film", ifSource: source, add: [missing])))
      } == .blobMissing)
    #expect(
      code { try store.finishJob(job.id, fence: job.fence, JobResult(keptBlobs: [missing.blob])) }
        == .blobMissing)
    #expect(
      code {
        try store.finishJob(job.id, fence: job.fence, JobResult(followUps: [draft("f", site: "other")]))
      }
        == .invalid)
    #expect(try store.jobStanding(job.id, fence: job.fence) == .held)
  }

  // MARK: Lists and upkeep

  @Test func listsAreNewestFirstAndPaged() throws {
    for number in 0..<10 {
      try add(draft("\(number)", kind: number % 2 == 0 ? "t.a" : "t.b", asset: number < 4 ? "film" : nil))
    }
    func keys(_ filter: JobFilter, before: UInt64? = nil, limit: Int = 100) throws -> [String] {
      try store.jobs(filter, before: before, limit: limit).map(\.key)
    }
    #expect(try keys(JobFilter()) == (0..<10).reversed().map { "\($0)" })
    #expect(try keys(JobFilter(kind: "t.a"), limit: 2) == ["8", "6"])
    let page = try store.jobs(limit: 4)
    #expect(try keys(JobFilter(), before: page.last?.sequence, limit: 2) == ["5", "4"])
    #expect(try keys(JobFilter(), before: 1).isEmpty && keys(JobFilter(), limit: 0).isEmpty)
    #expect(try keys(JobFilter(site: "demo", asset: "film")) == ["3", "2", "1", "0"])
    #expect(try keys(JobFilter(site: "other")).isEmpty)
    _ = try claimed()
    #expect(try keys(JobFilter(states: [.processing])).count == 1)
    #expect(try keys(JobFilter(states: [.processing, .pending])).count == 10)
    let counts = try store.jobCounts().map { "\($0.kind) \($0.state) \($0.jobs)" }.sorted()
    #expect(counts == ["t.a pending 4", "t.a processing 1", "t.b pending 5"])
    #expect(
      try store.nextJobTimes() == ["t.a": fixture.clock.milliseconds, "t.b": fixture.clock.milliseconds])
  }

  @Test func oldJobsGoUnlessTheyAreNeeded() throws {
    let a = try add(draft("a"))
    let b = try add(draft("b", after: [a.id]))
    let job = try claimed()
    _ = try store.finishJob(job.id, fence: job.fence, JobResult())
    fixture.clock.advance(seconds: 100)
    #expect(try store.purgeJobs(olderThanMilliseconds: 50_000) == 0)
    let second = try claimed()
    _ = try store.failJob(second.id, fence: second.fence, JobFailure(.permanent, code: "x", "x"))
    // A dead letter can be retried, so what it needs stays.
    #expect(try store.purgeJobs(olderThanMilliseconds: 50_000) == 0)
    fixture.clock.advance(seconds: 51)
    #expect(try store.purgeJobs(olderThanMilliseconds: 50_000) == 1)
    #expect(try store.purgeJobs(olderThanMilliseconds: 50_000) == 1)
    #expect(try state(a.id) == nil && state(b.id) == nil && store.jobCounts().isEmpty)
    let left = try store.index.read { (transaction) throws(StoreError) in
      try store.tables.jobs.dependants(of: a.id, transaction.view)
    }
    #expect(left.isEmpty)
  }
}

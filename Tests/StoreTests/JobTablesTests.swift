import Foundation
import Testing

@testable import Store

/// Whatever happens to jobs, in whatever order: where they stand follows from their records alone.
@Suite struct JobTablesTests {
  private let fixture: Fixture
  private var store: Store { fixture.store }

  init() throws { fixture = try Fixture() }

  /// All of the derived tables, as text.
  private func derived(_ store: Store) throws -> [String] {
    let jobs = store.tables.jobs
    let tables = [
      jobs.order, jobs.states, jobs.assets, jobs.ready, jobs.delayed, jobs.leases, jobs.dependants,
      jobs.counts,
    ]
    return try store.index.read { (transaction) throws(StoreError) in
      var lines: [String] = []
      for (number, table) in tables.enumerated() {
        try transaction.scan(table, from: RawSpan()) { (key, value) throws(StoreError) in
          lines.append("\(number) \(Hex.string(key)) \(Hex.string(value))")
          return .next
        }
      }
      return lines
    }
  }

  private func records(_ store: Store) throws -> [JobRecord] { try store.jobs(limit: .max) }

  /// What the records say of each other.
  private func check(_ step: Int) throws {
    let all = try records(store)
    let byID = Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0) })
    for job in all {
      let states = job.dependencies.compactMap { byID[$0]?.state }
      switch job.state {
      case .pending:
        let unmet = states.count { $0 != .completed }
        #expect(Int(job.unmetDependencies) == unmet, "step \(step): \(job.key)")
        #expect(!states.contains(.failed) && !states.contains(.cancelled), "step \(step): \(job.key)")
      case .processing:
        #expect(
          job.leaseUntilMilliseconds > 0 && states.allSatisfy { $0 == .completed }, "step \(step): \(job.key)"
        )
      case .completed, .failed, .cancelled:
        #expect(job.owner.isEmpty && job.leaseUntilMilliseconds == 0, "step \(step): \(job.key)")
      }
      if job.state == .failed || job.state == .cancelled { #expect(job.error != nil) }
    }
    #expect(Set(all.map(\.sequence)).count == all.count)
  }

  @Test(arguments: [1, 2, 3, 4] as [UInt64]) func anyOrderOfOperationsKeepsThemTrue(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let offers: Set<JobOffer> = Set(
      ["a", "b"].flatMap { site in ["t.x", "t.y", "u.z"].map { JobOffer(site: site, kind: $0) } })
    var claimed: [JobRecord] = []
    for step in 0..<250 {
      let all = try records(store)
      let any = all.randomElement(using: &random)
      switch Int.random(in: 0..<12, using: &random) {
      case 0...3:
        let site = ["a", "b"].randomElement(using: &random) ?? "a"
        let near = all.filter { $0.site == site }
        let dependencies = (0..<Int.random(in: 0...2, using: &random)).compactMap { _ in
          near.randomElement(using: &random)?.id
        }
        _ = try store.enqueue([
          JobDraft(
            site: site, kind: ["t.x", "t.y", "u.z"].randomElement(using: &random) ?? "t.x",
            key: "\(Int.random(in: 0..<60, using: &random))",
            asset: Bool.random(using: &random) ? "film" : nil,
            priority: .random(in: 0...3, using: &random), dependencies: Array(Set(dependencies)),
            notBeforeMilliseconds: Bool.random(using: &random) ? fixture.clock.milliseconds + 20_000 : 0,
            supersedes: Int.random(in: 0..<20, using: &random) == 0,
            servesDependantsOnly: Bool.random(using: &random))
        ])
      case 4, 5:
        if let job = try store.claimJob(offers, owner: "host//1") { claimed.append(job) }
      case 6:
        if let job = claimed.randomElement(using: &random) {
          _ = try store.heartbeat(job.id, fence: job.fence, progressPermille: 10, note: "n")
        }
      case 7:
        if let job = claimed.popLast() {
          _ = try store.finishJob(
            job.id, fence: job.fence,
            JobResult(followUps: [
              JobDraft(site: job.site, kind: "u.z", key: "after \(job.key)", dependencies: [job.id])
            ]))
        }
      case 8:
        if let job = claimed.popLast() {
          let kind = [JobFailure.Kind.permanent, .retryable, .crashed, .postponed(milliseconds: 9)]
            .randomElement(using: &random)
          _ = try store.failJob(job.id, fence: job.fence, JobFailure(kind ?? .permanent, code: "c", "m"))
        }
      case 9:
        if let any {
          _ = Bool.random(using: &random) ? try store.cancelJob(any.id) : try store.retryJob(any.id)
        }
      case 10:
        fixture.clock.advance(seconds: .random(in: 1...40, using: &random))
        if let job = claimed.popLast() { _ = try store.releaseJob(job.id, fence: job.fence) }
      default: _ = try store.purgeJobs(olderThanMilliseconds: 60_000)
      }
      try check(step)
    }
    // Made again from the records they are the same.
    let before = try derived(store)
    try store.index.write { (transaction) throws(StoreError) in
      try transaction.clear(store.tables.jobs.order)
      _ = try JobTables(transaction)
    }
    #expect(try derived(store) == before)
  }

  @Test func aJobThatCannotBeReadDoesNotStopTheOthers() throws {
    let bad = try #require(try store.enqueue([JobDraft(site: "a", kind: "t.x", key: "bad")]).first)
    _ = try store.enqueue([JobDraft(site: "a", kind: "t.x", key: "good")])
    try store.index.write { (transaction) throws(StoreError) in
      try transaction.put(store.tables.jobs.jobs, bad.id.bytes.span.bytes, [99])
    }
    let offers: Set<JobOffer> = [JobOffer(site: "a", kind: "t.x")]
    #expect(try store.claimJob(offers, owner: "host//1") == nil)
    #expect(try store.claimJob(offers, owner: "host//1")?.key == "good")
    let report = try Scrub(store: store).run()
    #expect(report.unreadableRecords.map(\.table) == ["jobs"])
  }

  // MARK: Blobs that jobs keep

  @Test func keptBlobsStayWhileSomebodyMayNeedThem() throws {
    let fixture = try Fixture(wallClock: true, graceSeconds: 0)
    let store = fixture.store
    let offers: Set<JobOffer> = [JobOffer(site: "a", kind: "t.x")]
    func collect() throws -> Int {
      fixture.clock.advance(seconds: 10)
      return try GarbageCollector(store: store).run(.init(graceSeconds: 0)).removedBlobs.count
    }
    func claim() throws -> JobRecord { try #require(try store.claimJob(offers, owner: "host//1")) }
    let chunk = JobDraft(site: "a", kind: "t.x", key: "chunk")
    let join = JobDraft(site: "a", kind: "t.x", key: "join", dependencies: [chunk.id])
    try store.enqueue([chunk, join])
    let first = try claim()
    let blob = try fixture.stage("encoded").id
    _ = try store.finishJob(first.id, fence: first.fence, JobResult(keptBlobs: [blob]))
    #expect(try collect() == 0)
    var second = try claim()
    #expect(try collect() == 0)
    // A dead letter can be retried.
    _ = try store.failJob(second.id, fence: second.fence, JobFailure(.permanent, code: "x", "x"))
    #expect(try collect() == 0)
    let broken = try Scrub(store: store).run()
    #expect(broken.brokenPointers.isEmpty)
    _ = try store.retryJob(join.id)
    second = try claim()
    _ = try store.finishJob(second.id, fence: second.fence, JobResult())
    #expect(try collect() == 1)
  }

  // MARK: A mended index

  @Test func aSnapshotBringsTheQueueBack() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/storage"
    let options = StoreOptions(indexReserveBytes: 0)
    let drafts = (0..<20).map { JobDraft(site: "a", kind: "t.x", key: "\($0)", asset: $0 < 5 ? "film" : nil) }
    var snapshot = ""
    do {
      let store = try Store(path: path, options: options)
      try store.enqueue(drafts)
      _ = try store.claimJob([JobOffer(site: "a", kind: "t.x")], owner: "host//1")
      snapshot = try #require(try store.takeSnapshot(keeping: 2)).name
    }
    let report = try IndexRestore.run(
      storage: path, snapshot: snapshot, discardsPresent: true, options: options)
    #expect(report.restoredRecords >= 20)
    let store = try Store(path: path, options: options)
    #expect(try store.jobs(limit: 100).count == 20)
    #expect(try store.jobs(JobFilter(site: "a", asset: "film"), limit: 100).count == 5)
    #expect(try store.jobCounts().map(\.jobs).sorted() == [1, 19])
    #expect(try store.claimJob([JobOffer(site: "a", kind: "t.x")], owner: "host//1")?.key == "1")
  }
}

import Foundation
import Testing

@testable import Store

/// A worker as a process of its own, which ends by `SIGKILL` at a time that nobody has chosen.
private enum CrashingWorker {
  static let site = "demo"
  static let offers: Set<JobOffer> = [
    JobOffer(site: site, kind: "test.rung"), JobOffer(site: site, kind: "test.plan"),
  ]

  /// Works until nothing is left; returns how many jobs it has ended.
  ///
  /// The plan enqueues the rungs; each rung adds a rendition. All of them write temporary files on their way.
  @discardableResult
  static func work(_ store: Store, source: BlobID, pauseMicroseconds: UInt32) throws -> Int {
    let presence = try store.makeWorkerPresence()
    var ended = 0
    while try store.jobs(JobFilter(states: [.pending, .processing]), limit: 1).isEmpty == false {
      guard let job = try store.claimJob(offers, owner: presence.owner(worker: 0)) else {
        usleep(1000)
        continue
      }
      let output = try store.blobs.makeTemporaryFile()
      write(output.descriptor, "rung \(job.key)", 5 + job.key.utf8.count)
      usleep(pauseMicroseconds)
      _ = try store.heartbeat(job.id, fence: job.fence, progressPermille: 500, note: "half")
      var result = JobResult()
      if job.kind == "test.plan" {
        result.followUps = (0..<8).map {
          JobDraft(site: site, kind: "test.rung", key: "\($0)", asset: "film")
        }
      } else {
        let blob = try store.blobs.adoptFile(output.path).id
        let rung = RenditionRecord(name: "rung-\(job.key)", kind: .video, blob: blob)
        result.change = .renditions(asset: "film", ifSource: source, add: [rung])
      }
      usleep(pauseMicroseconds)
      if try store.finishJob(job.id, fence: job.fence, result) == .completed { ended += 1 }
    }
    return ended
  }

  static func workAndDie(_ path: String, afterMicroseconds: UInt32) throws {
    let store = try Store(path: path, options: StoreOptions(indexMapSizeBytes: 1 << 28, indexReserveBytes: 0))
    let source = try #require(
      try store.read { reader throws(StoreError) in try reader.asset(site: site, id: "film") }?.source)
    Thread.detachNewThread {
      usleep(afterMicroseconds)
      kill(getpid(), SIGKILL)
    }
    try work(store, source: source, pauseMicroseconds: 5000)
    // Nothing was left to do; the kill comes all the same.
    while true { usleep(1000) }
  }
}

@Suite struct JobCrashTests {
  /// Short here; 50 kills with HEADWATER_TORTURE.
  @Test func jobsOfKilledWorkersEndOnce() async throws {
    let rounds = ProcessInfo.processInfo.environment["HEADWATER_TORTURE"] == nil ? 3 : 50
    let folder = try TemporaryFolder()
    let path = folder.path + "/storage"
    let store = try Store(path: path, options: StoreOptions(indexMapSizeBytes: 1 << 28, indexReserveBytes: 0))
    let writer = try store.blobs.makeWriter()
    try writer.write(Array("source".utf8))
    let source = try writer.finish().id
    var random = SystemRandomNumberGenerator()
    var endedTwice = 0
    for round in 0..<rounds {
      if round > 0 { try store.removeAsset(site: "demo", id: "film") }
      _ = try store.purgeJobs(olderThanMilliseconds: -1)
      try store.publishAsset(AssetDraft(site: "demo", id: "film", status: .ready, source: source))
      let head = try store.events(after: 0, limit: .max).last?.sequence ?? 0
      try store.enqueue([
        JobDraft(site: "demo", kind: "test.plan", key: "plan", asset: "film", supersedes: true)
      ])
      let after = UInt32.random(in: 1000...100_000, using: &random)
      await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, after = after as UInt32] in
        try CrashingWorker.workAndDie(path, afterMicroseconds: after)
      }
      try CrashingWorker.work(store, source: source, pauseMicroseconds: 0)
      let jobs = try store.jobs(limit: 100)
      #expect(
        jobs.count == 9 && jobs.allSatisfy { $0.state == .completed && $0.attempt <= 2 }, "round \(round)")
      let asset = try store.read { reader throws(StoreError) in try reader.asset(site: "demo", id: "film") }
      #expect(Set(asset?.renditions.map(\.name) ?? []) == Set((0..<8).map { "rung-\($0)" }), "round \(round)")
      // Each rung has changed the asset, and told of it, once.
      endedTwice += try store.events(after: head, limit: .max).count - 8
      try store.blobs.removeLeftovers()
      #expect(files(in: store.blobs.incomingPath).isEmpty, "round \(round)")
    }
    #expect(endedTwice == 0)
    #expect(try Scrub(store: store).run().isClean)
  }
}

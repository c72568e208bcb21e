public import Loop
public import Store
import Synchronization

/// The queue in the store's own index: for one machine, with any number of processes.
public final class EmbeddedJobQueue: JobQueue {
  private let store: Store
  private let workers: WorkerPool
  private let presence = Mutex<WorkerPresence?>(nil)

  /// - Parameter workers: where the store is called, which blocks.
  public init(store: Store, workers: WorkerPool) {
    self.store = store
    self.workers = workers
  }

  public func enqueue(_ drafts: [JobDraft]) async throws(JobQueueError) -> [JobRecord] {
    try await run { try $0.enqueue(drafts) }
  }

  public func register() async throws(JobQueueError) -> String {
    let made = try await run { try $0.makeWorkerPresence() }
    return presence.withLock { presence in
      // One for the process, however often it registers.
      let kept = presence ?? made
      presence = kept
      return kept.prefix
    }
  }

  public func claim(_ offers: Set<JobOffer>, owner: String) async throws(JobQueueError) -> JobRecord? {
    try await run { try $0.claimJob(offers, owner: owner) }
  }

  public func heartbeat(
    _ id: JobID, fence: UInt64, progressPermille: UInt16, note: String
  ) async throws(JobQueueError) -> JobStanding {
    try await run { try $0.heartbeat(id, fence: fence, progressPermille: progressPermille, note: note) }
  }

  public func standing(_ id: JobID, fence: UInt64) async throws(JobQueueError) -> JobStanding {
    try await run { try $0.jobStanding(id, fence: fence) }
  }

  public func finish(
    _ id: JobID, fence: UInt64, _ result: JobResult
  ) async throws(JobQueueError) -> JobEnding {
    try await run { try $0.finishJob(id, fence: fence, result) }
  }

  public func fail(
    _ id: JobID, fence: UInt64, _ failure: JobFailure
  ) async throws(JobQueueError) -> JobRecord? {
    try await run { try $0.failJob(id, fence: fence, failure) }
  }

  public func release(_ id: JobID, fence: UInt64) async throws(JobQueueError) -> Bool {
    try await run { try $0.releaseJob(id, fence: fence) }
  }

  public func cancel(_ id: JobID) async throws(JobQueueError) -> JobRecord? {
    try await run { try $0.cancelJob(id) }
  }

  public func retry(_ id: JobID) async throws(JobQueueError) -> JobRecord? {
    try await run { try $0.retryJob(id) }
  }

  public func job(_ id: JobID) async throws(JobQueueError) -> JobRecord? {
    try await run { try $0.job(id) }
  }

  public func jobs(
    _ filter: JobFilter, before: UInt64?, limit: Int
  ) async throws(JobQueueError) -> [JobRecord] {
    try await run { try $0.jobs(filter, before: before, limit: limit) }
  }

  public func figures() async throws(JobQueueError) -> JobQueueFigures {
    try await run { store in
      JobQueueFigures(counts: try store.jobCounts(), nextMilliseconds: try store.nextJobTimes())
    }
  }

  @discardableResult
  public func purge(olderThanMilliseconds age: Int64) async throws(JobQueueError) -> Int {
    try await run { try $0.purgeJobs(olderThanMilliseconds: age) }
  }

  private func run<Value: Sendable>(
    _ body: @escaping @Sendable (Store) throws -> Value
  ) async throws(JobQueueError) -> Value {
    let store = store
    do { return try await workers.run { try body(store) } } catch { throw JobQueueError(store: error) }
  }
}

// The workers of a process
// ------------------------
// Each is a task that claims a job, runs its handler, and ends it, over and over; a worker without a job asks again four times
// a second, which is a look into memory. Beside each job goes a task that asks three times a second whether the job is still this
// worker's, and prolongs its lease every 10 of 30 seconds, which also writes down how far it is. Who cancels a job has its
// process killed by that within a second. That goes on until the end of the job is written down, however long a queue or an
// origin is away: what was made is thrown away only when the job is somebody else's.
//
// A worker that is stopped (SIGSTOP) and wakes after its lease finds the job lost: what it made is thrown away, and what it
// would finish is refused by its fence.

public import Logging
import Net
import Store
import Synchronization

/// Claims jobs and has their handlers do them, several at a time.
public final class JobRunner: Sendable {
  static let pollMilliseconds = 250
  static let standingMilliseconds = 300
  static let heartbeatMilliseconds = 10_000

  private let queue: any JobQueue
  private let storage: any JobStorage
  private let settings: JobProcessSettings
  private let logger: Logger
  public let measures = JobMeasures()
  private let state: Mutex<State>

  private struct State {
    var handlers: [JobOffer: any JobHandler] = [:]
    var isStopping = false
    var running: [JobID: RunningJob] = [:]
    /// Workers that are asking for a job or doing one.
    var atWork = 0
    var workers: [Task<Void, Never>] = []
    /// What `start` was asked for; the workers come with the first handler.
    var wanted: (workers: Int, drains: Bool)?
  }

  public init(
    queue: any JobQueue, storage: any JobStorage, settings: JobProcessSettings, logger: Logger
  ) {
    self.queue = queue
    self.storage = storage
    self.settings = settings
    self.logger = logger
    state = Mutex(State())
  }

  /// Takes jobs for these handlers from now on. Jobs under way go on with the handlers that they have.
  public func use(_ handlers: [(site: String, handler: any JobHandler)]) {
    state.withLock {
      $0.handlers = [:]
      for (site, handler) in handlers {
        $0.handlers[JobOffer(site: site, kind: handler.kind)] = handler
      }
      startWorkers(&$0)
    }
  }

  /// Starts so many workers, at once or when there is a handler: where no plugin has work nobody looks for any.
  /// - Parameter drains: they end when there is nothing to claim.
  public func start(workers: Int, drains: Bool = false) {
    state.withLock { state in
      state.wanted = (workers, drains)
      startWorkers(&state)
    }
  }

  private func startWorkers(_ state: inout State) {
    guard !state.isStopping, !state.handlers.isEmpty, let (count, drains) = state.wanted else { return }
    state.wanted = nil
    for number in 0..<count {
      state.workers.append(
        Task.detached(priority: .utility) { [self] in await work(number, drains: drains) })
    }
  }

  /// Claims nothing more; jobs under way go on.
  public func stopClaiming() { state.withLock { $0.isStopping = true } }

  /// Ends all work: what runs is stopped and given back. Returns when the workers have ended.
  public func stop() async {
    let (running, workers) = state.withLock { state in
      state.isStopping = true
      defer { state.workers = [] }
      return (Array(state.running.values), state.workers)
    }
    for job in running { job.stop(.released) }
    for worker in workers { worker.cancel() }
    for worker in workers { await worker.value }
  }

  /// Waits until the workers have ended by themselves, after `stopClaiming()`.
  public func finish() async {
    let workers = state.withLock { $0.workers }
    for worker in workers { await worker.value }
  }

  public var runningJobs: Int { state.withLock { $0.running.count } }

  // MARK: One worker

  private func work(_ number: Int, drains: Bool) async {
    var process: String?
    var isAway = false
    while !state.withLock({ $0.isStopping }), !Task.isCancelled {
      do throws(JobQueueError) {
        let offers = state.withLock { Set($0.handlers.keys) }
        if offers.isEmpty {
          if drains { return }
          await pause(Self.pollMilliseconds)
          continue
        }
        let name: String
        if let process { name = process } else { name = try await queue.register() }
        process = name
        let found = try await workOnce(offers, owner: "\(name)\(number)")
        if isAway { logger.notice("the job queue answers again") }
        isAway = false
        if found { continue }
        // Others may be at work on what the next jobs wait for, or about to be.
        if drains && state.withLock({ $0.atWork == 0 }) { return }
        await pause(Self.pollMilliseconds)
      } catch {
        if !isAway { logger.error("the job queue does not answer: \(error)") }
        isAway = true
        await pause(Self.pollMilliseconds * 20)
      }
    }
  }

  /// Claims a job and does it; false where there is none.
  private func workOnce(_ offers: Set<JobOffer>, owner: String) async throws(JobQueueError) -> Bool {
    state.withLock { $0.atWork += 1 }
    defer { state.withLock { $0.atWork -= 1 } }
    guard let job = try await queue.claim(offers, owner: owner) else { return false }
    // A worker that is ended gives its job back: what that asks of the queue must not be cancelled with it.
    await Task.detached(priority: .utility) { [self] in await perform(job) }.value
    return true
  }

  private func pause(_ milliseconds: Int) async {
    try? await Task.sleep(for: .milliseconds(milliseconds))
  }

  private func perform(_ record: JobRecord) async {
    let offer = JobOffer(site: record.site, kind: record.kind)
    // A reload may have taken the handler between the offer and the claim.
    guard let handler = state.withLock({ $0.handlers[offer] }) else {
      return await giveBack(record)
    }
    var logger = logger
    logger[metadataKey: "job"] = "\(record.id)"
    logger[metadataKey: "kind"] = "\(record.kind)"
    logger[metadataKey: "site"] = "\(record.site)"
    logger.info("job begins", metadata: ["attempt": "\(record.attempt)"])
    let job = RunningJob(
      record, limits: handler.limits, queue: queue, storage: storage, settings: settings)
    let isStopping = state.withLock { state in
      state.running[record.id] = job
      return state.isStopping
    }
    defer { state.withLock { _ = $0.running.removeValue(forKey: record.id) } }
    if isStopping { job.stop(.released) }
    let begun = ContinuousClock.now
    let guardian = Task.detached { [self] in await guardJob(job, logger) }
    let work = Task.detached(priority: .utility) { () -> Result<JobResult, JobFailure> in
      do throws(JobFailure) {
        return job.isStopped ? .failure(.stopped) : .success(try await handler.run(job))
      } catch {
        return .failure(error)
      }
    }
    job.onStop { work.cancel() }
    let ending = await end(job, await work.value, logger)
    guardian.cancel()
    await guardian.value
    let seconds = Double((ContinuousClock.now - begun) / .milliseconds(1)) / 1000
    measures.add(kind: record.kind, result: ending, seconds: seconds)
  }

  /// Keeps the lease, and stops the job when it is not this worker's any more.
  private func guardJob(_ job: RunningJob, _ logger: Logger) async {
    let (id, fence) = (job.record.id, job.record.fence)
    var lastBeat = ContinuousClock.now
    var isAway = false
    while !Task.isCancelled {
      await pause(Self.standingMilliseconds)
      if Task.isCancelled { return }
      do throws(JobQueueError) {
        var standing: JobStanding
        if ContinuousClock.now - lastBeat >= .milliseconds(Self.heartbeatMilliseconds) {
          let progress = job.progress
          standing = try await queue.heartbeat(
            id, fence: fence, progressPermille: progress.permille, note: progress.note)
          lastBeat = .now
        } else {
          standing = try await queue.standing(id, fence: fence)
        }
        isAway = false
        switch standing {
        case .held: continue
        case .cancelled: job.stop(.cancelled)
        case .lost: job.stop(.lost)
        }
        return
      } catch {
        // Its lease may run out meanwhile; then the fence keeps the work from counting twice.
        if !isAway { logger.warning("the job queue does not answer: \(error)") }
        isAway = true
      }
    }
  }

  // MARK: The end of a job

  private func end(
    _ job: RunningJob, _ outcome: Result<JobResult, JobFailure>, _ logger: Logger
  ) async -> JobMeasures.Result {
    if let reason = job.stopReason { return await end(job, stopped: reason, logger) }
    var failure: JobFailure
    switch outcome {
    case .failure(let found): failure = found
    case .success(let result):
      do throws(JobQueueError) {
        let ending = try await asking(job, logger) { () async throws(JobQueueError) in
          try await queue.finish(job.record.id, fence: job.record.fence, result)
        }
        switch ending {
        case .completed:
          logger.info("job completed")
          return .completed
        case .cancelled(let reason):
          logger.info("job cancelled: \(reason.message)", metadata: ["code": "\(reason.code)"])
          return .cancelled
        case .lost:
          logger.warning("job lost: its lease has passed on")
          return .lost
        }
      } catch {
        if let reason = job.stopReason { return await end(job, stopped: reason, logger) }
        failure = JobFailure(
          error.code == .invalid ? .permanent : .retryable, code: "queue-\(error.code.rawValue)",
          error.message)
      }
    }
    do throws(JobQueueError) {
      let failed = failure
      let record = try await asking(job, logger) { () async throws(JobQueueError) in
        try await queue.fail(job.record.id, fence: job.record.fence, failed)
      }
      guard let record else { return .lost }
      let isOver = record.state == .failed
      logger.log(
        level: isOver ? .error : .notice,
        "job \(isOver ? "failed" : "to be tried again"): \(failure.message)",
        metadata: ["code": "\(failure.code)", "attempt": "\(job.record.attempt)"])
      return isOver ? .failed : .retried
    } catch {
      if let reason = job.stopReason { return await end(job, stopped: reason, logger) }
      // Its lease runs out, and somebody takes it up.
      logger.error("the end of a job can't be written down: \(error)")
      return .lost
    }
  }

  private func end(
    _ job: RunningJob, stopped reason: RunningJob.Stop, _ logger: Logger
  ) async -> JobMeasures.Result {
    switch reason {
    case .cancelled:
      logger.info("job cancelled")
      return .cancelled
    case .lost:
      logger.warning("job lost: its lease has passed on")
      return .lost
    case .released:
      await giveBack(job.record)
      return .released
    }
  }

  private func giveBack(_ record: JobRecord) async {
    do throws(JobQueueError) { try await queue.release(record.id, fence: record.fence) } catch {
      logger.error("a job can't be given back, and waits for the end of its lease: \(error)")
    }
  }

  /// Asks a queue that does not answer again, at growing intervals, as long as the job may still be this worker's; and once
  /// more when it is not, since it may have ended by what was asked.
  private func asking<Value>(
    _ job: RunningJob, _ logger: Logger, _ body: () async throws(JobQueueError) -> Value
  ) async throws(JobQueueError) -> Value {
    var backoff = Backoff(firstMilliseconds: 250, longestMilliseconds: 5_000)
    var isLast = false
    while true {
      do throws(JobQueueError) { return try await body() } catch {
        guard error.code == .unavailable, !isLast else { throw error }
        if backoff.tries == 0 { logger.warning("the end of a job waits: \(error)") }
      }
      await pause(Int(backoff.next()))
      isLast = job.isStopped
    }
  }
}

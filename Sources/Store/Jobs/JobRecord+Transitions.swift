// The state machine that all queues share; what a queue adds is where records lie, and that a transition happens as a whole.
//
// Each claim counts the attempt before the work, so that work which takes its whole machine down counts, too, and raises
// the fence: whatever an earlier owner says from then on is refused, because its fence is another one.

/// How a job stands with who works on it.
public enum JobStanding: Sendable, Equatable {
  case held
  /// It was cancelled: stop, and throw away what was made.
  case cancelled
  /// It is somebody else's by now, or has ended: stop likewise.
  case lost
}

extension JobRecord {
  /// How long a claim or a heartbeat holds.
  public static let leaseMilliseconds: Int64 = 30_000
  /// Most attempts of one job, whatever it fails of.
  public static let maximumAttempts: UInt32 = 5
  /// Most attempts of one that kills its process.
  public static let maximumCrashes: UInt32 = 3

  /// How the job stands with the owner that claimed it with a fence.
  public func standing(fence: UInt64) -> JobStanding {
    guard fence == self.fence else { return .lost }
    switch state {
    case .processing: return .held
    case .cancelled: return .cancelled
    case .pending, .completed, .failed: return .lost
    }
  }

  public mutating func claim(owner: String, nowMilliseconds now: Int64) {
    state = .processing
    attempt = attempt.addingReportingOverflow(1).partialValue
    fence &+= 1
    self.owner = owner
    leaseUntilMilliseconds = now &+ Self.leaseMilliseconds
    startedMilliseconds = now
    updatedMilliseconds = now
    progressPermille = 0
    note = ""
  }

  /// Prolongs the lease and notes how far the work is.
  public mutating func beat(progressPermille: UInt16, note: String, nowMilliseconds now: Int64) {
    leaseUntilMilliseconds = now &+ Self.leaseMilliseconds
    updatedMilliseconds = now
    self.progressPermille = min(1000, progressPermille)
    self.note = JobError.cut(note, to: Self.maximumNoteBytes, keepsEnd: false)
  }

  /// Makes it a pending one again.
  public mutating func putBack(nowMilliseconds: Int64) {
    state = .pending
    owner = ""
    leaseUntilMilliseconds = 0
    progressPermille = 0
    note = ""
    updatedMilliseconds = nowMilliseconds
  }

  /// Given back undone: the attempt does not count.
  public mutating func release(nowMilliseconds: Int64) {
    attempt -= min(1, attempt)
    putBack(nowMilliseconds: nowMilliseconds)
  }

  /// Its worker died or fell silent: back among the pending, or failed after too many attempts.
  public mutating func loseWorker(nowMilliseconds now: Int64) {
    let reason = JobError(
      code: JobError.workerLost,
      message: "The worker \(owner) died, or fell silent for longer than its lease.")
    if attempt >= Self.maximumAttempts { return end(as: .failed, reason, nowMilliseconds: now) }
    error = reason
    putBack(nowMilliseconds: now)
  }

  /// An attempt that did not succeed: pending again after a while, or failed; see `JobFailure.Kind`.
  public mutating func fail(_ failure: JobFailure, nowMilliseconds now: Int64) {
    let isLast = attempt >= Self.maximumAttempts
    var wait: Int64?
    switch failure.kind {
    case .permanent: break
    case .postponed(let milliseconds):
      attempt -= min(1, attempt)
      wait = max(1, milliseconds)
    case .retryable: wait = isLast ? nil : Self.backoff(afterAttempt: attempt)
    case .crashed:
      crashes = crashes.addingReportingOverflow(1).partialValue
      wait = isLast || crashes >= Self.maximumCrashes ? nil : Self.backoff(afterAttempt: attempt)
    }
    guard let wait else { return end(as: .failed, JobError(failure), nowMilliseconds: now) }
    error = JobError(failure)
    putBack(nowMilliseconds: now)
    let (time, overflow) = now.addingReportingOverflow(wait)
    notBeforeMilliseconds = overflow ? .max : time
  }

  /// Full jitter: anything up to 5 s, doubled with each attempt, at most 15 min; so that what failed together does not come
  /// back together.
  public static func backoff(afterAttempt attempt: UInt32) -> Int64 {
    let ceiling: Int64 = min(15 * 60_000, 5_000 << Int64(min(10, max(1, attempt) - 1)))
    return Int64.random(in: 1...ceiling)
  }

  public mutating func complete(_ result: JobResult, nowMilliseconds: Int64) {
    state = .completed
    self.result = result.result
    keptBlobs = result.keptBlobs
    error = nil
    owner = ""
    leaseUntilMilliseconds = 0
    progressPermille = 1000
    note = ""
    updatedMilliseconds = nowMilliseconds
  }

  public mutating func end(as state: JobState, _ reason: JobError, nowMilliseconds: Int64) {
    self.state = state
    error = reason
    owner = ""
    leaseUntilMilliseconds = 0
    notBeforeMilliseconds = 0
    updatedMilliseconds = nowMilliseconds
  }

  /// Ends as what it waits for has ended.
  public mutating func end(asDependantOf other: JobRecord) {
    let isFailed = other.state == .failed
    let reason = JobError(
      code: isFailed ? JobError.dependencyFailed : JobError.dependencyCancelled,
      message: JobError.cut(
        "Job \(other.id) (\(other.kind)), which it needs, "
          + (isFailed ? "has failed: \(other.error?.message ?? "")" : "was cancelled."),
        to: JobFailure.maximumMessageBytes, keepsEnd: false))
    end(as: isFailed ? .failed : .cancelled, reason, nowMilliseconds: updatedMilliseconds)
  }

  /// As if it had never been begun, but for its fence.
  public mutating func beginAnew(nowMilliseconds: Int64) {
    putBack(nowMilliseconds: nowMilliseconds)
    attempt = 0
    crashes = 0
    notBeforeMilliseconds = 0
    error = nil
  }
}

/// How the end of a job was taken.
public enum JobEnding: Sendable, Equatable {
  case completed
  /// What it was for is no longer there, or it was cancelled; nothing of the result has happened.
  case cancelled(JobError)
  /// It is not this worker's any more; nothing has happened.
  case lost
}

// A job ends once
// ---------------
// `finishJob` looks at the fence, and then does everything in one transaction: the change of the asset with its event, the
// follow-ups, the blobs that are kept, and the state. So a worker that dies before it has done nothing, and one that comes
// too late, because its lease has passed on, finds another fence and does nothing.
//
// Who waits for a job learns of its end in the same transaction, and so do those who wait for them.
extension Store {
  /// Ends a job with its result. See `JobResult` for what happens with it. A second time it changes nothing.
  ///
  /// Throws `.blobMissing` where a blob of the result is not stored (any more), `.invalid` for a broken limit, `.full`,
  /// `.io`; nothing has happened then, and the job is still this worker's.
  public func finishJob(
    _ id: JobID, fence: UInt64, _ result: JobResult
  ) throws(StoreError) -> JobEnding {
    guard result.result.count <= JobDraft.maximumPayloadBytes else {
      throw .invalid("finish job", "a result has at most 16 KiB: bulk belongs into blobs", context: "\(id)")
    }
    for draft in result.followUps { try draft.check() }
    return try index.write { (transaction) throws(StoreError) in
      let now = options.nowMilliseconds()
      let (standing, found) = try standing(transaction.view, id, fence)
      guard standing == .held, var job = found else {
        // Who got no answer asks again.
        if let found, found.state == .completed, found.fence == fence { return .completed }
        guard standing == .cancelled else { return .lost }
        return .cancelled(
          found?.error ?? JobError(code: JobError.cancelledByHand, message: "It was cancelled."))
      }
      if let stranger = result.followUps.first(where: { $0.site != job.site }) {
        throw .invalid("finish job", "a follow-up is of the same site as the job", context: stranger.kind)
      }
      for blob in result.keptBlobs { try requireBlob(blob, transaction, nowMilliseconds: now) }
      if let change = result.change {
        if let reason = try apply(change, site: job.site, transaction, nowMilliseconds: now) {
          try end(job, as: .cancelled, reason, transaction, nowMilliseconds: now)
          return .cancelled(reason)
        }
      }
      let old = job
      job.complete(result, nowMilliseconds: now)
      try tables.jobs.save(job, replacing: old, transaction)
      try meet(id, transaction, nowMilliseconds: now)
      _ = try add(result.followUps, transaction, nowMilliseconds: now)
      return .completed
    }
  }

  /// Ends an attempt. Whether there is another one is told in `JobFailure.Kind`.
  /// - Returns: the job as it is now; nil where it is not this worker's any more.
  @discardableResult
  public func failJob(
    _ id: JobID, fence: UInt64, _ failure: JobFailure
  ) throws(StoreError) -> JobRecord? {
    try index.write { (transaction) throws(StoreError) in
      let now = options.nowMilliseconds()
      let (standing, found) = try standing(transaction.view, id, fence)
      guard standing == .held, var job = found else { return nil }
      let old = job
      job.fail(failure, nowMilliseconds: now)
      guard job.state == .failed, let reason = job.error else {
        try tables.jobs.save(job, replacing: old, transaction)
        return job
      }
      var counted = old
      counted.crashes = job.crashes
      try tables.jobs.save(counted, replacing: old, transaction)
      try end(counted, as: .failed, reason, transaction, nowMilliseconds: now)
      return try tables.jobs.job(transaction.view, id)
    }
  }

  /// Cancels a job and those that wait for it. One under way is stopped by its worker within a second.
  ///
  /// A failed one can be cancelled, too: it then lets go of what was kept for a retry.
  /// - Returns: the job as it is now; nil where there is none.
  @discardableResult
  public func cancelJob(_ id: JobID) throws(StoreError) -> JobRecord? {
    try index.write { (transaction) throws(StoreError) in
      guard let job = try tables.jobs.job(transaction.view, id) else { return nil }
      guard job.state.isAlive || job.state == .failed else { return job }
      let reason = JobError(
        code: JobError.cancelledByHand, message: "It was cancelled.", log: job.error?.log ?? "")
      try end(job, as: .cancelled, reason, transaction, nowMilliseconds: options.nowMilliseconds())
      return try tables.jobs.job(transaction.view, id)
    }
  }

  /// Begins a failed or cancelled job anew, with all its attempts, and with it whatever it waits for that has failed or been
  /// cancelled, and whatever has failed or been cancelled because of one of these.
  ///
  /// A job in another state stays as it is.
  /// - Returns: the job as it is now; nil where there is none.
  @discardableResult
  public func retryJob(_ id: JobID) throws(StoreError) -> JobRecord? {
    try index.write { (transaction) throws(StoreError) in
      guard let job = try tables.jobs.job(transaction.view, id) else { return nil }
      guard job.state == .failed || job.state == .cancelled else { return job }
      let now = options.nowMilliseconds()
      var chosen: Set<JobID> = [id]
      var walk = [job]
      while let next = walk.popLast() {
        var near = next.dependencies
        for dependant in try tables.jobs.dependants(of: next.id, transaction.view) {
          guard let other = try tables.jobs.job(transaction.view, dependant),
            other.error?.code == JobError.dependencyFailed
              || other.error?.code == JobError.dependencyCancelled
          else { continue }
          near.append(dependant)
        }
        for other in near where !chosen.contains(other) {
          guard let job = try tables.jobs.job(transaction.view, other),
            job.state == .failed || job.state == .cancelled
          else { continue }
          chosen.insert(other)
          walk.append(job)
        }
      }
      // All are pending before any of them counts what it waits for.
      for other in chosen {
        guard var job = try tables.jobs.job(transaction.view, other) else { continue }
        let old = job
        job.beginAnew(nowMilliseconds: now)
        try tables.jobs.save(job, replacing: old, transaction)
      }
      for other in chosen {
        guard var job = try tables.jobs.job(transaction.view, other) else { continue }
        let old = job
        try settleDependencies(of: &job, transaction.view)
        try tables.jobs.save(job, replacing: old, transaction)
      }
      return try tables.jobs.job(transaction.view, id)
    }
  }

  // MARK: Inside the transaction

  /// Ends a job as failed or cancelled, then whoever waits for it, and what nobody wants any more.
  func end(
    _ job: JobRecord, as state: JobState, _ reason: JobError, _ transaction: borrowing WriteTransaction,
    nowMilliseconds now: Int64
  ) throws(StoreError) {
    var ending = [(job: job, state: state, reason: reason)]
    while let next = ending.popLast() {
      guard let old = try tables.jobs.job(transaction.view, next.job.id),
        old.state.isAlive || old.state == .failed && next.state == .cancelled
      else { continue }
      var job = old
      job.end(as: next.state, next.reason, nowMilliseconds: now)
      try tables.jobs.save(job, replacing: old, transaction)
      for id in try tables.jobs.dependants(of: job.id, transaction.view) {
        guard var other = try tables.jobs.job(transaction.view, id), other.state.isAlive else { continue }
        other.end(asDependantOf: job)
        guard let reason = other.error else { continue }
        ending.append((other, other.state, reason))
      }
      for id in job.dependencies {
        guard let other = try tables.jobs.job(transaction.view, id), other.servesDependantsOnly,
          other.state.isAlive, try !isWanted(id, transaction.view)
        else { continue }
        let reason = JobError(
          code: JobError.unneeded, message: "The jobs that wanted its result have failed or been cancelled.")
        ending.append((other, .cancelled, reason))
      }
    }
  }

  /// Whether anybody who waits for a job may still come to use it.
  private func isWanted(_ id: JobID, _ view: IndexView) throws(StoreError) -> Bool {
    for dependant in try tables.jobs.dependants(of: id, view) {
      guard let job = try tables.jobs.job(view, dependant) else { continue }
      if job.state.isAlive || job.state == .completed { return true }
    }
    return false
  }

  /// Tells those who wait for a job that it has completed.
  private func meet(
    _ id: JobID, _ transaction: borrowing WriteTransaction, nowMilliseconds now: Int64
  ) throws(StoreError) {
    for dependant in try tables.jobs.dependants(of: id, transaction.view) {
      guard var job = try tables.jobs.job(transaction.view, dependant), job.state == .pending,
        job.unmetDependencies > 0
      else { continue }
      let old = job
      job.unmetDependencies -= 1
      job.updatedMilliseconds = now
      try tables.jobs.save(job, replacing: old, transaction)
    }
  }
}

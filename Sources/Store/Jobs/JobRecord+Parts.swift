// For queues that keep their jobs elsewhere than in the index.

extension JobRecord {
  /// A job of its parts, as another queue holds it.
  public init(
    _ draft: JobDraft, sequence: UInt64, createdMilliseconds: Int64, updatedMilliseconds: Int64,
    state: JobState, notBeforeMilliseconds: Int64, unmetDependencies: UInt32, attempt: UInt32,
    crashes: UInt32,
    owner: String, fence: UInt64, leaseUntilMilliseconds: Int64, startedMilliseconds: Int64,
    progressPermille: UInt16, note: String, result: [UInt8], keptBlobs: [BlobID], error: JobError?
  ) {
    self.init(draft, sequence: sequence, nowMilliseconds: createdMilliseconds)
    self.updatedMilliseconds = updatedMilliseconds
    self.state = state
    self.notBeforeMilliseconds = notBeforeMilliseconds
    self.unmetDependencies = unmetDependencies
    self.attempt = attempt
    self.crashes = crashes
    self.owner = owner
    self.fence = fence
    self.leaseUntilMilliseconds = leaseUntilMilliseconds
    self.startedMilliseconds = startedMilliseconds
    self.progressPermille = progressPermille
    self.note = note
    self.result = result
    self.keptBlobs = keptBlobs
    self.error = error
  }
}

/// What applying a result has come to.
public enum JobApplication: Sendable, Equatable {
  /// It has happened: now, or when the same end was brought before.
  case applied
  /// It does not fit any more; nothing has happened.
  case outdated(JobError)
  /// A later claim of the job has ended before; nothing has happened.
  case lost
}

extension Store {
  /// What a job of another queue does to this store when it ends: its blobs must be there, and its change is applied. In the
  /// same transaction the job is written down here as completed, with the fence under which it was claimed.
  ///
  /// So it happens once, whoever brings it how often: the same end changes nothing when it comes again, which a worker
  /// that got no answer does; the end of an earlier claim, which a worker brings that was stopped meanwhile, is refused; one of
  /// a later claim, whose worker has done the job again because nobody heard of its end, takes the place of what it made before.
  /// Jobs without a change leave no record. Kept blobs are spared by the collector for its grace time only, counted from
  /// their making.
  /// - Parameter job: as it was claimed.
  /// - Throws: `.blobMissing` where a blob is not stored (any more), `.full`, `.io`.
  public func applyJobResult(_ result: JobResult, of job: JobRecord) throws(StoreError) -> JobApplication {
    try index.write { (transaction) throws(StoreError) in
      let now = options.nowMilliseconds()
      let known = try tables.jobs.job(transaction.view, job.id)
      if let known, known.state == .completed {
        if known.fence > job.fence { return .lost }
        if known.fence == job.fence { return .applied }
      }
      for blob in result.keptBlobs { try requireBlob(blob, transaction, nowMilliseconds: now) }
      guard let change = result.change else { return .applied }
      if let reason = try apply(change, site: job.site, transaction, nowMilliseconds: now) {
        return .outdated(reason)
      }
      var ended = job
      // What it waited for is in its own queue.
      ended.dependencies = known?.dependencies ?? []
      if let known {
        ended.sequence = known.sequence
      } else {
        ended.sequence = try tables.jobs.nextSequence(transaction.view)
      }
      ended.complete(result, nowMilliseconds: now)
      try tables.jobs.save(ended, replacing: known, transaction)
      return .applied
    }
  }
}

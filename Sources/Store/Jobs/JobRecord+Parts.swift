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

extension Store {
  /// What a job of another queue does to this store when it ends: its blobs must be there, and its change is applied, in one
  /// transaction.
  ///
  /// A second time it changes nothing, so that a worker that died between this and the end of its job does no harm. Kept
  /// blobs are spared by the collector for its grace time only, counted from their making.
  /// - Returns: why it does not fit any more; nothing has happened then.
  /// - Throws: `.blobMissing` where a blob is not stored (any more), `.full`, `.io`.
  public func applyJobResult(_ result: JobResult, site: String) throws(StoreError) -> JobError? {
    try index.write { (transaction) throws(StoreError) in
      let now = options.nowMilliseconds()
      for blob in result.keptBlobs { try requireBlob(blob, transaction, nowMilliseconds: now) }
      guard let change = result.change else { return nil }
      return try apply(change, site: site, transaction, nowMilliseconds: now)
    }
  }
}

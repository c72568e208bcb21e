public import Store

/// Why a queue could not do what it was asked; the job is as it was.
public struct JobQueueError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Code: String, Sendable {
    /// The queue can't be reached or has no room: try again.
    case unavailable
    /// What was asked breaks a documented limit: don't.
    case invalid
    /// A blob of a result is not stored (any more): stage it again.
    case blobMissing = "blob-missing"
  }

  public var code: Code
  /// One sentence that says what to do.
  public var message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { "\(message) [\(code.rawValue)]" }
}

/// Where jobs wait, and where they are found again whatever crashes.
///
/// Each operation happens as a whole or not at all and is durable when it returns. Safe from any task. What the operations
/// mean is told at those of `Store` that have the same names.
public protocol JobQueue: Sendable {
  /// Adds jobs that are not there yet, all or none; returns the jobs as they are now, in the order of the drafts.
  @discardableResult
  func enqueue(_ drafts: [JobDraft]) async throws(JobQueueError) -> [JobRecord]

  /// Makes this process known as one that works; returns its name, to which workers add a number to own a job.
  func register() async throws(JobQueueError) -> String
  /// The next job of those on offer, or nil. Comes back at once.
  func claim(_ offers: Set<JobOffer>, owner: String) async throws(JobQueueError) -> JobRecord?
  /// Prolongs the lease by 30 s and notes how far the work is.
  func heartbeat(
    _ id: JobID, fence: UInt64, progressPermille: UInt16, note: String
  ) async throws(JobQueueError) -> JobStanding
  /// Whether the job is still held: cheap, asked several times a second.
  func standing(_ id: JobID, fence: UInt64) async throws(JobQueueError) -> JobStanding
  /// Ends a job with its result; a second time it changes nothing and says the same.
  func finish(_ id: JobID, fence: UInt64, _ result: JobResult) async throws(JobQueueError) -> JobEnding
  /// nil where the job is not this worker's any more.
  @discardableResult
  func fail(_ id: JobID, fence: UInt64, _ failure: JobFailure) async throws(JobQueueError) -> JobRecord?
  /// Gives a job back undone; the attempt does not count.
  @discardableResult
  func release(_ id: JobID, fence: UInt64) async throws(JobQueueError) -> Bool

  /// nil where there is no such job.
  @discardableResult
  func cancel(_ id: JobID) async throws(JobQueueError) -> JobRecord?
  @discardableResult
  func retry(_ id: JobID) async throws(JobQueueError) -> JobRecord?

  func job(_ id: JobID) async throws(JobQueueError) -> JobRecord?
  /// Newest first; `before` is the `sequence` of the last one of the page before.
  func jobs(_ filter: JobFilter, before: UInt64?, limit: Int) async throws(JobQueueError) -> [JobRecord]

  func figures() async throws(JobQueueError) -> JobQueueFigures
  /// Removes jobs that ended longer ago than an age, but for those that others may need; some at a time. Returns how many.
  @discardableResult
  func purge(olderThanMilliseconds age: Int64) async throws(JobQueueError) -> Int
}

/// What is in a queue, for the metrics.
public struct JobQueueFigures: Sendable, Equatable {
  public var counts: [JobCount]
  /// For each kind with jobs that are ready, when the one that is next was added, in milliseconds since 1970.
  public var nextMilliseconds: [String: Int64]

  public init(counts: [JobCount] = [], nextMilliseconds: [String: Int64] = [:]) {
    self.counts = counts
    self.nextMilliseconds = nextMilliseconds
  }
}

extension JobQueueError {
  /// What an error of the store, or of the workers that ask it, means for a job.
  init(store error: any Error) {
    switch (error as? StoreError)?.code {
    case .invalid?: self.init(.invalid, "\(error)")
    case .blobMissing?: self.init(.blobMissing, "\(error)")
    default: self.init(.unavailable, "\(error)")
    }
  }
}

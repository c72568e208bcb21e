public import Loop
public import Store
import Synchronization

/// Where a job's sources come from, and where what it makes goes: the store, or, for a worker on another machine, the origin
/// and a folder of its own.
public protocol JobStorage: Sendable {
  /// A blob, open for reading. Throws a permanent failure where it is gone.
  func source(_ blob: BlobID) async throws(JobFailure) -> JobSource
  /// An empty temporary file, for at most so many bytes.
  func makeOutput(maximumBytes: UInt64) async throws(JobFailure) -> JobOutput
  /// Makes a blob of an output, durable when this returns. Nobody writes to the output any more.
  func keep(_ output: JobOutput) async throws(JobFailure) -> BlobID
  /// The same with the packaging index that lies beside the blob, where this is the machine on which it lies; else it is made
  /// there when the job ends.
  func keep(_ output: JobOutput, packagingIndex: [UInt8]) async throws(JobFailure) -> BlobID
}

/// A file that a job reads; closed when the last reference goes.
public final class JobSource: Sendable {
  /// Read-only, at offset 0 when opened. Do not close it.
  public let descriptor: Int32
  public let sizeBytes: UInt64
  private let owner: any Sendable

  /// - Parameter owner: what keeps the descriptor open.
  public init(descriptor: Int32, sizeBytes: UInt64, owner: any Sendable) {
    self.descriptor = descriptor
    self.sizeBytes = sizeBytes
    self.owner = owner
  }
}

/// A temporary file that a job writes; gone when the last reference goes, or when the process dies.
public final class JobOutput: Sendable {
  /// Open for reading and writing. Do not close it.
  public let descriptor: Int32
  public let path: String
  public let maximumBytes: UInt64
  private let owner: any Sendable
  private let reservation: JobDisk.Reservation?

  public init(
    descriptor: Int32, path: String, maximumBytes: UInt64, owner: any Sendable,
    reservation: JobDisk.Reservation? = nil
  ) {
    self.descriptor = descriptor
    self.path = path
    self.maximumBytes = maximumBytes
    self.owner = owner
    self.reservation = reservation
  }
}

/// How much disk the temporary outputs of this process may take together.
///
/// What an output may at most take is reserved before it is made, and its process cannot write more, so that the budget holds
/// whatever the media does.
public final class JobDisk: Sendable {
  public let budgetBytes: UInt64
  private let reserved = Mutex<UInt64>(0)

  public init(budgetBytes: UInt64) { self.budgetBytes = budgetBytes }

  /// A part of the budget, given back when the last reference goes.
  public final class Reservation: Sendable {
    private let disk: JobDisk
    private let sizeBytes: UInt64

    fileprivate init(_ disk: JobDisk, _ sizeBytes: UInt64) {
      self.disk = disk
      self.sizeBytes = sizeBytes
    }

    deinit { disk.reserved.withLock { $0 -= sizeBytes } }
  }

  public var reservedBytes: UInt64 { reserved.withLock { $0 } }

  /// Throws a permanent failure for more than the whole budget, else postpones the job where others have taken it.
  public func reserve(_ sizeBytes: UInt64) throws(JobFailure) -> Reservation {
    guard sizeBytes <= budgetBytes else {
      throw JobFailure(
        .permanent, code: "job-disk-budget",
        "The job may need \(sizeBytes) bytes of temporary disk, more than [jobs] disk allows: raise it, then retry."
      )
    }
    let isFree = reserved.withLock { reserved in
      guard sizeBytes <= budgetBytes - reserved else { return false }
      reserved += sizeBytes
      return true
    }
    guard isFree else {
      throw JobFailure(
        .postponed(milliseconds: 15_000), code: "job-disk-busy",
        "Other jobs have taken the temporary disk that [jobs] disk allows.")
    }
    return Reservation(self, sizeBytes)
  }
}

/// The store of this machine.
public struct StoreJobStorage: JobStorage {
  private let store: Store
  private let workers: WorkerPool
  private let disk: JobDisk

  public init(store: Store, workers: WorkerPool, disk: JobDisk) {
    self.store = store
    self.workers = workers
    self.disk = disk
  }

  public func source(_ blob: BlobID) async throws(JobFailure) -> JobSource {
    let file = try await run { try $0.blobs.open(blob) }
    return JobSource(descriptor: file.descriptor, sizeBytes: file.sizeBytes, owner: file)
  }

  public func makeOutput(maximumBytes: UInt64) async throws(JobFailure) -> JobOutput {
    let reservation = try disk.reserve(maximumBytes)
    let file = try await run { try $0.blobs.makeTemporaryFile() }
    return JobOutput(
      descriptor: file.descriptor, path: file.path, maximumBytes: maximumBytes, owner: file,
      reservation: reservation)
  }

  public func keep(_ output: JobOutput) async throws(JobFailure) -> BlobID {
    let path = output.path
    return try await run { try $0.blobs.adoptFile(path).id }
  }

  public func keep(_ output: JobOutput, packagingIndex: [UInt8]) async throws(JobFailure) -> BlobID {
    let path = output.path
    return try await run { store in
      let id = try store.blobs.adoptFile(path).id
      try store.blobs.writeSidecar(id, packagingIndex)
      return id
    }
  }

  private func run<Value: Sendable>(
    _ body: @escaping @Sendable (Store) throws -> Value
  ) async throws(JobFailure) -> Value {
    let store = store
    do { return try await workers.run { try body(store) } } catch { throw JobFailure(storage: error) }
  }
}

extension JobFailure {
  /// What an error of the store means for a job.
  public init(storage error: any Error) {
    switch (error as? StoreError)?.code {
    case .blobMissing?:
      self.init(.permanent, code: "source-gone", "A blob that the job reads is not stored any more.")
    case .full?:
      self.init(
        .postponed(milliseconds: 60_000), code: "disk-full",
        "The storage is full: free some, and the job goes on.")
    case .damaged?: self.init(.permanent, code: "source-damaged", "\(error)")
    default: self.init(.retryable, code: "storage", "\(error)")
    }
  }
}

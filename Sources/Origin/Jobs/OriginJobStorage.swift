// The storage of a worker on another machine
//
// It has a store of its own beside nothing else, whose catalog is empty: temporary outputs lie in its `incoming/` as they do in any
// store, and its blobs are a cache (`BlobCache`). A source is fetched once for all jobs that read it: part after part into a
// temporary file, hashed as it comes, a part again where it was cut, and kept only if its digest is its name. What a job
// makes is hashed, kept in the cache too, since a later job of the same asset often reads it, and brought to the origin before the
// job ends. A process that dies leaves what any process leaves: a file in `incoming/` that the next start removes.

import Loop
import Net
import Store
import Synchronization

/// Blobs of an origin on another machine.
final class OriginJobStorage: JobStorage {
  private let origin: OriginClient
  private let cache: BlobCache
  private let local: StoreJobStorage
  private let workers: WorkerPool
  private let fetching = Mutex<Set<BlobID>>([])

  private static let pollMilliseconds = 100

  /// - Parameter store: the worker's own.
  init(
    origin: OriginClient, store: Store, workers: WorkerPool, disk: JobDisk, cacheBytes: UInt64
  ) {
    self.origin = origin
    self.workers = workers
    cache = BlobCache(store.blobs, budgetBytes: cacheBytes)
    local = StoreJobStorage(store: store, workers: workers, disk: disk)
  }

  // MARK: Sources

  func source(_ blob: BlobID) async throws(JobFailure) -> JobSource {
    while true {
      if let kept = try await kept(blob) { return kept }
      if fetching.withLock({ $0.insert(blob).inserted }) { break }
      // Another job has begun to fetch it.
      try await pause()
    }
    defer { fetching.withLock { _ = $0.remove(blob) } }
    if let kept = try await kept(blob) { return kept }
    let room = try await fetch(blob)
    guard let kept = try await kept(blob) else {
      throw JobFailure(.retryable, code: "source-evicted", "A source was removed before it was read.")
    }
    withExtendedLifetime(room) {}
    return kept
  }

  private func kept(_ blob: BlobID) async throws(JobFailure) -> JobSource? {
    let cache = cache
    guard let file = try await blocking({ try cache.open(blob) }) else { return nil }
    return JobSource(descriptor: file.descriptor, sizeBytes: file.sizeBytes, owner: file)
  }

  /// - Returns: what it takes of the cache's budget until it is counted with the others.
  private func fetch(_ blob: BlobID) async throws(JobFailure) -> BlobCache.Room {
    let cache = cache
    let writer = try await blocking { try cache.blobs.makeWriter() }
    var part = try await origin.part(of: blob, from: 0)
    let totalBytes = part.totalBytes
    let room = try await room(totalBytes)
    var offset: UInt64 = 0
    while true {
      let bytes = part.bytes
      try await blocking { try writer.write(bytes) }
      offset += UInt64(bytes.count)
      if offset >= totalBytes { break }
      part = try await origin.part(of: blob, from: offset)
      guard part.totalBytes == totalBytes, !part.bytes.isEmpty else { throw Self.damaged }
    }
    _ = try await blocking { try writer.finish(as: blob) }
    return room
  }

  private static let damaged = JobFailure(
    .retryable, code: "source-damaged-on-its-way", "A source did not arrive as it is stored at the origin.")

  private func room(_ sizeBytes: UInt64) async throws(JobFailure) -> BlobCache.Room {
    let cache = cache
    guard sizeBytes <= cache.budgetBytes else {
      throw JobFailure(
        .postponed(milliseconds: 600_000), code: "source-cache-too-small",
        "The source has \(sizeBytes) bytes, more than [jobs] source_cache of this worker allows: raise it.")
    }
    while true {
      if let room = try await blocking({ try cache.makeRoom(sizeBytes: sizeBytes) }) { return room }
      try await pause()
    }
  }

  // MARK: Outputs

  func makeOutput(maximumBytes: UInt64) async throws(JobFailure) -> JobOutput {
    try await local.makeOutput(maximumBytes: maximumBytes)
  }

  func keep(_ output: JobOutput) async throws(JobFailure) -> BlobID {
    let blob = try await local.keep(output)
    guard let kept = try await kept(blob) else {
      throw JobFailure(.retryable, code: "result-evicted", "A result was removed before it was brought away.")
    }
    // Counted with the others from now on.
    _ = try await room(0)
    try await origin.put(
      blob, HTTPBodyFile(descriptor: kept.descriptor, sizeBytes: kept.sizeBytes, owner: kept))
    return blob
  }

  /// The origin makes the index itself, from what it has stored.
  func keep(_ output: JobOutput, packagingIndex: [UInt8]) async throws(JobFailure) -> BlobID {
    try await keep(output)
  }

  // MARK: Waiting

  private func pause() async throws(JobFailure) {
    do { try await Task.sleep(for: .milliseconds(Self.pollMilliseconds)) } catch { throw .stopped }
  }

  private func blocking<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
  ) async throws(JobFailure) -> Value {
    do { return try await workers.run(body) } catch {
      if (error as? StoreError)?.code == .digestMismatch { throw Self.damaged }
      throw JobFailure(storage: error)
    }
  }
}

// Why files are removed inside the write transaction
// --------------------------------------------------
// The race to fear: an ingest finds a blob stored already and publishes an asset that names it, while the collector,
// which looked a moment before, removes the same blob as unreferenced. Publishing checks the blob's file and record
// under LMDB's one write lock, which all processes share. The collector marks, removes files and deletes records under
// the same lock. So either the publication commits first, and the mark sees its pointer; or the collector commits first,
// and the publication finds no file, throws `.blobMissing`, and its caller stages the blob again. There is no third order.
//
// Expired generations go in a transaction of their own, before: were their deletion undone by a crash after their
// blobs had been removed, records would point to nothing. A crash between the two leaves blobs to the next collection.
//
// A crash between unlink and commit leaves a record, that nothing points to, without a file; publishing looks at the
// file first, so it is not fooled, and the next collection deletes the record. A power cut may also bring back a file
// whose record is gone: an orphan, removed by the next collection. Nothing that is referenced is touched in any case.
//
// The grace protects what is staged but not yet published, and is counted from the file's modification time, which
// staging renews for a blob that was stored before. Listing files comes before the lock, so that writers wait only for
// the mark (about a second for a million assets) and the removals.

/// Removes what nothing refers to: expired generations, unreferenced blobs, orphan files and sidecars, leftovers.
///
/// Safe beside servers and ingests in any process; writers wait while it marks and removes. Blocks: run it on a worker.
public struct GarbageCollector: Sendable {
  public struct Options: Sendable {
    /// How long a replaced generation and an unreferenced blob are kept, in seconds.
    public var graceSeconds: Int
    /// Only report what would go.
    public var isDryRun: Bool

    public init(graceSeconds: Int, isDryRun: Bool = false) {
      self.graceSeconds = graceSeconds
      self.isDryRun = isDryRun
    }

    var graceMilliseconds: Int64 {
      let (grace, overflow) = Int64(clamping: graceSeconds).multipliedReportingOverflow(by: 1000)
      return overflow ? .max : max(0, grace)
    }
  }

  public struct Report: Sendable, Equatable {
    /// Generations replaced longer ago than the grace.
    public var removedGenerations = 0
    /// Blobs removed, with or without a record, in order.
    public var removedBlobs: [BlobID] = []
    public var freedBytes: UInt64 = 0
    /// Records without file and without reference.
    public var removedRecords = 0
    /// Sidecars whose blob is gone.
    public var removedSidecars = 0
    /// Derived files of assets and generations that are gone.
    public var removedDerived = 0
    /// Temporary files of dead writers.
    public var removedLeftovers = 0
    /// Unreferenced, yet younger than the grace.
    public var keptByGrace = 0
    public var referencedBlobs = 0
    /// Files that could not be removed, with the reason; they stay, and so do their records.
    public var failures: [StoreError] = []
  }

  private let store: Store

  public init(store: Store) { self.store = store }

  /// Collects once.
  ///
  /// Throws `.damaged` without removing anything where a record cannot be read, since it might refer to any blob: run
  /// scrub. `.full` and `.io` as the index does.
  public func run(_ options: Options) throws(StoreError) -> Report {
    var report = Report()
    var candidates = Candidates()
    try store.blobs.forEachEntry { (entry) throws(StoreError) in
      switch entry {
      case .blob(let id): candidates.blobs.append(id)
      case .sidecar(let id, let path): candidates.sidecars.append((id, path))
      case .stranger: break
      }
      return .next
    }
    let now = store.options.nowMilliseconds()
    if !options.isDryRun { report.removedGenerations = try removeExpired(options, now) }
    let transaction = try store.index.beginWrite()
    if options.isDryRun { report.removedGenerations = try expire(options, now, transaction) }
    try collect(candidates, options, now, transaction, &report)
    // Dropping the transaction of a dry run undoes its deletions; its files were left alone.
    if options.isDryRun {
      report.removedDerived = try collectDerived(options, now)
      return report
    }
    try transaction.commit()
    report.removedDerived = try collectDerived(options, now)
    report.removedLeftovers = try store.blobs.removeLeftovers()
    return report
  }

  private func removeExpired(_ options: Options, _ now: Int64) throws(StoreError) -> Int {
    try store.index.write { (transaction) throws(StoreError) in try expire(options, now, transaction) }
  }

  /// Outside of the lock: what is made for a generation while it goes is left to the next collection.
  private func collectDerived(_ options: Options, _ now: Int64) throws(StoreError) -> Int {
    let reader = try store.makeReader()
    try reader.renew()
    defer { reader.end() }
    return try DerivedTree.collect(store.path, isDryRun: options.isDryRun) {
      (site, asset, generation) throws(StoreError) in
      try reader.generation(site: site, id: asset, generation: generation, nowMilliseconds: now) != nil
    }
  }

  /// Deletes the records of expired generations; returns how many.
  private func expire(
    _ options: Options, _ now: Int64, _ transaction: borrowing WriteTransaction
  ) throws(StoreError) -> Int {
    let expired = try expiredGenerations(transaction.view, now, options.graceMilliseconds)
    var key = IndexKey()
    for stored in expired {
      _ = key.set(stored)
      try transaction.delete(store.tables.generations, key.bytes)
    }
    return expired.count
  }

  private struct Candidates {
    var blobs: [BlobID] = []
    var sidecars: [(id: BlobID, path: String)] = []
  }

  private func collect(
    _ candidates: Candidates, _ options: Options, _ now: Int64, _ transaction: borrowing WriteTransaction,
    _ report: inout Report
  ) throws(StoreError) {
    let graceMilliseconds = options.graceMilliseconds
    var key = IndexKey()
    var marked: Set<BlobID> = []
    var unreadable: [UnreadableRecord] = []
    try store.tables.forEachPointer(transaction.view, unreadable: &unreadable) {
      (pointer) throws(StoreError) in
      marked.insert(pointer.blob)
    }
    if let unreadable = unreadable.first {
      throw StoreError(
        .damaged, operation: "collect",
        message: "a record cannot be read and might refer to any blob: run scrub first",
        context: "\(unreadable.table) \(unreadable.key)")
    }
    report.referencedBlobs = marked.count

    for id in candidates.blobs where !marked.contains(id) {
      guard let status = try Disk.status(store.blobs.path(of: id)) else { continue }
      let (age, overflow) = now.subtractingReportingOverflow(status.modifiedMilliseconds)
      if overflow || age < graceMilliseconds {
        report.keptByGrace += 1
        continue
      }
      do throws(StoreError) {
        if !options.isDryRun { _ = try store.blobs.remove(id) }
      } catch {
        report.failures.append(error)
        continue
      }
      key.set(id)
      try transaction.delete(store.tables.blobs, key.bytes)
      report.removedBlobs.append(id)
      report.freedBytes += status.sizeBytes
    }
    try sweepRecords(marked, transaction, &report)
    try sweepSidecars(candidates.sidecars, marked, options, now, graceMilliseconds, &report)
  }

  private func expiredGenerations(
    _ view: IndexView, _ now: Int64, _ graceMilliseconds: Int64
  ) throws(StoreError) -> [[UInt8]] {
    var keys: [[UInt8]] = []
    try view.scan(store.tables.generations, from: RawSpan()) {
      (key, value) throws(StoreError) in
      let record = try GenerationRecord(decoding: value)
      if !record.isServed(nowMilliseconds: now, graceMilliseconds: graceMilliseconds) {
        keys.append(Array(key))
      }
      return .next
    }
    return keys
  }

  /// Deletes blob records that nothing refers to and that have no file (what a crash or an operator leaves).
  private func sweepRecords(
    _ marked: Set<BlobID>, _ transaction: borrowing WriteTransaction, _ report: inout Report
  ) throws(StoreError) {
    var unreferenced: [BlobID] = []
    try transaction.scan(store.tables.blobs, from: RawSpan()) {
      (key, _) throws(StoreError) in
      if let id = BlobID(bytes: key), !marked.contains(id) { unreferenced.append(id) }
      return .next
    }
    var key = IndexKey()
    let removed = Set(report.removedBlobs)
    for id in unreferenced where !removed.contains(id) {
      guard try store.blobs.sizeBytes(of: id) == nil else { continue }
      key.set(id)
      try transaction.delete(store.tables.blobs, key.bytes)
      report.removedRecords += 1
    }
  }

  /// Removes sidecars whose blob is gone; those beside a removed blob went with it.
  private func sweepSidecars(
    _ sidecars: [(id: BlobID, path: String)], _ marked: Set<BlobID>, _ options: Options, _ now: Int64,
    _ graceMilliseconds: Int64, _ report: inout Report
  ) throws(StoreError) {
    for (id, path) in sidecars where !marked.contains(id) {
      guard try store.blobs.sizeBytes(of: id) == nil, let status = try Disk.status(path) else { continue }
      let (age, overflow) = now.subtractingReportingOverflow(status.modifiedMilliseconds)
      if overflow || age < graceMilliseconds { continue }
      do throws(StoreError) {
        if !options.isDryRun { try Disk.remove(path) }
        report.removedSidecars += 1
      } catch {
        report.failures.append(error)
      }
    }
  }
}

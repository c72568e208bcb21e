internal import Glibc

// What scrub does, and what it leaves alone
// -----------------------------------------
// 1. Every file below blobs/ is read and hashed; its name must be its hash and its size that of its record.
// 2. Every pointer of assets, generations and files must lead to a blob that has a record and a file. A record
//    without a file that nothing points to is what a crash of the collector leaves, no damage: the next one deletes it.
//
// The store is in use meanwhile: blobs appear and are collected between the steps. So a file that vanishes in step 1
// is no damage, and what step 2 misses is looked at again under the write lock, where neither a publication nor
// the collector can be half way. Only what is then still wrong is reported.
//
// Repair moves damaged blobs to quarantine/, so that no reader takes them for whole ones (and so that staging the same
// bytes again stores a good copy), and makes records for referenced blobs that have none. Pointers to what is lost are
// reported and never dropped: the bytes may come back from a backup or another origin.
//
// The kernel's page cache may answer for the disk. A blob that was read lately is thus checked in memory; the next
// rounds will meet it cold.

/// Re-hashes every blob and checks every pointer.
///
/// Safe beside servers and ingests. Blocks for as long as reading all blobs takes: run it on a worker.
public struct Scrub: Sendable {
  public struct Options: Sendable {
    /// Most bytes to read in a second; `nil` is as fast as the disk gives them.
    public var bytesPerSecond: UInt64?
    /// Moves damaged blobs away and remakes missing records.
    public var repairs: Bool
    /// Blobs up to this one are passed over: what an earlier run returned as `stoppedAfter`.
    public var after: BlobID?

    public init(bytesPerSecond: UInt64? = nil, repairs: Bool = false, after: BlobID? = nil) {
      self.bytesPerSecond = bytesPerSecond
      self.repairs = repairs
      self.after = after
    }
  }

  /// What is wrong with a blob.
  public enum Damage: String, Sendable, Hashable {
    /// The bytes are not those of the name.
    case wrongBytes
    /// The size is not the recorded one (and the bytes are wrong, too).
    case wrongSize
    /// The file cannot be read, or is no regular file.
    case unreadable
    /// There is a record that something points to, but no file.
    case missing
  }

  public struct Result: Sendable, Equatable {
    public var checkedBlobs = 0
    public var checkedBytes: UInt64 = 0
    public var checkedPointers = 0
    public var sidecars = 0
    /// Damaged and missing blobs.
    public var damage: [BlobID: Damage] = [:]
    /// Moved to quarantine by this run.
    public var quarantined: [BlobID] = []
    /// Pointers to blobs that are damaged or missing, or that have neither record nor file.
    public var brokenPointers: [BlobPointer] = []
    /// Referenced blobs whole on disk but without a record.
    public var missingRecords: [BlobID] = []
    /// Records remade by this run.
    public var remadeRecords = 0
    public var unreadableRecords: [UnreadableRecord] = []
    /// Blobs that nothing refers to: the collector's business, no damage.
    public var orphans: [BlobID] = []
    /// Paths below blobs/ that the store did not put there.
    public var strangers: [String] = []
    /// Where `keepGoing` stopped the run; `nil` when it went through. Pointers are checked only then.
    public var stoppedAfter: BlobID?

    /// Whether nothing stored is lost, wrong or unreachable. Orphans and strangers are no damage.
    public var isClean: Bool {
      damage.isEmpty && brokenPointers.isEmpty && missingRecords.isEmpty && unreadableRecords.isEmpty
    }
  }

  private let store: Store

  public init(store: Store) { self.store = store }

  /// Scrubs once.
  ///
  /// Throws only where the index or a folder cannot be read at all; what is wrong with blobs is in the result.
  /// - Parameter keepGoing: asked after every blob with the result so far; `false` ends the run early.
  public func run(
    _ options: Options = Options(), keepGoing: (Result) -> Bool = { _ in true }
  ) throws(StoreError) -> Result {
    var result = Result()
    var verified: [BlobID] = []
    var blobs: Set<BlobID> = []
    var throttle = Throttle(bytesPerSecond: options.bytesPerSecond)
    try store.blobs.forEachEntry(from: options.after) { (entry) throws(StoreError) in
      switch entry {
      case .sidecar: result.sidecars += 1
      case .stranger(let path): result.strangers.append(path)
      case .blob(let id):
        if id == options.after { return .next }
        if try check(id, &throttle, &result) { verified.append(id) }
        blobs.insert(id)
        if verified.count >= 256 { try noteVerified(&verified) }
        if !keepGoing(result) {
          result.stoppedAfter = id
          return .stop
        }
      }
      return .next
    }
    try noteVerified(&verified)
    if result.stoppedAfter == nil { try checkPointers(&result, blobs) }
    if options.repairs { try repair(&result) }
    result.orphans.sort()
    return result
  }

  /// Hashes one blob; returns whether it is whole.
  private func check(
    _ id: BlobID, _ throttle: inout Throttle, _ result: inout Result
  ) throws(StoreError) -> Bool {
    let path = store.blobs.path(of: id)
    do throws(StoreError) {
      let file = try Disk.open(path, O_RDONLY | O_NONBLOCK, operation: "scrub")
      guard try Disk.status(file, path: path).isRegular else {
        result.damage[id] = .unreadable
        return false
      }
      let (found, sizeBytes) = try BlobStore.digest(of: file, path: path) { throttle.spend($0) }
      result.checkedBlobs += 1
      result.checkedBytes += sizeBytes
      if found == id { return true }
      // A record that cannot be read is told of with the pointers.
      let record = try store.index.read { (transaction) throws(StoreError) in
        try? store.tables.blob(transaction.view, id)
      }
      result.damage[id] = record.map { $0.sizeBytes == sizeBytes } ?? true ? .wrongBytes : .wrongSize
    } catch {
      switch (error.code, error.underlying) {
      case (.notFound, _): break  // Collected meanwhile; were it referenced, the pointers would tell.
      // What this process lacks says nothing of the blob, and must not send whole ones to quarantine.
      case (.io, EMFILE), (.io, ENFILE), (.io, ENOMEM), (.io, EACCES), (.io, EPERM): throw error
      case (.io, _): result.damage[id] = .unreadable
      default: throw error
      }
    }
    return false
  }

  /// Writes down that blobs were found whole, and empties the list.
  private func noteVerified(_ verified: inout [BlobID]) throws(StoreError) {
    let now = store.options.nowMilliseconds()
    try store.index.write { (transaction) throws(StoreError) in
      var key = IndexKey()
      for id in verified {
        guard var record = try? store.tables.blob(transaction.view, id) else { continue }
        record.verifiedMilliseconds = now
        key.set(id)
        try transaction.put(store.tables.blobs, key.bytes, record.encode())
      }
    }
    verified.removeAll(keepingCapacity: true)
  }

  /// Step 2 of the essay.
  private func checkPointers(_ result: inout Result, _ seen: Set<BlobID>) throws(StoreError) {
    var unreadable: [UnreadableRecord] = []
    var suspects: Set<BlobID> = []
    var referenced: Set<BlobID> = []
    var pointers = 0
    // The second pass, under the lock, tells of these.
    var ignored: [UnreadableRecord] = []
    let tables = store.tables
    try store.index.read { (transaction) throws(StoreError) in
      try tables.forEachPointer(transaction.view, unreadable: &ignored) { (pointer) throws(StoreError) in
        pointers += 1
        if referenced.insert(pointer.blob).inserted,
          try !isSound(pointer.blob, transaction.view) || result.damage[pointer.blob] != nil
        {
          suspects.insert(pointer.blob)
        }
      }
      try transaction.scan(tables.blobs, from: RawSpan()) {
        (key, value) throws(StoreError) in
        if (try? BlobRecord(decoding: value)) == nil {
          unreadable.append(UnreadableRecord(table: "blobs", key: Hex.string(key)))
        }
        return .next
      }
    }
    result.checkedPointers = pointers
    result.orphans = seen.subtracting(referenced).subtracting(result.damage.keys).sorted()

    // Under the lock: nothing is half way here.
    try store.index.write { (transaction) throws(StoreError) in
      var broken: Set<BlobID> = []
      var missing: Set<BlobID> = []
      for id in suspects {
        let size = try store.blobs.sizeBytes(of: id)
        let record = try? tables.blob(transaction.view, id)
        if size == nil && record != nil { missing.insert(id) }
        if size == nil || result.damage[id] != nil { broken.insert(id) }
      }
      var withoutRecord: Set<BlobID> = []
      try tables.forEachPointer(transaction.view, unreadable: &unreadable) {
        (pointer) throws(StoreError) in
        if broken.contains(pointer.blob) {
          result.brokenPointers.append(pointer)
          if missing.contains(pointer.blob) { result.damage[pointer.blob] = .missing }
        } else if suspects.contains(pointer.blob), try !hasRecord(pointer.blob, transaction.view) {
          withoutRecord.insert(pointer.blob)
        }
      }
      result.missingRecords = withoutRecord.sorted()
    }
    result.unreadableRecords = unreadable
  }

  private func isSound(_ id: BlobID, _ view: IndexView) throws(StoreError) -> Bool {
    guard let sizeBytes = try store.blobs.sizeBytes(of: id) else { return false }
    guard let record = try? store.tables.blob(view, id) else { return false }
    return record.sizeBytes == sizeBytes
  }

  private func hasRecord(_ id: BlobID, _ view: IndexView) throws(StoreError) -> Bool {
    var key = IndexKey()
    key.set(id)
    return try view.withValue(store.tables.blobs, key.bytes) { _ in true } ?? false
  }

  /// Whether a blob can be read, after all, and is what its name says.
  private func isWhole(_ id: BlobID) throws(StoreError) -> Bool {
    do throws(StoreError) { return try store.blobs.holds(id) } catch {
      if error.code == .io { return false }
      throw error
    }
  }

  private func repair(_ result: inout Result) throws(StoreError) {
    for (id, damage) in result.damage where damage != .missing {
      // A disk or a cable may have failed for a moment: only what can't be read twice is taken away.
      if damage == .unreadable, try isWhole(id) { continue }
      if try store.blobs.quarantine(id) { result.quarantined.append(id) }
    }
    result.quarantined.sort()
    let now = store.options.nowMilliseconds()
    let missing = result.missingRecords
    // Servers keep blobs open until the catalog's transaction moves. LMDB commits nothing for a transaction that
    // writes nothing, so the time of the repair is written, and they look again.
    result.remadeRecords = try store.index.write { (transaction) throws(StoreError) in
      for id in missing { try store.requireBlob(id, transaction, nowMilliseconds: now) }
      try store.tables.noteRepair(transaction, atMilliseconds: now)
      return missing.count
    }
  }
}

/// Spends bytes at a rate: sleeps when ahead of it.
private struct Throttle {
  let bytesPerSecond: UInt64?
  private var spentBytes: UInt64 = 0
  private let startedNanoseconds = Disk.monotonicNanoseconds()

  init(bytesPerSecond: UInt64?) { self.bytesPerSecond = bytesPerSecond }

  mutating func spend(_ count: Int) {
    guard let bytesPerSecond, bytesPerSecond > 0 else { return }
    spentBytes += UInt64(count)
    let due = Double(spentBytes) / Double(bytesPerSecond)
    let passed = Double(Disk.monotonicNanoseconds() - startedNanoseconds) / 1e9
    if due > passed {
      usleep(UInt32(min(due - passed, 60) * 1e6))
    }
  }
}

internal import CLMDB
internal import CLinux
internal import Glibc
internal import Synchronization

// The index: one LMDB environment in storage/index/
// -------------------------------------------------
// Tables (named databases), keys and values. `site` is its length in one byte and then its bytes, so that no site's
// keys can be read as another's; numbers in keys are big-endian, so that key order is number order.
//
//   meta          "version"                                  format of the index, 4 bytes big-endian
//   assets        site, asset id                             AssetRecord
//   generations   site, id length (1 byte), id, 6 bytes      GenerationRecord
//   files         site, path (or its stand-in, see IndexKey) FileRecord
//   blobs         32 bytes                                   BlobRecord
//   events        sequence, 8 bytes                          Event
//   cursors       consumer name                              sequence, 8 bytes big-endian
//   views         site, asset id                             how much of a counter its asset has: Catalog/ViewCounts.swift
//   jobs, jobs.*  told in Jobs/JobTables.swift
//
// The encoding of values and their versions are told in RecordWriter.swift.
//
// Why LMDB, and why this way
// - Readers never wait and never make writers wait; a lookup touches memory only. A commit is atomic: data pages
//   are written and synced before the one of two meta pages that makes them count. A crash at any instant leaves
//   the state of the last commit, without a log to replay.
// - Never WRITEMAP: with it a full disk is a SIGBUS, without it an error of one transaction.
// - The map is reserved at once (it costs address space, not disk) and never resized: resizing under a live reader
//   moves memory that it is reading.
// - NOTLS: a reader belongs to its transaction object, so that one thread may hold several and a transaction may
//   change threads between uses. Write transactions belong to the thread that began them until they end.
// - A process that dies in a read transaction keeps its slot, and LMDB may then reuse no page that this reader
//   could see: the file grows. `readerCheck` frees such slots, at the start and from a timer.
// - Opening one environment twice in a process breaks LMDB's locks without an error, so it is refused here.
// - `reserveDisk` keeps blocks allocated past the end of the file, so that a disk filled by blobs still lets the
//   index commit: removing assets must work on a full disk. `fallocate` with KEEP_SIZE does not change the size that
//   LMDB sees.
// - LMDB neither syncs a new file nor the folder that names it. A power cut might thus take back the whole index after
//   its first commits, so both are synced here before anyone commits. A cut before that leaves a file of two pages at
//   most, without a commit, which the next start makes anew; a lock on the folder keeps two processes from doing so at
//   a time.
// - It follows whatever its file says, so `IndexCheck` reads the file first; snapshots and mending are told in
//   IndexSnapshot.swift and IndexRestore.swift.
// - Use on network filesystems and after `fork` is impossible; `LayoutCheck` refuses the first.

/// The index of the store: named tables of byte keys and byte values in one LMDB environment.
///
/// One per process and folder. Safe from any thread.
public final class Environment: Sendable {
  /// Longest key in bytes.
  public static let maximumKeyBytes = 511

  private static let opened = Mutex<Set<FileIdentity>>([])

  private struct FileIdentity: Hashable {
    var device: UInt64
    var inode: UInt64
  }

  // LMDB's environment is made for many threads; the pointer is set once and freed when no reference is left.
  nonisolated(unsafe) let handle: OpaquePointer
  /// The folder.
  public let path: String
  private let identity: FileIdentity
  /// Open for as long as the index is, so that no other folder can take its inode number, and so its identity.
  private let folder: Descriptor

  /// Opens or makes the environment in a folder that exists.
  ///
  /// Throws `.locked` where this process has it open, `.damaged` for a file that is cut off or no index,
  /// `.incompatible`, `.full`, `.io`.
  /// - Parameters:
  ///   - mapSizeBytes: most that the index can ever hold; rounded up to whole pages. All processes that share a
  ///     store use the same.
  ///   - maximumReaders: read transactions that may exist at a time in all processes; the first process decides.
  ///   - checkLimitBytes: an index that uses no more than this is read through before anything trusts it.
  public init(
    path: String, mapSizeBytes: Int, maximumReaders: Int, checkLimitBytes: Int = .max
  ) throws(StoreError) {
    let folder = try Disk.open(path, O_RDONLY | O_DIRECTORY, operation: "open index")
    let status = try Disk.status(folder, path: path)
    let identity = FileIdentity(device: status.device, inode: status.inode)
    guard Environment.opened.withLock({ $0.insert(identity).inserted }) else {
      throw StoreError(
        .locked, operation: "open index",
        message: "this process has the index open already: share that store object", context: path)
    }
    do throws(StoreError) {
      try Disk.lock(folder, path: path)
      let isNew = try Environment.isUncommitted(path)
      handle = try Environment.open(path, mapSizeBytes: mapSizeBytes, maximumReaders: maximumReaders)
      do throws(StoreError) {
        if isNew { try Environment.makeDurable(handle, path, folder) }
      } catch {
        mdb_env_close(handle)
        throw error
      }
      Disk.unlock(folder)
    } catch {
      _ = Environment.opened.withLock { $0.remove(identity) }
      throw error
    }
    self.path = path
    self.identity = identity
    self.folder = folder
    try readerCheck()
    if usedBytes <= checkLimitBytes { try check() }
  }

  deinit {
    mdb_env_close(handle)
    _ = Environment.opened.withLock { $0.remove(identity) }
  }

  /// Whether the index holds no commit yet; removes one whose making a power cut has ended.
  private static func isUncommitted(_ path: String) throws(StoreError) -> Bool {
    let name = path + "/data.mdb"
    guard let status = try Disk.status(name) else { return true }
    let isUncommitted = status.sizeBytes <= IndexCheck.metaPages * UInt64(sysconf(Int32(_SC_PAGESIZE)))
    do throws(StoreError) { try IndexCheck.runMetas(file: name) } catch {
      guard isUncommitted, error.code == .damaged else { throw error }
      try Disk.remove(name)
    }
    return isUncommitted
  }

  private static func makeDurable(
    _ handle: OpaquePointer, _ path: String, _ folder: borrowing Descriptor
  ) throws(StoreError) {
    let result = mdb_env_sync(handle, 1)
    guard result == 0 else { throw .index(result, operation: "sync new index", path: path) }
    try Disk.sync(folder, path: path)
  }

  private static func open(
    _ path: String, mapSizeBytes: Int, maximumReaders: Int
  ) throws(StoreError) -> OpaquePointer {
    var created: OpaquePointer?
    let result = mdb_env_create(&created)
    guard result == 0, let handle = created else {
      throw .index(result, operation: "create index", path: path)
    }
    func check(_ result: Int32) throws(StoreError) {
      if result == 0 { return }
      mdb_env_close(handle)
      throw .index(result, operation: "open index", path: path)
    }
    let pageBytes = Int(sysconf(Int32(_SC_PAGESIZE)))
    let pages = max(16, (max(0, mapSizeBytes) - 1) / pageBytes + 1)
    try check(mdb_env_set_mapsize(handle, pages * pageBytes))
    try check(mdb_env_set_maxreaders(handle, UInt32(clamping: max(1, maximumReaders))))
    try check(mdb_env_set_maxdbs(handle, 64))
    try check(mdb_env_open(handle, path, UInt32(MDB_NOTLS), 0o644))

    // LMDB maps what the meta page promises; a page past the end of the file would be a SIGBUS at first touch.
    var info = MDB_envinfo()
    try check(mdb_env_info(handle, &info))
    var statistics = MDB_stat()
    try check(mdb_env_stat(handle, &statistics))
    var number: Int32 = -1
    try check(mdb_env_get_fd(handle, &number))
    var raw = stat()
    try check(fstat(number, &raw) == 0 ? 0 : errno)
    if info.me_last_pgno > 1, raw.st_size < (info.me_last_pgno + 1) * Int(statistics.ms_psize) {
      mdb_env_close(handle)
      throw StoreError(
        .damaged, operation: "open index",
        message: "the index file is cut off: stop all processes, then run headwater index restore",
        context: path
      )
    }
    return handle
  }

  /// Frees the slots of readers whose processes are dead; returns how many. Call once a minute.
  @discardableResult
  public func readerCheck() throws(StoreError) -> Int {
    var dead: Int32 = 0
    let result = mdb_reader_check(handle, &dead)
    guard result == 0 else { throw .index(result, operation: "check readers", path: path) }
    return Int(dead)
  }

  /// Keeps disk blocks allocated for the index beyond what it uses, for commits on a full disk.
  ///
  /// Asks for `sizeBytes`, or one per cent of the filesystem where that is less. A filesystem that cannot do it, or
  /// has no room, is left as it is: returns whether the reserve stands. Call at start and once a minute.
  @discardableResult
  public func reserveDisk(_ sizeBytes: Int) -> Bool {
    var number: Int32 = -1
    var raw = stat()
    var volume = statvfs()
    guard sizeBytes > 0, mdb_env_get_fd(handle, &number) == 0, fstat(number, &raw) == 0,
      fstatvfs(number, &volume) == 0
    else { return false }
    let percent = Int(clamping: UInt64(volume.f_blocks) / 100).multipliedReportingOverflow(
      by: Int(volume.f_frsize))
    let wanted = percent.overflow ? sizeBytes : min(sizeBytes, percent.partialValue)
    return clinux_reserve(number, raw.st_size, off_t(wanted)) == 0
  }

  /// Writes a compacted copy of the index, as of one instant, into an empty folder that exists.
  ///
  /// Readers and writers go on meanwhile. The copy opens like any index; with the blobs it is a backup.
  public func copy(to folder: String) throws(StoreError) {
    let result = mdb_env_copy2(handle, folder, UInt32(MDB_CP_COMPACT))
    guard result == 0 else { throw .index(result, operation: "copy index", path: folder) }
  }

  /// Opens a table, making it where it is absent. Takes a write transaction: do it once, at the start.
  ///
  /// Names that begin with a letter and contain a dot (`uploads.sessions`) never meet those of the catalog.
  public func table(_ name: String) throws(StoreError) -> Table {
    let transaction = try beginWrite()
    let table = try transaction.openTable(name)
    try transaction.commit()
    return table
  }

  /// Begins reading the state of the last commit.
  public func beginRead() throws(StoreError) -> ReadTransaction {
    ReadTransaction(environment: self, handle: try begin(UInt32(MDB_RDONLY), "begin read"))
  }

  /// Begins writing; waits for every other writer of every process. A thread must not begin a second one.
  public func beginWrite() throws(StoreError) -> WriteTransaction {
    WriteTransaction(environment: self, handle: try begin(0, "begin write"))
  }

  private func begin(_ flags: UInt32, _ operation: String) throws(StoreError) -> OpaquePointer {
    var transaction: OpaquePointer?
    let result = mdb_txn_begin(handle, nil, flags, &transaction)
    guard result == 0, let transaction else {
      throw .index(result, operation: operation, path: path)
    }
    return transaction
  }

  /// Runs `body` in a write transaction and commits it; if `body` throws nothing has happened.
  public func write<Result>(
    _ body: (borrowing WriteTransaction) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    let transaction = try beginWrite()
    let result = try body(transaction)
    try transaction.commit()
    return result
  }

  /// Runs `body` in a read transaction.
  public func read<Result>(
    _ body: (borrowing ReadTransaction) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    let transaction = try beginRead()
    return try body(transaction)
  }
}

/// A named table of an environment; valid as long as the environment.
public struct Table: Sendable, Hashable {
  let number: UInt32
}

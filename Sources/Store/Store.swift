/// How a store is opened; the defaults serve.
public struct StoreOptions: Sendable {
  /// How long a replaced generation goes on being served, and an unreferenced blob is kept, in seconds.
  public var graceSeconds: Int
  /// Most that the index can ever hold, in bytes: address space, not disk. Equal in all processes of a store.
  public var indexMapSizeBytes: Int
  /// Read transactions at a time, over all processes.
  public var maximumReaders: Int
  /// Disk kept allocated for the index, in bytes, so that it can still commit when blobs have filled the disk; never
  /// more than one per cent of the filesystem. 0 is none.
  public var indexReserveBytes: Int
  /// An index that uses no more than this is checked whole when it is opened, in bytes.
  public var indexCheckLimitBytes: Int
  /// Whether what is read of a blob is compared with what its name vouches for before it is handed out.
  public var verifiesReads: Bool
  /// The wall clock, milliseconds since 1970.
  public var nowMilliseconds: @Sendable () -> Int64

  public init(
    graceSeconds: Int = 86_400, indexMapSizeBytes: Int = 64 << 30, maximumReaders: Int = 1024,
    indexReserveBytes: Int = 64 << 20, indexCheckLimitBytes: Int = 64 << 20,
    verifiesReads: Bool = false,
    nowMilliseconds: @escaping @Sendable () -> Int64 = { Store.wallClockMilliseconds() }
  ) {
    self.graceSeconds = graceSeconds
    self.indexMapSizeBytes = indexMapSizeBytes
    self.maximumReaders = maximumReaders
    self.indexReserveBytes = indexReserveBytes
    self.indexCheckLimitBytes = indexCheckLimitBytes
    self.verifiesReads = verifiesReads
    self.nowMilliseconds = nowMilliseconds
  }

  var graceMilliseconds: Int64 {
    let (grace, overflow) = Int64(clamping: graceSeconds).multipliedReportingOverflow(by: 1000)
    return overflow ? .max : max(0, grace)
  }
}

/// Blobs, catalog and event log of one storage folder.
///
/// Every call that writes blocks until its change is on disk: keep it off event loops. Each is one transaction together
/// with its event: after any crash it has happened as a whole or not at all. Several processes may share a folder;
/// within one process there is one `Store`.
///
///     let store = try Store(path: "storage")
///     let blob = try store.blobs.importFile("talk.mp4")
///     let asset = try store.publishAsset(
///       AssetDraft(site: "demo", id: AssetID.make(), status: .ready, source: blob.id))
public final class Store: Sendable {
  /// The storage folder.
  public let path: String
  public let options: StoreOptions
  public let blobs: BlobStore
  public let index: Environment
  let tables: CatalogTables

  /// Opens a store, making one in an empty or missing folder, and removes what dead processes left in `incoming/`.
  ///
  /// Throws `.unsuitable`, `.incompatible`, `.damaged`, `.locked`, `.full` or `.io`; the message says what to do.
  public init(path: String, options: StoreOptions = StoreOptions()) throws(StoreError) {
    try LayoutCheck.prepare(path)
    let index = try Environment(
      path: path + "/index", mapSizeBytes: options.indexMapSizeBytes, maximumReaders: options.maximumReaders,
      checkLimitBytes: options.indexCheckLimitBytes)
    tables = try CatalogTables(index)
    blobs = BlobStore(path: path, verifiesReads: options.verifiesReads)
    self.path = path
    self.options = options
    self.index = index
    index.reserveDisk(options.indexReserveBytes)
    try blobs.removeLeftovers()
  }

  /// A reader for one thread.
  public func makeReader() throws(StoreError) -> CatalogReader {
    try CatalogReader(environment: index, tables: tables, graceMilliseconds: options.graceMilliseconds)
  }

  /// Gives `body` a reader of the last commit: for one-off lookups; what serves keeps a reader of its own.
  public func read<Result>(
    _ body: (CatalogReader) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    let reader = try makeReader()
    try reader.renew()
    defer { reader.end() }
    return try body(reader)
  }

  /// Upkeep for a timer, once a minute: frees slots of dead readers, tops up the index's disk reserve, removes
  /// leftovers of dead writers.
  public func maintain() throws(StoreError) {
    try index.readerCheck()
    index.reserveDisk(options.indexReserveBytes)
    try blobs.removeLeftovers()
  }

  /// The system's wall clock, milliseconds since 1970.
  public static func wallClockMilliseconds() -> Int64 { Disk.nowMilliseconds() }
}

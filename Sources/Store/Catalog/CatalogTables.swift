/// The catalog's tables, and how records are found in them. All of it works in the transaction that it is given.
struct CatalogTables: Sendable {
  static let formatVersion: UInt32 = 1

  let meta: Table
  let assets: Table
  let generations: Table
  let files: Table
  let blobs: Table
  let events: Table
  let cursors: Table
  let views: Table
  let jobs: JobTables

  /// Opens the tables, making them in a new index; refuses an index of a newer format.
  init(_ environment: Environment) throws(StoreError) {
    let transaction = try environment.beginWrite()
    meta = try transaction.openTable("meta")
    var key = IndexKey()
    _ = key.set("version")
    let found = try transaction.withValue(meta, key.bytes) { (value) throws(StoreError) in
      guard value.count == 4 else { throw .damagedRecord("format version") }
      return UInt32(bigEndian: value.loadUnaligned(as: UInt32.self))
    }
    if let found, found > CatalogTables.formatVersion {
      throw StoreError(
        .incompatible, operation: "open index",
        message:
          "the index has format \(found), newer than format \(CatalogTables.formatVersion) of this program: "
          + "upgrade the program", context: environment.path)
    }
    if found == nil {
      let version = withUnsafeBytes(of: CatalogTables.formatVersion.bigEndian) { Array($0) }
      try transaction.put(meta, key.bytes, version)
    }
    assets = try transaction.openTable("assets")
    generations = try transaction.openTable("generations")
    files = try transaction.openTable("files")
    blobs = try transaction.openTable("blobs")
    events = try transaction.openTable("events")
    cursors = try transaction.openTable("cursors")
    views = try transaction.openTable("views")
    jobs = try JobTables(transaction)
    try transaction.commit()
  }

  /// Writes down when blobs were last taken away by a repair; a commit that every reader notices.
  func noteRepair(_ transaction: borrowing WriteTransaction, atMilliseconds now: Int64) throws(StoreError) {
    var key = IndexKey()
    _ = key.set("repaired")
    try transaction.put(meta, key.bytes, withUnsafeBytes(of: now.bigEndian) { Array($0) })
  }

  func asset(_ view: IndexView, _ key: borrowing IndexKey) throws(StoreError) -> AssetRecord? {
    try view.withValue(assets, key.bytes) { (value) throws(StoreError) in try AssetRecord(decoding: value) }
  }

  func generation(_ view: IndexView, _ key: borrowing IndexKey) throws(StoreError) -> GenerationRecord? {
    try view.withValue(generations, key.bytes) { (value) throws(StoreError) in
      try GenerationRecord(decoding: value)
    }
  }

  func file(_ view: IndexView, _ key: borrowing IndexKey) throws(StoreError) -> FileRecord? {
    try view.withValue(files, key.bytes) { (value) throws(StoreError) in try FileRecord(decoding: value) }
  }

  func blob(_ view: IndexView, _ id: BlobID) throws(StoreError) -> BlobRecord? {
    var key = IndexKey()
    key.set(id)
    return try view.withValue(blobs, key.bytes) { (value) throws(StoreError) in
      try BlobRecord(decoding: value)
    }
  }

  /// Up to `limit` decoded records of one site, in key order, after (or, descending, before) the key `after`.
  func list<Record>(
    _ view: IndexView, _ table: Table, site: String, after: borrowing IndexKey?, limit: Int, order: ScanOrder,
    _ decode: (UnsafeRawBufferPointer) throws(StoreError) -> Record
  ) throws(StoreError) -> [Record] {
    var prefix = IndexKey()
    guard limit > 0, prefix.start(site: site) else { return [] }
    var start = IndexKey()
    let skipsStart: Bool
    switch after {
    case .some(let after):
      start.set(after)
      skipsStart = true
    case .none:
      start.set(prefix)
      skipsStart = false
      // No id and no path holds this byte, so it lies past them all.
      if order == .descending { _ = start.append(byte: 0xff) }
    }
    var records: [Record] = []
    try view.scan(table, from: start.bytes, order) { (key, value) throws(StoreError) in
      guard prefix.isPrefix(of: key) else { return .stop }
      if skipsStart && start.equals(key) { return .next }
      records.append(try decode(value))
      return records.count < limit ? .next : .stop
    }
    return records
  }
}

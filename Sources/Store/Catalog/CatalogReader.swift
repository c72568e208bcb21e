/// Lookups in the catalog: one for each thread that serves, kept for its life.
///
/// Holds one reader slot of the index. Between `renew()` and `end()` all lookups see one state of the catalog; end soon,
/// and never hold it across an `await` or a slow client. Lookups outside that throw. A lookup costs one to two
/// microseconds at a million keys and allocates only what the record holds.
///
/// `renew()` returns a number that moves with every commit of any process: as long as it stands, whatever a caller has
/// kept from earlier lookups is still true.
public final class CatalogReader {
  private let tables: CatalogTables
  private let graceMilliseconds: Int64
  private let transaction: ReadTransaction
  private var key = IndexKey()
  private var isRenewed = false

  init(environment: Environment, tables: CatalogTables, graceMilliseconds: Int64) throws(StoreError) {
    let transaction = try environment.beginRead()
    transaction.reset()
    self.transaction = transaction
    self.tables = tables
    self.graceMilliseconds = graceMilliseconds
  }

  /// Takes up the state of the last commit and returns its number. About 0.2 µs.
  @discardableResult
  public func renew() throws(StoreError) -> UInt64 {
    end()
    try transaction.renew()
    isRenewed = true
    return transaction.id
  }

  /// Lets go of the state; harmless where none is held.
  public func end() {
    guard isRenewed else { return }
    transaction.reset()
    isRenewed = false
  }

  /// An asset, `nil` where there is none or the id is none.
  public func asset(site: String, id: UnsafeRawBufferPointer) throws(StoreError) -> AssetRecord? {
    guard key.setAsset(site: site, id: id) else { return nil }
    return try tables.asset(transaction.view, key)
  }

  /// An asset, `nil` where there is none or the id is none.
  public func asset(site: String, id: String) throws(StoreError) -> AssetRecord? {
    guard key.setAsset(site: site, id: id) else { return nil }
    return try tables.asset(transaction.view, key)
  }

  /// A generation that is still served: the newest, or one replaced no longer than the grace ago; else `nil`.
  public func generation(
    site: String, id: UnsafeRawBufferPointer, generation: Generation, nowMilliseconds: Int64
  ) throws(StoreError) -> GenerationRecord? {
    guard key.setGeneration(site: site, id: id, generation) else { return nil }
    return try servedGeneration(nowMilliseconds)
  }

  /// A generation that is still served: the newest, or one replaced no longer than the grace ago; else `nil`.
  public func generation(
    site: String, id: String, generation: Generation, nowMilliseconds: Int64
  ) throws(StoreError) -> GenerationRecord? {
    guard key.setGeneration(site: site, id: id, generation) else { return nil }
    return try servedGeneration(nowMilliseconds)
  }

  /// The generation whose key is set, while it is served.
  private func servedGeneration(_ nowMilliseconds: Int64) throws(StoreError) -> GenerationRecord? {
    guard let record = try tables.generation(transaction.view, key),
      record.isServed(nowMilliseconds: nowMilliseconds, graceMilliseconds: graceMilliseconds)
    else { return nil }
    return record
  }

  /// A file by its exact path, percent-decoded and without a leading slash; `nil` where there is none.
  public func file(site: String, path: UnsafeRawBufferPointer) throws(StoreError) -> FileRecord? {
    guard key.setFile(site: site, path: path) else { return nil }
    return try tables.file(transaction.view, key)
  }

  /// A file by its exact path, percent-decoded and without a leading slash; `nil` where there is none.
  public func file(site: String, path: String) throws(StoreError) -> FileRecord? {
    guard key.setFile(site: site, path: path) else { return nil }
    return try tables.file(transaction.view, key)
  }

  /// What the index knows of a blob; `nil` for one that was never published.
  public func blob(_ id: BlobID) throws(StoreError) -> BlobRecord? {
    try tables.blob(transaction.view, id)
  }

  /// Up to `limit` assets of a site by id, after the id `after`; descending gives made ids newest first.
  public func listAssets(
    site: String, after: String? = nil, limit: Int, order: ScanOrder = .ascending
  ) throws(StoreError) -> [AssetRecord] {
    var start: IndexKey?
    if let after {
      var key = IndexKey()
      guard AssetID.isValid(after),
        key.setAsset(site: site, id: after)
      else { throw .invalid("list assets", "the listing cannot continue after what is no asset id") }
      start = consume key
    }
    return try tables.list(
      transaction.view, tables.assets, site: site, after: start, limit: limit, order: order
    ) { (value) throws(StoreError) in try AssetRecord(decoding: value) }
  }

  /// Up to `limit` files of a site by path, after the path `after`. Paths of 400 bytes and more are in order of
  /// their first 368 bytes only.
  public func listFiles(
    site: String, after: String? = nil, limit: Int, order: ScanOrder = .ascending
  ) throws(StoreError) -> [FileRecord] {
    var start: IndexKey?
    if let after {
      var key = IndexKey()
      guard key.setFile(site: site, path: after) else {
        throw .invalid("list files", "the listing cannot continue after what is no path")
      }
      start = consume key
    }
    return try tables.list(
      transaction.view, tables.files, site: site, after: start, limit: limit, order: order
    ) { (value) throws(StoreError) in try FileRecord(decoding: value) }
  }

  /// Sequence of the newest event; 0 before the first.
  public func eventsHead() throws(StoreError) -> UInt64 {
    try tables.eventsHead(transaction.view)
  }

  /// Up to `limit` events after a sequence, oldest first.
  public func events(after sequence: UInt64, limit: Int) throws(StoreError) -> [Event] {
    try tables.events(transaction.view, after: sequence, limit: limit)
  }
}

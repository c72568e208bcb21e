extension Store {
  /// Most bytes that the record of an asset may take; bulk belongs into blobs.
  public static let maximumRecordBytes = 64 << 10

  /// Makes an asset, or gives an existing one the blobs and metadata of a draft.
  ///
  /// Other blobs than before are a new generation; the one before goes on being served for the grace time. Equal blobs
  /// are a change of metadata, and where that is equal too nothing is written and no event made.
  ///
  /// Throws `.blobMissing` where a blob is not stored (any more): stage it again and retry. `.invalid` for a bad site
  /// or id or a record over `maximumRecordBytes`; `.damaged` where a blob's file has not its recorded size; `.full`;
  /// `.io`; `.conflict` where the asset is no more, or not yet, as `ifUpdatedMilliseconds` says. Nothing has happened then.
  ///
  /// - Parameter ifUpdatedMilliseconds: for a draft made from a record: that record's `updatedMilliseconds`.
  @discardableResult
  public func publishAsset(
    _ draft: AssetDraft, ifUpdatedMilliseconds: Int64? = nil
  ) throws(StoreError) -> AssetRecord {
    try Store.checkAsset(site: draft.site, id: draft.id, operation: "publish asset")
    return try index.write { (transaction) throws(StoreError) in
      let now = options.nowMilliseconds()
      let old = try currentAsset(transaction.view, site: draft.site, id: draft.id)
      if let ifUpdatedMilliseconds, old?.updatedMilliseconds != ifUpdatedMilliseconds {
        throw Store.changedMeanwhile("publish asset", draft.id)
      }
      for blob in draft.blobs { try requireBlob(blob, transaction, nowMilliseconds: now) }
      var new = Store.merge(draft, into: old, nowMilliseconds: now)
      if new == old { return new }
      if let old { new.updatedMilliseconds = max(now, old.updatedMilliseconds &+ 1) }
      try write(new, replacing: old, transaction, nowMilliseconds: now)
      return new
    }
  }

  /// Changes the metadata of an asset.
  ///
  /// `change` runs inside the transaction, on the newest record: compare there what a client expects, and throw to
  /// refuse. A change to nothing makes no event. Throws `.notFound`, whatever `change` throws, `.invalid`, `.full`,
  /// `.io`.
  @discardableResult
  public func updateAsset(
    site: String, id: String, change: (inout AssetRecord) throws(StoreError) -> Void
  ) throws(StoreError) -> AssetRecord {
    try Store.checkAsset(site: site, id: id, operation: "update asset")
    return try index.write { (transaction) throws(StoreError) in
      let now = options.nowMilliseconds()
      guard let old = try currentAsset(transaction.view, site: site, id: id) else {
        throw Store.noAsset("update asset", id)
      }
      var new = old
      try change(&new)
      if new == old { return old }
      new.updatedMilliseconds = max(now, old.updatedMilliseconds &+ 1)
      try write(new, replacing: old, transaction, nowMilliseconds: now)
      return new
    }
  }

  /// Removes an asset and all its generations; its blobs go with the next collection that finds them unreferenced.
  ///
  /// Throws `.notFound`; `.conflict` where `ifUpdatedMilliseconds` is given and the record has changed since.
  /// Returns the record as it was.
  @discardableResult
  public func removeAsset(
    site: String, id: String, ifUpdatedMilliseconds: Int64? = nil
  ) throws(StoreError) -> AssetRecord {
    try Store.checkAsset(site: site, id: id, operation: "remove asset")
    return try index.write { (transaction) throws(StoreError) in
      guard let old = try currentAsset(transaction.view, site: site, id: id) else {
        throw Store.noAsset("remove asset", id)
      }
      if let ifUpdatedMilliseconds, ifUpdatedMilliseconds != old.updatedMilliseconds {
        throw Store.changedMeanwhile("remove asset", id)
      }
      let key = Store.assetKey(site: site, id: id)
      try transaction.delete(tables.assets, key.bytes)
      let prefix = Store.generationKey(site: site, id: id, nil)
      for stored in try tables.keys(transaction.view, tables.generations, prefix: prefix) {
        var key = IndexKey()
        _ = key.set(stored)
        try transaction.delete(tables.generations, key.bytes)
      }
      try tables.append(
        transaction, atMilliseconds: options.nowMilliseconds(), .assetRemoved, site: site, subject: id,
        generation: old.generation)
      return old
    }
  }

  // MARK: Inside the transaction

  func currentAsset(
    _ view: IndexView, site: String, id: String
  ) throws(StoreError) -> AssetRecord? {
    try tables.asset(view, Store.assetKey(site: site, id: id))
  }

  /// Checks under the write lock that a blob is stored, and records it if nobody has.
  ///
  /// The collector removes files under the same lock: a blob that is here now stays until this commit is done, and
  /// from then on it is referenced.
  func requireBlob(
    _ id: BlobID, _ transaction: borrowing WriteTransaction, nowMilliseconds: Int64
  ) throws(StoreError) {
    guard let sizeBytes = try blobs.sizeBytes(of: id) else {
      throw .missingBlob(id, operation: "publish")
    }
    if let record = try tables.blob(transaction.view, id) {
      guard record.sizeBytes == sizeBytes else {
        throw StoreError(
          .damaged, operation: "publish",
          message: "the stored blob has not the size it had: run scrub with repair, then stage it again",
          context: id.hex)
      }
      return
    }
    var key = IndexKey()
    key.set(id)
    let record = BlobRecord(sizeBytes: sizeBytes, createdMilliseconds: nowMilliseconds)
    try transaction.put(tables.blobs, key.bytes, record.encode())
  }

  /// Writes an asset's record, its generations and its events.
  func write(
    _ new: AssetRecord, replacing old: AssetRecord?, _ transaction: borrowing WriteTransaction,
    nowMilliseconds now: Int64
  ) throws(StoreError) {
    let encoded = new.encode()
    guard encoded.count <= Store.maximumRecordBytes else {
      throw .invalid(
        "write asset", "title, description, tags and renditions together exceed 64 KiB: shorten them",
        context: new.id)
    }
    try transaction.put(tables.assets, Store.assetKey(site: new.site, id: new.id).bytes, encoded)

    let previous = old?.generation
    if let generation = new.generation {
      let key = Store.generationKey(site: new.site, id: new.id, generation)
      // A generation that comes back keeps its first date, and so its Last-Modified.
      let ingested = try tables.generation(transaction.view, key)?.ingestedMilliseconds ?? now
      let record = GenerationRecord(of: new, generation: generation, ingestedMilliseconds: ingested)
      try transaction.put(tables.generations, key.bytes, record.encode())
    }
    if let previous, previous != new.generation {
      let key = Store.generationKey(site: new.site, id: new.id, previous)
      if var record = try tables.generation(transaction.view, key) {
        record.replacedMilliseconds = now
        try transaction.put(tables.generations, key.bytes, record.encode())
      }
    }

    var kinds: [EventKind] = []
    if previous != nil && previous != new.generation { kinds.append(.generationReplaced) }
    if new.status == .ready && old?.status != .ready { kinds.append(.assetReady) }
    if kinds.isEmpty { kinds.append(.assetUpdated) }
    for kind in kinds {
      try tables.append(
        transaction, atMilliseconds: now, kind, site: new.site, subject: new.id, generation: new.generation,
        previous: kind == .generationReplaced ? previous : nil)
    }
  }

  static func merge(
    _ draft: AssetDraft, into old: AssetRecord?, nowMilliseconds: Int64
  ) -> AssetRecord {
    AssetRecord(
      site: draft.site, id: draft.id, title: draft.title ?? old?.title ?? "",
      description: draft.description ?? old?.description ?? "", tags: draft.tags ?? old?.tags ?? [],
      privacy: draft.privacy ?? old?.privacy ?? .public, status: draft.status,
      createdMilliseconds: old?.createdMilliseconds ?? nowMilliseconds,
      updatedMilliseconds: old?.updatedMilliseconds ?? nowMilliseconds, generation: draft.generation,
      source: draft.source, sourceName: draft.sourceName ?? old?.sourceName ?? "",
      mediaType: draft.mediaType ?? old?.mediaType ?? "application/octet-stream",
      renditions: draft.renditions, reason: draft.reason, defects: draft.defects,
      thumbnailMilliseconds: old?.thumbnailMilliseconds, views: old?.views ?? 0)
  }

  // MARK: Names and keys

  private static func checkAsset(site: String, id: String, operation: String) throws(StoreError) {
    try checkSite(site, operation: operation)
    guard AssetID.isValid(id) else {
      throw .invalid(operation, "an asset id is 1 to 64 of A-Z, a-z, 0-9, _ and -")
    }
  }

  static func checkSite(_ site: String, operation: String) throws(StoreError) {
    guard (1...IndexKey.maximumSiteBytes).contains(site.utf8.count) else {
      throw .invalid(operation, "a site's name has 1 to \(IndexKey.maximumSiteBytes) bytes")
    }
  }

  private static func noAsset(_ operation: String, _ id: String) -> StoreError {
    StoreError(.notFound, operation: operation, message: "the site has no such asset", context: id)
  }

  private static func changedMeanwhile(_ operation: String, _ id: String) -> StoreError {
    StoreError(
      .conflict, operation: operation, message: "the asset has changed meanwhile: read it again, then decide",
      context: id)
  }

  /// Keys of names that `checkAsset` has passed; those always fit.
  static func assetKey(site: String, id: String) -> IndexKey {
    var key = IndexKey()
    let fits = key.setAsset(site: site, id: id)
    precondition(fits, "an asset's key was built before its names were checked")
    return key
  }

  private static func generationKey(site: String, id: String, _ generation: Generation?) -> IndexKey {
    var key = IndexKey()
    let fits = key.setGeneration(site: site, id: id, generation)
    precondition(fits, "a generation's key was built before its names were checked")
    return key
  }
}

extension CatalogTables {
  /// Copies of all keys that begin with a prefix.
  func keys(
    _ view: IndexView, _ table: Table, prefix: borrowing IndexKey
  ) throws(StoreError) -> [[UInt8]] {
    var keys: [[UInt8]] = []
    try view.scan(table, from: prefix.bytes) { (key, _) throws(StoreError) in
      guard prefix.isPrefix(of: key) else { return .stop }
      keys.append(Array(key))
      return .next
    }
    return keys
  }
}

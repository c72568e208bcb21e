extension Store {
  /// Publishes a static file under its path, replacing what was there.
  ///
  /// Equal bytes under an equal media type change nothing and make no event. Throws `.blobMissing` (stage it again),
  /// `.invalid` for a bad path, `.damaged`, `.full`, `.io`.
  @discardableResult
  public func publishFile(_ draft: FileDraft) throws(StoreError) -> FileRecord {
    try publishFiles([draft])[0]
  }

  /// Publishes many files in one transaction: all of them or none. A few hundred a call is a good number.
  @discardableResult
  public func publishFiles(_ drafts: [FileDraft]) throws(StoreError) -> [FileRecord] {
    for draft in drafts {
      try Store.checkSite(draft.site, operation: "publish file")
      try Store.checkPath(draft.path)
    }
    return try index.write { (transaction) throws(StoreError) in
      let now = options.nowMilliseconds()
      var records: [FileRecord] = []
      records.reserveCapacity(drafts.count)
      for draft in drafts {
        records.append(try publish(draft, transaction, nowMilliseconds: now))
      }
      return records
    }
  }

  private func publish(
    _ draft: FileDraft, _ transaction: borrowing WriteTransaction, nowMilliseconds now: Int64
  ) throws(StoreError) -> FileRecord {
    try requireBlob(draft.blob, transaction, nowMilliseconds: now)
    let key = Store.fileKey(site: draft.site, path: draft.path)
    if let old = try tables.file(transaction.view, key), old.blob == draft.blob,
      old.mediaType == draft.mediaType
    {
      return old
    }
    guard let blob = try tables.blob(transaction.view, draft.blob) else {
      throw .missingBlob(draft.blob, operation: "publish file")
    }
    let record = FileRecord(
      site: draft.site, path: draft.path, blob: draft.blob, sizeBytes: blob.sizeBytes,
      mediaType: draft.mediaType, modifiedMilliseconds: draft.modifiedMilliseconds ?? now)
    try transaction.put(tables.files, key.bytes, record.encode())
    try tables.append(
      transaction, atMilliseconds: now, .filePublished, site: draft.site, subject: draft.path)
    return record
  }

  /// Removes a file; throws `.notFound` where the site has none under the path. Returns the record as it was.
  @discardableResult
  public func removeFile(site: String, path: String) throws(StoreError) -> FileRecord {
    try Store.checkSite(site, operation: "remove file")
    try Store.checkPath(path)
    return try index.write { (transaction) throws(StoreError) in
      let key = Store.fileKey(site: site, path: path)
      guard let old = try tables.file(transaction.view, key) else {
        throw StoreError(
          .notFound, operation: "remove file", message: "the site has no file under this path", context: path)
      }
      try transaction.delete(tables.files, key.bytes)
      try tables.append(
        transaction, atMilliseconds: options.nowMilliseconds(), .fileRemoved, site: site, subject: path)
      return old
    }
  }

  /// What a path must be, so that some URL can name it.
  private static func checkPath(_ path: String) throws(StoreError) {
    func refuse(_ reason: String) -> StoreError { .invalid("publish file", reason, context: path) }
    guard (1...IndexKey.maximumPathBytes).contains(path.utf8.count) else {
      throw refuse("a path has 1 to \(IndexKey.maximumPathBytes) bytes")
    }
    guard path.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
      throw refuse("a path holds no control bytes")
    }
    for segment in path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
      if segment.isEmpty || segment.elementsEqual(".".utf8) || segment.elementsEqual("..".utf8) {
        throw refuse("a path has no empty segment, none that is . or .., and no slash at either end")
      }
    }
  }

  private static func fileKey(site: String, path: String) -> IndexKey {
    var key = IndexKey()
    let fits = key.setFile(site: site, path: path)
    precondition(fits, "a file's key was built before its names were checked")
    return key
  }
}

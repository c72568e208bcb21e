/// What in the catalog refers to a blob.
public struct BlobPointer: Sendable, Hashable {
  public enum Kind: String, Sendable {
    case asset
    case generation
    case file
  }

  public var kind: Kind
  public var site: String
  /// Asset id or file path.
  public var subject: String
  /// For a generation which one.
  public var generation: Generation?
  public var blob: BlobID
}

/// A record of the catalog that cannot be decoded.
public struct UnreadableRecord: Sendable, Hashable {
  /// `assets`, `generations`, `files` or `blobs`.
  public var table: String
  /// The key in hex.
  public var key: String
}

extension CatalogTables {
  /// Visits every pointer of the catalog to a blob, and every record that should hold some but cannot be read.
  ///
  /// Generations for which `isLive` says no are passed over.
  func forEachPointer(
    _ view: IndexView, isLive: (GenerationRecord) -> Bool = { _ in true },
    unreadable: (UnreadableRecord) -> Void, _ body: (BlobPointer) throws(StoreError) -> Void
  ) throws(StoreError) {
    func visit<Record>(
      _ table: Table, _ name: String,
      _ decode: (UnsafeRawBufferPointer) throws(StoreError) -> Record,
      _ use: (Record) throws(StoreError) -> Void
    ) throws(StoreError) {
      try view.scan(table, from: RawSpan()) { (key, value) throws(StoreError) in
        var record: Record?
        do throws(StoreError) {
          record = try decode(value)
        } catch {
          unreadable(UnreadableRecord(table: name, key: Hex.string(key)))
        }
        if let record { try use(record) }
        return .next
      }
    }
    try visit(assets, "assets", { (bytes) throws(StoreError) in try AssetRecord(decoding: bytes) }) {
      (asset) throws(StoreError) in
      for blob in [asset.source].compactMap(\.self) + asset.renditions.map(\.blob) {
        try body(BlobPointer(kind: .asset, site: asset.site, subject: asset.id, blob: blob))
      }
    }
    try visit(
      generations, "generations", { (bytes) throws(StoreError) in try GenerationRecord(decoding: bytes) }
    ) { (record) throws(StoreError) in
      guard isLive(record) else { return }
      for blob in [record.source].compactMap(\.self) + record.renditions.map(\.blob) {
        try body(
          BlobPointer(
            kind: .generation, site: record.site, subject: record.asset, generation: record.generation,
            blob: blob))
      }
    }
    try visit(files, "files", { (bytes) throws(StoreError) in try FileRecord(decoding: bytes) }) {
      (file) throws(StoreError) in
      try body(BlobPointer(kind: .file, site: file.site, subject: file.path, blob: file.blob))
    }
  }
}

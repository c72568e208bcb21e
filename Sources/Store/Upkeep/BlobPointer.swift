/// What in the catalog refers to a blob.
public struct BlobPointer: Sendable, Hashable {
  public enum Kind: String, Sendable {
    case asset
    case generation
    case file
    case job
  }

  public var kind: Kind
  public var site: String
  /// Asset id, file path or job id.
  public var subject: String
  /// For a generation which one.
  public var generation: Generation?
  public var blob: BlobID
}

/// A record of the catalog that cannot be decoded.
public struct UnreadableRecord: Sendable, Hashable {
  /// `assets`, `generations`, `files`, `jobs` or `blobs`.
  public var table: String
  /// The key in hex.
  public var key: String
}

/// A record that names blobs.
private protocol PointingRecord {
  init(decoding bytes: UnsafeRawBufferPointer) throws(StoreError)
  var pointers: [BlobPointer] { get }
}

extension AssetRecord: PointingRecord {
  fileprivate var pointers: [BlobPointer] {
    ([source].compactMap(\.self) + renditions.map(\.blob)).map {
      BlobPointer(kind: .asset, site: site, subject: id, blob: $0)
    }
  }
}

extension GenerationRecord: PointingRecord {
  fileprivate var pointers: [BlobPointer] {
    ([source].compactMap(\.self) + renditions.map(\.blob)).map {
      BlobPointer(kind: .generation, site: site, subject: asset, generation: generation, blob: $0)
    }
  }
}

extension FileRecord: PointingRecord {
  fileprivate var pointers: [BlobPointer] {
    [BlobPointer(kind: .file, site: site, subject: path, blob: blob)]
  }
}

extension JobRecord: PointingRecord {
  fileprivate var pointers: [BlobPointer] {
    keptBlobs.map { BlobPointer(kind: .job, site: site, subject: "\(id)", blob: $0) }
  }
}

extension CatalogTables {
  /// Visits every pointer of the catalog to a blob; collects the records that should hold some but cannot be read.
  func forEachPointer(
    _ view: IndexView, unreadable: inout [UnreadableRecord],
    _ body: (BlobPointer) throws(StoreError) -> Void
  ) throws(StoreError) {
    try visit(AssetRecord.self, view, assets, "assets", &unreadable, body)
    try visit(GenerationRecord.self, view, generations, "generations", &unreadable, body)
    try visit(FileRecord.self, view, files, "files", &unreadable, body)
    // What a job has kept counts while somebody may come to use it.
    try visit(JobRecord.self, view, jobs.jobs, "jobs", &unreadable, body) { (job) throws(StoreError) in
      try job.keptBlobs.isEmpty
        ? false : jobs.hasDependant(of: job.id, in: [.pending, .processing, .failed], view)
    }
  }

  private func visit<Record: PointingRecord>(
    _ type: Record.Type, _ view: IndexView, _ table: Table, _ name: String,
    _ unreadable: inout [UnreadableRecord], _ body: (BlobPointer) throws(StoreError) -> Void,
    where counts: (Record) throws(StoreError) -> Bool = { _ in true }
  ) throws(StoreError) {
    try view.scan(table, from: RawSpan()) { (key, value) throws(StoreError) in
      let record: Record
      do throws(StoreError) {
        record = try Record(decoding: value)
      } catch {
        unreadable.append(UnreadableRecord(table: name, key: Hex.string(key)))
        return .next
      }
      if try counts(record) { for pointer in record.pointers { try body(pointer) } }
      return .next
    }
  }
}

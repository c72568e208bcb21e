internal import CLMDB
internal import CLinux
internal import Glibc

// Mending an index that is damaged
// --------------------------------
// Most damage is a page or a few. What the others hold is the newest state there is, so it is kept, and only what a lost
// page hid comes from the newest snapshot: the keys between the two separators that stand beside its number in the branch
// above. A page whose records do not decode, or do not stand under their own keys, was overwritten in its middle: its sound
// records are kept, and keys that it may have held are filled in. Records on such a page that are newer than the snapshot are lost; their blobs are not, and scrub lists those as
// unreferenced. Where the root of a table is lost, all of that table comes from the snapshot.
//
// The mended index is built beside the damaged one, which is kept under another name, and put in its place by a rename:
// whatever happens in between, one of the two is there. LMDB's own lock tells whether a process has the index open.

/// Builds a whole index from what is left of a damaged one and a snapshot.
public enum IndexRestore {
  public struct Report: Sendable, Equatable {
    /// The snapshot that was used; `nil` where there is none, or nothing was lost.
    public var snapshot: String?
    /// Records kept from the present index, and taken from the snapshot.
    public var keptRecords = 0
    public var restoredRecords = 0
    /// What was found wrong.
    public var defects: [String] = []
    /// Where the old index is now.
    public var oldIndex = ""
  }

  private typealias Records = [(key: [UInt8], value: [UInt8])]

  /// Mends the index of a storage folder that no process has open.
  ///
  /// Throws `.locked` where one has; `.notFound` for a snapshot that is not there; `.invalid` where the index is whole and
  /// no snapshot is named; `.full`, `.io`.
  /// - Parameters:
  ///   - snapshot: the name of the one to use; `nil` is the newest.
  ///   - discardsPresent: take the snapshot alone, and nothing of the present index.
  public static func run(
    storage: String, snapshot: String?, discardsPresent: Bool, options: StoreOptions
  ) throws(StoreError) -> Report {
    let folder = "\(storage)/index"
    let lock = try exclusively(folder)
    defer { close(lock) }
    var report = Report()
    let snapshots = try IndexSnapshot.list(storage: storage)
    let chosen = snapshot.map { name in snapshots.last { $0.name == name } } ?? snapshots.last
    if snapshot != nil && chosen == nil {
      throw StoreError(.notFound, operation: "restore index", message: "there is no snapshot of this name")
    }

    var tables: [[UInt8]: (records: Records, losses: [IndexCheck.Loss])] = [:]
    if !discardsPresent {
      tables = salvage(folder + "/data.mdb", &report)
      if report.defects.isEmpty && snapshot == nil {
        throw .invalid("restore index", "the index is whole; name a snapshot to go back to it with --discard")
      }
    }
    let losesTables = discardsPresent || !report.defects.isEmpty && tables.isEmpty
    let losesAny = losesTables || tables.contains { !$0.value.losses.isEmpty }
    if losesAny, let chosen {
      report.snapshot = chosen.name
      for (name, records) in try wholeTables(chosen.file) {
        let losses = tables[name]?.losses ?? []
        let kept = Set((tables[name]?.records ?? []).map(\.key))
        let taken = records.filter { record in
          losesTables || !kept.contains(record.key) && losses.contains { $0.contains(record.key) }
        }
        report.restoredRecords += taken.count
        tables[name, default: ([], [])].records += taken
      }
    } else if losesTables {
      throw StoreError(
        .damaged, operation: "restore index",
        message: "nothing of the index can be read, and there is no snapshot")
    }
    try build(tables.mapValues(\.records), beside: folder, options, &report)
    return report
  }

  /// Takes the lock that a process with an open index shares, so that there is none.
  private static func exclusively(_ folder: String) throws(StoreError) -> Int32 {
    let path = folder + "/lock.mdb"
    let number = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard number >= 0 else { throw .system(errno, operation: "lock index", path: path) }
    var wanted = flock()
    wanted.l_type = Int16(F_WRLCK)
    wanted.l_whence = Int16(SEEK_SET)
    wanted.l_len = 1
    guard fcntl(number, F_SETLK, &wanted) == 0 else {
      close(number)
      throw StoreError(
        .locked, operation: "restore index",
        message: "a process has the index open: stop all of them, then try again")
    }
    return number
  }

  /// All that can be read of an index, newest state first.
  private static func salvage(
    _ file: String, _ report: inout Report
  ) -> [[UInt8]: (records: Records, losses: [IndexCheck.Loss])] {
    var found: [[UInt8]: (records: Records, losses: [IndexCheck.Loss])] = [:]
    do {
      var metas: [IndexCheck.Meta] = []
      for page in 0..<IndexCheck.metaPages {
        let check = try IndexCheck(path: file)
        do throws(IndexCheck.Defect) { metas.append(try check.meta(page)) } catch { report.note(error) }
      }
      for meta in metas.sorted(by: { $0.transaction > $1.transaction }) {
        var check = try IndexCheck(path: file)
        do throws(IndexCheck.Defect) {
          try check.begin(meta)
          for (name, tree) in try check.tables(meta) {
            var records: Records = []
            let losses = check.read(tree, isSound: { isSound(name, $0, $1) }, { records.append(($0, $1)) })
            for loss in losses { report.note(loss.defect) }
            report.keptRecords += records.count
            found[name] = (records, losses)
          }
          // What is free is made anew; only whether it was sound is of interest.
          for loss in check.read(meta.free, { _, _ in }) { report.note(loss.defect) }
          return found
        } catch {
          report.note(error)
          report.keptRecords = 0
          found = [:]
        }
      }
    } catch {
      report.defects.append("\(error)")
    }
    return found
  }

  /// Whether a record of the catalog decodes and stands under its own key; those of other tables are taken as they are.
  private static func isSound(_ table: [UInt8], _ key: [UInt8], _ value: [UInt8]) -> Bool {
    value.withUnsafeBytes { bytes in
      var own = IndexKey()
      let fits: Bool
      switch String(decoding: table, as: UTF8.self) {
      case "assets":
        guard let record = try? AssetRecord(decoding: bytes) else { return false }
        fits = own.setAsset(site: record.site, id: record.id)
      case "generations":
        guard let record = try? GenerationRecord(decoding: bytes) else { return false }
        fits = own.setGeneration(site: record.site, id: record.asset, record.generation)
      case "files":
        guard let record = try? FileRecord(decoding: bytes) else { return false }
        fits = own.setFile(site: record.site, path: record.path)
      case "events":
        guard let record = try? Event(decoding: bytes) else { return false }
        own.set(record.sequence)
        fits = true
      case "jobs":
        guard let record = try? JobRecord(decoding: bytes) else { return false }
        return record.id.bytes == key
      case "blobs": return key.count == BlobID.sizeBytes && (try? BlobRecord(decoding: bytes)) != nil
      default: return true
      }
      return fits && key.withUnsafeBytes { own.equals($0) }
    }
  }

  /// All tables of a snapshot, which must be whole.
  private static func wholeTables(_ file: String) throws(StoreError) -> [[UInt8]: Records] {
    try IndexCheck.run(file: file)
    var check = try IndexCheck(path: file)
    var found: [[UInt8]: Records] = [:]
    do throws(IndexCheck.Defect) {
      let metas = [try check.meta(0), try check.meta(1)]
      guard let newest = metas.max(by: { $0.transaction < $1.transaction }) else { return [:] }
      try check.begin(newest)
      for (name, tree) in try check.tables(newest) {
        var records: Records = []
        _ = check.read(tree) { records.append(($0, $1)) }
        found[name] = records
      }
    } catch {
      throw error.asStoreError(file)
    }
    return found
  }

  private static func write(
    _ tables: [[UInt8]: Records], to folder: String, _ options: StoreOptions
  ) throws(StoreError) {
    let environment = try Environment(
      path: folder, mapSizeBytes: options.indexMapSizeBytes, maximumReaders: options.maximumReaders)
    for (name, records) in tables {
      // Where jobs stand follows from their records, and the next start makes it again.
      if name.starts(with: Array("jobs.".utf8)) { continue }
      let table = try environment.table(String(decoding: name, as: UTF8.self))
      var rest = records[...]
      while !rest.isEmpty {
        let batch = rest.prefix(10_000)
        rest = rest.dropFirst(batch.count)
        try environment.write { (transaction) throws(StoreError) in
          for (key, value) in batch { try transaction.put(table, key.span.bytes, value) }
        }
      }
    }
  }

  /// Writes a new index and puts it in the place of the old one.
  private static func build(
    _ tables: [[UInt8]: Records], beside folder: String, _ options: StoreOptions, _ report: inout Report
  ) throws(StoreError) {
    let fresh = "\(folder)/restored-\(getpid())"
    try Disk.makeDirectory(fresh)
    defer { IndexSnapshot.removeFiles(fresh) }
    try write(tables, to: fresh, options)
    var old =
      "\(folder)/damaged-\(IndexSnapshot.name(atMilliseconds: options.nowMilliseconds(), transaction: 0)).mdb"
    // A second name first: were the only one moved away, a crash would leave no index, and the next start make one.
    while try !Disk.link("\(folder)/data.mdb", to: old) { old += "~" }
    try Disk.rename("\(fresh)/data.mdb", to: "\(folder)/data.mdb")
    try Disk.syncDirectory(folder)
    report.oldIndex = old
  }
}

extension IndexRestore.Report {
  fileprivate mutating func note(_ defect: IndexCheck.Defect) { defects.append(defect.description) }
}

internal import CLMDB
internal import CLinux
internal import Glibc

// Copies of the index
// -------------------
//   storage/snapshots/<UTC time>-<transaction>/data.mdb
//
// LMDB copies a running index as of one instant; the copy is checked page by page before it gets its name, so a snapshot
// that has a name is whole. They lie on the same disk as the index: they are for an index that something has spoilt, not
// for a disk that is lost, which takes a backup of the storage folder. Blobs need no snapshot, since they never change,
// but the collector removes what the present index does not name: a snapshot older than the collector's grace time may
// name blobs that are gone.

/// A copy of the index as it was.
public struct IndexSnapshot: Sendable, Equatable {
  static let folder = "snapshots"
  static let unfinishedPrefix = "."

  /// UTC time and the number of the last transaction in it: names sort by age.
  public let name: String
  let path: String
  public let sizeBytes: UInt64
  public let madeMilliseconds: Int64

  /// The file.
  var file: String { path + "/data.mdb" }

  /// The snapshots of a storage folder, oldest first.
  public static func list(storage: String) throws(StoreError) -> [IndexSnapshot] {
    var found: [IndexSnapshot] = []
    for name in try Disk.names(in: "\(storage)/\(folder)") where !name.hasPrefix(unfinishedPrefix) {
      let path = "\(storage)/\(folder)/\(name)"
      guard let status = try Disk.status(path + "/data.mdb") else { continue }
      found.append(
        IndexSnapshot(
          name: name, path: path, sizeBytes: status.sizeBytes, madeMilliseconds: status.modifiedMilliseconds))
    }
    return found
  }

  static func name(atMilliseconds now: Int64, transaction: UInt64) -> String {
    var seconds = time_t(now / 1000)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func digits(_ number: Int32, _ width: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }
    let day = digits(parts.tm_year + 1900, 4) + digits(parts.tm_mon + 1, 2) + digits(parts.tm_mday, 2)
    let time = digits(parts.tm_hour, 2) + digits(parts.tm_min, 2) + digits(parts.tm_sec, 2)
    return "\(day)T\(time)Z-\(transaction)"
  }
}

extension Store {
  /// Copies the index into `snapshots/` and removes the oldest copies beyond `kept`.
  ///
  /// Readers and writers go on meanwhile. Returns `nil` where the newest snapshot is as new as the index. Throws `.full`
  /// or `.io`; no snapshot is lost then.
  /// - Parameter kept: at least 2.
  @discardableResult
  public func takeSnapshot(keeping kept: Int) throws(StoreError) -> IndexSnapshot? {
    let root = "\(path)/\(IndexSnapshot.folder)"
    if try Disk.makeDirectory(root) { try Disk.syncDirectory(path) }
    let transaction = try index.read { (transaction) throws(StoreError) in transaction.id }
    if try IndexSnapshot.list(storage: path).last?.name.hasSuffix("-\(transaction)") == true { return nil }

    let unfinished =
      "\(root)/\(IndexSnapshot.unfinishedPrefix)\(getpid())-\(UInt32.random(in: .min ... .max))"
    try Disk.makeDirectory(unfinished)
    var isFinished = false
    defer { if !isFinished { IndexSnapshot.removeFiles(unfinished) } }
    try index.copy(to: unfinished)
    let file = try Disk.open(unfinished + "/data.mdb", O_RDONLY, operation: "sync snapshot")
    try Disk.sync(file, path: unfinished)
    try Disk.syncDirectory(unfinished)
    try IndexCheck.run(file: unfinished + "/data.mdb")
    let name = IndexSnapshot.name(atMilliseconds: options.nowMilliseconds(), transaction: transaction)
    try Disk.rename(unfinished, to: "\(root)/\(name)")
    isFinished = true
    try Disk.syncDirectory(root)
    let all = try IndexSnapshot.list(storage: path)
    for old in all.dropLast(max(2, kept)) { IndexSnapshot.removeFiles(old.path) }
    return all.first { $0.name == name }
  }

  /// Takes a snapshot if the newest is older than an interval; returns it.
  public func takeSnapshotIfDue(everyMilliseconds interval: Int, keeping kept: Int) throws(StoreError)
    -> IndexSnapshot?
  {
    let newest = try IndexSnapshot.list(storage: path).last?.madeMilliseconds
    let age = newest.map { Disk.nowMilliseconds() &- $0 } ?? .max
    // A clock that was set back must not put the next snapshot off for years.
    guard age >= Int64(interval) || age < 0 else { return nil }
    return try takeSnapshot(keeping: kept)
  }
}

extension IndexSnapshot {
  /// Removes a folder of an index; what cannot be removed stays for the next time.
  static func removeFiles(_ path: String) {
    unlink(path + "/data.mdb")
    unlink(path + "/lock.mdb")
    rmdir(path)
  }
}

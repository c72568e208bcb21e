internal import Glibc
internal import Synchronization

/// Blobs that are kept because they may be wanted again, within a budget; whoever deletes them loses nothing but time.
///
/// The blobs of a store of its own, whose catalog is empty: what was used longest ago makes room for what comes, told by the
/// modification times of the files. A blob that goes while it is read can be read to its end. Several processes may share
/// one, each with its own books of what is on its way: together they may be over the budget by that.
public final class BlobCache: Sendable {
  public let blobs: BlobStore
  public let budgetBytes: UInt64
  private let coming = Mutex<UInt64>(0)

  /// - Parameter blobs: of which none is needed.
  public init(_ blobs: BlobStore, budgetBytes: UInt64) {
    self.blobs = blobs
    self.budgetBytes = budgetBytes
  }

  /// Room for a blob on its way, until the last reference goes.
  public final class Room: Sendable {
    private let cache: BlobCache
    private let sizeBytes: UInt64

    fileprivate init(_ cache: BlobCache, _ sizeBytes: UInt64) {
      self.cache = cache
      self.sizeBytes = sizeBytes
    }

    deinit { cache.coming.withLock { $0 -= sizeBytes } }
  }

  /// A blob, marked as used; nil where it is not kept (any more).
  public func open(_ id: BlobID) throws(StoreError) -> BlobFile? {
    do throws(StoreError) {
      let file = try blobs.open(id)
      utimensat(AT_FDCWD, blobs.path(of: id), nil, 0)
      return file
    } catch {
      if error.code == .blobMissing { return nil }
      throw error
    }
  }

  /// Makes room for a blob. Blocks, and looks at every blob that is kept.
  ///
  /// - Returns: nil where others that are on their way have taken the room: ask again later.
  /// - Throws: `.full` for what is larger than the budget.
  public func makeRoom(sizeBytes: UInt64) throws(StoreError) -> Room? {
    guard sizeBytes <= budgetBytes else {
      throw StoreError(
        .full, operation: "make room", message: "the blob is larger than the cache may be: raise its budget",
        context: "\(sizeBytes) bytes")
    }
    let isFree = coming.withLock { coming in
      guard coming <= budgetBytes, sizeBytes <= budgetBytes - coming else { return false }
      coming += sizeBytes
      return true
    }
    guard isFree else { return nil }
    let room = Room(self, sizeBytes)
    try shrink(toBytes: budgetBytes - min(budgetBytes, coming.withLock { $0 }))
    return room
  }

  private func shrink(toBytes limitBytes: UInt64) throws(StoreError) {
    var kept: [(id: BlobID, sizeBytes: UInt64, usedMilliseconds: Int64)] = []
    try blobs.forEachEntry { (entry) throws(StoreError) in
      guard case .blob(let id) = entry, let status = try Disk.status(blobs.path(of: id)) else { return .next }
      kept.append((id, status.sizeBytes, status.modifiedMilliseconds))
      return .next
    }
    var totalBytes = kept.reduce(0) { $0 + $1.sizeBytes }
    for blob in kept.sorted(by: { $0.usedMilliseconds < $1.usedMilliseconds }) where totalBytes > limitBytes {
      _ = try blobs.remove(blob.id)
      totalBytes -= blob.sizeBytes
    }
  }
}

internal import Glibc
internal import Synchronization

// What can be made again from blobs, kept so that it need not be
// --------------------------------------------------------------
//   storage/derived/<owner>/<site>/<asset>/<generation>/<name>
//
// *owner* is the plugin that makes the files, *name* tells everything else that the bytes depend on. Derived files are not
// blobs: no record names them, no generation has them, a backup leaves them out, `scrub` has nothing to check (each carries
// a digest and is checked by who reads it), and whoever deletes the whole folder loses nothing but time.
//
// Written like everything else: to incoming/, then renamed, so that a name has all of its bytes; but not synced, since a
// file that a power cut has spoiled is noticed and made anew.
//
// Several processes may share a folder, each with its own books. A file that another one has evicted is a miss; one
// that another has written is found on disk, and counted then. `scan` brings the books up to date.
//
// The budget is kept by evicting what was used longest ago, down to nine tenths of it. Across restarts the time of last use
// is the file's modification time, which reading renews at most once an hour.
//
// With an asset its folder goes, on its owner's word; the collector removes the folders of assets and generations that the
// catalog no longer has, for owners that are switched off or missed it.

/// Files of one owner and site that are derived from assets. Safe from any thread; calls block on the disk.
public final class DerivedFiles: Sendable {
  /// A file by what it was made of.
  public struct Key: Sendable, Hashable {
    public var asset: String
    public var generation: Generation
    public var name: String

    /// - Parameter name: letters, digits, `.`, `-` and `_`, not beginning with a dot, at most 128.
    public init(asset: String, generation: Generation, name: String) {
      self.asset = asset
      self.generation = generation
      self.name = name
    }

    var isSound: Bool { AssetID.isValid(asset) && DerivedFiles.isSound(name) }
  }

  private struct Entry {
    var sizeBytes: UInt64
    var lastUse: UInt64
    var renewedMilliseconds: Int64
  }

  private struct Books: Sendable {
    var entries: [Key: Entry] = [:]
    var usedBytes: UInt64 = 0
    var clock: UInt64 = 0

    mutating func note(_ key: Key, _ sizeBytes: UInt64, renewedMilliseconds: Int64) {
      clock += 1
      forget(key)
      entries[key] = Entry(sizeBytes: sizeBytes, lastUse: clock, renewedMilliseconds: renewedMilliseconds)
      usedBytes += sizeBytes
    }

    mutating func forget(_ key: Key) {
      if let old = entries.removeValue(forKey: key) { usedBytes -= old.sizeBytes }
    }
  }

  static let folderName = "derived"
  static let largestBytes = 64 << 20
  private static let renewalMilliseconds: Int64 = 3_600_000

  private let blobs: BlobStore
  private let folder: String
  private let budgetBytes: UInt64
  private let nowMilliseconds: @Sendable () -> Int64
  private let books = Mutex(Books())

  /// - Parameters:
  ///   - owner, site: as `Key.name`.
  ///   - budgetBytes: of all files of this owner and site; heads count.
  public init(_ store: Store, owner: String, site: String, budgetBytes: UInt64) throws(StoreError) {
    guard Self.isSound(owner), Self.isSound(site) else {
      throw .invalid(
        "open derived files", "an owner or a site has a name that can't be a folder's", context: site)
    }
    blobs = store.blobs
    folder = "\(store.path)/\(Self.folderName)/\(owner)/\(site)"
    self.budgetBytes = budgetBytes
    nowMilliseconds = store.options.nowMilliseconds
  }

  static func isSound(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= 128 && name.utf8.first != UInt8(ascii: ".")
      && name.utf8.allSatisfy { byte in
        switch byte {
        case 0x2D, 0x2E, 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: true
        default: false
        }
      }
  }

  /// Bytes of all files that are known, heads included.
  public var usedBytes: UInt64 { books.withLock { $0.usedBytes } }
  public var count: Int { books.withLock { $0.entries.count } }

  private func path(of key: Key) -> String { "\(folder)/\(key.asset)/\(key.generation.hex)/\(key.name)" }

  /// The file of a key, whole; nil where there is none. What is not whole is removed.
  public func open(_ key: Key) throws(StoreError) -> DerivedFile? {
    guard key.isSound else { return nil }
    let path = path(of: key)
    do throws(StoreError) {
      let blob = try BlobFile(path: path, operation: "open derived file")
      guard let file = try DerivedFile(blob, limitBytes: Self.largestBytes) else {
        try Disk.remove(path)
        books.withLock { $0.forget(key) }
        return nil
      }
      let now = nowMilliseconds()
      let renews = now - blob.modifiedMilliseconds > Self.renewalMilliseconds
      if renews { utimensat(AT_FDCWD, path, nil, 0) }
      books.withLock {
        $0.note(key, blob.sizeBytes, renewedMilliseconds: renews ? now : blob.modifiedMilliseconds)
      }
      return file
    } catch {
      guard error.code == .notFound else { throw error }
      books.withLock { $0.forget(key) }
      return nil
    }
  }

  /// Notes a use, so that the file is among the last to be evicted. Does not touch the disk.
  public func touch(_ key: Key) {
    books.withLock { books in
      books.clock += 1
      books.entries[key]?.lastUse = books.clock
    }
  }

  /// Keeps bytes under a key, in the place of what is there, and evicts others for them.
  ///
  /// - Returns: the file, open; it stays readable when it is evicted.
  @discardableResult
  public func write(_ key: Key, _ payload: [UInt8]) throws(StoreError) -> DerivedFile {
    guard key.isSound, payload.count <= Self.largestBytes - DerivedFile.headBytes else {
      throw .invalid("write derived file", "its name or size is not one of a derived file", context: key.name)
    }
    let bytes = DerivedFile.head(of: payload) + payload
    let temporary = try IncomingFile(folder: blobs.incomingPath)
    let written = bytes.withUnsafeBytes { bytes in
      Result { () throws(StoreError) in
        try Disk.write(bytes, to: temporary.descriptor, path: temporary.path)
      }
    }
    try written.get()
    fchmod(temporary.descriptor.number, 0o444)
    let path = path(of: key)
    // Whoever removes empty folders may come between.
    for attempt in 0..<4 {
      try makeFolders(of: key)
      do throws(StoreError) {
        try Disk.rename(temporary.path, to: path)
        break
      } catch {
        guard error.code == .notFound, attempt < 3 else { throw error }
      }
    }
    books.withLock { $0.note(key, UInt64(bytes.count), renewedMilliseconds: nowMilliseconds()) }
    let made = try DerivedFile(
      BlobFile(path: path, operation: "open derived file"), limitBytes: Self.largestBytes)
    try evict()
    guard let made else {
      throw StoreError(
        .damaged, operation: "write derived file", message: "the disk gave back other bytes: check it",
        context: path)
    }
    return made
  }

  private func makeFolders(of key: Key) throws(StoreError) {
    let target = "\(folder)/\(key.asset)/\(key.generation.hex)"
    if try Disk.status(target)?.isDirectory == true { return }
    // The storage folder is there; everything below it may be missing.
    let names = target.dropFirst(blobs.path.count + 1).split(separator: "/")
    var path = blobs.path
    for name in names {
      path += "/\(name)"
      try Disk.makeDirectory(path)
    }
  }

  private func evict() throws(StoreError) {
    let doomed = books.withLock { books -> [Key] in
      guard books.usedBytes > budgetBytes else { return [] }
      var doomed: [Key] = []
      for (key, _) in books.entries.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
        if books.usedBytes <= budgetBytes / 10 * 9 { break }
        books.forget(key)
        doomed.append(key)
      }
      return doomed
    }
    for key in doomed {
      try Disk.remove(path(of: key))
      removeEmptyFolders(of: key)
    }
  }

  /// Of a generation and its asset; those that hold something stay.
  private func removeEmptyFolders(of key: Key) {
    if rmdir("\(folder)/\(key.asset)/\(key.generation.hex)") == 0 { rmdir("\(folder)/\(key.asset)") }
  }

  /// Removes all that was derived from an asset.
  public func removeAsset(_ asset: String) throws(StoreError) {
    guard AssetID.isValid(asset) else { return }
    books.withLock { books in
      for key in books.entries.keys where key.asset == asset { books.forget(key) }
    }
    try DerivedTree.removeAsset("\(folder)/\(asset)")
  }

  /// Reads what is on disk: names and sizes, no bytes. Linear in the number of files.
  public func scan() throws(StoreError) {
    var found: [(key: Key, status: FileStatus)] = []
    for asset in try Disk.names(in: folder) where AssetID.isValid(asset) {
      for name in try Disk.names(in: "\(folder)/\(asset)") {
        guard let generation = Generation(hex: name) else { continue }
        for file in try Disk.names(in: "\(folder)/\(asset)/\(name)") where Self.isSound(file) {
          let key = Key(asset: asset, generation: generation, name: file)
          guard let status = try Disk.status(path(of: key)), status.isRegular else { continue }
          found.append((key, status))
        }
      }
    }
    found.sort { $0.status.modifiedMilliseconds < $1.status.modifiedMilliseconds }
    books.withLock { books in
      let known = books.entries
      books.entries = [:]
      books.usedBytes = 0
      for (key, status) in found {
        books.note(key, status.sizeBytes, renewedMilliseconds: status.modifiedMilliseconds)
        if let old = known[key] { books.entries[key]?.lastUse = max(old.lastUse, books.clock) }
      }
    }
    try evict()
  }
}

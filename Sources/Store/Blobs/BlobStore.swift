internal import Glibc
internal import Synchronization

// How a blob becomes durable, and what a crash leaves
// ---------------------------------------------------
//   storage/incoming/<pid>-<random>.part    bytes on their way in, flocked by the process that writes them
//   storage/blobs/ab/cd/<sha256>            a blob; ab and cd are the first four digits of its name
//   storage/blobs/ab/cd/<sha256>.index      its sidecar: derived, replaceable
//   storage/blobs/ab/cd/<sha256>.sums       another, of stores that verify what they read (`BlobSums`)
//   storage/quarantine/<sha256>.<n>         blobs whose bytes are not what their name says
//
// 1. write to incoming/, hashing     crash: an unlocked .part file, removed by the next start of any process
// 2. fsync the file                  failure: the blob is refused; fsync is not tried again (see `Disk`)
// 3. make ab/, ab/cd/, fsync parents crash: an empty folder, harmless
// 4. link(2) to the final name       never overwrites; the name appears with all its bytes or not at all
// 5. fsync ab/cd/                    only now is the name durable, and only now is `StagedBlob` handed out
// 6. unlink the .part name           crash before: a second name for the same bytes, removed as in 1
// 7. a record in the index           crash before: an orphan file, which the collector removes after its grace
//
// A name that exists already means the bytes are stored already (deduplication). Whoever stored them may have died
// between 4 and 5, so step 5 runs in this case too. Its modification time is set to now, so that the collector's
// grace starts again. Success would vouch for bytes written long ago, so they are read and hashed first: what is no
// longer what its name says goes to quarantine, and the good copy in hand takes its place.
//
// A folder known to be durable is remembered for the life of the process: the process that made it may have died
// before its fsync, hence the first use syncs the parents whether or not it made anything.

/// Immutable bytes in files, each named by its SHA-256.
///
/// All calls block on the disk: keep them off event loops. Safe from any thread and beside other processes.
public final class BlobStore: Sendable {
  /// The storage folder.
  public let path: String
  let incomingPath: String
  let blobsPath: String
  let quarantinePath: String
  let verifiesReads: Bool
  let verifiers = ReadVerifiers()
  let damagedReads = Atomic<UInt64>(0)
  /// How many blobs this process has found damaged while it read them; always 0 where the store does not verify.
  public var blobsFoundDamaged: UInt64 { damagedReads.load(ordering: .relaxed) }
  /// One bit for each `ab/cd` whose own name is durable.
  private let durableFolders = Mutex<[UInt64]>(Array(repeating: 0, count: 65_536 / 64))

  /// Opens the blobs below a storage folder that `LayoutCheck` has passed.
  ///
  /// - Parameter verifiesReads: compare what is read of a blob with what its name vouches for.
  public init(path: String, verifiesReads: Bool = false) {
    self.path = path
    self.verifiesReads = verifiesReads
    incomingPath = path + "/incoming"
    blobsPath = path + "/blobs"
    quarantinePath = path + "/quarantine"
  }

  /// The file of a blob, for reading by name; it need not exist.
  public func path(of id: BlobID) -> String { "\(folderPath(of: id))/\(id.hex)" }

  func folderPath(of id: BlobID) -> String {
    let hex = id.hex
    return "\(blobsPath)/\(hex.prefix(2))/\(hex.dropFirst(2).prefix(2))"
  }

  /// Opens a blob for reading.
  ///
  /// Throws `.blobMissing` where no file has the name, `.io` for anything the system refuses.
  public func open(_ id: BlobID) throws(StoreError) -> BlobFile {
    let path = path(of: id)
    do throws(StoreError) {
      return try BlobFile(
        path: path, operation: "open blob", verifying: verifiesReads ? (self, id) : nil)
    } catch {
      if error.code == .notFound { throw .missingBlob(id, operation: "open blob") }
      throw error
    }
  }

  /// Whole size of a blob in bytes, `nil` where it is not stored.
  public func sizeBytes(of id: BlobID) throws(StoreError) -> UInt64? {
    guard let status = try Disk.status(path(of: id)), status.isRegular else { return nil }
    return status.sizeBytes
  }

  /// A writer for a new blob. Its bytes become visible, all at once, by `finish()`.
  public func makeWriter() throws(StoreError) -> BlobWriter {
    try BlobWriter(store: self)
  }

  /// Copies a file into the store, hashing on the way; the file stays where it is.
  ///
  /// Throws `.conflict` where size or modification time changed during the copy, `.invalid` for what is not
  /// a regular file, `.notFound` where it is absent.
  /// - Parameter progress: called after each mebibyte with the bytes copied and the bytes in all.
  public func importFile(
    _ source: String, progress: ((_ copiedBytes: UInt64, _ totalBytes: UInt64) -> Void)? = nil
  ) throws(StoreError) -> StagedBlob {
    let file = try Disk.open(source, O_RDONLY, operation: "open source")
    let before = try Disk.status(file, path: source)
    guard before.isRegular else {
      throw .invalid("import", "only regular files can be imported", context: source)
    }
    posix_fadvise(file.number, 0, 0, POSIX_FADV_SEQUENTIAL)
    let writer = try makeWriter()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { buffer.deallocate() }
    var copiedBytes: UInt64 = 0
    while true {
      let count = try Disk.read(file, into: buffer, path: source)
      if count == 0 { break }
      try writer.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      copiedBytes += UInt64(count)
      progress?(copiedBytes, before.sizeBytes)
    }
    let after = try Disk.status(file, path: source)
    guard copiedBytes == before.sizeBytes, after.sizeBytes == before.sizeBytes,
      after.modifiedSeconds == before.modifiedSeconds,
      after.modifiedNanoseconds == before.modifiedNanoseconds
    else {
      throw StoreError(
        .conflict, operation: "import", message: "the file changed while it was read: import it again",
        context: source)
    }
    return try writer.finish()
  }

  /// Makes a blob of a file that lies on the storage filesystem already, without copying it.
  ///
  /// For finished uploads. The file's name is removed; the caller promises that nobody holds it open for
  /// writing. On failure the file stays as it was.
  public func adoptFile(_ source: String) throws(StoreError) -> StagedBlob {
    let file = try Disk.open(source, O_RDONLY, operation: "open upload")
    let status = try Disk.status(file, path: source)
    guard status.isRegular else {
      throw .invalid("adopt", "only regular files can become blobs", context: source)
    }
    let (id, sizeBytes) = try BlobStore.digest(of: file, path: source)
    fchmod(file.number, 0o444)
    try Disk.sync(file, path: source)
    try install(source, as: id, sizeBytes: sizeBytes)
    return StagedBlob(id: id, sizeBytes: sizeBytes)
  }

  /// Steps 3 to 6 of the essay: `temporary` is whole and synced; gives it its final name and drops the old one.
  func install(_ temporary: String, as id: BlobID, sizeBytes: UInt64) throws(StoreError) {
    let target = path(of: id)
    try makeFolderDurable(of: id)
    // Each turn lost means that another process installed or collected the same blob in between.
    var isLinked = false
    for _ in 0..<16 where !isLinked {
      isLinked = try Disk.link(temporary, to: target)
      if isLinked { break }
      if utimensat(AT_FDCWD, target, nil, 0) != 0 && errno == ENOENT { continue }
      isLinked = try isIntact(id, sizeBytes: sizeBytes)
      if !isLinked { try quarantine(id) }
    }
    guard isLinked else {
      throw StoreError(
        .conflict, operation: "install blob",
        message: "other processes keep removing the same blob: try again", context: id.hex)
    }
    try Disk.syncDirectory(folderPath(of: id))
    try Disk.remove(temporary)
  }

  /// Whether the stored copy of a blob is whole. One that the disk does not give is not.
  private func isIntact(_ id: BlobID, sizeBytes: UInt64) throws(StoreError) -> Bool {
    guard let status = try Disk.status(path(of: id)) else { return false }
    guard status.isRegular, status.sizeBytes == sizeBytes else { return false }
    do throws(StoreError) { return try holds(id) } catch {
      if error.code == .io && error.underlying == EIO { return false }
      throw error
    }
  }

  /// Reads the file of a blob and compares its hash with its name; `false` where there is no file.
  func holds(_ id: BlobID) throws(StoreError) -> Bool {
    let path = path(of: id)
    do throws(StoreError) {
      let file = try Disk.open(path, O_RDONLY | O_NONBLOCK, operation: "verify blob")
      return try BlobStore.digest(of: file, path: path).id == id
    } catch {
      if error.code == .notFound { return false }
      throw error
    }
  }

  /// Makes `blobs/ab/cd/` and sees to it that its name survives a power cut.
  func makeFolderDurable(of id: BlobID) throws(StoreError) {
    let number = Int(id.words.0 >> 48)
    let isDurable = durableFolders.withLock { $0[number / 64] >> UInt64(number % 64) & 1 == 1 }
    if isDurable { return }
    let folder = folderPath(of: id)
    let parent = "\(blobsPath)/\(id.hex.prefix(2))"
    try Disk.makeDirectory(parent)
    try Disk.makeDirectory(folder)
    try Disk.syncDirectory(blobsPath)
    try Disk.syncDirectory(parent)
    durableFolders.withLock { $0[number / 64] |= 1 << UInt64(number % 64) }
  }

  /// Moves a damaged blob out of the way of readers; its bytes are kept for study.
  ///
  /// Returns `false` where there was no file.
  @discardableResult
  public func quarantine(_ id: BlobID) throws(StoreError) -> Bool {
    let source = path(of: id)
    for attempt in 0..<1000 {
      let target = "\(quarantinePath)/\(id.hex).\(attempt)"
      do throws(StoreError) {
        // link, then remove: never overwrites an earlier specimen.
        if try !Disk.link(source, to: target) { continue }
      } catch {
        if error.code == .notFound { return false }
        throw error
      }
      try Disk.syncDirectory(quarantinePath)
      try Disk.remove(source)
      try Disk.syncDirectory(folderPath(of: id))
      return true
    }
    throw StoreError(
      .unsuitable, operation: "quarantine",
      message: "quarantine holds a thousand copies of this blob: empty it", context: id.hex)
  }

  /// Removes a blob and its sidecars; `false` where there was no blob.
  func remove(_ id: BlobID) throws(StoreError) -> Bool {
    let path = path(of: id)
    try Disk.remove(path + BlobStore.sidecarSuffix)
    try Disk.remove(path + BlobSums.suffix)
    return try Disk.remove(path)
  }

  /// Hashes an open file from its current offset to the end.
  static func digest(
    of file: borrowing Descriptor, path: String, afterEach: (Int) -> Void = { _ in }
  ) throws(StoreError) -> (id: BlobID, sizeBytes: UInt64) {
    var hasher = try SHA256Hasher()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { buffer.deallocate() }
    var sizeBytes: UInt64 = 0
    while true {
      let count = try Disk.read(file, into: buffer, path: path)
      if count == 0 { break }
      hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      sizeBytes += UInt64(count)
      afterEach(count)
    }
    return (hasher.finish(), sizeBytes)
  }
}

extension StoreError {
  static func missingBlob(_ id: BlobID, operation: String) -> StoreError {
    StoreError(
      .blobMissing, operation: operation, message: "the blob is not in the store: stage it again",
      context: id.hex)
  }
}

internal import Glibc
internal import Synchronization

/// A blob that is safely on disk under its name, but that nothing refers to yet.
///
/// Publish it before the collector's grace time ends; publishing says `.blobMissing` if it came too late.
public struct StagedBlob: Sendable, Equatable {
  public var id: BlobID
  public var sizeBytes: UInt64

  public init(id: BlobID, sizeBytes: UInt64) {
    self.id = id
    self.sizeBytes = sizeBytes
  }
}

/// Writes one new blob: bytes go to `incoming/` and are hashed on the way; `finish()` makes them a blob.
///
/// Dropping an unfinished writer removes its file. May move between threads; calls do not overlap (they wait).
public final class BlobWriter: Sendable {
  private struct Open: ~Copyable {
    var file: IncomingFile
    var hasher: SHA256Hasher
    var sums: BlobSumsMaker?
    var sizeBytes: UInt64 = 0
    var failure: StoreError?
  }

  private let store: BlobStore
  private let open: Mutex<Open?>

  init(store: BlobStore) throws(StoreError) {
    let hasher = try SHA256Hasher()
    let file = try IncomingFile(folder: store.incomingPath)
    self.store = store
    let sums = store.verifiesReads ? try BlobSumsMaker() : nil
    open = Mutex(Open(file: file, hasher: hasher, sums: sums))
  }

  /// Bytes written so far.
  public var sizeBytes: UInt64 {
    open.withLock { open in
      switch open {
      case .some(let open): open.sizeBytes
      case .none: 0
      }
    }
  }

  /// Appends bytes. After a failure the writer is spent: every later call throws the same error.
  public func write(_ bytes: UnsafeRawBufferPointer) throws(StoreError) {
    try open.withLock { (open: inout sending Open?) throws(StoreError) in
      guard var state = open.take() else {
        throw .invalid("write blob", "the writer is finished: make a new one")
      }
      if state.failure == nil {
        do throws(StoreError) {
          try Disk.write(bytes, to: state.file.descriptor, path: state.file.path)
          state.hasher.update(bytes)
          try state.sums?.update(bytes)
          state.sizeBytes += UInt64(bytes.count)
        } catch {
          state.failure = error
        }
      }
      let failure = state.failure
      open = consume state
      if let failure { throw failure }
    }
  }

  /// Appends bytes.
  public func write(_ bytes: [UInt8]) throws(StoreError) {
    // Typed throws do not pass through `Array.withUnsafeBytes` before Swift learns them there.
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(StoreError) in try write(bytes) }
    }
    try result.get()
  }

  /// Makes what was written a blob, durable under its name when this returns.
  ///
  /// Equal content that is stored already is kept and shared. On failure nothing stays behind.
  ///
  /// - Parameter expected: what the bytes must turn out to be; throws `.digestMismatch` where they are something else.
  public func finish(as expected: BlobID? = nil) throws(StoreError) -> StagedBlob {
    let state = open.withLock { $0.take() }
    guard let state else {
      throw .invalid("finish blob", "the writer is finished: make a new one")
    }
    if let failure = state.failure { throw failure }
    let id = state.hasher.finish()
    if let expected, id != expected {
      throw StoreError(
        .digestMismatch, operation: "finish blob",
        message: "the bytes are not those of the name that was given: send them again", context: expected.hex)
    }
    fchmod(state.file.descriptor.number, 0o444)
    try Disk.sync(state.file.descriptor, path: state.file.path)
    let staged = StagedBlob(id: id, sizeBytes: state.sizeBytes)
    try store.install(state.file.path, as: id, sizeBytes: staged.sizeBytes)
    // What is not made now is made when the blob is first read.
    if let sums = state.sums, staged.sizeBytes > UInt64(BlobSums.chunkBytes) {
      try? store.writeSums(id, try sums.finish())
    }
    return staged
  }
}

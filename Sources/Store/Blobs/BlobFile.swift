internal import Glibc

/// An open blob or sidecar, read-only; closed when the last reference goes.
///
/// The bytes stay readable after the blob is removed or quarantined, for as long as this lives.
public final class BlobFile: Sendable {
  private let file: Descriptor
  let mapping = FileMapping()
  private let verifier: ReadVerifier?
  /// Size when opened, in bytes; a blob never changes afterwards.
  public let sizeBytes: UInt64
  /// Modification time, milliseconds since 1970.
  public let modifiedMilliseconds: Int64

  /// For `sendfile`, `pread` and `mmap`; valid while this object lives. Do not close it.
  public var descriptor: Int32 { file.number }

  /// Opens any regular file to read, such as one about to be imported. Throws `.notFound`, `.damaged` or `.io`.
  public convenience init(path: String) throws(StoreError) {
    try self.init(path: path, operation: "open file")
  }

  /// - Parameter verifying: whose blob it is, where its bytes are to be verified.
  init(path: String, operation: String, verifying: (blobs: BlobStore, id: BlobID)? = nil) throws(StoreError) {
    let file = try Disk.open(path, O_RDONLY, operation: operation)
    let status = try Disk.status(file, path: path)
    guard status.isRegular else {
      throw StoreError(
        .damaged, operation: operation, message: "the name of a blob is not a regular file: run scrub",
        context: path)
    }
    if let (blobs, id) = verifying {
      verifier = blobs.verifiers.verifier(
        blobs, id, sizeBytes: status.sizeBytes, inode: status.inode)
      posix_fadvise(file.number, 0, 0, POSIX_FADV_RANDOM)
    } else {
      verifier = nil
    }
    self.file = file
    sizeBytes = status.sizeBytes
    modifiedMilliseconds = status.modifiedMilliseconds
  }

  init(descriptor: consuming Descriptor, sizeBytes: UInt64) {
    file = descriptor
    verifier = nil
    self.sizeBytes = sizeBytes
    modifiedMilliseconds = 0
  }

  /// Reads bytes at an offset: as many as `buffer` holds, fewer only at the end of the file.
  ///
  /// - Throws: `.io`; of a store that verifies what it reads also `.damaged`.
  public func read(
    at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(StoreError) -> Int {
    if let verifier, offset < sizeBytes {
      let count = Int(min(UInt64(buffer.count), sizeBytes - offset))
      let isKnown =
        verifier.isVerified(offset: offset, count: count)
        && PageCacheProbe.isResident(descriptor: file.number, offset: Int64(offset), count: count) ?? true
      if !isKnown { try verifier.verify(file.number, offset: offset, count: count) }
    }
    return try Disk.read(file.number, at: offset, into: buffer)
  }

  /// Whether these bytes have been compared with what the blob's name vouches for; always, where the store does not verify.
  public func isVerified(offset: UInt64, count: Int) -> Bool {
    verifier?.isVerified(offset: offset, count: count) ?? true
  }

  /// Whether `verify` does anything.
  public var verifiesReads: Bool { verifier != nil }

  /// Reads bytes into the page cache, by whole mebibytes, and compares them with what the blob's name vouches for. Blocks.
  ///
  /// - Throws: `.damaged` where they are others. The blob is in quarantine then.
  public func verify(offset: UInt64, count: Int) throws(StoreError) {
    try verifier?.verify(file.number, offset: offset, count: count)
  }

  /// The whole file, for sidecars and other small things.
  ///
  /// Throws `.invalid` where it is larger than `limitBytes`.
  public func readAll(limitBytes: Int = 64 << 20) throws(StoreError) -> [UInt8] {
    guard sizeBytes <= UInt64(max(0, limitBytes)) else {
      throw .invalid("read file", "the file is larger than the caller's limit of \(limitBytes) bytes")
    }
    var bytes = [UInt8](repeating: 0, count: Int(sizeBytes))
    let result = bytes.withUnsafeMutableBytes { buffer in
      Result { () throws(StoreError) in try read(at: 0, into: buffer) }
    }
    let count = try result.get()
    guard count == bytes.count else {
      throw StoreError(
        .damaged, operation: "read file", message: "the file became shorter than it was: run scrub")
    }
    return bytes
  }
}

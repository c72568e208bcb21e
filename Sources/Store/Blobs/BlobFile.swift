internal import Glibc

/// An open blob or sidecar, read-only; closed when the last reference goes.
///
/// The bytes stay readable after the blob is removed or quarantined, for as long as this lives.
public final class BlobFile: Sendable {
  private let file: Descriptor
  let mapping = FileMapping()
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

  init(path: String, operation: String) throws(StoreError) {
    let file = try Disk.open(path, O_RDONLY, operation: operation)
    let status = try Disk.status(file, path: path)
    guard status.isRegular else {
      throw StoreError(
        .damaged, operation: operation, message: "the name of a blob is not a regular file: run scrub",
        context: path)
    }
    self.file = file
    sizeBytes = status.sizeBytes
    modifiedMilliseconds = status.modifiedMilliseconds
  }

  init(descriptor: consuming Descriptor, sizeBytes: UInt64) {
    file = descriptor
    self.sizeBytes = sizeBytes
    modifiedMilliseconds = 0
  }

  /// Reads bytes at an offset: as many as `buffer` holds, fewer only at the end of the file.
  public func read(
    at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(StoreError) -> Int {
    guard offset < UInt64(Int64.max) else { return 0 }
    var done = 0
    while done < buffer.count {
      let count = pread(
        file.number, buffer.baseAddress! + done, buffer.count - done, off_t(offset) &+ off_t(done))
      if count > 0 {
        done += count
      } else if count == 0 {
        break
      } else {
        let failure = errno
        if failure != EINTR { throw .system(failure, operation: "read blob") }
      }
    }
    return done
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

internal import Glibc
internal import Synchronization

extension BlobFile {
  /// Bytes of the file in a mapping of the whole of it, made at the first call and kept while this object lives.
  ///
  /// For handing to the kernel (`writev`), which answers EFAULT where a page can't be had. The program itself must
  /// not read through it: there a file cut off by others, or a failing disk, is SIGBUS.
  /// - Returns: `nil` outside of the file, or where the system refuses the mapping.
  public func mapped(at offset: UInt64, count: Int) -> UnsafeRawBufferPointer? {
    guard count >= 0, offset <= sizeBytes, UInt64(count) <= sizeBytes - offset else { return nil }
    return mapping.base(of: self).map { UnsafeRawBufferPointer(start: $0 + Int(offset), count: count) }
  }

  /// Whether others have cut the file since it was opened. The rest of the page in which it then ends reads as zeros from the
  /// mapping; only pages behind that are missed.
  var isCutShort: Bool {
    var status = stat()
    return fstat(descriptor, &status) != 0 || UInt64(clamping: status.st_size) < sizeBytes
  }

  /// `count` bytes at `offset`. Throws `.damaged` where the file ends before.
  public func read(offset: UInt64, count: Int) throws(StoreError) -> [UInt8] {
    var failure: StoreError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      do throws(StoreError) {
        initialized = try read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    guard bytes.count == count else {
      throw StoreError(
        .damaged, operation: "read file", message: "the file ends before what it must hold: run scrub")
    }
    return bytes
  }
}

/// The mapping of one file, made when first needed.
final class FileMapping: Sendable {
  private struct Region: Sendable {
    // Read-only memory that stays where it is until deinit.
    nonisolated(unsafe) let base: UnsafeMutableRawPointer
    let count: Int
  }

  private let region = Mutex<Region?>(nil)

  deinit { region.withLock { region in if let region { munmap(region.base, region.count) } } }

  func base(of file: BlobFile) -> UnsafeRawPointer? {
    region.withLock { region in
      if region == nil, file.sizeBytes > 0, file.sizeBytes <= UInt64(Int.max) {
        let made = mmap(nil, Int(file.sizeBytes), PROT_READ, MAP_SHARED, file.descriptor, 0)
        if let made, made != MAP_FAILED { region = Region(base: made, count: Int(file.sizeBytes)) }
      }
      return region.map { UnsafeRawPointer($0.base) }
    }
  }
}

// Which bytes of a blob can be sent without waiting for the disk, and how the others get there.

import CLinux
import Glibc
import Store

extension BlobFile {
  /// Whether all of a range is in the page cache, and verified where that is asked for. Where the kernel can't tell (memory
  /// file systems) it is there.
  func isResident(offset: UInt64, count: Int) -> Bool {
    guard isVerified(offset: offset, count: count) else { return false }
    return PageCacheProbe.isResident(descriptor: descriptor, offset: Int64(offset), count: count) ?? true
  }

  /// Reads bytes that are in the page cache. Returns how many, 0 at the end of the file, or nil when the
  /// first of them would have to come from the disk.
  func readCached(offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int? {
    guard let base = buffer.baseAddress, buffer.count > 0 else { return 0 }
    // Asking for bytes that are not there may bring them, past the check.
    if verifiesReads, !isResident(offset: offset, count: buffer.count) { return nil }
    while true {
      let count = clinux_pread_nowait(descriptor, base, buffer.count, off_t(offset))
      if count >= 0 { return count }
      switch errno {
      case EINTR: continue
      case EAGAIN: return nil
      // The file system does not know RWF_NOWAIT: memory file systems, which never wait.
      case EOPNOTSUPP: return max(0, pread(descriptor, base, buffer.count, off_t(offset)))
      default: return 0
      }
    }
  }

  /// Brings bytes into the page cache; blocks, so for workers only.
  ///
  /// An error of the disk is not told here: sending meets it and ends the connection.
  ///
  /// - Throws: `.damaged` for bytes that a store that verifies has found to be others than they were.
  func populate(offset: UInt64, count: Int) throws(StoreError) {
    if verifiesReads { return try verify(offset: offset, count: count) }
    posix_fadvise(descriptor, off_t(offset), off_t(count), POSIX_FADV_WILLNEED)
    if !populateByMapping(offset: offset, count: count) { populateByReading(offset: offset, count: count) }
  }

  /// Has the kernel fault the pages in without copying a byte (MADV_POPULATE_READ, Linux 5.14). False where it can't.
  private func populateByMapping(offset: UInt64, count: Int) -> Bool {
    let page = UInt64(max(sysconf(Int32(_SC_PAGESIZE)), 1))
    let lower = offset / page * page
    let bytes = Int(offset - lower) + count
    let made = mmap(nil, bytes, PROT_READ, MAP_SHARED, descriptor, off_t(lower))
    guard let made, made != MAP_FAILED else { return false }
    defer { munmap(made, bytes) }
    return madvise(made, bytes, 22) == 0
  }

  private func populateByReading(offset: UInt64, count: Int) {
    withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 16) { buffer in
      var position = offset
      let end = offset + UInt64(count)
      while position < end {
        let read = pread(
          descriptor, buffer.baseAddress, min(buffer.count, Int(end - position)), off_t(position))
        if read < 0 && errno == EINTR { continue }
        if read <= 0 { return }
        position += UInt64(read)
      }
    }
  }
}

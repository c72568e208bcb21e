internal import CLinux
internal import Glibc

/// Asks the kernel whether a range of a file is in memory, so that sending it will not wait for the disk.
///
/// The answer is a snapshot: pages may be dropped a moment later. May be called from any thread.
public enum PageCacheProbe {
  /// How the kernel is asked.
  enum Method {
    /// cachestat(2), Linux 6.5: exact, one call of 1 to 3 µs.
    case cachestat
    /// preadv2(2) with RWF_NOWAIT: one byte of the first and the last page, and one every 128 KiB between, the unit in which
    /// the kernel reads ahead. A hole between the samples goes unnoticed. A sample that misses starts a read-ahead.
    case samples
  }

  /// True when the range is in the page cache, false when part of it is not, nil when the kernel cannot tell, for example for
  /// a file system without support. Treat nil like true on memory file systems, else like false.
  ///
  /// - Parameters:
  ///   - descriptor: a readable file.
  ///   - offset: the first byte, 0 or more.
  ///   - count: bytes; a range of none is in memory. The range must lie in the file: pages after its end count as missing.
  public static func isResident(descriptor: Int32, offset: Int64, count: Int) -> Bool? {
    isResident(descriptor: descriptor, offset: offset, count: count, method: method)
  }

  static func isResident(descriptor: Int32, offset: Int64, count: Int, method: Method) -> Bool? {
    guard count > 0 else { return true }
    let (end, overflows) = offset.addingReportingOverflow(Int64(count))
    guard offset >= 0, !overflows else { return nil }
    switch method {
    case .cachestat:
      return cachestat(descriptor, offset, end) ?? samples(descriptor, offset, end)
    case .samples:
      return samples(descriptor, offset, end)
    }
  }

  private static let pageSizeBytes = Int64(max(sysconf(Int32(_SC_PAGESIZE)), 1))
  private static let sampleDistanceBytes: Int64 = 128 << 10

  /// Found out once: without the call, or with a sandbox that forbids it, there is no point in trying it every time.
  static let method: Method = {
    var range = clinux_cachestat_range(off: 0, len: 1)
    var found = clinux_cachestat()
    // No descriptor −1 exists, so EBADF means that the call does.
    return clinux_cachestat(-1, &range, &found) < 0 && errno == EBADF ? .cachestat : .samples
  }()

  /// nil when this file cannot be asked: wrong type, or not ours where the kernel wants that.
  private static func cachestat(_ descriptor: Int32, _ offset: Int64, _ end: Int64) -> Bool? {
    var range = clinux_cachestat_range(off: UInt64(offset), len: UInt64(end - offset))
    var found = clinux_cachestat()
    guard clinux_cachestat(descriptor, &range, &found) == 0 else { return nil }
    let pages = (end - 1) / pageSizeBytes - offset / pageSizeBytes + 1
    return found.cached >= UInt64(pages)
  }

  private static func samples(_ descriptor: Int32, _ offset: Int64, _ end: Int64) -> Bool? {
    var position = offset
    while true {
      var byte: UInt8 = 0
      switch clinux_pread_nowait(descriptor, &byte, 1, off_t(position)) {
      case 1: break
      case 0: return false
      default:
        if errno == EINTR { continue }
        return errno == EAGAIN ? false : nil
      }
      guard position < end - 1 else { return true }
      position = end - 1 - position > sampleDistanceBytes ? position + sampleDistanceBytes : end - 1
    }
  }
}

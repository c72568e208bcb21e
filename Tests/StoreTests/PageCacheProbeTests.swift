import Glibc
import Support
import Testing

@testable import Store

@Suite struct PageCacheProbeTests {
  @Test(arguments: [PageCacheProbe.Method.cachestat, .samples])
  func freshlyWrittenFileIsResident(method: PageCacheProbe.Method) {
    let size = 1_000_000
    let file = ScratchFile([UInt8](repeating: 1, count: size))
    for (offset, count) in [
      (0, size), (0, 1), (size - 1, 1), (4095, 2), (4096, 4096), (777, 131_072), (5, 0),
    ] {
      let isResident = PageCacheProbe.isResident(
        descriptor: file.descriptor, offset: Int64(offset), count: count, method: method)
      #expect(isResident == true, "\(offset) \(count)")
    }
  }

  /// Samples make the kernel read what is missing, and a quick disk answers at once, so only cachestat can be held to this.
  @Test(.enabled("this kernel has no cachestat") { PageCacheProbe.method == .cachestat })
  func droppedPagesAreMissed() {
    let size = 1 << 20
    // On a disk, unlike /tmp at times, so that its pages can be dropped once written.
    let file = ScratchFile([UInt8](repeating: 1, count: size), folder: "/var/tmp")
    fsync(file.descriptor)
    posix_fadvise(file.descriptor, 0, 0, Int32(POSIX_FADV_DONTNEED))
    #expect(PageCacheProbe.isResident(descriptor: file.descriptor, offset: 0, count: size) == false)
  }

  @Test(arguments: [PageCacheProbe.Method.cachestat, .samples])
  func rangesPastTheEndAreMissed(method: PageCacheProbe.Method) {
    let file = ScratchFile([UInt8](repeating: 1, count: 100))
    for (offset, count) in [(0, 10_000), (50, 1 << 20), (1 << 40, 1)] as [(Int64, Int)] {
      let isResident = PageCacheProbe.isResident(
        descriptor: file.descriptor, offset: offset, count: count, method: method)
      #expect(isResident == false, "\(offset) \(count)")
    }
  }

  @Test func whatCannotBeAskedIsUnknown() {
    let file = ScratchFile([1])
    #expect(PageCacheProbe.isResident(descriptor: -1, offset: 0, count: 1) == nil)
    #expect(PageCacheProbe.isResident(descriptor: file.descriptor, offset: -1, count: 1) == nil)
    #expect(PageCacheProbe.isResident(descriptor: file.descriptor, offset: .max, count: 2) == nil)
    var ends: [Int32] = [-1, -1]
    #expect(pipe(&ends) == 0)
    #expect(PageCacheProbe.isResident(descriptor: ends[0], offset: 0, count: 1, method: .samples) == nil)
    for end in ends { close(end) }
  }
}

internal import CLinux
internal import Glibc

extension BlobFile {
  /// Bytes in memory under a descriptor, so that they can be sent like those of a blob; gone with the last reference.
  ///
  /// Sealed once filled. Memory is taken from the system, not from the heap, and given back as a whole.
  /// - Parameter fill: called once with `sizeBytes` of zeros to fill.
  /// - Throws: `.io` where the system has no memory or descriptor left, and whatever `fill` throws.
  public convenience init(
    sizeBytes: Int, fill: (UnsafeMutableRawBufferPointer) throws(StoreError) -> Void
  ) throws(StoreError) {
    let number = clinux_memory_file("headwater")
    guard number >= 0 else { throw .system(errno, operation: "make memory file") }
    let descriptor = Descriptor(adopting: number)
    guard ftruncate(number, off_t(sizeBytes)) == 0 else {
      throw .system(errno, operation: "size memory file")
    }
    let made = mmap(nil, sizeBytes, PROT_READ | PROT_WRITE, MAP_SHARED, number, 0)
    guard let made, made != MAP_FAILED else { throw .system(errno, operation: "map memory file") }
    // Where the system allows large pages in shared memory ("advise"), whole ones of the file are: sending them costs less. Else
    // this does nothing.
    _ = madvise(made, sizeBytes, MADV_HUGEPAGE)
    do throws(StoreError) { try fill(UnsafeMutableRawBufferPointer(start: made, count: sizeBytes)) } catch {
      munmap(made, sizeBytes)
      throw error
    }
    munmap(made, sizeBytes)
    _ = clinux_seal(number)
    self.init(descriptor: descriptor, sizeBytes: UInt64(sizeBytes))
  }
}

internal import Glibc
internal import Synchronization

// What is known of the bytes of an open blob
// ------------------------------------------
// A mebibyte that was read and had its sum is known, and is taken from the page cache as it is. It is checked again whenever
// it has to come from the disk: who sends asks first whether the bytes are in the cache (`BlobFile.isVerified` and the probe
// of the page cache), and has them read in and checked if not. All who have the blob open share what is known, for the cache
// is one, too. The kernel is told not to read ahead, so that nothing comes into the cache past the check. What is left: a page
// that goes from the cache between the question and the sending, and one that another process brings back. Where the kernel
// can't be asked without starting a read (before Linux 6.5), a page may come back unchecked, too.
//
// Bytes without their sum are looked at once more, as a whole: either the sums are what is wrong, and are made again, or the
// blob is no longer what its name says, and goes to quarantine, as scrub would have it.

/// Vouches for the bytes of one file of a blob, a mebibyte at a time. Safe from any thread.
final class ReadVerifier: Sendable {
  private struct State {
    var sums: BlobSums?
    /// One bit for each mebibyte that is known.
    var known: [UInt64]
    var isDamaged = false
  }

  private let blobs: BlobStore
  private let id: BlobID
  private let sizeBytes: UInt64
  /// Which file it is: a name may come to stand for another one.
  let inode: UInt64
  private let state: Mutex<State>

  init(_ blobs: BlobStore, _ id: BlobID, sizeBytes: UInt64, inode: UInt64) {
    self.blobs = blobs
    self.id = id
    self.inode = inode
    self.sizeBytes = sizeBytes
    let words = (BlobSums.chunks(of: sizeBytes) + 63) / 64
    state = Mutex(State(sums: nil, known: Array(repeating: 0, count: words)))
  }

  private func chunks(_ offset: UInt64, _ count: Int) -> Range<Int> {
    let end = min(sizeBytes, offset.addingReportingOverflow(UInt64(max(0, count))).partialValue)
    guard offset < end else { return 0..<0 }
    let size = UInt64(BlobSums.chunkBytes)
    return Int(offset / size)..<Int((end + size - 1) / size)
  }

  /// Whether all of a range is known. About 20 ns.
  func isVerified(offset: UInt64, count: Int) -> Bool {
    let chunks = chunks(offset, count)
    return state.withLock { state in
      chunks.allSatisfy { state.known[$0 / 64] >> UInt64($0 % 64) & 1 == 1 }
    }
  }

  /// Reads the mebibytes of a range and compares their sums, whatever is known. Blocks.
  ///
  /// - Throws: `.damaged` where bytes are not those of the blob's name; it is in quarantine then. `.io` where they can't be had.
  func verify(_ file: Int32, offset: UInt64, count: Int) throws(StoreError) {
    let chunks = chunks(offset, count)
    guard !chunks.isEmpty else { return }
    if state.withLock({ $0.isDamaged }) { throw damaged() }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: BlobSums.chunkBytes, alignment: 16)
    defer { buffer.deallocate() }
    for chunk in chunks {
      if try !isWhole(chunk, file, buffer, sums(file, buffer)) {
        let remade = try makeSums(file, buffer)
        guard try isWhole(chunk, file, buffer, remade) else { throw damaged() }
      }
      // What is known to be damaged stays so, even if other parts of it are not.
      state.withLock { if !$0.isDamaged { $0.known[chunk / 64] |= 1 << UInt64(chunk % 64) } }
    }
  }

  private func isWhole(
    _ chunk: Int, _ file: Int32, _ buffer: UnsafeMutableRawBufferPointer, _ sums: BlobSums
  ) throws(StoreError) -> Bool {
    let offset = UInt64(chunk) * UInt64(BlobSums.chunkBytes)
    let count = Int(min(UInt64(BlobSums.chunkBytes), sizeBytes - offset))
    let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
    guard try Disk.read(file, at: offset, into: part) == count else { return false }
    return sums.vouch(for: UnsafeRawBufferPointer(part), chunk: chunk)
  }

  // MARK: Sums

  private func sums(_ file: Int32, _ buffer: UnsafeMutableRawBufferPointer) throws(StoreError) -> BlobSums {
    if let known = state.withLock({ $0.sums }) { return known }
    guard sizeBytes > UInt64(BlobSums.chunkBytes) else {
      let named = id.withUnsafeBytes {
        BlobSums(sizeBytes: sizeBytes, digests: Array($0.prefix(BlobSums.digestBytes)))
      }
      state.withLock { $0.sums = named }
      return named
    }
    guard let stored = try? blobs.sums(of: id, sizeBytes: sizeBytes) else {
      return try makeSums(file, buffer)
    }
    state.withLock { $0.sums = stored }
    return stored
  }

  /// One pass over the blob: its name is checked, and its sums are written beside it.
  private func makeSums(
    _ file: Int32, _ buffer: UnsafeMutableRawBufferPointer
  ) throws(StoreError) -> BlobSums {
    var whole = try SHA256Hasher()
    var maker = try BlobSumsMaker()
    var offset: UInt64 = 0
    while offset < sizeBytes {
      let count = try Disk.read(file, at: offset, into: buffer)
      guard count > 0 else { break }
      let part = UnsafeRawBufferPointer(rebasing: buffer[..<count])
      whole.update(part)
      try maker.update(part)
      offset += UInt64(count)
    }
    guard whole.finish() == id else { throw damaged() }
    let made = try maker.finish()
    state.withLock { $0.sums = made }
    // Without room for them they are made again by the next who opens the blob.
    if sizeBytes > UInt64(BlobSums.chunkBytes) { try? blobs.writeSums(id, made) }
    return made
  }

  private func damaged() -> StoreError {
    let isNews = state.withLock { state in
      defer { state.isDamaged = true }
      state.known = state.known.map { _ in 0 }
      return !state.isDamaged
    }
    if isNews {
      // Others may have moved it already; and where it can't be moved, scrub says so.
      _ = try? blobs.quarantine(id)
      blobs.damagedReads.add(1, ordering: .relaxed)
    }
    return StoreError(
      .damaged, operation: "verify blob",
      message:
        "the bytes on the disk are not those of the name; the blob is in quarantine: bring the file in again",
      context: id.hex)
  }
}

/// The verifiers of all blobs that are open, one for each file.
final class ReadVerifiers: Sendable {
  private struct Entry {
    weak var verifier: ReadVerifier?
  }

  private let entries = Mutex<(table: [BlobID: Entry], pruneAt: Int)>(([:], 1024))

  func verifier(_ blobs: BlobStore, _ id: BlobID, sizeBytes: UInt64, inode: UInt64) -> ReadVerifier {
    entries.withLock { entries in
      if let known = entries.table[id]?.verifier, known.inode == inode { return known }
      if entries.table.count >= entries.pruneAt {
        entries.table = entries.table.filter { $0.value.verifier != nil }
        entries.pruneAt = max(1024, entries.table.count * 2)
      }
      let made = ReadVerifier(blobs, id, sizeBytes: sizeBytes, inode: inode)
      entries.table[id] = Entry(verifier: made)
      return made
    }
  }
}

import Glibc
import Origin
import Packaging
import Store

/// The files of a join as one long file: each begins where the one before ends, so that samples of all of them have an
/// offset in common and `ProgressiveFile` can lay them out.
struct JoinedFiles: Sendable {
  /// Bytes to write: some of our own, or some of a file.
  struct Piece: Sendable {
    var bytes: [UInt8] = []
    var source: JobSource?
    var offset: UInt64 = 0
    var count: UInt64

    init(bytes: [UInt8]) {
      self.bytes = bytes
      count = UInt64(bytes.count)
    }

    init(source: JobSource, offset: UInt64, count: UInt64) {
      self.source = source
      self.offset = offset
      self.count = count
    }
  }

  private var files: [(baseBytes: UInt64, source: JobSource)] = []
  private var totalBytes: UInt64 = 0
  /// The first that was added, for what does not differ between them.
  private(set) var first: Movie?

  /// - Returns: what the file holds, and where it begins in the long one.
  mutating func add(_ blob: BlobID, _ job: RunningJob) async throws(JobFailure) -> (Movie, UInt64) {
    let source = try await job.source(of: blob)
    let movie = try SourceSurvey.movie(source)
    let base = totalBytes
    files.append((base, source))
    totalBytes += source.sizeBytes
    if first == nil { first = movie }
    return (movie, base)
  }

  /// Where a stretch of the long file lies. Samples that touch may lie in two files.
  func pieces(of slice: BlobSlice) throws(JobFailure) -> [Piece] {
    var pieces: [Piece] = []
    var (offset, left) = (slice.offset, slice.count)
    // The last file that begins at or before the offset.
    var (low, high) = (0, files.count)
    while low < high {
      let middle = (low + high) / 2
      if files[middle].baseBytes <= offset { low = middle + 1 } else { high = middle }
    }
    var number = low - 1
    while left > 0 {
      guard files.indices.contains(number) else { throw .broken("A sample lies outside of its file.") }
      let (base, source) = files[number]
      let count = min(left, source.sizeBytes - min(source.sizeBytes, offset - base))
      if count > 0 { pieces.append(Piece(source: source, offset: offset - base, count: count)) }
      offset += count
      left -= count
      number += 1
    }
    return pieces
  }

  /// Writes pieces one after the other. Blocks.
  /// - Returns: where the next one goes.
  static func write(_ pieces: [Piece], to descriptor: Int32, at start: UInt64) throws(JobFailure) -> UInt64 {
    var end = start
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { buffer.deallocate() }
    for piece in pieces {
      guard let source = piece.source else {
        try check(piece.bytes.withUnsafeBytes { put($0, descriptor, at: end) })
        end += piece.count
        continue
      }
      var done: UInt64 = 0
      while done < piece.count {
        let part = UnsafeMutableRawBufferPointer(
          rebasing: buffer[..<Int(min(UInt64(buffer.count), piece.count - done))])
        let count: Int
        do throws(MediaError) {
          count = try JobBytes(source: source).read(at: piece.offset + done, into: part)
        } catch {
          throw JobFailure(.retryable, code: "source-unreadable", error.message)
        }
        guard count == part.count else { throw .broken("A chunk became shorter while it was read.") }
        try check(put(UnsafeRawBufferPointer(part), descriptor, at: end))
        done += UInt64(count)
        end += UInt64(count)
      }
    }
    return end
  }

  /// - Returns: an error number; 0 when all is written.
  private static func put(
    _ bytes: UnsafeRawBufferPointer, _ descriptor: Int32, at offset: UInt64
  ) -> Int32 {
    var done = 0
    while done < bytes.count {
      let count = pwrite(
        descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done,
        off_t(clamping: offset + UInt64(done)))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return count < 0 ? errno : EIO }
      done += count
    }
    return 0
  }

  private static func check(_ error: Int32) throws(JobFailure) {
    guard error != 0 else { return }
    let isFull = error == ENOSPC || error == EDQUOT
    throw JobFailure(
      isFull ? .postponed(milliseconds: 60_000) : .retryable, code: isFull ? "disk-full" : "storage",
      "A rendition can't be written: \(String(cString: strerror(error))).")
  }
}

extension MovieTrack {
  /// The same with its samples further on.
  func moved(by bytes: UInt64) -> MovieTrack {
    var moved = self
    for index in moved.columns.offsets.indices { moved.columns.offsets[index] += bytes }
    return moved
  }
}

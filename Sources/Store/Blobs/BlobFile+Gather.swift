// Many short pieces of a file in a few system calls
//
// The sound of a film lies in it between the pictures, some hundred bytes at a time. Reading each piece costs a call into the
// system, which takes longer than what it copies. One call for all of them is writev, whose source is memory: here the
// mapping of the file, which the program itself must not read through (`BlobFile+Mapping.swift`), but the kernel may. So the
// kernel writes the pieces into a pipe, where they lie one behind the other, and one read brings them here:
//
//     mapping ── writev, up to 8 KiB ──► pipe ── read ──► buffer
//
// Copying twice costs less than the calls it saves: for pieces of 400 bytes a fifth of the time. No more than two pages go
// through at a time, since a pipe keeps two of its pages for the next write, and gives back and asks for all others. A page that cannot be had is
// a short count and then EFAULT.

internal import CLinux
internal import Glibc

extension BlobFile {
  /// A run of bytes of a file.
  public struct Piece: Sendable, Equatable {
    public var offset: UInt64
    public var count: Int

    public init(offset: UInt64, count: Int) {
      self.offset = offset
      self.count = count
    }
  }

  /// The limit of the system (IOV_MAX).
  private static let mostPiecesPerCall = 1024
  private static let pipeBytes = 8 << 10

  /// Fills `buffer` with the pieces, in their order, one behind the other. Reads from the disk: for workers.
  ///
  /// - Precondition: the counts are not negative and add up to no more than the buffer.
  /// - Throws: `.damaged` for a piece outside of the file, also of one that was cut short meanwhile; `.io` where the system
  ///   has no descriptor left.
  /// - Complexity: two system calls for every 8 KiB or 1024 pieces, and three for all.
  public func gather(_ pieces: [Piece], into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
    if verifiesReads { return try readEach(pieces, into: buffer) }
    guard let file = mapped(at: 0, count: Int(clamping: sizeBytes)), let base = file.baseAddress else {
      throw Self.short
    }
    var ends: (read: Int32, write: Int32) = (-1, -1)
    guard clinux_pipe(&ends.read, &ends.write) == 0 else { throw .system(errno, operation: "make pipe") }
    let reading = Descriptor(adopting: ends.read)
    let writing = Descriptor(adopting: ends.write)
    var vectors: [iovec] = []
    vectors.reserveCapacity(min(pieces.count, Self.mostPiecesPerCall))
    var index = 0
    var doneOfPiece = 0
    var filled = 0
    while true {
      vectors.removeAll(keepingCapacity: true)
      var bytes = 0
      var next = (index: index, done: doneOfPiece)
      while next.index < pieces.count, vectors.count < Self.mostPiecesPerCall, bytes < Self.pipeBytes {
        let piece = pieces[next.index]
        guard piece.offset <= UInt64(file.count), piece.count <= file.count - Int(piece.offset) else {
          throw Self.short
        }
        let count = min(piece.count - next.done, Self.pipeBytes - bytes)
        if count > 0 {
          let start = UnsafeMutableRawPointer(mutating: base + Int(piece.offset) + next.done)
          vectors.append(iovec(iov_base: start, iov_len: count))
        }
        bytes += count
        next = next.done + count == piece.count ? (next.index + 1, 0) : (next.index, next.done + count)
      }
      guard bytes > 0 else { break }
      let written = writev(writing.number, vectors, Int32(vectors.count))
      guard written > 0 else {
        if errno == EINTR { continue }
        throw errno == EFAULT ? Self.short : .system(errno, operation: "gather pieces")
      }
      precondition(written <= buffer.count - filled, "the buffer has room for all pieces")
      try Self.take(
        written, from: reading, to: UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<filled + written])
      )
      filled += written
      // Where the kernel took less than it was given, it goes on in the middle of a piece.
      var left = written
      while left > 0 {
        let rest = pieces[index].count - doneOfPiece
        if left < rest {
          doneOfPiece += left
          break
        }
        left -= rest
        (index, doneOfPiece) = (index + 1, 0)
      }
    }
  }

  /// Piece by piece, each verified.
  private func readEach(
    _ pieces: [Piece], into buffer: UnsafeMutableRawBufferPointer
  ) throws(StoreError) {
    var filled = 0
    for piece in pieces {
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<filled + piece.count])
      guard try read(at: piece.offset, into: part) == piece.count else { throw Self.short }
      filled += piece.count
    }
  }

  private static func take(
    _ count: Int, from pipe: borrowing Descriptor, to buffer: UnsafeMutableRawBufferPointer
  ) throws(StoreError) {
    var filled = 0
    while filled < count {
      guard let start = buffer.baseAddress else { return }
      let taken = Glibc.read(pipe.number, start + filled, count - filled)
      if taken < 0, errno == EINTR { continue }
      guard taken > 0 else { throw .system(errno, operation: "gather pieces") }
      filled += taken
    }
  }

  private static var short: StoreError {
    StoreError(
      .damaged, operation: "gather pieces", message: "the file ends before what it must hold: run scrub")
  }
}

// Many short pieces of a file at a time
//
// The sound of a film lies in it between the pictures, some hundred bytes at a time. A call into the system for each piece takes
// many times what the copying does. The mapping of the file has them all within reach, but a page of it that cannot be had is a
// signal. So the pieces are copied under a guard (`CLinux/mapped.h`), and where that meets such a page they are read one by one:
// those calls say what is wrong, or find nothing wrong.

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

  /// Fills `buffer` with the pieces, in their order, one behind the other. Reads from the disk: for workers.
  ///
  /// - Precondition: the counts are not negative and add up to no more than the buffer.
  /// - Throws: `.damaged` for a piece outside of the file, also of one that was cut short meanwhile; `.io` where it cannot be
  ///   read.
  /// - Complexity: one system call, where the file can be mapped.
  public func gather(_ pieces: [Piece], into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) {
    var total = 0
    for piece in pieces {
      guard piece.offset <= sizeBytes, UInt64(piece.count) <= sizeBytes - piece.offset else {
        throw Self.short
      }
      total += piece.count
    }
    precondition(total <= buffer.count, "the buffer has room for all pieces")
    // What is to be verified is read.
    if total == 0 || (!verifiesReads && copyMapped(pieces, to: buffer)) { return }
    var filled = 0
    for piece in pieces {
      let target = UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<filled + piece.count])
      guard try read(at: piece.offset, into: target) == piece.count else { throw Self.short }
      filled += piece.count
    }
  }

  private static let isGuarded = clinux_guard_mappings() == 0

  /// False where the system refuses the mapping or a page of it, or the file has become shorter.
  private func copyMapped(_ pieces: [Piece], to buffer: UnsafeMutableRawBufferPointer) -> Bool {
    guard Self.isGuarded, let file = mapped(at: 0, count: Int(clamping: sizeBytes)) else { return false }
    let isCopied = pieces.withUnsafeBytes { pieces in
      // Piece is clinux_piece: an offset, and a count that is not negative.
      let list = pieces.baseAddress?.assumingMemoryBound(to: clinux_piece.self)
      return clinux_copy_mapped(
        buffer.baseAddress, buffer.count, file.baseAddress, UInt64(file.count), list,
        pieces.count / MemoryLayout<Piece>.stride) == 0
    }
    return isCopied && !isCutShort
  }

  private static var short: StoreError {
    StoreError(
      .damaged, operation: "gather pieces", message: "the file ends before what it must hold: run scrub")
  }
}

/// Random access to the bytes of one file, supplied by whoever owns the file.
///
/// Packaging never opens anything itself: the caller wraps a descriptor, a mapping or an array.
public protocol ByteSource {
  /// Length of the whole file in bytes. Must not change while a reader works.
  var lengthBytes: UInt64 { get }

  /// Fills `buffer` with the bytes at `offset` and returns how many were read.
  ///
  /// A count below `buffer.count` means the end of the file was reached. An offset at or past the end gives 0.
  /// - Throws: `MediaError.sourceUnreadable` when the bytes exist but cannot be read.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(MediaError) -> Int

  /// Fills `buffer` with the slices, one behind the other, and returns how many bytes were read.
  ///
  /// A count below the sum of the slices means that one of them lies past the end. The buffer is as long as they are. A source
  /// to which each `read` is a system call does many short slices at a time.
  func gather(_ slices: [BlobSlice], into buffer: UnsafeMutableRawBufferPointer) throws(MediaError) -> Int
}

extension ByteSource {
  public func gather(
    _ slices: [BlobSlice], into buffer: UnsafeMutableRawBufferPointer
  ) throws(MediaError) -> Int {
    try gatherEach(slices, into: buffer)
  }

  /// `gather` by a `read` for each slice.
  public func gatherEach(
    _ slices: [BlobSlice], into buffer: UnsafeMutableRawBufferPointer
  ) throws(MediaError) -> Int {
    var filled = 0
    for slice in slices {
      let end = filled + Int(slice.count)
      while filled < end {
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<end])
        let count = try read(at: slice.offset &+ (slice.count - UInt64(rest.count)), into: rest)
        guard count > 0 else { return filled }
        filled += min(count, rest.count)
      }
    }
    return filled
  }
}

/// A byte source over an array in memory.
public struct ArraySource: ByteSource, Sendable {
  public let bytes: [UInt8]

  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  public var lengthBytes: UInt64 { UInt64(bytes.count) }

  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(MediaError) -> Int {
    guard offset < UInt64(bytes.count), buffer.count > 0 else { return 0 }
    let start = Int(offset)
    let count = min(buffer.count, bytes.count - start)
    bytes.withUnsafeBytes { whole in
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: whole[start..<start + count]))
    }
    return count
  }
}

extension ByteSource {
  /// The bytes `[offset, offset + count)`, fewer at the end of the file. Reads on after short reads.
  func bytes(at offset: UInt64, count: Int) throws(MediaError) -> [UInt8] {
    guard count > 0, offset < lengthBytes else { return [] }
    let wanted = Int(min(UInt64(count), lengthBytes - offset))
    var result = [UInt8](repeating: 0, count: wanted)
    var filled = 0
    while filled < wanted {
      // A typed error cannot leave the closure that lends the memory, so it leaves as a value.
      let outcome = result.withUnsafeMutableBytes { whole -> Result<Int, MediaError> in
        do throws(MediaError) {
          let rest = UnsafeMutableRawBufferPointer(rebasing: whole[filled...])
          return .success(try read(at: offset + UInt64(filled), into: rest))
        } catch {
          return .failure(error)
        }
      }
      let count = try outcome.get()
      guard count > 0 else { break }
      filled += min(count, wanted - filled)
    }
    result.removeLast(wanted - filled)
    return result
  }
}

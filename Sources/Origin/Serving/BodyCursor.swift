// A place in a body of slices, and which of the bytes behind it are in memory
//
// What sends a body knows how: from the files themselves (`Transfer`), through a buffer where a layer must see the bytes, or
// frame by frame (HTTP/2). Where it is, what comes next, and whether that can be had without waiting for the disk is the same
// for all of them and stands here.

import Loop
import Store

struct BodyCursor {
  /// What reading gave.
  enum Reading {
    case bytes(Int)
    /// These bytes are on disk only: read them in on a worker and come back.
    case cold(BlobFile, UInt64, Int)
    /// The next part is yet to be made: do so on a worker, hand it to `supply` and come back.
    case unmade(any DeferredBody)
  }

  /// A part of a file.
  struct Window {
    let file: BlobFile
    let lower: UInt64
    let upper: UInt64

    func covers(_ file: BlobFile, _ offset: UInt64) -> Bool {
      self.file === file && lower <= offset && offset < upper
    }
  }

  /// How much of a file a worker reads in at a time for one client.
  static let fetchBytes: UInt64 = 1 << 20

  private(set) var slices: [BodySlice]
  private(set) var index = 0
  /// Bytes of `slices[index]` that are behind.
  private(set) var within: UInt64 = 0
  private let residency: ResidencyTable
  /// A part of a blob that is in the page cache, as far as this turn knows.
  private var resident: Window?

  /// - Parameter slices: none of them empty.
  init(_ slices: [BodySlice], residency: ResidencyTable) {
    self.slices = slices
    self.residency = residency
  }

  var isAtEnd: Bool { index == slices.count }

  /// What is left of the slice that comes next; nil at the end.
  var current: BodySlice? {
    guard index < slices.count else { return nil }
    var slice = slices[index]
    slice.offset += within
    slice.count -= within
    return slice
  }

  mutating func consume(_ count: UInt64) {
    var count = count
    while count > 0, index < slices.count {
      let left = slices[index].count - within
      if count < left {
        within += count
        return
      }
      count -= left
      index += 1
      within = 0
    }
  }

  /// Puts what was made in the place of the part that comes next. Returns the length of what is left of that part; nil when
  /// it is not as long as promised.
  mutating func supply(_ made: [BodySlice]) -> UInt64? {
    guard let slice = current, case .deferred(let body) = slice.source,
      made.reduce(0, { $0 + $1.count }) == body.lengthBytes
    else { return nil }
    let parts = made.cut(slice.offset, slice.offset + slice.count).filter { $0.count > 0 }
    within = 0
    slices = parts + slices[(index + 1)...]
    index = 0
    return slice.count
  }

  // MARK: In memory or not

  /// What was in memory in the last turn need not be so now.
  mutating func forgetResidency() { resident = nil }

  /// These bytes are being read in, and are taken to be there in the next turn.
  mutating func expect(_ file: BlobFile, _ offset: UInt64, _ count: Int) {
    resident = Window(file: file, lower: offset, upper: offset + UInt64(count))
  }

  /// How many bytes from an offset, that of `current`, can be sent without waiting; 0 when the first must be read in.
  mutating func readyBytes(of file: BlobFile, at offset: UInt64) -> UInt64 {
    readyBytes(of: file, at: offset, in: index)
  }

  /// Asks about the slices to come in one go: a segment of many parts costs one question, not one a part.
  ///
  /// - Parameter position: the slice in which `offset` lies.
  private mutating func readyBytes(of file: BlobFile, at offset: UInt64, in position: Int) -> UInt64 {
    if let resident, resident.covers(file, offset) { return resident.upper - offset }
    let upper = end(of: file, from: offset, in: position, spanBytes: UInt64(Transfer.turnBytes))
    for end in [min(upper, offset + UInt64(Transfer.turnBytes)), min(upper, offset + Self.fetchBytes)]
    where residency.isResident(file, offset: offset, count: Int(end - offset)) {
      resident = Window(file: file, lower: offset, upper: end)
      return end - offset
    }
    return 0
  }

  /// Whether all of a part is in memory.
  func isReady(_ window: Window) -> Bool {
    if let resident, resident.covers(window.file, window.lower), window.upper <= resident.upper {
      return true
    }
    return residency.isResident(
      window.file, offset: window.lower, count: Int(window.upper - window.lower))
  }

  /// Where the slices to come, as far as they follow each other in one file, end.
  private func end(of file: BlobFile, from offset: UInt64, in position: Int, spanBytes: UInt64) -> UInt64 {
    var upper = slices[position].offset + slices[position].count
    var next = position + 1
    while next < slices.count, upper - offset < spanBytes, case .blob(let other) = slices[next].source,
      other === file, slices[next].offset >= upper
    {
      upper = slices[next].offset + slices[next].count
      next += 1
    }
    return upper
  }

  // MARK: Reading

  /// How many of the next bytes, `limit` at most, can be taken without waiting.
  ///
  /// `.bytes(0)` only at the end. Complexity: the slices that these bytes lie in.
  mutating func ready(upTo limit: Int) -> Reading {
    var count = 0
    var position = index
    var skip = within
    while count < limit, position < slices.count {
      let slice = slices[position]
      let left = slice.count - skip
      switch slice.source {
      case .bytes: break
      case .blob(let file):
        let offset = slice.offset + skip
        let ready = readyBytes(of: file, at: offset, in: position)
        if ready == 0, count == 0 {
          let end = end(of: file, from: offset, in: position, spanBytes: Self.fetchBytes)
          let wanted = Int(min(end - offset, Self.fetchBytes))
          expect(file, offset, wanted)
          return .cold(file, offset, wanted)
        }
        if ready < left { return .bytes(min(limit, count + Int(ready))) }
      case .deferred(let body):
        return count > 0 ? .bytes(count) : .unmade(body)
      }
      count = Int(min(UInt64(limit), UInt64(count) + left))
      position += 1
      skip = 0
    }
    return .bytes(count)
  }

  /// Copies the next bytes, as many as the buffer holds, and moves behind them. False where a file ends early.
  ///
  /// - Parameter buffer: no longer than `ready` has said.
  mutating func take(into buffer: UnsafeMutableRawBufferPointer) -> Bool {
    var filled = 0
    while filled < buffer.count, let slice = current {
      let count = Int(min(slice.count, UInt64(buffer.count - filled)))
      let room = UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<(filled + count)])
      switch slice.source {
      case .bytes(let bytes):
        bytes.withUnsafeBytes {
          room.copyMemory(
            from: UnsafeRawBufferPointer(rebasing: $0[Int(slice.offset)..<(Int(slice.offset) + count)]))
        }
      case .blob(let file):
        do throws(StoreError) {
          guard try file.read(at: slice.offset, into: room) == count else { return false }
        } catch { return false }
      case .deferred: return false
      }
      filled += count
      consume(UInt64(count))
    }
    return filled == buffer.count
  }
}

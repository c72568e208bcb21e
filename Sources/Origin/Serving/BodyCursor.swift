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
    /// The file ends early.
    case failed
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
  ///
  /// Asks about the slices to come in one go: a segment of many parts costs one question, not one a part.
  mutating func readyBytes(of file: BlobFile, at offset: UInt64) -> UInt64 {
    if let resident, resident.covers(file, offset) { return resident.upper - offset }
    let upper = end(of: file, from: offset, spanBytes: UInt64(Transfer.turnBytes))
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
  private func end(of file: BlobFile, from offset: UInt64, spanBytes: UInt64) -> UInt64 {
    var upper = slices[index].offset + slices[index].count
    var next = index + 1
    while next < slices.count, upper - offset < spanBytes, case .blob(let other) = slices[next].source,
      other === file, slices[next].offset >= upper
    {
      upper = slices[next].offset + slices[next].count
      next += 1
    }
    return upper
  }

  // MARK: Reading

  /// Copies what comes next, as much as there is room for and in memory, and moves behind it.
  ///
  /// `.bytes(0)` only at the end, or into an empty buffer.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) -> Reading {
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
        filled += count
        consume(UInt64(count))
      case .blob(let file):
        guard let read = readReady(file, slice.offset, room) else {
          if filled > 0 { return .bytes(filled) }
          let end = min(
            end(of: file, from: slice.offset, spanBytes: Self.fetchBytes), slice.offset + Self.fetchBytes)
          expect(file, slice.offset, Int(end - slice.offset))
          return .cold(file, slice.offset, Int(end - slice.offset))
        }
        if read == 0 { return filled > 0 ? .bytes(filled) : .failed }
        filled += read
        consume(UInt64(read))
      case .deferred(let body):
        return filled > 0 ? .bytes(filled) : .unmade(body)
      }
    }
    return .bytes(filled)
  }

  /// Reads what is in memory, and what was just read in even if it is gone again: memory that is short can slow a body down,
  /// but never make it turn on the spot. Nil when the first byte must come from the disk.
  private func readReady(_ file: BlobFile, _ offset: UInt64, _ room: UnsafeMutableRawBufferPointer) -> Int? {
    if let read = file.readCached(offset: offset, into: room) { return read }
    guard let resident, resident.covers(file, offset) else { return nil }
    do throws(StoreError) { return try file.read(at: offset, into: room) } catch { return 0 }
  }
}

// What was in the page cache a moment ago, so that a hot file is not asked about at every request.
//
// Direct-mapped: each mebibyte of a file has one slot, and a later one that falls on it takes it. An entry holds for a
// second and is only a hint: a page that goes meanwhile makes a loop wait for the disk once, and a slot that matches the
// address of a file closed since does no worse. One table per loop.

import Loop
import Store

final class ResidencyTable {
  private struct Slot {
    var file: UInt
    var window: UInt64
    var expiresMilliseconds: UInt64
  }

  private static let slotCount = 1024
  private static let windowBytes: UInt64 = 1 << 20
  private static let holdsMilliseconds: UInt64 = 1000

  private let loop: EventLoop
  private var slots = [Slot](
    repeating: Slot(file: 0, window: 0, expiresMilliseconds: 0), count: slotCount)

  init(loop: EventLoop) { self.loop = loop }

  /// Whether a range of a file is in the page cache, or was within the last second.
  func isResident(_ file: BlobFile, offset: UInt64, count: Int) -> Bool {
    guard count > 0 else { return true }
    // What has to be checked whenever it comes from the disk is asked about each time.
    if file.verifiesReads { return file.isResident(offset: offset, count: count) }
    let now = loop.nowMilliseconds
    let identity = UInt(bitPattern: ObjectIdentifier(file))
    var window = offset / Self.windowBytes
    let last = (offset + UInt64(count) - 1) / Self.windowBytes
    while window <= last {
      let slot = Int(truncatingIfNeeded: (UInt64(identity >> 5) &* 31 &+ window) % UInt64(Self.slotCount))
      let known = slots[slot]
      if known.file != identity || known.window != window || known.expiresMilliseconds <= now {
        let lower = window * Self.windowBytes
        let upper = min(lower + Self.windowBytes, file.sizeBytes)
        guard upper > lower, file.isResident(offset: lower, count: Int(upper - lower)) else {
          // Part of the mebibyte is not there; what is asked for may be.
          return file.isResident(offset: offset, count: count)
        }
        slots[slot] = Slot(file: identity, window: window, expiresMilliseconds: now + Self.holdsMilliseconds)
      }
      window += 1
    }
    return true
  }
}

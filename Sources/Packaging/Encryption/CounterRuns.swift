// Many short runs in counter mode at a time.
//
// What counter mode XORs into a run is the encryption of its counter blocks, which are known before anything of the run is. So
// the counter blocks of many runs are put into one pad and encrypted in one call, as blocks by themselves:
//
//     pad        counter, counter + 1 … of run 1 | of run 2 | …       one call for all       XORed into the runs
//
// A call with a counter of its own for each run costs some hundred nanoseconds, as much as a kilobyte of cipher. Longer runs have
// theirs nevertheless, since the implementation's own counter mode needs no pad.

/// Encrypts runs of bytes, each with a counter of its own.
struct CounterRuns: ~Copyable {
  private struct Waiting {
    var bytes: UnsafeMutableRawBufferPointer
    var padOffset: Int
  }

  private typealias Block = SIMD2<UInt64>

  private static var blockBytes: Int { 16 }
  /// Small enough to stay in the first-level cache.
  private static var padBytes: Int { 4096 }
  /// From here on a run has a call of its own.
  private static var longRunBytes: Int { 2048 }

  private let pad = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.padBytes, alignment: 16)
  private var used = 0
  private var waiting: [Waiting] = []

  deinit { pad.deallocate() }

  /// Encrypts a run of any length, at the latest with `finish`, until when the memory must stay.
  mutating func encrypt(
    _ run: UnsafeMutableRawBufferPointer, counter: UInt128, _ cipher: some BlockCipher
  ) {
    guard run.count < Self.longRunBytes else { return cipher.encryptCTR(run, counter: counter) }
    let blocks = (run.count + Self.blockBytes - 1) / Self.blockBytes
    if used + blocks * Self.blockBytes > Self.padBytes { finish(cipher) }
    guard blocks > 0 else { return }
    waiting.append(Waiting(bytes: run, padOffset: used))
    // By halves, of which the upper one changes once in 2^64 blocks.
    var (upper, lower) = (UInt64(counter >> 64).bigEndian, UInt64(truncatingIfNeeded: counter))
    let end = used &+ blocks &* Self.blockBytes
    var offset = used
    while offset < end {
      pad.storeBytes(of: upper, toByteOffset: offset, as: UInt64.self)
      pad.storeBytes(of: lower.bigEndian, toByteOffset: offset &+ 8, as: UInt64.self)
      offset &+= Self.blockBytes
      lower &+= 1
      if lower == 0 { upper = (UInt64(bigEndian: upper) &+ 1).bigEndian }
    }
    used = end
  }

  /// Encrypts what has been taken so far.
  mutating func finish(_ cipher: some BlockCipher) {
    guard used > 0 else { return }
    cipher.encryptBlocks(UnsafeMutableRawBufferPointer(rebasing: pad[..<used]))
    for run in waiting { Self.combine(run.bytes, with: pad, from: run.padOffset) }
    waiting.removeAll(keepingCapacity: true)
    used = 0
  }

  private static func combine(
    _ bytes: UnsafeMutableRawBufferPointer, with pad: UnsafeMutableRawBufferPointer, from padOffset: Int
  ) {
    // What is left at the end is less than a block. A block that ends with the run is made before the others change what it
    // overlaps with, and stored after them: the same bytes again, and no branch for each length.
    var position = 0
    if bytes.count >= blockBytes {
      let end = bytes.count - blockBytes
      let last = block(bytes, end, pad, padOffset)
      while position < end {
        bytes.storeBytes(of: block(bytes, position, pad, padOffset), toByteOffset: position, as: Block.self)
        position += blockBytes
      }
      bytes.storeBytes(of: last, toByteOffset: end, as: Block.self)
      return
    }
    combine(UInt64.self, bytes, &position, with: pad, from: padOffset)
    combine(UInt32.self, bytes, &position, with: pad, from: padOffset)
    combine(UInt16.self, bytes, &position, with: pad, from: padOffset)
    combine(UInt8.self, bytes, &position, with: pad, from: padOffset)
  }

  @inline(__always)
  private static func block(
    _ bytes: UnsafeMutableRawBufferPointer, _ position: Int, _ pad: UnsafeMutableRawBufferPointer,
    _ padOffset: Int
  ) -> Block {
    bytes.loadUnaligned(fromByteOffset: position, as: Block.self)
      ^ pad.loadUnaligned(fromByteOffset: padOffset + position, as: Block.self)
  }

  /// One word of what is left, if so much is left.
  @inline(__always)
  private static func combine<Word: FixedWidthInteger & BitwiseCopyable>(
    _ type: Word.Type, _ bytes: UnsafeMutableRawBufferPointer, _ position: inout Int,
    with pad: UnsafeMutableRawBufferPointer, from padOffset: Int
  ) {
    guard bytes.count - position >= MemoryLayout<Word>.size else { return }
    let word =
      bytes.loadUnaligned(fromByteOffset: position, as: Word.self)
      ^ pad.loadUnaligned(fromByteOffset: padOffset + position, as: Word.self)
    bytes.storeBytes(of: word, toByteOffset: position, as: Word.self)
    position += MemoryLayout<Word>.size
  }
}

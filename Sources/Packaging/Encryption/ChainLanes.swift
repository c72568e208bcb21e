// Many short CBC chains at a time.
//
// Each block of a chain waits for the one before it, and a processor that could encrypt eight blocks at once does one. A segment
// under `cbcs` is nothing but short chains, one for each sample of sound and for each slice of a picture, that all begin with the
// same vector: what waits in one is ready in another. So the chains run side by side in lanes. A round takes the next block of every lane, XORs it with the lane's last
// result, encrypts all of them in one call as blocks by themselves, and puts them back:
//
//     lanes      block ^= next of its sample        one call for all lanes        next of its sample = block
//
// Blocks of one chain need not touch: of pictures every tenth is encrypted, so the next one lies 160 bytes further on.
//
// The block of a lane is at once its state: what was encrypted last is what the next one is XORed with. A lane whose sample
// has ended takes the next sample and begins again with the vector, so the lanes stay full to the end. The bytes are those of
// one chain after the other.

/// Encrypts runs of blocks, each a CBC chain of its own that begins with one constant vector.
struct ChainLanes: ~Copyable {
  private struct Lane {
    var next: UnsafeMutableRawPointer
    var blocksLeft: Int
  }

  /// As many blocks as a call for them costs little beside, and few enough to stay in the first-level cache.
  private static var laneCount: Int { 64 }
  private static var blockBytes: Int { 16 }

  private let vector: UInt128
  /// From the start of one block of a run to that of the next.
  private let strideBytes: Int
  private let blocks: UnsafeMutableRawBufferPointer
  private var lanes: [Lane] = []
  private var waiting: [Lane] = []

  /// - Parameters:
  ///   - vector: of the first block of each run.
  ///   - strideBytes: from the start of one block to that of the next; 16 where all are encrypted.
  init(vector: UInt128, strideBytes: Int = 16) {
    // Kept as it lies in memory.
    self.vector = vector.bigEndian
    self.strideBytes = strideBytes
    blocks = .allocate(byteCount: Self.laneCount * Self.blockBytes, alignment: 16)
    lanes.reserveCapacity(Self.laneCount)
  }

  deinit { blocks.deallocate() }

  /// Takes a run of whole blocks; what is left at its end, less than a block, stays as it is. Nothing is encrypted before
  /// `encrypt`, until when the memory must stay.
  mutating func append(_ run: UnsafeMutableRawBufferPointer) {
    guard let start = run.baseAddress, run.count >= Self.blockBytes else { return }
    waiting.append(Lane(next: start, blocksLeft: (run.count - Self.blockBytes) / strideBytes + 1))
  }

  /// Encrypts all runs.
  ///
  /// - Complexity: linear in the blocks; a call for each round of up to 64 of them.
  mutating func encrypt(_ cipher: some BlockCipher) {
    var taken = 0
    while true {
      while lanes.count < Self.laneCount, taken < waiting.count {
        store(vector, lane: lanes.count)
        lanes.append(waiting[taken])
        taken += 1
      }
      guard !lanes.isEmpty else { break }
      // No lane ends within these rounds, so nothing needs to be looked at in them.
      var rounds = Int.max
      for lane in lanes { rounds = min(rounds, lane.blocksLeft) }
      for _ in 0..<rounds { round(cipher) }
      retire(rounds)
    }
    waiting.removeAll(keepingCapacity: true)
  }

  private mutating func round(_ cipher: some BlockCipher) {
    let count = lanes.count
    let blocks = blocks
    let strideBytes = strideBytes
    lanes.withUnsafeMutableBufferPointer { lanes in
      for index in 0..<count {
        let at = index * Self.blockBytes
        let block =
          blocks.load(fromByteOffset: at, as: SIMD2<UInt64>.self)
          ^ lanes[index].next.loadUnaligned(as: SIMD2<UInt64>.self)
        blocks.storeBytes(of: block, toByteOffset: at, as: SIMD2<UInt64>.self)
      }
      cipher.encryptBlocks(UnsafeMutableRawBufferPointer(rebasing: blocks[..<(count * Self.blockBytes)]))
      for index in 0..<count {
        let block = blocks.load(fromByteOffset: index * Self.blockBytes, as: SIMD2<UInt64>.self)
        lanes[index].next.storeBytes(of: block, as: SIMD2<UInt64>.self)
        lanes[index].next += strideBytes
      }
    }
  }

  /// Takes out the lanes that have ended; the last one moves into each gap.
  private mutating func retire(_ rounds: Int) {
    var index = 0
    while index < lanes.count {
      lanes[index].blocksLeft -= rounds
      if lanes[index].blocksLeft > 0 {
        index += 1
        continue
      }
      // The last has not been counted down yet, and is looked at next in its new place.
      let last = lanes.count - 1
      store(blocks.load(fromByteOffset: last * Self.blockBytes, as: UInt128.self), lane: index)
      lanes[index] = lanes[last]
      lanes.removeLast()
    }
  }

  private func store(_ block: UInt128, lane: Int) {
    blocks.storeBytes(of: block, toByteOffset: lane * Self.blockBytes, as: UInt128.self)
  }
}

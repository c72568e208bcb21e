// Many short CBC chains at a time.
//
// Each block of a chain waits for the one before it, and a processor that could encrypt eight blocks at once does one. A segment
// under `cbcs` is nothing but short chains, one for each sample of sound and for each slice of a picture, that all begin with the
// same vector: what waits in one is ready in another. So the chains run side by side in lanes. A round takes the next block of every lane, XORs it
// with the lane's last result, encrypts all of them in one call as blocks by themselves, and puts them back:
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

  private typealias Block = SIMD2<UInt64>

  /// As many blocks as a call for them costs little beside, and few enough to stay in the first-level cache.
  private static var laneCount: Int { 64 }
  private static var blockBytes: Int { 16 }

  /// As it lies in memory.
  private let vector: Block
  /// From the start of one block of a run to that of the next.
  private let strideBytes: Int
  private var waiting: [Lane] = []

  /// - Parameters:
  ///   - vector: of the first block of each run.
  ///   - strideBytes: from the start of one block to that of the next; 16 where all are encrypted.
  init(vector: UInt128, strideBytes: Int = 16) {
    self.vector = withUnsafeBytes(of: vector.bigEndian) { $0.loadUnaligned(as: Block.self) }
    self.strideBytes = strideBytes
  }

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
    guard !waiting.isEmpty else { return }
    waiting.withUnsafeBufferPointer { waiting in
      withUnsafeTemporaryAllocation(of: Lane.self, capacity: Self.laneCount) { lanes in
        withUnsafeTemporaryAllocation(of: Block.self, capacity: Self.laneCount) { blocks in
          encrypt(waiting, lanes, blocks, cipher)
        }
      }
    }
    waiting.removeAll(keepingCapacity: true)
  }

  private func encrypt(
    _ waiting: UnsafeBufferPointer<Lane>, _ lanes: UnsafeMutableBufferPointer<Lane>,
    _ blocks: UnsafeMutableBufferPointer<Block>, _ cipher: some BlockCipher
  ) {
    var count = min(lanes.count, waiting.count)
    var taken = count
    for index in 0..<count {
      lanes.initializeElement(at: index, to: waiting[index])
      blocks.initializeElement(at: index, to: vector ^ Self.block(waiting[index].next))
    }
    while count > 0 {
      cipher.encryptBlocks(
        UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: blocks[..<count])))
      var index = 0
      while index < count {
        lanes[index].next.storeBytes(of: blocks[index], as: Block.self)
        lanes[index].blocksLeft -= 1
        if lanes[index].blocksLeft > 0 {
          lanes[index].next += strideBytes
          blocks[index] ^= Self.block(lanes[index].next)
        } else if taken < waiting.count {
          lanes[index] = waiting[taken]
          blocks[index] = vector ^ Self.block(waiting[taken].next)
          taken += 1
        } else {
          // The last lane moves into the gap, and is looked at there.
          count -= 1
          lanes[index] = lanes[count]
          blocks[index] = blocks[count]
          continue
        }
        index += 1
      }
    }
  }

  @inline(__always)
  private static func block(_ place: UnsafeMutableRawPointer) -> Block { place.loadUnaligned(as: Block.self) }
}

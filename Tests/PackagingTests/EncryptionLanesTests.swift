import Testing

@testable import Packaging

@Suite("Encryption: chains and counters side by side")
struct EncryptionLanesTests {
  /// The same bytes as one chain after the other, for as many runs and lengths as fill the lanes, and do not.
  @Test(arguments: [0, 1, 2, 63, 64, 65, 500]) func everyRunIsAChainOfItsOwn(count: Int) throws {
    let cipher = try OpenSSLCipher(EncryptionFixture.keyBytes)
    let vector = UInt128(bigEndianBytes: EncryptionFixture.iv)
    var random = ReaderRandom(seed: UInt64(count))
    let lengths = (0..<count).map { number in
      number % 7 == 0 ? Int.random(in: 0...40, using: &random) : Int.random(in: 0...900, using: &random)
    }
    let clear = (0..<lengths.reduce(0, +)).map { _ in UInt8.random(in: 0...255, using: &random) }
    var expected = clear
    expected.withUnsafeMutableBytes { bytes in
      var position = 0
      for length in lengths {
        var vector = vector
        let whole = UnsafeMutableRawBufferPointer(rebasing: bytes[position..<position + length / 16 * 16])
        cipher.encryptCBC(whole, vector: &vector)
        position += length
      }
    }
    var found = clear
    found.withUnsafeMutableBytes { bytes in
      var lanes = ChainLanes(vector: vector)
      var position = 0
      for (number, length) in lengths.enumerated() {
        lanes.append(UnsafeMutableRawBufferPointer(rebasing: bytes[position..<position + length]))
        position += length
        // What was taken so far may be encrypted at any time.
        if number == count / 3 { lanes.encrypt(cipher) }
      }
      lanes.encrypt(cipher)
    }
    #expect(found == expected)
  }

  /// Of every tenth block, the same bytes as one chain after the other.
  @Test func blocksOfARunMayLieApart() throws {
    let cipher = try OpenSSLCipher(EncryptionFixture.keyBytes)
    let vector = UInt128(bigEndianBytes: EncryptionFixture.iv)
    var random = ReaderRandom(seed: 7)
    let lengths = (0..<300).map { _ in Int.random(in: 0...3000, using: &random) }
    let clear = (0..<lengths.reduce(0, +)).map { _ in UInt8.random(in: 0...255, using: &random) }
    var expected = clear
    var position = 0
    for length in lengths {
      let starts = stride(from: position, to: position + length - 15, by: 160)
      var blocks = starts.flatMap { clear[$0..<$0 + 16] }
      var chain = vector
      blocks.withUnsafeMutableBytes { cipher.encryptCBC($0, vector: &chain) }
      for (index, start) in starts.enumerated() {
        expected.replaceSubrange(start..<start + 16, with: blocks[16 * index..<16 * index + 16])
      }
      position += length
    }
    var found = clear
    found.withUnsafeMutableBytes { bytes in
      var lanes = ChainLanes(vector: vector, strideBytes: 160)
      var position = 0
      for length in lengths {
        lanes.append(UnsafeMutableRawBufferPointer(rebasing: bytes[position..<position + length]))
        position += length
      }
      lanes.encrypt(cipher)
    }
    #expect(found == expected)
  }

  /// The same bytes as a call for each run, for runs shorter and longer than the pad, and counters that wrap.
  @Test func everyRunHasACounterOfItsOwn() throws {
    let cipher = try OpenSSLCipher(EncryptionFixture.keyBytes)
    var random = ReaderRandom(seed: 11)
    let runs =
      (0..<700).map { number in
        (
          Int.random(in: 0...(number % 50 == 0 ? 9000 : 500), using: &random),
          UInt128.random(in: 0...UInt128.max, using: &random)
        )
      } + [(100, UInt128.max - 2), (100, UInt128(7) << 64 | UInt128(UInt64.max - 2))]
    let clear = (0..<runs.reduce(0) { $0 + $1.0 }).map { _ in UInt8.random(in: 0...255, using: &random) }
    var (expected, found) = (clear, clear)
    expected.withUnsafeMutableBytes { bytes in
      var position = 0
      for (length, counter) in runs {
        let run = UnsafeMutableRawBufferPointer(rebasing: bytes[position..<position + length])
        if length > 0 { cipher.encryptCTR(run, counter: counter) }
        position += length
      }
    }
    found.withUnsafeMutableBytes { bytes in
      var pads = CounterRuns()
      var position = 0
      for (length, counter) in runs {
        let run = UnsafeMutableRawBufferPointer(rebasing: bytes[position..<position + length])
        pads.encrypt(run, counter: counter, cipher)
        position += length
      }
      pads.finish(cipher)
    }
    #expect(found == expected)
  }
}

import Testing

@testable import Packaging

@Suite struct BitReaderTests {
  /// Bits as characters, and what is read of them one by one.
  private struct Plain {
    let bits: [UInt32]
    var position = 0
    var isExhausted = false

    init(_ bytes: [UInt8]) { bits = bytes.flatMap { byte in (0..<8).map { UInt32(byte >> (7 - $0) & 1) } } }

    mutating func bit() -> UInt32 {
      guard position < bits.count else {
        isExhausted = true
        return 0
      }
      position += 1
      return bits[position - 1]
    }

    mutating func number(_ count: Int) -> UInt32 {
      var value: UInt32 = 0
      for _ in 0..<count { value = value << 1 | bit() }
      return value
    }

    mutating func expGolomb() -> UInt32 {
      var zeros = 0
      while !isExhausted, bit() == 0 { zeros += 1 }
      guard zeros < 32 else {
        isExhausted = true
        return 0
      }
      return (1 << UInt32(zeros)) - 1 + number(zeros)
    }
  }

  /// Words at a time or bit by bit, in the middle and at the end: the same numbers, places and ends.
  @Test func wordsAreTheBitsOneByOne() {
    var random = ReaderRandom(seed: 0xB175)
    for round in 0..<400 {
      // Sparse bits give long codes.
      let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random) & UInt8.random(in: 0...255, using: &random)
          & (round % 3 == 0 ? UInt8.random(in: 0...255, using: &random) : 255)
          & (round % 9 == 0 ? 1 : 255)
      }
      var plain = Plain(bytes)
      var reader = BitReader(bytes.span)
      for _ in 0..<60 {
        let found: UInt32
        let expected: UInt32
        switch Int.random(in: 0...3, using: &random) {
        case 0:
          let count = Int.random(in: 0...32, using: &random)
          found = reader.bits(count)
          expected = plain.number(count)
        case 1: (found, expected) = (reader.bit(), plain.bit())
        default: (found, expected) = (reader.ue(), plain.expGolomb())
        }
        let (position, isExhausted) = (reader.bitPosition, reader.isExhausted)
        #expect(found == expected && position == plain.position && isExhausted == plain.isExhausted)
      }
    }
  }

  @Test func theLongestCodes() {
    for (bytes, expected) in [
      ([0, 0, 0, 0x10, 0, 0, 0, 0, 0], UInt32(1 << 27) - 1),
      ([0, 0, 0, 0x08, 0, 0, 0, 0, 0], UInt32(1 << 28) - 1),
      ([0, 0, 0, 0x01, 0xFF, 0xFF, 0xFF, 0xFE, 0], UInt32.max - 1),
    ] as [([UInt8], UInt32)] {
      var reader = BitReader(bytes.span)
      let (found, isExhausted) = (reader.ue(), reader.isExhausted)
      #expect(found == expected && !isExhausted)
    }
    let zeros = [UInt8](repeating: 0, count: 12)
    var reader = BitReader(zeros.span)
    let (found, isExhausted) = (reader.ue(), reader.isExhausted)
    #expect(found == 0 && isExhausted)
  }
}

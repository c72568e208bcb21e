/// A 64-bit checksum against accidents (torn writes, rotten sectors), not against an adversary.
///
/// FNV-1a taken eight bytes at a time with a fold after each multiplication, so that high bits reach low ones;
/// the tail goes byte by byte and the length is mixed in last.
enum Checksum {
  private static let prime: UInt64 = 0x9E37_79B1_85EB_CA87

  static func of(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt64 {
    var sum: UInt64 = 0xCBF2_9CE4_8422_2325
    var index = range.lowerBound
    while range.upperBound - index >= 8 {
      sum ^= bytes.bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian
      sum = sum &* prime
      sum ^= sum >> 32
      index += 8
    }
    while index < range.upperBound {
      sum ^= UInt64(bytes[index])
      sum = sum &* prime
      sum ^= sum >> 29
      index += 1
    }
    sum ^= UInt64(range.count)
    sum = sum &* prime
    return sum ^ sum >> 32
  }

  static func of(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64 { of(bytes.span, range) }
}

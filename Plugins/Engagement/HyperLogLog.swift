// How many different things were seen, in a few kilobytes
//
// HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007): of the 64 bits of a thing's hash 12 choose a register, and the register
// keeps the longest run of zeros that the others began with. From 4096 registers the number follows with a standard error of
// 1.04 / √4096 = 1.6 %; small numbers follow from the registers that are still empty (linear counting), which is exact but
// for a few per cent. Up to 64 hashes are kept themselves, so that most videos cost little.

/// An estimate of the number of different elements.
struct HyperLogLog: Sendable {
  private static let indexBits = 12
  private static let registers = 1 << indexBits
  private static let mostSmall = 64

  private var small: Set<UInt64> = []
  /// Empty as long as `small` has room.
  private var ranks: [UInt8] = []

  /// - Parameter hash: of the element, evenly spread over all its bits.
  mutating func insert(hash: UInt64) {
    guard ranks.isEmpty else { return note(hash) }
    small.insert(hash)
    guard small.count > Self.mostSmall else { return }
    ranks = Array(repeating: 0, count: Self.registers)
    for hash in small { note(hash) }
    small = []
  }

  private mutating func note(_ hash: UInt64) {
    let register = Int(hash >> UInt64(64 - Self.indexBits))
    // A bit behind the rest ends the run.
    let rest = hash << UInt64(Self.indexBits) | 1 << UInt64(Self.indexBits - 1)
    ranks[register] = max(ranks[register], UInt8(rest.leadingZeroBitCount + 1))
  }

  /// Both together.
  mutating func merge(_ other: HyperLogLog) {
    for hash in other.small { insert(hash: hash) }
    guard !other.ranks.isEmpty else { return }
    if ranks.isEmpty {
      let mine = small
      (ranks, small) = (other.ranks, [])
      for hash in mine { note(hash) }
    } else {
      for index in ranks.indices { ranks[index] = max(ranks[index], other.ranks[index]) }
    }
  }

  var estimate: Int {
    guard !ranks.isEmpty else { return small.count }
    let count = Double(Self.registers)
    let raw = 0.7213 / (1 + 1.079 / count) * count * count / ranks.reduce(0) { $0 + Self.inverse[Int($1)] }
    let empty = ranks.count { $0 == 0 }
    guard raw <= 2.5 * count, empty > 0 else { return Int(raw.rounded()) }
    return Int((count * Self.naturalLogarithm(count / Double(empty))).rounded())
  }

  /// 2^-n for each rank.
  private static let inverse: [Double] = (0...64).map {
    1 / Double(sign: .plus, exponent: $0, significand: 1)
  }

  /// Of a number of at least 1, without the C library: ln x = 2 · artanh((m - 1) / (m + 1)) + e · ln 2.
  private static func naturalLogarithm(_ x: Double) -> Double {
    let ratio = (x.significand - 1) / (x.significand + 1)
    var term = ratio
    var sum = 0.0
    for odd in stride(from: 1.0, through: 41, by: 2) {
      sum += term / odd
      term *= ratio * ratio
    }
    return 2 * sum + Double(x.exponent) * 0.693147180559945309
  }
}

/// A cursor over bits, most significant first. Reads past the end give 0 and set `isExhausted`, so that a parser of many
/// small fields checks once at its end.
struct BitReader: ~Escapable {
  private let bytes: Span<UInt8>
  private(set) var bitPosition = 0
  private(set) var isExhausted = false

  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>) { self.bytes = bytes }

  var bitsLeft: Int { bytes.count * 8 - bitPosition }

  mutating func bit() -> UInt32 {
    guard bitsLeft > 0 else {
      isExhausted = true
      return 0
    }
    let byte = bytes[bitPosition >> 3]
    let value = UInt32(byte >> UInt8(7 - bitPosition & 7)) & 1
    bitPosition += 1
    return value
  }

  mutating func flag() -> Bool { bit() == 1 }

  /// The bits from here on, at least 57 of them, from the highest down; nil within the last eight bytes, and once exhausted.
  @inline(__always)
  private var window: UInt64? {
    let byte = bitPosition >> 3
    guard !isExhausted, bytes.count - byte >= 8 else { return nil }
    let word = bytes.bytes.unsafeLoadUnaligned(fromByteOffset: byte, as: UInt64.self).bigEndian
    return word << UInt64(bitPosition & 7)
  }

  /// Up to 32 bits as a number.
  mutating func bits(_ count: Int) -> UInt32 {
    if (1...32).contains(count), let window {
      bitPosition += count
      return UInt32(truncatingIfNeeded: window >> UInt64(64 - count))
    }
    var value: UInt32 = 0
    for _ in 0..<count { value = value << 1 | bit() }
    return value
  }

  mutating func skip(_ count: Int) {
    guard count <= bitsLeft else {
      bitPosition = bytes.count * 8
      isExhausted = true
      return
    }
    bitPosition += count
  }

  mutating func alignToByte() { skip((8 - bitPosition & 7) & 7) }

  /// Unsigned Exp-Golomb code (ISO/IEC 14496-10 §9.1); values above 2³² − 2 exhaust the reader.
  mutating func ue() -> UInt32 {
    if let window, window >> 36 != 0 {
      // At most 27 zeros, so that the whole code is in the window.
      let bits = 2 * window.leadingZeroBitCount + 1
      bitPosition += bits
      return UInt32(truncatingIfNeeded: window >> UInt64(64 - bits)) - 1
    }
    var zeros = 0
    while !isExhausted, bit() == 0 { zeros += 1 }
    guard zeros < 32 else {
      isExhausted = true
      return 0
    }
    return (1 << UInt32(zeros)) - 1 + bits(zeros)
  }

  /// Signed Exp-Golomb code.
  mutating func se() -> Int32 {
    let code = ue()
    return code & 1 == 1 ? Int32(code / 2 + 1) : -Int32(code / 2)
  }
}

/// The names of assets.
public enum AssetID {
  /// Longest id, in bytes.
  public static let maximumBytes = 64

  private static let digits: StaticString = "0123456789abcdefghjkmnpqrstvwxyz"

  /// A new id of 26 characters that sorts by the time it was made.
  ///
  /// 48 bits of milliseconds, then 80 random bits, in Crockford's base 32 in lower case. Ids made within one
  /// millisecond sort at random.
  public static func make() -> String { make(atMilliseconds: Disk.nowMilliseconds()) }

  static func make(atMilliseconds now: Int64) -> String {
    var generator = SystemRandomNumberGenerator()
    let time = UInt64(truncatingIfNeeded: max(0, now)) & 0xffff_ffff_ffff
    let low: UInt64 = generator.next()
    // 130 bits for 128: the first digit holds three bits.
    let number =
      UInt128(time) << 80 | UInt128(UInt16.random(in: .min ... .max, using: &generator)) << 64
      | UInt128(low)
    return String(unsafeUninitializedCapacity: 26) { text in
      for index in 0..<26 {
        let digit = Int(truncatingIfNeeded: number >> UInt128((25 - index) * 5)) & 31
        text[index] = digits.utf8Start[digit]
      }
      return 26
    }
  }

  /// Whether an id is `[A-Za-z0-9_-]{1,64}`.
  public static func isValid(_ id: some StringProtocol) -> Bool { isValid(bytes: id.utf8) }

  /// Whether ASCII bytes are `[A-Za-z0-9_-]{1,64}`.
  public static func isValid(bytes: some Sequence<UInt8>) -> Bool {
    var count = 0
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
        count += 1
      default: return false
      }
      if count > maximumBytes { return false }
    }
    return count > 0
  }
}

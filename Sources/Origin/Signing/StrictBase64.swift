/// Base64 in which one text stands for one sequence of bytes, and no other text does.
///
/// White space, the other alphabet, padding where there should be none and bits that stand for nothing are refused
/// (RFC 4648 §3.5): each would be a second spelling of a signature.
public enum StrictBase64 {
  /// RFC 4648 §4, with padding.
  public static func encode(_ bytes: [UInt8]) -> String {
    let digits = encodeURL(bytes).map { $0 == 0x2D ? UInt8(ascii: "+") : $0 == 0x5F ? UInt8(ascii: "/") : $0 }
    return String(decoding: digits, as: UTF8.self) + String(repeating: "=", count: (4 - digits.count % 4) % 4)
  }

  /// RFC 4648 §5 without padding.
  static func decodeURL(_ text: some Collection<UInt8>) -> [UInt8]? {
    decode(text, 0x2D, 0x5F)
  }

  static func encodeURL(_ bytes: [UInt8]) -> [UInt8] {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count * 4 + 2) / 3)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let count = min(3, bytes.count - start)
      var group: UInt32 = 0
      for index in 0..<3 { group = group << 8 | (index < count ? UInt32(bytes[start + index]) : 0) }
      for index in 0...count { text.append(alphabet[Int(group >> UInt32(18 - 6 * index)) & 63]) }
    }
    return text
  }

  /// Digits with these two in the places 62 and 63, and nothing else.
  static func decode(_ text: some Collection<UInt8>, _ digit62: UInt8, _ digit63: UInt8) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3 + 2)
    var group: UInt32 = 0
    var digits = 0
    for byte in text {
      let value: UInt8
      switch byte {
      case 0x41...0x5A: value = byte - 0x41
      case 0x61...0x7A: value = byte - 0x47
      case 0x30...0x39: value = byte + 4
      case digit62: value = 62
      case digit63: value = 63
      default: return nil
      }
      group = group << 6 | UInt32(value)
      digits += 1
      if digits % 4 == 0 {
        for shift in [UInt32(16), 8, 0] { bytes.append(UInt8(truncatingIfNeeded: group >> shift)) }
        group = 0
      }
    }
    switch digits % 4 {
    case 0: break
    case 2 where group & 15 == 0: bytes.append(UInt8(truncatingIfNeeded: group >> 4))
    case 3 where group & 3 == 0:
      bytes.append(UInt8(truncatingIfNeeded: group >> 10))
      bytes.append(UInt8(truncatingIfNeeded: group >> 2))
    default: return nil
    }
    return bytes
  }
}

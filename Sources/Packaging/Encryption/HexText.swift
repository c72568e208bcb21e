/// Bytes as hexadecimal digits.
enum HexText {
  /// Two digits a byte, in lower case.
  static func digits(_ bytes: [UInt8]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(2 * bytes.count)
    for byte in bytes {
      text.append(digit(byte >> 4))
      text.append(digit(byte & 15))
    }
    return text
  }

  /// Sixteen bytes in the form of RFC 9562 §4: 8, 4, 4, 4 and 12 digits.
  static func uuid(_ bytes: [UInt8]) -> [UInt8] {
    var text = digits(bytes)
    for position in [20, 16, 12, 8] where text.count > position { text.insert(0x2D, at: position) }
    return text
  }

  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x57 + value
  }
}

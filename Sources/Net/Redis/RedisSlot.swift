// Which of a cluster's 16384 slots a key belongs to (Redis cluster specification, "Key distribution model").
//
//     slot = CRC16-XMODEM(hashed part of the key) mod 16384
//
// The hashed part is what lies between the first `{` and the next `}`, where that is not empty; else the whole key. So keys
// that share a tag share a slot, and may stand together in a script.

/// The slots of a Redis cluster.
enum RedisSlot {
  static let count = 16384

  static func of(_ key: [UInt8]) -> Int { Int(crc16(hashedPart(of: key)) % UInt16(count)) }

  static func hashedPart(of key: [UInt8]) -> ArraySlice<UInt8> {
    guard let open = key.firstIndex(of: UInt8(ascii: "{")),
      let close = key[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
    else { return key[...] }
    return key[(open + 1)..<close]
  }

  /// Polynomial 0x1021, starting at 0, not reflected: 0x31C3 for "123456789".
  static func crc16(_ bytes: some Sequence<UInt8>) -> UInt16 {
    var crc: UInt16 = 0
    for byte in bytes {
      crc ^= UInt16(byte) << 8
      for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
    }
    return crc
  }
}

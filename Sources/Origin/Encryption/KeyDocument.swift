// What a key service answers: one content key, as JSON of at most 4 KiB.
//
//     {"kid": "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf", "key": "XsLn1wABAgMEBQYHCAkKCw", "iv": "…"}
//
// Each is 16 bytes: 32 hex digits, for `kid` also in the form of a UUID, or Base64 with the alphabet of URLs and without
// padding, as Clear Key writes them (RFC 4648 §5; W3C Encrypted Media Extensions §9.1.4). The constant vector may be left
// out and then follows from the KID as in a key file. Other members are not looked at.

import FoundationEssentials
import Packaging

enum KeyDocument {
  static let largestBytes = 4096

  private struct Members: Decodable {
    var kid: String
    var key: String
    var iv: String?
  }

  /// The key in the document, with a vector; nil where it is not what the head of this file says.
  static func parse(_ bytes: [UInt8]) -> ContentKey? {
    guard bytes.count <= largestBytes,
      let members = try? JSONDecoder().decode(Members.self, from: Data(bytes)),
      let keyID = sixteenBytes(withoutHyphens(members.kid)), let key = sixteenBytes(members.key)
    else { return nil }
    guard let text = members.iv else {
      return ContentKey(id: keyID, key: key, iv: KeyRing.vector(keyID: keyID))
    }
    guard let iv = sixteenBytes(text) else { return nil }
    return ContentKey(id: keyID, key: key, iv: iv)
  }

  /// A UUID as hex digits; any other text as it is.
  private static func withoutHyphens(_ text: String) -> String {
    let groups = text.split(separator: "-", omittingEmptySubsequences: false)
    return groups.map(\.utf8.count) == [8, 4, 4, 4, 12] ? groups.joined() : text
  }

  private static func sixteenBytes(_ text: String) -> [UInt8]? {
    switch text.utf8.count {
    case 32:
      let values = text.compactMap(\.hexDigitValue)
      guard values.count == 32, text.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
      return stride(from: 0, to: 32, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
    case 22:
      // The last of 22 digits has four bits that mean nothing and must be zero, or two texts would be one key.
      var bits: UInt128 = 0
      var last = 0
      for byte in text.utf8 {
        guard let value = base64Value(byte) else { return nil }
        bits = bits << 6 | UInt128(value)
        last = value
      }
      // 132 bits do not fit: the first six are gone by now, and come back from the text.
      guard last & 15 == 0, let first = text.utf8.first.flatMap(base64Value) else { return nil }
      let number = UInt128(first) << 122 | bits >> 4 & ((1 << 122) - 1)
      return withUnsafeBytes(of: number.bigEndian) { Array($0) }
    default: return nil
    }
  }

  private static func base64Value(_ byte: UInt8) -> Int? {
    switch byte {
    case 0x41...0x5A: Int(byte) - 0x41
    case 0x61...0x7A: Int(byte) - 0x61 + 26
    case 0x30...0x39: Int(byte) - 0x30 + 52
    case UInt8(ascii: "-"): 62
    case UInt8(ascii: "_"): 63
    default: nil
    }
  }
}

/// A language tag that may be written into a box or a manifest as it is.
///
/// Only the shape of BCP 47 is checked: subtags of one to eight letters or digits, the first of letters,
/// joined by hyphens. That is the pattern of `xs:language`, and it leaves nothing to escape.
struct WrittenLanguage: Equatable {
  let bytes: [UInt8]

  /// What `mdhd` says of a language nobody knows: `und`.
  static let packedUndetermined: UInt16 = 0x55C4

  /// `nil` for what is not a tag, and for `und`, which says no more than its absence.
  init?(_ text: String) {
    let bytes = Array(text.utf8)
    guard bytes.count <= 64, bytes != Array("und".utf8) else { return nil }
    var isFirstSubtag = true
    var subtagBytes = 0
    for byte in bytes {
      switch byte {
      case 0x2D:
        guard subtagBytes > 0 else { return nil }
        isFirstSubtag = false
        subtagBytes = 0
        continue
      case 0x41...0x5A, 0x61...0x7A: break
      case 0x30...0x39 where !isFirstSubtag: break
      default: return nil
      }
      subtagBytes += 1
      guard subtagBytes <= 8 else { return nil }
    }
    guard subtagBytes > 0 else { return nil }
    self.bytes = bytes
  }

  /// The language without script, region and the like, in small letters.
  var primary: [UInt8] {
    bytes.prefix { $0 != 0x2D }.map { $0 | 0x20 }
  }

  /// The three letters of ISO 639-2 in five bits each, as `mdhd` stores them; `nil` for any other tag.
  var packed: UInt16? {
    guard bytes.count == 3 else { return nil }
    var word: UInt16 = 0
    for byte in bytes {
      guard byte >= 0x61 else { return nil }
      word = word << 5 | UInt16(byte - 0x60)
    }
    return word
  }
}

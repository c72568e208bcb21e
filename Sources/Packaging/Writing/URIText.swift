/// Makes text from outside fit for a URI reference, once for each manifest.
enum URIText {
  /// A name as one path segment: all but the unreserved characters of RFC 3986 §2.3 is percent-encoded. The
  /// result is also a valid identifier of a DASH Representation.
  static func pathSegment(_ name: String) -> [UInt8] {
    encoded(name) { isUnreserved($0) }
  }

  /// A reference, or the front or the end of one: what has a meaning in a URI stays, percent signs
  /// too, and what may not occur in one is percent-encoded: spaces, quotes, line ends, braces, and `#`,
  /// because no child of a manifest is a fragment.
  static func reference(_ text: String) -> [UInt8] {
    encoded(text) { byte in
      switch byte {
      case 0x21, 0x24...0x2F, 0x3A, 0x3B, 0x3D, 0x3F, 0x40, 0x5B, 0x5D: true  // ! $%&'()*+,-./ : ; = ? @ [ ]
      default: isUnreserved(byte)
      }
    }
  }

  /// The end of a reference, or the mark of one that is not known yet.
  static func suffix(_ text: String) -> [UInt8] {
    text == ManifestTemplate.suffix ? [ManifestTemplate.mark] : reference(text)
  }

  private static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: true
    default: false
    }
  }

  private static func encoded(_ text: String, keeping isKept: (UInt8) -> Bool) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count)
    for byte in text.utf8 {
      if isKept(byte) {
        bytes.append(byte)
      } else {
        bytes.append(0x25)
        bytes.append(hexDigit(byte >> 4))
        bytes.append(hexDigit(byte & 15))
      }
    }
    return bytes
  }

  private static func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x37 + value
  }
}

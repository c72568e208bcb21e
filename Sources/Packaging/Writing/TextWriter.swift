/// Writes manifests as UTF-8 into one growing array, and escapes what comes from outside.
///
/// Literals are written as they are. Text that a user or a file had a say in goes through the writer of
/// its place: `quoted` in a playlist, `escaped` in XML, and `URIText` in a URI.
struct TextWriter {
  private(set) var bytes: [UInt8]

  init(capacityBytes: Int) {
    bytes = []
    bytes.reserveCapacity(capacityBytes)
  }

  mutating func literal(_ text: StaticString) {
    text.withUTF8Buffer { bytes.append(contentsOf: $0) }
  }

  mutating func raw(_ source: [UInt8]) {
    bytes.append(contentsOf: source)
  }

  /// At least `minimumDigits` digits, filled with zeros in front; 20 are the most there are.
  mutating func decimal(_ value: UInt64, minimumDigits: Int = 1) {
    decimal(value, fractionDigits: 0, minimumDigits: minimumDigits)
  }

  /// A count of thousandths as a number with three decimals.
  mutating func thousandths(_ value: UInt64) {
    decimal(value, fractionDigits: 3, minimumDigits: 4)
  }

  /// A count of millionths as a number with six decimals.
  mutating func millionths(_ value: UInt64) {
    decimal(value, fractionDigits: 6, minimumDigits: 7)
  }

  /// One append for a whole number: playlists are mostly numbers.
  private mutating func decimal(_ value: UInt64, fractionDigits: Int, minimumDigits: Int) {
    var digits = InlineArray<21, UInt8>(repeating: 0x30)
    var start = 21
    var rest = value
    for position in 0..<20 {
      guard rest > 0 || position < minimumDigits else { break }
      if position == fractionDigits, position > 0 {
        start -= 1
        digits[start] = 0x2E
      }
      start -= 1
      digits[start] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
    digits.span.extracting(start..<21).withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
  }

  /// A quoted string of RFC 8216bis §4.2. It can hold neither quotes nor line ends, so a quote becomes an
  /// apostrophe and control characters go; an opening brace, which would start a variable, becomes a
  /// parenthesis.
  mutating func quoted(_ text: String) {
    literal("\"")
    for byte in text.utf8 {
      switch byte {
      case 0x22: bytes.append(0x27)
      case 0x7B: bytes.append(0x28)
      case 0x7D: bytes.append(0x29)
      case 0..<0x20, 0x7F: break
      default: bytes.append(byte)
      }
    }
    literal("\"")
  }

  /// ASCII text for an XML attribute or element: URIs, which are percent-encoded before, and codec strings. What
  /// is not printable ASCII has no place in either, and goes.
  mutating func escaped(_ text: [UInt8]) {
    for byte in text {
      switch byte {
      case 0x26: literal("&amp;")
      case 0x3C: literal("&lt;")
      case 0x3E: literal("&gt;")
      case 0x22: literal("&quot;")
      case 0x27: literal("&apos;")
      case 0x20..<0x7F: bytes.append(byte)
      default: break
      }
    }
  }

  /// Any text between XML tags. Control characters and what else no XML may hold (XML 1.0 §2.2) goes.
  mutating func text(_ text: String) {
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x26: literal("&amp;")
      case 0x3C: literal("&lt;")
      case 0x3E: literal("&gt;")
      case 0..<0x20, 0x7F..<0xA0, 0xFFFE, 0xFFFF: break
      default: bytes.append(contentsOf: String(scalar).utf8)
      }
    }
  }
}

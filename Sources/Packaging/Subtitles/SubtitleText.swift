// The bytes of a text file as lines of UTF-8.
//
// Subtitle files say nothing about their encoding, so it is found like this, in this order: a byte order mark of
// UTF-8 or UTF-16; bytes that are valid UTF-8; else one byte a character. For the last the table is Windows-1252, which
// is Latin-1 with printable characters where that has control codes: the quotes, dashes and euro signs that old
// editors wrote. No single-byte encoding can be told from another, so other code pages come out as wrong letters,
// never as an error.

enum SubtitleText {
  /// The text of a file as UTF-8 without a byte order mark, every line end a line feed.
  ///
  /// - Complexity: linear; the result has at most three times the bytes of the source.
  static func decoded(_ bytes: [UInt8]) -> [UInt8] {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { return withLineFeeds(utf8(Array(bytes[3...]))) }
    if bytes.starts(with: [0xFF, 0xFE]) { return withLineFeeds(utf16(bytes, highByte: 1)) }
    if bytes.starts(with: [0xFE, 0xFF]) { return withLineFeeds(utf16(bytes, highByte: 0)) }
    return withLineFeeds(utf8(bytes))
  }

  private static func utf8(_ bytes: [UInt8]) -> [UInt8] {
    if String(validating: bytes, as: UTF8.self) != nil { return bytes }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count + bytes.count / 4)
    for byte in bytes {
      switch byte {
      case 0..<0x80: result.append(byte)
      case 0x80..<0xA0: result.append(contentsOf: String(windows1252[Int(byte) - 0x80]).utf8)
      default: result += [0xC0 | byte >> 6, 0x80 | byte & 0x3F]
      }
    }
    return result
  }

  /// - Parameter highByte: which of a pair's bytes is the high one. An odd last byte is not used.
  private static func utf16(_ bytes: [UInt8], highByte: Int) -> [UInt8] {
    var units: [UInt16] = []
    units.reserveCapacity(bytes.count / 2)
    for pair in stride(from: 2, to: bytes.count - 1, by: 2) {
      units.append(UInt16(bytes[pair + highByte]) << 8 | UInt16(bytes[pair + 1 - highByte]))
    }
    return Array(String(decoding: units, as: UTF16.self).utf8)
  }

  private static func withLineFeeds(_ text: [UInt8]) -> [UInt8] {
    guard text.contains(0x0D) else { return text }
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var isAfterReturn = false
    for byte in text {
      if byte == 0x0D {
        result.append(0x0A)
      } else if byte != 0x0A || !isAfterReturn {
        result.append(byte)
      }
      isAfterReturn = byte == 0x0D
    }
    return result
  }

  /// Windows-1252 from 0x80 to 0x9F; what it leaves open are the control codes of Latin-1.
  private static let windows1252 = Array(
    "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8D}Ž\u{8F}\u{90}‘’“”•–—˜™š›œ\u{9D}žŸ".unicodeScalars)
}

/// A cursor over the lines of a text that ends its lines with line feeds.
struct TextLines {
  let text: [UInt8]
  /// Where the next line starts.
  private(set) var position = 0

  init(_ text: [UInt8]) { self.text = text }

  /// The next line without its line end, or nil at the end of the text; does not move.
  func peek() -> Range<Int>? {
    guard position < text.count else { return nil }
    let end = text[position...].firstIndex(of: 0x0A) ?? text.count
    return position..<end
  }

  mutating func next() -> Range<Int>? {
    guard let line = peek() else { return nil }
    position = line.upperBound + 1
    return line
  }
}

extension UInt8 {
  var isBlank: Bool { self == 0x20 || self == 0x09 }
  var isDigit: Bool { (0x30...0x39).contains(self) }
  var isLetter: Bool { (0x61...0x7A).contains(self | 0x20) }
  var lowercased: UInt8 { (0x41...0x5A).contains(self) ? self | 0x20 : self }
}

extension Array where Element == UInt8 {
  /// The range without blanks at its ends.
  func trimmed(_ range: Range<Int>) -> Range<Int> {
    var (start, end) = (range.lowerBound, range.upperBound)
    while start < end, self[start].isBlank { start += 1 }
    while end > start, self[end - 1].isBlank { end -= 1 }
    return start..<end
  }

  /// Where `-->` starts within a range.
  func arrow(in range: Range<Int>) -> Int? {
    var index = range.lowerBound
    while index + 3 <= range.upperBound {
      if self[index] == 0x2D, self[index + 1] == 0x2D, self[index + 2] == 0x3E { return index }
      index += 1
    }
    return nil
  }

  /// Whether the range starts with the text, small and capital letters taken for the same.
  func hasPrefix(_ prefix: StaticString, in range: Range<Int>) -> Bool {
    guard range.count >= prefix.utf8CodeUnitCount else { return false }
    return prefix.withUTF8Buffer { wanted in
      wanted.indices.allSatisfy { self[range.lowerBound + $0].lowercased == wanted[$0].lowercased }
    }
  }

  func string(_ range: Range<Int>) -> String { String(decoding: self[range], as: UTF8.self) }

  mutating func append(literal text: StaticString) {
    text.withUTF8Buffer { append(contentsOf: $0) }
  }
}

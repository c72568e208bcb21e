// The text of a CMCD dictionary (RFC 9651 §3.2, with what version 1 allows beside it: blanks around commas).

extension CMCD {
  /// A whole dictionary; nil for what is none. An empty one is one.
  public init?(dictionary text: [UInt8]) {
    guard text.count <= Self.mostBytes else { return nil }
    var reader = CMCDReader(text)
    guard let read = reader.dictionary() else { return nil }
    self = read
  }
}

private struct CMCDReader {
  private let text: [UInt8]
  private var position = 0

  init(_ text: [UInt8]) { self.text = text }

  private var next: UInt8? { position < text.count ? text[position] : nil }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard next == byte else { return false }
    position += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x09 { position += 1 }
  }

  mutating func dictionary() -> CMCD? {
    var found = CMCD()
    skipSpace()
    var count = 0
    while position < text.count {
      count += 1
      guard count <= CMCD.mostValues, let name = key() else { return nil }
      var value = CMCD.Value.flag(true)
      if take(UInt8(ascii: "=")) {
        guard let read = next == UInt8(ascii: "(") ? list() : bareItem() else { return nil }
        value = read
      }
      guard parameters() != nil else { return nil }
      if let key = CMCD.Key(rawValue: name), let sound = key.sound(value) { found.set(key, sound) }
      skipSpace()
      guard position < text.count else { break }
      guard take(UInt8(ascii: ",")) else { return nil }
      skipSpace()
      // A comma at the end is one too many.
      if position == text.count { return nil }
    }
    return found
  }

  /// Letters, digits and `_-.*`; those with a hyphen are somebody's own.
  private mutating func key() -> String? {
    let start = position
    while let byte = next {
      switch byte {
      case 0x61...0x7A, 0x41...0x5A, 0x30...0x39, 0x5F, 0x2D, 0x2E, 0x2A: position += 1
      default: return position > start ? string(start..<position) : nil
      }
    }
    return position > start ? string(start..<position) : nil
  }

  private func string(_ range: Range<Int>) -> String { String(decoding: text[range], as: Unicode.UTF8.self) }

  private mutating func bareItem() -> CMCD.Value? {
    guard let first = next else { return nil }
    switch first {
    case UInt8(ascii: "\""): return quoted()
    case UInt8(ascii: "?"): return flag()
    case 0x30...0x39, UInt8(ascii: "-"): return number()
    default: return token()
    }
  }

  private mutating func quoted() -> CMCD.Value? {
    position += 1
    var bytes: [UInt8] = []
    while let byte = next {
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        return String(validating: bytes, as: Unicode.UTF8.self).map { .string($0) }
      case UInt8(ascii: "\\"):
        guard let escaped = next, escaped == UInt8(ascii: "\"") || escaped == UInt8(ascii: "\\") else {
          return nil
        }
        position += 1
        bytes.append(escaped)
      case ..<0x20, 0x7F: return nil
      default: bytes.append(byte)
      }
    }
    return nil
  }

  private mutating func flag() -> CMCD.Value? {
    position += 1
    if take(UInt8(ascii: "1")) { return .flag(true) }
    return take(UInt8(ascii: "0")) ? .flag(false) : nil
  }

  /// At most 15 digits, of which three stand behind the point.
  private mutating func number() -> CMCD.Value? {
    let isNegative = take(UInt8(ascii: "-"))
    var whole: Int64 = 0
    var digits = 0
    while let byte = next, ASCII.isDigit(byte) {
      digits += 1
      guard digits <= 15 else { return nil }
      whole = whole * 10 + Int64(byte - ASCII.zero)
      position += 1
    }
    guard digits > 0 else { return nil }
    guard take(UInt8(ascii: ".")) else { return .integer(isNegative ? -whole : whole) }
    guard digits <= 12 else { return nil }
    var places = 0
    while let byte = next, ASCII.isDigit(byte) {
      places += 1
      guard places <= 15 else { return nil }
      if places <= 3 { whole = whole * 10 + Int64(byte - ASCII.zero) }
      position += 1
    }
    guard places > 0 else { return nil }
    for _ in 0..<max(0, 3 - places) { whole *= 10 }
    return .thousandths(isNegative ? -whole : whole)
  }

  private mutating func token() -> CMCD.Value? {
    let start = position
    while let byte = next {
      switch byte {
      case 0x20, 0x09, 0x2C, 0x3B, 0x28, 0x29, 0x22, 0x3D: return end(start)
      case 0x21...0x7E: position += 1
      default: return nil
      }
    }
    return end(start)
  }

  private func end(_ start: Int) -> CMCD.Value? { position > start ? .token(string(start..<position)) : nil }

  private mutating func list() -> CMCD.Value? {
    position += 1
    var members: [CMCD.Member] = []
    while true {
      while take(0x20) {}
      if take(UInt8(ascii: ")")) { return .list(members) }
      guard members.count < CMCD.mostListed, let value = bareItem(), let type = parameters() else {
        return nil
      }
      members.append(CMCD.Member(value: value, objectType: type.isEmpty ? nil : type))
      guard next == 0x20 || next == UInt8(ascii: ")") else { return nil }
    }
  }

  /// The name of the first parameter that has no value; empty where there is none, nil for what is malformed.
  private mutating func parameters() -> String? {
    var type = ""
    var count = 0
    while take(UInt8(ascii: ";")) {
      count += 1
      while take(0x20) {}
      guard count <= CMCD.mostListed, let name = key() else { return nil }
      if take(UInt8(ascii: "=")) {
        guard bareItem() != nil else { return nil }
      } else if type.isEmpty {
        type = name
      }
    }
    return type
  }
}

extension CMCD.Key {
  private enum Kind {
    case flag
    case number
    case numbers
    case token
    case text(most: Int)
    case texts(most: Int)
  }

  private var kind: Kind {
    switch self {
    case .bg, .bs, .nr, .su: .flag
    case .d, .dfa, .dl, .ltc, .msd, .pr, .pt, .rc, .rtp, .sn, .ts, .ttfb, .ttfbb, .ttlb, .v: .number
    case .ab, .bl, .br, .bsa, .bsd, .bsda, .lab, .lb, .mtp, .pb, .tab, .tb, .tbl, .tpb: .numbers
    case .e, .ot, .sf, .st, .sta: .token
    case .sid, .cen: .text(most: 64)
    case .cid, .cdn, .h: .text(most: 128)
    case .cs, .nrr: .text(most: 256)
    case .url: .text(most: 1024)
    case .ec: .texts(most: 64)
    case .nor: .texts(most: 1024)
    }
  }

  /// The value where it is one of this key's; nil where it is of another type, negative, or too long.
  fileprivate func sound(_ value: CMCD.Value) -> CMCD.Value? {
    switch (kind, value) {
    case (.flag, .flag): value
    case (.number, _), (.numbers, .integer), (.numbers, .thousandths): Self.isCount(value) ? value : nil
    case (.numbers, .list(let members)): members.allSatisfy { Self.isCount($0.value) } ? value : nil
    case (.token, .token(let text)): text.utf8.count <= 16 ? value : nil
    case (.text(let most), _), (.texts(let most), .string), (.texts(let most), .token):
      Self.isText(value, most) ? value : nil
    case (.texts(let most), .list(let members)):
      members.allSatisfy { Self.isText($0.value, most) } ? value : nil
    default: nil
    }
  }

  private static func isCount(_ value: CMCD.Value) -> Bool {
    switch value {
    case .integer(let number), .thousandths(let number): number >= 0
    default: false
    }
  }

  /// ASCII, as RFC 9651 has it. Some clients forget the quotes of an identifier.
  private static func isText(_ value: CMCD.Value, _ most: Int) -> Bool {
    switch value {
    case .string(let text), .token(let text): text.utf8.count <= most && text.utf8.allSatisfy { $0 < 0x80 }
    default: false
    }
  }
}

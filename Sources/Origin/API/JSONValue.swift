// JSON as the API takes it (RFC 8259), read more strictly than most do
//
// What two readers could understand in two ways is refused: a key that is there twice, a lone surrogate, bytes that are not
// UTF-8, a number that does not fit. Nesting and the number of values are bounded, so that a body within its limit in bytes
// is within a limit in memory and stack, too. Numbers keep their text: whole ones are exact up to 64 bits.

import HTTP

/// A JSON text, taken apart.
public indirect enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  /// As it was written.
  case number(String)
  case string(String)
  case array([JSONValue])
  /// In the order of the text; no key is there twice.
  case object([Member])

  public struct Member: Sendable, Equatable {
    public var key: String
    public var value: JSONValue
  }

  /// Arrays and objects inside each other.
  public static let deepest = 32
  /// Values of a text, keys not counted.
  public static let mostValues = 65_536

  /// Reads a whole text.
  ///
  /// - Throws: what is wrong, and at which byte.
  public init(_ text: [UInt8]) throws(JSONError) {
    var reader = JSONReader(text)
    self = try reader.whole()
  }

  /// What a person would call it, with its article.
  var typeName: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

/// Why a text is no JSON that is taken here.
public struct JSONError: Error, Sendable, Equatable {
  /// One clause, to go on with "at byte N".
  public let message: String
  /// From 0.
  public let offset: Int
}

private struct JSONReader {
  private let text: [UInt8]
  private var position = 0
  private var valuesLeft = JSONValue.mostValues

  init(_ text: [UInt8]) { self.text = text }

  mutating func whole() throws(JSONError) -> JSONValue {
    skipSpace()
    if position == text.count { throw error("there is no value") }
    let value = try value(depth: 0)
    skipSpace()
    if position < text.count { throw error("something follows the value") }
    return value
  }

  private func error(_ message: String) -> JSONError { JSONError(message: message, offset: position) }

  private var next: UInt8? { position < text.count ? text[position] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
  }

  private mutating func take(_ byte: UInt8, _ message: String) throws(JSONError) {
    guard next == byte else { throw error(message) }
    position += 1
  }

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    valuesLeft -= 1
    if valuesLeft < 0 { throw error("there are more than \(JSONValue.mostValues) values") }
    switch next {
    case UInt8(ascii: "{"): return try object(depth: depth + 1)
    case UInt8(ascii: "["): return try array(depth: depth + 1)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "-"), .some(0x30...0x39): return .number(try number())
    default: throw error("a value is expected")
    }
  }

  private mutating func word(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
    guard text[position...].starts(with: word.utf8) else { throw error("a value is expected") }
    position += word.utf8.count
    return value
  }

  private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
    try enter(depth)
    var members: [JSONValue.Member] = []
    var keys: Set<[UInt8]> = []
    skipSpace()
    if next == UInt8(ascii: "}") {
      position += 1
      return .object([])
    }
    while true {
      skipSpace()
      let start = position
      guard next == UInt8(ascii: "\"") else { throw error("a key in quotes is expected") }
      let key = try string()
      // As bytes: to Swift two spellings of one accent are the same text.
      guard keys.insert(Array(key.utf8)).inserted else {
        throw JSONError(message: "a key is there twice", offset: start)
      }
      skipSpace()
      try take(UInt8(ascii: ":"), "a colon is expected")
      skipSpace()
      members.append(JSONValue.Member(key: key, value: try value(depth: depth)))
      skipSpace()
      if next == UInt8(ascii: "}") { break }
      try take(UInt8(ascii: ","), "a comma or the end of the object is expected")
    }
    position += 1
    return .object(members)
  }

  private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
    try enter(depth)
    var values: [JSONValue] = []
    skipSpace()
    if next == UInt8(ascii: "]") {
      position += 1
      return .array([])
    }
    while true {
      skipSpace()
      values.append(try value(depth: depth))
      skipSpace()
      if next == UInt8(ascii: "]") { break }
      try take(UInt8(ascii: ","), "a comma or the end of the array is expected")
    }
    position += 1
    return .array(values)
  }

  private mutating func enter(_ depth: Int) throws(JSONError) {
    if depth > JSONValue.deepest { throw error("values are nested deeper than \(JSONValue.deepest)") }
    position += 1
  }

  private mutating func number() throws(JSONError) -> String {
    let start = position
    if next == UInt8(ascii: "-") { position += 1 }
    if next == 0x30 { position += 1 } else { try digits() }
    if next == UInt8(ascii: ".") {
      position += 1
      try digits()
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      position += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
      try digits()
    }
    return String(decoding: text[start..<position], as: UTF8.self)
  }

  private mutating func digits() throws(JSONError) {
    let start = position
    while let byte = next, byte >= 0x30, byte <= 0x39 { position += 1 }
    if position == start { throw error("a digit is expected") }
  }

  private mutating func string() throws(JSONError) -> String {
    position += 1
    var bytes: [UInt8] = []
    let start = position
    while let byte = next {
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: bytes, as: UTF8.self) else {
          throw JSONError(message: "a string is not UTF-8", offset: start)
        }
        position += 1
        return string
      case UInt8(ascii: "\\"):
        try escape(into: &bytes)
      case 0..<0x20: throw error("a string holds a control character")
      default:
        bytes.append(byte)
        position += 1
      }
    }
    throw error("a string has no end")
  }

  private mutating func escape(into bytes: inout [UInt8]) throws(JSONError) {
    position += 1
    guard let byte = next else { throw error("a string has no end") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(byte)
    case UInt8(ascii: "b"): bytes.append(0x08)
    case UInt8(ascii: "f"): bytes.append(0x0C)
    case UInt8(ascii: "n"): bytes.append(0x0A)
    case UInt8(ascii: "r"): bytes.append(0x0D)
    case UInt8(ascii: "t"): bytes.append(0x09)
    case UInt8(ascii: "u"):
      var code = UInt32(try fourDigits())
      if code >> 10 == 0x36 {
        guard next == UInt8(ascii: "\\"), position + 1 < text.count, text[position + 1] == UInt8(ascii: "u")
        else { throw error("half of a surrogate pair is missing") }
        position += 2
        let low = UInt32(try fourDigits())
        guard low >> 10 == 0x37 else { throw error("half of a surrogate pair is missing") }
        code = 0x10000 + ((code & 0x3FF) << 10 | low & 0x3FF)
      }
      guard let scalar = Unicode.Scalar(code) else { throw error("half of a surrogate pair is missing") }
      bytes += String(Character(scalar)).utf8
    default:
      position -= 1
      throw error("an escape is unknown")
    }
  }

  private mutating func fourDigits() throws(JSONError) -> UInt16 {
    guard text.count - position >= 4 else { throw error("four hexadecimal digits are expected") }
    var code: UInt16 = 0
    for _ in 0..<4 {
      guard let digit = PercentText.hexValue(text[position]) else {
        throw error("four hexadecimal digits are expected")
      }
      code = code << 4 | UInt16(digit)
      position += 1
    }
    return code
  }
}

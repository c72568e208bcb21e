import TOMLKit

/// A parsed file: its values, and where each of them stands.
struct ConfigDocument {
  /// A value as TOML has it, free of the library.
  indirect enum Node {
    case table([String: Node])
    case list([Node])
    case string(String)
    case integer(Int)
    case bool(Bool)
    /// What no key takes and the locator refuses: fractions, dates and times.
    case other

    var typeName: String {
      switch self {
      case .table: "a table"
      case .list: "a list"
      case .string: "a string"
      case .integer: "an integer"
      case .bool: "a boolean"
      case .other: "a value of another type"
      }
    }
  }

  let file: String
  let root: [String: Node]
  let locator: ConfigLocator

  /// Parses a whole file. A text that is not TOML gives an empty document and one problem: where to go on
  /// after a syntax error would be a guess.
  static func parse(bytes: [UInt8], file: String) -> (document: ConfigDocument, problems: [ConfigProblem]) {
    func failure(
      _ place: ConfigPosition, _ message: String, suggestion: String? = nil
    ) -> (ConfigDocument, [ConfigProblem]) {
      let problem = ConfigProblem(
        file: file, line: place.line, column: place.column, code: .syntax, message: message,
        suggestion: suggestion)
      return (ConfigDocument(file: file, root: [:], locator: ConfigLocator([])), [problem])
    }
    guard String(validating: bytes, as: UTF8.self) != nil else {
      return failure(firstInvalidByte(in: bytes), "the file is not UTF-8")
    }
    if let zero = bytes.firstIndex(of: 0) {
      return failure(position(of: zero, in: bytes), "a NUL character cannot be used here")
    }
    let locator = ConfigLocator(bytes)
    do throws(SyntaxError) {
      // What comes before a refused statement may hold an earlier error: the first one is reported.
      let sound = bytes.prefix(locator.refusal?.statementOffset ?? bytes.count)
      let root = try parse(String(decoding: sound, as: UTF8.self))
      if let refusal = locator.refusal {
        return failure(refusal.place, refusal.message, suggestion: refusal.suggestion)
      }
      return (ConfigDocument(file: file, root: root, locator: locator), [])
    } catch {
      return failure(error.place, error.message)
    }
  }

  private struct SyntaxError: Error {
    let place: ConfigPosition
    let message: String
  }

  private static func parse(_ text: String) throws(SyntaxError) -> [String: Node] {
    do {
      return entries(of: try TOMLTable(string: text))
    } catch let error as TOMLParseError {
      let place = ConfigPosition(
        line: max(1, error.source.begin.line), column: max(1, error.source.begin.column))
      throw SyntaxError(place: place, message: error.description)
    } catch {
      throw SyntaxError(place: .start, message: "the file cannot be parsed: \(error)")
    }
  }

  private static func entries(of table: TOMLTable) -> [String: Node] {
    var entries: [String: Node] = [:]
    for key in table.keys {
      guard let value = table[key] else { continue }
      entries[key] = node(value)
    }
    return entries
  }

  private static func node(_ value: any TOMLValueConvertible) -> Node {
    switch value.type {
    case .table: value.table.map { .table(entries(of: $0)) } ?? .table([:])
    case .array: .list(value.array.map { array in array.map { node($0) } } ?? [])
    case .string: .string(value.string ?? "")
    case .int: value.int.map(Node.integer) ?? .other
    case .bool: .bool(value.bool ?? false)
    case .double, .date, .time, .dateTime: .other
    }
  }

  private static func firstInvalidByte(in bytes: [UInt8]) -> ConfigPosition {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var place = ConfigPosition.start
    while case .scalarValue(let scalar) = decoder.decode(&iterator) {
      if scalar == "\n" {
        place.line += 1
        place.column = 1
      } else {
        place.column += 1
      }
    }
    return place
  }

  private static func position(of offset: Int, in bytes: [UInt8]) -> ConfigPosition {
    var place = ConfigPosition.start
    for byte in bytes[..<offset] {
      if byte == UInt8(ascii: "\n") {
        place.line += 1
        place.column = 1
      } else if byte & 0xC0 != 0x80 {
        place.column += 1
      }
    }
    return place
  }
}

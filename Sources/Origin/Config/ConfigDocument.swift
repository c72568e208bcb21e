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
    /// What no key takes: floating-point numbers, dates and times, by their name with its article.
    case other(String)

    var typeName: String {
      switch self {
      case .table: "a table"
      case .list: "a list"
      case .string: "a string"
      case .integer: "an integer"
      case .bool: "true or false"
      case .other(let name): name
      }
    }
  }

  let file: String
  let root: [String: Node]
  let locator: ConfigLocator

  /// Parses a whole file. A text that is not TOML gives an empty document and one problem: where to go on
  /// after a syntax error would be a guess.
  static func parse(bytes: [UInt8], file: String) -> (document: ConfigDocument, problems: [ConfigProblem]) {
    let locator = ConfigLocator(bytes)
    func failure(_ place: ConfigPosition, _ message: String) -> (ConfigDocument, [ConfigProblem]) {
      let problem = ConfigProblem(
        file: file, line: place.line, column: place.column, code: .syntax, message: message)
      return (ConfigDocument(file: file, root: [:], locator: ConfigLocator([])), [problem])
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      return failure(firstInvalidByte(in: bytes), "the file is not UTF-8")
    }
    if let zero = bytes.firstIndex(of: 0) {
      return failure(position(of: zero, in: bytes), "a NUL character cannot be used here")
    }
    if let place = locator.firstNUL { return failure(place, "a NUL character cannot be used here") }
    if let place = locator.tooDeep {
      return failure(place, "tables and lists are nested more than \(ConfigLocator.deepestNesting) deep")
    }
    do {
      let table = try TOMLTable(string: text)
      return (ConfigDocument(file: file, root: entries(of: table), locator: locator), [])
    } catch let error as TOMLParseError {
      let place = ConfigPosition(
        line: max(1, error.source.begin.line), column: max(1, error.source.begin.column))
      return failure(place, error.description)
    } catch {
      return failure(.start, "the file cannot be parsed: \(error)")
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
    case .int: value.int.map(Node.integer) ?? .other("an integer")
    case .bool: .bool(value.bool ?? false)
    case .double: .other("a floating-point number")
    case .date: .other("a date")
    case .time: .other("a time")
    case .dateTime: .other("a date with a time")
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

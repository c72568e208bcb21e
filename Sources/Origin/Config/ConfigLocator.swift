/// Finds the line and column of every key and value of a TOML text.
///
/// The TOML library gives places for syntax errors only, so a second, small scanner goes over the same text for
/// the rest. It reads the lexical shape (headers, keys, strings, brackets, comments) and nothing else: no types,
/// no numbers, no rules about what may be defined twice. Where the text is not TOML it goes on with the next
/// line, because the library has already reported that or will.
///
/// It is also the gate before the library, which (toml++ 3.4) relies on assertions where it should report an
/// error, among them `[=]` and damaged dates, and which follows dotted keys to any depth. So a header that does
/// not begin with a key, and a bare value that is neither a whole number nor true or false, are refused here: no
/// key takes dates or fractions.
///
/// What holds:
/// - for valid TOML within the gate, each key path that the library reports is known here, lists by number;
/// - a key defined in parts (`[a]` and `a.b = 1`) has the place of its first mention;
/// - any bytes at all are scanned in linear time; the first refusal ends the scan.
struct ConfigLocator {
  /// The greatest number of steps in a key path, and of brackets inside each other.
  static let deepestNesting = 32

  private(set) var keys: [ConfigPath: ConfigPosition] = [:]
  private(set) var values: [ConfigPath: ConfigPosition] = [:]
  /// Why the text must not reach the library, if so.
  private(set) var refusal: Refusal?

  struct Refusal: Equatable {
    let place: ConfigPosition
    let message: String
    let suggestion: String?
    /// Where the line begins on which the refused statement does. The bytes before are whole statements.
    let statementOffset: Int
  }

  private let bytes: [UInt8]
  private var offset = 0
  private var place = ConfigPosition.start
  /// How many `[[table]]` headers were seen for each list.
  private var listCounts: [ConfigPath: Int] = [:]
  private var statementOffset = 0

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { offset = 3 }
    scanDocument()
  }

  /// Where a problem about the name at `path` is shown: the key, or the nearest enclosing one that is written.
  func position(ofKey path: ConfigPath) -> ConfigPosition {
    nearest(path, in: keys)
  }

  /// Where a problem about the value at `path` is shown.
  func position(ofValue path: ConfigPath) -> ConfigPosition {
    nearest(path, in: values)
  }

  private func nearest(_ path: ConfigPath, in places: [ConfigPath: ConfigPosition]) -> ConfigPosition {
    if let place = places[path] { return place }
    var path = path
    while !path.isEmpty {
      if let place = keys[path] { return place }
      path.removeLast()
    }
    return .start
  }

  // MARK: - Lines

  private mutating func scanDocument() {
    var table: ConfigPath = []
    while refusal == nil {
      skipBlank()
      guard let byte = peek else { return }
      statementOffset = offset
      if byte == UInt8(ascii: "[") {
        table = scanHeader() ?? table
      } else {
        scanPair(in: table, depth: 0)
      }
      skipLine()
    }
  }

  /// `[a.b]` or `[[a.b]]`: returns the path of the table that begins, `nil` if this is no header.
  private mutating func scanHeader() -> ConfigPath? {
    let header = place
    advance()
    let isList = peek == UInt8(ascii: "[")
    if isList { advance() }
    skipSpaces()
    guard let byte = peek, byte < 0x80,
      Self.isBare(byte) || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'")
    else {
      refuse(place, "a table's name is missing after \"[\"")
      return nil
    }
    guard let names = scanKey() else { return nil }
    var path: ConfigPath = []
    for (number, name) in names.enumerated() {
      path.append(.key(name.text))
      Self.note(&keys, path, name.place)
      if number == names.count - 1, isList {
        let count = listCounts[path, default: 0]
        listCounts[path] = count + 1
        Self.note(&values, path, header)
        path.append(.index(count))
        Self.note(&keys, path, header)
      } else if let count = listCounts[path] {
        path.append(.index(count - 1))
      }
    }
    Self.note(&values, path, header)
    return path
  }

  /// `a.b = value`, on a line of its own or inside braces.
  private mutating func scanPair(in table: ConfigPath, depth: Int) {
    guard let names = scanKey() else { return }
    guard peek == UInt8(ascii: "=") else { return }
    advance()
    skipSpaces()
    var path = table
    for name in names {
      path.append(.key(name.text))
      Self.note(&keys, path, name.place)
    }
    scanValue(at: path, depth: depth)
  }

  /// The names of a dotted key and the spaces after it.
  private mutating func scanKey() -> [(text: String, place: ConfigPosition)]? {
    var names: [(text: String, place: ConfigPosition)] = []
    while true {
      skipSpaces()
      let start = place
      guard let byte = peek else { return nil }
      let text: String
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
        text = scanString()
      } else {
        let first = offset
        while let byte = peek, Self.isBare(byte) { advance() }
        guard offset > first else { return nil }
        text = String(decoding: bytes[first..<offset], as: UTF8.self)
      }
      names.append((text, start))
      guard names.count <= Self.deepestNesting else {
        refuse(start, Self.tooDeep)
        return nil
      }
      skipSpaces()
      guard peek == UInt8(ascii: ".") else { return names }
      advance()
    }
  }

  // MARK: - Values

  private mutating func scanValue(at path: ConfigPath, depth: Int) {
    Self.note(&values, path, place)
    guard depth < Self.deepestNesting, path.count <= 2 * Self.deepestNesting else {
      refuse(place, Self.tooDeep)
      return
    }
    switch peek {
    case UInt8(ascii: "\""), UInt8(ascii: "'"): _ = scanString()
    case UInt8(ascii: "["): scanList(at: path, depth: depth)
    case UInt8(ascii: "{"): scanBraces(at: path, depth: depth)
    default: scanBareValue()
    }
  }

  /// What is neither quoted nor bracketed, up to the end of the value.
  private mutating func scanBareValue() {
    let start = place
    let first = offset
    while let byte = peek, !Self.endsBareValue(byte) { advance() }
    var end = offset
    while end > first, bytes[end - 1] == UInt8(ascii: " ") || bytes[end - 1] == UInt8(ascii: "\t") {
      end -= 1
    }
    let token = bytes[first..<end]
    guard !Self.isBareValue(token) else { return }
    guard !token.isEmpty else { return refuse(start, "a value is missing") }
    let text = String(decoding: token.prefix(64), as: UTF8.self)
    let lower = text.lowercased()
    refuse(
      start, "\(text) is not a value: strings stand in quotes, and dates and fractions have no use here",
      suggestion: lower == "true" || lower == "false" ? lower : TOMLText.quoted(text))
  }

  private mutating func scanList(at path: ConfigPath, depth: Int) {
    advance()
    var count = 0
    while refusal == nil {
      skipBlank()
      guard let byte = peek else { return }
      if byte == UInt8(ascii: "]") { return advance() }
      if byte == UInt8(ascii: ",") {
        advance()
        continue
      }
      let before = offset
      let entry = path + [.index(count)]
      Self.note(&keys, entry, place)
      scanValue(at: entry, depth: depth + 1)
      count += 1
      // A byte that begins no value, such as a stray brace, must not hold the scan.
      if offset == before { advance() }
    }
  }

  private mutating func scanBraces(at path: ConfigPath, depth: Int) {
    advance()
    while refusal == nil {
      skipBlank()
      guard let byte = peek else { return }
      if byte == UInt8(ascii: "}") { return advance() }
      if byte == UInt8(ascii: ",") {
        advance()
        continue
      }
      let before = offset
      scanPair(in: path, depth: depth + 1)
      if offset == before { advance() }
    }
  }

  /// A string of any of the four kinds; returns its content.
  private mutating func scanString() -> String {
    guard let quote = peek else { return "" }
    advance()
    var isLong = false
    if peek == quote {
      advance()
      guard peek == quote else { return "" }
      advance()
      isLong = true
    }
    var content: [UInt8] = []
    while let byte = peek {
      if byte == quote {
        if !isLong {
          advance()
          break
        }
        if closesLongString(quote, &content) { break }
      } else if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
        scanEscape(into: &content)
      } else if byte == UInt8(ascii: "\n"), !isLong {
        break
      } else {
        if byte == 0 { refuse(place, Self.noNUL) }
        content.append(byte)
        advance()
      }
    }
    return String(decoding: content, as: UTF8.self)
  }

  /// At a quote inside a long string: three end it, and up to two before those belong to it.
  private mutating func closesLongString(_ quote: UInt8, _ content: inout [UInt8]) -> Bool {
    var run = 0
    while peek == quote, run < 5 {
      advance()
      run += 1
    }
    let inside = run >= 3 ? run - 3 : run
    content.append(contentsOf: repeatElement(quote, count: inside))
    return run >= 3
  }

  private mutating func scanEscape(into content: inout [UInt8]) {
    let start = place
    advance()
    guard let kind = peek else { return }
    // A backslash at the end of a line in a long string: the line end stays for the caller.
    guard kind != UInt8(ascii: "\n"), kind != UInt8(ascii: "\r") else { return }
    advance()
    switch kind {
    case UInt8(ascii: "b"): content.append(0x08)
    case UInt8(ascii: "t"): content.append(0x09)
    case UInt8(ascii: "n"): content.append(0x0A)
    case UInt8(ascii: "f"): content.append(0x0C)
    case UInt8(ascii: "r"): content.append(0x0D)
    case UInt8(ascii: "u"), UInt8(ascii: "U"):
      var code: UInt32 = 0
      for _ in 0..<(kind == UInt8(ascii: "u") ? 4 : 8) {
        guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return }
        code = code << 4 | UInt32(digit)
        advance()
      }
      if code == 0 { refuse(start, Self.noNUL) }
      if let scalar = Unicode.Scalar(code) { content.append(contentsOf: String(scalar).utf8) }
    default: content.append(kind)
    }
  }

  // MARK: - Refusals

  private static let tooDeep = "tables and lists are nested more than \(deepestNesting) deep"
  /// C strings, and so the library, end at U+0000.
  private static let noNUL = "a NUL character cannot be used here"

  private mutating func refuse(_ place: ConfigPosition, _ message: String, suggestion: String? = nil) {
    if refusal != nil { return }
    refusal = Refusal(
      place: place, message: message, suggestion: suggestion, statementOffset: statementOffset)
  }

  /// `true`, `false`, or a whole number in one of TOML's four notations.
  private static func isBareValue(_ token: ArraySlice<UInt8>) -> Bool {
    if token.elementsEqual("true".utf8) || token.elementsEqual("false".utf8) { return true }
    var digits = token
    if let sign = digits.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
      digits.removeFirst()
    }
    guard let first = digits.first, (0x30...0x39).contains(first) else { return false }
    let isPrefixed = ["0x", "0o", "0b"].contains { digits.starts(with: $0.utf8) }
    if isPrefixed { digits = digits.dropFirst(2) }
    return digits.allSatisfy { byte in
      (0x30...0x39).contains(byte) || byte == UInt8(ascii: "_")
        || isPrefixed && Character(Unicode.Scalar(byte)).isHexDigit
    }
  }

  // MARK: - Bytes

  private var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  private mutating func advance() {
    guard offset < bytes.count else { return }
    let byte = bytes[offset]
    offset += 1
    if byte == UInt8(ascii: "\n") {
      place.line += 1
      place.column = 1
    } else if byte & 0xC0 != 0x80 {
      place.column += 1
    }
  }

  private mutating func skipSpaces() {
    while peek == UInt8(ascii: " ") || peek == UInt8(ascii: "\t") { advance() }
  }

  /// Spaces, line ends and comments.
  private mutating func skipBlank() {
    while let byte = peek {
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n"): advance()
      case UInt8(ascii: "#"): skipLine()
      default: return
      }
    }
  }

  private mutating func skipLine() {
    while let byte = peek, byte != UInt8(ascii: "\n") { advance() }
  }

  private static func note(
    _ places: inout [ConfigPath: ConfigPosition], _ path: ConfigPath, _ place: ConfigPosition
  ) {
    if places[path] == nil { places[path] = place }
  }

  private static func isBare(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), 0x80...:
      true
    default: false
    }
  }

  private static func endsBareValue(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: "#"), UInt8(ascii: "\n"),
      UInt8(ascii: "\r"):
      true
    default: false
    }
  }
}

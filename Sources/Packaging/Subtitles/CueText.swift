// What stands in a cue, made valid WebVTT (W3C WebVTT §4.2.2 for writing, §6.4 for reading).
//
// Every cue of every format goes through here, so that what is stored and served is known to be well formed:
//
// - Lines end with a line feed, none is empty, none has blanks at its end. An empty line would end the cue.
// - `>` of the text is `&gt;`, so `-->`, which would start another cue, cannot occur.
// - `<` opens a tag of WebVTT or is written `&lt;`. Tags are c, i, b, u, ruby, rt, v, lang and timestamps; a tag of another
//   name goes, its content stays. Each tag that is opened is closed, at the end of the cue if need be.
// - `&` starts a character reference or is written `&amp;`. References by number become their characters.
// - There are no control characters.
//
// An end tag closes its element wherever that is; i, b and u opened within are closed and opened again, so
// `<b>1<i>2</b>3</i>` is bold 1, both 2, italic 3, as its author meant it. WebVTT's own reader would take 3 for both.
// i, b and u do not nest in themselves: sources toggle them.
//
// The form is a fixed point: what is normalised stays the same when it is normalised again.

/// Takes cue text apart and writes it valid.
struct CueText {
  /// The valid form of a cue's text, or nil when nothing of it is visible.
  ///
  /// - Complexity: linear; the result has at most six times the bytes of the source.
  static func normalised(_ source: [UInt8]) -> [UInt8]? {
    var text = CueText(source)
    text.run()
    return text.isVisible ? text.output : nil
  }

  private enum Element: UInt8, CaseIterable {
    case span, italic, bold, underline, ruby, rubyText, voice, language

    var name: StaticString {
      switch self {
      case .span: "c"
      case .italic: "i"
      case .bold: "b"
      case .underline: "u"
      case .ruby: "ruby"
      case .rubyText: "rt"
      case .voice: "v"
      case .language: "lang"
      }
    }

    var isToggle: Bool { self == .italic || self == .bold || self == .underline }

    init?(_ name: ArraySlice<UInt8>) {
      let found = Self.allCases.first { element in
        element.name.withUTF8Buffer { name.elementsEqual($0) }
      }
      guard let found else { return nil }
      self = found
    }
  }

  /// Deeper nesting than this is not opened.
  private static let depthLimit = 16

  private let source: [UInt8]
  private var position = 0
  private var output: [UInt8] = []
  private var open: [Element] = []
  private var isVisible = false

  private init(_ source: [UInt8]) {
    self.source = source
    output.reserveCapacity(source.count + 16)
  }

  private mutating func run() {
    while position < source.count {
      let byte = source[position]
      switch byte {
      case 0x3C: tag()
      case 0x26: reference()
      case 0x0A:
        position += 1
        lineEnd()
      default:
        position += 1
        character(byte)
      }
    }
    dropBlanks(0x0A)
    while let element = open.popLast() { end(element) }
  }

  /// One byte of text that is not the start of anything.
  private mutating func character(_ byte: UInt8) {
    switch byte {
    case 0x20, 0x09: output.append(byte)
    case 0..<0x20, 0x7F: break
    default:
      switch byte {
      case 0x26: output.append(literal: "&amp;")
      case 0x3C: output.append(literal: "&lt;")
      case 0x3E: output.append(literal: "&gt;")
      default: output.append(byte)
      }
      isVisible = true
    }
  }

  private mutating func lineEnd() {
    dropBlanks()
    if let last = output.last, last != 0x0A { output.append(0x0A) }
  }

  /// Takes blanks, and `other` where it is given, off the end of what is written.
  private mutating func dropBlanks(_ other: UInt8 = 0x20) {
    while let last = output.last, last.isBlank || last == other { output.removeLast() }
  }

  private mutating func reference() {
    let start = position + 1
    let end = min(start + 32, source.count)
    guard let semicolon = source[start..<end].firstIndex(of: 0x3B), semicolon > start else {
      position += 1
      return character(0x26)
    }
    let name = source[start..<semicolon]
    if name.first == 0x23 {
      guard let scalar = Self.scalar(name.dropFirst()) else {
        position += 1
        return character(0x26)
      }
      position = semicolon + 1
      for byte in String(scalar).utf8 { character(byte) }
    } else if name.first?.isLetter == true, name.allSatisfy({ $0.isLetter || $0.isDigit }) {
      position = semicolon + 1
      output.append(0x26)
      output += name
      output.append(0x3B)
      isVisible = true
    } else {
      position += 1
      character(0x26)
    }
  }

  /// The character of `123` or `x7B`.
  private static func scalar(_ text: ArraySlice<UInt8>) -> Unicode.Scalar? {
    let isHex = text.first.map { $0.lowercased == 0x78 } ?? false
    let digits = isHex ? text.dropFirst() : text
    guard (1...8).contains(digits.count), digits.allSatisfy({ $0.isDigit || $0.isLetter }),
      let value = UInt32(String(decoding: digits, as: UTF8.self), radix: isHex ? 16 : 10)
    else { return nil }
    return Unicode.Scalar(value)
  }

  /// A tag ends at the first `>`; where another `<` or the end comes before that, it is none.
  private mutating func tag() {
    let start = position + 1
    guard let stop = source[start...].firstIndex(where: { $0 == 0x3E || $0 == 0x3C }), source[stop] == 0x3E,
      stop > start
    else {
      position = start
      return character(0x3C)
    }
    let inside = start..<stop
    switch source[start] {
    case 0x2F:
      position = stop + 1
      endTag(source[(start + 1)..<stop].filter { $0 > 0x20 })
    case let byte where byte.isLetter:
      position = stop + 1
      startTag(inside)
    default:
      var cursor = start
      guard let milliseconds = CueTime.read(source, &cursor, end: stop), cursor == stop else {
        position = start
        return character(0x3C)
      }
      position = stop + 1
      var writer = TextWriter(capacityBytes: 16)
      writer.literal("<")
      writer.cueTime(milliseconds)
      writer.literal(">")
      output += writer.bytes
    }
  }

  private mutating func startTag(_ inside: Range<Int>) {
    let word = source[inside].prefix { $0 > 0x20 }
    let name = word.prefix { $0 != 0x2E }
    guard let element = Element(name), open.count < Self.depthLimit,
      !(element.isToggle && open.contains(element))
    else { return }
    var tag = Array(word).filter { $0 != 0x7F }
    if element == .voice || element == .language {
      let words = source[word.endIndex..<inside.upperBound].split { $0 <= 0x20 || $0 == 0x7F }
      for word in words {
        tag.append(0x20)
        tag += word
      }
    }
    // `-->` would end the cue.
    while let last = tag.last, last == 0x2D || last == 0x20 { tag.removeLast() }
    open.append(element)
    output.append(0x3C)
    output += tag
    output.append(0x3E)
  }

  private mutating func endTag(_ name: [UInt8]) {
    guard let element = Element(name[...]), let depth = open.lastIndex(of: element) else { return }
    let within = open[(depth + 1)...]
    while open.count > depth { end(open.removeLast()) }
    for toggle in within where toggle.isToggle {
      open.append(toggle)
      output.append(0x3C)
      output.append(literal: toggle.name)
      output.append(0x3E)
    }
  }

  private mutating func end(_ element: Element) {
    output.append(literal: "</")
    output.append(literal: element.name)
    output.append(0x3E)
  }
}

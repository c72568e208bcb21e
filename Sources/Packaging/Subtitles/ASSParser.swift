// Sub Station Alpha v4 and v4+, as their files are: an INI file whose section [Events] lists the dialogue.
//
//     [Events]
//     Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
//     Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\an8}Hello,\Nworld
//
// The Format line names the fields of the lines after it; the text is the last and may hold commas. Without a Format
// line the one above holds.
//
// Of the text `\N` and `\n` become line ends, `\h` a space. Blocks in braces are overrides: italic, bold, underline and the
// alignment are kept, all else is how things look and goes. While drawing mode (`\p1`) is on the text is
// a picture in words for a plotter, and is not kept. Styles are not read: they are the look of a whole script.

enum ASSParser {
  static func read(_ text: [UInt8], into collector: inout SubtitleCollector) throws(MediaError) {
    var lines = TextLines(text)
    var fields = Fields()
    while let line = lines.next() {
      let line = text.trimmed(line)
      if text.hasPrefix("Format:", in: line) {
        if let named = Fields(text, line.lowerBound + 7..<line.upperBound) { fields = named }
      } else if text.hasPrefix("Dialogue:", in: line) {
        try readDialogue(text, line.lowerBound + 9..<line.upperBound, fields, into: &collector)
      }
    }
  }

  /// Where the fields of a dialogue line are.
  private struct Fields {
    var start = 1
    var end = 2
    var count = 10

    init() {}

    /// Nil for a line that is not about dialogue, such as that of the styles, and for one beyond all reason.
    init?(_ text: [UInt8], _ range: Range<Int>) {
      guard range.count <= 1024 else { return nil }
      let names = text[range].split(separator: 0x2C, omittingEmptySubsequences: false).map { name in
        String(decoding: name.filter { !$0.isBlank }.map(\.lowercased), as: UTF8.self)
      }
      guard let start = names.firstIndex(of: "start"), let end = names.firstIndex(of: "end"),
        names.last == "text"
      else { return nil }
      self.start = start
      self.end = end
      count = names.count
    }
  }

  private static func readDialogue(
    _ text: [UInt8], _ range: Range<Int>, _ fields: Fields, into collector: inout SubtitleCollector
  ) throws(MediaError) {
    var start: UInt64?
    var end: UInt64?
    var index = range.lowerBound
    for field in 0..<fields.count - 1 {
      guard let comma = text[index..<range.upperBound].firstIndex(of: 0x2C) else {
        return collector.noteUnreadableTimes()
      }
      if field == fields.start { start = time(text, index..<comma) }
      if field == fields.end { end = time(text, index..<comma) }
      index = comma + 1
    }
    guard let start, let end else { return collector.noteUnreadableTimes() }
    let converted = ASSText.webVTT(text, index..<range.upperBound)
    try collector.add(start: start, end: end, settings: converted.settings, text: converted.text)
  }

  private static func time(_ text: [UInt8], _ range: Range<Int>) -> UInt64? {
    let range = text.trimmed(range)
    var position = range.lowerBound
    guard let time = CueTime.read(text, &position, end: range.upperBound), position == range.upperBound else {
      return nil
    }
    return time
  }
}

/// The text field of dialogue lines.
enum ASSText {
  /// The text as WebVTT cue text, still to be normalised, and settings for its place.
  static func webVTT(_ source: [UInt8], _ range: Range<Int>) -> (text: [UInt8], settings: String) {
    var text: [UInt8] = []
    text.reserveCapacity(range.count + 16)
    var overrides = ASSOverrides(source)
    var place: UInt8?
    var isDrawing = false
    var index = range.lowerBound
    while index < range.upperBound {
      let byte = source[index]
      if byte == 0x7B, let end = overrides.block(at: index, limit: range.upperBound) {
        for override in overrides.read(index..<end) {
          switch override {
          case .toggle(let style, let isOn): text += style.tag(isOn: isOn)
          case .reset: for style in TextStyle.allCases { text += style.tag(isOn: false) }
          case .place(let keypad): place = place ?? keypad
          case .drawing(let isOn): isDrawing = isOn
          }
        }
        index = end
        continue
      }
      index += 1
      guard !isDrawing else { continue }
      switch byte {
      case 0x5C where index < range.upperBound && [0x4E, 0x6E, 0x68].contains(source[index]):
        text.append(source[index] == 0x68 ? 0x20 : 0x0A)
        index += 1
      case 0x26: text.append(literal: "&amp;")
      case 0x3C: text.append(literal: "&lt;")
      case 0x3E: text.append(literal: "&gt;")
      default: text.append(byte)
      }
    }
    return (text, place.map(CueSettings.settings(keypad:)) ?? "")
  }
}

/// Blocks such as `{\an8\i1}`.
struct ASSOverrides {
  enum Override: Equatable {
    case toggle(TextStyle, isOn: Bool)
    /// `\r`: back to the style of the line.
    case reset
    /// A place on the numeric keypad, 1 to 9.
    case place(UInt8)
    case drawing(isOn: Bool)
  }

  private let source: [UInt8]
  /// From here on there is no closing brace; so that a text of opening ones is searched once.
  private var lastCloser = Int.max

  init(_ source: [UInt8]) { self.source = source }

  /// Where the block that starts at `start` ends; nil when it is never closed before `limit`.
  mutating func block(at start: Int, limit: Int) -> Int? {
    guard start < lastCloser else { return nil }
    guard let closer = source[start..<limit].firstIndex(of: 0x7D) else {
      lastCloser = start
      return nil
    }
    return closer + 1
  }

  /// The overrides of a block, braces included. Those in parentheses belong to animations and do not count.
  func read(_ block: Range<Int>) -> [Override] {
    var found: [Override] = []
    var depth = 0
    var start: Int?
    for index in block {
      let byte = source[index]
      if byte == 0x28 { depth += 1 }
      let isEnd = byte == 0x5C && depth == 0 || byte == 0x7D
      if isEnd, let begun = start, let override = Self.override(source[begun..<index]) {
        found.append(override)
      }
      if byte == 0x5C, depth == 0 { start = index + 1 }
      if byte == 0x29 { depth = max(0, depth - 1) }
    }
    return found
  }

  private static func override(_ text: ArraySlice<UInt8>) -> Override? {
    let word = text.prefix { !$0.isBlank }
    guard let first = word.first else { return nil }
    let digits = word.drop { !$0.isDigit }
    guard digits.allSatisfy(\.isDigit), digits.count <= 4 else { return first == 0x72 ? .reset : nil }
    let number = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    switch String(decoding: word.prefix { !$0.isDigit }, as: UTF8.self) {
    case "i": return .toggle(.italic, isOn: number == 1)
    case "u": return .toggle(.underline, isOn: number == 1)
    // Other numbers are font weights.
    case "b": return .toggle(.bold, isOn: number == 1 || number >= 600)
    case "an": return (1...9).contains(number) ? .place(UInt8(number)) : nil
    case "a": return legacyPlaces[number].map { .place($0) }
    case "p": return .drawing(isOn: number > 0)
    default: return first == 0x72 ? .reset : nil
    }
  }

  /// Alignments of SSA v4: 1 to 3 at the bottom, 4 more at the top, 8 more in the middle.
  private static let legacyPlaces: [Int: UInt8] = [1: 1, 2: 2, 3: 3, 5: 7, 6: 8, 7: 9, 9: 4, 10: 5, 11: 6]
}

extension SubtitleCue {
  /// The cue of one SSA line, as Matroska keeps them (`S_TEXT/ASS`): the fields
  /// `ReadOrder,Layer,Style,Name,MarginL,MarginR,MarginV,Effect,Text`, without times.
  ///
  /// - Returns: nil where it would never be seen, and for a line with fewer fields.
  public static func fromASS(
    dialogueFields line: [UInt8], startMilliseconds: UInt64, endMilliseconds: UInt64
  ) -> SubtitleCue? {
    let source = SubtitleText.decoded(line)
    var index = 0
    for _ in 0..<8 {
      guard let comma = source[index...].firstIndex(of: 0x2C) else { return nil }
      index = comma + 1
    }
    let converted = ASSText.webVTT(source, index..<source.count)
    return SubtitleCue(
      startMilliseconds: startMilliseconds, endMilliseconds: endMilliseconds, settings: converted.settings,
      text: converted.text, identifier: nil)
  }
}

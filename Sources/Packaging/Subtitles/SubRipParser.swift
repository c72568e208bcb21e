// SubRip has no specification. What files have in common:
//
//     12
//     00:00:01,000 --> 00:00:02,500
//     <i>Hello</i>
//     {\an8}at the top
//
// A cue is known by its line of times alone: the number before it is often missing or wrong, blank lines occur within
// texts and are missing between cues. So the text of a cue is all that stands before the next line of times, without a
// last line that is but a number. Coordinates behind the times (`X1:…`) are not used.
//
// Text: i, b and u are kept, font and all other tags go, their content stays. `{\an8}` and the other overrides of SSA that
// editors left behind are read as in SSA; other braces are text. `&` and `<` that start nothing are text.

enum SubRipParser {
  static func read(_ text: [UInt8], into collector: inout SubtitleCollector) throws(MediaError) {
    var lines = TextLines(text)
    var current: CueTiming?
    var start = 0
    while let line = lines.next() {
      guard text.arrow(in: line) != nil else { continue }
      let timing = CueTiming(text, line: line)
      if timing == nil, !startsLikeATime(text[line]) { continue }
      try add(text, current, start..<line.lowerBound, into: &collector)
      if timing == nil { collector.noteUnreadableTimes() }
      current = timing
      start = lines.position
    }
    try add(text, current, min(start, text.count)..<text.count, hasNext: false, into: &collector)
  }

  /// Whether a line with an arrow means to be one of times; else it is text.
  private static func startsLikeATime(_ line: ArraySlice<UInt8>) -> Bool {
    let line = line.drop(while: \.isBlank)
    return line.drop { $0 == 0x2D }.first?.isDigit ?? false
  }

  private static func add(
    _ text: [UInt8], _ timing: CueTiming?, _ range: Range<Int>, hasNext: Bool = true,
    into collector: inout SubtitleCollector
  ) throws(MediaError) {
    guard let timing else { return }
    let kept = hasNext ? withoutNumber(text, range) : range
    let converted = SubRipText.webVTT(text, kept)
    try collector.add(
      start: timing.startMilliseconds, end: timing.endMilliseconds, settings: converted.settings,
      text: converted.text)
  }

  /// The range without its last line if that is a number: it belongs to the cue that follows.
  private static func withoutNumber(_ text: [UInt8], _ range: Range<Int>) -> Range<Int> {
    var end = range.upperBound
    if end > range.lowerBound, text[end - 1] == 0x0A { end -= 1 }
    let lineStart = text[range.lowerBound..<end].lastIndex(of: 0x0A).map { $0 + 1 } ?? range.lowerBound
    let line = text.trimmed(lineStart..<end)
    return !line.isEmpty && text[line].allSatisfy(\.isDigit) ? range.lowerBound..<lineStart : range
  }
}

/// The text of SubRip cues.
enum SubRipText {
  /// The text as WebVTT cue text, still to be normalised, and settings for its place.
  static func webVTT(_ source: [UInt8], _ range: Range<Int>) -> (text: [UInt8], settings: String) {
    var text: [UInt8] = []
    text.reserveCapacity(range.count + 16)
    var overrides = ASSOverrides(source)
    var place: UInt8?
    var index = range.lowerBound
    while index < range.upperBound {
      switch source[index] {
      case 0x3C:
        if let tag = tag(source, index..<range.upperBound) {
          text += tag.replacement
          index = tag.end
        } else {
          text.append(literal: "&lt;")
          index += 1
        }
      case 0x26:
        text.append(literal: isEntity(source[(index + 1)..<range.upperBound]) ? "&" : "&amp;")
        index += 1
      case 0x7B where index + 1 < range.upperBound && source[index + 1] == 0x5C:
        guard let end = overrides.block(at: index, limit: range.upperBound) else { fallthrough }
        for override in overrides.read(index..<end) {
          switch override {
          case .toggle(let style, let isOn): text += style.tag(isOn: isOn)
          case .place(let keypad): place = place ?? keypad
          case .reset, .drawing: break
          }
        }
        index = end
      default:
        text.append(source[index])
        index += 1
      }
    }
    return (text, place.map(CueSettings.settings(keypad:)) ?? "")
  }

  /// What a tag becomes and where it ends; nil where `<` starts none.
  private static func tag(_ source: [UInt8], _ range: Range<Int>) -> (replacement: [UInt8], end: Int)? {
    let inside = source[(range.lowerBound + 1)..<range.upperBound]
    guard let stop = inside.firstIndex(where: { $0 == 0x3E || $0 == 0x3C }), source[stop] == 0x3E else {
      return nil
    }
    let isEnd = inside.first == 0x2F
    let name = inside[..<stop].dropFirst(isEnd ? 1 : 0).prefix { $0.isLetter || $0.isDigit }.map(\.lowercased)
    guard name.first?.isLetter == true else { return nil }
    let style = TextStyle.allCases.first { [$0.rawValue] == name }
    return (style?.tag(isOn: !isEnd) ?? [], stop + 1)
  }

  /// The references that editors write on purpose; any other `&` is one.
  private static func isEntity(_ text: ArraySlice<UInt8>) -> Bool {
    if text.first == 0x23 { return true }
    return ["amp;", "lt;", "gt;", "nbsp;", "quot;", "lrm;", "rlm;"].contains { text.starts(with: $0.utf8) }
  }
}

/// The styles that survive into WebVTT; the raw value is the name of the tag.
enum TextStyle: UInt8, CaseIterable {
  case italic = 0x69
  case bold = 0x62
  case underline = 0x75

  func tag(isOn: Bool) -> [UInt8] { isOn ? [0x3C, rawValue, 0x3E] : [0x3C, 0x2F, rawValue, 0x3E] }
}

extension SubtitleCue {
  /// The cue of one SubRip text, as Matroska keeps them (`S_TEXT/UTF8`): without number and times.
  ///
  /// - Returns: nil where it would never be seen.
  public static func fromSubRip(
    text: [UInt8], startMilliseconds: UInt64, endMilliseconds: UInt64
  ) -> SubtitleCue? {
    let source = SubtitleText.decoded(text)
    let converted = SubRipText.webVTT(source, source.indices)
    return SubtitleCue(
      startMilliseconds: startMilliseconds, endMilliseconds: endMilliseconds, settings: converted.settings,
      text: converted.text, identifier: nil)
  }
}

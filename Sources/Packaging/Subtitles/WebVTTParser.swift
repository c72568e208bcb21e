/// Reads WebVTT files as W3C WebVTT §6.1 does, with times as people write them (`CueTime`).
///
/// A file is blocks of lines with empty lines between them. A block whose first or second line holds `-->` is a cue; such a
/// line also ends the block before it. Other blocks are comments, or STYLE and REGION before the first cue.
/// A file without its first word is read all the same.
enum WebVTTParser {
  static func hasSignature(_ text: [UInt8]) -> Bool {
    guard text.starts(with: Array("WEBVTT".utf8)) else { return false }
    return text.count == 6 || text[6].isBlank || text[6] == 0x0A
  }

  static func read(_ text: [UInt8], into collector: inout SubtitleCollector) throws(MediaError) {
    var lines = TextLines(text)
    if hasSignature(text) { readHeader(&lines, into: &collector) }
    while let line = lines.next() {
      guard !line.isEmpty else { continue }
      if text.arrow(in: line) != nil {
        try readCue(&lines, timing: line, identifier: nil, into: &collector)
      } else if let second = lines.peek(), text.arrow(in: second) != nil {
        _ = lines.next()
        try readCue(&lines, timing: second, identifier: text.string(line), into: &collector)
      } else {
        let block = line.lowerBound..<Swift.max(line.upperBound, skipBlock(&lines))
        if collector.cues.isEmpty, text.hasPrefix("STYLE", in: line) || text.hasPrefix("REGION", in: line),
          let kept = SubtitleDocument.headerBlock(Array(text[block]))
        {
          collector.headerBlocks.append(kept)
        }
      }
    }
  }

  /// The first line and the header lines below it, of which those that we write are read.
  private static func readHeader(_ lines: inout TextLines, into collector: inout SubtitleCollector) {
    let text = lines.text
    _ = lines.next()
    while let line = lines.peek(), !line.isEmpty, text.arrow(in: line) == nil {
      _ = lines.next()
      guard let colon = text[line].firstIndex(of: 0x3A) else { continue }
      let value = text.string(text.trimmed(colon + 1..<line.upperBound))
      if text.hasPrefix("Language:", in: line) {
        collector.language = value
      } else if text.hasPrefix("Name:", in: line) {
        collector.name = value
      } else if text.hasPrefix("Forced:", in: line) {
        collector.isForced = value == "yes"
      }
    }
  }

  /// Moves to the end of a block and gives the end of its last line, 0 for none.
  private static func skipBlock(_ lines: inout TextLines) -> Int {
    var end = 0
    while let line = lines.peek(), !line.isEmpty, lines.text.arrow(in: line) == nil {
      _ = lines.next()
      end = line.upperBound
    }
    return end
  }

  private static func readCue(
    _ lines: inout TextLines, timing line: Range<Int>, identifier: String?,
    into collector: inout SubtitleCollector
  ) throws(MediaError) {
    let start = lines.position
    let end = Swift.max(start, skipBlock(&lines))
    guard let timing = CueTiming(lines.text, line: line) else { return collector.noteUnreadableTimes() }
    try collector.add(
      start: timing.startMilliseconds, end: timing.endMilliseconds,
      settings: CueSettings.normalised(Array(lines.text[timing.rest])),
      text: start < end ? Array(lines.text[start..<end]) : [], identifier: identifier)
  }
}

// A subtitle rendition as it is stored: one WebVTT file, written by us, whatever the source was.
//
//     WEBVTT
//     Language: de
//     Name: Deutsch (SDH)
//     Forced: yes
//
//     STYLE
//     ::cue { color: yellow }
//
//     00:00:01.000 --> 00:00:02.500 line:0
//     <i>Hallo.</i>
//
// The lines below the first are header lines, which every WebVTT reader passes over (W3C WebVTT §6.1) and ours reads:
// they keep what a rendition is called beside what it says. A line that says nothing (language `und`, no name, not
// forced) is not written. STYLE and REGION blocks are kept, comments are not. Cues are ordered by their start, those
// of one start as they came.
//
// The form is deterministic and read back to an equal document, so the blob is also the record of the document.

/// All cues of one subtitle rendition, and what it is called. Always has a cue, and always keeps to the limits.
public struct SubtitleDocument: Sendable, Equatable {
  /// Limits on a file, on the text of one cue and on the number of cues. Years of subtitles stay below them.
  public static let largestBytes = 8 << 20
  public static let largestCueBytes = 16 << 10
  public static let largestCueCount = 100_000

  /// BCP 47, `und` where nobody said.
  public let language: String
  /// What people see in a menu; one line of at most 128 characters, may be empty.
  public let name: String
  /// Shown even to those who did not ask for subtitles: signs, and speech in a foreign language.
  public let isForced: Bool
  /// STYLE and REGION blocks of WebVTT, each with its first line, without an empty one.
  public let headerBlocks: [String]
  /// Ordered by start; 1 to `largestCueCount`.
  public let cues: [SubtitleCue]

  /// Orders the cues, and drops from the rest what cannot be written: a language that is no tag becomes `und`, blocks
  /// that are neither STYLE nor REGION go.
  ///
  /// - Throws: `.damaged` with the code `no-cues`, `.unsupported` with `subtitles-too-large`.
  /// - Complexity: n log n in the cues.
  public init(
    language: String, name: String = "", isForced: Bool = false, headerBlocks: [String] = [],
    cues: [SubtitleCue]
  ) throws(MediaError) {
    guard !cues.isEmpty else {
      throw .damaged("no-cues", "The subtitles have no readable cue; check the file and its format.")
    }
    guard cues.count <= Self.largestCueCount else {
      throw Self.tooLarge("more than \(Self.largestCueCount) cues")
    }
    self.language = WrittenLanguage(language) == nil ? "und" : language
    self.name = Self.line(name)
    self.isForced = isForced
    self.headerBlocks = headerBlocks.compactMap { Self.headerBlock(Array($0.utf8)) }
    let order = cues.indices.sorted {
      (cues[$0].startMilliseconds, $0) < (cues[$1].startMilliseconds, $1)
    }
    self.cues = order.map { cues[$0] }
    var bytes = 256 + self.name.utf8.count + self.headerBlocks.reduce(0) { $0 + $1.utf8.count + 2 }
    for cue in cues {
      guard cue.text.utf8.count <= Self.largestCueBytes else { throw Self.tooLargeCue }
      bytes += cue.boundBytes
    }
    guard bytes <= Self.largestBytes else {
      throw Self.tooLarge("more than \(Self.largestBytes >> 20) MiB of text")
    }
  }

  /// The normalised WebVTT file, as stored. Parsed as `.webVTT` it gives an equal document.
  ///
  /// - Complexity: linear in the text.
  public func bytes() -> [UInt8] {
    var writer = TextWriter(capacityBytes: 256 + cues.reduce(0) { $0 + $1.boundBytes })
    writer.literal("WEBVTT\n")
    if language != "und" { Self.headerLine("Language: ", language, into: &writer) }
    if !name.isEmpty { Self.headerLine("Name: ", name, into: &writer) }
    if isForced { writer.literal("Forced: yes\n") }
    writer.literal("\n")
    writer.headerBlocks(headerBlocks)
    for cue in cues { writer.cue(cue) }
    return writer.bytes
  }

  private static func headerLine(_ key: StaticString, _ value: String, into writer: inout TextWriter) {
    writer.literal(key)
    writer.raw(Array(value.utf8))
    writer.literal("\n")
  }

  /// The text as one line without blanks at its ends, and without what would end a header.
  private static func line(_ text: String) -> String {
    var bytes: [UInt8] = []
    for scalar in text.unicodeScalars.lazy.filter({ $0.value >= 0x20 && $0.value != 0x7F }).prefix(128) {
      if scalar == ">", bytes.suffix(2) == [0x2D, 0x2D] { continue }
      bytes += Array(String(scalar).utf8)
    }
    return bytes.string(bytes.trimmed(bytes.indices))
  }

  /// A STYLE or REGION block with clean lines; nil for any other, for one without content, for one that holds `-->` and
  /// for one of more than 64 KiB.
  static func headerBlock(_ text: [UInt8]) -> String? {
    guard text.count <= 64 << 10 else { return nil }
    var lines: [[UInt8]] = []
    for line in text.split(separator: 0x0A) {
      let kept = line.filter { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
      let end = kept.trimmed(kept.indices).upperBound
      guard kept.arrow(in: kept.indices) == nil else { return nil }
      if !kept.trimmed(kept.indices).isEmpty { lines.append(Array(kept[..<end])) }
    }
    guard lines.count > 1, lines[0] == Array("STYLE".utf8) || lines[0] == Array("REGION".utf8) else {
      return nil
    }
    return String(decoding: Array(lines.joined(separator: [0x0A])), as: UTF8.self)
  }

  static func tooLarge(_ what: String) -> MediaError {
    .unsupported("subtitles-too-large", "The subtitles have \(what); split the file or clean it up.")
  }

  static var tooLargeCue: MediaError { tooLarge("a cue of more than \(largestCueBytes >> 10) KiB") }
}

extension TextWriter {
  /// Each block and the empty line after it.
  mutating func headerBlocks(_ blocks: [String]) {
    for block in blocks {
      raw(Array(block.utf8))
      literal("\n\n")
    }
  }
}

/// The formats that subtitle files come in.
public enum SubtitleFormat: Sendable, Equatable, CaseIterable {
  /// W3C WebVTT, `.vtt`.
  case webVTT
  /// SubRip, `.srt`: numbered cues, times with a comma, a few HTML tags.
  case subRip
  /// Sub Station Alpha and its successor, `.ssa` and `.ass`.
  case ass

  /// The format of a file by its first 16 KiB; nil for what is none of these.
  ///
  /// Each format is told by what it cannot do without: the word that starts a WebVTT file, the section headings or
  /// dialogue lines of SSA, a line of two times for SubRip. Without the word, WebVTT is taken for SubRip, whose reader
  /// takes its times too.
  public static func probe(_ bytes: [UInt8]) -> SubtitleFormat? {
    let text = SubtitleText.decoded(Array(bytes.prefix(16 << 10)))
    if WebVTTParser.hasSignature(text) { return .webVTT }
    var lines = TextLines(text)
    while let line = lines.next() {
      let line = text.trimmed(line)
      if text.hasPrefix("[Script Info]", in: line) || text.hasPrefix("[V4", in: line)
        || text.hasPrefix("[Events]", in: line) || text.hasPrefix("Dialogue:", in: line)
      {
        return .ass
      }
      if CueTiming(text, line: line) != nil { return .subRip }
    }
    return nil
  }
}

/// What a reader makes of subtitles.
public struct ParsedSubtitles: Sendable, Equatable {
  public var document: SubtitleDocument
  /// What was wrong with the source and left out.
  public var defects: [Defect]

  public init(document: SubtitleDocument, defects: [Defect]) {
    self.document = document
    self.defects = defects
  }
}

extension SubtitleDocument {
  /// The document in a file, and what was left out of it.
  ///
  /// The encoding is found as `SubtitleText.swift` tells. Cues that end before they start and times that cannot be
  /// read are left out and counted as defects; cues that show nothing (comments, drawings, empty lines) just go.
  ///
  /// - Parameters:
  ///   - language: BCP 47; nil takes what the file says, which only WebVTT header lines can.
  ///   - name: what people see in a menu; nil takes what the file says.
  ///   - isForced: nil takes what the file says.
  /// - Throws: `.damaged` with the code `no-cues` for a file without a readable cue, `.unsupported` with
  ///   `subtitles-too-large` for one beyond the limits.
  /// - Complexity: n log n in the cues, else linear in the bytes.
  public static func parse(
    _ bytes: [UInt8], format: SubtitleFormat, language: String? = nil, name: String? = nil,
    isForced: Bool? = nil
  ) throws(MediaError) -> ParsedSubtitles {
    guard bytes.count <= largestBytes else { throw tooLarge("more than \(largestBytes >> 20) MiB of text") }
    let text = SubtitleText.decoded(bytes)
    var collector = SubtitleCollector()
    switch format {
    case .webVTT: try WebVTTParser.read(text, into: &collector)
    case .subRip: try SubRipParser.read(text, into: &collector)
    case .ass: try ASSParser.read(text, into: &collector)
    }
    return try collector.document(language: language, name: name, isForced: isForced)
  }
}

/// Takes what a reader finds, within the limits.
struct SubtitleCollector {
  private(set) var cues: [SubtitleCue] = []
  var headerBlocks: [String] = []
  /// What the source says of itself.
  var language: String?
  var name: String?
  var isForced = false
  private var bytes = 0
  private var backwardCount = 0
  private var unreadableCount = 0

  /// Larger texts are not looked at: what is left of one after normalising would rarely be within the limit.
  private static let largestSourceBytes = 4 * SubtitleDocument.largestCueBytes

  /// - Parameters:
  ///   - settings: normalised already.
  ///   - text: WebVTT cue text, which need not be valid.
  mutating func add(
    start: UInt64, end: UInt64, settings: String, text: [UInt8], identifier: String? = nil
  ) throws(MediaError) {
    guard end > start else {
      backwardCount += 1
      return
    }
    guard text.count <= Self.largestSourceBytes else { throw SubtitleDocument.tooLargeCue }
    let cue = SubtitleCue(
      startMilliseconds: start, endMilliseconds: end, settings: settings, text: text, identifier: identifier)
    if let cue { try add(cue) }
  }

  mutating func add(_ cue: SubtitleCue) throws(MediaError) {
    guard cue.text.utf8.count <= SubtitleDocument.largestCueBytes else { throw SubtitleDocument.tooLargeCue }
    bytes += cue.boundBytes
    guard cues.count < SubtitleDocument.largestCueCount, bytes <= SubtitleDocument.largestBytes else {
      throw SubtitleDocument.tooLarge("more text or cues than are taken")
    }
    cues.append(cue)
  }

  mutating func noteUnreadableTimes() { unreadableCount += 1 }

  func document(language: String?, name: String?, isForced: Bool?) throws(MediaError) -> ParsedSubtitles {
    var defects: [Defect] = []
    if backwardCount > 0 {
      defects.append(
        Defect(
          code: "cue-ends-before-start",
          message: "\(backwardCount) cues do not end after they start; they are left out."))
    }
    if unreadableCount > 0 {
      defects.append(
        Defect(
          code: "cue-times",
          message: "\(unreadableCount) cues have times that cannot be read; they are left out."))
    }
    let document = try SubtitleDocument(
      language: language ?? self.language ?? "und", name: name ?? self.name ?? "",
      isForced: isForced ?? self.isForced, headerBlocks: headerBlocks, cues: cues)
    return ParsedSubtitles(document: document, defects: defects)
  }
}

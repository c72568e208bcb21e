/// One subtitle: a text that is shown from one instant until another. Valid WebVTT by construction.
public struct SubtitleCue: Sendable, Equatable {
  /// When it appears and when it is gone, on the presentation's timeline; the end is after the start and at most
  /// 99,999 hours.
  public let startMilliseconds: UInt64
  public let endMilliseconds: UInt64
  /// WebVTT cue settings such as `line:0 align:left`, or empty (W3C WebVTT §4.4).
  public let settings: String
  /// WebVTT cue text: escaped, tags closed, no empty line. Never empty (`CueText.swift` tells the form).
  public let text: String
  /// The line before the times, which style sheets and scripts may refer to.
  public let identifier: String?

  /// A cue from WebVTT cue text, which need not be valid: it is made so. Settings that are unknown or out of range
  /// and identifiers that cannot be written go.
  ///
  /// - Returns: nil when it would never be seen: the end is not after the start or beyond 99,999 hours, or the text
  ///   has nothing visible.
  /// - Complexity: linear in the texts.
  public init?(
    startMilliseconds: UInt64, endMilliseconds: UInt64, settings: String = "", text: String,
    identifier: String? = nil
  ) {
    self.init(
      startMilliseconds: startMilliseconds, endMilliseconds: endMilliseconds,
      settings: CueSettings.normalised(Array(settings.utf8)), text: Array(text.utf8), identifier: identifier)
  }

  /// - Parameter settings: normalised already.
  init?(
    startMilliseconds: UInt64, endMilliseconds: UInt64, settings: String, text: [UInt8], identifier: String?
  ) {
    guard startMilliseconds < endMilliseconds, endMilliseconds <= CueTime.largestMilliseconds,
      let text = CueText.normalised(text)
    else { return nil }
    self.startMilliseconds = startMilliseconds
    self.endMilliseconds = endMilliseconds
    self.settings = settings
    self.text = String(decoding: text, as: UTF8.self)
    self.identifier = identifier.flatMap(Self.writable)
  }

  /// The identifier as one line; nil for one that readers would take for something else.
  private static func writable(_ identifier: String) -> String? {
    let line = Array(identifier.utf8).filter { $0 >= 0x20 && $0 != 0x7F }
    let kept = line.trimmed(line.indices)
    guard !kept.isEmpty, kept.count <= 256, line.arrow(in: kept) == nil,
      !line.hasPrefix("NOTE", in: kept), !line.hasPrefix("STYLE", in: kept),
      !line.hasPrefix("REGION", in: kept)
    else { return nil }
    return line.string(kept)
  }

  /// An upper bound for the bytes of the cue in a file.
  var boundBytes: Int { text.utf8.count + settings.utf8.count + (identifier?.utf8.count ?? 0) + 40 }
}

extension TextWriter {
  /// A cue and the empty line after it.
  mutating func cue(_ cue: SubtitleCue) {
    if let identifier = cue.identifier {
      raw(Array(identifier.utf8))
      literal("\n")
    }
    cueTime(cue.startMilliseconds)
    literal(" --> ")
    cueTime(cue.endMilliseconds)
    if !cue.settings.isEmpty {
      literal(" ")
      raw(Array(cue.settings.utf8))
    }
    literal("\n")
    raw(Array(cue.text.utf8))
    literal("\n\n")
  }
}

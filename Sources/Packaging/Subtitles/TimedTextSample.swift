// Samples of the 3GPP timed text and QuickTime text tracks of MP4 and MOV (sample entries `tx3g` and `text`;
// 3GPP TS 26.245 §5.17): a 16-bit length, so many bytes of text, then boxes.
//
// The text is UTF-8, or UTF-16 when it starts with a byte order mark. `styl` gives runs of characters a
// face: bit 0 bold, bit 1 italic, bit 2 underlined. Runs are in order and do not overlap; one that does is not used. QuickTime's
// `styl` has the same name and another form, so `text` samples are read without styles. A sample without text is the
// gap between two cues.

enum TimedTextSample {
  /// The text as WebVTT cue text, still to be normalised; nil for a gap and for what is no such sample.
  static func webVTT(_ sample: [UInt8], hasStyles: Bool) -> [UInt8]? {
    var reader = BoxReader(sample.span)
    guard let count = reader.u16(), let text = reader.take(Int(count)), !text.isEmpty else { return nil }
    let source = SubtitleText.decoded(text.copied())
    var runs: [StyleRun] = []
    while hasStyles, let box = reader.box() {
      if box.type == FourCC("styl"), runs.isEmpty { runs = StyleRun.runs(box.body) }
    }
    return styled(source, runs)
  }

  /// Characters from `start` to before `end` and their face.
  private struct StyleRun {
    var start: Int
    var end: Int
    var face: UInt8

    static func runs(_ body: Span<UInt8>) -> [StyleRun] {
      var reader = BoxReader(body)
      guard let count = reader.u16() else { return [] }
      var runs: [StyleRun] = []
      for _ in 0..<count {
        guard let start = reader.u16(), let end = reader.u16(), reader.skip(2) != nil, let face = reader.u8(),
          reader.skip(5) != nil
        else { break }
        if face & 7 != 0, start < end, Int(start) >= runs.last?.end ?? 0 {
          runs.append(StyleRun(start: Int(start), end: Int(end), face: face))
        }
      }
      return runs
    }

    func tags(isOn: Bool) -> [UInt8] {
      let faces: [(UInt8, TextStyle)] = [(1, .bold), (2, .italic), (4, .underline)]
      let tags = faces.filter { face & $0.0 != 0 }.map { $0.1.tag(isOn: isOn) }
      return Array((isOn ? tags : tags.reversed()).joined())
    }
  }

  private static func styled(_ source: [UInt8], _ runs: [StyleRun]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(source.count + 16)
    var characters = 0
    var runs = runs[...]
    var isInside = false
    for byte in source {
      // Every byte but a continuation starts a character.
      if byte & 0xC0 != 0x80 {
        if isInside, let run = runs.first, run.end <= characters {
          text += run.tags(isOn: false)
          runs.removeFirst()
          isInside = false
        }
        if !isInside, let run = runs.first, run.start <= characters {
          text += run.tags(isOn: true)
          isInside = true
        }
        characters += 1
      }
      switch byte {
      case 0x26: text.append(literal: "&amp;")
      case 0x3C: text.append(literal: "&lt;")
      case 0x3E: text.append(literal: "&gt;")
      default: text.append(byte)
      }
    }
    return text
  }
}

extension SubtitleCue {
  /// The cue of one `tx3g` sample.
  ///
  /// - Returns: nil for a gap, and where the cue would never be seen.
  public static func fromTX3G(
    sample: [UInt8], startMilliseconds: UInt64, endMilliseconds: UInt64
  ) -> SubtitleCue? {
    TimedTextSample.webVTT(sample, hasStyles: true).flatMap {
      SubtitleCue(
        startMilliseconds: startMilliseconds, endMilliseconds: endMilliseconds, settings: "", text: $0,
        identifier: nil)
    }
  }
}

/// Reads the text tracks of MP4 and MOV files: from samples to a document.
///
/// Times are those of the samples on the presentation's timeline, edit list applied, rounded to milliseconds; what
/// lies before presentation time 0 is cut off. Where samples follow each other with equal parts of a WebVTT cue, the
/// parts are one cue again.
public enum SubtitleTrackReader {
  /// Samples beyond this number are not read: four for each cue that a document may have.
  static let largestSampleCount = 4 * SubtitleDocument.largestCueCount
  /// Larger samples hold no text that is taken, whatever else they hold.
  private static let largestSampleBytes: UInt32 = 128 << 10

  /// The document of one of `Movie.textTracks`.
  ///
  /// - Parameters:
  ///   - source: the file that the track was found in.
  ///   - name: what people see in a menu.
  ///   - isForced: nil takes what the track says, which only `tx3g` entries can.
  /// - Throws: `.damaged` with the code `no-cues`, `.unsupported` with `subtitles-too-large` or `codec`,
  ///   `.sourceUnreadable`.
  /// - Complexity: one read of the source for each sample that can hold a cue.
  public static func read(
    _ movieTrack: MovieTrack, from source: some ByteSource, name: String = "", isForced: Bool? = nil
  ) throws(MediaError) -> ParsedSubtitles {
    let columns = movieTrack.columns
    guard columns.count <= largestSampleCount else {
      throw SubtitleDocument.tooLarge("more than \(largestSampleCount) samples")
    }
    guard columns.totalBytes <= UInt64(SubtitleDocument.largestBytes) else {
      throw SubtitleDocument.tooLarge("more than \(SubtitleDocument.largestBytes >> 20) MiB of samples")
    }
    let track = movieTrack.track
    let entry = SampleEntry.code(of: track.sampleEntry)
    var collector = SubtitleCollector()
    var assembly = CueAssembly()
    var decode = Int64(clamping: columns.firstDecodeTicks)
    for index in 0..<columns.count {
      let composition = decode &+ columns.compositionOffset(index) &+ track.presentationShiftTicks
      let start = milliseconds(composition, track.timescale)
      let end = milliseconds(composition &+ Int64(columns.durationsTicks[index]), track.timescale)
      decode &+= Int64(columns.durationsTicks[index])
      // A length alone, or less, is a gap.
      let sizeBytes = columns.sizesBytes[index]
      guard end > 0, sizeBytes > 2, sizeBytes <= largestSampleBytes else { continue }
      let sample = try source.bytes(at: columns.offsets[index], count: Int(sizeBytes))
      switch entry {
      case FourCC("wvtt"):
        assembly.add(WebVTTSample.parts(sample), start: start, end: end)
      case FourCC("tx3g"), FourCC("text"):
        if let text = TimedTextSample.webVTT(sample, hasStyles: entry == FourCC("tx3g")) {
          try collector.add(start: start, end: end, settings: "", text: text)
        }
      default:
        throw .unsupported("codec", "Track \(track.id) is \(entry), which is not read as text.")
      }
    }
    try assembly.finish(into: &collector)
    if entry == FourCC("wvtt") {
      collector.headerBlocks = WebVTTSample.headerBlocks(sampleEntry: track.sampleEntry)
    }
    return try collector.document(
      language: track.language, name: name, isForced: isForced ?? allSamplesAreForced(track.sampleEntry))
  }

  private static func milliseconds(_ ticks: Int64, _ timescale: UInt32) -> UInt64 {
    ExactDuration.scaled(UInt64(max(0, ticks)), by: 1000, over: UInt64(timescale), rounding: .nearest)
  }

  /// Whether the display flags of a `tx3g` entry say that every sample is forced (QuickTime File Format, subtitle
  /// sample description).
  private static func allSamplesAreForced(_ sampleEntry: [UInt8]) -> Bool {
    var reader = BoxReader(sampleEntry.span)
    guard let entry = reader.box(), entry.type == FourCC("tx3g") else { return false }
    var body = BoxReader(entry.body)
    guard body.skip(8) != nil, let flags = body.u32() else { return false }
    return flags & 0x8000_0000 != 0
  }
}

/// Joins the parts of WebVTT cues that samples cut.
private struct CueAssembly {
  private struct Joined {
    var part: WebVTTSample.Part
    var start: UInt64
    var end: UInt64
  }

  /// In the order in which they first occur.
  private var cues: [Joined] = []
  /// Indices of those that the sample before showed.
  private var open: [Int] = []

  /// Cues of one sample beyond this number are not joined, so that no file makes the search slow.
  private static let openLimit = 64

  mutating func add(_ parts: [WebVTTSample.Part], start: UInt64, end: UInt64) {
    var shown: [Int] = []
    for part in parts {
      if let index = open.firstIndex(where: { cues[$0].end == start && cues[$0].part == part }) {
        let cue = open.remove(at: index)
        cues[cue].end = max(start, end)
        shown.append(cue)
      } else {
        cues.append(Joined(part: part, start: start, end: end))
        shown.append(cues.count - 1)
      }
    }
    open = Array(shown.prefix(Self.openLimit))
  }

  func finish(into collector: inout SubtitleCollector) throws(MediaError) {
    for cue in cues {
      try collector.add(
        start: cue.start, end: cue.end, settings: cue.part.settings, text: cue.part.text,
        identifier: cue.part.identifier)
    }
  }
}

// Subtitles under the fuzz target of Packaging: every input is a file in each format, and a sample of each kind.
//
// What is taken is stored, read again to the same and cut into segments; a difference is a finding.

func fuzzSubtitles(_ bytes: [UInt8]) {
  _ = SubtitleFormat.probe(bytes)
  for format in SubtitleFormat.allCases {
    do throws(MediaError) {
      let parsed = try SubtitleDocument.parse(bytes, format: format, language: "en")
      try checkSubtitles(parsed.document)
    } catch {
      // Refusing is what most inputs deserve.
    }
  }
  let cues =
    [
      SubtitleCue.fromTX3G(sample: bytes, startMilliseconds: 0, endMilliseconds: 1),
      SubtitleCue.fromASS(dialogueFields: bytes, startMilliseconds: 1, endMilliseconds: 2),
      SubtitleCue.fromSubRip(text: bytes, startMilliseconds: 2, endMilliseconds: 3),
    ].compactMap { $0 } + SubtitleCue.fromWVTT(sample: bytes, startMilliseconds: 3, endMilliseconds: 4)
  do throws(MediaError) {
    try checkSubtitles(SubtitleDocument(language: "en", cues: cues))
  } catch {
    // No cue, or one that is too long.
  }
}

private func checkSubtitles(_ document: SubtitleDocument) throws(MediaError) {
  let again: ParsedSubtitles
  do throws(MediaError) {
    again = try SubtitleDocument.parse(document.bytes(), format: .webVTT)
  } catch {
    preconditionFailure("subtitles that were just written cannot be read: \(error)")
  }
  precondition(again.document == document && again.defects.isEmpty, "subtitles changed in the store")
  let segment = Segment(
    firstSample: 0, sampleCount: 1, startTicks: 0, durationTicks: 1, decodeTicks: 0, mediaBytes: 0)
  guard let whole = SubtitleSegments(document, segments: [segment], timescale: 1).bytes(0) else {
    preconditionFailure("a segment is missing")
  }
  let cut = try SubtitleDocument.parse(whole, format: .webVTT).document
  precondition(cut.cues == document.cues, "a segment lost a cue")
}

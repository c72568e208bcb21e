// Text tracks of a movie.
//
// They are found and their tables are read as those of picture and sound are, and then set apart: segments
// are planned and written for `tracks` alone, text is converted to WebVTT (`SubtitleTrackReader`).
//
// A text track that another track names in a `chap` reference is its list of chapters, not subtitles
// (QuickTime File Format, chapter lists). A movie with nothing but text is none.

extension SampleEntry {
  /// Whether samples of this entry are text that `SubtitleTrackReader` takes.
  static func isText(_ code: FourCC) -> Bool {
    [FourCC("tx3g"), FourCC("wvtt"), FourCC("text")].contains(code)
  }
}

extension Movie {
  /// Moves text tracks from `tracks` to `textTracks`, and chapter lists to `leftOut`.
  ///
  /// - Parameter movieBox: the body of `moov`.
  /// - Throws: `.unsupported` when no other track is left.
  mutating func setTextTracksApart(_ movieBox: Span<UInt8>) throws(MediaError) {
    let isText = tracks.map { $0.track.kind == .subtitle }
    guard isText.contains(true) else { return }
    let chapters = Self.chapterTrackIDs(movieBox)
    for movieTrack in tracks where movieTrack.track.kind == .subtitle {
      let track = movieTrack.track
      if chapters.contains(track.id) {
        leftOut.append(
          LeftOutTrack(
            id: track.id, kind: track.kind, codec: SampleEntry.code(of: track.sampleEntry),
            language: track.language,
            reason: MediaReason(code: "chapters", message: "It is the chapter list of another track.")))
      } else {
        textTracks.append(movieTrack)
      }
    }
    tracks.removeAll { $0.track.kind == .subtitle }
    guard !tracks.isEmpty else {
      throw .unsupported(
        "no-packageable-track",
        "The file has text but neither picture nor sound; upload it with what it belongs to.")
    }
  }

  /// The tracks that other tracks name as their chapters.
  private static func chapterTrackIDs(_ movieBox: Span<UInt8>) -> Set<UInt32> {
    var found: Set<UInt32> = []
    var boxes = BoxReader(movieBox)
    while let box = boxes.box() {
      guard box.type == FourCC("trak"), let references = box.body.firstBox(FourCC("tref")),
        let chapters = references.body.firstBox(FourCC("chap"))
      else { continue }
      var reader = BoxReader(chapters.body)
      while let id = reader.u32(), found.count < 256 { found.insert(id) }
    }
    return found
  }
}

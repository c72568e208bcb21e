/// A track as the file describes it, with all its samples, before its edit list is applied.
///
/// Samples come from the tables of `moov`, from fragments, or from both in this order.
struct SourceTrack {
  /// What the track is. Its times, counts and bytes are not known yet.
  var track: Track
  /// The sample entry's code.
  var codec: FourCC
  var columns: SampleColumns
  var edits: [EditListBox.Entry]
  /// Number of the sample entry that all samples must use, from 1.
  var descriptionNumber: UInt32
  var hasSyncTable: Bool
  var defects: [Defect]
  /// Why the track is left out after all.
  var refusal: MediaReason?

  init(
    track: Track, codec: FourCC, columns: SampleColumns, edits: [EditListBox.Entry],
    descriptionNumber: UInt32, hasSyncTable: Bool, defects: [Defect]
  ) {
    self.track = track
    self.codec = codec
    self.columns = columns
    self.edits = edits
    self.descriptionNumber = descriptionNumber
    self.hasSyncTable = hasSyncTable
    self.defects = defects
    if track.kind == .video, !hasSyncTable, columns.count > 0 {
      self.defects.append(
        Defect(
          code: "no-stss",
          message: "Track \(track.id) has no stss box: every picture is taken for a key frame."))
    }
  }

  func leftOut(_ reason: MediaReason) -> LeftOutTrack {
    LeftOutTrack(id: track.id, kind: track.kind, codec: codec, language: track.language, reason: reason)
  }

  /// Makes edits last to the end of the media where their length was written before the fragments came.
  ///
  /// That is so where `moov` does not know the length of the whole (`mehd`), and where an edit ends with
  /// the media that `moov` itself lists, of `moovTicks` length. One tick of the movie is rounding.
  mutating func openEdits(moovTicks: UInt64, movieTimescale: UInt32, knowsDuration: Bool) {
    for index in edits.indices where edits[index].mediaTicks >= 0 {
      let length = UInt128(edits[index].durationTicks) * UInt128(track.timescale)
      let listed = UInt128(moovTicks) * UInt128(movieTimescale) + UInt128(track.timescale)
      let isOfMoov = moovTicks > 0 && length <= listed
      if !knowsDuration || isOfMoov { edits[index].durationTicks = 0 }
    }
  }

  /// The track with the samples that its edit list shows; without any if it has none or shows none.
  ///
  /// - Throws: `MediaError.damaged` for an edit list with times beyond all reason.
  mutating func edited(movieTimescale: UInt32) throws(MediaError) -> MovieTrack {
    guard
      let timeline = Timeline(edits: edits, movieTimescale: movieTimescale, trackTimescale: track.timescale)
    else {
      throw .damaged("edit-list", "The edit list of track \(track.id) has times beyond all reason.")
    }
    if timeline.hasSeveralEdits {
      defects.append(
        Defect(
          code: "several-edits",
          message: "Track \(track.id) shows several parts of its media; only the first is used."))
    }
    let kept = timeline.keptSamples(
      of: columns, kind: track.kind, movieTimescale: movieTimescale, trackTimescale: track.timescale)
    let shown = columns.kept(kept)
    var result = track
    result.presentationShiftTicks = timeline.shiftTicks
    result.sampleCount = UInt32(shown.count)
    result.totalBytes = shown.totalBytes
    if let range = shown.compositionRange {
      result.presentationStartTicks = range.start + timeline.shiftTicks
      result.durationTicks = UInt64(
        max(0, range.end + timeline.shiftTicks - max(0, result.presentationStartTicks)))
    }
    // A track that is over before presentation time 0 shows nothing.
    guard result.durationTicks > 0 else { return MovieTrack(track: result, columns: SampleColumns()) }
    return MovieTrack(track: result, columns: shown)
  }
}

extension SampleColumns {
  /// Takes the first sample for a sync sample where there is none, and says so.
  mutating func assureSyncSample(trackID: UInt32) -> Defect? {
    guard !syncFlags.isEmpty, !syncFlags.contains(true) else { return nil }
    syncFlags[0] = true
    return Defect(
      code: "no-sync-sample",
      message: "Track \(trackID) has no sync sample; its first sample is taken for one.")
  }
}

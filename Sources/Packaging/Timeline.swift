// From edit lists to presentation times.
//
// A sample has a decode time (sum of the durations before it) and a composition time (decode time plus its ctts
// offset), both on the media's own timeline. The edit list of a track says which part of that timeline is shown, and when
// (ISO/IEC 14496-12 §8.6.6). This version keeps to what files in the wild use, which is one number per track:
//
//   presentation = composition + shift,   shift = (leading empty edits) − (media time of the first other edit)
//
// Empty edits are lengths in the movie's timescale and are rounded to the nearest tick of the track.
//
// What the edit hides is handled like this:
// - Pictures before the edit are kept from the last sync sample at or before its start, since later ones need them;
//   whole groups of pictures before that are dropped.
// - Sound before the edit is kept from one second before its start. That is what encoder priming and decoder
//   roll-in need, and the same that libavformat keeps. Kept samples before the start have negative presentation times.
// - Samples at the end, in decode order, that start at or after the end of the edit are dropped. Nothing is
//   dropped when the edit ends within one tick of the movie's timescale of the end of the media: then the
//   difference is the rounding of whoever wrote the edit.
//
// Of several edits that show media the first decides, and a defect says so. Rates other than 1 are not looked at.
// Without an edit list the shift is 0: a file whose first composition time is not 0 starts late, and gapless playback
// hints outside the edit list (iTunSMPB) change nothing.
//
// A fragmented file is often a clip from a longer stream, whose tracks all start at the time that the stream had come to.
// Where all tracks of such a file start after 0, all are moved to the front by the time of the earliest, which then
// starts at 0 (`Movie.moveToStart`). The distance between tracks stays, to half a tick.

struct Timeline: Equatable {
  /// Added to composition times to get presentation times, in ticks of the track.
  var shiftTicks: Int64 = 0
  /// Composition time of the first sample that is meant to be shown; nil when nothing is hidden at the front.
  var editStartTicks: Int64?
  /// Length of the edit in ticks of the movie's timescale; nil when it lasts as long as the media.
  var editDurationMovieTicks: UInt64?
  var hasSeveralEdits = false

  /// Largest time that is believed, in ticks: far beyond any film, and far from overflow.
  private static let limitTicks: Int64 = 1 << 56

  /// - Returns: nil when a time of the list is beyond all reason.
  init?(edits: [EditListBox.Entry], movieTimescale: UInt32, trackTimescale: UInt32) {
    var delay: UInt128 = 0
    var isDelay = true
    for edit in edits {
      if edit.mediaTicks < 0 {
        if isDelay { delay += UInt128(edit.durationTicks) }
        continue
      }
      guard isDelay else {
        hasSeveralEdits = true
        continue
      }
      isDelay = false
      guard edit.mediaTicks <= Self.limitTicks else { return nil }
      editStartTicks = edit.mediaTicks
      editDurationMovieTicks = edit.durationTicks == 0 ? nil : edit.durationTicks
    }
    let scale = UInt128(max(1, movieTimescale))
    let (scaled, overflow) = delay.multipliedReportingOverflow(by: UInt128(trackTimescale))
    let delayTicks = (scaled + scale / 2) / scale
    guard !overflow, delayTicks <= UInt128(Self.limitTicks) else { return nil }
    shiftTicks = Int64(delayTicks) - (editStartTicks ?? 0)
  }

  /// The samples that are kept, as indices into the columns of all samples.
  func keptSamples(of columns: SampleColumns, kind: TrackKind, movieTimescale: UInt32, trackTimescale: UInt32)
    -> Range<Int>
  {
    guard let start = editStartTicks, columns.count > 0 else { return 0..<columns.count }
    let prerollStart = kind == .audio ? start - Int64(trackTimescale) : start
    var first = 0
    var lastShown = -1
    var mediaEnd = Int64.min
    var decode = Int64(columns.firstDecodeTicks)
    let editLength = editDurationMovieTicks.map { Int128($0) * Int128(trackTimescale) }
    for index in 0..<columns.count {
      let composition = decode + columns.compositionOffset(index)
      if composition <= prerollStart, columns.isSync(index) { first = index }
      let fromStart = Int128(composition - start) * Int128(movieTimescale)
      if editLength.map({ fromStart < $0 }) ?? true { lastShown = index }
      mediaEnd = max(mediaEnd, composition + Int64(columns.durationsTicks[index]))
      decode += Int64(columns.durationsTicks[index])
    }
    if let editLength {
      let hidden = Int128(mediaEnd - start) * Int128(movieTimescale) - editLength
      if hidden <= Int128(trackTimescale) { lastShown = columns.count - 1 }
    }
    return lastShown >= first ? first..<lastShown + 1 : 0..<0
  }
}

extension Movie {
  /// Takes away the time before the first picture or sound of any track, where there is such a time.
  mutating func moveToStart() {
    guard
      let first = tracks.map(\.track).min(by: {
        Int128($0.presentationStartTicks) * Int128($1.timescale)
          < Int128($1.presentationStartTicks) * Int128($0.timescale)
      }), first.presentationStartTicks > 0
    else { return }
    for index in tracks.indices {
      let scaled = Int128(first.presentationStartTicks) * Int128(tracks[index].track.timescale)
      let scale = Int128(first.timescale)
      // No track starts earlier than the first, so none is moved past 0.
      let ticks = Int64(clamping: (scaled + scale / 2) / scale)
      tracks[index].track.presentationShiftTicks -= ticks
      tracks[index].track.presentationStartTicks -= ticks
    }
  }
}

extension SampleColumns {
  /// The columns of a part of the samples.
  func kept(_ range: Range<Int>) -> SampleColumns {
    guard range != 0..<count else { return self }
    var result = SampleColumns()
    result.firstDecodeTicks = durationsTicks[..<range.lowerBound].reduce(firstDecodeTicks) { $0 + UInt64($1) }
    result.offsets = Array(offsets[range])
    result.sizesBytes = Array(sizesBytes[range])
    result.durationsTicks = Array(durationsTicks[range])
    if !compositionOffsetsTicks.isEmpty {
      result.compositionOffsetsTicks = Array(compositionOffsetsTicks[range])
    }
    if !syncFlags.isEmpty { result.syncFlags = Array(syncFlags[range]) }
    return result
  }

  /// Smallest composition time, and largest composition time plus duration; nil without samples.
  var compositionRange: (start: Int64, end: Int64)? {
    var decode = Int64(firstDecodeTicks)
    var result: (start: Int64, end: Int64)?
    for index in 0..<count {
      let composition = decode + compositionOffset(index)
      let end = composition + Int64(durationsTicks[index])
      result = (min(result?.start ?? .max, composition), max(result?.end ?? .min, end))
      decode += Int64(durationsTicks[index])
    }
    return result
  }

  var totalBytes: UInt64 { sizesBytes.reduce(0) { $0 + UInt64($1) } }
}

// The form in which we store media that we write ourselves: a progressive MP4 (ISO/IEC 14496-12).
//
//     ftyp   isom iso6 mp41
//     moov
//       mvhd             timescale: the largest of the tracks, at least 1000
//       trak, one a track, numbered from 1
//         tkhd           the first track of a kind is enabled, the others are alternatives to it
//         edts/elst      only where the track does not start with its first sample, see `TrackEdits`
//         mdia
//           mdhd hdlr [elng]
//           minf
//             vmhd | smhd | sthd | nmhd
//             dinf/dref  one entry: the media is in this file
//             stbl       stsd stts [ctts] [stss] stsc stsz stco|co64
//     mdat               chunks of all tracks, by time
//
// `moov` comes first, so that a player starts after one request. A chunk holds the samples of one track for one
// to two seconds: video ends a chunk at the first key frame after a second, at the latest after two; sound ends it
// after one. Chunks follow each other by the decode time of their first sample, on the presentation's clock, so
// that a player that reads on finds sound and picture of one instant close together, and a media segment is a
// few long slices. Ties go to the track that comes first.
//
// The bytes are a pure function of the movie: no clock, no random number, no name of a source.
//
// `stss` is written for every video track, even where all samples are sync samples: its absence means the same,
// but readers cannot tell it from an oversight.

/// A progressive MP4 of a movie's samples: bytes of our own, followed by slices of the movie's source.
public struct ProgressiveFile: Sendable, Equatable {
  /// `ftyp`, `moov` and the header of `mdat`.
  public let head: [UInt8]
  /// The payload of `mdat` in order; samples that touch in the source and in the file share a slice.
  public let slices: [BlobSlice]
  /// Bytes of the head and all slices.
  public let totalBytes: UInt64

  /// The file of all tracks of `movie`.
  ///
  /// `MovieReader.read` of the result gives the same tracks and samples, with presentation times, durations and sync
  /// flags unchanged; only track numbers and the place of the samples are others.
  /// - Complexity: linear in the number of samples; about 20 bytes of head for each.
  public init(_ movie: Movie) {
    let layout = ProgressiveLayout(movie)
    let mediaHeaderBytes: UInt64 = layout.mediaBytes > UInt64(UInt32.max) - 8 ? 16 : 8
    // The tables have the same length wherever the media begins, so a first writing finds out where that is.
    var hasWideOffsets = false
    var boxes = layout.boxes(mediaOffset: 0, hasWideOffsets: hasWideOffsets)
    if UInt64(boxes.count) + mediaHeaderBytes + layout.mediaBytes > UInt64(UInt32.max) {
      hasWideOffsets = true
      boxes = layout.boxes(mediaOffset: 0, hasWideOffsets: hasWideOffsets)
    }
    let mediaOffset = UInt64(boxes.count) + mediaHeaderBytes
    var writer = BoxWriter(capacityBytes: Int(mediaOffset))
    writer.raw(layout.boxes(mediaOffset: mediaOffset, hasWideOffsets: hasWideOffsets))
    if mediaHeaderBytes == 8 {
      writer.u32(UInt32(layout.mediaBytes + 8))
      writer.fourCC("mdat")
    } else {
      writer.u32(1)
      writer.fourCC("mdat")
      writer.u64(layout.mediaBytes + 16)
    }
    head = writer.bytes
    slices = layout.slices()
    totalBytes = mediaOffset + layout.mediaBytes
  }
}

/// Samples of one track that follow each other in the file.
private struct ProgressiveChunk {
  var track: Int
  var firstSample: Int
  var sampleCount: Int
  /// When its first sample is decoded, on the presentation's clock, in ticks of the track.
  var startTicks: Int64
  var byteCount: UInt64
}

/// What is settled before a byte is written: chunks, their order, and the edits.
private struct ProgressiveLayout {
  let tracks: [MovieTrack]
  let timescale: UInt32
  let edits: [TrackEdits]
  /// All chunks in the order of the file.
  let chunks: [ProgressiveChunk]
  let mediaBytes: UInt64

  init(_ movie: Movie) {
    let tracks = movie.tracks
    let timescale = max(1000, tracks.map(\.track.timescale).max() ?? 1000)
    let edits = tracks.map { TrackEdits($0, movieTimescale: timescale) }
    var chunks: [ProgressiveChunk] = []
    for (number, track) in tracks.enumerated() {
      chunks += Self.chunks(of: track, number: number, shiftTicks: edits[number].shiftTicks)
    }
    chunks.sort { left, right in
      let leftTime = Int128(left.startTicks) * Int128(tracks[right.track].track.timescale)
      let rightTime = Int128(right.startTicks) * Int128(tracks[left.track].track.timescale)
      return (leftTime, left.track, left.firstSample) < (rightTime, right.track, right.firstSample)
    }
    self.tracks = tracks
    self.timescale = timescale
    self.edits = edits
    self.chunks = chunks
    mediaBytes = chunks.reduce(0) { $0 + $1.byteCount }
  }

  private static func chunks(of track: MovieTrack, number: Int, shiftTicks: Int64) -> [ProgressiveChunk] {
    let columns = track.columns
    let secondTicks = UInt64(track.track.timescale)
    let isVideo = track.track.kind == .video
    var chunks: [ProgressiveChunk] = []
    var decode: UInt64 = 0
    var chunkDecode: UInt64 = 0
    for index in 0..<columns.count {
      let elapsed = decode - chunkDecode
      let isFull =
        elapsed >= 2 * secondTicks || elapsed >= secondTicks && (!isVideo || columns.isSync(index))
      if index == 0 || isFull {
        chunks.append(
          ProgressiveChunk(
            track: number, firstSample: index, sampleCount: 0,
            startTicks: Int64(clamping: Int128(decode) + Int128(shiftTicks)), byteCount: 0))
        chunkDecode = decode
      }
      chunks[chunks.count - 1].sampleCount += 1
      chunks[chunks.count - 1].byteCount += UInt64(columns.sizesBytes[index])
      decode += UInt64(columns.durationsTicks[index])
    }
    return chunks
  }

  func slices() -> [BlobSlice] {
    var slices: [BlobSlice] = []
    for chunk in chunks {
      let columns = tracks[chunk.track].columns
      for index in chunk.firstSample..<chunk.firstSample + chunk.sampleCount {
        let count = UInt64(columns.sizesBytes[index])
        guard count > 0 else { continue }
        if let last = slices.last, last.offset + last.count == columns.offsets[index] {
          slices[slices.count - 1].count += count
        } else {
          slices.append(BlobSlice(offset: columns.offsets[index], count: count))
        }
      }
    }
    return slices
  }

  /// `ftyp` and `moov`, for media that begins at `mediaOffset` of the file.
  func boxes(mediaOffset: UInt64, hasWideOffsets: Bool) -> [UInt8] {
    var offsets = tracks.map { _ in [UInt64]() }
    var counts = tracks.map { _ in [Int]() }
    var offset = mediaOffset
    for chunk in chunks {
      offsets[chunk.track].append(offset)
      counts[chunk.track].append(chunk.sampleCount)
      offset += chunk.byteCount
    }
    let sampleCount = tracks.reduce(0) { $0 + $1.columns.count }
    var writer = BoxWriter(capacityBytes: 1024 * (1 + tracks.count) + 20 * sampleCount)
    let ftyp = writer.begin("ftyp")
    writer.fourCC("isom")
    writer.u32(0x200)
    for brand in ["isom", "iso6", "mp41"] as [StaticString] { writer.fourCC(brand) }
    writer.end(ftyp)
    let moov = writer.begin("moov")
    writer.movieHeader(
      timescale: timescale, durationTicks: edits.map(\.durationMovieTicks).max() ?? 0,
      nextTrackID: UInt32(tracks.count) + 1)
    var seen: Set<TrackKind> = []
    for (number, track) in tracks.enumerated() {
      let trak = writer.begin("trak")
      writer.trackHeader(
        track.track, id: UInt32(number) + 1, durationTicks: edits[number].durationMovieTicks,
        isEnabled: seen.insert(track.track.kind).inserted,
        alternateGroup: UInt16(track.track.kind.rawValue))
      if !edits[number].entries.isEmpty { writer.editList(edits[number].entries) }
      let mdia = writer.begin("mdia")
      writer.mediaHeader(
        track.track, durationTicks: track.columns.durationsTicks.reduce(0) { $0 + UInt64($1) })
      let minf = writer.begin("minf")
      writer.mediaInformationHeader(track.track.kind)
      let stbl = writer.begin("stbl")
      writer.sampleDescription(track.track)
      writer.sampleTables(track.columns, isVideo: track.track.kind == .video)
      writer.chunkTables(
        sampleCounts: counts[number], offsets: offsets[number], hasWideOffsets: hasWideOffsets)
      writer.end(stbl)
      writer.end(minf)
      writer.end(mdia)
      writer.end(trak)
    }
    writer.end(moov)
    return writer.bytes
  }
}

/// The edit list that puts a track's samples where they were on the presentation's clock.
///
/// In the file a track's decode times begin at 0. A sample of the source is presented at its composition time plus the
/// track's shift, so here at composition time plus `shiftTicks`, which is that shift and the decode time of the first
/// kept sample together. Where that is not 0 there is an edit list:
///
/// - The track starts late: an empty edit up to its first sample, then the media from there. The same could be said
///   by an edit from media time 0, but libavformat moves the first sample to the start of its edit.
/// - Else the part of the media before presentation time 0 is decoded and not shown: one edit from there.
///
/// An empty edit counts in ticks of the movie, and a reader rounds it to ticks of the track. With a movie timescale no
/// less than the track's, the rounding back gives the same number, since it is off by less than half a tick.
private struct TrackEdits {
  let shiftTicks: Int64
  let entries: [EditListBox.Entry]
  /// When the track ends on the presentation's clock.
  let durationMovieTicks: UInt64

  init(_ track: MovieTrack, movieTimescale: UInt32) {
    let firstDecode = Int128(track.columns.firstDecodeTicks)
    let timescale = UInt64(max(1, track.track.timescale))
    func movieTicks(_ ticks: Int128, _ rounding: ExactDuration.Rounding) -> UInt64 {
      ExactDuration.scaled(
        UInt64(clamping: ticks), by: UInt64(movieTimescale), over: timescale, rounding: rounding)
    }
    let shift = Int128(track.track.presentationShiftTicks) + firstDecode
    let range = track.columns.compositionRange
    let mediaStart = max(0, Int128(range?.start ?? 0) - firstDecode)
    let mediaEnd = Int128(range?.end ?? 0) - firstDecode
    let media = mediaStart + shift > 0 ? mediaStart : -shift
    let delay = movieTicks(media + shift, .nearest)
    // Rounded up, so that the last sample is never taken for one behind the edit.
    let shown = movieTicks(mediaEnd - media, .up)
    shiftTicks = Int64(clamping: shift)
    durationMovieTicks = delay.addingSaturating(shown)
    guard shift != 0 else {
      entries = []
      return
    }
    let shownEdit = EditListBox.Entry(durationTicks: shown, mediaTicks: Int64(clamping: media))
    entries = delay > 0 ? [EditListBox.Entry(durationTicks: delay, mediaTicks: -1), shownEdit] : [shownEdit]
  }
}

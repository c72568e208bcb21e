// Fragmented files: samples that are listed in `moof` boxes all over the file instead of in `moov`.
//
//   ftyp  moov (what the tracks are; mvex: defaults)  [sidx]  moof mdat  moof mdat  …  [mfra]
//
// The top level is walked from the first byte to the last by box headers. Each `moof` is read whole, within a limit, and
// its runs are added to the columns of their tracks, so that what comes out is the same as of a progressive file and
// nothing needs to be rewritten: a sample lies where its fragment says. All else at the top level (sidx, mfra, styp, prft,
// emsg, free) says nothing that is needed.
//
// Where the data lie (ISO/IEC 14496-12 §8.8.7 and §8.8.8). A track fragment has a base: the one it states, else the
// `moof` if it says so or is the first of its `moof`, else the end of the data of the track fragment before it. A run
// starts at its offset from the base; without an offset behind the run before it, and the first at the base.
//
// A recording that was cut off ends in a fragment that is not whole. The fragment is dropped, for all tracks alike, and
// noted. Data that are not there in the middle of the file are damage.
//
// A track fragment of a track that is not packaged is read for the place of its data only.

/// Reads the fragments of one file.
struct FragmentReader<Source: ByteSource> {
  private let source: Source
  private let limits: MediaLimits
  private let extends: MovieExtends?
  private var tracks: [FragmentedTrack]
  private let trackIndex: [UInt32: Int]
  private var fragmentCount = 0
  /// Where the fragment that is not whole starts.
  private var cutOffset: UInt64?
  private var defects: [Defect] = []

  init(_ source: Source, tracks: [SourceTrack], extends: MovieExtends?, limits: MediaLimits) {
    self.source = source
    self.limits = limits
    self.extends = extends
    self.tracks = tracks.map { FragmentedTrack($0) }
    trackIndex = Dictionary(tracks.indices.map { (tracks[$0].track.id, $0) }) { first, _ in first }
  }

  /// The tracks with the samples of all fragments behind those they had, and what was found on the way.
  ///
  /// - Throws: `MediaError.damaged` for fragments that contradict themselves or the file and for a file whose only
  ///   fragment is cut short, `.unsupported` for files without any sample and beyond `limits`.
  /// - Complexity: linear in the number of top-level boxes and the size of all `moof` boxes.
  mutating func read(movieTimescale: UInt32) throws(MediaError) -> (tracks: [SourceTrack], defects: [Defect])
  {
    try walk()
    let hasSamples = tracks.contains { $0.sampleCount > 0 || $0.source.refusal != nil }
    if let cutOffset {
      guard hasSamples else {
        throw .damaged(
          "fragment-cut-short", "The file ends in its first fragment; upload the whole file again.")
      }
      defects.append(
        Defect(
          code: "fragment-cut-short",
          message: "The file ends in a fragment, at byte \(cutOffset): the asset ends before it."))
    } else if fragmentCount == 0, !hasSamples {
      throw .unsupported("init-segment", "The file is an init segment without media segments.")
    }
    let knowsDuration = extends?.knowsDuration ?? false
    return (
      tracks.map { $0.finished(movieTimescale: movieTimescale, knowsDuration: knowsDuration) }, defects
    )
  }

  private mutating func walk() throws(MediaError) {
    let length = source.lengthBytes
    var offset: UInt64 = 0
    var boxesLeft = limits.topLevelBoxes + 8 * limits.fragments
    while offset < length {
      boxesLeft -= 1
      guard boxesLeft >= 0 else {
        throw .unsupported("too-many-fragments", "The file has too many boxes at its top level.")
      }
      guard let (type, location) = try TopLevelBoxes.box(source, at: offset) else {
        return noteJunk(offset)
      }
      switch type {
      case FourCC("moof"):
        guard !location.isTruncated else {
          cutOffset = cutOffset ?? offset
          return
        }
        try readFragment(location)
      case FourCC("mdat") where location.isTruncated && cutOffset == nil:
        defects.append(MovieReader.mediaDataTooLong)
      case FourCC("styp"), FourCC("sidx"), FourCC("prft"), FourCC("emsg"):
        if location.isTruncated { cutOffset = cutOffset ?? offset }
      default:
        if location.isTruncated, type != FourCC("mdat") { return noteJunk(offset) }
      }
      if location.isTruncated { return }
      offset += location.sizeBytes
    }
  }

  /// Behind a fragment that is cut short, the rest is the start of what is missing.
  private mutating func noteJunk(_ offset: UInt64) {
    if cutOffset == nil { defects.append(MovieReader.trailingJunk(offset)) }
  }

  private mutating func readFragment(_ location: TopLevelBoxes.Location) throws(MediaError) {
    if let cutOffset {
      throw .damaged(
        "sample-past-end",
        "The fragment at byte \(cutOffset) has samples past the end of the file, but is not the last one.")
    }
    fragmentCount += 1
    guard fragmentCount <= limits.fragments else {
      throw .unsupported("too-many-fragments", "The file has more than \(limits.fragments) fragments.")
    }
    let bodyBytes = location.sizeBytes - UInt64(location.headerBytes)
    guard bodyBytes <= UInt64(max(0, limits.moofBytes)) else {
      throw .unsupported(
        "moof-too-large",
        "The moof box at byte \(location.offset) has \(bodyBytes) bytes; the limit is \(limits.moofBytes).")
    }
    let body = try source.bytes(at: location.offset + UInt64(location.headerBytes), count: Int(bodyBytes))
    guard body.count == Int(bodyBytes) else {
      cutOffset = location.offset
      return
    }
    let marks = tracks.map(\.mark)
    guard try add(body.span, at: location.offset) else {
      for (index, mark) in marks.enumerated() { tracks[index].goBack(to: mark) }
      cutOffset = location.offset
      return
    }
  }

  /// Adds the runs of one `moof`.
  ///
  /// - Returns: whether all its data lie inside the file.
  private mutating func add(_ body: Span<UInt8>, at moofOffset: UInt64) throws(MediaError) -> Bool {
    var dataEnd = moofOffset
    var isWhole = true
    var reader = BoxReader(body)
    while let box = reader.box() {
      guard box.type == FourCC("traf") else { continue }
      guard let full = box.body.firstBox(FourCC("tfhd"))?.fullBox(), let header = TrackFragmentHeaderBox(full)
      else { throw Self.unreadable(moofOffset, "tfhd") }
      let index = trackIndex[header.trackID]
      let complete = header.completed(by: extends?.defaults[header.trackID])
      let base = header.baseDataOffset ?? (header.baseIsFragment ? moofOffset : dataEnd)
      if header.durationIsEmpty, let index { try tracks[index].skip(complete.durationTicks ?? 0) }
      var position = base
      var hasStarted = false
      var runs = BoxReader(box.body)
      while let runBox = runs.box() {
        guard runBox.type == FourCC("trun") else { continue }
        guard let runFull = runBox.fullBox(), let run = TrackRunBox(runFull) else {
          throw Self.unreadable(moofOffset, "trun")
        }
        let start = try Self.start(of: run, base: base, position: position, moofOffset)
        let (end, overflow) = start.addingReportingOverflow(
          run.totalBytes(defaultSize: complete.sizeBytes ?? 0))
        guard !overflow else { throw Self.unreadable(moofOffset, "trun") }
        position = end
        dataEnd = end
        isWhole = isWhole && (end <= source.lengthBytes || run.count == 0)
        guard isWhole, run.count > 0, let index else { continue }
        if !hasStarted {
          try tracks[index].startFragment(at: try Self.decodeTime(box.body, moofOffset))
          hasStarted = true
        }
        let used = tracks.reduce(0) { $0 + $1.sampleCount }
        let limit = min(limits.samplesPerTrack - tracks[index].sampleCount, limits.samplesTotal - used)
        try tracks[index].append(run, complete, at: start, limit: limit)
      }
    }
    return isWhole
  }

  private static func decodeTime(_ body: Span<UInt8>, _ moofOffset: UInt64) throws(MediaError) -> UInt64? {
    guard let box = body.firstBox(FourCC("tfdt")) else { return nil }
    guard let full = box.fullBox(), let time = TrackFragmentDecodeTimeBox(full) else {
      throw unreadable(moofOffset, "tfdt")
    }
    return time.decodeTicks
  }

  private static func start(
    of run: borrowing TrackRunBox, base: UInt64, position: UInt64, _ moofOffset: UInt64
  ) throws(MediaError) -> UInt64 {
    guard let dataOffset = run.dataOffset else { return position }
    let (start, overflow) =
      dataOffset < 0
      ? base.subtractingReportingOverflow(UInt64(dataOffset.magnitude))
      : base.addingReportingOverflow(UInt64(dataOffset.magnitude))
    guard !overflow else {
      throw .damaged(
        "fragment-data-offset", "The fragment at byte \(moofOffset) places its data outside of the file.")
    }
    return start
  }

  private static func unreadable(_ moofOffset: UInt64, _ box: String) -> MediaError {
    .damaged(
      "fragment-boxes",
      "The fragment at byte \(moofOffset) has no readable \(box) box; upload the file again.")
  }
}

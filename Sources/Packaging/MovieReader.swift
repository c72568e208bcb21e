// From a file to a `Movie`.
//
// The top level is walked by box headers until `moov` is known, wherever it is and whatever its size field looks like;
// `moov` is read whole, within a limit, and taken apart in memory. The descent is fixed (moov, trak, mdia, minf, stbl and
// sample entries), so no file can make it go deeper. Sample tables are expanded only for tracks whose coding is packaged.
//
// Verdicts: what a track's coding or form rules out leaves that track out, with the reason. Tables of a packaged coding
// that contradict themselves or the file damn the file, since serving half of a broken upload hides the break.

/// Reads the tables of progressive MP4 and MOV files.
public enum MovieReader {
  /// The movie in a source, with every sample checked to lie inside it.
  ///
  /// - Throws: `.notMedia` when there are no boxes, `.damaged` for broken files, `.unsupported` for sound ones that
  ///   this version does not package (fragmented, encrypted, other codings, beyond `limits`), `.sourceUnreadable`.
  /// - Complexity: linear in the size of `moov`.
  public static func read(_ source: some ByteSource, limits: MediaLimits = .init()) throws(MediaError)
    -> Movie
  {
    let top = try TopLevelBoxes(source, limits: limits)
    guard let location = top.movie else {
      if top.hasFragment {
        throw .unsupported("media-segment", "The file is a media segment without its init segment.")
      }
      guard top.fileType != nil || top.mediaData != nil else {
        throw .notMedia(reason: MediaReason(code: "unknown", message: "The file has no MP4 boxes."))
      }
      throw .damaged(
        "no-moov", "The file has no moov box: the upload was cut short or the recording not finished.")
    }
    if top.isFragmented || top.hasFragment {
      throw .unsupported(
        "fragmented", "The file is a fragmented MP4; remux it to a progressive one to package it.")
    }
    guard !location.isTruncated else {
      throw .damaged(
        "moov-cut-short", "The moov box reaches past the end of the file; upload the whole file again.")
    }
    let bodyBytes = location.sizeBytes - UInt64(location.headerBytes)
    guard bodyBytes <= UInt64(max(0, limits.moovBytes)) else {
      throw .unsupported(
        "moov-too-large", "The moov box has \(bodyBytes) bytes; the limit is \(limits.moovBytes).")
    }
    let body = try source.bytes(at: location.offset + UInt64(location.headerBytes), count: Int(bodyBytes))
    guard body.count == Int(bodyBytes) else {
      throw .damaged("moov-cut-short", "The moov box could not be read whole; upload the file again.")
    }
    var movie = try MovieParser(fileBytes: source.lengthBytes, limits: limits).parse(body.span)
    movie.majorBrand = top.fileType?.majorBrand ?? FourCC("qt  ")
    movie.compatibleBrands = top.fileType?.compatibleBrands ?? []
    movie.defects += fileDefects(top, location)
    try movie.setTextTracksApart(body.span)
    return movie
  }

  private static func fileDefects(_ top: TopLevelBoxes, _ movie: TopLevelBoxes.Location) -> [Defect] {
    var defects: [Defect] = []
    if let media = top.mediaData, media.offset < movie.offset {
      defects.append(
        Defect(
          code: "moov-at-end",
          message: "The moov box lies behind the media; players that stream this file fetch its end first."))
    }
    if top.hasTruncatedMediaData {
      defects.append(
        Defect(
          code: "mdat-too-long",
          message: "The mdat box states more bytes than the file has, but all samples are there."))
    }
    if let offset = top.junkOffset {
      defects.append(
        Defect(code: "trailing-junk", message: "The bytes from \(offset) on are no boxes and are not used."))
    }
    return defects
  }
}

/// Takes `moov` apart.
struct MovieParser {
  let fileBytes: UInt64
  let limits: MediaLimits

  /// The movie without its brands.
  func parse(_ body: Span<UInt8>) throws(MediaError) -> Movie {
    if body.firstBox(FourCC("cmov")) != nil {
      throw .unsupported("compressed-moov", "The moov box is compressed (QuickTime cmov); remux the file.")
    }
    guard let header = body.firstBox(FourCC("mvhd"))?.fullBox(), let movieHeader = MovieHeaderBox(header),
      movieHeader.timescale > 0
    else { throw .damaged("movie-header", "The moov box has no readable mvhd box.") }
    var movie = Movie(
      majorBrand: FourCC(rawValue: 0), compatibleBrands: [], timescale: movieHeader.timescale, tracks: [],
      leftOut: [],
      defects: [])
    var trackCount = 0
    var samplesLeft = limits.samplesTotal
    var reader = BoxReader(body)
    while let box = reader.box() {
      guard box.type == FourCC("trak") else { continue }
      trackCount += 1
      guard trackCount <= limits.tracks else {
        throw .unsupported("too-many-tracks", "The file has more than \(limits.tracks) tracks.")
      }
      try add(box.body, number: trackCount, samplesLeft: &samplesLeft, to: &movie)
    }
    guard trackCount > 0 else { throw .damaged("no-tracks", "The moov box has no tracks.") }
    if let encrypted = movie.leftOut.first(where: { $0.reason.code == "encrypted" }) {
      throw .unsupported("encrypted", "Track \(encrypted.id) is encrypted; encrypted files are not packaged.")
    }
    guard !movie.tracks.isEmpty else { throw Self.nothingToPackage(movie.leftOut) }
    return movie
  }

  /// Sound tracks of other codings make a file that is kept; tracks that are all broken make a damaged one.
  private static func nothingToPackage(_ leftOut: [LeftOutTrack]) -> MediaError {
    let list = leftOut.map { "track \($0.id): \($0.reason.message)" }.joined(separator: " ")
    let isSound = leftOut.contains { ["codec", "several-sample-entries"].contains($0.reason.code) }
    return isSound
      ? .unsupported("no-packageable-track", "No track can be packaged. \(list)")
      : .damaged("no-packageable-track", "No track is whole. \(list)")
  }

  private func add(_ body: Span<UInt8>, number: Int, samplesLeft: inout Int, to movie: inout Movie)
    throws(MediaError)
  {
    var parser = TrackParser(body, movieTimescale: movie.timescale)
    switch parser.describe(number: number) {
    case .failure(let error): movie.leftOut.append(parser.leftOut(error.reason))
    case .success(let entry):
      let limit = min(limits.samplesPerTrack, samplesLeft)
      let outcome: MovieTrack
      do throws(MediaError) {
        outcome = try parser.read(entry, fileBytes: fileBytes, sampleLimit: limit)
      } catch {
        // A track that changes its sample entry is sound but of a form that is not packaged. Broken text is no
        // reason to refuse a film.
        guard error.code == "several-sample-entries" || parser.kind == .subtitle else { throw error }
        movie.leftOut.append(parser.leftOut(error.reason))
        return
      }
      movie.defects += parser.defects
      guard outcome.columns.count > 0 else {
        movie.leftOut.append(
          parser.leftOut(
            MediaReason(code: "no-samples", message: "It has no samples, or its edit list shows none.")))
        return
      }
      samplesLeft -= outcome.columns.count
      movie.tracks.append(outcome)
    }
  }
}

// From a file to a `Movie`.
//
// The top level is walked by box headers until `moov` is known, wherever it is and whatever its size field looks like;
// `moov` is read whole, within a limit, and taken apart in memory. The descent is fixed (moov, trak, mdia, minf, stbl and
// sample entries), so no file can make it go deeper. Sample tables are expanded only for tracks whose coding is packaged.
// Where there are fragments their samples follow (BMFF/FragmentReader.swift). Edit lists are applied last.
//
// Verdicts: what a track's coding or form rules out leaves that track out, with the reason. Tables of a packaged coding
// that contradict themselves or the file damn the file, since serving half of a broken upload hides the break.

/// Reads progressive and fragmented MP4 and MOV files.
public enum MovieReader {
  /// The movie in a source, with every sample checked to lie inside it.
  ///
  /// - Throws: `.notMedia` when there are no boxes, `.damaged` for broken files, `.unsupported` for sound ones that
  ///   this version does not package (encrypted, other codings, a segment without its init segment or the reverse,
  ///   beyond `limits`), `.sourceUnreadable`.
  /// - Complexity: linear in the size of `moov` and of all `moof` boxes.
  public static func read(_ source: some ByteSource, limits: MediaLimits = .init()) throws(MediaError)
    -> Movie
  {
    let top = try TopLevelBoxes(source, limits: limits)
    guard let location = top.movie else { throw withoutMovieBox(top) }
    let body = try movieBox(source, location, limits)
    var parsed = try MovieParser(fileBytes: source.lengthBytes, limits: limits).parse(body.span)
    var fileDefects: [Defect] = []
    if let media = top.mediaData, media.offset < location.offset { fileDefects.append(movieBoxAtEnd) }
    let isFragmented = top.isFragmented || top.hasFragment
    if isFragmented {
      var reader = FragmentReader(source, tracks: parsed.tracks, extends: parsed.extends, limits: limits)
      let found = try reader.read(movieTimescale: parsed.timescale)
      parsed.tracks = found.tracks
      fileDefects += found.defects
    } else {
      if top.hasTruncatedMediaData { fileDefects.append(mediaDataTooLong) }
      if let offset = top.junkOffset { fileDefects.append(trailingJunk(offset)) }
    }
    var movie = try parsed.edited()
    movie.majorBrand = top.fileType?.majorBrand ?? FourCC("qt  ")
    movie.compatibleBrands = top.fileType?.compatibleBrands ?? []
    movie.isFragmented = isFragmented
    if isFragmented { movie.moveToStart() }
    try movie.setTextTracksApart(body.span)
    for number in movie.tracks.indices {
      movie.tracks[number].track.closedCaptions = ClosedCaptions.find(in: movie.tracks[number], source)
      movie.tracks[number].track.leastCompositionOffsetTicks =
        min(0, movie.tracks[number].columns.compositionOffsetsTicks.min() ?? 0)
    }
    movie.defects += DefectReport.defects(of: movie)
    movie.defects += fileDefects
    return movie
  }

  private static func withoutMovieBox(_ top: TopLevelBoxes) -> MediaError {
    if top.hasFragment {
      return .unsupported("media-segment", "The file is a media segment without its init segment.")
    }
    guard top.fileType != nil || top.mediaData != nil else {
      return .notMedia(reason: MediaReason(code: "unknown", message: "The file has no MP4 boxes."))
    }
    return .damaged(
      "no-moov", "The file has no moov box: the upload was cut short or the recording not finished.")
  }

  private static func movieBox(
    _ source: some ByteSource, _ location: TopLevelBoxes.Location, _ limits: MediaLimits
  ) throws(MediaError) -> [UInt8] {
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
    return body
  }

  private static var movieBoxAtEnd: Defect {
    Defect(
      code: "moov-at-end",
      message: "The moov box lies behind the media; players that stream this file fetch its end first.")
  }

  static var mediaDataTooLong: Defect {
    Defect(
      code: "mdat-too-long",
      message: "The mdat box states more bytes than the file has, but all samples are there.")
  }

  static func trailingJunk(_ offset: UInt64) -> Defect {
    Defect(code: "trailing-junk", message: "The bytes from \(offset) on are no boxes and are not used.")
  }
}

/// What `moov` says, with edit lists not yet applied.
struct ParsedMovie {
  /// Ticks per second of the movie header; never 0.
  var timescale: UInt32
  /// What is packaged as far as `moov` shows, in file order; at least one.
  var tracks: [SourceTrack]
  var leftOut: [LeftOutTrack]
  var extends: MovieExtends?

  /// The movie without its brands.
  ///
  /// - Throws: when no track shows anything.
  func edited() throws(MediaError) -> Movie {
    var movie = Movie(
      majorBrand: FourCC(rawValue: 0), compatibleBrands: [], timescale: timescale, tracks: [],
      leftOut: leftOut, defects: [])
    for var source in tracks {
      if let refusal = source.refusal {
        movie.leftOut.append(source.leftOut(refusal))
        continue
      }
      let track: MovieTrack
      do throws(MediaError) { track = try source.edited(movieTimescale: timescale) } catch {
        guard source.track.kind == .subtitle else { throw error }
        movie.leftOut.append(source.leftOut(error.reason))
        continue
      }
      movie.defects += source.defects
      if track.columns.count > 0 {
        movie.tracks.append(track)
      } else {
        let reason = MediaReason(
          code: "no-samples", message: "It has no samples, or its edit list shows none.")
        movie.leftOut.append(source.leftOut(reason))
      }
    }
    guard !movie.tracks.isEmpty else { throw MovieParser.nothingToPackage(movie.leftOut) }
    return movie
  }
}

/// Takes `moov` apart.
struct MovieParser {
  let fileBytes: UInt64
  let limits: MediaLimits

  func parse(_ body: Span<UInt8>) throws(MediaError) -> ParsedMovie {
    if body.firstBox(FourCC("cmov")) != nil {
      throw .unsupported("compressed-moov", "The moov box is compressed (QuickTime cmov); remux the file.")
    }
    guard let header = body.firstBox(FourCC("mvhd"))?.fullBox(), let movieHeader = MovieHeaderBox(header),
      movieHeader.timescale > 0
    else { throw .damaged("movie-header", "The moov box has no readable mvhd box.") }
    var movie = ParsedMovie(timescale: movieHeader.timescale, tracks: [], leftOut: [])
    if let box = body.firstBox(FourCC("mvex")) {
      movie.extends = MovieExtends(box.body, limit: limits.tracks)
    }
    var trackCount = 0
    var samplesLeft = limits.samplesTotal
    var reader = BoxReader(body)
    while let box = reader.box() {
      guard box.type == FourCC("trak") else { continue }
      trackCount += 1
      guard trackCount <= limits.tracks else {
        throw .unsupported("too-many-tracks", "The file has more than \(limits.tracks) tracks.")
      }
      try add(box.body, samplesLeft: &samplesLeft, to: &movie)
    }
    guard trackCount > 0 else { throw .damaged("no-tracks", "The moov box has no tracks.") }
    if let encrypted = movie.leftOut.first(where: { $0.reason.code == "encrypted" }) {
      throw .unsupported("encrypted", "Track \(encrypted.id) is encrypted; encrypted files are not packaged.")
    }
    guard !movie.tracks.isEmpty else { throw Self.nothingToPackage(movie.leftOut) }
    return movie
  }

  /// Sound tracks of other codings make a file that is kept; tracks that are all broken make a damaged one.
  static func nothingToPackage(_ leftOut: [LeftOutTrack]) -> MediaError {
    let list = leftOut.map { "track \($0.id): \($0.reason.message)" }.joined(separator: " ")
    let isSound = leftOut.contains { ["codec", "several-sample-entries"].contains($0.reason.code) }
    return isSound
      ? .unsupported("no-packageable-track", "No track can be packaged. \(list)")
      : .damaged("no-packageable-track", "No track is whole. \(list)")
  }

  private func add(_ body: Span<UInt8>, samplesLeft: inout Int, to movie: inout ParsedMovie)
    throws(MediaError)
  {
    var parser = TrackParser(body)
    switch parser.describe(extends: movie.extends) {
    case .failure(let error): movie.leftOut.append(parser.leftOut(error.reason))
    case .success(let entry):
      let limit = min(limits.samplesPerTrack, samplesLeft)
      let track: SourceTrack
      do throws(MediaError) {
        track = try parser.read(entry, fileBytes: fileBytes, sampleLimit: limit)
      } catch {
        // A track that changes its sample entry is sound but of a form that is not packaged. Broken text is no
        // reason to refuse a film.
        guard error.code == "several-sample-entries" || parser.kind == .subtitle else { throw error }
        movie.leftOut.append(parser.leftOut(error.reason))
        return
      }
      samplesLeft -= track.columns.count
      movie.tracks.append(track)
    }
  }
}

/// Takes one `trak` box apart.
struct TrackParser: ~Escapable {
  private let body: Span<UInt8>
  private let movieTimescale: UInt32
  private(set) var defects: [Defect] = []
  private var id: UInt32 = 0
  private(set) var kind = TrackKind.other
  private var codec = FourCC(rawValue: 0)
  private var language = "und"
  private var timescale: UInt32 = 0
  private var header: TrackHeaderBox?

  /// A group of pictures longer than this makes seeking and switching slow, in seconds.
  private static let longGroupSeconds: Int64 = 10

  @_lifetime(copy body)
  init(_ body: Span<UInt8>, movieTimescale: UInt32) {
    self.body = body
    self.movieTimescale = movieTimescale
  }

  /// Finds out what the track is, and gives its sample entry if it is packaged.
  mutating func describe(number: Int) -> Result<SampleEntry, MediaReasonError> {
    func failure(_ code: String, _ message: String) -> Result<SampleEntry, MediaReasonError> {
      .failure(MediaReasonError(reason: MediaReason(code: code, message: message)))
    }
    if let box = body.firstBox(FourCC("tkhd"))?.fullBox() { header = TrackHeaderBox(box) }
    id = header?.trackID ?? 0
    guard let media = body.firstBox(FourCC("mdia"))?.body else {
      return failure("no-media", "It has no mdia box.")
    }
    if let box = media.firstBox(FourCC("hdlr"))?.fullBox() { kind = HandlerBox(box)?.kind ?? .other }
    if let box = media.firstBox(FourCC("mdhd"))?.fullBox(), let mediaHeader = MediaHeaderBox(box) {
      timescale = mediaHeader.timescale
      language = TrackLanguage.of(packed: mediaHeader.languageCode)
    }
    if let box = media.firstBox(FourCC("elng"))?.fullBox(),
      let tag = TrackLanguage.of(extended: box.body.copied())
    {
      language = tag
    }
    guard let tables = media.firstBox(FourCC("minf"))?.body.firstBox(FourCC("stbl"))?.body,
      let description = SampleTableBoxes(tables).description()
    else { return failure("no-sample-description", "It has no readable stsd box.") }
    // All samples use one entry, which is checked when they are read.
    var entryIndex = 0
    if let chunks = SampleTableBoxes(tables).samplesToChunks(), chunks.runs.count > 0 {
      entryIndex = Int(chunks.descriptionNumber(0)) - 1
    }
    guard description.entries.indices.contains(entryIndex) else {
      return failure("no-sample-description", "Its samples use a sample entry that stsd does not have.")
    }
    let entry = description.entries[entryIndex]
    codec = SampleEntry.code(of: entry)
    guard id != 0 else { return failure("track-header", "It has no readable tkhd box, or the number 0.") }
    guard timescale != 0 else {
      return failure("media-header", "It has no readable mdhd box, or the timescale 0.")
    }
    return SampleEntry.read(entry, kind: kind)
  }

  /// The track as one that is left out.
  func leftOut(_ reason: MediaReason) -> LeftOutTrack {
    LeftOutTrack(id: id, kind: kind, codec: codec, language: language, reason: reason)
  }

  /// The track with its samples, edit list applied. Without samples if it has none or shows none.
  mutating func read(_ entry: SampleEntry, fileBytes: UInt64, sampleLimit: Int) throws(MediaError)
    -> MovieTrack
  {
    guard let media = body.firstBox(FourCC("mdia"))?.body,
      let tables = media.firstBox(FourCC("minf"))?.body.firstBox(FourCC("stbl"))?.body
    else { throw .damaged("no-media", "Track \(id) lost its tables.") }
    let table = try SampleTable(
      SampleTableBoxes(tables), kind: kind, trackID: id, fileBytes: fileBytes, limit: sampleLimit)
    var edits: [EditListBox.Entry] = []
    if let box = body.firstBox(FourCC("edts"))?.body.firstBox(FourCC("elst"))?.fullBox() {
      guard let list = EditListBox(box) else {
        throw .damaged("edit-list", "The edit list of track \(id) is cut short.")
      }
      edits = list.entries
    }
    guard let timeline = Timeline(edits: edits, movieTimescale: movieTimescale, trackTimescale: timescale)
    else {
      throw .damaged("edit-list", "The edit list of track \(id) has times beyond all reason.")
    }
    let kept = timeline.keptSamples(
      of: table.columns, kind: kind, movieTimescale: movieTimescale, trackTimescale: timescale)
    let columns = table.columns.kept(kept)
    defects = table.defects
    var track = describedTrack(entry)
    track.presentationShiftTicks = timeline.shiftTicks
    track.sampleCount = UInt32(columns.count)
    track.totalBytes = columns.totalBytes
    if let range = columns.compositionRange {
      track.presentationStartTicks = range.start + timeline.shiftTicks
      track.durationTicks = UInt64(
        max(0, range.end + timeline.shiftTicks - max(0, track.presentationStartTicks)))
    }
    // A track that is over before presentation time 0 shows nothing.
    guard track.durationTicks > 0 else { return MovieTrack(track: track, columns: SampleColumns()) }
    noteDefects(track, columns, timeline, hasSyncTable: SampleTableBoxes(tables).has(FourCC("stss")))
    return MovieTrack(track: track, columns: columns)
  }

  private func describedTrack(_ entry: SampleEntry) -> Track {
    var track = Track(
      id: id, kind: kind, codec: entry.codec, sampleEntry: entry.bytes, codecString: entry.codecString,
      timescale: timescale, language: language)
    track.widthPixels = entry.widthPixels
    track.heightPixels = entry.heightPixels
    track.transferCharacteristics = entry.transferCharacteristics
    track.channelCount = entry.channelCount
    track.sampleRateHertz = entry.sampleRateHertz
    guard kind == .video, let header else { return track }
    track.matrix = header.matrix
    let size = Self.displaySize(entry, header)
    track.displayWidthPixels = size.width
    track.displayHeightPixels = size.height
    return track
  }

  /// The coded size with the width stretched by the pixel aspect ratio, then turned.
  ///
  /// The ratio comes from `pasp`, else from the size in `tkhd` where that has another shape than the coded picture.
  static func displaySize(_ entry: SampleEntry, _ header: TrackHeaderBox) -> (width: UInt32, height: UInt32) {
    var numerator: UInt64 = 1
    var denominator: UInt64 = 1
    if let aspect = entry.pixelAspect {
      numerator = UInt64(aspect.horizontal)
      denominator = UInt64(aspect.vertical)
    } else if header.width > 0, header.height > 0 {
      numerator = UInt64(header.width) * UInt64(entry.heightPixels)
      denominator = UInt64(header.height) * UInt64(entry.widthPixels)
    }
    let stretched = UInt128(entry.widthPixels) * UInt128(numerator) + UInt128(denominator / 2)
    // An aspect ratio that no picture has is not believed.
    var width = UInt32(clamping: stretched / UInt128(denominator))
    if width == 0 || width > 0x1_0000 { width = UInt32(entry.widthPixels) }
    let height = UInt32(entry.heightPixels)
    let isTurned =
      header.matrix[0] == 0 && header.matrix[4] == 0 && header.matrix[1] != 0 && header.matrix[3] != 0
    return isTurned ? (height, width) : (width, height)
  }

  private mutating func noteDefects(
    _ track: Track, _ columns: SampleColumns, _ timeline: Timeline, hasSyncTable: Bool
  ) {
    func note(_ code: String, _ message: String) {
      defects.append(Defect(code: code, message: message))
    }
    if timeline.hasSeveralEdits {
      note("several-edits", "Track \(id) shows several parts of its media; only the first is used.")
    }
    guard kind == .video else { return }
    if codec == FourCC("hev1") || codec == FourCC("avc3") {
      note(
        "in-band-parameter-sets",
        "Track \(id) is \(codec): parameter sets may be in the samples, which Apple players do not accept.")
    }
    if !hasSyncTable {
      note("no-stss", "Track \(id) has no stss box: every picture is taken for a key frame.")
      return
    }
    var decode = Int64(columns.firstDecodeTicks)
    var lastSync = decode
    var syncCount = 0
    var longest: Int64 = 0
    for index in 0..<columns.count {
      if columns.isSync(index) {
        longest = max(longest, decode - lastSync)
        lastSync = decode
        syncCount += 1
      }
      decode += Int64(columns.durationsTicks[index])
    }
    longest = max(longest, decode - lastSync)
    if !columns.isSync(0) {
      note(
        "no-key-frame-first",
        "Track \(id) does not start with a key frame; its first pictures cannot be shown.")
    }
    let isLong = longest > Self.longGroupSeconds * Int64(timescale)
    if syncCount == 1, isLong {
      note("single-key-frame", "Track \(id) has one key frame: it is one segment, and seeking in it is slow.")
    } else if isLong {
      let seconds = longest / Int64(timescale)
      note("long-gop", "Track \(id) has key frames up to \(seconds) s apart, so segments get as long.")
    }
  }
}

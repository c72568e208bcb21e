/// Takes one `trak` box apart: what the track is, and the samples that its tables list.
struct TrackParser: ~Escapable {
  private let body: Span<UInt8>
  private(set) var id: UInt32 = 0
  private var kind = TrackKind.other
  private var codec = FourCC(rawValue: 0)
  private var language = "und"
  private var timescale: UInt32 = 0
  private var header: TrackHeaderBox?
  /// Number of the sample entry that the samples use, from 1.
  private var descriptionNumber: UInt32 = 1

  @_lifetime(copy body)
  init(_ body: Span<UInt8>) { self.body = body }

  /// Finds out what the track is, and gives its sample entry if it is packaged.
  ///
  /// - Parameter extends: what `mvex` says; it names the sample entry of tracks without samples in `moov`.
  mutating func describe(extends: MovieExtends?) -> Result<SampleEntry, MediaReasonError> {
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
    if let chunks = SampleTableBoxes(tables).samplesToChunks(), chunks.runs.count > 0 {
      descriptionNumber = chunks.descriptionNumber(0)
    } else if let defaults = extends?.defaults[id] {
      descriptionNumber = max(1, defaults.descriptionNumber)
    }
    let entryIndex = Int(descriptionNumber) - 1
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

  /// The track with the samples that its tables list and its edit list, which is not yet applied.
  ///
  /// - Throws: `MediaError.damaged` for tables that contradict themselves or the file, `.unsupported` for more samples
  ///   than `sampleLimit` and for tracks whose samples use several sample entries.
  func read(_ entry: SampleEntry, fileBytes: UInt64, sampleLimit: Int) throws(MediaError) -> SourceTrack {
    guard let media = body.firstBox(FourCC("mdia"))?.body,
      let tables = media.firstBox(FourCC("minf"))?.body.firstBox(FourCC("stbl"))?.body
    else { throw .damaged("no-media", "Track \(id) lost its tables.") }
    let boxes = SampleTableBoxes(tables)
    let table = try SampleTable(boxes, kind: kind, trackID: id, fileBytes: fileBytes, limit: sampleLimit)
    var edits: [EditListBox.Entry] = []
    if let box = body.firstBox(FourCC("edts"))?.body.firstBox(FourCC("elst"))?.fullBox() {
      guard let list = EditListBox(box) else {
        throw .damaged("edit-list", "The edit list of track \(id) is cut short.")
      }
      edits = list.entries
    }
    return SourceTrack(
      track: describedTrack(entry), codec: codec, columns: table.columns, edits: edits,
      descriptionNumber: descriptionNumber, hasSyncTable: boxes.has(FourCC("stss")), defects: table.defects)
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
}

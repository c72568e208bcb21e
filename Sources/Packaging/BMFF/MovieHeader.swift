/// `ftyp`: what the file claims to be (ISO/IEC 14496-12 §4.3).
struct FileTypeBox {
  var majorBrand: FourCC
  var compatibleBrands: [FourCC]

  init?(_ body: Span<UInt8>) {
    var reader = BoxReader(body)
    guard let major = reader.u32(), reader.skip(4) != nil else { return nil }
    majorBrand = FourCC(rawValue: major)
    compatibleBrands = []
    // 64 brands are far more than any writer lists; the rest is not kept.
    while compatibleBrands.count < 64, let brand = reader.u32() {
      if brand != 0 { compatibleBrands.append(FourCC(rawValue: brand)) }
    }
  }
}

/// `mvhd` (§8.2.2), as far as it matters here: the unit of edit durations.
struct MovieHeaderBox {
  var timescale: UInt32

  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard reader.skip(box.version == 1 ? 16 : 8) != nil, let timescale = reader.u32() else { return nil }
    self.timescale = timescale
  }
}

/// `tkhd` (§8.3.2): identity and how the picture is placed.
struct TrackHeaderBox {
  var trackID: UInt32
  /// Nine words; 16.16 but for the last column, which is 2.30.
  var matrix: [Int32]
  /// Size to show before the matrix is applied, 16.16 pixels.
  var width: UInt32
  var height: UInt32

  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard reader.skip(box.version == 1 ? 16 : 8) != nil, let trackID = reader.u32(), reader.skip(4) != nil,
      reader.skip(box.version == 1 ? 8 : 4) != nil, reader.skip(16) != nil
    else { return nil }
    self.trackID = trackID
    matrix = []
    for _ in 0..<9 {
      guard let word = reader.u32() else { return nil }
      matrix.append(Int32(bitPattern: word))
    }
    guard let width = reader.u32(), let height = reader.u32() else { return nil }
    self.width = width
    self.height = height
  }
}

/// `mdhd` (§8.4.2): the unit of the track's times, and its language.
struct MediaHeaderBox {
  var timescale: UInt32
  /// Length of the media as stated, in `timescale`; 0 and all ones mean not known.
  var durationTicks: UInt64
  /// Packed ISO 639-2 code, or a QuickTime language number below 0x400.
  var languageCode: UInt16

  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard reader.skip(box.version == 1 ? 16 : 8) != nil, let timescale = reader.u32() else { return nil }
    let duration = box.version == 1 ? reader.u64() : reader.u32().map(UInt64.init)
    guard let duration, let language = reader.u16() else { return nil }
    self.timescale = timescale
    durationTicks = duration
    languageCode = language
  }
}

/// `hdlr` (§8.4.3): what kind of media a track holds.
struct HandlerBox {
  var type: FourCC

  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard reader.skip(4) != nil, let type = reader.u32() else { return nil }
    self.type = FourCC(rawValue: type)
  }

  var kind: TrackKind {
    switch type {
    case FourCC("vide"): return .video
    case FourCC("soun"): return .audio
    case FourCC("subt"), FourCC("text"), FourCC("sbtl"), FourCC("clcp"): return .subtitle
    default: return .other
    }
  }
}

// The init segment of one track: `ftyp` and a `moov` without samples, after CMAF (ISO/IEC 23000-19 §7.3).
//
//     ftyp  iso6 cmfc dash
//     moov
//       mvhd
//       trak
//         tkhd                 identifier 1, matrix and size of the picture
//         edts/elst            only where `FragmentTiming` asks for it
//         mdia
//           mdhd hdlr [elng]
//           minf
//             vmhd | smhd | sthd | nmhd
//             dinf/dref        one entry: the media is in this file
//             stbl             stsd with the source's sample entry; all tables empty
//       mvex/trex              all defaults 0: every fragment states its own, as CMAF asks
//       [pssh]                 of protected tracks alone, see `ProtectedTrack`
//
// The movie runs on the track's timescale, so nothing is rounded. Creation times are 0: the bytes depend
// on the track alone.

/// Makes CMAF init segments.
public enum InitSegment {
  /// The identifier the one track has in everything we write, whatever it was in the source.
  static let trackIdentifier: UInt32 = 1

  /// The init segment of `track`: to be followed by the track's media segments in any order.
  ///
  /// The sample entry is copied as it is, but for its data reference, which names the only one we write.
  ///
  /// - Parameter firstDecodeTicks: `decodeTicks` of the track's segment 0; the value given to
  ///   `MediaSegment.make` must be the same. See `FragmentTiming`.
  /// - Complexity: some hundred bytes and the sample entry; one allocation.
  public static func bytes(for track: Track, firstDecodeTicks: UInt64 = 0) -> [UInt8] {
    bytes(for: track, firstDecodeTicks: firstDecodeTicks, movieBoxes: [])
  }

  /// The same with whole boxes at the end of `moov`.
  static func bytes(for track: Track, firstDecodeTicks: UInt64, movieBoxes: [UInt8]) -> [UInt8] {
    let timing = FragmentTiming(track: track, firstDecodeTicks: firstDecodeTicks)
    var writer = BoxWriter(capacityBytes: 768 + track.sampleEntry.count + movieBoxes.count)

    let ftyp = writer.begin("ftyp")
    writer.fourCC("iso6")
    writer.u32(0)
    writer.fourCC("iso6")
    writer.fourCC("cmfc")
    writer.fourCC("dash")
    writer.end(ftyp)

    let moov = writer.begin("moov")
    movieHeader(track, into: &writer)
    let trak = writer.begin("trak")
    trackHeader(track, into: &writer)
    if let mediaTicks = timing.editMediaTicks {
      editList(mediaTicks: mediaTicks, into: &writer)
    }
    media(track, into: &writer)
    writer.end(trak)
    let mvex = writer.begin("mvex")
    let trex = writer.begin("trex", version: 0, flags: 0)
    writer.u32(trackIdentifier)
    writer.u32(1)  // sample description
    writer.zeros(12)  // duration, size and flags: each fragment states its own
    writer.end(trex)
    writer.end(mvex)
    writer.raw(movieBoxes)
    writer.end(moov)
    return writer.bytes
  }

  private static let identityMatrix: [Int32] = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000]

  private static func matrix(_ words: [Int32], into writer: inout BoxWriter) {
    for word in words { writer.u32(UInt32(bitPattern: word)) }
  }

  private static func movieHeader(_ track: Track, into writer: inout BoxWriter) {
    let mvhd = writer.begin("mvhd", version: 0, flags: 0)
    writer.zeros(8)  // creation, modification
    writer.u32(track.timescale)
    writer.u32(0)  // duration: what the fragments add up to
    writer.u32(0x0001_0000)  // rate 1
    writer.u16(0x0100)  // volume 1
    writer.zeros(10)
    matrix(identityMatrix, into: &writer)
    writer.zeros(24)
    writer.u32(trackIdentifier + 1)  // next free identifier
    writer.end(mvhd)
  }

  private static func trackHeader(_ track: Track, into writer: inout BoxWriter) {
    let tkhd = writer.begin("tkhd", version: 0, flags: 7)  // enabled, in movie, in preview
    writer.zeros(8)  // creation, modification
    writer.u32(trackIdentifier)
    writer.zeros(4)
    writer.u32(0)  // duration
    writer.zeros(12)  // reserved, layer, alternate group
    writer.u16(track.kind == .audio ? 0x0100 : 0)
    writer.zeros(2)
    matrix(track.matrix.count == 9 ? track.matrix : identityMatrix, into: &writer)
    let size = trackHeaderSize(track)
    writer.u32(fixedPoint(size.widthPixels))
    writer.u32(fixedPoint(size.heightPixels))
    writer.end(tkhd)
  }

  /// The size to show before the matrix turns it: a track stands on its side when the matrix swaps axes,
  /// and the display size, which is after the turn, has to be swapped back.
  private static func trackHeaderSize(_ track: Track) -> (widthPixels: UInt32, heightPixels: UInt32) {
    guard track.kind == .video else { return (0, 0) }
    guard track.displayWidthPixels > 0, track.displayHeightPixels > 0 else {
      return (UInt32(track.widthPixels), UInt32(track.heightPixels))
    }
    return track.isTurnedSideways
      ? (track.displayHeightPixels, track.displayWidthPixels)
      : (track.displayWidthPixels, track.displayHeightPixels)
  }

  private static func fixedPoint(_ pixels: UInt32) -> UInt32 {
    min(pixels, 0xFFFF) << 16
  }

  private static func editList(mediaTicks: Int64, into writer: inout BoxWriter) {
    let edts = writer.begin("edts")
    let elst = writer.begin("elst", version: 1, flags: 0)
    writer.u32(1)
    writer.u64(0)  // segment_duration: to the end of the fragments
    writer.u64(UInt64(bitPattern: mediaTicks))
    writer.u32(0x0001_0000)  // rate 1
    writer.end(elst)
    writer.end(edts)
  }

  private static func media(_ track: Track, into writer: inout BoxWriter) {
    let mdia = writer.begin("mdia")
    let language = WrittenLanguage(track.language)

    let mdhd = writer.begin("mdhd", version: 0, flags: 0)
    writer.zeros(8)  // creation, modification
    writer.u32(track.timescale)
    writer.u32(0)  // duration
    writer.u16(language?.packed ?? WrittenLanguage.packedUndetermined)
    writer.zeros(2)
    writer.end(mdhd)

    let hdlr = writer.begin("hdlr", version: 0, flags: 0)
    writer.u32(0)
    switch track.kind {
    case .video: writer.fourCC("vide")
    case .audio: writer.fourCC("soun")
    case .subtitle: writer.fourCC("subt")
    case .other: writer.fourCC("meta")
    }
    writer.zeros(12)
    writer.terminated("Headwater")
    writer.end(hdlr)

    // `mdhd` has room for three letters; any other tag is written whole (ISO/IEC 14496-12 §8.4.6).
    if let language, language.packed == nil {
      let elng = writer.begin("elng", version: 0, flags: 0)
      writer.raw(language.bytes)
      writer.u8(0)
      writer.end(elng)
    }

    mediaInformation(track, into: &writer)
    writer.end(mdia)
  }

  private static func mediaInformation(_ track: Track, into writer: inout BoxWriter) {
    let minf = writer.begin("minf")
    switch track.kind {
    case .video:
      let vmhd = writer.begin("vmhd", version: 0, flags: 1)
      writer.zeros(8)
      writer.end(vmhd)
    case .audio:
      let smhd = writer.begin("smhd", version: 0, flags: 0)
      writer.zeros(4)
      writer.end(smhd)
    case .subtitle:
      writer.end(writer.begin("sthd", version: 0, flags: 0))
    case .other:
      writer.end(writer.begin("nmhd", version: 0, flags: 0))
    }

    let dinf = writer.begin("dinf")
    let dref = writer.begin("dref", version: 0, flags: 0)
    writer.u32(1)
    writer.end(writer.begin("url ", version: 0, flags: 1))  // flag 1: in this file
    writer.end(dref)
    writer.end(dinf)

    let stbl = writer.begin("stbl")
    let stsd = writer.begin("stsd", version: 0, flags: 0)
    writer.u32(1)
    writer.raw(sampleEntry(track))
    writer.end(stsd)
    for table in ["stts", "stsc", "stco"] as [StaticString] {
      let box = writer.begin(table, version: 0, flags: 0)
      writer.u32(0)
      writer.end(box)
    }
    let stsz = writer.begin("stsz", version: 0, flags: 0)
    writer.zeros(8)
    writer.end(stsz)
    writer.end(stbl)
    writer.end(minf)
  }

  /// The source's sample entry with `data_reference_index` 1: a source may list several data references,
  /// our `dref` has one. The field follows box size, type and six reserved bytes.
  private static func sampleEntry(_ track: Track) -> [UInt8] {
    var entry = track.sampleEntry
    if entry.count >= 16 {
      entry[14] = 0
      entry[15] = 1
    }
    return entry
  }
}

extension Track {
  /// Whether the matrix turns the picture by a quarter, so that shown width is coded height.
  var isTurnedSideways: Bool {
    matrix.count == 9 && matrix[0] == 0 && matrix[4] == 0 && matrix[1] != 0 && matrix[3] != 0
  }
}

// The boxes of `moov` that an init segment and a progressive file have in common (ISO/IEC 14496-12 §8).
//
// Creation and modification times are 0 everywhere: the bytes depend on the media alone. A duration that
// 32 bits cannot hold takes version 1 of its box, any other version 0.

extension BoxWriter {
  private static let identityMatrix: [Int32] = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000]

  private mutating func matrix(_ words: [Int32]) {
    for word in words { u32(UInt32(bitPattern: word)) }
  }

  /// All ones mean "unknown", so the largest 32-bit number is no duration.
  private static func version(forTicks ticks: UInt64) -> UInt8 { ticks < UInt64(UInt32.max) ? 0 : 1 }

  private mutating func duration(_ ticks: UInt64) {
    if Self.version(forTicks: ticks) == 0 { u32(UInt32(truncatingIfNeeded: ticks)) } else { u64(ticks) }
  }

  /// Opens a box of times: version and flags, then creation and modification.
  private mutating func beginTimes(_ type: StaticString, flags: UInt32, durationTicks: UInt64) -> Int {
    let version = Self.version(forTicks: durationTicks)
    let start = begin(type, version: version, flags: flags)
    zeros(version == 0 ? 8 : 16)
    return start
  }

  /// `mvhd` (§8.2.2). Durations are ticks of `timescale`; 0 in a fragmented file.
  mutating func movieHeader(timescale: UInt32, durationTicks: UInt64, nextTrackID: UInt32) {
    let mvhd = beginTimes("mvhd", flags: 0, durationTicks: durationTicks)
    u32(timescale)
    duration(durationTicks)
    u32(0x0001_0000)  // rate 1
    u16(0x0100)  // volume 1
    zeros(10)
    matrix(Self.identityMatrix)
    zeros(24)
    u32(nextTrackID)
    end(mvhd)
  }

  /// `tkhd` (§8.3.2). A track that is not enabled is an alternative that players do not pick by themselves.
  mutating func trackHeader(
    _ track: Track, id: UInt32, durationTicks: UInt64, isEnabled: Bool = true, alternateGroup: UInt16 = 0
  ) {
    // In movie and in preview, and enabled.
    let tkhd = beginTimes("tkhd", flags: isEnabled ? 7 : 6, durationTicks: durationTicks)
    u32(id)
    zeros(4)
    duration(durationTicks)
    zeros(10)  // reserved, layer
    u16(alternateGroup)
    u16(track.kind == .audio ? 0x0100 : 0)
    zeros(2)
    matrix(track.matrix.count == 9 ? track.matrix : Self.identityMatrix)
    let size = Self.trackHeaderSize(track)
    u32(Self.fixedPoint(size.widthPixels))
    u32(Self.fixedPoint(size.heightPixels))
    end(tkhd)
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

  /// `edts` with an `elst` of version 1 (§8.6.6), every entry at rate 1.
  mutating func editList(_ entries: [EditListBox.Entry]) {
    let edts = begin("edts")
    let elst = begin("elst", version: 1, flags: 0)
    u32(UInt32(entries.count))
    for entry in entries {
      u64(entry.durationTicks)
      u64(UInt64(bitPattern: entry.mediaTicks))
      u32(0x0001_0000)
    }
    end(elst)
    end(edts)
  }

  /// `mdhd`, `hdlr` and, where three letters do not say the language, `elng` (§8.4.2, §8.4.3, §8.4.6).
  mutating func mediaHeader(_ track: Track, durationTicks: UInt64) {
    let language = WrittenLanguage(track.language)
    let mdhd = beginTimes("mdhd", flags: 0, durationTicks: durationTicks)
    u32(track.timescale)
    duration(durationTicks)
    u16(language?.packed ?? WrittenLanguage.packedUndetermined)
    zeros(2)
    end(mdhd)

    let hdlr = begin("hdlr", version: 0, flags: 0)
    u32(0)
    switch track.kind {
    case .video: fourCC("vide")
    case .audio: fourCC("soun")
    case .subtitle: fourCC("subt")
    case .other: fourCC("meta")
    }
    zeros(12)
    terminated("Headwater")
    end(hdlr)

    if let language, language.packed == nil {
      let elng = begin("elng", version: 0, flags: 0)
      raw(language.bytes)
      u8(0)
      end(elng)
    }
  }

  /// The media header of the kind, and `dinf` with one reference: the media is in this file (§8.4.5, §8.7.2).
  mutating func mediaInformationHeader(_ kind: TrackKind) {
    switch kind {
    case .video:
      let vmhd = begin("vmhd", version: 0, flags: 1)
      zeros(8)
      end(vmhd)
    case .audio:
      let smhd = begin("smhd", version: 0, flags: 0)
      zeros(4)
      end(smhd)
    case .subtitle:
      end(begin("sthd", version: 0, flags: 0))
    case .other:
      end(begin("nmhd", version: 0, flags: 0))
    }
    let dinf = begin("dinf")
    let dref = begin("dref", version: 0, flags: 0)
    u32(1)
    end(begin("url ", version: 0, flags: 1))  // flag 1: in this file
    end(dref)
    end(dinf)
  }

  /// `stsd` with the source's sample entry, whose `data_reference_index` becomes 1: a source may list several
  /// data references, our `dref` has one. The field follows box size, type and six reserved bytes.
  mutating func sampleDescription(_ track: Track) {
    let stsd = begin("stsd", version: 0, flags: 0)
    u32(1)
    var entry = track.sampleEntry
    if entry.count >= 16 {
      entry[14] = 0
      entry[15] = 1
    }
    raw(entry)
    end(stsd)
  }
}

extension Track {
  /// Whether the matrix turns the picture by a quarter, so that shown width is coded height.
  var isTurnedSideways: Bool {
    matrix.count == 9 && matrix[0] == 0 && matrix[4] == 0 && matrix[1] != 0 && matrix[3] != 0
  }
}

// Transfer characteristics from a sequence parameter set, for files without a `colr` box.
//
// HDR10 and HLG files are often muxed without `colr`; the only word on the transfer function is then the video usability
// information (VUI) of the SPS: ISO/IEC 14496-10 §7.3.2.1.1 and Annex E for AVC, ISO/IEC 23008-2 §7.3.2.2 and Annex E for
// HEVC. VUI comes last in the SPS, so all before it is parsed, only to be skipped.

enum VideoUsability {
  /// CICP transfer characteristics of an SPS NAL unit, or nil when it states none or cannot be read.
  static func transferCharacteristics(_ unit: [UInt8], codec: TrackCodec) -> UInt16? {
    let payload = unescaped(unit)
    var reader = BitReader(payload.span)
    let transfer = codec == .hevc ? hevc(&reader) : avc(&reader)
    return reader.isExhausted ? nil : transfer
  }

  /// A NAL unit without its emulation prevention bytes: `00 00 03` stands for `00 00`.
  static func unescaped(_ unit: [UInt8]) -> [UInt8] {
    var payload: [UInt8] = []
    payload.reserveCapacity(unit.count)
    var zeros = 0
    for byte in unit {
      if zeros >= 2, byte == 3 {
        zeros = 0
        continue
      }
      zeros = byte == 0 ? zeros + 1 : 0
      payload.append(byte)
    }
    return payload
  }

  /// The start of `vui_parameters`, which both codecs share up to the colour description.
  private static func colour(_ reader: inout BitReader) -> UInt16? {
    if reader.flag(), reader.bits(8) == 255 { reader.skip(32) }
    if reader.flag() { reader.skip(1) }
    guard reader.flag() else { return nil }
    reader.skip(4)
    guard reader.flag() else { return nil }
    reader.skip(8)
    return UInt16(reader.bits(8))
  }

  /// Values of `profile_idc` whose parameter sets state a chroma format (ISO/IEC 14496-10 §7.3.2.1.1).
  static let avcProfilesWithChroma: [UInt32] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]

  private static func avc(_ reader: inout BitReader) -> UInt16? {
    reader.skip(8)
    let profile = reader.bits(8)
    reader.skip(16)
    _ = reader.ue()
    if avcProfilesWithChroma.contains(profile) {
      let chroma = reader.ue()
      if chroma == 3 { reader.skip(1) }
      _ = reader.ue()
      _ = reader.ue()
      reader.skip(1)
      if reader.flag() {
        for list in 0..<(chroma == 3 ? 12 : 8) where reader.flag() {
          skipScalingList(&reader, entries: list < 6 ? 16 : 64)
        }
      }
    }
    _ = reader.ue()
    switch reader.ue() {
    case 0: _ = reader.ue()
    case 1:
      reader.skip(1)
      _ = reader.se()
      _ = reader.se()
      let cycle = reader.ue()
      guard cycle <= 255 else { return nil }
      for _ in 0..<cycle { _ = reader.se() }
    default: break
    }
    _ = reader.ue()
    reader.skip(1)
    _ = reader.ue()
    _ = reader.ue()
    if !reader.flag() { reader.skip(1) }
    reader.skip(1)
    if reader.flag() { for _ in 0..<4 { _ = reader.ue() } }
    return reader.flag() ? colour(&reader) : nil
  }

  static func skipScalingList(_ reader: inout BitReader, entries: Int) {
    var last: Int32 = 8
    var next: Int32 = 8
    for _ in 0..<entries {
      if next != 0 { next = (last &+ reader.se() &+ 256) % 256 }
      if next != 0 { last = next }
    }
  }

  private static func hevc(_ reader: inout BitReader) -> UInt16? {
    reader.skip(16)
    reader.skip(4)
    let subLayers = Int(reader.bits(3))
    reader.skip(1)
    skipProfileTierLevel(&reader, subLayers: subLayers)
    _ = reader.ue()
    if reader.ue() == 3 { reader.skip(1) }
    _ = reader.ue()
    _ = reader.ue()
    if reader.flag() { for _ in 0..<4 { _ = reader.ue() } }
    _ = reader.ue()
    _ = reader.ue()
    let orderBits = reader.ue()
    guard orderBits <= 12 else { return nil }
    let first = reader.flag() ? 0 : subLayers
    for _ in first...subLayers { for _ in 0..<3 { _ = reader.ue() } }
    for _ in 0..<6 { _ = reader.ue() }
    if reader.flag(), reader.flag() { skipScalingLists(&reader) }
    reader.skip(2)
    if reader.flag() {
      reader.skip(8)
      _ = reader.ue()
      _ = reader.ue()
      reader.skip(1)
    }
    guard skipReferenceSets(&reader) else { return nil }
    if reader.flag() {
      let pictures = reader.ue()
      guard pictures <= 32 else { return nil }
      reader.skip(Int(pictures) * (Int(orderBits) + 4 + 1))
    }
    reader.skip(2)
    return reader.flag() ? colour(&reader) : nil
  }

  static func skipProfileTierLevel(_ reader: inout BitReader, subLayers: Int) {
    reader.skip(88 + 8)
    var present: [(profile: Bool, level: Bool)] = []
    for _ in 0..<subLayers { present.append((reader.flag(), reader.flag())) }
    if subLayers > 0 { reader.skip(2 * (8 - subLayers)) }
    for layer in present { reader.skip((layer.profile ? 88 : 0) + (layer.level ? 8 : 0)) }
  }

  static func skipScalingLists(_ reader: inout BitReader) {
    for size in 0..<4 {
      for _ in stride(from: 0, to: 6, by: size == 3 ? 3 : 1) {
        guard reader.flag() else {
          _ = reader.ue()
          continue
        }
        if size > 1 { _ = reader.se() }
        for _ in 0..<min(64, 1 << (4 + size * 2)) { _ = reader.se() }
      }
    }
  }

  /// `st_ref_pic_set` for all sets (ISO/IEC 23008-2 §7.3.7). False when a count is out of range.
  private static func skipReferenceSets(_ reader: inout BitReader) -> Bool {
    let sets = reader.ue()
    guard sets <= 64 else { return false }
    var pictures: UInt32 = 0
    for set in 0..<sets {
      if set > 0, reader.flag() {
        reader.skip(1)
        _ = reader.ue()
        var kept: UInt32 = 0
        for _ in 0...pictures {
          let isUsed = reader.flag()
          if isUsed || reader.flag() { kept += 1 }
        }
        pictures = kept
      } else {
        let negative = reader.ue()
        let positive = reader.ue()
        guard negative <= 16, positive <= 16 else { return false }
        for _ in 0..<(negative + positive) {
          _ = reader.ue()
          reader.skip(1)
        }
        pictures = negative + positive
      }
    }
    return true
  }
}

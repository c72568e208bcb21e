// Colours from the sequence header of AV1, for files without a `colr` box.
//
// `av1C` ends with OBUs (open bitstream units): a header byte, an extension byte if the header says so, a size of up to
// eight groups of seven bits, lowest first, and that many bytes. One of them is the sequence header (AV1 specification
// §5.5). Its colour description lies behind timing, operating points, the picture's size and coding tools, so all of
// those are parsed, only to be skipped.

enum AV1SequenceHeader {
  /// The colours that the first sequence header among the units states; nil where there is none or it is cut short.
  static func colour(units: Span<UInt8>) -> VideoColour? {
    var reader = BoxReader(units)
    while let header = reader.u8() {
      if header & 4 != 0, reader.skip(1) == nil { return nil }
      var sizeBytes = reader.remaining
      if header & 2 != 0 {
        guard let stated = size(&reader) else { return nil }
        sizeBytes = stated
      }
      guard let payload = reader.take(sizeBytes) else { return nil }
      guard header >> 3 & 15 == 1 else { continue }
      var bits = BitReader(payload)
      let colour = sequence(&bits)
      return bits.isExhausted ? nil : colour
    }
    return nil
  }

  /// `leb128()`; nil where it is cut short or above 32 bits, which the specification rules out.
  private static func size(_ reader: inout BoxReader) -> Int? {
    var value: UInt64 = 0
    for group in 0..<8 {
      guard let byte = reader.u8() else { return nil }
      value |= UInt64(byte & 0x7F) << UInt64(7 * group)
      if byte & 0x80 == 0 { return value <= UInt64(UInt32.max) ? Int(value) : nil }
    }
    return nil
  }

  private static func sequence(_ reader: inout BitReader) -> VideoColour {
    let profile = reader.bits(3)
    reader.skip(1)
    let isReduced = reader.flag()
    if isReduced {
      reader.skip(5)
    } else {
      skipOperatingPoints(&reader)
    }
    let widthBits = Int(reader.bits(4)) + 1
    let heightBits = Int(reader.bits(4)) + 1
    reader.skip(widthBits + heightBits)
    if !isReduced, reader.flag() { reader.skip(4 + 3) }
    reader.skip(3)
    if !isReduced { skipInterTools(&reader) }
    reader.skip(3)
    return colourConfiguration(&reader, profile: profile)
  }

  private static func skipOperatingPoints(_ reader: inout BitReader) {
    var delayBits: Int?
    if reader.flag() {
      reader.skip(32 + 32)
      if reader.flag() { _ = reader.ue() }
      if reader.flag() {
        delayBits = Int(reader.bits(5)) + 1
        reader.skip(32 + 5 + 5)
      }
    }
    let hasDisplayDelay = reader.flag()
    for _ in 0...reader.bits(5) {
      reader.skip(12)
      if reader.bits(5) > 7 { reader.skip(1) }
      if let delayBits, reader.flag() { reader.skip(2 * delayBits + 1) }
      if hasDisplayDelay, reader.flag() { reader.skip(4) }
    }
  }

  private static func skipInterTools(_ reader: inout BitReader) {
    reader.skip(4)
    let hasOrderHint = reader.flag()
    if hasOrderHint { reader.skip(2) }
    // Screen content tools: chosen for each picture, or forced on or off; only where off, nothing on motion vectors.
    let mayUseScreenTools = reader.flag() || reader.flag()
    if mayUseScreenTools, !reader.flag() { reader.skip(1) }
    if hasOrderHint { reader.skip(3) }
  }

  private static func colourConfiguration(_ reader: inout BitReader, profile: UInt32) -> VideoColour {
    let isDeep = reader.flag()
    if profile == 2, isDeep { reader.skip(1) }
    let isMonochrome = profile != 1 && reader.flag()
    var colour = VideoColour.unspecified
    if reader.flag() {
      colour.primaries = UInt16(reader.bits(8))
      colour.transfer = UInt16(reader.bits(8))
      colour.matrix = UInt16(reader.bits(8))
    }
    // sRGB is always of full range and does not say so.
    let isRGB = colour.primaries == 1 && colour.transfer == 13 && colour.matrix == 0
    colour.isFullRange = !isMonochrome && isRGB || reader.flag()
    return colour
  }
}

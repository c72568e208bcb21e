// The sequence header of AV1 (AV1 specification §5.5): which tools the pictures use, how wide some fields of their headers are,
// and colours, for files without a `colr` box.
//
// It is one of the OBUs (open bitstream units) that `av1C` ends with, and comes again in samples. Everything in front of a field
// has to be parsed to find it, so what nobody asks for is skipped here, too.

/// A sequence header: what the headers of pictures, and colours, hang on.
struct AV1SequenceHeader: Equatable {
  struct OperatingPoint: Equatable {
    /// Layers that it has: temporal ones from bit 0, spatial ones from bit 8; 0 stands for no layers.
    var layers: UInt32
    var hasDecoderModel: Bool
  }

  /// Whether a tool is on or off, or each picture says so.
  enum Choice: Equatable {
    case off, on, byPicture
  }

  var isReducedStill = false
  var operatingPoints: [OperatingPoint] = []
  /// Bits of a removal time; nil without a decoder model.
  var removalTimeBits: Int?
  /// Bits of the presentation time that pictures carry; 0 where they carry none.
  var presentationTimeBits = 0
  var widthBits = 1
  var heightBits = 1
  var width = 1
  var height = 1
  /// Bits of a frame's number, and of a difference of two; nil where frames have none.
  var frameNumberBits: (whole: Int, difference: Int)? {
    frameNumberWholeBits > 0 ? (frameNumberWholeBits, frameNumberDifferenceBits) : nil
  }
  private var frameNumberWholeBits = 0
  private var frameNumberDifferenceBits = 0
  var hasLargeSuperblocks = false
  var hasWarpedMotion = false
  /// 0 where pictures carry no order.
  var orderHintBits = 0
  var hasReferenceMotionVectors = false
  var screenContentTools = Choice.byPicture
  var integerMotionVectors = Choice.byPicture
  var hasSuperResolution = false
  var hasDirectionalEnhancement = false
  var hasRestoration = false
  var isMonochrome = false
  /// Chroma at half the width and half the height.
  var isSubsampledBothWays = false
  var hasSeparateChromaDeltas = false
  var hasFilmGrain = false
  var colour = VideoColour.unspecified
  private var isTwelveBit = false
  private var isRGB = false
  /// Whether it is there to its end, without which pictures cannot be read; what has colours is of use before that.
  private(set) var isWhole = false

  var planeCount: Int { isMonochrome ? 1 : 3 }

  /// Reads the payload of an OBU; nil where it is cut short.
  init?(_ payload: Span<UInt8>) {
    var reader = BitReader(payload)
    let profile = reader.bits(3)
    reader.skip(1)
    isReducedStill = reader.flag()
    if isReducedStill {
      reader.skip(5)
      operatingPoints = [OperatingPoint(layers: 0, hasDecoderModel: false)]
    } else {
      readOperatingPoints(&reader)
    }
    widthBits = Int(reader.bits(4)) + 1
    heightBits = Int(reader.bits(4)) + 1
    width = Int(reader.bits(widthBits)) + 1
    height = Int(reader.bits(heightBits)) + 1
    if !isReducedStill, reader.flag() {
      frameNumberDifferenceBits = Int(reader.bits(4)) + 2
      frameNumberWholeBits = Int(reader.bits(3)) + frameNumberDifferenceBits + 1
    }
    hasLargeSuperblocks = reader.flag()
    reader.skip(2)
    if !isReducedStill { readInterTools(&reader) }
    hasSuperResolution = reader.flag()
    hasDirectionalEnhancement = reader.flag()
    hasRestoration = reader.flag()
    readColourConfiguration(&reader, profile: profile)
    guard !reader.isExhausted else { return nil }
    readBehindColours(&reader, profile: profile)
    isWhole = !reader.isExhausted
  }

  /// The colours that the first sequence header among the units states; nil where there is none or it is cut short.
  static func colour(units: Span<UInt8>) -> VideoColour? { first(units: units)?.colour }

  /// The first sequence header among the units; nil where there is none or it is cut short.
  static func first(units: Span<UInt8>) -> AV1SequenceHeader? {
    var reader = BoxReader(units)
    while let header = reader.u8() {
      if header & 4 != 0, reader.skip(1) == nil { return nil }
      var sizeBytes = reader.remaining
      if header & 2 != 0 {
        guard let stated = size(&reader) else { return nil }
        sizeBytes = stated
      }
      guard let payload = reader.take(sizeBytes) else { return nil }
      if header >> 3 & 15 == 1 { return AV1SequenceHeader(payload) }
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

  private mutating func readOperatingPoints(_ reader: inout BitReader) {
    var delayBits: Int?
    if reader.flag() {
      reader.skip(32 + 32)
      let hasEqualIntervals = reader.flag()
      if hasEqualIntervals { _ = reader.ue() }
      if reader.flag() {
        delayBits = Int(reader.bits(5)) + 1
        reader.skip(32)
        removalTimeBits = Int(reader.bits(5)) + 1
        let timeBits = Int(reader.bits(5)) + 1
        presentationTimeBits = hasEqualIntervals ? 0 : timeBits
      }
    }
    let hasDisplayDelay = reader.flag()
    for _ in 0...reader.bits(5) {
      let layers = reader.bits(12)
      if reader.bits(5) > 7 { reader.skip(1) }
      var hasDecoderModel = false
      if let delayBits, reader.flag() {
        hasDecoderModel = true
        reader.skip(2 * delayBits + 1)
      }
      operatingPoints.append(OperatingPoint(layers: layers, hasDecoderModel: hasDecoderModel))
      if hasDisplayDelay, reader.flag() { reader.skip(4) }
    }
  }

  private mutating func readInterTools(_ reader: inout BitReader) {
    reader.skip(2)
    hasWarpedMotion = reader.flag()
    reader.skip(1)
    let hasOrderHint = reader.flag()
    if hasOrderHint {
      reader.skip(1)
      hasReferenceMotionVectors = reader.flag()
    }
    screenContentTools = reader.flag() ? .byPicture : reader.flag() ? .on : .off
    if screenContentTools != .off {
      integerMotionVectors = reader.flag() ? .byPicture : reader.flag() ? .on : .off
    }
    if hasOrderHint { orderHintBits = Int(reader.bits(3)) + 1 }
  }

  private mutating func readColourConfiguration(_ reader: inout BitReader, profile: UInt32) {
    let isDeep = reader.flag()
    isTwelveBit = profile == 2 && isDeep && reader.flag()
    isMonochrome = profile != 1 && reader.flag()
    if reader.flag() {
      colour.primaries = UInt16(reader.bits(8))
      colour.transfer = UInt16(reader.bits(8))
      colour.matrix = UInt16(reader.bits(8))
    }
    // sRGB is always of full range and does not say so.
    isRGB = !isMonochrome && colour.primaries == 1 && colour.transfer == 13 && colour.matrix == 0
    colour.isFullRange = isRGB || reader.flag()
  }

  private mutating func readBehindColours(_ reader: inout BitReader, profile: UInt32) {
    if isMonochrome {
      isSubsampledBothWays = true
    } else {
      if !isRGB {
        isSubsampledBothWays =
          profile == 0 || profile >= 2 && isTwelveBit && reader.flag() && reader.flag()
        if isSubsampledBothWays { reader.skip(2) }
      }
      hasSeparateChromaDeltas = reader.flag()
    }
    hasFilmGrain = reader.flag()
  }
}

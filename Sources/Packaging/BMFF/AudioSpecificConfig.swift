/// `AudioSpecificConfig` of MPEG-4 audio (ISO/IEC 14496-3 §1.6.2.1): what an AAC decoder has to know.
struct AudioSpecificConfig: Equatable {
  /// Audio object type as a player must know it: 2 LC, 5 HE-AAC, 29 HE-AAC v2, …
  var objectType: UInt8
  /// Rate and channels of what comes out of the decoder, with band replication and parametric stereo applied.
  var sampleRateHertz: UInt32
  var channelCount: UInt16

  private static let rates: [UInt32] = [
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
  ]

  init?(_ bytes: Span<UInt8>) {
    var reader = BitReader(bytes)
    var type = Self.objectType(&reader)
    let coreRate = Self.rate(&reader)
    let channelConfiguration = reader.bits(4)
    var rate = coreRate
    var hasBandReplication = false
    var hasParametricStereo = false
    if type == 5 || type == 29 {
      // Explicit signalling: the extension comes first, then the core.
      hasBandReplication = true
      hasParametricStereo = type == 29
      rate = Self.rate(&reader)
      type = Self.objectType(&reader)
    }
    let coreType = type
    var channels = Self.channels(channelConfiguration)
    // General audio types: GASpecificConfig follows, and with configuration 0 a list of channels.
    if [1, 2, 3, 4, 6, 7].contains(coreType) {
      _ = reader.flag()
      if reader.flag() { reader.skip(14) }
      let hasExtension = reader.flag()
      if channelConfiguration == 0 { channels = Self.programChannels(&reader) }
      if coreType == 6 { reader.skip(3) }
      if hasExtension { _ = reader.flag() }
      if !hasBandReplication, reader.bitsLeft >= 16 {
        // Backward compatible signalling behind the core (§1.6.6): sync word, type 5, a flag and the rate.
        if reader.bits(11) == 0x2B7, Self.objectType(&reader) == 5, reader.flag() {
          hasBandReplication = true
          rate = Self.rate(&reader)
          if reader.bitsLeft >= 12, reader.bits(11) == 0x548 { hasParametricStereo = reader.flag() }
        }
      }
    }
    guard !reader.isExhausted, coreRate > 0, rate > 0, channels > 0 else { return nil }
    objectType = hasParametricStereo ? 29 : hasBandReplication ? 5 : coreType
    sampleRateHertz = rate
    channelCount = hasParametricStereo && channels == 1 ? 2 : channels
  }

  /// Whether this version packages the type: AAC Main, LC, SSR, LTP, and LC with its extensions.
  var isPackageable: Bool { [1, 2, 3, 4, 5, 29].contains(objectType) }

  private static func objectType(_ reader: inout BitReader) -> UInt8 {
    let type = reader.bits(5)
    return UInt8(truncatingIfNeeded: type == 31 ? 32 + reader.bits(6) : type)
  }

  private static func rate(_ reader: inout BitReader) -> UInt32 {
    let index = Int(reader.bits(4))
    if index == 15 { return reader.bits(24) }
    return index < rates.count ? rates[index] : 0
  }

  private static func channels(_ configuration: UInt32) -> UInt16 {
    switch configuration {
    case 1...6: return UInt16(configuration)
    case 7, 12, 14: return 8
    case 11: return 7
    case 13: return 24
    default: return 0
    }
  }

  /// Channels of a program_config_element (§4.4.1.1): single elements count 1, pairs 2.
  private static func programChannels(_ reader: inout BitReader) -> UInt16 {
    reader.skip(4 + 2 + 4)
    let front = reader.bits(4)
    let side = reader.bits(4)
    let back = reader.bits(4)
    let low = reader.bits(2)
    let data = reader.bits(3)
    let coupling = reader.bits(4)
    if reader.flag() { reader.skip(4) }
    if reader.flag() { reader.skip(4) }
    if reader.flag() { reader.skip(3) }
    var channels = UInt16(low)
    for _ in 0..<(front + side + back) {
      channels += reader.flag() ? 2 : 1
      reader.skip(4)
    }
    reader.skip(Int(low) * 4 + Int(data) * 4 + Int(coupling) * 5)
    reader.alignToByte()
    reader.skip(Int(reader.bits(8)) * 8)
    return channels
  }
}

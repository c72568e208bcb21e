/// `dfLa` (Encapsulation of FLAC in ISO Base Media File Format §3.3.2): the metadata blocks of a FLAC file, STREAMINFO
/// (RFC 9639 §8.2) first.
struct FLACConfigurationBox: Equatable {
  var sampleRateHertz: UInt32
  var channelCount: UInt16
  var bitDepth: UInt16

  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    // The top bit of the type says that no more blocks follow.
    guard box.version == 0, let type = reader.u8(), type & 0x7F == 0, reader.u24() == 34,
      let block = reader.take(34)
    else { return nil }
    var bits = BitReader(block)
    bits.skip(16 + 16 + 24 + 24)
    sampleRateHertz = bits.bits(20)
    channelCount = UInt16(bits.bits(3)) + 1
    bitDepth = UInt16(bits.bits(5)) + 1
    guard sampleRateHertz > 0, bitDepth >= 4 else { return nil }
  }
}

/// `alac` inside of an `alac` entry: the ALACSpecificConfig of Apple's reference implementation, 24 bytes.
struct ALACConfigurationBox: Equatable {
  var sampleRateHertz: UInt32
  var channelCount: UInt16
  var bitDepth: UInt16

  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard let frameSamples = reader.u32(), reader.u8() == 0, let depth = reader.u8(), reader.skip(3) != nil,
      let channels = reader.u8(), reader.skip(2 + 4 + 4) != nil, let rate = reader.u32(), frameSamples > 0,
      [16, 20, 24, 32].contains(depth), (1...8).contains(channels), rate > 0
    else { return nil }
    sampleRateHertz = rate
    channelCount = UInt16(channels)
    bitDepth = UInt16(depth)
  }
}

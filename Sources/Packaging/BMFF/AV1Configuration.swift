/// `av1C` (AV1 Codec ISO Media File Format Binding §2.3): profile, level and the shape of samples.
struct AV1ConfigurationBox {
  var profile: UInt8
  /// `seq_level_idx`: 0 is level 2.0, 31 "no bound".
  var level: UInt8
  var isHighTier: Bool
  var bitDepth: UInt8
  var isMonochrome: Bool
  var isSubsampledHorizontally: Bool
  var isSubsampledVertically: Bool
  /// `chroma_sample_position`; 0 is unknown.
  var chromaPosition: UInt8
  /// From the sequence header; nil where the box carries none that can be read.
  var colour: VideoColour?

  init?(_ body: Span<UInt8>) {
    var reader = BoxReader(body)
    // A marker bit that is set, and version 1.
    guard reader.u8() == 0x81, let first = reader.u8(), let second = reader.u8(), reader.skip(1) != nil,
      first >> 5 <= 2
    else { return nil }
    profile = first >> 5
    level = first & 31
    isHighTier = second & 0x80 != 0
    bitDepth = second & 0x40 == 0 ? 8 : second & 0x20 == 0 ? 10 : 12
    isMonochrome = second & 0x10 != 0
    isSubsampledHorizontally = second & 8 != 0
    isSubsampledVertically = second & 4 != 0
    chromaPosition = second & 3
    colour = AV1SequenceHeader.colour(units: reader.rest())
  }
}

/// `dOps` (Encapsulation of Opus in ISO Base Media File Format §4.3.2), the identification header of RFC 7845 §5.1 in
/// big-endian.
///
/// The samples to skip at the start are in the edit list too, and `FragmentTiming` keeps that.
struct OpusConfigurationBox: Equatable {
  /// Opus decodes at this rate whatever was put in; the rate in the box is of the encoder's input, for the record.
  static let sampleRateHertz: UInt32 = 48000

  var channelCount: UInt16
  /// 0 mono and stereo, 1 surround in the order of Vorbis; others are sound fields and channels without places.
  var mappingFamily: UInt8

  init?(_ body: Span<UInt8>) {
    var reader = BoxReader(body)
    guard reader.u8() == 0, let channels = reader.u8(), reader.skip(2 + 4 + 2) != nil,
      let family = reader.u8(), channels > 0
    else { return nil }
    if family == 0 {
      guard channels <= 2 else { return nil }
    } else {
      guard reader.skip(2 + Int(channels)) != nil else { return nil }
    }
    channelCount = UInt16(channels)
    mappingFamily = family
  }

  /// What the sample entry of an Opus track says; nil for any other track.
  init?(_ track: Track) {
    guard track.codec == .opus, let bytes = AudioSampleEntry.configuration(of: track, FourCC("dOps")) else {
      return nil
    }
    var reader = BoxReader(bytes.span)
    guard let body = reader.box()?.body else { return nil }
    self.init(body)
  }
}

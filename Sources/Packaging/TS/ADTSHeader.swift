/// The seven bytes before each AAC frame outside of MP4 (ISO/IEC 14496-3 §1.A.2.2.1): sync word, profile,
/// rate, channels, and the length of header and frame in 13 bits.
///
/// High-efficiency AAC is announced by its core alone, as profile LC at the core's rate, which is half of
/// what is heard; decoders find the extension in the frames (§1.6.6, implicit signalling).
struct ADTSHeader: Equatable, Sendable {
  static let bytes = 7
  /// Longest frame that a header can announce.
  static let maximumFrameBytes = 0x1FFF - bytes

  private static let ratesHertz: [UInt32] = [
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
  ]

  /// Audio object type of the core less one: 0 Main, 1 LC, 2 SSR, 3 LTP.
  let profile: UInt8
  let rateIndex: UInt8
  /// 1 to 7; 7 stands for eight channels.
  let channelConfiguration: UInt8

  var coreRateHertz: UInt32 { Self.ratesHertz[Int(rateIndex)] }

  /// The header for an `AudioSpecificConfig`, or why there is none.
  static func read(_ specificConfig: [UInt8]) -> Result<ADTSHeader, MediaReasonError> {
    var reader = BitReader(specificConfig.span)
    var type = reader.bits(5)
    guard let rateIndex = rateIndex(&reader) else {
      return failure("Its sampling rate is none of the 13 that ADTS can state.")
    }
    let channels = reader.bits(4)
    if type == 5 || type == 29 {
      _ = Self.rateIndex(&reader)
      type = reader.bits(5)
    }
    let hasShortFrames = reader.flag()
    guard !reader.isExhausted, (1...4).contains(type) else {
      return failure("Its audio object type, \(type), has no profile in ADTS.")
    }
    guard !hasShortFrames else { return failure("Its frames have 960 samples, where ADTS knows only 1024.") }
    guard (1...7).contains(channels) else {
      return failure("Its channel configuration, \(channels), is none of the seven that ADTS can state.")
    }
    return .success(
      ADTSHeader(
        profile: UInt8(type - 1), rateIndex: rateIndex, channelConfiguration: UInt8(channels)))
  }

  private static func rateIndex(_ reader: inout BitReader) -> UInt8? {
    let index = reader.bits(4)
    guard index == 15 else { return index < ratesHertz.count ? UInt8(index) : nil }
    let rate = reader.bits(24)
    return ratesHertz.firstIndex(of: rate).map { UInt8($0) }
  }

  private static func failure(_ message: String) -> Result<ADTSHeader, MediaReasonError> {
    .failure(
      MediaReasonError(
        reason: MediaReason(code: "transport-aac", message: message + " Serve it as fragmented MP4.")))
  }

  /// The header of a frame of `frameBytes`, at most `maximumFrameBytes`: 56 bits, most significant first, in the high end of
  /// the word.
  func word(frameBytes: Int) -> UInt64 {
    let length = UInt64(truncatingIfNeeded: frameBytes + Self.bytes) & 0x1FFF
    let fixed =
      UInt64(0xFFF1) << 48 | UInt64(profile) << 46 | UInt64(rateIndex) << 42 | UInt64(channelConfiguration)
      << 38
    // Buffer fullness of ones: a variable rate.
    return fixed | length << 21 | 0x7FF << 10
  }
}

/// How many samples one audio packet holds, told from its first bytes.
///
/// Containers round the times of packets to their own clock (Matroska to milliseconds), so a sound track that was timed
/// by them would have durations that jitter. Sound has an exact clock of its own, its samples; this counts them for the
/// codings whose packets differ in length. The others have one length for all, which libav knows.
enum AudioFrameLength {
  /// RFC 6716 §3.1 and §3.2: samples at 48 kHz. nil for a packet that is none.
  static func opus(_ bytes: UnsafeRawBufferPointer) -> Int64? {
    guard let first = bytes.first else { return nil }
    let configuration = Int(first >> 3)
    let frame: Int64 =
      switch configuration {
      case 0..<12: [480, 960, 1920, 2880][configuration % 4]
      case 12..<16: [480, 960][configuration % 2]
      default: [120, 240, 480, 960][configuration % 4]
      }
    switch first & 3 {
    case 0: return frame
    case 1, 2: return frame * 2
    default:
      guard bytes.count > 1, bytes[1] & 63 > 0 else { return nil }
      return frame * Int64(bytes[1] & 63)
    }
  }

  /// ETSI TS 102 366 §E.1.2.2: 256 samples for each of one, two, three or six blocks.
  static func enhancedAC3(_ bytes: UnsafeRawBufferPointer) -> Int64? {
    guard bytes.count > 4, bytes[0] == 0x0B, bytes[1] == 0x77 else { return nil }
    if bytes[4] >> 6 == 3 { return 1536 }
    return [256, 512, 768, 1536][Int(bytes[4] >> 4 & 3)]
  }

  /// RFC 9639 §9.1: the block size of a frame header.
  static func flac(_ bytes: UnsafeRawBufferPointer) -> Int64? {
    guard bytes.count > 6, bytes[0] == 0xFF, bytes[1] & 0xFC == 0xF8 else { return nil }
    let code = Int(bytes[2] >> 4)
    switch code {
    case 1: return 192
    case 2...5: return 576 << Int64(code - 2)
    case 8...15: return 256 << Int64(code - 8)
    case 6, 7:
      // The size stands behind the frame's number, which is coded like a UTF-8 character of up to seven bytes.
      let lead = bytes[4]
      let ones = (~lead).leadingZeroBitCount
      let after = 4 + max(ones, 1)
      guard ones != 1, ones < 8, bytes.count > after + 1 else { return nil }
      let size = code == 6 ? Int64(bytes[after]) : Int64(bytes[after]) << 8 | Int64(bytes[after + 1])
      return size + 1
    default: return nil
    }
  }
}

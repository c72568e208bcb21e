// Closed captions inside of the picture: CEA-608 and CEA-708 in SEI messages of AVC and HEVC.
//
// A playlist must say which channels of captions a stream has, or that it has none (RFC 8216bis §4.4.6.2), and only the
// pictures know: ATSC A/53 part 4 §6.2.3 puts them into SEI messages with user data registered by ITU-T T.35 (payload
// type 4, country 0xB5, provider 0x0031, "GA94", type 3). Encoders repeat empty pairs for as long as a programme lasts, so
// what counts is a pair that says something. The first pictures of a track are looked at, as many as a few seconds have:
// captions that begin later than that are not found.
//
//     nal unit: header, { payload type ff.., payload size ff.., payload }*, trailing bits
//     payload:  B5 0031 "GA94" 03, flags and cc_count (5 bits), em_data, { marker, valid, type (2 bits); two bytes }*

/// Channels of captions that were found in the pictures of a track.
public struct ClosedCaptions: OptionSet, Sendable, Hashable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// CEA-608, the first field: what nearly all captions are.
  public static let cc1 = ClosedCaptions(rawValue: 1)
  /// CEA-608, the second field.
  public static let cc3 = ClosedCaptions(rawValue: 2)
  /// CEA-708, the first service.
  public static let service1 = ClosedCaptions(rawValue: 4)

  /// The INSTREAM-ID of each, in the order of preference.
  var instreamIdentifiers: [String] {
    [(Self.cc1, "CC1"), (.cc3, "CC3"), (.service1, "SERVICE1")].filter { contains($0.0) }.map(\.1)
  }

  /// Looks for captions at the start of a track. Never fails: what can't be read has none.
  ///
  /// - Complexity: reads at most 150 samples and 8 MiB.
  static func find(in track: MovieTrack, _ source: some ByteSource) -> ClosedCaptions {
    guard
      let units = NALUnitConfiguration(sampleEntry: track.track.sampleEntry, codec: track.track.codec)
    else { return [] }
    var found = ClosedCaptions()
    var budget = 8 << 20
    for index in 0..<min(track.columns.count, 150) {
      let size = Int(track.columns.sizesBytes[index])
      budget -= size
      guard budget >= 0,
        let sample = try? source.bytes(at: track.columns.offsets[index], count: size)
      else { break }
      found.formUnion(
        inSample: sample.span, lengthBytes: units.lengthBytes, isHEVC: track.track.codec == .hevc)
    }
    return found
  }

  private mutating func formUnion(inSample sample: Span<UInt8>, lengthBytes: Int, isHEVC: Bool) {
    var position = 0
    while sample.count - position > lengthBytes {
      var length = 0
      for _ in 0..<lengthBytes {
        length = length << 8 | Int(sample[position])
        position += 1
      }
      guard length > 0, length <= sample.count - position else { return }
      let header = sample[position]
      let headerBytes = isHEVC ? 2 : 1
      let isMessage = isHEVC ? [39, 40].contains(header >> 1 & 0x3F) : header & 0x1F == 6
      if isMessage, length > headerBytes {
        let unit = sample.extracting(position + headerBytes..<position + length).copied()
        formUnion(inMessages: VideoUsability.unescaped(unit))
      }
      position += length
    }
  }

  private mutating func formUnion(inMessages bytes: [UInt8]) {
    var reader = BoxReader(bytes.span)
    while let type = Self.number(&reader), let size = Self.number(&reader), let body = reader.take(size) {
      if type == 4 { formUnion(inUserData: body) }
    }
  }

  /// A number of an SEI message: 255 for each byte 0xFF, and the last byte.
  private static func number(_ reader: inout BoxReader) -> Int? {
    var sum = 0
    while let byte = reader.u8() {
      sum += Int(byte)
      if byte != 0xFF { return sum }
    }
    return nil
  }

  private mutating func formUnion(inUserData body: Span<UInt8>) {
    var reader = BoxReader(body)
    guard reader.u8() == 0xB5, reader.u16() == 0x31, reader.u32() == FourCC("GA94").rawValue,
      reader.u8() == 3, let flags = reader.u8(), flags & 0x40 != 0, reader.skip(1) != nil
    else { return }
    for _ in 0..<(flags & 0x1F) {
      guard let head = reader.u8(), let first = reader.u8(), let second = reader.u8() else { return }
      // Parity is the top bit of both; 0 0 is filler.
      guard head & 4 != 0, first & 0x7F != 0 || second & 0x7F != 0 else { continue }
      switch head & 3 {
      case 0: insert(.cc1)
      case 1: insert(.cc3)
      default: insert(.service1)
      }
    }
  }
}

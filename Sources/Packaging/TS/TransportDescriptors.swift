// Descriptors of a stream in the program map: a tag, a length and a payload (ISO/IEC 13818-1 §2.6, ATSC A/52
// annexes A and G). HLS takes AC-3 and E-AC-3 under the stream types of ATSC, which come with a registration
// and a descriptor of the coding; the latter is made from the `dac3` or `dec3` box of the sample entry and
// left out where there is none.

enum TransportDescriptors {
  /// Registration (tag 5) of a format by its four characters.
  static func registration(_ format: StaticString) -> [UInt8] {
    [0x05, 0x04] + format.withUTF8Buffer { Array($0) }
  }

  /// Language (tag 10) of a track, nothing where it is not known.
  static func language(_ tag: String) -> [UInt8] {
    guard let letters = threeLetters(tag) else { return [] }
    return [0x0A, 0x04] + letters + [0x00]
  }

  /// The ISO 639-2 code for the first subtag of a BCP 47 tag; nil for `und` and for what has none.
  ///
  /// The table has both codes of the languages that have two. The terminological one is wanted, and it nearly
  /// always starts like the two-letter code (`de` is `deu`, not `ger`).
  private static func threeLetters(_ tag: String) -> [UInt8]? {
    let subtag = Array(tag.utf8.prefix { $0 != 0x2D }).map { $0 | 0x20 }
    guard subtag.allSatisfy({ (0x61...0x7A).contains($0) }), subtag != Array("und".utf8) else { return nil }
    if subtag.count == 3 { return subtag }
    guard subtag.count == 2 else { return nil }
    let table = Array(TrackLanguage.twoLetters.utf8)
    let codes = stride(from: 0, to: table.count - 4, by: 6)
      .filter { table[$0 + 3..<$0 + 5].elementsEqual(subtag) }
      .map { Array(table[$0..<$0 + 3]) }
    return codes.first { $0.starts(with: subtag) } ?? codes.first
  }

  /// AC-3 audio descriptor (A/52 §A4.3), tag 0x81, from the payload of `dac3` (ETSI TS 102 366 §F.4).
  static func ac3(sampleEntry: [UInt8]) -> [UInt8] {
    guard let box = configuration(FourCC("dac3"), of: sampleEntry) else { return [] }
    var reader = BitReader(box.span)
    let rate = UInt8(reader.bits(2))
    let identification = UInt8(reader.bits(5))
    let mode = UInt8(reader.bits(3))
    let channels = UInt8(reader.bits(3))
    _ = reader.flag()
    let bitRate = UInt8(reader.bits(5))
    guard !reader.isExhausted else { return [] }
    let isMain = mode < 2
    var payload = [
      rate << 5 | identification, bitRate << 2, mode << 5 | channels << 1 | (isMain ? 1 : 0), 0xFF,
    ]
    // Dual mono has a second language code.
    if channels == 0 { payload.append(0xFF) }
    // Main services: identifier 0, primary. Others: associated with main service 0.
    payload.append(isMain ? 0x0F : 0x01)
    // No text, in Latin; no languages, which have a descriptor of their own.
    payload += [0x01, 0x3F]
    return [0x81, UInt8(payload.count)] + payload
  }

  /// E-AC-3 audio descriptor (A/52 §G3.5), tag 0xCC, from the payload of `dec3` (ETSI TS 102 366 §F.6).
  static func eac3(sampleEntry: [UInt8]) -> [UInt8] {
    guard let box = configuration(FourCC("dec3"), of: sampleEntry) else { return [] }
    var reader = BitReader(box.span)
    reader.skip(13 + 3 + 2)
    let identification = UInt8(reader.bits(5))
    reader.skip(2)
    let mode = UInt8(reader.bits(3))
    let codingMode = reader.bits(3)
    _ = reader.flag()
    reader.skip(3)
    let hasDependentStreams = reader.bits(4) > 0
    guard !reader.isExhausted else { return [] }
    let channels: UInt8
    switch codingMode {
    case _ where hasDependentStreams: channels = 5
    case 0: channels = 1
    case 1: channels = 0
    case 2: channels = 2
    default: channels = 4
    }
    let isMain = mode < 2
    return [
      0xCC, 0x03, 0xC0, (isMain ? 0xC0 : 0x80) | mode << 3 | channels, 0x20 | identification,
    ]
  }

  /// The payload of a box in a sound entry, of ISO files or of QuickTime's versions 1 and 2.
  private static func configuration(_ type: FourCC, of sampleEntry: [UInt8]) -> [UInt8]? {
    var entry = BoxReader(sampleEntry.span)
    guard let box = entry.box() else { return nil }
    var reader = BoxReader(box.body)
    guard reader.skip(8) != nil, let version = reader.u16(), reader.skip(18) != nil else { return nil }
    let extraBytes = version == 1 ? 16 : version == 2 ? 36 : 0
    let isoBoxes = reader.rest()
    if let found = isoBoxes.firstBox(type) { return found.body.copied() }
    guard extraBytes > 0, reader.skip(extraBytes) != nil else { return nil }
    let quickTimeBoxes = reader.rest()
    return quickTimeBoxes.firstBox(type)?.body.copied()
  }
}

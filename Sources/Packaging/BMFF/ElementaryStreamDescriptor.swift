/// `esds` (ISO/IEC 14496-1 §7.2.6.5): object type and decoder configuration of MPEG-4 streams.
struct ElementaryStreamDescriptor {
  /// 0x40 is MPEG-4 audio, 0x66 to 0x68 MPEG-2 AAC, 0x69 and 0x6B MP3.
  var objectTypeIndication: UInt8
  var specificConfig: [UInt8]

  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard let stream = Self.descriptor(&reader, tag: 3) else { return nil }
    var streamReader = BoxReader(stream)
    guard streamReader.skip(2) != nil, let flags = streamReader.u8() else { return nil }
    if flags & 0x80 != 0, streamReader.skip(2) == nil { return nil }
    if flags & 0x40 != 0 {
      guard let length = streamReader.u8(), streamReader.skip(Int(length)) != nil else { return nil }
    }
    if flags & 0x20 != 0, streamReader.skip(2) == nil { return nil }
    guard let decoder = Self.descriptor(&streamReader, tag: 4) else { return nil }
    var decoderReader = BoxReader(decoder)
    guard let type = decoderReader.u8(), decoderReader.skip(12) != nil else { return nil }
    objectTypeIndication = type
    // MP3 has no specific configuration.
    specificConfig = Self.descriptor(&decoderReader, tag: 5)?.copied() ?? []
  }

  /// The payload of the next descriptor if it has the tag. Lengths are up to four groups of seven bits.
  @_lifetime(copy reader)
  private static func descriptor(_ reader: inout BoxReader, tag: UInt8) -> Span<UInt8>? {
    guard reader.u8() == tag else { return nil }
    var length = 0
    for _ in 0..<4 {
      guard let byte = reader.u8() else { return nil }
      length = length << 7 | Int(byte & 0x7F)
      if byte & 0x80 == 0 { break }
    }
    // Some writers state more than there is: what is there decides.
    return reader.take(min(length, reader.remaining))
  }
}

/// The outline of an AV1 packet: a row of open bitstream units (AV1 specification §5.3), each with a header that may state
/// its size.
enum AV1Packet {
  /// Whether the units fill the packet, none of them reaching past its end. libav's muxer takes that for granted: it
  /// would count a unit that does not fit as negative bytes, and write an `mdat` box that hides the rest of the file.
  static func isWhole(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var rest = bytes[...]
    while let header = rest.popFirst() {
      guard header & 0x80 == 0 else { return false }
      if header & 4 != 0, rest.popFirst() == nil { return false }
      // A unit without a size takes what is left.
      guard header & 2 != 0 else { return true }
      guard let size = size(&rest), size <= UInt64(rest.count) else { return false }
      rest = rest.dropFirst(Int(size))
    }
    return true
  }

  /// §4.10.5: seven bits a byte, the lowest first, at most eight bytes.
  private static func size(_ rest: inout Slice<UnsafeRawBufferPointer>) -> UInt64? {
    var value: UInt64 = 0
    for position in 0..<8 {
      guard let byte = rest.popFirst() else { return nil }
      value |= UInt64(byte & 0x7F) << UInt64(position * 7)
      if byte & 0x80 == 0 { return value <= UInt64(UInt32.max) ? value : nil }
    }
    return nil
  }
}

// The PROXY protocol (haproxy's doc/proxy-protocol.txt, versions 1 and 2): before the first byte of the client a proxy
// sends who the client is.
//
//   version 1   PROXY TCP4 203.0.113.7 192.0.2.1 56324 443␍␊      at most 107 bytes; TCP6, or UNKNOWN with anything behind it
//   version 2   12 bytes  0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A
//                1 byte   version 2 in the high half, command in the low: 0 LOCAL, 1 PROXY
//                1 byte   family in the high half: 0 unspecified, 1 IPv4, 2 IPv6, 3 UNIX; transport in the low: 0, 1 stream, 2 datagram
//                2 bytes  length of what follows, big endian
//                addresses of 0, 12, 36 or 216 bytes, then TLVs (type, 2 bytes length, value)
//
// Of the TLVs the checksum is verified (PP2_TYPE_CRC32C, over the whole header with the checksum's own bytes zero), and the
// others are skipped by their lengths. LOCAL (the proxy's own health check) and what is not TCP leave the connection its own
// address. Anything that is not exactly a header is refused: a connection where one is expected must not go on without.

/// The header that a proxy sends before a connection's own bytes.
public enum ProxyHeader {
  /// Who the client is, as the proxy says.
  public struct Source: Hashable, Sendable {
    public let address: NetworkAddress
    public let port: UInt16
  }

  public enum Result: Sendable, Equatable {
    /// So far it may be a header; read more.
    case incomplete
    /// The connection's own bytes begin after so many. Without a source its own address stays.
    case complete(headerBytes: Int, source: Source?)
    case malformed
  }

  /// Longest header that is taken, addresses and TLVs included; proxies send a few hundred bytes at most.
  public static let mostBytes = 4096
  private static let mostBytesVersion1 = 107

  /// Reads a header from the first byte of a connection.
  ///
  /// The same verdict however the bytes arrive. O(bytes); no allocation for version 2.
  public static func parse(_ bytes: UnsafeRawBufferPointer) -> Result {
    let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    let span = unsafe Span<UInt8>(_unsafeElements: UnsafeBufferPointer(start: start, count: bytes.count))
    guard span.count > 0 else { return .incomplete }
    return span[0] == ASCII.carriageReturn ? parseVersion2(span) : parseVersion1(span)
  }

  // MARK: Version 1

  private static func parseVersion1(_ bytes: Span<UInt8>) -> Result {
    let word: StaticString = "PROXY "
    let isBeginning = word.withUTF8Buffer { word in
      for index in 0..<min(word.count, bytes.count) where bytes[index] != word[index] { return false }
      return true
    }
    guard isBeginning else { return .malformed }
    var end = 0
    while end < min(bytes.count, mostBytesVersion1), bytes[end] != ASCII.lineFeed {
      // A CR that no LF follows.
      if end > 0, bytes[end - 1] == ASCII.carriageReturn { return .malformed }
      end += 1
    }
    guard end < min(bytes.count, mostBytesVersion1) else {
      return bytes.count < mostBytesVersion1 ? .incomplete : .malformed
    }
    guard end > 6, bytes[end - 1] == ASCII.carriageReturn else { return .malformed }
    let line = bytes.extracting(6..<end - 1)
    let headerBytes = end + 1
    var position = 0
    guard let family = nextWord(line, &position) else { return .malformed }
    if family.equals("UNKNOWN") { return .complete(headerBytes: headerBytes, source: nil) }
    let isIPv6 = family.equals("TCP6")
    guard isIPv6 || family.equals("TCP4"),
      let source = nextWord(line, &position), let destination = nextWord(line, &position),
      let sourcePort = nextWord(line, &position), let destinationPort = nextWord(line, &position),
      position > line.count,
      isText(source, ofIPv6: isIPv6), isText(destination, ofIPv6: isIPv6),
      let address = NetworkAddress(source), NetworkAddress(destination) != nil,
      let port = port(sourcePort), self.port(destinationPort) != nil
    else { return .malformed }
    return .complete(headerBytes: headerBytes, source: Source(address: address, port: port))
  }

  /// The text before the next space, which `position` moves behind; nil at the end, or where it is empty.
  @_lifetime(copy line)
  private static func nextWord(_ line: Span<UInt8>, _ position: inout Int) -> Span<UInt8>? {
    guard position < line.count else { return nil }
    var end = position
    while end < line.count, line[end] != ASCII.space { end += 1 }
    guard end > position else { return nil }
    let word = line.extracting(position..<end)
    position = end + 1
    return word
  }

  private static func isText(_ text: Span<UInt8>, ofIPv6 isIPv6: Bool) -> Bool {
    for index in text.indices where text[index] == ASCII.colon { return isIPv6 }
    return !isIPv6
  }

  private static func port(_ text: Span<UInt8>) -> UInt16? {
    guard text.count <= 5, text.count == 1 || text[0] != ASCII.zero else { return nil }
    var value: UInt32 = 0
    for index in text.indices {
      guard text[index] >= ASCII.zero, text[index] <= ASCII.zero + 9 else { return nil }
      value = value * 10 + UInt32(text[index] - ASCII.zero)
    }
    return UInt16(exactly: value)
  }

  // MARK: Version 2

  private static let signature: InlineArray<12, UInt8> = [
    0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
  ]

  private static func parseVersion2(_ bytes: Span<UInt8>) -> Result {
    for index in 0..<min(12, bytes.count) where bytes[index] != signature[index] { return .malformed }
    // Version and command, family and transport are looked at as soon as they are there.
    if bytes.count > 12, bytes[12] != 0x20, bytes[12] != 0x21 { return .malformed }
    if bytes.count > 13, addressBytes(bytes[13]) == nil { return .malformed }
    guard bytes.count >= 16 else { return .incomplete }
    let length = number(bytes, at: 14)
    let end = 16 + length
    guard end <= mostBytes, let addresses = addressBytes(bytes[13]) else { return .malformed }
    let isLocal = bytes[12] == 0x20
    guard isLocal || length >= addresses else { return .malformed }
    guard bytes.count >= end else { return .incomplete }
    // What a LOCAL header says of addresses is to be ignored, and so may be anything.
    guard isLocal || areSound(bytes, from: 16 + addresses, to: end) else { return .malformed }
    guard !isLocal, bytes[13] == 0x11 || bytes[13] == 0x21 else {
      return .complete(headerBytes: end, source: nil)
    }
    let size = bytes[13] == 0x11 ? 4 : 16
    var bits: UInt128 = 0
    for index in 0..<size { bits = bits << 8 | UInt128(bytes[16 + index]) }
    return .complete(
      headerBytes: end,
      source: Source(
        address: NetworkAddress(bits: bits, isIPv6: size == 16),
        port: UInt16(number(bytes, at: 16 + 2 * size))))
  }

  /// The length of the address block by family and transport; nil for what a proxy of TCP does not send.
  private static func addressBytes(_ family: UInt8) -> Int? {
    switch family {
    case 0x00: 0
    case 0x11: 12
    case 0x21: 36
    case 0x31: 216
    default: nil
    }
  }

  /// Whether the TLVs fill their room exactly, and the checksum is right where there is one.
  private static func areSound(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Bool {
    var position = start
    var checksum: Int?
    while position < end {
      guard position + 3 <= end else { return false }
      let count = number(bytes, at: position + 1)
      guard position + 3 + count <= end else { return false }
      if bytes[position] == 0x03 {
        guard count == 4, checksum == nil else { return false }
        checksum = position + 3
      }
      position += 3 + count
    }
    guard let checksum else { return true }
    let said = UInt32(number(bytes, at: checksum)) << 16 | UInt32(number(bytes, at: checksum + 2))
    return CRC32C.checksum(bytes.extracting(0..<end), zeroing: checksum..<checksum + 4) == said
  }

  private static func number(_ bytes: Span<UInt8>, at offset: Int) -> Int {
    Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
  }
}

/// The Castagnoli checksum (RFC 3720 appendix B.4), bit by bit: headers are short and come once a connection.
enum CRC32C {
  /// - Parameter zeroed: offsets whose bytes count as zero.
  static func checksum(_ bytes: Span<UInt8>, zeroing zeroed: Range<Int>) -> UInt32 {
    var remainder: UInt32 = 0xFFFF_FFFF
    for index in bytes.indices {
      remainder ^= zeroed.contains(index) ? 0 : UInt32(bytes[index])
      for _ in 0..<8 { remainder = remainder >> 1 ^ (0x82F6_3B78 & (0 &- (remainder & 1))) }
    }
    return ~remainder
  }
}

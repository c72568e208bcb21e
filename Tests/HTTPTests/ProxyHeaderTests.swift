import Testing

@testable import HTTP

@Suite struct ProxyHeaderTests {
  static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
  static let addresses: [UInt8] = [203, 0, 113, 7, 192, 0, 2, 1, 0xDC, 0x04, 0x01, 0xBB]

  static func version2(_ command: UInt8, _ family: UInt8, _ rest: [UInt8]) -> [UInt8] {
    signature + [command, family, UInt8(rest.count >> 8), UInt8(rest.count & 255)] + rest
  }

  /// The verdict, which must be the same for every way to cut the bytes in two.
  static func parse(_ bytes: [UInt8]) -> ProxyHeader.Result {
    let whole = bytes.withUnsafeBytes { ProxyHeader.parse($0) }
    for cut in 0..<bytes.count {
      let part = bytes[..<cut].withUnsafeBytes { ProxyHeader.parse($0) }
      #expect(part == .incomplete || part == whole, "\(cut) of \(bytes.count)")
    }
    return whole
  }

  static func source(_ address: String, _ port: UInt16) -> ProxyHeader.Source? {
    NetworkAddress(address).map { ProxyHeader.Source(address: $0, port: port) }
  }

  @Test(arguments: [
    ("PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n", source("203.0.113.7", 56324)),
    ("PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n", source("2001:db8::7", 1)),
    ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", source("255.255.255.255", 65535)),
    ("PROXY UNKNOWN\r\n", nil), ("PROXY UNKNOWN ffff:f 1 anything at all\r\n", nil),
    ("PROXY UNKNOWN \(String(repeating: "a", count: 91))\r\n", nil),
  ]) func readsVersion1(_ text: String, _ source: ProxyHeader.Source?) {
    let bytes = Array(text.utf8)
    #expect(Self.parse(bytes) == .complete(headerBytes: bytes.count, source: source))
    let followed = (bytes + Array("GET / HTTP/1.1\r\n".utf8)).withUnsafeBytes { ProxyHeader.parse($0) }
    #expect(followed == .complete(headerBytes: bytes.count, source: source))
  }

  @Test(arguments: [
    "GET / HTTP/1.1\r\n", "PROXY\r\n", "proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
    "PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n", "PROXY TCP4 ::1 ::1 1 1\r\n",
    "PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3 1 1\r\n", "PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n",
    "PROXY TCP4 1.2.3.4\r1.2.3.4 1 1\r\n",
    "PROXY UNKNOWN \(String(repeating: "a", count: 92))\r\n",
    "PROXY UNKNOWN \(String(repeating: "a", count: 200))",
  ]) func refusesOtherLines(_ text: String) { #expect(Self.parse(Array(text.utf8)) == .malformed) }

  @Test func readsVersion2() {
    let expected = Self.source("203.0.113.7", 0xDC04)
    let plain = Self.version2(0x21, 0x11, Self.addresses)
    #expect(Self.parse(plain) == .complete(headerBytes: 28, source: expected))
    // TLVs are skipped: an ALPN and a NOOP without value.
    let extended = Self.version2(0x21, 0x11, Self.addresses + [0x01, 0, 2, 0x68, 0x32, 0x04, 0, 0])
    #expect(Self.parse(extended) == .complete(headerBytes: 36, source: expected))
    let six = Array(repeating: UInt8(0x20), count: 32) + [0, 80, 1, 187]
    #expect(
      Self.parse(Self.version2(0x21, 0x21, six))
        == .complete(headerBytes: 52, source: Self.source("2020:2020:2020:2020:2020:2020:2020:2020", 80)))
    // A health check of the proxy itself, and connections that are not TCP.
    #expect(Self.parse(Self.version2(0x20, 0, [])) == .complete(headerBytes: 16, source: nil))
    #expect(Self.parse(Self.version2(0x20, 0x11, [1, 2, 3])) == .complete(headerBytes: 19, source: nil))
    #expect(Self.parse(Self.version2(0x21, 0, [])) == .complete(headerBytes: 16, source: nil))
    let unix = [UInt8](repeating: 0, count: 216)
    #expect(Self.parse(Self.version2(0x21, 0x31, unix)) == .complete(headerBytes: 232, source: nil))
  }

  @Test func longestHeaderOfVersion2() {
    func padded(_ count: Int) -> [UInt8] {
      let padding = count - 16 - 12 - 3
      return Self.version2(
        0x21, 0x11,
        Self.addresses + [0x04, UInt8(padding >> 8), UInt8(padding & 255)]
          + [UInt8](repeating: 0, count: padding))
    }
    #expect(
      Self.parse(padded(4096)) == .complete(headerBytes: 4096, source: Self.source("203.0.113.7", 0xDC04)))
    #expect(Self.parse(padded(4097)) == .malformed)
  }

  @Test func theChecksumIsVerified() {
    // "123456789", the check value of CRC-32C.
    #expect(CRC32C.checksum(Array("123456789".utf8).span, zeroing: 0..<0) == 0xE306_9283)
    var header = Self.version2(0x21, 0x11, Self.addresses + [0x03, 0, 4, 0, 0, 0, 0])
    let sum = CRC32C.checksum(header.span, zeroing: 0..<0)
    for index in 0..<4 { header[31 + index] = UInt8(truncatingIfNeeded: sum >> UInt32(24 - 8 * index)) }
    #expect(Self.parse(header) == .complete(headerBytes: 35, source: Self.source("203.0.113.7", 0xDC04)))
    for index in [16, 20, 27, 31, 34] {
      var damaged = header
      damaged[index] ^= 1
      #expect(Self.parse(damaged) == .malformed, "byte \(index)")
    }
  }

  @Test(arguments: [
    version2(0x22, 0x11, addresses), version2(0x11, 0x11, addresses), version2(0x21, 0x12, addresses),
    version2(0x21, 0x41, addresses), version2(0x21, 0x11, [1, 2, 3]), version2(0x21, 0x21, addresses),
    version2(0x21, 0x11, addresses + [1]), version2(0x21, 0x11, addresses + [1, 0, 5, 1]),
    version2(0x21, 0x11, addresses + [3, 0, 3, 1, 2, 3]), [0x0D, 0x0A, 0x0D, 0x0A, 1],
    [0x0D] + Array("GET / HTTP/1.1".utf8),
  ]) func refusesOtherBytes(_ bytes: [UInt8]) { #expect(Self.parse(bytes) == .malformed) }
}

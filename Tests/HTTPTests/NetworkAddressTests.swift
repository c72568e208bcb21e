import Testing

@testable import HTTP

@Suite struct NetworkAddressTests {
  @Test(arguments: [
    ("0.0.0.0", 0), ("192.0.2.1", 0xC000_0201), ("255.255.255.255", 0xFFFF_FFFF), ("10.0.0.1", 0x0A00_0001),
  ]) func readsIPv4(_ text: String, _ bits: UInt128) {
    #expect(NetworkAddress(text) == NetworkAddress(bits: bits, isIPv6: false))
  }

  @Test(arguments: [
    ("::", 0), ("::1", 1), ("1::", 1 << 112), ("2001:db8::1", 0x2001_0DB8 << 96 | 1),
    ("2001:DB8:0:0:8:800:200C:417A", 0x2001_0DB8_0000_0000_0008_0800_200C_417A),
    ("::1:2:3:4:5:6:7", 0x0001_0002_0003_0004_0005_0006_0007),
    ("1:2:3:4:5:6:7::", 0x1_0002_0003_0004_0005_0006_0007_0000),
    ("64:ff9b::192.0.2.33", 0x0064_FF9B << 96 | 0xC000_0221),
    ("1:2:3:4:5:6:1.2.3.4", 0x1_0002_0003_0004_0005_0006_0102_0304),
  ]) func readsIPv6(_ text: String, _ bits: UInt128) {
    #expect(NetworkAddress(text) == NetworkAddress(bits: bits, isIPv6: true))
  }

  @Test func mappedAddressesAreIPv4() {
    #expect(NetworkAddress("::ffff:192.0.2.1") == NetworkAddress("192.0.2.1"))
    #expect(NetworkAddress("::FFFF:c000:201") == NetworkAddress("192.0.2.1"))
  }

  @Test(arguments: [
    "", " ", ".", ":", ":::", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04", "1.2.3.4 ",
    "0x1.2.3.4",
    "1..3.4", "-1.2.3.4", "1.2.3.1000", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "1:2:3:4:5:6:7::8",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:", "12345::", "g::", "::1%eth0", "[::1]", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3",
    "::1.2.3.4:5", "1.2.3.4::",
    "::ffff:1.2.3.4.5", "2001:db8::1/64",
  ]) func nothingElse(_ text: String) { #expect(NetworkAddress(text) == nil) }

  @Test func prefixesHoldWhatBeginsLikeThem() throws {
    let ten = try #require(NetworkPrefix("10.0.0.0/8"))
    for (address, isInside) in [
      ("10.0.0.0", true), ("10.255.255.255", true), ("11.0.0.0", false), ("::10", false),
    ] {
      #expect(ten.contains(try #require(NetworkAddress(address))) == isInside, "\(address)")
    }
    let documentation = try #require(NetworkPrefix("2001:db8::/33"))
    for (address, isInside) in [
      ("2001:db8:7fff::1", true), ("2001:db8:8000::", false), ("32.1.13.184", false),
    ] {
      #expect(documentation.contains(try #require(NetworkAddress(address))) == isInside, "\(address)")
    }
    #expect(try #require(NetworkPrefix("0.0.0.0/0")).contains(try #require(NetworkAddress("203.0.113.9"))))
    #expect(try #require(NetworkPrefix("::/0")).contains(try #require(NetworkAddress("2001:db8::"))))
    #expect(NetworkPrefix("192.0.2.1")?.length == 32 && NetworkPrefix("::1")?.length == 128)
  }

  @Test(arguments: [
    "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/8/8", "10.1.2.3/8", "::/129",
    "2001:db8::1/64", "10/8",
  ]) func mistakenPrefixesAreNone(_ text: String) { #expect(NetworkPrefix(text) == nil) }
}

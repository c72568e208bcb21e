import Testing

@testable import Loop

@Suite struct SocketAddressTests {
  @Test(arguments: [
    ("0.0.0.0:8080", "0.0.0.0", 8080, false),
    ("127.0.0.1:0", "127.0.0.1", 0, false),
    ("203.0.113.255:65535", "203.0.113.255", 65535, false),
    ("[::]:8443", "::", 8443, true),
    ("[2001:db8::1]:443", "2001:db8::1", 443, true),
    ("[fe80::ABCD:1]:1", "fe80::abcd:1", 1, true),
  ])
  func readsAndPrints(text: String, host: String, port: UInt16, isIPv6: Bool) throws {
    let address = try SocketAddress(text)
    #expect(address.host == host && address.port == port && address.isIPv6 == isIPv6)
    #expect(try SocketAddress(address.description) == address)
  }

  @Test(arguments: [
    "", ":", ":80", "80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1",
    "127.0.0.1: 1",
    "127.0.0.1:1 ", "127.0.0:1", "127.0.0.256:1", "0127.0.0.1:1", "localhost:80", "::1:80", "[::1]", "[::1]:",
    "[::1:80",
    "::1]:80", "[]:80", "[127.0.0.1]:80", "[::g]:80", "[::1]]:80", "[[::1]:80", "127.0.0.1\0:80",
    "127.0.0.1:8\u{0660}",
    "[fe80::1%lo]:80",
  ])
  func refusesEverythingElse(text: String) {
    #expect {
      try SocketAddress(text)
    } throws: {
      ($0 as? LoopError)?.code == .addressInvalid
    }
  }

  @Test func mappedAddressesBecomeIPv4() throws {
    #expect(try SocketAddress("[::ffff:192.0.2.7]:80") == SocketAddress("192.0.2.7:80"))
  }

  @Test func addressesAreNumbersInHostOrder() throws {
    #expect(SocketAddress.loopback(port: 1).address == 0x7F00_0001)
    #expect(try SocketAddress("[2001:db8::1]:1").address == 0x2001_0db8_0000_0000_0000_0000_0000_0001)
  }
}

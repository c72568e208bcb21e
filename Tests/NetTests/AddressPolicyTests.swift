import Loop
import Support
import Testing

@testable import Net

@Suite struct AddressPolicyTests {
  /// What no policy lets through, with the addresses at both ends of each network.
  @Test(arguments: [
    "0.0.0.0", "0.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.255.255", "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1", "192.88.99.1", "198.18.0.0", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255", "100.100.100.200", "168.63.129.16",
    "[::]", "[::127.0.0.1]", "[fe80::1]", "[febf::1]", "[fec0::1]", "[ff02::1]", "[64:ff9b::7f00:1]",
    "[64:ff9b:1::1]", "[100::1]", "[2001::1]", "[2001:db8::1]", "[2002:7f00:1::]", "[3fff::1]", "[4000::1]",
    "[fd00:ec2::254]", "[fd20:ce::254]", "[::ffff:169.254.169.254]", "[::ffff:0.0.0.0]",
  ])
  func neverAllowed(text: String) throws {
    let address = try SocketAddress("\(text):443")
    #expect(!AddressPolicy.publicOnly.allows(address) && !AddressPolicy.publicAndPrivate.allows(address))
  }

  @Test(arguments: [
    "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.254",
    "172.16.0.1",
    "172.31.255.255", "192.168.0.1", "192.168.255.255", "[::1]", "[fc00::1]", "[fdff::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a00:1]",
  ])
  func allowedWhereTheOperatorSays(text: String) throws {
    let address = try SocketAddress("\(text):443")
    #expect(!AddressPolicy.publicOnly.allows(address) && AddressPolicy.publicAndPrivate.allows(address))
  }

  @Test(arguments: [
    "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
    "198.17.255.255", "198.20.0.0", "223.255.255.255", "[2606:4700::1111]", "[2a00::1]", "[::ffff:1.1.1.1]",
  ])
  func publicAddresses(text: String) throws {
    #expect(AddressPolicy.publicOnly.allows(try SocketAddress("\(text):443")))
  }
}

@Suite struct BackoffTests {
  @Test func waitsGrowToTheLongestAndStayInTheUpperHalf() {
    var backoff = Backoff(firstMilliseconds: 100, longestMilliseconds: 5000)
    var generator = SplitMix64(seed: 7)
    for bound: UInt64 in [100, 200, 400, 800, 1600, 3200] + Array(repeating: 5000, count: 100) {
      let wait = backoff.next(using: &generator)
      #expect(wait >= bound / 2 && wait <= bound)
    }
    #expect(backoff.tries == 106)
    backoff.reset()
    #expect(backoff.next(using: &generator) <= 100)
  }

  @Test func whatTheServerAsksForIsKeptAndSpread() {
    var waits: Set<UInt64> = []
    for _ in 0..<50 {
      var backoff = Backoff(firstMilliseconds: 1000, longestMilliseconds: 2000)
      let wait = backoff.next(atLeastMilliseconds: 30_000)
      #expect(wait > 30_000 && wait <= 31_000)
      waits.insert(wait)
    }
    #expect(waits.count > 10)
    var backoff = Backoff(firstMilliseconds: 1, longestMilliseconds: .max)
    for _ in 0..<200 { #expect(backoff.next(atLeastMilliseconds: .max) == .max) }
  }
}

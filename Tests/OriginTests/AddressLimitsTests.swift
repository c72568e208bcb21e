import HTTP
import Testing

@testable import Origin

@Suite struct AddressLimitsTests {
  static let second: UInt64 = 1_000_000

  private func rates(
    connections: Int = 0, rate: Int = 0, burst: Int = 1, exempt: [String] = []
  ) -> AddressLimits.Rates {
    AddressLimits.Rates(
      connections: connections, requestsPerSecond: rate, burst: burst,
      exempt: exempt.compactMap { NetworkPrefix($0) })
  }

  @Test func aBurstPassesAndThenTheRate() throws {
    let limits = AddressLimits()
    let rates = rates(rate: 10, burst: 3)
    let client = try #require(NetworkAddress("203.0.113.7"))
    let start = 77 * Self.second
    for _ in 0..<3 { #expect(limits.request(client, rates, nowMicroseconds: start) == nil) }
    #expect(limits.request(client, rates, nowMicroseconds: start) == 1, "one past the burst")
    #expect(limits.request(client, rates, nowMicroseconds: start + 99_999) == 1)
    #expect(limits.request(client, rates, nowMicroseconds: start + 100_000) == nil, "one interval later")
    #expect(limits.request(client, rates, nowMicroseconds: start + 100_000) == 1)
    // After a pause there is a whole burst again, and no more than that.
    for _ in 0..<3 {
      #expect(limits.request(client, rates, nowMicroseconds: start + 60 * Self.second) == nil)
    }
    #expect(limits.request(client, rates, nowMicroseconds: start + 60 * Self.second) == 1)
    let other = try #require(NetworkAddress("203.0.113.8"))
    #expect(limits.request(other, rates, nowMicroseconds: start + 60 * Self.second) == nil)
  }

  @Test func whatIsLeftIsTold() throws {
    let limits = AddressLimits()
    let rates = rates(rate: 10, burst: 3)
    let client = try #require(NetworkAddress("203.0.113.7"))
    for left in [3, 2, 1] as [UInt64] {
      #expect(limits.requestsLeft(client, rates, nowMicroseconds: Self.second) == left)
      #expect(limits.request(client, rates, nowMicroseconds: Self.second) == nil)
    }
    #expect(limits.requestsLeft(client, rates, nowMicroseconds: Self.second) == 0)
    #expect(limits.request(client, rates, nowMicroseconds: Self.second) == 1)
    #expect(limits.requestsLeft(client, rates, nowMicroseconds: Self.second + 100_000) == 1)
    #expect(limits.requestsLeft(client, rates, nowMicroseconds: 9 * Self.second) == 3)
  }

  /// A flood of others drives out what came before it; a subscriber's addresses are one client.
  @Test func refusalsAreRememberedForAWhile() throws {
    let refusals = RecentRefusals()
    let client = try #require(NetworkAddress("2001:db8::1"))
    refusals.add(.init(client: client, limit: .memory, seconds: 5))
    refusals.add(.init(client: client, limit: .memory, seconds: 7))
    let neighbour = try #require(NetworkAddress("2001:db8::2"))
    refusals.add(.init(client: neighbour, limit: .connections, seconds: 6))
    let found = refusals.refusals(of: client)
    #expect(found.map(\.limit) == [.connections, .memory])
    #expect(found.map(\.count) == [1, 2] && found.map(\.lastSeconds) == [6, 7])
    for number in 0..<UInt128(RecentRefusals.capacity - 1) {
      refusals.add(.init(client: NetworkAddress(bits: number, isIPv6: false), limit: .memory, seconds: 9))
    }
    #expect(refusals.refusals(of: client).map(\.limit) == [.connections])
    refusals.add(.init(client: NetworkAddress(bits: 1, isIPv6: false), limit: .memory, seconds: 9))
    #expect(refusals.refusals(of: client).isEmpty)
  }

  @Test func theTimeToWaitIsTold() throws {
    var table = RateTable()
    let client = try #require(NetworkAddress("::1"))
    #expect(table.request(client, now: 0, interval: 5 * Self.second, tolerance: 0) == nil)
    #expect(table.request(client, now: 1, interval: 5 * Self.second, tolerance: 0) == 5)
    #expect(table.request(client, now: 4 * Self.second, interval: 5 * Self.second, tolerance: 0) == 1)
    #expect(table.request(client, now: 5 * Self.second, interval: 5 * Self.second, tolerance: 0) == nil)
  }

  @Test func theTableIsBoundedAndRemembersWhoSendsMost() throws {
    var table = RateTable()
    let heavy = try #require(NetworkAddress("203.0.113.7"))
    for _ in 0..<100 {
      _ = table.request(heavy, now: 1, interval: Self.second, tolerance: 99 * Self.second)
    }
    #expect(table.request(heavy, now: 1, interval: Self.second, tolerance: 99 * Self.second) != nil)
    // Four times as many addresses as there is room for.
    for number in 0..<UInt128(4 * RateTable.setCount * RateTable.ways) {
      let light = NetworkAddress(bits: 0x2001_0DB8 << 96 | number << 64, isIPv6: true)
      #expect(table.request(light, now: 2, interval: Self.second, tolerance: 99 * Self.second) == nil)
    }
    #expect(table.request(heavy, now: 3, interval: Self.second, tolerance: 99 * Self.second) != nil)
  }

  @Test func connectionsAreCountedUntilTheyClose() throws {
    let limits = AddressLimits()
    let rates = rates(connections: 2)
    let client = try #require(NetworkAddress("203.0.113.7"))
    #expect(limits.open(client, rates) && limits.open(client, rates) && !limits.open(client, rates))
    limits.close(client)
    #expect(limits.open(client, rates) && !limits.open(client, rates))
    limits.close(client)
    limits.close(client)
    #expect(limits.connectedAddresses == 0, "nothing is kept of who has left")
    limits.close(client)
    #expect(limits.open(client, rates))
  }

  @Test func clientsOfIPv6CountByTheirNetwork() throws {
    let rates = rates(connections: 1, exempt: ["10.0.0.0/8", "2001:db8:ffff::/48"])
    func key(_ text: String) throws -> NetworkAddress? {
      AddressLimits.key(try #require(NetworkAddress(text)), rates)
    }
    #expect(try key("2001:db8::1") == key("2001:db8::ffff:1"))
    #expect(try key("2001:db8::1") != key("2001:db8:0:1::1"))
    #expect(try key("203.0.113.7") == NetworkAddress("203.0.113.7"))
    #expect(try key("10.1.2.3") == nil && key("2001:db8:ffff:1::1") == nil)
  }
}

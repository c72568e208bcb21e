// How many connections one address may hold, and how many requests it may send in a second.
//
// Off by default, and then not even looked at. All loops share the tables, since the kernel spreads one client's connections
// over them. An IPv6 client counts by its /64, which is what one subscriber has to choose addresses from.
//
// Connections are counted in a dictionary: it has an entry for each address that holds one, so `limits.connections` bounds it.
//
// Requests go through the generic cell rate algorithm (ITU-T I.371), a leaky bucket whose whole state is one time: when the
// bucket would be empty again if nothing more came. A request is allowed while that time is less than a burst away, and
// moves it on by one interval. The states lie in a table of fixed size, in sets of eight by a keyed hash. A set that is full
// gives up the entry whose bucket is emptiest, so that the heaviest senders are remembered longest, and what an attacker with
// very many addresses can win is the credit of those that hardly send.

import HTTP
import Loop
import Synchronization

/// What one client may use, for the whole process. May be used from any thread.
final class AddressLimits: Sendable {
  /// The rates in force; a reload makes others, the tables stay.
  struct Rates: Sendable, Equatable {
    /// 0: no limit.
    var connections: Int
    /// Requests a second; 0: no limit.
    var requestsPerSecond: Int
    /// Requests that may come at once, at least 1.
    var burst: Int
    var exempt: [NetworkPrefix]

    var isOff: Bool { connections == 0 && requestsPerSecond == 0 }
  }

  private let connections = Mutex<[NetworkAddress: Int]>([:])
  private let requests = Mutex(RateTable())

  /// Who is counted for an address; nil where it is exempt.
  static func key(_ address: NetworkAddress, _ rates: Rates) -> NetworkAddress? {
    rates.exempt.contains(address) ? nil : subscriber(address)
  }

  /// An IPv4 address, or the /64 of an IPv6 address.
  static func subscriber(_ address: NetworkAddress) -> NetworkAddress {
    guard address.isIPv6 else { return address }
    return NetworkAddress(bits: (address.bits >> 64) << 64, isIPv6: true)
  }

  /// Takes a place for a connection; false when the address has all that it may hold.
  func open(_ key: NetworkAddress, _ rates: Rates) -> Bool {
    connections.withLock { connections in
      let count = connections[key, default: 0]
      guard rates.connections == 0 || count < rates.connections else { return false }
      connections[key] = count + 1
      return true
    }
  }

  func close(_ key: NetworkAddress) {
    connections.withLock { connections in
      guard let count = connections[key] else { return }
      connections[key] = count > 1 ? count - 1 : nil
    }
  }

  /// Takes note of a request. Returns nil where it may pass, else the seconds after which one may again, at least 1.
  func request(_ key: NetworkAddress, _ rates: Rates, nowMicroseconds: UInt64) -> UInt64? {
    guard rates.requestsPerSecond > 0 else { return nil }
    let (interval, tolerance) = Self.pace(rates)
    return requests.withLock {
      $0.request(key, now: nowMicroseconds, interval: interval, tolerance: tolerance)
    }
  }

  /// Connections that an address holds.
  func connectionCount(_ key: NetworkAddress) -> Int { connections.withLock { $0[key, default: 0] } }

  /// How many requests of an address may pass at this moment, one after the other.
  func requestsLeft(_ key: NetworkAddress, _ rates: Rates, nowMicroseconds: UInt64) -> UInt64 {
    let (interval, tolerance) = Self.pace(rates)
    let ahead = requests.withLock { $0.ahead(key, now: nowMicroseconds) }
    return ahead > tolerance ? 0 : (tolerance - ahead) / interval + 1
  }

  /// From one allowed request to the next, and how far ahead of its time one may come; in microseconds.
  private static func pace(_ rates: Rates) -> (interval: UInt64, tolerance: UInt64) {
    let interval = max(1, 1_000_000 / UInt64(max(1, rates.requestsPerSecond)))
    return (interval, interval * UInt64(max(1, rates.burst) - 1))
  }

  /// Addresses that hold connections; for tests.
  var connectedAddresses: Int { connections.withLock { $0.count } }
}

/// The buckets of many addresses in a table of fixed size.
struct RateTable: ~Copyable {
  private struct Entry {
    var key: NetworkAddress
    /// Microseconds of the monotonic clock at which the bucket is empty; 0 in an entry that nobody has.
    var emptyAt: UInt64
  }

  static let setCount = 8192
  static let ways = 8
  /// Made at the first request, so that a limit that is off costs nothing: 2 MiB.
  private var entries: [Entry] = []
  private let seed = UInt64.random(in: .min ... .max)

  /// - Parameters:
  ///   - interval: from one allowed request to the next, in microseconds.
  ///   - tolerance: how far ahead of its time a request may come.
  /// - Returns: nil, or the whole seconds until a request is allowed again.
  mutating func request(_ key: NetworkAddress, now: UInt64, interval: UInt64, tolerance: UInt64) -> UInt64? {
    if entries.isEmpty {
      entries = Array(
        repeating: Entry(key: NetworkAddress(bits: 0, isIPv6: false), emptyAt: 0),
        count: Self.setCount * Self.ways)
    }
    let first = Int(key.hash(seed: seed) % UInt64(Self.setCount)) * Self.ways
    var place = first
    for index in first..<first + Self.ways {
      if entries[index].emptyAt > 0, entries[index].key == key {
        place = index
        break
      }
      if entries[index].emptyAt < entries[place].emptyAt { place = index }
    }
    let isKnown = entries[place].emptyAt > 0 && entries[place].key == key
    let emptyAt = isKnown ? max(entries[place].emptyAt, now) : now
    guard emptyAt - now <= tolerance else {
      return max(1, (emptyAt - now - tolerance + 999_999) / 1_000_000)
    }
    entries[place] = Entry(key: key, emptyAt: emptyAt + interval)
    return nil
  }

  /// How far ahead of its time an address is, in microseconds.
  func ahead(_ key: NetworkAddress, now: UInt64) -> UInt64 {
    if entries.isEmpty { return 0 }
    let first = Int(key.hash(seed: seed) % UInt64(Self.setCount)) * Self.ways
    let entry = entries[first..<first + Self.ways].first { $0.emptyAt > now && $0.key == key }
    return entry.map { $0.emptyAt - now } ?? 0
  }
}

// Who was turned away lately, so that an operator can be told why a client sees 503 or 429.
//
// The last 1,024 refusals in a ring: a flood drives out what came before it and nothing else, and costs one lock and one
// store for each. Kept for the process alone, and only where the client's address is known: one that was closed for want of
// descriptors never was.

import HTTP
import Synchronization

final class RecentRefusals: Sendable {
  struct Entry: Sendable {
    var client: NetworkAddress
    var limit: Limit
    var seconds: Int64
  }

  static let capacity = 1024

  private struct Ring {
    var entries: [Entry] = []
    var next = 0
  }
  private let ring = Mutex(Ring())

  func add(_ entry: Entry) {
    ring.withLock { ring in
      if ring.entries.count < Self.capacity {
        ring.entries.append(entry)
      } else {
        ring.entries[ring.next] = entry
        ring.next = (ring.next + 1) % Self.capacity
      }
    }
  }

  /// For each limit that has refused the client, in the order of their declaration: how often, and when last.
  func refusals(of client: NetworkAddress) -> [(limit: Limit, count: Int, lastSeconds: Int64)] {
    let found = ring.withLock { ring in
      ring.entries.filter { AddressLimits.subscriber($0.client) == AddressLimits.subscriber(client) }
    }
    return Limit.allCases.compactMap { limit in
      let those = found.filter { $0.limit == limit }
      guard let last = those.map(\.seconds).max() else { return nil }
      return (limit, those.count, last)
    }
  }
}

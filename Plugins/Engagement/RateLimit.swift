import Glibc
import HTTP
import Loop
import Origin
import Store
import Synchronization

/// A rate limit by address: of requests for media as an access handler, of beacons as a check of the API.
///
/// Decides by its ledger alone, and never waits. An IPv6 client counts by its /64, which is what one subscriber has.
final class RateLimit: AccessHandler {
  let rule: RateRule
  private let exempt: [NetworkPrefix]
  private let ledger: Mutex<RateLedger>
  let refusals = Atomic<UInt64>(0)

  init(_ rule: RateRule, exempt: [NetworkPrefix]) {
    self.rule = rule
    self.exempt = exempt
    ledger = Mutex(RateLedger(rule))
  }

  func check(
    _ request: borrowing RequestHead, from client: () -> SocketAddress?, in site: Site
  ) -> AccessVerdict {
    do throws(Problem) {
      try admit(client())
      return .pass
    } catch {
      return .refuse(error)
    }
  }

  /// - Throws: 429 with Retry-After where the address has sent too much.
  func admit(_ client: SocketAddress?) throws(Problem) {
    guard !rule.isOff, let client else { return }
    let address = Self.subscriber(client)
    if exempt.contains(NetworkAddress(bits: client.address, isIPv6: client.isIPv6)) { return }
    let wait = ledger.withLock { $0.take(address, at: nowMicroseconds()) }
    guard let wait else { return }
    refusals.add(1, ordering: .relaxed)
    throw Problem(
      status: 429, code: "rate-limited", title: "Too many requests",
      detail: "This address has sent as many requests as it may for now.",
      fields: [.init("Retry-After", "\(wait)")])
  }

  /// Tells the store what was used here, and learns what all have used.
  func share(through store: any EngagementStore) async throws(EngagementError) {
    let used = ledger.withLock { $0.drain() }
    for start in stride(from: 0, to: used.count, by: 128) {
      let part = used[start..<min(start + 128, used.count)]
      let spendings = part.map {
        RateSpending(address: Self.text($0.address), window: $0.window, amount: $0.amount)
      }
      let answers = try await store.spend(spendings, rule)
      let now = nowMicroseconds()
      ledger.withLock { ledger in
        for (entry, answer) in zip(part, answers) {
          ledger.absorb(entry.address, window: entry.window, used: answer, at: now)
        }
      }
    }
  }

  private static func subscriber(_ client: SocketAddress) -> NetworkAddress {
    let bits = client.isIPv6 ? (client.address >> 64) << 64 : client.address
    return NetworkAddress(bits: bits, isIPv6: client.isIPv6)
  }

  private static func text(_ address: NetworkAddress) -> String {
    SocketAddress(address: address.bits, isIPv6: address.isIPv6, port: 0).host
  }

  /// Windows are those of the wall clock, which all nodes share; rates are measured by one that nobody sets.
  private func nowMicroseconds() -> UInt64 {
    if rule.algorithm == .fixedWindow { return UInt64(clamping: Store.wallClockMilliseconds()) &* 1000 }
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
  }
}

/// Calls and items at the rate that a vendor allows: two token buckets, which fill by time and empty by use.
struct Pace: Sendable {
  private var calls: TokenBucket
  private var items: TokenBucket?

  init(_ limits: VendorLimits, at now: ContinuousClock.Instant = .now) {
    calls = TokenBucket(perMinute: limits.callsPerMinute, burst: limits.callBurst, at: now)
    if limits.itemsPerMinute > 0 {
      items = TokenBucket(perMinute: limits.itemsPerMinute, burst: limits.itemBurst, at: now)
    }
  }

  /// Takes one call with so many items, and says how long to wait before it is made.
  mutating func take(items count: Int, at now: ContinuousClock.Instant = .now) -> Duration {
    let wait = calls.take(1, at: now)
    return max(wait, items?.take(count, at: now) ?? .zero)
  }
}

/// Tokens that come at a rate, up to a number. Taking more than there are means waiting for them.
struct TokenBucket: Sendable {
  private let perSecond: Double
  private let burst: Double
  private var tokens: Double
  private var last: ContinuousClock.Instant

  /// - Parameters: both at least 1.
  init(perMinute: Int, burst: Int, at now: ContinuousClock.Instant) {
    perSecond = Double(max(1, perMinute)) / 60
    self.burst = Double(max(1, burst))
    tokens = self.burst
    last = now
  }

  /// Takes tokens, of those that are yet to come if need be; returns how long it takes until they have come.
  mutating func take(_ count: Int, at now: ContinuousClock.Instant) -> Duration {
    let elapsed = (now - last) / .milliseconds(1) / 1000
    if elapsed > 0 {
      tokens = min(burst, tokens + elapsed * perSecond)
      last = now
    }
    tokens -= Double(count)
    return tokens >= 0 ? .zero : .milliseconds(Int64((-tokens / perSecond * 1000).rounded(.up)))
  }
}

/// How long to wait before each further try: exponentially longer, and never the same for two clients.
///
/// ```swift
/// var backoff = Backoff(firstMilliseconds: 200, longestMilliseconds: 60_000)
/// let wait = backoff.next(atLeastMilliseconds: response.retryAfterMilliseconds ?? 0)
/// ```
/// The bound doubles with each try up to the longest; the wait is drawn evenly from the upper half of what the bound
/// allows, so that those who failed together do not come back together, and nobody comes back at once.
public struct Backoff: Sendable, Hashable {
  public let firstMilliseconds: UInt64
  public let longestMilliseconds: UInt64
  /// How many waits were taken since the start or ``reset()``.
  public private(set) var tries = 0

  /// - Parameters:
  ///   - firstMilliseconds: bound of the first wait, at least 1.
  ///   - longestMilliseconds: bound of any wait, not less than the first.
  public init(firstMilliseconds: UInt64, longestMilliseconds: UInt64) {
    precondition(
      firstMilliseconds >= 1 && longestMilliseconds >= firstMilliseconds, "a backoff grows from at least 1 ms"
    )
    self.firstMilliseconds = firstMilliseconds
    self.longestMilliseconds = longestMilliseconds
  }

  /// The next wait in milliseconds.
  ///
  /// - Parameter atLeastMilliseconds: what the other side asked for (`Retry-After`); added to the drawn wait only where that
  ///   is shorter, so clients that were all told the same time still come apart.
  public mutating func next(
    atLeastMilliseconds: UInt64 = 0, using generator: inout some RandomNumberGenerator
  ) -> UInt64 {
    let bound =
      tries < firstMilliseconds.leadingZeroBitCount
      ? min(longestMilliseconds, firstMilliseconds << UInt64(tries)) : longestMilliseconds
    tries += 1
    let wait = UInt64.random(in: (bound / 2 + bound % 2)...bound, using: &generator)
    guard wait < atLeastMilliseconds else { return wait }
    let (sum, overflows) = atLeastMilliseconds.addingReportingOverflow(wait)
    return overflows ? .max : sum
  }

  /// The next wait, drawn from the system's generator.
  public mutating func next(atLeastMilliseconds: UInt64 = 0) -> UInt64 {
    var generator = SystemRandomNumberGenerator()
    return next(atLeastMilliseconds: atLeastMilliseconds, using: &generator)
  }

  /// After a success: the next wait is a first one again.
  public mutating func reset() { tries = 0 }
}

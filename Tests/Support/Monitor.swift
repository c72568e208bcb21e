internal import Foundation

/// State shared between a test and the threads that read pipes or wait for a process, with waiting that
/// always ends at a deadline.
// Every access to `state` holds `condition`, which is why the compiler's check can be switched off.
final class Monitor<State: Sendable>: @unchecked Sendable {
  private let condition = NSCondition()
  private var state: State

  init(_ state: State) { self.state = state }

  /// Runs `body` alone and wakes who waits.
  func update<Result>(_ body: (inout State) throws -> Result) rethrows -> Result {
    condition.lock()
    defer {
      condition.broadcast()
      condition.unlock()
    }
    return try body(&state)
  }

  /// The first value other than `nil` that `pick` finds, or `nil` when `deadline` comes first.
  func wait<Result>(until deadline: ContinuousClock.Instant, _ pick: (State) -> Result?) -> Result? {
    condition.lock()
    defer { condition.unlock() }
    while true {
      if let found = pick(state) { return found }
      let left = deadline - .now
      guard left > .zero else { return nil }
      _ = condition.wait(until: Date(timeIntervalSinceNow: left / .seconds(1)))
    }
  }
}

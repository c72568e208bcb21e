// A circuit breaker: a server that fails is not asked any more, and is asked again as soon as it answers.
//
//              5 failures in a row, or more than half of ≥ 20 calls in 10 s
//     closed ───────────────────────────────────────────────────────────────► open
//        ▲                                                                     │ 1 s, and up to a quarter more
//        │  2 answers in a row                                                 ▼
//        └───────────────────────────────────────────────────────────────  half-open
//                                                  a failure: open again
//
// Calls pass while it is closed only. What passes while it is half-open are probes of the client's own (PING), so that
// recovery is noticed whether anybody calls or not, and no caller pays for the trial. The wait does not grow with further
// failures: one probe a second harms nobody, and a server that is back is in use within two seconds.

/// The state of one server's breaker. A value without a clock: each call says the time.
struct RedisBreaker: Sendable {
  struct Limits: Sendable, Hashable {
    var failuresInARow = 5
    var windowMilliseconds: UInt64 = 10_000
    var leastCallsInWindow = 20
    var openMilliseconds: UInt64 = 1_000
    var answersToClose = 2
  }

  enum State: Sendable, Hashable {
    case closed
    case open(untilMilliseconds: UInt64)
    case halfOpen(answers: Int)
  }

  private let limits: Limits
  private(set) var state = State.closed
  /// How often it has opened out of the closed state.
  private(set) var openings = 0
  private var failuresInARow = 0
  /// Calls and failures of the present half of the window and of the one before.
  private var now = (calls: 0, failures: 0)
  private var before = (calls: 0, failures: 0)
  private var halfBeganMilliseconds: UInt64 = 0

  init(_ limits: Limits = Limits()) { self.limits = limits }

  /// Whether a call may go to the server.
  var isClosed: Bool { state == .closed }

  mutating func answered(atMilliseconds time: UInt64) {
    switch state {
    case .closed:
      failuresInARow = 0
      count(failed: false, time)
    case .halfOpen(let answers) where answers + 1 >= limits.answersToClose: close()
    case .halfOpen(let answers): state = .halfOpen(answers: answers + 1)
    // The late answer to a call of before.
    case .open: break
    }
  }

  /// - Returns: whether this failure opened it; the caller then sees to the probe.
  mutating func failed(atMilliseconds time: UInt64) -> Bool {
    switch state {
    case .open: return false
    case .halfOpen:
      open(time)
      return true
    case .closed:
      failuresInARow += 1
      count(failed: true, time)
      let calls = now.calls + before.calls
      let isMostly = calls >= limits.leastCallsInWindow && (now.failures + before.failures) * 2 > calls
      guard failuresInARow >= limits.failuresInARow || isMostly else { return false }
      openings += 1
      open(time)
      return true
    }
  }

  /// The time of being open is over: a probe begins.
  mutating func probeBegins() {
    if case .open = state { state = .halfOpen(answers: 0) }
  }

  private mutating func open(_ time: UInt64) {
    let jitter = UInt64.random(in: 0...(limits.openMilliseconds / 4))
    state = .open(untilMilliseconds: time &+ limits.openMilliseconds &+ jitter)
  }

  private mutating func close() {
    state = .closed
    failuresInARow = 0
    now = (0, 0)
    before = (0, 0)
  }

  private mutating func count(failed: Bool, _ time: UInt64) {
    let half = limits.windowMilliseconds / 2
    let age = time >= halfBeganMilliseconds ? time - halfBeganMilliseconds : .max
    if age >= half {
      before = age >= 2 * half ? (0, 0) : now
      now = (0, 0)
      halfBeganMilliseconds = time
    }
    now.calls += 1
    if failed { now.failures += 1 }
  }
}

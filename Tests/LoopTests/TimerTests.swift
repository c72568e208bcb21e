import Testing

@testable import Loop

@Suite(.serialized, .timeLimit(.minutes(5)))
struct TimerTests {
  @Test func timersFireByTimeThenByAge() throws {
    try withLoop { loop in
      let log = Mailbox<String>()
      loop.execute {
        loop.schedule(afterMilliseconds: 12) { log.put("late") }
        loop.schedule(afterMilliseconds: 3) { log.put("early, older") }
        loop.schedule(afterMilliseconds: 3) { log.put("early, younger") }
        loop.schedule(afterMilliseconds: 0) { log.put("next turn") }
        log.put("now")
      }
      #expect(log.take(5) == ["now", "next turn", "early, older", "early, younger", "late"])
    }
  }

  @Test func cancelledTimerDoesNotFire() throws {
    try withLoop { loop in
      let log = Mailbox<String>()
      loop.execute {
        let cancelled = loop.schedule(afterMilliseconds: 1) { log.put("cancelled") }
        let sibling = loop.schedule(afterMilliseconds: 2) { log.put("sibling") }
        cancelled.cancel()
        cancelled.cancel()
        #expect(!cancelled.isScheduled && sibling.isScheduled)
        // Due in the same turn as the sibling, and older, so it can still take it back.
        loop.schedule(afterMilliseconds: 1) { sibling.cancel() }
        loop.schedule(afterMilliseconds: 10) { log.put("end") }
      }
      #expect(log.take() == "end")
    }
  }

  @Test func repeatingTimerEndsWhenCancelledInItsCallback() throws {
    try withLoop { loop in
      let log = Mailbox<Int>()
      loop.execute {
        let ticker = Ticker()
        ticker.timer = loop.schedule(afterMilliseconds: 1, repeatMilliseconds: 1) {
          ticker.count += 1
          if ticker.count == 5 { ticker.timer?.cancel() }
          log.put(ticker.count)
        }
        loop.schedule(afterMilliseconds: 30) { log.put(-1) }
      }
      #expect(log.take(6) == [1, 2, 3, 4, 5, -1])
    }
  }

  @Test func closureIsReleasedWhenTheTimerEnds() throws {
    try withLoop { loop in
      let released = Mailbox<String>()
      loop.execute {
        let fired = OnRelease { released.put("fired") }
        let cancelled = OnRelease { released.put("cancelled") }
        loop.schedule(afterMilliseconds: 1) { fired.touch() }
        let timer = loop.schedule(afterMilliseconds: 60_000, repeatMilliseconds: 1) { cancelled.touch() }
        loop.later { timer.cancel() }
      }
      #expect(Set(released.take(2)) == ["fired", "cancelled"])
    }
  }

  @Test func loopEndsThoughTimersAreLeft() throws {
    let released = Mailbox<Void>()
    try withLoop { loop in
      try loop.sync {
        let left = OnRelease { released.put(()) }
        loop.schedule(afterMilliseconds: 60_000) { left.touch() }
        loop.schedule(afterMilliseconds: 1, repeatMilliseconds: 1) {}
      }
    }
    released.take()
  }

  @Test func timerFiresWhileAStoppingLoopWaitsForWork() throws {
    try withLoop { loop in
      try loop.sync {
        loop.beginWork()
        loop.onStop { loop.schedule(afterMilliseconds: 5) { loop.endWork() } }
      }
    }
  }
}

private final class Ticker {
  var count = 0
  var timer: Timer?
}

/// Tells when the last reference to it has gone.
final class OnRelease: Sendable {
  private let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) {
    self.body = body
  }

  deinit {
    body()
  }

  func touch() {}
}

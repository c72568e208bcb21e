import Glibc
import Testing

@testable import Loop

@Suite(.serialized, .timeLimit(.minutes(5)))
struct WorkerPoolTests {
  @Test func workRunsInOrderAndAnswersOnTheLoop() throws {
    let pool = try WorkerPool(threadCount: 1)
    try withLoop { loop in
      let answers = Mailbox<Int>()
      loop.execute {
        for number in 0..<500 {
          let isTaken = pool.submit({ number * 2 }, on: loop) { result in
            loop.preconditionOnLoop()
            answers.put(result)
          }
          #expect(isTaken)
        }
      }
      #expect(answers.take(500) == (0..<500).map { $0 * 2 })
    }
    pool.shutdown()
  }

  @Test func queueIsBounded() throws {
    let pool = try WorkerPool(threadCount: 1, queueLimit: 3)
    try withLoop { loop in
      let gate = Mailbox<Void>()
      let started = Mailbox<Void>()
      let answers = Mailbox<Int>()
      let takeFirst = try loop.sync {
        pool.submit(
          {
            started.put(())
            gate.take()
          }, on: loop
        ) { answers.put(0) }
      }
      #expect(takeFirst)
      // The one worker is busy now, so the queue is empty and takes three.
      started.take()
      let taken = try loop.sync {
        (1...5).map { number in pool.submit({ number }, on: loop) { answers.put($0) } }
      }
      #expect(taken == [true, true, true, false, false])
      #expect(try loop.sync { loop.heldWorkCount } == 4)
      gate.put(())
      #expect(answers.take(4) == [0, 1, 2, 3])
      let takenLater = try loop.sync { pool.submit({ 6 }, on: loop) { answers.put($0) } }
      #expect(takenLater && answers.take() == 6)
    }
    pool.shutdown()
  }

  /// Has a worker busy until something lies in `gate`, and returns when it is.
  private func occupy(_ pool: WorkerPool, until gate: Mailbox<Void>, on loop: EventLoop) throws {
    let started = Mailbox<Void>()
    try loop.sync {
      #expect(
        pool.submit(
          {
            started.put(())
            gate.take()
          }, on: loop
        ) {})
    }
    started.take()
  }

  @Test func thereIsNoRoomBehindWorkThatWaitsForTooLong() throws {
    for (mostDelay, hasRoom) in [(UInt64(0), false), (3_600_000, true)] {
      let pool = try WorkerPool(threadCount: 1, mostDelayMilliseconds: mostDelay)
      try withLoop { loop in
        let gate = Mailbox<Void>()
        let ended = Mailbox<Void>()
        #expect(pool.hasRoom)
        try occupy(pool, until: gate, on: loop)
        #expect(pool.hasRoom, "what runs does not wait")
        try loop.sync { #expect(pool.submit({}, on: loop) { ended.put(()) }) }
        #expect(pool.hasRoom == hasRoom)
        gate.put(())
        ended.take()
        #expect(pool.hasRoom)
      }
      pool.shutdown()
    }
  }

  /// Nothing has waited yet, but what workers took for the work before tells how long it will.
  @Test func thereIsNoRoomBehindMoreWorkThanIsDoneInTime() throws {
    let pool = try WorkerPool(threadCount: 1, queueLimit: 4096, mostDelayMilliseconds: 60_000)
    try withLoop { loop in
      let gate = Mailbox<Void>()
      let ended = Mailbox<Void>()
      func add(_ count: Int, _ work: @escaping @Sendable () -> Void) throws {
        try loop.sync {
          for _ in 0..<count { #expect(pool.submit(work, on: loop) { ended.put(()) }) }
        }
      }
      // Taken one after the other, a tenth of a second apart.
      try occupy(pool, until: gate, on: loop)
      try add(3) { usleep(100_000) }
      gate.put(())
      _ = ended.take(3)
      try occupy(pool, until: gate, on: loop)
      try add(100) {}
      #expect(pool.hasRoom, "100 of a tenth of a second")
      try add(1000) {}
      #expect(!pool.hasRoom)
      gate.put(())
      _ = ended.take(1100)
      #expect(pool.hasRoom)
    }
    pool.shutdown()
  }

  @Test func completionIsReleasedOnTheLoop() throws {
    let pool = try WorkerPool(threadCount: 2)
    try withLoop { loop in
      let releases = Mailbox<Bool>()
      loop.execute {
        for _ in 0..<200 {
          let witness = OnRelease { releases.put(loop.isOnLoop) }
          _ = pool.submit({}, on: loop) { witness.touch() }
        }
      }
      #expect(releases.take(200).allSatisfy { $0 })
    }
    pool.shutdown()
  }

  @Test func shutdownRunsWhatIsQueuedAndRefusesTheRest() async throws {
    let pool = try WorkerPool(threadCount: 2, queueLimit: 100)
    let done = Mailbox<Int>()
    try withLoop { loop in
      try loop.sync {
        for number in 0..<50 { #expect(pool.submit({ done.put(number) }, on: loop) {}) }
      }
      pool.shutdown()
      pool.shutdown()
      #expect(done.take(50).sorted() == Array(0..<50))
      #expect(try loop.sync { pool.submit({}, on: loop) {} } == false)
    }
    await #expect {
      try await pool.run {}
    } throws: {
      ($0 as? LoopError)?.code == .workersStopped
    }
  }

  @Test func asyncFormReturnsThrowsAndResumesOnTheCallersLoop() throws {
    struct Refusal: Error {}
    let pool = try WorkerPool(threadCount: 2)
    try withLoop { loop in
      let log = Mailbox<String>()
      loop.execute {
        Task.immediate(executorPreference: loop) {
          log.put("\((try? await pool.run { 40 + 2 }) ?? 0) \(loop.isOnLoop)")
          do {
            try await pool.run { throw Refusal() }
          } catch {
            log.put("\(error is Refusal) \(loop.isOnLoop)")
          }
        }
      }
      #expect(log.take(2) == ["42 true", "true true"])
    }
    pool.shutdown()
  }

  @Test func asyncFormThrowsWhenTheQueueIsFull() async throws {
    let pool = try WorkerPool(threadCount: 1, queueLimit: 1)
    let gate = Mailbox<Void>()
    try withLoop { loop in
      try occupy(pool, until: gate, on: loop)
      try loop.sync { #expect(pool.submit({}, on: loop) {}) }
      let code = Mailbox<LoopError.Code?>()
      loop.execute {
        Task.immediate(executorPreference: loop) {
          do {
            try await pool.run {}
            code.put(nil)
          } catch {
            code.put((error as? LoopError)?.code)
          }
        }
      }
      #expect(code.take() == .workerQueueFull)
      gate.put(())
    }
    pool.shutdown()
  }
}

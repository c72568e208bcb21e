import Glibc
import Synchronization
import Testing

@testable import Loop

@Suite(.serialized, .timeLimit(.minutes(5)))
struct EventLoopTests {
  @Test func workOfEightThreadsRunsCompletelyAndInEachThreadsOrder() throws {
    let perThread = 12_500
    let seen = try withLoop { loop in
      let done = Mailbox<Void>()
      let seen = Locked([[Int]](repeating: [], count: 8))
      let threads = try (0..<8).map { thread in
        try inBackground {
          for number in 0..<perThread {
            loop.execute { seen.withLock { $0[thread].append(number) } }
          }
          loop.execute { done.put(()) }
        }
      }
      for thread in threads { thread.join() }
      _ = done.take(8)
      return seen.withLock { $0 }
    }
    for numbers in seen { #expect(numbers == Array(0..<perThread)) }
  }

  @Test func workHandedOverOnTheLoopRunsAfterTheCallbackInOrder() throws {
    try withLoop { loop in
      let log = Mailbox<Int>()
      loop.execute {
        loop.execute { log.put(2) }
        loop.later { log.put(3) }
        loop.execute { loop.execute { log.put(5) } }
        loop.later { log.put(4) }
        log.put(1)
      }
      #expect(log.take(5) == [1, 2, 3, 4, 5])
    }
  }

  @Test func immediateTaskStartsAtOnceAndResumesOnTheLoop() throws {
    let pool = try WorkerPool(threadCount: 1)
    defer { pool.shutdown() }
    try withLoop { loop in
      let log = Mailbox<String>()
      loop.execute {
        Task.immediate(executorPreference: loop) {
          log.put("start \(loop.isOnLoop)")
          await Task.yield()
          log.put("yield \(loop.isOnLoop)")
          let isWorkerOnLoop = try? await pool.run { loop.isOnLoop }
          log.put("worker \(isWorkerOnLoop == true), then \(loop.isOnLoop)")
          await nested(loop, log)
          async let child = loop.isOnLoop
          log.put("child \(await child), end \(loop.isOnLoop)")
        }
        log.put("caller")
      }
      let expected = [
        "start true", "caller", "yield true", "worker false, then true", "nested true",
        "child true, end true",
      ]
      #expect(log.take(expected.count) == expected)
    }
  }

  @Test func resumedTaskGoesOnBeforeTheNextEvent() throws {
    try withLoop { loop in
      let log = Mailbox<String>()
      loop.execute {
        let waiting = Waiting()
        Task.immediate(executorPreference: loop) {
          await withUnsafeContinuation { continuation in waiting.continuation.withLock { $0 = continuation } }
          log.put("task")
        }
        // Both timers are due in the same turn.
        loop.schedule(afterMilliseconds: 1) {
          log.put("first")
          waiting.continuation.withLock { $0.take() }?.resume()
        }
        loop.schedule(afterMilliseconds: 1) { log.put("second") }
      }
      #expect(log.take(3) == ["first", "task", "second"])
    }
  }

  @Test func actorOnTheLoopIsIsolatedInCallbacks() async throws {
    let threads = try LoopThreads(count: 1)
    let counter = Counter(loop: threads.loops[0])
    for _ in 0..<100 { await counter.add() }
    let isIsolated = Mailbox<Bool>()
    threads.loops[0].execute {
      counter.assumeIsolated { $0.addNow() }
      isIsolated.put(threads.loops[0].isIsolatingCurrentContext() == true)
    }
    #expect(isIsolated.take())
    #expect(await counter.value == 101)
    #expect(threads.loops[0].isIsolatingCurrentContext() == false)
    threads.stopAndJoin()
  }

  @Test func yieldingTasksDoNotStarveTimers() throws {
    try withLoop { loop in
      let fired = Mailbox<Void>()
      let isDone = Flag()
      let ended = Mailbox<Void>()
      loop.execute {
        Task.immediate(executorPreference: loop) {
          while !isDone.isSet { await Task.yield() }
          ended.put(())
        }
        loop.schedule(afterMilliseconds: 2) {
          isDone.set()
          fired.put(())
        }
      }
      fired.take()
      ended.take()
    }
  }

  @Test func stopBeforeRunStillRunsWhatWasHandedOver() throws {
    let loop = try EventLoop()
    let log = Mailbox<Int>()
    loop.execute { log.put(1) }
    loop.onStop { log.put(2) }
    loop.onStop { loop.onStop { log.put(3) } }
    loop.stop()
    loop.stop()
    loop.run()
    #expect(log.take(3) == [1, 2, 3])
    #expect(loop.isShuttingDown && loop.droppedWorkCount == 0)
    loop.execute { log.put(4) }
    #expect(loop.droppedWorkCount == 1)
  }

  @Test func runWaitsForHeldWork() throws {
    let threads = try LoopThreads(count: 1)
    let loop = threads.loops[0]
    let log = Mailbox<Int>()
    try loop.sync { loop.beginWork() }
    loop.stop()
    // Whatever comes before the end of the held work is not lost, though the loop is stopping.
    let late = try inBackground {
      loop.execute { log.put(1) }
      loop.execute {
        #expect(loop.isShuttingDown && loop.heldWorkCount == 1)
        log.put(2)
        loop.endWork()
      }
    }
    threads.stopAndJoin()
    late.join()
    #expect(log.take(2) == [1, 2])
    #expect(loop.droppedWorkCount == 0)
  }

  @Test func loopThatNeverRanIsFreed() throws {
    weak var loop: EventLoop?
    do {
      let made = try EventLoop()
      made.execute {}
      loop = made
    }
    #expect(loop == nil)
  }

  @Test func loopIsFreedAfterItsThreads() throws {
    weak var loop: EventLoop?
    do {
      let threads = try LoopThreads(count: 2)
      loop = threads.loops[1]
      threads.stopAndJoin()
    }
    #expect(loop == nil)
  }

  @Test func threadsAreNamedAndDistinct() throws {
    let threads = try LoopThreads(count: 3)
    var names: [String] = []
    for (index, loop) in threads.loops.enumerated() {
      let others = threads.loops
      names.append(
        try loop.sync {
          #expect(others.map(\.isOnLoop) == (0..<3).map { $0 == index })
          return threadName()
        })
    }
    #expect(names == ["hw-loop-0", "hw-loop-1", "hw-loop-2"])
    #expect(threads.loops.allSatisfy { !$0.isOnLoop })
    threads.stopAndJoin()
    threads.stopAndJoin()
  }

  @Test func clocksFollowTheSystem() throws {
    try withLoop { loop in
      let before = realTimeSeconds()
      let wall = try loop.sync { loop.wallSeconds }
      #expect((before...realTimeSeconds()).contains(wall))
      let ticks = Mailbox<UInt64>()
      loop.execute {
        let start = loop.nowMilliseconds
        loop.schedule(afterMilliseconds: 20) { ticks.put(loop.nowMilliseconds - start) }
      }
      #expect(ticks.take() >= 20)
    }
  }
}

/// Not `time`, whose coarse clock may still show the second before.
private func realTimeSeconds() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Int64(time.tv_sec)
}

final class Flag: Sendable {
  private let value = Atomic<Bool>(false)

  var isSet: Bool { value.load(ordering: .acquiring) }

  func set() { value.store(true, ordering: .releasing) }
}

private final class Waiting: Sendable {
  let continuation = Locked<UnsafeContinuation<Void, Never>?>(nil)
}

private func nested(_ loop: EventLoop, _ log: Mailbox<String>) async {
  log.put("nested \(loop.isOnLoop)")
}

private func threadName() -> String {
  var bytes = [UInt8](repeating: 0, count: 32)
  let file = Glibc.open("/proc/thread-self/comm", O_RDONLY)
  defer { close(file) }
  let count = read(file, &bytes, bytes.count)
  return String(decoding: bytes.prefix(max(count - 1, 0)), as: UTF8.self)
}

private actor Counter {
  private let loop: EventLoop
  private(set) var value = 0

  init(loop: EventLoop) {
    self.loop = loop
  }

  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  func add() {
    loop.preconditionOnLoop()
    addNow()
  }

  func addNow() { value += 1 }
}

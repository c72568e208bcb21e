internal import CLibUV
internal import Glibc

/// Threads for what would block a loop: disk reads, syncs, commits, hashing.
///
/// Work starts in the order of submission. The queue is bounded: when it is full, submission is refused at once, so that the
/// caller can shed load; ``hasRoom`` says earlier that it should, by how long work waits. The threads are named `hw-work-0`,
/// `hw-work-1`, …
///
/// At the end of a process: end what submits, ``shutdown()``, then stop the loops, which still get the last answers.
public final class WorkerPool: Sendable {
  private typealias Work = @Sendable () -> Void

  /// A ring with room for `queueLimit` pieces of work.
  private struct Queue: Sendable {
    var ring: [(work: Work?, queuedNanoseconds: UInt64)]
    var head = 0
    var count = 0
    var isStopping = false
    /// When work was last taken while more was waiting; 0 where the queue was empty since.
    var takenNanoseconds: UInt64 = 0
    /// How long it takes until the next piece of work is taken: a mean of those that were not waited for, each weighing a sixteenth.
    var intervalNanoseconds: UInt64 = 0

    /// How long what starts next has waited, or what comes now is going to wait if workers go on as before: the longer one.
    var delayNanoseconds: UInt64 {
      guard count > 0 else { return 0 }
      let behind = UInt64(count).multipliedReportingOverflow(by: intervalNanoseconds)
      return max(uv_hrtime() - ring[head].queuedNanoseconds, behind.overflow ? .max : behind.partialValue)
    }

    mutating func append(_ work: @escaping Work) {
      ring[(head + count) % ring.count] = (work, uv_hrtime())
      count += 1
    }

    mutating func popFirst() -> Work? {
      guard count > 0 else { return nil }
      let work = ring[head].work.take()
      head = (head + 1) % ring.count
      count -= 1
      measure()
      return work
    }

    /// Learns from the time between two takings how fast the queue goes down, as long as there is something in it.
    private mutating func measure() {
      let now = uv_hrtime()
      if takenNanoseconds > 0 {
        let interval = now - takenNanoseconds
        intervalNanoseconds =
          intervalNanoseconds == 0 ? interval : (intervalNanoseconds &* 15 &+ min(interval, 1 << 40)) / 16
      }
      takenNanoseconds = count > 0 ? now : 0
    }
  }

  private let queue: Locked<Queue>
  private let mostDelayNanoseconds: UInt64
  // The semaphore counts the queued pieces of work, plus one per thread at the end. It is made for use from many threads, and
  // the pointer never changes.
  nonisolated(unsafe) private let available: UnsafeMutablePointer<sem_t>
  private let threads = Locked<[NamedThread]>([])

  /// Starts the threads.
  ///
  /// - Parameters:
  ///   - threadCount: at least 1.
  ///   - queueLimit: how much work may wait, at least 1; work that runs is not counted.
  ///   - mostDelayMilliseconds: after how long a wait ``hasRoom`` turns false.
  ///   - niceness: how far the threads stand back behind others of the process where processors are short, 0 to 19. What they
  ///     start inherits it.
  /// - Throws: ``LoopError/Code/system`` when the system refuses a thread.
  public init(
    threadCount: Int, queueLimit: Int = 1024, mostDelayMilliseconds: UInt64 = 2000, niceness: Int32 = 0
  ) throws(LoopError) {
    precondition(threadCount >= 1 && queueLimit >= 1, "a worker pool needs a thread and room for work")
    queue = Locked(Queue(ring: Array(repeating: (nil, 0), count: queueLimit)))
    mostDelayNanoseconds = mostDelayMilliseconds * 1_000_000
    available = .allocate(capacity: 1)
    sem_init(available, 0, 0)
    do throws(LoopError) {
      for index in 0..<threadCount {
        // Strong: the threads keep the pool until shutdown() has joined them.
        let thread = try NamedThread(name: "hw-work-\(index)") {
          // Of this thread alone, on Linux. Where that is forbidden it works as well, only not last.
          if niceness > 0 { _ = setpriority(Int32(PRIO_PROCESS.rawValue), 0, niceness) }
          self.work()
        }
        threads.withLock { $0.append(thread) }
      }
    } catch {
      shutdown()
      throw error
    }
  }

  deinit {
    sem_destroy(available)
    available.deallocate()
  }

  /// Whether less than half of the queue waits, and no work longer than it may, nor would what comes now: else who can still say no
  /// politely should begin nothing that needs workers. The length alone says little: 500 pieces of work are a second's or a
  /// minute's. And what has waited says little of what will: while three come for each that is taken, the last one that is let in
  /// before the first has waited for a second waits for three.
  public var hasRoom: Bool {
    queue.withLock { $0.count < ($0.ring.count + 1) / 2 && $0.delayNanoseconds <= mostDelayNanoseconds }
  }

  /// Runs `work` on a worker, then `completion` with its result on the loop.
  ///
  /// Call on the loop, which stays open until `completion` has run. `completion` is destroyed on the loop too, so it may
  /// refer to what belongs there.
  /// - Returns: false when the queue is full or the pool has been shut down; nothing will run then.
  public func submit<Result: Sendable>(
    _ work: @escaping @Sendable () -> Result, on loop: EventLoop, then completion: @escaping (Result) -> Void
  ) -> Bool {
    loop.preconditionOnLoop()
    // The worker only carries the reference back; the one owner at the end is the loop.
    nonisolated(unsafe) let answer = Unmanaged.passRetained(Answer(completion))
    loop.beginWork()
    do throws(LoopError) {
      try enqueue {
        let result = work()
        loop.execute {
          answer.takeRetainedValue().completion(result)
          loop.endWork()
        }
      }
      return true
    } catch {
      answer.release()
      loop.endWork()
      return false
    }
  }

  /// Runs `body` on a worker and returns what it returns, resuming on the caller's executor.
  ///
  /// Not cancellable once queued. A task on a loop should hold it meanwhile with ``EventLoop/beginWork()``.
  /// - Throws: what `body` throws, or ``LoopError/Code/workerQueueFull`` or ``LoopError/Code/workersStopped``, and then `body`
  ///   has not run.
  public nonisolated(nonsending) func run<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
  ) async throws -> Value {
    try await withUnsafeThrowingContinuation { continuation in
      do throws(LoopError) {
        try enqueue { continuation.resume(with: Swift.Result { try body() }) }
      } catch {
        continuation.resume(throwing: error)
      }
    }
  }

  /// Refuses new work, runs all that is queued and waits for the threads to end.
  ///
  /// Blocks; not to be called on a worker or a loop. Harmless when repeated.
  public func shutdown() {
    let threads = threads.withLock { threads in
      defer { threads = [] }
      return threads
    }
    queue.withLock { $0.isStopping = true }
    for _ in threads { sem_post(available) }
    for thread in threads { thread.join() }
  }

  /// What carries a completion to the worker and back.
  private final class Answer<Result> {
    let completion: (Result) -> Void

    init(_ completion: @escaping (Result) -> Void) {
      self.completion = completion
    }
  }

  private func enqueue(_ work: @escaping Work) throws(LoopError) {
    try queue.withLock { queue throws(LoopError) in
      guard !queue.isStopping else { throw LoopError(.workersStopped, operation: "submit work") }
      guard queue.count < queue.ring.count else {
        throw LoopError(.workerQueueFull, operation: "submit work")
      }
      queue.append(work)
    }
    sem_post(available)
  }

  private func work() {
    while true {
      while sem_wait(available) != 0 {}
      // One permit per piece of work and one more per thread at the end: without work it is time to go.
      guard let work = queue.withLock({ $0.popFirst() }) else { return }
      work()
    }
  }
}

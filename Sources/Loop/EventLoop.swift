// One thread, one libuv loop.
//
// Everything made on a loop (timers, listeners, sockets) is touched by that loop's thread alone and so needs no locks.
// Two queues feed it with work:
//
//   inbox   guarded by a lock, filled by any other thread. The first arrival after a drain sends one wake-up through
//           uv_async_send; the wake-up takes everything that has gathered.
//   local   unguarded, filled by the loop's own thread. It is drained after every libuv callback, so that a task which
//           suspends and resumes on the loop goes on before the next event is looked at.
//
// Life:   init ── run() ── stop() ── handlers of onStop ── last socket and listener closed, last held work ended
//         ── timers, signals and the wake-up handle closed by the loop itself ── uv_loop_close ── run() returns.
//
// A loop that is not running yet belongs to whoever sets it up: listeners and timers may be made before run().

internal import CLibUV
internal import Glibc
internal import Synchronization

/// A libuv event loop for one thread, at once the executor of the tasks and actors that live on that thread.
///
/// ```swift
/// let loop = try EventLoop()
/// loop.execute { Task.immediate(executorPreference: loop) { … } }  // starts on the loop, resumes on the loop
/// loop.run()                                                       // until stop()
/// ```
/// Work handed over with ``execute(_:)`` runs in the order in which each thread handed it over. Work that arrives after
/// ``run()`` has returned is dropped and counted in ``droppedWorkCount``: what resumes on a loop must end before it.
public final class EventLoop: SerialExecutor, TaskExecutor, Sendable {
  /// Bytes in the buffer that all sockets of a loop read into.
  public static let readBufferSizeBytes = 65536
  /// Local work items run after one callback before the loop looks at its events again; the rest follows right after.
  static let localWorkPerDrain = 4096

  private let inbox = Locked(Inbox())
  /// `pthread_self()` of the thread inside run(); 0 before and after.
  private let runningThread = Atomic<UInt>(0)

  // The rest is touched by the loop's thread alone (before run() by whoever sets the loop up), and no pointer among it ever
  // changes: that is what nonisolated(unsafe) vouches for below.
  nonisolated(unsafe) let raw: UnsafeMutablePointer<uv_loop_t>
  nonisolated(unsafe) private let wakeUpHandle: UnsafeMutablePointer<uv_async_t>
  nonisolated(unsafe) private let readBuffer: UnsafeMutableRawPointer
  nonisolated(unsafe) private var local: [Work] = []
  /// The two arrays that local and inbox swap with, so that no drain allocates.
  nonisolated(unsafe) private var localBatch: [Work] = []
  nonisolated(unsafe) private var inboxBatch: [Work] = []
  nonisolated(unsafe) private var stopHandlers: [() -> Void] = []
  nonisolated(unsafe) private var isStopping = false
  nonisolated(unsafe) private var isFinished = false
  /// Open sockets and listeners, and work that must still end on this loop.
  nonisolated(unsafe) private var holdCount = 0
  nonisolated(unsafe) private var cachedWallSeconds: Int64 = 0
  nonisolated(unsafe) private var wallSecondEndsMilliseconds: UInt64 = 0

  /// Makes a loop that does nothing until ``run()``.
  ///
  /// - Throws: ``LoopError/Code/descriptorsExhausted`` or ``LoopError/Code/system`` when the system refuses epoll or eventfd.
  public init() throws(LoopError) {
    let raw = UnsafeMutablePointer<uv_loop_t>.allocate(capacity: 1)
    let status = uv_loop_init(raw)
    guard status == 0 else {
      raw.deallocate()
      throw LoopError(errno: -status, operation: "make event loop")
    }
    let wakeUpHandle = UnsafeMutablePointer<uv_async_t>.allocate(capacity: 1)
    let wakeUpStatus = uv_async_init(raw, wakeUpHandle) { handle in
      guard let data = handle?.pointee.data else { return }
      Unmanaged<EventLoop>.fromOpaque(data)._withUnsafeGuaranteedRef { $0.takeInbox() }
    }
    guard wakeUpStatus == 0 else {
      uv_loop_close(raw)
      raw.deallocate()
      wakeUpHandle.deallocate()
      throw LoopError(errno: -wakeUpStatus, operation: "make event loop")
    }
    self.raw = raw
    self.wakeUpHandle = wakeUpHandle
    readBuffer = .allocate(byteCount: Self.readBufferSizeBytes, alignment: 16)
    raw.pointee.data = readBuffer
    // Unretained: deinit closes the handle if run() has not, so the handle never outlives the loop.
    wakeUpHandle.pointee.data = Unmanaged.passUnretained(self).toOpaque()
  }

  deinit {
    if !isFinished { closeLibUV() }
    raw.deallocate()
    wakeUpHandle.deallocate()
    readBuffer.deallocate()
  }
}

// MARK: - Life

extension EventLoop {
  /// Runs the loop on the calling thread; returns once the loop has been stopped and every handle is closed.
  ///
  /// May be called once. Everything made on the loop is then used from this thread alone.
  public func run() {
    let isFirst = runningThread.compareExchange(
      expected: 0, desired: Self.currentThread, ordering: .sequentiallyConsistent
    ).exchanged
    precondition(isFirst && !isFinished, "an event loop runs once, on one thread")
    uv_update_time(raw)
    takeInbox()
    repeat { uv_run(raw, UV_RUN_DEFAULT) } while !finishInbox()
    closeLibUV()
    isFinished = true
    runningThread.store(0, ordering: .sequentiallyConsistent)
  }

  /// Asks the loop to end, after the work handed over before: the handlers given to ``onStop(_:)`` run on the loop, and
  /// ``run()`` returns when the last socket and listener have been closed by their owners and the last held work has ended.
  ///
  /// Timers and signal sources need not be cancelled: they work until then and are closed by the loop. May be called from
  /// any thread, also before ``run()``, and more than once.
  public func stop() {
    enqueue(.stop)
  }

  /// Adds a handler that ``stop()`` runs once, in order of addition; it should close listeners and end connections.
  ///
  /// Call on the loop. When the loop is stopping already the handler runs after the current callback.
  public func onStop(_ handler: @escaping () -> Void) {
    preconditionOnLoop()
    if isStopping { later(handler) } else { stopHandlers.append(handler) }
  }

  /// True from the moment the handlers of ``onStop(_:)`` begin to run. Read it on the loop.
  public var isShuttingDown: Bool { isStopping }

  /// Keeps ``run()`` from returning until ``endWork()``: for a task or an answer that must still come back to this loop.
  ///
  /// Call on the loop, in pairs. Open sockets, listeners and ``WorkerPool/submit(_:on:then:)`` hold the loop by themselves.
  public func beginWork() {
    preconditionOnLoop()
    holdCount += 1
  }

  /// Ends what ``beginWork()`` began. Call on the loop.
  public func endWork() {
    preconditionOnLoop()
    precondition(holdCount > 0, "endWork() without beginWork()")
    holdCount -= 1
  }

  /// How many sockets, listeners and pieces of held work keep the loop from ending. Read it on the loop.
  public var heldWorkCount: Int { holdCount }

  private func beginStopping() {
    guard !isStopping else { return }
    isStopping = true
    let handlers = stopHandlers
    stopHandlers = []
    for handler in handlers { handler() }
  }

  /// After uv_run came back: closes the inbox for good, unless work has slipped in that must run first.
  private func finishInbox() -> Bool {
    takeInbox()
    guard isStopping, holdCount == 0, local.isEmpty else { return false }
    return inbox.withLock { inbox in
      inbox.isFinished = inbox.work.isEmpty
      return inbox.isFinished
    }
  }

  /// Closes whatever handles are left (timers, signals, the wake-up handle) and the loop itself.
  private func closeLibUV() {
    uv_walk(
      raw,
      { handle, _ in
        guard let handle, uv_is_closing(handle) == 0 else { return }
        switch handle.pointee.type {
        case UV_TIMER: Timer.closeAbandoned(handle)
        case UV_SIGNAL: SignalSource.closeAbandoned(handle)
        default: uv_close(handle, nil)
        }
      }, nil)
    // More than once, because a stop flag of before ends the first run early and a signal under way delays its close.
    while uv_run(raw, UV_RUN_DEFAULT) != 0 {}
    let status = uv_loop_close(raw)
    precondition(status == 0, "an event loop ended with open handles")
  }
}

// MARK: - Work

extension EventLoop {
  /// What waits for its turn on the loop.
  // Closures from other threads are @Sendable when they come in; the others never leave the loop's thread.
  private enum Work: @unchecked Sendable {
    case serialJob(UnownedJob)
    case taskJob(UnownedJob)
    case closure(() -> Void)
    /// In the queue, so that what was handed over before stop() runs before the handlers.
    case stop
  }

  private struct Inbox: Sendable {
    var work: [Work] = []
    var isSignalled = false
    var isFinished = false
    var droppedCount = 0
  }

  /// Runs `work` on the loop, after the current callback or at the next wake-up; never inside this call.
  ///
  /// May be called from any thread. From one thread, order is kept. On the loop's own thread it costs no lock; elsewhere a
  /// lock, and one system call for all the work that gathers before the loop wakes. The queue has no limit: bound what you
  /// hand over.
  public nonisolated func execute(_ work: @escaping @Sendable () -> Void) {
    enqueue(.closure(work))
  }

  /// Runs `work` on the loop after the current callback; the form of ``execute(_:)`` for closures that belong to the loop.
  ///
  /// Call on the loop.
  public func later(_ work: @escaping () -> Void) {
    preconditionOnLoop()
    if isOnLoop { local.append(.closure(work)) } else { enqueue(.closure(work)) }
  }

  /// Work that came too late to run, because ``run()`` had returned; 0 in an orderly shut-down.
  public var droppedWorkCount: Int {
    inbox.withLock { $0.droppedCount }
  }

  private func enqueue(_ work: Work) {
    if isOnLoop {
      local.append(work)
      return
    }
    inbox.withLock { inbox in
      guard !inbox.isFinished else {
        if case .stop = work { return }
        inbox.droppedCount += 1
        return
      }
      inbox.work.append(work)
      guard !inbox.isSignalled else { return }
      inbox.isSignalled = true
      // Under the lock, since the inbox is finished under it before the handle is closed. libuv before 1.53 may miss a
      // wake-up whose flag test is reordered before the queue's append, hence the fence.
      atomicMemoryFence(ordering: .sequentiallyConsistent)
      uv_async_send(wakeUpHandle)
    }
  }

  /// The wake-up: runs all that other threads have handed over.
  private func takeInbox() {
    inbox.withLock { inbox in
      inbox.isSignalled = false
      swap(&inbox.work, &inboxBatch)
    }
    for work in inboxBatch { run(work) }
    inboxBatch.removeAll(keepingCapacity: true)
    afterCallback()
  }

  /// Ends every libuv callback: runs the work that the callback left behind, and lets a stopping loop go when all is done.
  func afterCallback() {
    if !local.isEmpty { drainLocal() }
    if isStopping && holdCount == 0 { uv_stop(raw) }
  }

  private func drainLocal() {
    var count = 0
    while !local.isEmpty {
      if count >= Self.localWorkPerDrain {
        // Tasks that keep yielding to each other must not starve the sockets: look at those first, then go on.
        uv_async_send(wakeUpHandle)
        return
      }
      swap(&local, &localBatch)
      count += localBatch.count
      for work in localBatch { run(work) }
      localBatch.removeAll(keepingCapacity: true)
    }
  }

  private func run(_ work: Work) {
    switch work {
    case .serialJob(let job): job.runSynchronously(on: asUnownedSerialExecutor())
    case .taskJob(let job): job.runSynchronously(on: asUnownedTaskExecutor())
    case .closure(let closure): closure()
    case .stop: beginStopping()
    }
  }
}

// MARK: - Executor

extension EventLoop {
  /// Runs a job of an actor whose executor is this loop. May be called from any thread.
  public func enqueue(_ job: consuming ExecutorJob) {
    enqueue(.serialJob(UnownedJob(job)))
  }

  /// Runs a job of a task that prefers this loop. May be called from any thread.
  // Underscored attribute: the two executor protocols ask for a method of the same name, and a job must run under the executor
  // that it was given to, or the runtime hops once more at the job's first call.
  @_implements(TaskExecutor,enqueue(_:))
  public func enqueuePreferring(_ job: consuming ExecutorJob) {
    enqueue(.taskJob(UnownedJob(job)))
  }

  public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
    UnownedSerialExecutor(ordinary: self)
  }

  public func asUnownedTaskExecutor() -> UnownedTaskExecutor {
    UnownedTaskExecutor(ordinary: self)
  }

  /// Stops the process when not on the loop; what `assumeIsolated` of the loop's actors asks.
  public func checkIsolated() {
    precondition(isOnLoop, "this belongs to another thread's event loop")
  }

  /// Whether the caller runs on the loop; the runtime's question before it would stop the process.
  public func isIsolatingCurrentContext() -> Bool? { isOnLoop }

  /// True on the thread inside ``run()``. Costs about two nanoseconds.
  public var isOnLoop: Bool {
    runningThread.load(ordering: .relaxed) == Self.currentThread
  }

  /// Stops the process with a sentence when called on a thread other than the loop's.
  ///
  /// A loop that does not run yet accepts any thread, since it is being set up.
  public func preconditionOnLoop() {
    let thread = runningThread.load(ordering: .relaxed)
    precondition(
      thread == Self.currentThread || (thread == 0 && !isFinished),
      "this belongs to another thread's event loop, or to one that has ended")
  }

  private static var currentThread: UInt { pthread_self() }
}

// MARK: - Clocks

extension EventLoop {
  /// Milliseconds of the monotonic clock, read once per turn of the loop; the clock of its timers.
  public var nowMilliseconds: UInt64 { uv_now(raw) }

  /// Seconds since 1970, at most one turn of the loop late; the system is asked once a second.
  public var wallSeconds: Int64 {
    let now = nowMilliseconds
    if now >= wallSecondEndsMilliseconds {
      var time = timespec()
      clock_gettime(CLOCK_REALTIME, &time)
      cachedWallSeconds = Int64(time.tv_sec)
      wallSecondEndsMilliseconds = now + 1000 - UInt64(time.tv_nsec) / 1_000_000
    }
    return cachedWallSeconds
  }
}

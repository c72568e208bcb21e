internal import CLibUV

/// A one-shot or repeating timer of an event loop; made with ``EventLoop/schedule(afterMilliseconds:repeatMilliseconds:_:)``.
///
/// A timer lives until it has fired for the last time or was cancelled; nobody needs to keep it. Belongs to its loop's thread.
public final class Timer {
  private let loop: EventLoop
  private let raw: UnsafeMutablePointer<uv_timer_t>
  /// Let go of when the timer ends, because it often refers to the timer's owner.
  private var body: (() -> Void)?
  private let repeatMilliseconds: UInt64
  private let isKeptAfterFiring: Bool

  /// - Parameter isKeptAfterFiring: stays open after a single shot, to be started again with ``start(afterMilliseconds:)``.
  init(loop: EventLoop, repeatMilliseconds: UInt64, isKeptAfterFiring: Bool, body: @escaping () -> Void) {
    loop.preconditionOnLoop()
    self.loop = loop
    self.body = body
    self.repeatMilliseconds = repeatMilliseconds
    self.isKeptAfterFiring = isKeptAfterFiring || repeatMilliseconds > 0
    raw = .allocate(capacity: 1)
    uv_timer_init(loop.raw, raw)
    // Balanced in the close callback, after which libuv no longer knows the handle.
    raw.pointee.data = Unmanaged.passRetained(self).toOpaque()
  }

  deinit {
    raw.deallocate()
  }

  /// False once the timer has ended: after its single shot, or when cancelled.
  public var isScheduled: Bool { body != nil }

  /// Ends the timer; its closure is released and will not run again. Harmless when repeated, and inside the closure.
  public func cancel() {
    guard body != nil else { return }
    loop.preconditionOnLoop()
    close()
  }

  /// Starts a timer of ``EventLoop/restingTimer(_:)``, or starts its time anew. Call on the loop.
  ///
  /// - Parameter afterMilliseconds: counted from the turn's clock; 0 means at the next turn, without a wait.
  public func start(afterMilliseconds: UInt64) {
    guard body != nil else { return }
    // The clock of a loop that is still being set up stands at the loop's making.
    if !loop.isOnLoop { uv_update_time(loop.raw) }
    uv_timer_start(raw, { Timer.fired($0) }, afterMilliseconds, repeatMilliseconds)
  }

  /// Stops the time without ending the timer. Call on the loop.
  public func rest() {
    guard body != nil else { return }
    uv_timer_stop(raw)
  }

  private func close() {
    guard body != nil else { return }
    body = nil
    raw.withMemoryRebound(to: uv_handle_t.self, capacity: 1) { handle in
      uv_close(handle) { handle in
        guard let data = handle?.pointee.data else { return }
        let timer = Unmanaged<Timer>.fromOpaque(data).takeRetainedValue()
        timer.loop.afterCallback()
      }
    }
  }

  private static func fired(_ handle: UnsafeMutablePointer<uv_timer_t>?) {
    guard let data = handle?.pointee.data else { return }
    Unmanaged<Timer>.fromOpaque(data)._withUnsafeGuaranteedRef { timer in
      guard let body = timer.body else { return }
      if !timer.isKeptAfterFiring { timer.close() }
      body()
      timer.loop.afterCallback()
    }
  }

  /// The loop ends: closes the timer behind a handle whose owner has not cancelled it.
  static func closeAbandoned(_ handle: UnsafeMutablePointer<uv_handle_t>) {
    guard let data = handle.pointee.data else { return }
    Unmanaged<Timer>.fromOpaque(data)._withUnsafeGuaranteedRef { $0.close() }
  }
}

extension EventLoop {
  /// Runs `body` on the loop after a time, once or again and again.
  ///
  /// Call on the loop. Timers of the same moment fire in the order in which they were made.
  /// - Parameters:
  ///   - afterMilliseconds: counted from the turn's clock, ``nowMilliseconds``; 0 means at the next turn.
  ///   - repeatMilliseconds: the period after the first shot; 0 means once.
  ///   - body: kept until the timer ends.
  @discardableResult
  public func schedule(
    afterMilliseconds: UInt64, repeatMilliseconds: UInt64 = 0, _ body: @escaping () -> Void
  ) -> Timer {
    let timer = Timer(
      loop: self, repeatMilliseconds: repeatMilliseconds, isKeptAfterFiring: false, body: body)
    timer.start(afterMilliseconds: afterMilliseconds)
    return timer
  }

  /// A timer that rests until it is started, and again after each shot; it lives until it is cancelled. Call on the loop.
  public func restingTimer(_ body: @escaping () -> Void) -> Timer {
    Timer(loop: self, repeatMilliseconds: 0, isKeptAfterFiring: true, body: body)
  }
}

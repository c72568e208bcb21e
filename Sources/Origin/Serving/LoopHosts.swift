// Puts an `OriginLoop` on every loop thread and opens the listeners there.

import Glibc
import Loop
import Synchronization

/// The loop threads' inhabitants, as the rest of the server speaks to them.
final class LoopHosts: Sendable {
  /// What lives on one loop.
  // Only ever touched on that loop's thread; the box itself is what crosses.
  private final class Host: @unchecked Sendable {
    let loop: EventLoop
    var origin: OriginLoop?
    var listeners: [Listener] = []
    /// Stays open while draining: who watches the server wants to see that it does.
    var adminListener: Listener?
    var signals: [SignalSource] = []
    var timer: Loop.Timer?
    init(_ loop: EventLoop) { self.loop = loop }
  }

  private let hosts: [Host]
  private let state: ServerState

  init(threads: LoopThreads, state: ServerState, snapshot: Snapshot) throws {
    self.state = state
    hosts = threads.loops.map { Host($0) }
    for (number, host) in hosts.enumerated() {
      try Self.onLoop(host.loop) {
        host.origin = try OriginLoop(
          loop: host.loop, server: state, snapshot: snapshot, counters: state.counters[number])
      }
    }
  }

  /// Opens every address on every loop, and the admin address on the first. Returns a line for each.
  func listen(_ server: ServerConfiguration) throws -> [String] {
    var lines: [String] = []
    for wanted in server.listen {
      var address = try SocketAddress(wanted.description)
      for host in hosts {
        let asked = address
        address = try Self.onLoop(host.loop) {
          let listener = try Listener(
            loop: host.loop, address: asked, reusePort: true,
            onRefuse: { _ in host.origin?.counters.refusedConnections.add(1) }
          ) { socket in
            guard let origin = host.origin else { return socket.close() }
            origin.accept(socket, router: origin)
          }
          host.listeners.append(listener)
          // With port 0 the first loop's port is what the others join.
          return listener.boundAddress
        }
      }
      lines.append("listening http://\(address)")
    }
    if let wanted = server.admin, let first = hosts.first {
      let asked = try SocketAddress(wanted.description)
      let state = state
      let bound = try Self.onLoop(first.loop) {
        let listener = try Listener(loop: first.loop, address: asked, reusePort: false) { socket in
          guard let origin = first.origin else { return socket.close() }
          origin.accept(socket, router: AdminRouter(state, origin))
        }
        first.adminListener = listener
        return listener.boundAddress
      }
      lines.append("admin http://\(bound)")
    }
    return lines
  }

  func onSignals(
    reload: @escaping @Sendable () -> Void, terminate: @escaping @Sendable () -> Void,
    everyMinute: @escaping @Sendable () -> Void
  ) throws {
    guard let first = hosts.first else { return }
    try Self.onLoop(first.loop) {
      first.signals = [
        try SignalSource(loop: first.loop, signal: SIGHUP, handler: reload),
        try SignalSource(loop: first.loop, signal: SIGTERM, handler: terminate),
        try SignalSource(loop: first.loop, signal: SIGINT, handler: terminate),
      ]
      first.timer = first.loop.schedule(
        afterMilliseconds: 60_000, repeatMilliseconds: 60_000, { everyMinute() })
    }
  }

  /// Changes every loop over to a new configuration; returns when all have.
  func apply(_ snapshot: Snapshot) async {
    for host in hosts {
      await withCheckedContinuation { continuation in
        host.loop.execute {
          host.origin?.apply(snapshot)
          continuation.resume()
        }
      }
    }
  }

  /// Stops accepting and lets every connection finish what it does.
  func drain(timeoutMilliseconds: UInt64, timedOut: @escaping @Sendable () -> Void) {
    for host in hosts {
      host.loop.execute {
        for listener in host.listeners { listener.close() }
        host.listeners = []
        host.origin?.drain()
      }
    }
    hosts.first?.loop.execute { [hosts] in
      hosts.first?.loop.schedule(afterMilliseconds: timeoutMilliseconds) { timedOut() }
    }
  }

  /// Ends what is left of every loop, so that `stopAndJoin` finds nothing open.
  func closeAll() {
    for host in hosts {
      let done = Semaphore()
      host.loop.execute {
        host.origin?.closeAll()
        for listener in host.listeners { listener.close() }
        host.listeners = []
        host.adminListener?.close()
        host.adminListener = nil
        for signal in host.signals { signal.cancel() }
        host.signals = []
        host.timer?.cancel()
        host.timer = nil
        host.origin = nil
        done.signal()
      }
      done.wait()
    }
  }

  /// Runs `body` on a loop's thread and waits for it. Never call it from a loop.
  private static func onLoop<T: Sendable>(
    _ loop: EventLoop, _ body: @escaping @Sendable () throws -> T
  ) throws -> T {
    let done = Semaphore()
    let box = ResultBox<T>()
    loop.execute {
      box.result.withLock { $0 = Result { try body() } }
      done.signal()
    }
    done.wait()
    guard let result = box.result.withLock({ $0 }) else { preconditionFailure("a loop dropped its work") }
    return try result.get()
  }

  private final class ResultBox<T: Sendable>: Sendable {
    let result = Mutex<Result<T, any Error>?>(nil)
  }
}

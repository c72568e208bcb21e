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
    var listeners: [(place: Place, listener: Listener)] = []
    var signals: [SignalSource] = []
    var timer: Loop.Timer?
    init(_ loop: EventLoop) { self.loop = loop }
  }

  /// Which address of the configuration a listener is for.
  private struct Place: Hashable, Sendable {
    let role: InheritedListeners.Role
    /// Among the addresses of its role, some of which may be equal.
    let number: Int
    let address: ListenAddress
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

  /// Opens every address on every loop, and the admin address on the first, or adopts what was inherited for it. Returns a
  /// line for each.
  func listen(_ server: ServerConfiguration, _ inherited: inout InheritedListeners) throws -> [String] {
    var lines: [String] = []
    for (number, wanted) in server.listen.enumerated() {
      let place = Place(role: .listen, number: number, address: wanted)
      let given = inherited.take(.listen, wanted)
      // With port 0 the first socket's port is what the others join.
      var address =
        try given.first.flatMap { Listener.address(listenedOnBy: $0) } ?? SocketAddress(wanted.description)
      for (index, host) in hosts.enumerated() {
        // The process before may have had more loops than this one, or fewer.
        var own = stride(from: index, to: given.count, by: hosts.count).map { given[$0] }
        if own.isEmpty, let first = given.first, !Listener.sharesPort(first) {
          own = [fcntl(first, F_DUPFD_CLOEXEC, 0)]
        }
        address = try open(place, on: host, adopting: own, or: address, reusePort: true)
      }
      lines.append("listening \(wanted.isTLS ? "https" : "http")://\(address)")
    }
    if let wanted = server.admin, let first = hosts.first {
      let bound = try open(
        Place(role: .admin, number: 0, address: wanted), on: first,
        adopting: inherited.take(.admin, wanted), or: SocketAddress(wanted.description), reusePort: false)
      lines.append("admin http://\(bound)")
    }
    try inherited.finish()
    return lines
  }

  private func open(
    _ place: Place, on host: Host, adopting descriptors: [Int32], or address: SocketAddress, reusePort: Bool
  ) throws -> SocketAddress {
    let state = state
    return try Self.onLoop(host.loop) {
      let refuse: (Int32) -> Void = { _ in host.origin?.note(.descriptors, of: nil) }
      let accept: (Socket) -> Void = { socket in
        guard let origin = host.origin else { return socket.close() }
        switch place.role {
        case .listen:
          origin.accept(
            socket, router: origin, isTLS: place.address.isTLS, isProxied: place.address.isProxied)
        case .admin: origin.accept(socket, router: AdminRouter(state, origin))
        }
      }
      // Who watches the server gets in as long as there is any descriptor; clients leave some.
      let reserve = place.role == .admin ? 0 : 64
      var listeners = try descriptors.map {
        try Listener(
          loop: host.loop, adopting: $0, descriptorReserve: reserve, onRefuse: refuse, onAccept: accept)
      }
      if listeners.isEmpty {
        listeners = [
          try Listener(
            loop: host.loop, address: address, reusePort: reusePort, descriptorReserve: reserve,
            onRefuse: refuse, onAccept: accept)
        ]
      }
      for listener in listeners { host.listeners.append((place, listener)) }
      return listeners[0].boundAddress
    }
  }

  /// Further descriptors of all listening sockets, for the process that takes over; the caller closes them. Never call it
  /// from a loop.
  func duplicateListeners() throws -> [InheritedListeners.Group] {
    var descriptors: [Place: [Int32]] = [:]
    for host in hosts {
      let found = try Self.onLoop(host.loop) {
        host.listeners.map { ($0.place, $0.listener.duplicateDescriptor()) }
      }
      for (place, descriptor) in found { descriptors[place, default: []].append(descriptor) }
    }
    return descriptors.sorted { $0.key.number < $1.key.number }.map { place, descriptors in
      InheritedListeners.Group(
        role: place.role, address: place.address.description, descriptors: descriptors)
    }
  }

  func onSignals(
    reload: @escaping @Sendable () -> Void, restart: @escaping @Sendable () -> Void,
    terminate: @escaping @Sendable () -> Void, interrupt: @escaping @Sendable () -> Void,
    everyMinute: @escaping @Sendable () -> Void
  ) throws {
    guard let first = hosts.first else { return }
    try Self.onLoop(first.loop) {
      first.signals = [
        try SignalSource(loop: first.loop, signal: SIGHUP, handler: reload),
        try SignalSource(loop: first.loop, signal: SIGUSR2, handler: restart),
        try SignalSource(loop: first.loop, signal: SIGTERM, handler: terminate),
        try SignalSource(loop: first.loop, signal: SIGINT, handler: interrupt),
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
  ///
  /// - Parameters:
  ///   - keepsAdmin: the admin pages stay while draining, since who watches the server wants to see that it does; not so
  ///     when another process answers there.
  ///   - graceMilliseconds: how long an idle connection may wait for its last request.
  func drain(
    keepsAdmin: Bool, graceMilliseconds: UInt64, timeoutMilliseconds: UInt64,
    timedOut: @escaping @Sendable () -> Void
  ) {
    for host in hosts {
      host.loop.execute {
        let closing = host.listeners.filter { !keepsAdmin || $0.place.role == .listen }
        for (_, listener) in closing { listener.close() }
        host.listeners.removeAll { !$0.listener.isOpen }
        host.origin?.drain(graceMilliseconds: graceMilliseconds)
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
        for (_, listener) in host.listeners { listener.close() }
        host.listeners = []
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

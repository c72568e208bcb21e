// Accepting, and what happens without descriptors.
//
// libuv accepts until the kernel has no more. A descriptor is always the lowest free number, so an accepted one at or above
// (limit − reserve) means that the process is about to run out: that connection is closed at once and counted, and the reserve
// stays free for the files that serve the connections we have. Should the numbers run out all the same (ENFILE, or the reserve
// used up by files), libuv gives up one descriptor that it keeps for this, accepts and closes all that wait, and takes it back:
// no turn is spent on an accept that can only fail again.
//
// A listening socket outlives its descriptor for as long as another one refers to it, in this process or in the next: closing a
// listener whose duplicate is held elsewhere loses no connection that waits in the queue.

internal import CLibUV
internal import Glibc

/// Listens on an address and hands each accepted connection to its owner.
///
/// With `reusePort` several loops listen on one address and the kernel spreads connections over them. Lives until ``close()``;
/// nobody needs to keep it. Belongs to its loop's thread.
public final class Listener {
  public let loop: EventLoop
  /// The address in use, with the port that the system chose when 0 was asked for.
  public let boundAddress: SocketAddress
  private let raw: UnsafeMutablePointer<uv_tcp_t>
  private let descriptor: Int32
  private let descriptorCeiling: Int32
  private var onAccept: ((Socket) -> Void)?
  private var onRefuse: ((Int32) -> Void)?
  private var isPaused = false
  private var hasWaitingConnection = false

  /// Connections handed to `onAccept` so far.
  public private(set) var acceptedCount: UInt64 = 0
  /// Connections closed at once because descriptors were short. Those that libuv turns away when the very last descriptor is
  /// gone are not seen and not counted.
  public private(set) var refusedCount: UInt64 = 0

  /// Binds and listens; connections are accepted as soon as the loop runs. Call on the loop.
  ///
  /// - Parameters:
  ///   - address: IPv6 addresses accept IPv6 alone unless `dualStack` is set.
  ///   - reusePort: lets other listeners of this user share the address (SO_REUSEPORT).
  ///   - dualStack: `[::]` also accepts IPv4.
  ///   - backlog: connections that the kernel completes ahead of us; it caps the number at net.core.somaxconn.
  ///   - descriptorReserve: descriptors kept free for files, at most half the limit; connections that would use them are
  ///     closed at once.
  ///   - descriptorLimit: how many descriptors there may be; nil takes the process's own limit as it is now, RLIMIT_NOFILE.
  ///   - onAccept: owns the socket from then on; nothing is read until ``Socket/startReading(_:)``.
  ///   - onRefuse: told the errno value (EMFILE or ENFILE) whenever a connection was closed at once, or accept failed.
  /// - Throws: ``LoopError`` with the address as context: address in use, unavailable, permission denied, or system.
  public convenience init(
    loop: EventLoop, address: SocketAddress, reusePort: Bool = true, dualStack: Bool = false,
    backlog: Int32 = 4096,
    descriptorReserve: Int = 64, descriptorLimit: Int? = nil, onRefuse: ((Int32) -> Void)? = nil,
    onAccept: @escaping (Socket) -> Void
  ) throws(LoopError) {
    loop.preconditionOnLoop()
    let descriptor = try Self.bind(address, reusePort: reusePort, dualStack: dualStack)
    try self.init(
      loop: loop, adopting: descriptor, backlog: backlog, descriptorReserve: descriptorReserve,
      descriptorLimit: descriptorLimit, onRefuse: onRefuse, onAccept: onAccept)
  }

  /// Listens on a socket that is bound already, and perhaps listening: one that another process has handed over. Call on the
  /// loop.
  ///
  /// - Parameters:
  ///   - descriptor: a TCP socket; the listener's own from now on, also when this throws. For the others see
  ///     ``init(loop:address:reusePort:dualStack:backlog:descriptorReserve:descriptorLimit:onRefuse:onAccept:)``.
  /// - Throws: ``LoopError`` with the address as context.
  public init(
    loop: EventLoop, adopting descriptor: Int32, backlog: Int32 = 4096, descriptorReserve: Int = 64,
    descriptorLimit: Int? = nil, onRefuse: ((Int32) -> Void)? = nil, onAccept: @escaping (Socket) -> Void
  ) throws(LoopError) {
    loop.preconditionOnLoop()
    ignoreSIGPIPE()
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    // Whoever made the socket may not have thought of it; accepted connections inherit it.
    _ = Self.set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    let bound = SocketAddress(descriptor: descriptor, getsockname)
    let address = bound?.description ?? "descriptor \(descriptor)"
    let raw = UnsafeMutablePointer<uv_tcp_t>.allocate(capacity: 1)
    var status = uv_tcp_init(loop.raw, raw)
    guard status == 0 else {
      raw.deallocate()
      Glibc.close(descriptor)
      throw LoopError(errno: -status, operation: "listen", context: address)
    }
    let limit = descriptorLimit ?? DescriptorLimit.current
    self.loop = loop
    self.raw = raw
    descriptorCeiling = Int32(clamping: limit - min(descriptorReserve, limit / 2))
    boundAddress = bound ?? .loopback(port: 0)
    self.descriptor = descriptor
    self.onAccept = onAccept
    self.onRefuse = onRefuse
    // Balanced in the close callback, after which libuv no longer knows the handle.
    raw.pointee.data = Unmanaged.passRetained(self).toOpaque()
    loop.beginWork()
    status = uv_tcp_open(raw, descriptor)
    if status != 0 {
      Glibc.close(descriptor)
    } else {
      status = uv_listen(raw.asStream, backlog) { stream, status in
        guard let data = stream?.pointee.data else { return }
        Unmanaged<Listener>.fromOpaque(data)._withUnsafeGuaranteedRef { listener in
          listener.connectionWaits(status)
          listener.loop.afterCallback()
        }
      }
    }
    guard status == 0 else {
      close()
      throw LoopError(errno: -status, operation: "listen", context: address)
    }
  }

  deinit {
    raw.deallocate()
  }

  /// False once ``close()`` was called.
  public var isOpen: Bool { onAccept != nil }

  /// Hands over no more connections until ``resume()``; the kernel queues them up to the backlog. Harmless when repeated.
  ///
  /// libuv still takes one connection from the queue, which waits with it.
  public func pause() {
    loop.preconditionOnLoop()
    isPaused = true
  }

  /// Accepts again, first the connection that waited longest. Harmless when repeated.
  public func resume() {
    loop.preconditionOnLoop()
    guard isPaused else { return }
    isPaused = false
    if hasWaitingConnection {
      // Later, so that a caller's own state is settled before onAccept.
      loop.later { [self] in acceptWaiting() }
    }
  }

  /// Stops listening; connections that were not handed over are reset by the kernel. Harmless when repeated.
  public func close() {
    guard isOpen else { return }
    loop.preconditionOnLoop()
    onAccept = nil
    onRefuse = nil
    uv_close(raw.asHandle) { handle in
      guard let data = handle?.pointee.data else { return }
      let listener = Unmanaged<Listener>.fromOpaque(data).takeRetainedValue()
      listener.loop.endWork()
      listener.loop.afterCallback()
    }
  }

  private func connectionWaits(_ status: Int32) {
    guard status == 0 else {
      refuse(-status)
      return
    }
    hasWaitingConnection = true
    // Not taking it makes libuv stop polling the listener, until it is taken.
    if !isPaused { acceptWaiting() }
  }

  private func acceptWaiting() {
    guard hasWaitingConnection, !isPaused, let onAccept else { return }
    hasWaitingConnection = false
    guard let socket = Socket(loop: loop, acceptedBy: raw) else { return }
    if socket.descriptor >= descriptorCeiling {
      socket.close()
      refuse(EMFILE)
    } else {
      acceptedCount += 1
      onAccept(socket)
    }
  }

  private func refuse(_ error: Int32) {
    refusedCount += 1
    if let onRefuse { onRefuse(error) }
  }
}

// MARK: - The listening descriptor

extension Listener {
  /// Another descriptor of the same listening socket, closed at the start of another program unless it is handed to that; the
  /// caller closes it. -1 when the listener is closed or no descriptor is left.
  public func duplicateDescriptor() -> Int32 {
    loop.preconditionOnLoop()
    return isOpen ? fcntl(descriptor, F_DUPFD_CLOEXEC, 0) : -1
  }

  /// The address that a descriptor listens on; nil when it is no listening TCP socket.
  public static func address(listenedOnBy descriptor: Int32) -> SocketAddress? {
    guard option(descriptor, SO_ACCEPTCONN) == 1, option(descriptor, SO_TYPE) == Int32(SOCK_STREAM.rawValue)
    else { return nil }
    return SocketAddress(descriptor: descriptor, getsockname)
  }

  /// Whether other sockets may be bound to a socket's address (SO_REUSEPORT).
  public static func sharesPort(_ descriptor: Int32) -> Bool { option(descriptor, SO_REUSEPORT) == 1 }

  private static func option(_ descriptor: Int32, _ name: Int32) -> Int32? {
    var value: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 ? value : nil
  }

  /// A bound, non-blocking TCP descriptor. TCP_NODELAY is set here because accepted connections inherit it.
  private static func bind(_ address: SocketAddress, reusePort: Bool, dualStack: Bool) throws(LoopError)
    -> Int32
  {
    let family = address.isIPv6 ? AF_INET6 : AF_INET
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(family, type, 0)
    guard descriptor >= 0 else {
      throw LoopError(errno: errno, operation: "listen", context: address.description)
    }
    var isBound =
      set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
      && set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    if reusePort { isBound = isBound && set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
    if address.isIPv6 {
      isBound = isBound && set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, dualStack ? 0 : 1)
    }
    isBound = isBound && address.withSocketAddress { Glibc.bind(descriptor, $0, $1) } == 0
    guard isBound else {
      let error = errno
      Glibc.close(descriptor)
      throw LoopError(errno: error, operation: "listen", context: address.description)
    }
    return descriptor
  }

  private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) -> Bool {
    var value = value
    return setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
  }
}

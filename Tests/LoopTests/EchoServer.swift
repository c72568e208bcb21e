import Testing

@testable import Loop

/// A listener whose connections send back what they get, by direct output and, when the socket is full, by queued writes.
final class EchoServer: Sendable {
  let address: SocketAddress
  /// One entry per closed connection.
  let closed = Mailbox<Void>()
  /// One entry per write that had to wait.
  let blocked = Mailbox<Void>()
  private let bound: LoopBound<Listener>

  init(
    _ loop: EventLoop, address: SocketAddress = .loopback(port: 0), reusePort: Bool = true,
    dualStack: Bool = false,
    descriptorReserve: Int = 0, descriptorLimit: Int? = nil, onAccept: (@Sendable (Socket) -> Void)? = nil,
    onRefuse: (@Sendable (Int32) -> Void)? = nil
  ) throws {
    let closed = self.closed
    let blocked = self.blocked
    bound = try loop.sync {
      let listener = try Listener(
        loop: loop, address: address, reusePort: reusePort, dualStack: dualStack,
        descriptorReserve: descriptorReserve,
        descriptorLimit: descriptorLimit, onRefuse: onRefuse
      ) { socket in
        onAccept?(socket)
        socket.startReading(EchoConnection(closed: closed, blocked: blocked))
      }
      return LoopBound(listener, loop: loop)
    }
    self.address = try loop.sync { [bound] in bound.value.boundAddress }
  }

  /// Reads or changes the listener on its loop.
  func listener<Result: Sendable>(_ body: @escaping @Sendable (Listener) -> Result) throws -> Result {
    try bound.loop.sync { [bound] in body(bound.value) }
  }

  func close() throws {
    try listener { $0.close() }
  }
}

private final class EchoConnection: SocketDelegate {
  private let closed: Mailbox<Void>
  private let blocked: Mailbox<Void>
  private var pending: [UInt8] = []
  private var hasEnded = false

  init(closed: Mailbox<Void>, blocked: Mailbox<Void>) {
    self.closed = closed
    self.blocked = blocked
  }

  func socket(_ socket: Socket, didRead bytes: UnsafeRawBufferPointer) {
    pending.append(contentsOf: bytes)
    flush(socket)
  }

  func socketDidReachEnd(_ socket: Socket) {
    hasEnded = true
    flush(socket)
  }

  func socket(_ socket: Socket, didFail errno: Int32) {
    socket.close()
  }

  func socketDidClose(_ socket: Socket) {
    closed.put(())
  }

  private func flush(_ socket: Socket) {
    while !pending.isEmpty {
      switch pending.withUnsafeBytes({ socket.send($0) }) {
      case .sent(let count):
        pending.removeFirst(count)
      case .wouldBlock:
        socket.stopReading()
        socket.whenWritable { self.flush(socket) }
        blocked.put(())
        return
      case .failed:
        socket.close()
        return
      }
    }
    guard !socket.hasBacklog else {
      socket.stopReading()
      socket.whenWritable { self.flush(socket) }
      blocked.put(())
      return
    }
    if hasEnded { socket.close() } else { socket.resumeReading() }
  }
}

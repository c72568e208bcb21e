// A connection from a proxy that has not said yet who the client is.
//
// On an address with `proxy` every connection begins with a header of the PROXY protocol (HTTP/ProxyHeader.swift), and only
// proxies of `trusted_proxies` may connect. The prelude owns the socket until the header is there, then hands it on with the
// client's address and the bytes that came behind. What follows, TLS or HTTP, does not know that there was a proxy.

import HTTP
import Loop

/// Reads the PROXY header of one connection. Belongs to its loop's thread.
final class ProxyPrelude: ClientConnection {
  let router: any Router
  /// Whether TLS follows.
  let isTLS: Bool
  private let socket: Socket
  private let owner: OriginLoop
  /// The beginning of a header that came in parts.
  private var received: [UInt8] = []
  private let deadline = ConnectionDeadlines.Node()
  /// The socket is another connection's, or closed.
  private var isOver = false

  init(socket: Socket, on owner: OriginLoop, router: any Router, isTLS: Bool) {
    self.socket = socket
    self.owner = owner
    self.router = router
    self.isTLS = isTLS
    deadline.connection = self
  }

  func open() {
    owner.deadlines.arm(deadline, .header)
    socket.startReading(self)
    let trusted = owner.snapshot.configuration.server.trustedProxies
    guard let peer = socket.remoteAddress, trusted.contains(peer.network) else { return refuse() }
  }

  func socket(_ socket: Socket, didRead bytes: UnsafeRawBufferPointer) {
    guard !isOver else { return }
    guard received.isEmpty else {
      received.append(contentsOf: bytes)
      let all = received
      return all.withUnsafeBytes { read($0) }
    }
    read(bytes)
  }

  private func read(_ bytes: UnsafeRawBufferPointer) {
    switch ProxyHeader.parse(bytes) {
    case .incomplete:
      if received.isEmpty { received = Array(bytes) }
    case .malformed:
      refuse()
    case .complete(let count, let source):
      end()
      let client = source.map {
        SocketAddress(address: $0.address.bits, isIPv6: $0.address.isIPv6, port: $0.port)
      }
      owner.introduce(self, socket, client: client, UnsafeRawBufferPointer(rebasing: bytes[count...]))
    }
  }

  /// Without an answer: nobody is there yet who speaks HTTP.
  private func refuse() {
    owner.counters.malformedProxyHeaders.add(1)
    abort()
  }

  private func end() {
    isOver = true
    received = []
    owner.deadlines.cancel(deadline)
    // The two refer to each other.
    deadline.connection = nil
  }

  // MARK: As the loop knows it

  /// The client behind it may be about to send a request.
  func drain() {}

  func abort() { socket.close() }

  func deadlineExpired(_ kind: ConnectionDeadlines.Kind) {
    owner.counters.timeouts.add(1)
    abort()
  }

  func socketDidReachEnd(_ socket: Socket) { abort() }

  func socket(_ socket: Socket, didFail errno: Int32) { abort() }

  func socketDidClose(_ socket: Socket) {
    end()
    owner.connectionClosed(self)
  }
}

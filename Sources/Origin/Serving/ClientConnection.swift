import Loop

/// An open connection as its loop knows it, whatever it speaks.
protocol ClientConnection: SocketDelegate {
  var router: any Router { get }
  /// Answers nothing new: ends at once when idle, else after what it is at.
  func drain()
  /// Ends at once, whatever it is at.
  func abort()
  func deadlineExpired(_ kind: ConnectionDeadlines.Kind)
}

/// A connection on which requests are answered.
protocol AnsweringConnection: ClientConnection {
  var socket: Socket { get }
  var owner: OriginLoop { get }
  /// The other end of the connection, or of the proxy's that stands before it.
  var peerAddress: SocketAddress? { get }
}

extension AnsweringConnection {
  /// Who sent the request whose head is parsed; nil when the client had vanished before it was asked for.
  var clientAddress: SocketAddress? { owner.clientAddress(ofPeer: peerAddress) }

  /// The answer to the request whose head is parsed, or why there is none.
  ///
  /// - Parameter isFirst: whether this request is asked about for the first time, and counts against its client's limits.
  func answer(isFirst: Bool, mayWait: Bool) -> Answer {
    if isFirst, router === owner, let problem = owner.refusal(ofRequestFrom: { clientAddress }) {
      return .problem(problem, nil)
    }
    if owner.snapshot.wantsClientCertificates {
      owner.clientAuthority = (socket.layer as? TLSSession)?.clientAuthority
    }
    return router.answer(owner.head, from: { clientAddress }, mayWait: mayWait)
  }
}

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

// Timeouts of connections: one queue per loop, one class of deadline at a time per connection.

import HTTP
import Loop

/// The deadlines of a loop's connections.
final class ConnectionDeadlines {
  enum Kind: UInt8 {
    /// A request head must be complete this long after its first byte, or after the connection opened.
    case header
    /// Nothing needs to happen on a kept-alive connection for this long.
    case idle
    /// A client must take something of its answer within this time.
    case send

    var timeoutClass: TimeoutClass { TimeoutClass(rawValue) }
  }

  /// A connection's place in the queue.
  final class Node: DeadlineNode {
    // Connection and node refer to each other; the connection lets go when its socket is closed.
    var connection: (any ClientConnection)?

    override func deadlineExpired(_ timeoutClass: TimeoutClass) {
      guard let kind = Kind(rawValue: timeoutClass.index) else { return }
      connection?.deadlineExpired(kind)
    }
  }

  private let queue: DeadlineQueue
  private var idleMilliseconds: UInt64

  init(loop: EventLoop, limits: ServerConfiguration.Limits) {
    idleMilliseconds = UInt64(max(0, limits.idleTimeoutMilliseconds))
    queue = DeadlineQueue(loop: loop, durationsMilliseconds: Self.durations(limits))
  }

  func apply(_ limits: ServerConfiguration.Limits) {
    idleMilliseconds = UInt64(max(0, limits.idleTimeoutMilliseconds))
    for (index, duration) in Self.durations(limits).enumerated() {
      queue.setDuration(duration, of: TimeoutClass(UInt8(index)))
    }
  }

  /// Idle connections get this long from now on; those that wait already once they are armed anew.
  func shortenIdle(toMilliseconds grace: UInt64) {
    // A duration of 0 would mean never.
    let shorter = max(1, min(grace, idleMilliseconds))
    idleMilliseconds = shorter
    queue.setDuration(shorter, of: Kind.idle.timeoutClass)
  }

  func arm(_ node: Node, _ kind: Kind) { queue.insert(node, kind.timeoutClass) }

  /// Starts a deadline that is not started anew by every further byte: a slow head gets no extension.
  func armOnce(_ node: Node, _ kind: Kind) {
    if node.isQueued, node.timeoutClass == kind.timeoutClass { return }
    arm(node, kind)
  }

  func cancel(_ node: Node) { queue.remove(node) }

  private static func durations(_ limits: ServerConfiguration.Limits) -> [UInt64] {
    [limits.headerTimeoutMilliseconds, limits.idleTimeoutMilliseconds, limits.sendTimeoutMilliseconds]
      .map { UInt64(max(0, $0)) }
  }
}

extension ServerConfiguration.Limits {
  /// The limits of the parser and of ranges.
  var http: HTTPLimits {
    HTTPLimits(
      requestLineBytes: requestLineBytes, headerBlockBytes: headerBlockBytes, fieldCount: fields,
      rangeCount: ranges, discardedBodyBytes: discardedBodyBytes, chunkExtensionBytes: chunkExtensionBytes,
      trailerBytes: trailerBytes)
  }
}

import Loop
internal import Synchronization

/// A command under way, for ``RedisClient/cancel(_:)``.
public final class RedisTicket: Sendable {
  let isCancelled = Atomic<Bool>(false)

  init() {}
}

/// A command that a caller waits for: it ends once, with an answer, an error, or when its time is over. Belongs to its loop's
/// thread.
final class RedisCall {
  let command: RedisCommand
  let ticket: RedisTicket
  private let loop: EventLoop
  private var completion: ((Result<RedisValue, RedisError>) -> Void)?
  private var timer: Timer?
  let timeoutMilliseconds: UInt64
  /// The connection it waits for or was sent on.
  var node: RedisNode?
  /// On the loop's clock, of the last time it was sent; nil while it waits for a connection.
  var sentAtMilliseconds: UInt64?
  /// How often a cluster has sent it elsewhere or asked for patience.
  var redirections = 0
  /// The next node is to be told that the slot is on its way to it (`ASKING`).
  var isAsking = false

  /// Holds the loop until the call has ended.
  init(
    _ command: RedisCommand, ticket: RedisTicket, loop: EventLoop, timeoutMilliseconds: UInt64,
    completion: @escaping (Result<RedisValue, RedisError>) -> Void
  ) {
    self.command = command
    self.ticket = ticket
    self.loop = loop
    self.timeoutMilliseconds = timeoutMilliseconds
    self.completion = completion
    loop.beginWork()
  }

  var isEnded: Bool { completion == nil }

  /// Starts the time that the caller waits at most.
  func startTime(_ expired: @escaping (RedisCall) -> Void) {
    timer = loop.schedule(afterMilliseconds: timeoutMilliseconds) { [weak self] in
      guard let self, !isEnded else { return }
      expired(self)
    }
  }

  func end(_ result: Result<RedisValue, RedisError>) {
    guard let completion = completion.take() else { return }
    timer?.cancel()
    timer = nil
    node = nil
    // Later: this may be within hiredis, or within the caller's own call.
    loop.later { [loop] in
      completion(result)
      loop.endWork()
    }
  }
}

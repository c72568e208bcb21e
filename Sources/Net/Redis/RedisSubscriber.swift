// Channels of Redis' publish and subscribe, on a connection of their own
//
// What is published while there is no connection is lost to us: that is Redis' way. So the subscriber says when it begins to
// hear (`heard(.began)`, also after each loss), and whoever keeps copies of what the messages are about throws them away then.
//
// A connection that only listens does not notice a peer that has gone. Every 10 s the subscriber subscribes to its channels once
// more, which the server confirms; without a confirmation the connection is given up. (PING would do, but on such a connection
// hiredis 0.14 takes the next message for its answer.)

public import Loop

/// Listens to channels until it is closed, connecting again after each loss.
///
/// Belongs to its loop's thread; it works until ``close()``, or until the loop ends.
public final class RedisSubscriber {
  public enum Event: Sendable, Hashable {
    /// From now on messages arrive; before, some may have been missed.
    case began
    case message(channel: String, payload: [UInt8])
    /// The connection is gone, and the next is tried for.
    case lost(RedisError)
  }

  private let loop: EventLoop
  private let finder: RedisAddressFinder
  private let configuration: RedisConfiguration
  private let channels: [String]
  private let checkMilliseconds: UInt64
  private var handler: ((Event) -> Void)?
  private var connection: RedisConnection?
  /// Counts tries, so that what an earlier one finds too late is not taken for the present one's.
  private var attempt = 0
  private var backoff = Backoff(firstMilliseconds: 50, longestMilliseconds: 5_000)
  /// Until the next try, the end of this one, or the next check.
  private var timer: Timer?
  private var confirmations = 0
  private var hasBegun = false

  /// Begins to connect. Call on the loop.
  ///
  /// - Parameters:
  ///   - channels: at least one; not patterns. Of a cluster any node will do: it passes messages on.
  ///   - checkMilliseconds: how often a silent connection is checked.
  ///   - handler: called on the loop, never from within this call.
  public init(
    loop: EventLoop, workers: WorkerPool, configuration: RedisConfiguration, channels: [String],
    checkMilliseconds: UInt64 = 10_000, _ handler: @escaping (Event) -> Void
  ) {
    precondition(!channels.isEmpty, "a subscriber needs a channel")
    loop.preconditionOnLoop()
    self.loop = loop
    self.configuration = configuration
    self.channels = channels
    self.checkMilliseconds = checkMilliseconds
    self.handler = handler
    finder = RedisAddressFinder(
      configuration.place, loop: loop, workers: workers, configuration: configuration)
    loop.onStop { [weak self] in self?.close() }
    loop.later { [weak self] in self?.open() }
  }

  deinit { close() }

  /// Ends it; the handler is not called again. Call on the loop.
  public func close() {
    handler = nil
    timer?.cancel()
    timer = nil
    attempt += 1
    connection.take()?.close(RedisError(.closed))
  }

  private func open() {
    guard handler != nil else { return }
    attempt += 1
    let attempt = attempt
    hasBegun = false
    wait(configuration.connectTimeoutMilliseconds) { [weak self] in
      guard let self else { return }
      fail(attempt, RedisError(.timedOut, server: finder.name))
    }
    finder.find { [weak self] result in
      guard let self, attempt == self.attempt else { return }
      switch result {
      case .failure(let error): fail(attempt, error)
      case .success(let address):
        connection = RedisConnection(
          loop: loop, address: address, mostReplyBytes: configuration.mostReplyBytes,
          onOpen: { [weak self] in self?.signIn(attempt) },
          onEnd: { [weak self] error in self?.fail(attempt, error) })
      }
    }
  }

  private func signIn(_ attempt: Int) {
    guard attempt == self.attempt else { return }
    guard let password = configuration.password else { return subscribe() }
    let words = [configuration.user, password].compactMap { $0 }.map { RedisArgument($0) }
    _ = connection?.send(RedisCommand("AUTH", words).wire) { [weak self] result in
      guard let self, attempt == self.attempt else { return }
      switch result {
      // Later: hiredis must have finished with this reply before the connection is a subscribed one.
      case .success: loop.later { [weak self] in if attempt == self?.attempt { self?.subscribe() } }
      case .failure(let error):
        fail(attempt, RedisError(.signInFailed, server: finder.name, detail: error.detail))
      }
    }
  }

  private func subscribe() {
    let attempt = attempt
    confirmations = 0
    let isAsked = connection?.subscribe(to: channels) { [weak self] value in
      guard let self, attempt == self.attempt else { return }
      took(value)
    }
    guard isAsked == true else { return fail(attempt, RedisError(.connectionLost, server: finder.name)) }
    wait(configuration.commandTimeoutMilliseconds) { [weak self] in
      guard let self else { return }
      fail(attempt, RedisError(.timedOut, server: finder.name, detail: "SUBSCRIBE"))
    }
  }

  private func took(_ value: RedisValue) {
    guard let parts = value.array, parts.count == 3, let kind = parts[0].text, let channel = parts[1].text
    else { return }
    if kind == "message", let payload = parts[2].bytes {
      tell(.message(channel: channel, payload: payload))
    } else if kind == "subscribe" {
      confirmations += 1
      guard confirmations == channels.count else { return }
      backoff.reset()
      if !hasBegun {
        hasBegun = true
        tell(.began)
      }
      wait(checkMilliseconds) { [weak self] in self?.subscribe() }
    }
  }

  private func fail(_ attempt: Int, _ error: RedisError) {
    guard attempt == self.attempt, handler != nil else { return }
    self.attempt += 1
    connection.take()?.close(error)
    if hasBegun { tell(.lost(error)) }
    wait(backoff.next()) { [weak self] in self?.open() }
  }

  /// The handler may close, and so must not run within hiredis.
  private func tell(_ event: Event) {
    loop.later { [weak self] in self?.handler?(event) }
  }

  private func wait(_ milliseconds: UInt64, _ body: @escaping () -> Void) {
    timer?.cancel()
    timer = loop.schedule(afterMilliseconds: milliseconds, body)
  }
}

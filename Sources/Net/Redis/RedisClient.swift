// A Redis client on one event loop
//
//     task ── call(_:) ──►  RedisClient  ── execute ──►  RedisRouter ──► RedisNode ──► RedisConnection ──► hiredis
//                ▲               │                       which server    its breaker,  one socket
//                └─ continuation ┴──── completion ◄──────                who waits
//
// Any thread may ask; all of hiredis happens on the client's loop. What is asked from one thread goes out in its order, and what
// gathers within a turn of the loop leaves in one write (pipelining). Everything is bounded: commands and bytes that are held,
// the time of each, the size of an answer, the number of connections. A command is sent once: one that was lost may have been
// executed, and only the caller knows whether it may be asked again.
//
// RESP2 only. docs/REDIS.md tells the operator's side, docs/decisions/0036 why it is made like this.

public import Loop
internal import Synchronization

/// Asks a Redis server, the primary that sentinels name, or a cluster.
///
/// ```swift
/// let client = RedisClient(loop: loop, workers: workers, configuration: try RedisConfiguration(url: "redis://cache:6379"))
/// let value = try await client.call(RedisCommand("GET", "meta:film"))
/// ```
/// It ends with ``close()`` or with its loop, and calls that are under way then fail; or when nobody refers to it any more.
public final class RedisClient: Sendable {
  public let loop: EventLoop
  public let configuration: RedisConfiguration
  public let figures = RedisFigures()
  private let engine: LoopOwned<RedisRouter>

  /// Cheap: nothing is opened before the first call. May be called from any thread.
  ///
  /// - Parameter workers: look up names; must outlive the client's calls.
  public init(loop: EventLoop, workers: WorkerPool, configuration: RedisConfiguration) {
    precondition(
      configuration.mostCommands >= 1 && configuration.mostReplyBytes >= 1
        && configuration.commandTimeoutMilliseconds >= 1
        && configuration.connectTimeoutMilliseconds >= 1, "a Redis client needs room and time for a command")
    self.loop = loop
    self.configuration = configuration
    engine = LoopOwned(loop: loop) { [figures] in
      RedisRouter(loop: loop, workers: workers, configuration: configuration, figures: figures)
    }
  }

  deinit { close() }

  /// Sends the command and waits for its answer; cancelling the task gives it up.
  ///
  /// Resumes on the caller's executor. The loop must not have ended.
  /// - Throws: ``RedisError``, within the command's time and a turn of the loop; an answer that is an error is one, too.
  public nonisolated(nonsending) func call(_ command: RedisCommand) async throws(RedisError) -> RedisValue {
    let ticket = RedisTicket()
    let result = await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        send(command, ticket) { continuation.resume(returning: $0) }
      }
    } onCancel: {
      cancel(ticket)
    }
    return try result.get()
  }

  /// Runs a script, sending its text only where the server does not know it.
  ///
  /// - Parameter keys: all that the script touches; in a cluster they share a slot.
  public nonisolated(nonsending) func run(
    _ script: RedisScript, keys: [RedisArgument], arguments: [RedisArgument] = [],
    timeoutMilliseconds: UInt64? = nil
  ) async throws(RedisError) -> RedisValue {
    do throws(RedisError) {
      return try await call(
        script.command(
          byDigest: true, keys: keys, arguments: arguments, timeoutMilliseconds: timeoutMilliseconds))
    } catch {
      guard error.serverErrorName == "NOSCRIPT" else { throw error }
    }
    return try await call(
      script.command(
        byDigest: false, keys: keys, arguments: arguments, timeoutMilliseconds: timeoutMilliseconds))
  }

  /// Sends several commands in one go; each has an answer or an error of its own, in their order.
  ///
  /// Not a transaction: other clients' commands may come between them, and in a cluster they go to several nodes.
  public nonisolated(nonsending) func pipeline(
    _ commands: [RedisCommand]
  ) async -> [Result<RedisValue, RedisError>] {
    guard !commands.isEmpty else { return [] }
    let gathered = Gathered(count: commands.count)
    let tickets = commands.map { _ in RedisTicket() }
    return await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        for (index, command) in commands.enumerated() {
          send(command, tickets[index]) { result in
            if let all = gathered.put(result, at: index) { continuation.resume(returning: all) }
          }
        }
      }
    } onCancel: {
      for ticket in tickets { cancel(ticket) }
    }
  }

  /// The same as ``call(_:)`` for callers without a task. May be called from any thread.
  ///
  /// - Parameter completion: called once, on the client's loop.
  /// - Returns: what ``cancel(_:)`` takes.
  @discardableResult
  public func send(
    _ command: RedisCommand, then completion: @escaping @Sendable (Result<RedisValue, RedisError>) -> Void
  ) -> RedisTicket {
    let ticket = RedisTicket()
    send(command, ticket, completion)
    return ticket
  }

  /// Ends a call with ``RedisError/Code/cancelled``, unless it has ended; one that was sent may be executed all the same. May
  /// be called from any thread.
  public func cancel(_ ticket: RedisTicket) {
    guard !ticket.isCancelled.exchange(true, ordering: .relaxed) else { return }
    loop.execute { [engine] in engine.opened?.cancel(ticket) }
  }

  /// Ends all calls with ``RedisError/Code/closed`` and all connections; further calls fail. May be called from any thread,
  /// and more than once.
  public func close() {
    loop.execute { [engine] in engine.close() }
  }

  private func send(
    _ command: RedisCommand, _ ticket: RedisTicket,
    _ completion: @escaping @Sendable (Result<RedisValue, RedisError>) -> Void
  ) {
    // Counted here, so that what waits in the loop's own queue is bounded too.
    let size = command.wire.count
    let commands = figures.heldCommands.add(1, ordering: .relaxed).newValue
    let bytes = figures.heldBytes.add(size, ordering: .relaxed).newValue
    let isTaken = commands <= configuration.mostCommands && bytes <= configuration.mostCommandBytes
    loop.execute { [engine, figures, configuration, loop] in
      figures.commands.add(1, ordering: .relaxed)
      let end: (Result<RedisValue, RedisError>) -> Void = { result in
        figures.heldCommands.subtract(1, ordering: .relaxed)
        figures.heldBytes.subtract(size, ordering: .relaxed)
        if case .failure(let error) = result { figures.count(error) }
        completion(result)
      }
      if ticket.isCancelled.load(ordering: .relaxed) { return end(.failure(RedisError(.cancelled))) }
      guard isTaken else { return end(.failure(RedisError(.overloaded))) }
      if let complaint = command.complaint {
        return end(.failure(RedisError(.commandRefused, detail: complaint)))
      }
      guard let router = engine.open() else { return end(.failure(RedisError(.closed))) }
      let time = command.timeoutMilliseconds ?? configuration.commandTimeoutMilliseconds
      let (sum, overflows) = time.addingReportingOverflow(command.blockMilliseconds ?? 0)
      router.run(
        RedisCall(
          command, ticket: ticket, loop: loop, timeoutMilliseconds: overflows ? .max : sum, completion: end))
    }
  }

  /// The answers of a pipeline. They come on the one loop.
  // @unchecked: touched on the client's loop alone.
  private final class Gathered: @unchecked Sendable {
    private var results: [Result<RedisValue, RedisError>]
    private var missing: Int

    init(count: Int) {
      results = Array(repeating: .success(.null), count: count)
      missing = count
    }

    func put(_ result: Result<RedisValue, RedisError>, at index: Int) -> [Result<RedisValue, RedisError>]? {
      results[index] = result
      missing -= 1
      return missing == 0 ? results : nil
    }
  }
}

extension RedisFigures {
  func count(_ error: RedisError) {
    failures.add(1, ordering: .relaxed)
    switch error.code {
    case .timedOut: timeouts.add(1, ordering: .relaxed)
    case .unavailable: notAsked.add(1, ordering: .relaxed)
    case .overloaded: refused.add(1, ordering: .relaxed)
    default: break
    }
  }
}

// One server: its connection, who waits for it, and its circuit breaker
//
//              run, or a probe                 signed in
//     idle ──────────────────────► opening ─────────────────► ready
//      ▲                              │                          │
//      └──── refused, time over ──────┴──── connection lost ─────┘
//
// Nothing is opened that nobody asks for: a call begins a connection, and waits for it no longer than for its answer. After a
// failure the next try waits (Backoff); the calls that come meanwhile wait with it. When failures gather the breaker opens:
// calls are refused at once, and the node itself tries (`probe`) until the server answers again.
//
// A call whose time is over is forgotten, but its reply would still come first on the connection, and those behind it too late.
// So when the server has said nothing since that call was sent, the connection is given up; where it has answered others
// meanwhile, it stays.
//
// What counts against the server counts once: an answer that tells of trouble, a call whose time is over, a connection that
// took unanswered calls with it, a try to connect.

import Loop
internal import Synchronization

/// The way to one server. Belongs to its loop's thread.
final class RedisNode {
  typealias Completion = (Result<RedisValue, RedisError>) -> Void

  /// One connection, from the search for the address to the end.
  private final class Attempt {
    var connection: RedisConnection?
    var timer: Timer?
    /// Took calls with it whose failure has not been counted.
    var hasFailedCalls = false
  }

  private enum State {
    case idle
    case opening(Attempt)
    case ready(Attempt)
    case closed
  }

  private let loop: EventLoop
  private let configuration: RedisConfiguration
  private let figures: RedisFigures
  let finder: RedisAddressFinder
  /// The node whose breaker this one goes by: itself, unless it is a connection for commands that wait.
  private let main: RedisNode?
  private var state = State.idle
  private var waiting: [(call: RedisCall, then: Completion)] = []
  private var backoff = Backoff(firstMilliseconds: 50, longestMilliseconds: 1_000)
  private var notBeforeMilliseconds: UInt64 = 0
  private var retryTimer: Timer?
  private var breaker = RedisBreaker()
  private var probeTimer: Timer?
  private var lastError: RedisError?
  /// Connections for commands that wait, which nobody uses now.
  private var spares: [RedisNode] = []

  init(
    loop: EventLoop, finder: RedisAddressFinder, configuration: RedisConfiguration, figures: RedisFigures,
    main: RedisNode? = nil
  ) {
    self.loop = loop
    self.finder = finder
    self.configuration = configuration
    self.figures = figures
    self.main = main
  }

  var name: String { finder.name }

  /// Whether closing it would disturb nobody.
  var isIdle: Bool {
    guard waiting.isEmpty, breaker.isClosed else { return false }
    switch state {
    case .idle, .closed: return true
    case .opening: return false
    case .ready(let attempt): return attempt.connection?.unansweredCount == 0
    }
  }

  var isAvailable: Bool { main?.isAvailable ?? breaker.isClosed }

  // MARK: Calls

  /// Sends a call now, or when there is a connection.
  ///
  /// - Parameter completion: called once, on the loop, now or later, unless the call ends by its time before.
  func run(_ call: RedisCall, then completion: @escaping Completion) {
    call.node = self
    call.sentAtMilliseconds = nil
    if case .closed = state { return completion(.failure(RedisError(.closed, server: name))) }
    guard isAvailable else { return completion(.failure(unavailable())) }
    if case .ready(let attempt) = state {
      send(call, on: attempt, completion)
    } else {
      waiting.append((call, completion))
      connect()
    }
  }

  /// A call's time is over.
  func expired(_ call: RedisCall) {
    waiting.removeAll { $0.call === call }
    if case .ready(let attempt) = state, let connection = attempt.connection,
      let sentAt = call.sentAtMilliseconds, connection.lastReplyMilliseconds <= sentAt
    {
      lose(attempt, "no answer in time to a command before this one")
    }
    failed()
  }

  /// A caller has gone away: forgets the call where it was not sent.
  func cancelled(_ call: RedisCall) { waiting.removeAll { $0.call === call } }

  /// Ends the connection and all calls; nothing comes after it.
  func close() {
    for spare in spares { spare.close() }
    spares = []
    if case .closed = state { return }
    if !breaker.isClosed { figures.openBreakers.subtract(1, ordering: .relaxed) }
    let before = state
    state = .closed
    retryTimer?.cancel()
    probeTimer?.cancel()
    switch before {
    case .opening(let attempt), .ready(let attempt):
      attempt.timer?.cancel()
      attempt.connection?.close(RedisError(.closed, server: name))
    default: break
    }
    failWaiting(RedisError(.closed, server: name))
  }

  private func send(_ call: RedisCall, on attempt: Attempt, _ completion: @escaping Completion) {
    guard !call.isEnded, let connection = attempt.connection else { return }
    call.sentAtMilliseconds = loop.nowMilliseconds
    if call.isAsking {
      call.isAsking = false
      _ = connection.send(RedisCommand("ASKING", [], keyAt: nil).wire) { _ in }
    }
    let isSent = connection.send(call.command.wire) { [self] in took($0, call, attempt, completion) }
    if !isSent { completion(.failure(RedisError(.connectionLost, server: name))) }
  }

  private func took(
    _ result: Result<RedisValue, RedisError>, _ call: RedisCall, _ attempt: Attempt,
    _ completion: Completion
  ) {
    if case .failure(let error) = result, error.code != .serverError {
      // The connection ends; that is counted when it has.
      if error.countsAgainstServer { attempt.hasFailedCalls = true }
      if !call.isEnded { completion(result) }
      return
    }
    // The late answer to a call that was given up says nothing good.
    guard !call.isEnded else { return }
    backoff.reset()
    if case .failure(let error) = result, error.isServerTrouble {
      failed()
      // It was the primary and is one no more, or is no server for us: the next connection looks anew.
      if error.serverErrorName == "READONLY" { lose(attempt, "the server has become a replica") }
    } else {
      answered()
    }
    completion(result)
  }

  private func unavailable() -> RedisError {
    let error = main?.lastError ?? lastError
    return RedisError(.unavailable, server: name, detail: error.map { $0.code.rawValue } ?? "")
  }

  private func failWaiting(_ error: RedisError) {
    let failed = waiting
    waiting = []
    for entry in failed where !entry.call.isEnded { entry.then(.failure(error)) }
  }

  // MARK: Connecting

  private func connect() {
    guard case .idle = state, retryTimer == nil else { return }
    let now = loop.nowMilliseconds
    guard now < notBeforeMilliseconds else { return open() }
    retryTimer = loop.schedule(afterMilliseconds: notBeforeMilliseconds - now) { [weak self] in
      guard let self else { return }
      retryTimer = nil
      if case .idle = state, !waiting.isEmpty { open() }
    }
  }

  private func open() {
    let attempt = Attempt()
    state = .opening(attempt)
    let time = configuration.connectTimeoutMilliseconds
    attempt.timer = loop.schedule(afterMilliseconds: time) { [weak self] in
      guard let self else { return }
      end(attempt, RedisError(.connectFailed, server: name, detail: "not within \(time) ms"))
    }
    finder.find { [weak self] result in
      guard let self, isCurrent(attempt) else { return }
      switch result {
      case .failure(let error): end(attempt, error)
      case .success(let address):
        attempt.connection = RedisConnection(
          loop: loop, address: address, mostReplyBytes: configuration.mostReplyBytes,
          onOpen: { [weak self] in self?.signIn(attempt) },
          onEnd: { [weak self] error in self?.end(attempt, error) })
      }
    }
  }

  private func isCurrent(_ attempt: Attempt) -> Bool {
    switch state {
    case .opening(let current), .ready(let current): current === attempt
    default: false
    }
  }

  /// All in one go; each answer is looked at.
  private func signIn(_ attempt: Attempt) {
    guard isCurrent(attempt), let connection = attempt.connection else { return }
    var left = 0
    var steps: [(RedisCommand, (RedisValue) -> RedisError.Code?)] = []
    if let password = configuration.password {
      let words = [configuration.user, password].compactMap { $0 }.map { RedisArgument($0) }
      steps.append((RedisCommand("AUTH", words), { _ in nil }))
    }
    if configuration.database != 0 {
      steps.append((RedisCommand("SELECT", RedisArgument(configuration.database)), { _ in nil }))
    }
    if case .sentinels = finder.place {
      steps.append((RedisCommand("ROLE", []), { $0.array?.first?.text == "master" ? nil : .noPrimary }))
    }
    guard !steps.isEmpty else { return opened(attempt) }
    left = steps.count
    for (command, judge) in steps {
      _ = connection.send(command.wire) { [weak self] result in
        guard let self, isCurrent(attempt) else { return }
        left -= 1
        switch result {
        case .failure(let error) where error.code == .serverError && !error.isServerTrouble:
          end(attempt, RedisError(.signInFailed, server: name, detail: error.detail))
        case .failure(let error): end(attempt, error)
        case .success(let value):
          if let code = judge(value) {
            end(attempt, RedisError(code, server: name, detail: "the server is a replica"))
          } else if left == 0 {
            opened(attempt)
          }
        }
      }
    }
  }

  private func opened(_ attempt: Attempt) {
    attempt.timer?.cancel()
    attempt.timer = nil
    state = .ready(attempt)
    figures.connections.add(1, ordering: .relaxed)
    let entries = waiting
    waiting = []
    for entry in entries { send(entry.call, on: attempt, entry.then) }
    if !isAvailable { sendProbe(attempt) }
  }

  /// The connection is of no more use; counted by the caller.
  private func lose(_ attempt: Attempt, _ detail: String) {
    end(attempt, RedisError(.connectionLost, server: name, detail: detail), isCounted: true)
  }

  /// The attempt is over, or the connection that it became.
  private func end(_ attempt: Attempt, _ error: RedisError, isCounted: Bool = false) {
    guard isCurrent(attempt) else { return }
    attempt.timer?.cancel()
    attempt.timer = nil
    let wasReady = if case .ready = state { true } else { false }
    state = .idle
    lastError = error
    notBeforeMilliseconds = loop.nowMilliseconds &+ backoff.next()
    // Fails the calls that were sent, which sees that the attempt is no longer the current one.
    attempt.connection?.close(error)
    if wasReady {
      if !isCounted, attempt.hasFailedCalls || !isAvailable { failed() }
      if !waiting.isEmpty { connect() }
    } else {
      figures.failedConnections.add(1, ordering: .relaxed)
      failed()
      failWaiting(error)
    }
  }

  // MARK: The breaker

  private func answered() {
    if let main { return main.answered() }
    let wasClosed = breaker.isClosed
    breaker.answered(atMilliseconds: loop.nowMilliseconds)
    if !wasClosed, breaker.isClosed { figures.openBreakers.subtract(1, ordering: .relaxed) }
  }

  private func failed() {
    if let main { return main.failed() }
    if case .closed = state { return }
    let wasClosed = breaker.isClosed
    guard breaker.failed(atMilliseconds: loop.nowMilliseconds) else { return }
    if wasClosed {
      figures.breakerOpenings.add(1, ordering: .relaxed)
      figures.openBreakers.add(1, ordering: .relaxed)
      failWaiting(unavailable())
    }
    guard case .open(let until) = breaker.state else { return }
    probeTimer?.cancel()
    let now = loop.nowMilliseconds
    probeTimer = loop.schedule(afterMilliseconds: until > now ? until - now : 0) { [weak self] in
      self?.probe()
    }
  }

  private func probe() {
    breaker.probeBegins()
    switch state {
    case .idle:
      retryTimer?.cancel()
      retryTimer = nil
      open()
    case .ready(let attempt): sendProbe(attempt)
    // The probe is sent when the connection stands, or fails with it.
    case .opening, .closed: break
    }
  }

  /// Asks until the breaker is closed or open.
  private func sendProbe(_ attempt: Attempt) {
    guard isCurrent(attempt), case .halfOpen = breaker.state, let connection = attempt.connection else {
      return
    }
    probeTimer?.cancel()
    probeTimer = loop.schedule(afterMilliseconds: configuration.commandTimeoutMilliseconds) { [weak self] in
      guard let self else { return }
      lose(attempt, "no answer to a probe")
      failed()
    }
    _ = connection.send(RedisCommand("PING", []).wire) { [weak self] result in
      guard let self, isCurrent(attempt) else { return }
      probeTimer?.cancel()
      if case .failure(let error) = result, error.countsAgainstServer {
        // An end of the connection is counted by `end`.
        if error.code == .serverError { failed() }
        return
      }
      answered()
      sendProbe(attempt)
    }
  }

  // MARK: Commands that wait on the server

  /// A connection to the same server that nobody else uses; give it back when its call has ended.
  func spare() -> RedisNode {
    spares.popLast()
      ?? RedisNode(loop: loop, finder: finder, configuration: configuration, figures: figures, main: self)
  }

  func giveBack(_ spare: RedisNode) {
    if case .closed = state { spare.close() } else { spares.append(spare) }
  }
}

// Metadata of videos, from the nearest place that has them
//
//     memory of the process ──► Redis ──► source (catalog, or a JSON API)
//        fresh: used               read with its remaining time; near its end one node loads it anew
//        usable: used, and         nothing there: one node loads (lock), the others wait for what it stores
//          asked for behind
//        ended: awaited
//
// Nothing here fails a request. Redis that does not answer is passed over: the source is asked, and Redis hears nothing of it. A
// source that does not answer leaves what was known in use (`stale`), then the decision to `when_unknown`; it is asked again after
// 1 s, later and later up to 15 s. Whoever waits does so for `wait` at most; what is under way goes on and is kept when it comes.
//
// In the process there is one flight for a video at a time, whoever asks on which loop: 10,000 who miss the same key are one
// question. Between processes the lock does the same (`RedisShelf`). A change (`forget`) marks the flight: what it brings may be of
// before the change, and is not kept.
//
// The rights of a video that are not plain are noted beside the entries, which may go for want of room: so that coming back with other
// rights is seen as the change it is, and `revision` moves.

import Logging
import Loop
import Net
import Origin
import Synchronization

/// Grows when the rights of a video are others than before. By itself, since every request asks for it.
final class RightsRevision: Sendable {
  let value = Atomic<UInt64>(0)
}

/// The metadata of one site's videos. Used from all loops.
final class MetadataCache: Sendable {
  /// Videos that are asked about at a time; more are not asked about.
  static let mostFlights = 1024
  private static let backoff = Backoff(firstMilliseconds: 1000, longestMilliseconds: 15_000)
  /// How long what was loaded past Redis is used before the source is asked again.
  private static let freshWithoutRedisMilliseconds: UInt64 = 30_000
  private static let pollMilliseconds: UInt64 = 50
  /// Of waiting for another node, before loading without its leave.
  private static let longestPollMilliseconds: UInt64 = 2_000
  private static let mostNoted = 65_536
  private static let mostNotedFailures = 4096

  /// What is known now.
  enum Known {
    case facts(VideoFacts?, freshSeconds: Int64)
    case unknown
    case unavailable
  }

  private struct Flight {
    let number: UInt64
    var waiting: [UnsafeContinuation<Void, Never>] = []
    /// Those who waited have gone on without it.
    var isOverdue = false
    /// The video was changed since it began: who comes now begins another, which takes over those who wait.
    var isForgotten = false
  }

  private struct Failure {
    var until: UInt64
    var backoff: Backoff
  }

  private struct State {
    var memory: MetadataMemory
    var flights: [String: Flight] = [:]
    var flightNumber: UInt64 = 0
    var failures: [String: Failure] = [:]
    var notedRights: [String: VideoRights] = [:]
    var nextLog: UInt64 = 0
  }

  let figures = MetadataFigures()
  let shelf: RedisShelf
  let source: any MetadataSource
  private let config: RedisCacheConfig
  private let loop: EventLoop
  private let logger: Logger
  private let state: Mutex<State>
  private let rightsRevision: RightsRevision
  private let began = ContinuousClock.now

  init(
    _ config: RedisCacheConfig, _ shelf: RedisShelf, _ source: any MetadataSource, on loop: EventLoop,
    logger: Logger, revision: RightsRevision = RightsRevision()
  ) {
    rightsRevision = revision
    self.config = config
    self.shelf = shelf
    self.source = source
    self.loop = loop
    self.logger = logger
    state = Mutex(State(memory: MetadataMemory(budgetBytes: config.memoryBytes)))
  }

  var revision: UInt64 { rightsRevision.value.load(ordering: .relaxed) }

  var usage: (entries: Int, bytes: Int, flights: Int) {
    state.withLock { ($0.memory.count, $0.memory.usedBytes, $0.flights.count) }
  }

  // MARK: Asking

  /// What is known, from memory alone; has it asked for behind where it is old.
  func lookup(_ id: String) -> Known {
    let now = milliseconds
    let (known, isToRefresh) = state.withLock { state -> (Known, Bool) in
      let isHopeless =
        state.failures[id].map { $0.until > now } ?? false
        || state.flights[id].map { $0.isOverdue && !$0.isForgotten } ?? false
      guard let entry = state.memory[id] else { return (isHopeless ? .unavailable : .unknown, false) }
      if now < entry.freshUntil {
        return (.facts(entry.facts, freshSeconds: Int64((entry.freshUntil - now + 999) / 1000)), false)
      }
      if now < entry.usableUntil {
        let isAsked = isHopeless || state.flights[id] != nil
        return (.facts(entry.facts, freshSeconds: 1), !isAsked)
      }
      guard isHopeless else { return (.unknown, false) }
      return (now < entry.staleUntil ? .facts(entry.facts, freshSeconds: 1) : .unavailable, false)
    }
    figures.count(known, isStale: isToRefresh)
    if isToRefresh { begin(id, waiting: nil) }
    return known
  }

  /// Returns when `lookup` knows the video, or has given up on it: after `wait` at most. Resumes on the caller's executor.
  nonisolated(nonsending) func fetch(_ id: String) async {
    await withUnsafeContinuation { continuation in begin(id, waiting: continuation) }
  }

  /// Joins the flight for a video, or begins one.
  private func begin(_ id: String, waiting: UnsafeContinuation<Void, Never>?) {
    enum Step {
      case joined, leave
      case first(number: UInt64)
    }
    let step = state.withLock { state -> Step in
      var waiters = waiting.map { [$0] } ?? []
      if let flight = state.flights[id] {
        if flight.isForgotten {
          waiters += flight.waiting
        } else {
          guard let waiting, !flight.isOverdue else { return .leave }
          state.flights[id]?.waiting.append(waiting)
          return .joined
        }
      }
      guard state.flights.count < Self.mostFlights || state.flights[id] != nil else {
        noteFailure(of: id, in: &state)
        return .leave
      }
      state.flightNumber += 1
      state.flights[id] = Flight(number: state.flightNumber, waiting: waiters)
      return .first(number: state.flightNumber)
    }
    switch step {
    case .joined: return
    case .leave: waiting?.resume()
    case .first(let number):
      loop.execute { [self] in
        loop.schedule(afterMilliseconds: config.waitMilliseconds) { self.giveUp(id, number) }
        Task(executorPreference: loop) { await self.fly(id, number) }
      }
    }
  }

  private func giveUp(_ id: String, _ number: UInt64) {
    let waiting = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
      guard let flight = state.flights[id], flight.number == number else { return [] }
      state.flights[id]?.isOverdue = true
      state.flights[id]?.waiting = []
      return flight.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  /// The catalog has no such video: nobody needs to be asked for a while.
  func keepAbsent(_ id: String) {
    keep(
      id,
      Load(
        facts: nil, freshMilliseconds: config.memoryFreshMilliseconds,
        usableMilliseconds: config.memoryFreshMilliseconds), of: nil)
  }

  // MARK: Changes

  /// The video was changed: what is known of it is used only where nobody answers. May be called from any thread.
  func forget(_ id: String) {
    figures.forgotten.add(1, ordering: .relaxed)
    state.withLock { state in
      state.flights[id]?.isForgotten = true
      state.failures[id] = nil
      guard var entry = state.memory[id] else { return }
      entry.freshUntil = 0
      entry.usableUntil = 0
      state.memory[id] = entry
    }
  }

  /// Changes may have been missed: everything is asked for again when it is used next.
  func forgetFreshness() { state.withLock { $0.memory.age() } }

  /// Takes a video out of Redis and tells all nodes, this one first.
  nonisolated(nonsending) func remove(_ id: String) async throws(RedisError) {
    forget(id)
    try await shelf.remove(id)
    // What another node had stored, and this one read between the two, is gone now.
    forget(id)
  }

  // MARK: A flight

  /// What a flight brings home.
  private struct Load {
    var facts: VideoFacts?
    var freshMilliseconds: UInt64
    var usableMilliseconds: UInt64
  }

  /// What Redis says to a flight.
  private enum Word {
    case found(Load)
    /// Nobody else loads it. `old` is near its end, and used meanwhile.
    case mine(token: [UInt8], old: Load?)
    /// Redis fails, or the one who loads takes too long.
    case none
  }

  private func fly(_ id: String, _ number: UInt64) async {
    do throws(MetadataSourceError) {
      keep(id, try await load(id, number), of: number)
      end(id, number)
    } catch {
      land(id, failure: error, of: number)
    }
  }

  private func load(_ id: String, _ number: UInt64) async throws(MetadataSourceError) -> Load {
    switch await ask(id) {
    case .found(let load): return load
    case .mine(let token, let old):
      if let old { keep(id, old, of: number) }
      let facts: VideoFacts?
      do throws(MetadataSourceError) { facts = try await loadFromSource(id) } catch {
        await finish(id, token, nil, 0)
        throw error
      }
      let ttl = jittered(facts == nil ? config.missingTTLMilliseconds : config.ttlMilliseconds)
      let load = Load(
        facts: facts, freshMilliseconds: config.memoryFreshMilliseconds, usableMilliseconds: ttl)
      // Nobody waits for it to be stored.
      keep(id, load, of: number)
      await finish(id, token, facts?.json ?? RedisShelf.missing, ttl)
      return load
    case .none:
      let facts = try await loadFromSource(id)
      return Load(
        facts: facts, freshMilliseconds: Self.freshWithoutRedisMilliseconds,
        usableMilliseconds: facts == nil ? config.missingTTLMilliseconds : config.ttlMilliseconds)
    }
  }

  private func ask(_ id: String) async -> Word {
    do throws(RedisError) {
      if let (load, isNearItsEnd) = try await read(id) {
        guard isNearItsEnd, let token = try await shelf.lock(id) else { return .found(load) }
        return .mine(token: token, old: load)
      }
      var waitedMilliseconds: UInt64 = 0
      while true {
        if let token = try await shelf.lock(id) {
          // Somebody may have stored it between the two.
          guard let (load, _) = try await read(id) else { return .mine(token: token, old: nil) }
          await finish(id, token, nil, 0)
          return .found(load)
        }
        if waitedMilliseconds >= Self.longestPollMilliseconds { return .none }
        let wait = Self.pollMilliseconds + UInt64.random(in: 0...Self.pollMilliseconds / 2)
        try? await Task.sleep(for: .milliseconds(Int64(wait)))
        waitedMilliseconds += wait
        if let (load, _) = try await read(id) { return .found(load) }
      }
    } catch {
      figures.redisFailures.add(1, ordering: .relaxed)
      return .none
    }
  }

  private func read(_ id: String) async throws(RedisError) -> (Load, isNearItsEnd: Bool)? {
    guard case .value(let bytes, let remaining) = try await shelf.read(id) else { return nil }
    let facts: VideoFacts?
    do throws(MetadataSourceError) {
      facts = bytes == RedisShelf.missing ? nil : try source.facts(stored: bytes)
    } catch {
      // What somebody else has written there is loaded over.
      complain("what Redis has of \(id) can't be used: \(error)")
      return nil
    }
    figures.redisHits.add(1, ordering: .relaxed)
    let usable = remaining ?? config.ttlMilliseconds
    let isNearItsEnd = facts != nil && (remaining.map { $0 < config.refreshBeforeMilliseconds } ?? false)
    return (
      Load(
        facts: facts, freshMilliseconds: min(config.memoryFreshMilliseconds, usable),
        usableMilliseconds: usable), isNearItsEnd
    )
  }

  private func loadFromSource(_ id: String) async throws(MetadataSourceError) -> VideoFacts? {
    figures.loads.add(1, ordering: .relaxed)
    do throws(MetadataSourceError) { return try await source.load(id) } catch {
      figures.loadFailures.add(1, ordering: .relaxed)
      throw error
    }
  }

  private func finish(_ id: String, _ token: [UInt8], _ value: [UInt8]?, _ ttl: UInt64) async {
    do throws(RedisError) {
      try await shelf.finish(id, token: token, value: value, ttlMilliseconds: max(1, ttl))
    } catch {
      figures.redisFailures.add(1, ordering: .relaxed)
    }
  }

  // MARK: Landing

  /// Puts what was found into memory, and lets those go on who wait for it.
  ///
  /// - Parameter number: of the flight; nil where there is none. What one of before a change brings is not kept.
  private func keep(_ id: String, _ load: Load, of number: UInt64?) {
    let waiting = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
      if let number, let flight = state.flights[id] {
        guard flight.number == number else { return [] }
        state.flights[id]?.waiting = []
        if flight.isForgotten { return flight.waiting }
        put(load, id, in: &state)
        return flight.waiting
      }
      if number == nil { put(load, id, in: &state) }
      return []
    }
    for continuation in waiting { continuation.resume() }
  }

  private func put(_ load: Load, _ id: String, in state: inout State) {
    let now = milliseconds
    note(load.facts?.rights ?? .unrestricted, of: id, in: &state)
    let usableUntil = now &+ load.usableMilliseconds
    state.memory[id] = MetadataMemory.Entry(
      facts: load.facts, freshUntil: now &+ load.freshMilliseconds, usableUntil: usableUntil,
      staleUntil: usableUntil &+ config.staleMilliseconds)
    state.failures[id] = nil
  }

  private func land(_ id: String, failure: MetadataSourceError, of number: UInt64) {
    complain("\(source.name) does not tell of \(id): \(failure)")
    state.withLock { state in
      guard state.flights[id]?.number == number else { return }
      noteFailure(of: id, atLeastMilliseconds: min(failure.retryAfterMilliseconds, 60_000), in: &state)
    }
    end(id, number)
  }

  /// Nobody is asked about the video for a while, each time longer.
  private func noteFailure(of id: String, atLeastMilliseconds: UInt64 = 0, in state: inout State) {
    let now = milliseconds
    if state.failures.count >= Self.mostNotedFailures {
      state.failures = state.failures.filter { $0.value.until > now }
    }
    if state.failures.count >= Self.mostNotedFailures { state.failures.removeAll() }
    var backoff = state.failures[id]?.backoff ?? Self.backoff
    let wait = backoff.next(atLeastMilliseconds: atLeastMilliseconds)
    state.failures[id] = Failure(until: now &+ wait, backoff: backoff)
  }

  /// The flight is over, unless another has taken its place.
  private func end(_ id: String, _ number: UInt64) {
    let flight = state.withLock { state -> Flight? in
      state.flights[id]?.number == number ? state.flights.removeValue(forKey: id) : nil
    }
    for continuation in flight?.waiting ?? [] { continuation.resume() }
  }

  /// Sees whether the rights are others than were said before.
  private func note(_ rights: VideoRights, of id: String, in state: inout State) {
    guard rights != state.notedRights[id] ?? .unrestricted else { return }
    if rights == .unrestricted {
      state.notedRights[id] = nil
    } else {
      if state.notedRights.count >= Self.mostNoted { state.notedRights.removeAll() }
      state.notedRights[id] = rights
    }
    rightsRevision.value.add(1, ordering: .relaxed)
  }

  /// Once in ten seconds: who fails, fails often.
  private func complain(_ text: String) {
    let isDue = state.withLock { state in
      let now = milliseconds
      guard now >= state.nextLog else { return false }
      state.nextLog = now + 10_000
      return true
    }
    if isDue { logger.warning("metadata: \(text)") }
  }

  private func jittered(_ ttl: UInt64) -> UInt64 { UInt64(Double(ttl) * Double.random(in: 0.9...1.1)) }

  private var milliseconds: UInt64 {
    let passed = (ContinuousClock.now - began).components
    // From 1, so that 0 is always over.
    return UInt64(passed.seconds) * 1000 + UInt64(passed.attoseconds / 1_000_000_000_000_000) + 1
  }
}

// Brings to one edge what it is owed
//
//     queue ──► least tried first, within the window ──► calls of the vendor ──► pace ──► answers ──► settle in one transaction
//
// One task sends purges, another one warms; each by itself, so that neither waits for the other. What an edge refuses in a batch
// is split until what is refused stands alone. What fails is tried again for the edge as a whole, later and
// later up to a minute, with `Retry-After`, and in smaller batches, so that one poisonous item does not hold the others.

import Logging
import Loop
import Net
import Origin
import Store

final class EdgeSender: Sendable {
  static let pollMilliseconds: UInt64 = 200
  static let firstRetryMilliseconds: UInt64 = 1000
  static let longestRetryMilliseconds: UInt64 = 60_000
  /// Of what a vendor asks for.
  static let longestAfterMilliseconds: UInt64 = 3_600_000
  static let mostWarmings: UInt32 = 5

  let edge: Edge
  let config: CDNConfig
  let queue: EdgeQueue
  let host: PluginHost
  let client: HTTPClient
  let measures: EdgeMeasures
  /// What the edge has acknowledged, for the probe; the oldest are left out where it can't follow.
  private let acknowledged = AsyncStream.makeStream(
    of: [EdgeQueue.Entry].self, bufferingPolicy: .bufferingNewest(64))

  init(_ edge: Edge, _ config: CDNConfig, _ queue: EdgeQueue, _ host: PluginHost, _ measures: EdgeMeasures) {
    self.edge = edge
    self.config = config
    self.queue = queue
    self.host = host
    self.measures = measures
    var options = HTTPClient.Options()
    options.addresses = edge.addresses
    options.mostActive = edge.concurrency + config.prefetchConcurrency + 4
    options.mostConnectionsPerHost = options.mostActive
    client = HTTPClient(loop: host.loop, options: options)
  }

  /// Ends when its task is cancelled.
  func run() async {
    await withDiscardingTaskGroup { group in
      group.addTask { await self.sendPurges() }
      group.addTask { await self.warmAssets() }
      group.addTask { await self.postRules() }
      if let analytics = edge.analytics {
        let pull = AnalyticsPull(
          edge: edge, analytics: analytics, client: client, queue: queue, host: host, measures: measures)
        group.addTask { await pull.run() }
      }
      if edge.verifies {
        group.addTask { for await done in self.acknowledged.stream { await self.verify(done) } }
      }
    }
  }

  // MARK: Purges

  private func sendPurges() async {
    var pace = Pace(edge.limits)
    var backoff = Backoff(
      firstMilliseconds: Self.firstRetryMilliseconds, longestMilliseconds: Self.longestRetryMilliseconds)
    // Of a vendor with one item a call, as many as can be under way.
    let most = max(edge.limits.items, edge.concurrency * 4)
    var size = most
    // What the process before has left is in force until a call succeeds.
    if let standing = try? await host.workers.run({ [queue, edge] in try queue.standing(edge.name) }) {
      measures.update(edge.name) { $0.standing = standing }
    }
    while !Task.isCancelled {
      do {
        let due = try await due(size)
        guard !due.isEmpty else {
          try await Task.sleep(for: .milliseconds(Self.pollMilliseconds))
          continue
        }
        var pass = PurgePass(due)
        await pass.run(self, &pace)
        if Task.isCancelled { return }
        let settlement = pass.settlement
        try await host.workers.run { [queue] in try queue.settle(settlement) }
        count(settlement)
        if edge.verifies, !settlement.done.isEmpty { acknowledged.continuation.yield(settlement.done) }
        if let (reason, afterMilliseconds) = pass.trouble {
          size = max(1, size / 2)
          await note(reason)
          let wait = backoff.next(atLeastMilliseconds: min(afterMilliseconds, Self.longestAfterMilliseconds))
          try await Task.sleep(for: .milliseconds(wait))
        } else {
          size = most
          backoff.reset()
          await note("")
        }
      } catch {
        if Task.isCancelled { return }
        host.logger.error("purges wait: \(error)", metadata: ["edge": "\(edge.name)"])
        try? await Task.sleep(for: .milliseconds(Self.firstRetryMilliseconds * 5))
      }
    }
  }

  /// What is to be sent now: the least tried first. Waits for company while the first is young.
  private func due(_ size: Int) async throws -> [EdgeQueue.Entry] {
    let window = Int64(config.windowMilliseconds)
    for hasWaited in [false, true] {
      let found = try await host.workers.run { [queue, edge] in
        try queue.entries(edge.name, .purge, limit: size * 4)
      }
      guard let first = found.first, !hasWaited, found.count < size, window > 0 else {
        let order = found.sorted { ($0.attempts, $0.sequence) < ($1.attempts, $1.sequence) }
        return Array(order.prefix(size))
      }
      let (age, overflow) = host.store.options.nowMilliseconds().subtractingReportingOverflow(
        first.queuedMilliseconds)
      let left = overflow ? 0 : max(0, min(window, window - age))
      if left > 0 { try await Task.sleep(for: .milliseconds(left)) }
    }
    return []
  }

  /// One request, and what it says; nil when the task was cancelled.
  func send(_ call: PurgeCall) async -> PurgeVerdict? {
    var request = call.request
    request.timeoutMilliseconds = edge.timeoutMilliseconds
    request.connectTimeoutMilliseconds = min(5000, edge.timeoutMilliseconds)
    let verdict: PurgeVerdict
    do throws(HTTPClientError) {
      verdict = edge.vendor.verdict(on: try await client.response(to: request), to: call)
    } catch {
      switch error.code {
      case .cancelled, .closed: return nil
      case .requestInvalid: verdict = .refused("\(error)")
      default:
        verdict = .later(
          "\(error)", afterMilliseconds: error.isTransient ? 0 : PurgeVerdict.mistakeMilliseconds)
      }
    }
    measures.update(edge.name) {
      $0.calls += 1
      if verdict != .done { $0.failedCalls += 1 }
    }
    return verdict
  }

  private func count(_ settlement: EdgeQueue.Settlement) {
    let refused =
      settlement.refused + settlement.tried.filter { $0.entry.attempts + 1 >= queue.mostAttempts }
    measures.update(edge.name) {
      $0.purged += UInt64(settlement.done.count)
      $0.refused += UInt64(refused.count)
    }
    for (entry, error) in refused {
      host.logger.error(
        "a purge was given up: \(error)",
        metadata: ["edge": "\(edge.name)", "task": "\(entry.task.text)"])
    }
  }

  /// Writes down what is wrong, or that nothing is any more.
  private func note(_ trouble: String) async {
    guard measures.figures(edge.name).standing != trouble else { return }
    measures.update(edge.name) { $0.standing = trouble }
    if trouble.isEmpty {
      host.logger.notice("the edge takes purges again", metadata: ["edge": "\(edge.name)"])
    } else {
      host.logger.error("purges are tried again: \(trouble)", metadata: ["edge": "\(edge.name)"])
    }
    try? await host.workers.run { [queue, edge] in try queue.setStanding(edge.name, trouble) }
  }

  private func verify(_ done: [EdgeQueue.Entry]) async {
    let probe = FreshnessProbe(
      edge: edge, client: client, host: host, limitMilliseconds: config.verifyMilliseconds)
    let stale = await probe.check(done) { [measures, edge] milliseconds in
      measures.update(edge.name) {
        $0.fresh += 1
        $0.freshMilliseconds += milliseconds
        $0.lastFreshMilliseconds = milliseconds
      }
    }
    guard !stale.isEmpty else { return }
    measures.update(edge.name) { $0.stale += UInt64(stale.count) }
    for entry in stale {
      host.logger.error(
        "the edge serves the old after a purge",
        metadata: ["edge": "\(edge.name)", "task": "\(entry.task.text)"])
    }
    // Once more: the old copy may have been on its way to the edge when it was purged. Only once: an edge that does not do
    // what it acknowledges is not told for ever.
    let again = stale.filter { $0.attempts == 0 }
    try? await host.workers.run { [queue] in try queue.repeated(again) }
  }

  // MARK: Warming

  private func warmAssets() async {
    guard edge.prefetch != .off else { return }
    let warmer = Warmer(edge: edge, config: config, client: client, host: host, measures: measures)
    while !Task.isCancelled {
      do {
        let next = try await host.workers.run { [queue, edge] in
          try (
            queue.entries(edge.name, .warm, limit: 1).first, queue.entries(edge.name, .purge, limit: 1).first
          )
        }
        // What is to be forgotten first would be fetched in vain.
        guard let entry = next.0, next.1.map({ $0.sequence > entry.sequence }) ?? true else {
          try await Task.sleep(for: .milliseconds(Self.pollMilliseconds))
          continue
        }
        var settlement = EdgeQueue.Settlement()
        do throws(WarmingError) {
          try await warmer.warm(entry.task)
          settlement.done = [entry]
        } catch {
          if Task.isCancelled { return }
          measures.update(edge.name) { $0.failedWarmings += 1 }
          if error.isFinal || entry.attempts + 1 >= Self.mostWarmings {
            // Viewers fetch it by themselves: nothing is lost but time.
            settlement.done = [entry]
            host.logger.warning(
              "an asset was not warmed: \(error.message)",
              metadata: ["edge": "\(edge.name)", "asset": "\(entry.task.name)"])
          } else {
            settlement.tried = [(entry, error.message)]
          }
        }
        let made = settlement
        try await host.workers.run { [queue] in try queue.settle(made) }
        if !made.tried.isEmpty { try await Task.sleep(for: .milliseconds(Self.firstRetryMilliseconds)) }
      } catch {
        if Task.isCancelled { return }
        host.logger.error("warming waits: \(error)", metadata: ["edge": "\(edge.name)"])
        try? await Task.sleep(for: .milliseconds(Self.firstRetryMilliseconds * 5))
      }
    }
  }

  // MARK: Rules

  /// Tells the service its cache rules, until it has taken them.
  private func postRules() async {
    guard let request = edge.rulesCall else { return }
    var backoff = Backoff(
      firstMilliseconds: Self.firstRetryMilliseconds, longestMilliseconds: Self.longestRetryMilliseconds)
    while !Task.isCancelled {
      guard let verdict = await send(PurgeCall(request: request, entries: [])) else { return }
      let wait: UInt64
      switch verdict {
      case .done:
        host.logger.notice("cache rules are set", metadata: ["edge": "\(edge.name)"])
        return
      case .refused(let reason):
        host.logger.error("cache rules are refused: \(reason)", metadata: ["edge": "\(edge.name)"])
        return
      case .later(let reason, let afterMilliseconds):
        host.logger.error("cache rules are posted again: \(reason)", metadata: ["edge": "\(edge.name)"])
        wait = backoff.next(atLeastMilliseconds: min(afterMilliseconds, Self.longestAfterMilliseconds))
      }
      try? await Task.sleep(for: .milliseconds(wait))
    }
  }
}

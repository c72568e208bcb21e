// What lives while a site's plugin is provisioned: the store, and the work beside requests
//
//     every realtime_interval   what players reported goes into the store, and their sessions are alive
//     every second              rate limits tell what was used here, and learn what all have used
//     every flush               views go into the catalog
//
// None of it is waited for by a request. A step that fails is logged once and tried again with the next; only views must not be
// lost, and those stay where they are until the catalog has them.

import Logging
import Loop
import Net
import Origin
import Store
import Synchronization

final class EngagementService: Sendable {
  let store: any EngagementStore
  let config: EngagementConfig
  let identity: ViewerIdentity
  let sampling: ViewSampling
  let durations = VideoDurations()
  let counters = ServiceCounters()
  private let host: PluginHost
  private let collector: RealtimeCollector
  private let mediaLimit: RateLimit
  private let lastFlush = Mutex<Task<Result<UInt64, Problem>, Never>?>(nil)
  /// Viewers, by video, whose views others stand for.
  private let unsampled = Mutex<[String: Set<String>]>([:])
  private static let mostUnsampled = 100_000
  /// Kinds of failures that the log knows of.
  private let failing = Mutex<Set<String>>([])

  init(
    _ store: any EngagementStore, _ config: EngagementConfig, _ host: PluginHost,
    _ collector: RealtimeCollector,
    _ mediaLimit: RateLimit
  ) {
    self.store = store
    self.config = config
    self.host = host
    self.collector = collector
    self.mediaLimit = mediaLimit
    identity = ViewerIdentity(key: config.viewerKey?.bytes)
    sampling = ViewSampling(above: config.sampleAbove)
  }

  func run() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { [self] in await every(config.times.realtimeInterval) { await self.reportInterval() } }
      if store.isShared, !mediaLimit.rule.isOff {
        group.addTask { [self] in await every(1_000) { await self.shareLimits() } }
      }
      group.addTask { [self] in
        await every(config.times.flush, first: min(config.times.flush, 60_000)) {
          _ = try? await self.flush()
        }
      }
    }
  }

  private func every(_ milliseconds: Int64, first: Int64? = nil, _ step: @Sendable () async -> Void) async {
    var wait = first ?? milliseconds
    while !Task.isCancelled {
      do { try await Task.sleep(for: .milliseconds(wait)) } catch { return }
      await step()
      wait = milliseconds
    }
  }

  // MARK: Steps

  private func reportInterval() async {
    let (interval, sessions) = collector.take()
    let viewers = unsampled.withLock { viewers in
      defer { viewers = [:] }
      return viewers
    }
    await attempt("metrics") { () async throws(EngagementError) in
      if !interval.rows.isEmpty { try await store.append(interval) }
      // A video at a time, so that no command is large.
      for (video, sessions) in sessions {
        try await store.heartbeat([video: Set(sessions.map { identity.viewer(ofSession: $0) })])
      }
      if !viewers.isEmpty { try await store.note(viewers: viewers) }
    }
  }

  private func shareLimits() async {
    await attempt("rate limits") { () async throws(EngagementError) in
      try await mediaLimit.share(through: store)
    }
  }

  private func attempt(_ what: String, _ step: () async throws(EngagementError) -> Void) async {
    do throws(EngagementError) {
      try await step()
      if failing.withLock({ $0.remove(what) }) != nil {
        host.logger.notice("\(what): the store answers again")
      }
    } catch {
      if failing.withLock({ $0.insert(what).inserted }) { host.logger.warning("\(what) wait: \(error)") }
    }
  }

  // MARK: Views

  /// Counts a view, or has others stand for it.
  func count(video: String, viewer: String) async throws(EngagementError) {
    let weight = sampling.weight(video: video, viewer: viewer)
    guard weight > 0 else { return note(video: video, viewer: viewer) }
    let isNew = try await store.count(View(video: video, viewer: viewer, weight: weight))
    if isNew {
      counters.views.add(weight, ordering: .relaxed)
    } else {
      counters.repeatedViews.add(1, ordering: .relaxed)
    }
  }

  func note(video: String, viewer: String) {
    unsampled.withLock { viewers in
      guard viewers.values.reduce(0, { $0 + $1.count }) < Self.mostUnsampled else { return }
      viewers[video, default: []].insert(viewer)
    }
  }

  /// Brings all views that there are into the catalog. Calls go one after the other.
  ///
  /// - Returns: how many were added.
  @discardableResult
  func flush() async throws(Problem) -> UInt64 {
    let bringing = lastFlush.withLock { last in
      let before = last
      let next = Task {
        _ = await before?.value
        return await self.bring()
      }
      last = next
      return next
    }
    return try await bringing.value.get()
  }

  private func bring() async -> Result<UInt64, Problem> {
    var added: UInt64 = 0
    let (catalog, site) = (host.store, host.site)
    do {
      bringing: while true {
        let cursor = store.isShared ? try await host.workers.run { try catalog.viewCursor(site: site) } : nil
        guard let counts = try await store.viewCounts(after: cursor) else { break bringing }
        do {
          added &+= try await host.workers.run { try catalog.apply(counts, site: site) }
          store.settled(counts, isApplied: true)
          // Those that come in meanwhile have the next time: each commit makes loops forget their hot answers.
          guard case .totals(let totals, _) = counts, totals.count == mostViewCounts else { break bringing }
        } catch {
          store.settled(counts, isApplied: false)
          throw error
        }
      }
    } catch {
      host.logger.warning("views wait for the catalog: \(error)")
      return .failure(.engagementUnavailable)
    }
    counters.flushedViews.add(added, ordering: .relaxed)
    counters.flushedSeconds.store(Store.wallClockMilliseconds() / 1000, ordering: .relaxed)
    return .success(added)
  }

  /// Calls the store for an API call.
  func ask<Value: Sendable>(
    _ body: (any EngagementStore) async throws(EngagementError) -> Value
  ) async throws(Problem) -> Value {
    do throws(EngagementError) { return try await body(store) } catch {
      counters.unavailable.add(1, ordering: .relaxed)
      throw .engagementUnavailable
    }
  }

  /// Decisions about videos stand in the log, with the name of the token.
  func logDecision(_ decision: String, video: String, token: String) {
    host.logger.notice("moderation: \(decision)", metadata: ["video": "\(video)", "token": "\(token)"])
  }

  func shutDown() async {
    // What is in Redis waits there for the next process.
    if !store.isShared { _ = try? await flush() }
    store.close()
  }
}

/// What happened so far.
final class ServiceCounters: Sendable {
  let views = Atomic<UInt64>(0)
  let repeatedViews = Atomic<UInt64>(0)
  let beacons = Atomic<UInt64>(0)
  let unavailable = Atomic<UInt64>(0)
  let flushedViews = Atomic<UInt64>(0)
  let flushedSeconds = Atomic<Int64>(0)
}

extension Problem {
  static let engagementUnavailable = Problem(
    status: 503, code: "engagement-unavailable", title: "Store unavailable",
    detail: "Where this is kept does not answer at the moment: send it again soon.",
    fields: [.init("Retry-After", "1")])
}

/// How long videos last, looked up once a minute each: also says which there are.
final class VideoDurations: Sendable {
  private struct Known {
    var there = ExpiringTable<String, UInt64?>(lifetimeMilliseconds: 60_000, limit: 10_000)
    var missing = ExpiringTable<String, Bool>(lifetimeMilliseconds: 2_000, limit: 10_000)
  }

  private let known = Mutex(Known())

  /// Nil where it is not packaged.
  ///
  /// - Throws: `video-unknown` for what the site has not.
  func duration(of video: String, _ request: APIRequest) async throws(Problem) -> UInt64? {
    let now = Store.wallClockMilliseconds()
    let found: Result<UInt64?, Problem>? = known.withLock { known in
      if let duration = known.there.value(video, at: now) { return .success(duration) }
      return known.missing.value(video, at: now) == nil ? nil : .failure(.unknown("video"))
    }
    if let found { return try found.get() }
    do throws(Problem) {
      let duration = try await request.durationMilliseconds(ofVideo: video)
      known.withLock { $0.there.set(video, duration, at: now) }
      return duration
    } catch {
      if error.status == 404 { known.withLock { $0.missing.set(video, true, at: now) } }
      throw error
    }
  }
}

// Keeps the CDNs in front of a site true and warm.
//
//     catalog events ──► PurgePlan ──► EdgeQueue (durable) ──► EdgeSender, one for each edge ──► PurgeVendor
//                                          ▲                      │
//     command line, API, what is watched ──┘                      └──► Warmer, FreshnessProbe
//
// Read this file first, then `EdgeQueue` (why nothing is lost), `PurgePlan` (what a change makes false), `EdgeSender`, and a
// vendor. `EdgeHeaders` writes what each CDN is told with every answer. docs/CDN.md is for who runs it.

import Logging
import Loop
import Net
public import Origin
public import Store
import Synchronization

public final class CDNPlugin: CatalogConsumer, APIProvider, MetricsProvider {
  public static let declaration = PluginDeclaration(
    name: "cdn", summary: "Purges what changes from the CDNs in front, and fetches into them what is new.",
    settings: CDNConfig.section)

  private static let countMilliseconds: UInt64 = 2000

  private let site: String
  private let config: CDNConfig
  private let measures: EdgeMeasures
  private let state = Mutex<Provisioned?>(nil)

  private struct Provisioned: Sendable {
    let host: PluginHost
    let control: CDNControl
    let senders: [EdgeSender]
  }

  public init(site: String, settings: ConfigTable) throws(PluginError) {
    self.site = site
    config = try CDNConfig(settings, site: site)
    measures = EdgeMeasures(
      config.edges.map(\.name), askedAboutTraffic: config.edges.filter { $0.analytics != nil }.map(\.name))
  }

  public func provision(_ host: PluginHost) throws(PluginError) {
    do throws(StoreError) {
      // From now on: what was published before this plugin was there is in no edge that it knows.
      try host.store.registerConsumer("\(Self.declaration.name)/\(site)")
      let control = try CDNControl(
        host.store, site: site, config, segmentMilliseconds: host.segmentMilliseconds)
      let senders = config.edges.map { EdgeSender($0, config, control.queue, host, measures) }
      state.withLock { $0 = Provisioned(host: host, control: control, senders: senders) }
    } catch {
      throw PluginError("the queue of purges can't be opened: \(error)")
    }
  }

  public func join(_ pipeline: inout PipelineBuilder) {
    let headers = EdgeHeaders(config.edges)
    if !headers.tagFields.isEmpty || !headers.cacheRules.isEmpty { pipeline.add(headers) }
  }

  public var apiRoutes: [APIRoute] {
    CDNAPI(control: { [self] in state.withLock { $0?.control } }, measures: measures).routes
  }

  public var metrics: [PluginMetric] { measures.metrics }

  /// The cursor moves when the purges are in the queue, and not before.
  public func consume(_ events: [Event]) async throws {
    guard let state = state.withLock({ $0 }) else { return }
    let control = state.control
    let unlisted = try await state.host.workers.run {
      let unlisted = try control.plan.unlistedSegments(of: events)
      try control.queue.add(try control.plan.tasks(for: events), unlistedSegments: unlisted)
      try control.plan.remember(events)
      return unlisted
    }
    for (edge, segments) in unlisted {
      measures.update(edge) { $0.unlistedSegments += segments }
      state.host.logger.warning(
        "segments of what was removed stay at the edge until their lifetime ends",
        metadata: ["edge": "\(edge)", "segments": "\(segments)"])
    }
  }

  public func run() async {
    guard let state = state.withLock({ $0 }) else { return }
    await forgetOthers(state)
    await withDiscardingTaskGroup { group in
      for sender in state.senders { group.addTask { await sender.run() } }
      group.addTask { await self.count(state) }
      if config.trendingAssets > 0 { group.addTask { await self.followTrends(state) } }
    }
  }

  public func shutDown() async {
    guard let state = state.withLock({ $0.take() }) else { return }
    for sender in state.senders { sender.client.close() }
  }

  // MARK: Background

  /// An edge that is not in the settings any more is owed nothing.
  private func forgetOthers(_ state: Provisioned) async {
    let names = Set(config.edges.map(\.name))
    let queue = state.control.queue
    let gone = (try? await state.host.workers.run { try queue.forget(except: names) }) ?? []
    for name in gone { state.host.logger.notice("an edge is gone from the settings: \(name)") }
  }

  private func count(_ state: Provisioned) async {
    let (control, store) = (state.control, state.host.store)
    while !Task.isCancelled {
      if let all = try? await state.host.workers.run({ try control.status(mostFailures: 0) }) {
        let now = store.options.nowMilliseconds()
        for status in all {
          measures.update(status.edge) {
            $0.pending = status.pending
            $0.warming = status.warming
            $0.failed = status.failed
            let (age, overflow) = now.subtractingReportingOverflow(status.oldestMilliseconds ?? now)
            $0.oldestMilliseconds = overflow ? 0 : UInt64(max(0, age))
          }
        }
      }
      try? await Task.sleep(for: .milliseconds(Self.countMilliseconds))
    }
  }

  /// Has the most watched assets fetched, as often as the settings say.
  private func followTrends(_ state: Provisioned) async {
    guard let source = state.host.trending else {
      state.host.logger.warning("\"trending\" is set, but no plugin of the site knows what is watched")
      return
    }
    let queue = state.control.queue
    while !Task.isCancelled {
      do {
        let ids = try await source.trending(limit: config.trendingAssets)
        let tasks = config.edges.filter { $0.prefetch != .off }.flatMap { edge in
          ids.prefix(config.trendingAssets).compactMap { id in
            EdgeTask(.trend, id).map { (edge: edge.name, task: $0) }
          }
        }
        try await state.host.workers.run { try queue.add(tasks) }
      } catch {
        if Task.isCancelled { return }
        state.host.logger.warning("what is watched is not known: \(error)")
      }
      try? await Task.sleep(for: .milliseconds(config.trendingMilliseconds))
    }
  }
}

// Views, sessions, live viewers, rate limits, moderation and player metrics of a site.
//
// Read this file first, then `EngagementStore` (what is kept, in Redis or in memory), `BeaconAPI` (what players send),
// `EngagementAPI` (what the site's systems ask) and `EngagementService` (what happens beside requests). How views come into
// the catalog is told in Store/Catalog/ViewCounts.swift.

import Logging
import Net
public import Origin
import Store
import Synchronization

public final class EngagementPlugin: APIProvider, MetricsProvider, TrendingSource {
  public static let declaration = PluginDeclaration(
    name: "engagement",
    summary:
      "Counts views and viewers, keeps sessions and histories, limits rates, gathers what players report.",
    settings: EngagementConfig.section)

  private let site: String
  private let config: EngagementConfig
  private let service = Mutex<EngagementService?>(nil)
  private let collector = RealtimeCollector()
  private let mediaLimit: RateLimit
  private let beaconLimit: RateLimit

  public init(site: String, settings: ConfigTable) throws(PluginError) {
    self.site = site
    config = try EngagementConfig(settings)
    mediaLimit = RateLimit(config.mediaRate, exempt: config.exempt)
    beaconLimit = RateLimit(config.beaconRate, exempt: config.exempt)
  }

  public func provision(_ host: PluginHost) throws(PluginError) {
    let store: any EngagementStore
    if let redis = config.redis {
      let client = RedisClient(loop: host.loop, workers: host.workers, configuration: redis)
      store = RedisEngagementStore(client: client, keys: config.keys, times: config.times)
      host.logger.info("engagement is kept in \(store.place)")
    } else {
      store = MemoryEngagementStore(times: config.times)
      host.logger.notice(
        "engagement is kept in \(store.place): no url of Redis is set. Views go into the catalog every minute; all else is not shared with other nodes and ends with the process."
      )
    }
    let made = EngagementService(store, config, host, collector, mediaLimit)
    service.withLock { $0 = made }
  }

  public func join(_ pipeline: inout PipelineBuilder) {
    if !config.mediaRate.isOff { pipeline.add(mediaLimit as any AccessHandler) }
    pipeline.add(collector as any AccessLogger)
  }

  public var apiRoutes: [APIRoute] {
    let provisioned: @Sendable () throws(Problem) -> EngagementService = { [self] () throws(Problem) in
      guard let service = service.withLock({ $0 }) else { throw .engagementUnavailable }
      return service
    }
    return BeaconAPI(limit: beaconLimit, collector: collector, service: provisioned).routes
      + EngagementAPI(service: provisioned).routes
  }

  public func run() async { await service.withLock { $0 }?.run() }

  public func shutDown() async { await service.withLock({ $0.take() })?.shutDown() }

  public func trending(limit: Int) async throws -> [String] {
    guard let service = service.withLock({ $0 }) else { return [] }
    return try await service.store.trending(limit: limit)
  }

  public var metrics: [PluginMetric] {
    let service = service.withLock { $0 }
    func count(_ name: String, _ help: String, _ value: UInt64?) -> PluginMetric {
      PluginMetric("engagement_\(name)_total", .counter, help, Double(value ?? 0))
    }
    let counters = service?.counters
    return [
      count("views", "Views that were counted.", counters?.views.load(ordering: .relaxed)),
      count(
        "repeated_views", "Views of viewers that had one lately.",
        counters?.repeatedViews.load(ordering: .relaxed)),
      count("beacons", "Beacons of players.", counters?.beacons.load(ordering: .relaxed)),
      count(
        "unavailable", "Calls that the store did not answer.", counters?.unavailable.load(ordering: .relaxed)),
      count(
        "refused_beacons", "Beacons beyond the rate of an address.",
        beaconLimit.refusals.load(ordering: .relaxed)),
      count(
        "refused_requests", "Requests for media beyond the rate of an address.",
        mediaLimit.refusals.load(ordering: .relaxed)),
      count(
        "flushed_views", "Views that were brought into the catalog.",
        counters?.flushedViews.load(ordering: .relaxed)),
      PluginMetric(
        "engagement_flushed_timestamp_seconds", .gauge,
        "When views were last brought into the catalog, in seconds since 1970; 0: not yet.",
        Double(counters?.flushedSeconds.load(ordering: .relaxed) ?? 0)),
    ] + PluginMetric.redis("engagement_redis", (service?.store as? RedisEngagementStore)?.redisFigures)
  }
}

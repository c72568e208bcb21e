// Metadata of videos from Redis, in front of the catalog or of a JSON API of the site's own.
//
// Read this file first, then `MetadataCache` (memory, Redis, source), `RedisShelf` (what lies in Redis) and `MetadataSource` (where it
// comes from). What a site's metadata decide about media is `MetadataProvider` of Origin.

import Logging
import Loop
import Net
public import Origin
public import Store
import Synchronization

public final class RedisCachePlugin: CatalogConsumer, APIProvider, MetricsProvider {
  public static let declaration = PluginDeclaration(
    name: "redis", summary: "Metadata of videos from Redis, in front of the catalog or of a JSON API.",
    settings: RedisCacheConfig.section)

  /// What lives from `provision` to `shutDown`.
  struct Parts: Sendable {
    let cache: MetadataCache
    let client: RedisClient
    let host: PluginHost
  }

  let config: RedisCacheConfig
  private let redis: RedisConfiguration
  private let parts = Mutex<Parts?>(nil)
  let rightsRevision = RightsRevision()

  public init(site: String, settings: ConfigTable) throws(PluginError) {
    config = RedisCacheConfig(settings, site: site)
    guard let redis = RedisSettings.configuration(settings) else {
      throw PluginError(key: "url", "says where Redis is: write redis://host:6379")
    }
    self.redis = redis
  }

  /// Nil before the plugin is provisioned, and where answers are only described.
  var provisioned: Parts? { parts.withLock { $0 } }

  /// A Redis that is down at the start is as one that fails later.
  public func provision(_ host: PluginHost) throws(PluginError) {
    let made = make(on: host)
    parts.withLock { $0 = made }
  }

  private func make(on host: PluginHost) -> Parts {
    let client = RedisClient(loop: host.loop, workers: host.workers, configuration: redis)
    let source: any MetadataSource =
      if let upstream = config.upstream {
        UpstreamSource(upstream, on: host.loop)
      } else {
        CatalogSource(site: host.site, store: host.store, workers: host.workers)
      }
    let cache = MetadataCache(
      config, RedisShelf(client: client, config: config), source, on: host.loop, logger: host.logger,
      revision: rightsRevision)
    return Parts(cache: cache, client: client, host: host)
  }

  /// Makes the parts where there are none, for `explain`.
  func parts(on host: PluginHost) -> Parts {
    if let provisioned { return provisioned }
    let made = make(on: host)
    parts.withLock { $0 = made }
    return made
  }

  public func join(_ pipeline: inout PipelineBuilder) {
    // The catalog decides by itself.
    guard config.upstream != nil else { return }
    pipeline.add(self as any MetadataProvider)
    guard let field = config.countryField else { return }
    let access = CountryAccess(field: field, provider: self) { [self] id in await load(ifInCatalog: id) }
    pipeline.add(access as any AccessHandler)
    pipeline.add(access as any HeaderFilter)
  }

  public var apiRoutes: [APIRoute] { MetadataAPI(plugin: self).routes }

  public var metrics: [PluginMetric] {
    let parts = provisioned
    let figures = parts?.cache.figures ?? MetadataFigures()
    return figures.metrics(parts?.cache.usage ?? (0, 0, 0))
      + PluginMetric.redis("redis", parts?.client.figures)
  }

  // MARK: Changes

  /// Hears of what other nodes change, until it is cancelled.
  public func run() async {
    guard let parts = provisioned else { return }
    let (cache, loop) = (parts.cache, parts.host.loop)
    let ears = Ears()
    loop.execute { [redis, config] in
      let subscriber = RedisSubscriber(
        loop: loop, workers: parts.host.workers, configuration: redis, channels: [config.channel]
      ) { event in
        switch event {
        case .began:
          cache.figures.isListening.store(true, ordering: .relaxed)
          cache.forgetFreshness()
        case .message(_, let payload): cache.forget(String(decoding: payload, as: UTF8.self))
        case .lost: cache.figures.isListening.store(false, ordering: .relaxed)
        }
      }
      ears.held.withLock { $0 = LoopBound(subscriber, loop: loop) }
    }
    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
    loop.execute { ears.held.withLock { $0.take() }?.value.close() }
  }

  /// The subscriber, while the plugin runs.
  private final class Ears: Sendable {
    let held = Mutex<LoopBound<RedisSubscriber>?>(nil)
  }

  /// What is changed here is taken out of Redis, and all nodes hear of it. While Redis fails the events wait; what it holds then ends
  /// by itself.
  public func consume(_ events: [Event]) async throws {
    guard let parts = provisioned else { return }
    var seen: Set<String> = []
    for event in events where event.isOfAsset && seen.insert(event.subject).inserted {
      try await parts.cache.remove(event.subject)
    }
  }

  public func shutDown() async {
    let parts = parts.withLock { $0.take() }
    parts?.client.close()
  }
}

extension Event {
  fileprivate var isOfAsset: Bool {
    switch kind {
    case .assetReady, .assetUpdated, .generationReplaced, .assetRemoved: true
    case .filePublished, .fileRemoved: false
    }
  }
}

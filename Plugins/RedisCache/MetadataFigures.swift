import Origin
import Synchronization

/// What the cache has done since the start.
final class MetadataFigures: Sendable {
  let memoryHits = Atomic<UInt64>(0)
  /// Old ones, which were used while they were asked for.
  let staleHits = Atomic<UInt64>(0)
  /// Had to wait.
  let misses = Atomic<UInt64>(0)
  /// Got no answer in time.
  let unavailable = Atomic<UInt64>(0)
  let redisHits = Atomic<UInt64>(0)
  let redisFailures = Atomic<UInt64>(0)
  let loads = Atomic<UInt64>(0)
  let loadFailures = Atomic<UInt64>(0)
  let forgotten = Atomic<UInt64>(0)
  let isListening = Atomic<Bool>(false)

  func count(_ known: MetadataCache.Known, isStale: Bool) {
    switch known {
    case .facts where isStale: staleHits.add(1, ordering: .relaxed)
    case .facts: memoryHits.add(1, ordering: .relaxed)
    case .unknown: misses.add(1, ordering: .relaxed)
    case .unavailable: unavailable.add(1, ordering: .relaxed)
    }
  }

  /// - Parameter usage: of the cache now.
  func metrics(_ usage: (entries: Int, bytes: Int, flights: Int)) -> [PluginMetric] {
    func value(_ counter: borrowing Atomic<UInt64>) -> Double { Double(counter.load(ordering: .relaxed)) }
    return [
      PluginMetric(
        "redis_lookups_total", .counter, "Questions for metadata, by what memory had.",
        [
          .init(value(memoryHits), labels: [("result", "hit")]),
          .init(value(staleHits), labels: [("result", "stale")]),
          .init(value(misses), labels: [("result", "miss")]),
          .init(value(unavailable), labels: [("result", "unavailable")]),
        ]),
      PluginMetric("redis_hits_total", .counter, "Metadata that Redis had.", value(redisHits)),
      PluginMetric(
        "redis_bypasses_total", .counter, "Questions in which Redis failed and was passed over.",
        value(redisFailures)),
      PluginMetric("redis_loads_total", .counter, "Metadata loaded from the source.", value(loads)),
      PluginMetric(
        "redis_load_failures_total", .counter, "Loads that the source did not answer.", value(loadFailures)),
      PluginMetric(
        "redis_invalidations_total", .counter, "Changes of videos that were heard of.", value(forgotten)),
      PluginMetric(
        "redis_listening", .gauge, "Whether changes that other nodes make are heard of.",
        isListening.load(ordering: .relaxed) ? 1 : 0),
      PluginMetric("redis_memory_entries", .gauge, "Videos known in memory.", Double(usage.entries)),
      PluginMetric("redis_memory_bytes", .gauge, "Memory that they take.", Double(usage.bytes)),
      PluginMetric("redis_loading", .gauge, "Videos that are asked about.", Double(usage.flights)),
    ]
  }
}

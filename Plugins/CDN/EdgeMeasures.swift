import Origin
import Store
import Synchronization

/// What has happened at each edge since the start, for the metrics page and the API.
final class EdgeMeasures: Sendable {
  struct Figures: Sendable {
    var purged: UInt64 = 0
    var refused: UInt64 = 0
    var calls: UInt64 = 0
    var failedCalls: UInt64 = 0
    var warmed: UInt64 = 0
    var warmedBytes: UInt64 = 0
    var failedWarmings: UInt64 = 0
    /// Purges after which the edge was seen to serve the new, and how long that took, from the change on.
    var fresh: UInt64 = 0
    var freshMilliseconds: UInt64 = 0
    var lastFreshMilliseconds: UInt64 = 0
    /// Purges after which it went on serving the old.
    var stale: UInt64 = 0
    /// Counted every few seconds.
    var pending = 0
    var warming = 0
    var failed = 0
    var oldestMilliseconds: UInt64 = 0
    /// What is wrong now; empty where nothing is.
    var standing = ""
    /// What the vendor said last of its traffic.
    var traffic: TrafficReport?
    var trafficFailures: UInt64 = 0
    /// Why it says nothing now; empty where nothing is wrong.
    var trafficTrouble = ""
    /// Segments of removed assets that stay at the edge until their lifetime ends, as far as they were not listed.
    var unlistedSegments: UInt64 = 0
  }

  private let edges: Mutex<[String: Figures]>
  private let names: [String]
  /// Those whose vendors are asked about traffic.
  private let asked: [String]

  init(_ names: [String], askedAboutTraffic asked: [String] = []) {
    self.names = names
    self.asked = asked
    edges = Mutex(Dictionary(names.map { ($0, Figures()) }, uniquingKeysWith: { first, _ in first }))
  }

  func update(_ edge: String, _ change: (inout Figures) -> Void) {
    edges.withLock { change(&$0[edge, default: Figures()]) }
  }

  func figures(_ edge: String) -> Figures { edges.withLock { $0[edge] ?? Figures() } }

  var metrics: [PluginMetric] {
    let all = edges.withLock { $0 }
    func metric(
      _ name: String, _ kind: PluginMetric.Kind, _ help: String, _ value: (Figures) -> Double
    ) -> PluginMetric {
      PluginMetric(
        "cdn_\(name)", kind, help,
        names.map { .init(value(all[$0] ?? Figures()), labels: [("edge", $0)]) })
    }
    return [
      metric("purged_total", .counter, "Purges that the edge has acknowledged.") { Double($0.purged) },
      metric("refused_total", .counter, "Purges that were given up.") { Double($0.refused) },
      metric("calls_total", .counter, "Calls that were made for purges.") { Double($0.calls) },
      metric("failed_calls_total", .counter, "Calls that failed, and are made again.") {
        Double($0.failedCalls)
      },
      metric("warmed_requests_total", .counter, "Requests that fetched something into the edge.") {
        Double($0.warmed)
      },
      metric("warmed_bytes_total", .counter, "Bytes that those brought.") { Double($0.warmedBytes) },
      metric("failed_warmings_total", .counter, "Assets that could not be fetched into the edge.") {
        Double($0.failedWarmings)
      },
      metric("fresh_total", .counter, "Purges after which the edge was seen to serve the new.") {
        Double($0.fresh)
      },
      metric("fresh_seconds_total", .counter, "Time from change to fresh, over those.") {
        Double($0.freshMilliseconds) / 1000
      },
      metric("stale_total", .counter, "Purges after which the edge went on serving the old.") {
        Double($0.stale)
      },
      metric("pending_purges", .gauge, "Purges that the edge has not acknowledged yet.") {
        Double($0.pending)
      },
      metric("pending_warmings", .gauge, "Assets that are yet to be fetched into the edge.") {
        Double($0.warming)
      },
      metric("failed_purges", .gauge, "Purges that wait for a person.") { Double($0.failed) },
      metric("oldest_purge_seconds", .gauge, "How long the first of the pending purges has waited.") {
        Double($0.oldestMilliseconds) / 1000
      },
      metric("edge_up", .gauge, "1 where the last call succeeded, 0 where it did not.") {
        $0.standing.isEmpty ? 1 : 0
      },
      metric(
        "unlisted_segments_total", .counter,
        "Segments of removed assets that the edge keeps until their lifetime ends."
      ) { Double($0.unlistedSegments) },
    ] + trafficMetrics(all)
  }

  /// Of the edges whose vendor is asked; none of those that have not answered yet.
  private func trafficMetrics(_ all: [String: Figures]) -> [PluginMetric] {
    guard !asked.isEmpty else { return [] }
    let now = Store.wallClockMilliseconds()
    func metric(_ name: String, _ help: String, _ value: (TrafficReport) -> Double?) -> PluginMetric {
      PluginMetric(
        "cdn_traffic_\(name)", .gauge, help,
        asked.compactMap { edge in
          all[edge]?.traffic.flatMap(value).map { .init($0, labels: [("edge", edge)]) }
        })
    }
    return [
      metric("requests", "Requests of viewers in the window that the vendor told of last.") {
        Double($0.requests)
      },
      metric("bytes", "Bytes that viewers got in it.") { Double($0.bytes) },
      metric("bits_per_second", "The same by the second, on average.") { Double($0.bitsPerSecond) },
      metric("hit_ratio", "Requests in it that the cache answered, from 0 to 1.") { $0.hitRatio },
      metric("window_seconds", "How long it was.") { Double($0.untilSeconds - $0.fromSeconds) },
      metric("age_seconds", "How long ago it ended.") { Double($0.ageSeconds(now)) },
      PluginMetric(
        "cdn_traffic_failures_total", .counter, "Times that the vendor did not tell its traffic.",
        asked.map { .init(Double(all[$0]?.trafficFailures ?? 0), labels: [("edge", $0)]) }),
    ]
  }
}

import Origin
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
  }

  private let edges: Mutex<[String: Figures]>
  private let names: [String]

  init(_ names: [String]) {
    self.names = names
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
    ]
  }
}

import Net
import Origin

/// Fastly's Historical Stats API: one row for each minute, hour or day of a service.
///
///     GET /stats/service/{id}?from=1767222000&to=1767225600&by=minute
///     {"status": "success", "data": [{"requests": 10, "hits": 8, "miss": 2, "bandwidth": 12345, …}, …]}
///
/// Minutes are whole a quarter of an hour later, hours a quarter of an hour after their end, days by 2 in the morning (UTC).
struct FastlyAnalytics: AnalyticsVendor {
  /// `https://api.fastly.com`.
  let api: String
  let service: String
  let token: String

  private enum Grain: String {
    case minute, hour, day
  }

  /// Rows have some 300 members each, so there must not be too many of them.
  private func grain(_ seconds: Int64) -> Grain {
    seconds <= 3600 ? .minute : seconds <= 7 * 86_400 ? .hour : .day
  }

  func window(ofSeconds period: Int64, before now: Int64) -> TrafficWindow {
    switch grain(period) {
    case .minute: TrafficWindow(ofSeconds: period, before: now, lagSeconds: 900, stepSeconds: 60)
    case .hour: TrafficWindow(ofSeconds: period, before: now, lagSeconds: 900, stepSeconds: 3600)
    case .day: TrafficWindow(ofSeconds: period, before: now, lagSeconds: 3 * 3600, stepSeconds: 86_400)
    }
  }

  func request(_ window: TrafficWindow, at moment: CallMoment) -> HTTPRequest {
    var request = HTTPRequest(
      "GET",
      "\(api)/stats/service/\(service)?from=\(window.fromSeconds)&to=\(window.untilSeconds)"
        + "&by=\(grain(window.seconds).rawValue)",
      fields: [HTTPField("Fastly-Key", token), HTTPField("Accept", "application/json")])
    request.mostResponseBytes = 4 << 20
    return request
  }

  func figures(in answer: JSONValue) throws(AnalyticsError) -> TrafficFigures {
    guard let rows = answer["data"]?.elements else { throw .missing("\"data\"") }
    // A row without a member has counted none of it.
    func sum(_ name: String) -> UInt64 { saturatingSum(rows.map { $0[name]?.count ?? 0 }) }
    guard rows.allSatisfy({ $0["requests"]?.count != nil && $0["bandwidth"]?.count != nil }) else {
      throw .missing("requests and bandwidth in each row")
    }
    let (hits, misses) = (sum("hits"), sum("miss"))
    return TrafficFigures(
      requests: sum("requests"), bytes: sum("bandwidth"), hits: hits, lookups: saturatingSum([hits, misses]))
  }
}

import Net
import Origin

/// bunny.net's statistics of a pull zone, by the hour.
///
///     GET /statistics?dateFrom=…&dateTo=…&pullZone=123456&hourly=true
///     {"TotalRequestsServed": 100, "TotalBandwidthUsed": 12345, "PullRequestsPulledChart": {"2026-01-01T00:00:00Z": 10}, …}
///
/// Hits are requests less those that went to the origin, which the chart tells.
struct BunnyAnalytics: AnalyticsVendor {
  /// `https://api.bunny.net`.
  let api: String
  let zone: String
  let key: String

  func window(ofSeconds period: Int64, before now: Int64) -> TrafficWindow {
    TrafficWindow(ofSeconds: period, before: now, lagSeconds: 600, stepSeconds: 3600)
  }

  func request(_ window: TrafficWindow, at moment: CallMoment) -> HTTPRequest {
    // The last hour that is asked for is the one in which `dateTo` lies.
    let (from, until) = (window.fromSeconds, window.untilSeconds - 1)
    return HTTPRequest(
      "GET",
      "\(api)/statistics?dateFrom=\(UTCTime.timestamp(from, colon: "%3A"))"
        + "&dateTo=\(UTCTime.timestamp(until, colon: "%3A"))&pullZone=\(zone)&hourly=true"
        + "&loadRequestsServed=true&loadBandwidthUsed=true",
      fields: [HTTPField("AccessKey", key), HTTPField("Accept", "application/json")])
  }

  func figures(in answer: JSONValue) throws(AnalyticsError) -> TrafficFigures {
    guard let requests = answer["TotalRequestsServed"]?.count else { throw .missing("TotalRequestsServed") }
    guard let bytes = answer["TotalBandwidthUsed"]?.count else { throw .missing("TotalBandwidthUsed") }
    var figures = TrafficFigures(requests: requests, bytes: bytes)
    if case .object(let hours)? = answer["PullRequestsPulledChart"] {
      let pulled = saturatingSum(hours.map { $0.value.count ?? 0 })
      figures.hits = requests - min(requests, pulled)
      figures.lookups = requests
    }
    return figures
  }
}

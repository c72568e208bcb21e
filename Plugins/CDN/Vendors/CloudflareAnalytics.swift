import Net
import Origin

/// Cloudflare's GraphQL Analytics API: requests of a zone's hosts by what the cache did. Counts are estimates from samples.
///
///     POST /client/v4/graphql
///     {"data": {"viewer": {"zones": [{"httpRequestsAdaptiveGroups": [
///       {"count": 90, "sum": {"edgeResponseBytes": 12345}, "dimensions": {"cacheStatus": "hit"}}, …]}]}}, "errors": null}
struct CloudflareAnalytics: AnalyticsVendor {
  /// `https://api.cloudflare.com`.
  let api: String
  let zone: String
  let token: String
  let site: SiteURLs

  /// What was answered out of the cache, be it after asking the origin whether it still may.
  private static let hits: Set<String> = ["hit", "stale", "updating", "revalidated"]

  private static let query =
    "query Traffic($zone: string, $filter: filter) { viewer { zones(filter: { zoneTag: $zone }) {"
    + " httpRequestsAdaptiveGroups(limit: 100, filter: $filter)"
    + " { count sum { edgeResponseBytes } dimensions { cacheStatus } } } } }"

  func window(ofSeconds period: Int64, before now: Int64) -> TrafficWindow {
    TrafficWindow(ofSeconds: period, before: now, lagSeconds: 300, stepSeconds: 60)
  }

  func request(_ window: TrafficWindow, at moment: CallMoment) -> HTTPRequest {
    var json = JSONWriter()
    json.object { json in
      json.member("query", Self.query)
      json.key("variables")
      json.object { json in
        json.member("zone", zone)
        json.key("filter")
        json.object { json in
          json.member("datetime_geq", UTCTime.timestamp(window.fromSeconds))
          json.member("datetime_lt", UTCTime.timestamp(window.untilSeconds))
          json.member("clientRequestHTTPHost_in", site.hosts)
          json.member("requestSource", "eyeball")
        }
      }
    }
    return HTTPRequest(
      "POST", "\(api)/client/v4/graphql",
      fields: [
        HTTPField("Authorization", "Bearer \(token)"), HTTPField("Content-Type", "application/json"),
        HTTPField("Accept", "application/json"),
      ], body: json.bytes)
  }

  func figures(in answer: JSONValue) throws(AnalyticsError) -> TrafficFigures {
    // Errors come with status 200.
    if let errors = answer["errors"]?.elements, let first = errors.first {
      guard case .string(let message)? = first["message"] else {
        throw AnalyticsError(description: "it answers with errors")
      }
      throw AnalyticsError(description: "it answers: \(message.prefix(200))")
    }
    guard let zones = answer["data"]?["viewer"]?["zones"]?.elements else { throw .missing("zones") }
    guard let groups = zones.first?["httpRequestsAdaptiveGroups"]?.elements else {
      throw AnalyticsError(
        description: "its answer does not have the zone: the token has no right to its analytics")
    }
    var figures = TrafficFigures(requests: 0, bytes: 0, hits: 0, lookups: 0)
    for group in groups {
      guard let count = group["count"]?.count, let bytes = group["sum"]?["edgeResponseBytes"]?.count,
        case .string(let status)? = group["dimensions"]?["cacheStatus"]
      else { throw .missing("count, bytes and cache status of a group") }
      figures.requests = saturatingSum([figures.requests, count])
      figures.bytes = saturatingSum([figures.bytes, bytes])
      if Self.hits.contains(status) { figures.hits = saturatingSum([figures.hits ?? 0, count]) }
    }
    figures.lookups = figures.requests
    return figures
  }
}

import Net
import Origin

/// Akamai's Reporting API, version 2: the report `delivery/traffic/current` of a site's hosts, signed by EdgeGrid.
///
///     POST /reporting-api/v2/reports/delivery/traffic/current/data?start=…&end=…
///     {"data": [{"hostname": "media.example.com", "edgeHitsSum": 100, "edgeBytesSum": 12345, "originHitsSum": 10}], …}
struct AkamaiAnalytics: AnalyticsVendor {
  /// `https://akab-….luna.akamaiapis.net`.
  let api: String
  let credentials: EdgeGrid.Credentials
  let site: SiteURLs

  func window(ofSeconds period: Int64, before now: Int64) -> TrafficWindow {
    TrafficWindow(ofSeconds: period, before: now, lagSeconds: 900, stepSeconds: 300)
  }

  func request(_ window: TrafficWindow, at moment: CallMoment) -> HTTPRequest {
    var json = JSONWriter()
    json.object { json in
      json.member("dimensions", ["hostname"])
      json.member("metrics", ["edgeHitsSum", "edgeBytesSum", "originHitsSum"])
      json.key("filters")
      json.array([site.hosts]) { json, hosts in
        json.object { json in
          json.member("dimensionName", "hostname")
          json.member("operator", "IN_LIST")
          json.member("expressions", hosts)
        }
      }
    }
    let path =
      "/reporting-api/v2/reports/delivery/traffic/current/data"
      + "?start=\(UTCTime.timestamp(window.fromSeconds, colon: "%3A"))"
      + "&end=\(UTCTime.timestamp(window.untilSeconds, colon: "%3A"))"
    let authorization = EdgeGrid.authorization(
      "POST", host: SiteURLs.host(api), path: path, body: json.bytes, credentials,
      timestamp: EdgeGrid.timestamp(moment.seconds), nonce: moment.nonce)
    return HTTPRequest(
      "POST", api + path,
      fields: [
        HTTPField("Authorization", authorization), HTTPField("Content-Type", "application/json"),
        HTTPField("Accept", "application/json"),
      ], body: json.bytes)
  }

  func figures(in answer: JSONValue) throws(AnalyticsError) -> TrafficFigures {
    guard let rows = answer["data"]?.elements else { throw .missing("\"data\"") }
    var figures = TrafficFigures(requests: 0, bytes: 0, hits: 0, lookups: 0)
    for row in rows {
      guard let requests = row["edgeHitsSum"]?.count, let bytes = row["edgeBytesSum"]?.count,
        let misses = row["originHitsSum"]?.count
      else { throw .missing("edgeHitsSum, edgeBytesSum and originHitsSum in each row") }
      figures.requests = saturatingSum([figures.requests, requests])
      figures.bytes = saturatingSum([figures.bytes, bytes])
      figures.hits = saturatingSum([figures.hits ?? 0, requests - min(requests, misses)])
    }
    figures.lookups = figures.requests
    return figures
  }
}

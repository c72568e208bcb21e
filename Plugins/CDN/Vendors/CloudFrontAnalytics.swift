import Net
import Origin

/// CloudFront's figures, which CloudWatch has (GetMetricData, in us-east-1 whatever the viewers' region).
///
///     POST /, X-Amz-Target: GraniteServiceVersion20100801.GetMetricData
///     {"MetricDataResults": [{"Id": "requests", "StatusCode": "Complete", "Timestamps": […], "Values": [10, …]}, …]}
///
/// `CacheHitRate` is one of the additional metrics of a distribution, which cost money; without it the ratio is not known.
struct CloudFrontAnalytics: AnalyticsVendor {
  /// `https://monitoring.us-east-1.amazonaws.com`.
  let api: String
  let distribution: String
  let credentials: SignatureV4.Credentials

  private static let target = "GraniteServiceVersion20100801.GetMetricData"
  private static let contentType = "application/x-amz-json-1.0"
  private static let metrics = [
    ("requests", "Requests", "Sum"), ("bytes", "BytesDownloaded", "Sum"), ("rate", "CacheHitRate", "Average"),
  ]

  /// Figures of five minutes are kept for 63 days, so a shorter step is never needed.
  private func step(_ seconds: Int64) -> Int64 { seconds <= 86_400 ? 300 : 3600 }

  func window(ofSeconds period: Int64, before now: Int64) -> TrafficWindow {
    TrafficWindow(ofSeconds: period, before: now, lagSeconds: 300, stepSeconds: step(period))
  }

  func request(_ window: TrafficWindow, at moment: CallMoment) -> HTTPRequest {
    var json = JSONWriter()
    json.object { json in
      json.member("StartTime", window.fromSeconds)
      json.member("EndTime", window.untilSeconds)
      json.key("MetricDataQueries")
      json.array(Self.metrics) { json, metric in
        json.object { json in
          json.member("Id", metric.0)
          json.key("MetricStat")
          json.object { json in
            json.key("Metric")
            json.object { json in
              json.member("Namespace", "AWS/CloudFront")
              json.member("MetricName", metric.1)
              json.key("Dimensions")
              json.array([("DistributionId", distribution), ("Region", "Global")]) { json, dimension in
                json.object { json in
                  json.member("Name", dimension.0)
                  json.member("Value", dimension.1)
                }
              }
            }
            json.member("Period", step(window.seconds))
            json.member("Stat", metric.2)
          }
        }
      }
    }
    let date = SignatureV4.timestamp(moment.seconds)
    let authorization = SignatureV4.authorization(
      "POST", host: SiteURLs.host(api), path: "/", contentType: Self.contentType, body: json.bytes,
      date: date, target: Self.target, region: "us-east-1", service: "monitoring", credentials)
    return HTTPRequest(
      "POST", api + "/",
      fields: [
        HTTPField("Content-Type", Self.contentType), HTTPField("X-Amz-Date", date),
        HTTPField("X-Amz-Target", Self.target), HTTPField("Authorization", authorization),
      ], body: json.bytes)
  }

  func figures(in answer: JSONValue) throws(AnalyticsError) -> TrafficFigures {
    guard let results = answer["MetricDataResults"]?.elements else { throw .missing("MetricDataResults") }
    func series(_ id: String) throws(AnalyticsError) -> [(time: Double, value: Double)] {
      guard let result = results.first(where: { $0["Id"] == .string(id) }) else {
        throw .missing("\"\(id)\"")
      }
      guard result["StatusCode"] == .string("Complete") else {
        throw AnalyticsError(description: "its figures of \"\(id)\" are not complete")
      }
      guard let times = result["Timestamps"]?.elements, let values = result["Values"]?.elements,
        times.count == values.count
      else { throw .missing("values of \"\(id)\"") }
      var series: [(time: Double, value: Double)] = []
      for (time, value) in zip(times, values) {
        guard let time = time.number, let value = value.number, value >= 0, value < 1e18 else {
          throw .missing("numbers in \"\(id)\"")
        }
        series.append((time, value))
      }
      return series
    }
    let requests = try series("requests")
    let rates = Dictionary(
      try series("rate").map { ($0.time, $0.value) }, uniquingKeysWith: { first, _ in first })
    var figures = TrafficFigures(
      requests: saturatingSum(requests.map { UInt64($0.value) }),
      bytes: saturatingSum(try series("bytes").map { UInt64($0.value) }))
    // A rate of each step, in percent, weighs as much as the requests of that step.
    let rated = requests.filter { rates[$0.time] != nil }
    if !rated.isEmpty {
      figures.lookups = saturatingSum(rated.map { UInt64($0.value) })
      figures.hits = saturatingSum(rated.map { UInt64($0.value * min(100, rates[$0.time] ?? 0) / 100) })
    }
    return figures
  }
}

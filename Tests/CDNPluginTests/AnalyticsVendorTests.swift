import Origin
import Testing

@testable import CDNPlugin
@testable import Net

/// What each vendor is asked about traffic, byte for byte as its documentation has it, and how its answer is read.
@Suite struct AnalyticsVendorTests {
  private static let now = CDNFixture.moment.seconds

  private func vendor(_ name: String, _ more: String) throws -> any AnalyticsVendor {
    try #require(try CDNFixture.edge(name, "analytics = \"1h\"\n\(more)").analytics).vendor
  }

  private func asked(_ vendor: any AnalyticsVendor, seconds: Int64 = 3600) -> String {
    CDNFixture.text(
      vendor.request(vendor.window(ofSeconds: seconds, before: Self.now), at: CDNFixture.moment))
  }

  private func figures(_ vendor: any AnalyticsVendor, _ json: String) throws -> TrafficFigures {
    try vendor.figures(in: JSONValue(Array(json.utf8)))
  }

  private static let zone = "zone = \"z\"\ntoken_env = \"TOKEN\""

  @Test func fastly() throws {
    let vendor = try vendor("fastly", Self.zone)
    #expect(
      asked(vendor)
        == "GET https://api.fastly.com/stats/service/z?from=1767221100&to=1767224700&by=minute\nFastly-Key: t0ken\nAccept: application/json"
    )
    #expect(asked(vendor, seconds: 86_400).contains("?from=1767135600&to=1767222000&by=hour"))
    #expect(asked(vendor, seconds: 30 * 86_400).contains("?from=1764547200&to=1767139200&by=day"))
    let answer = #"""
      {"status":"success","meta":{"by":"minute"},"msg":null,"data":[
        {"service_id":"z","start_time":1767221100,"requests":60,"hits":45,"miss":5,"pass":10,"bandwidth":1000},
        {"service_id":"z","start_time":1767221160,"requests":40,"hits":35,"miss":5,"bandwidth":500.0}]}
      """#
    #expect(
      try figures(vendor, answer) == TrafficFigures(requests: 100, bytes: 1500, hits: 80, lookups: 90))
    #expect(
      try figures(vendor, #"{"data":[]}"#) == TrafficFigures(requests: 0, bytes: 0, hits: 0, lookups: 0))
  }

  @Test func aTokenOfItsOwn() throws {
    let vendor = try vendor("fastly", "zone = \"z\"\ntoken_env = \"TOKEN\"\nanalytics_token_env = \"SECRET\"")
    #expect(asked(vendor).contains("Fastly-Key: SOMESECRET"))
  }

  @Test func cloudflare() throws {
    let vendor = try vendor("cloudflare", Self.zone)
    #expect(
      asked(vendor) == """
        POST https://api.cloudflare.com/client/v4/graphql
        Authorization: Bearer t0ken
        Content-Type: application/json
        Accept: application/json
        {"query":"query Traffic($zone: string, $filter: filter) { viewer { zones(filter: { zoneTag: $zone }) { httpRequestsAdaptiveGroups(limit: 100, filter: $filter) { count sum { edgeResponseBytes } dimensions { cacheStatus } } } } }","variables":{"zone":"z","filter":{"datetime_geq":"2025-12-31T22:55:00Z","datetime_lt":"2025-12-31T23:55:00Z","clientRequestHTTPHost_in":["media.example.com"],"requestSource":"eyeball"}}}
        """)
    let answer = #"""
      {"data":{"viewer":{"zones":[{"httpRequestsAdaptiveGroups":[
        {"count":90,"dimensions":{"cacheStatus":"hit"},"sum":{"edgeResponseBytes":9000}},
        {"count":3,"dimensions":{"cacheStatus":"revalidated"},"sum":{"edgeResponseBytes":30}},
        {"count":7,"dimensions":{"cacheStatus":"miss"},"sum":{"edgeResponseBytes":700}}]}]}},"errors":null}
      """#
    #expect(
      try figures(vendor, answer) == TrafficFigures(requests: 100, bytes: 9730, hits: 93, lookups: 100))
    #expect(throws: AnalyticsError(description: "it answers: zone is not authorized")) {
      try figures(vendor, #"{"data":null,"errors":[{"message":"zone is not authorized"}]}"#)
    }
  }

  @Test func bunny() throws {
    let vendor = try vendor("bunny", Self.zone)
    #expect(
      asked(vendor)
        == "GET https://api.bunny.net/statistics?dateFrom=2025-12-31T22%3A00%3A00Z&dateTo=2025-12-31T22%3A59%3A59Z&pullZone=z&hourly=true&loadRequestsServed=true&loadBandwidthUsed=true\nAccessKey: t0ken\nAccept: application/json"
    )
    let answer = #"""
      {"TotalBandwidthUsed":5000,"TotalRequestsServed":200,"CacheHitRate":95.5,
       "RequestsServedChart":{"2025-12-31T22:00:00Z":200},"PullRequestsPulledChart":{"2025-12-31T22:00:00Z":20}}
      """#
    #expect(
      try figures(vendor, answer) == TrafficFigures(requests: 200, bytes: 5000, hits: 180, lookups: 200))
    #expect(
      try figures(vendor, #"{"TotalBandwidthUsed":5000,"TotalRequestsServed":200}"#)
        == TrafficFigures(requests: 200, bytes: 5000))
  }

  /// The signature is that of a few lines of Python (hmac, hashlib) over the documented form.
  @Test func cloudFront() throws {
    let vendor = try vendor(
      "cloudfront", "zone = \"E1\"\nkey_id = \"AKIDEXAMPLE\"\nkey_secret_env = \"SECRET\"")
    func query(_ id: String, _ name: String, _ statistic: String) -> String {
      #"{"Id":"\#(id)","MetricStat":{"Metric":{"Namespace":"AWS/CloudFront","MetricName":"\#(name)","Dimensions":[{"Name":"DistributionId","Value":"E1"},{"Name":"Region","Value":"Global"}]},"Period":300,"Stat":"\#(statistic)"}}"#
    }
    #expect(
      asked(vendor) == """
        POST https://monitoring.us-east-1.amazonaws.com/
        Content-Type: application/x-amz-json-1.0
        X-Amz-Date: 20260101T000000Z
        X-Amz-Target: GraniteServiceVersion20100801.GetMetricData
        Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/monitoring/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=df8601dbba5e2d3c8ef4cedbce23aa434ed4914befbbfcb185290f91a9dc8960
        {"StartTime":1767221700,"EndTime":1767225300,"MetricDataQueries":[\(query("requests", "Requests", "Sum")),\(query("bytes", "BytesDownloaded", "Sum")),\(query("rate", "CacheHitRate", "Average"))]}
        """)
    func result(_ id: String, _ values: String, _ times: String = "[1,2]", _ status: String = "Complete")
      -> String
    {
      #"{"Id":"\#(id)","Label":"x","StatusCode":"\#(status)","Timestamps":\#(times),"Values":\#(values)}"#
    }
    func answer(_ results: String...) -> String {
      #"{"Messages":[],"MetricDataResults":[\#(results.joined(separator: ","))]}"#
    }
    let (requests, bytes) = (result("requests", "[100.0,300.0]"), result("bytes", "[1.0E3,5000]"))
    // Out of order, and not for all steps: weighed by the requests of each.
    #expect(
      try figures(vendor, answer(requests, bytes, result("rate", "[50,90]", "[2,1]")))
        == TrafficFigures(requests: 400, bytes: 6000, hits: 240, lookups: 400))
    #expect(
      try figures(vendor, answer(requests, bytes, result("rate", "[]", "[]")))
        == TrafficFigures(requests: 400, bytes: 6000))
    #expect(throws: AnalyticsError.self) { try figures(vendor, answer(requests, bytes)) }
    #expect(throws: AnalyticsError.self) {
      try figures(vendor, answer(result("requests", "[1]"), bytes, result("rate", "[]", "[]")))
    }
    #expect(throws: AnalyticsError.self) {
      try figures(
        vendor, answer(result("requests", "[1,2]", "[1,2]", "Forbidden"), bytes, result("rate", "[]", "[]")))
    }
  }

  @Test func akamai() throws {
    let settings = """
      api = "https://akab-x.purge.akamaiapis.net"
      key_id = "akab-client-token-xxx"
      key_secret_env = "SECRET"
      access_token_env = "ACCESS"
      analytics_api = "https://akab-x.luna.akamaiapis.net"
      """
    let vendor = try vendor("akamai", settings)
    let path =
      "/reporting-api/v2/reports/delivery/traffic/current/data?start=2025-12-31T22%3A45%3A00Z&end=2025-12-31T23%3A45%3A00Z"
    let body =
      #"{"dimensions":["hostname"],"metrics":["edgeHitsSum","edgeBytesSum","originHitsSum"],"filters":[{"dimensionName":"hostname","operator":"IN_LIST","expressions":["media.example.com"]}]}"#
    // By the function that holds the published vector.
    let authorization = EdgeGrid.authorization(
      "POST", host: "akab-x.luna.akamaiapis.net", path: path, body: Array(body.utf8),
      .init(
        clientToken: "akab-client-token-xxx", accessToken: "akab-access-token-xxx",
        clientSecret: Secret(bytes: Array("SOMESECRET".utf8))), timestamp: "20260101T00:00:00+0000",
      nonce: CDNFixture.moment.nonce)
    #expect(
      asked(vendor) == """
        POST https://akab-x.luna.akamaiapis.net\(path)
        Authorization: \(authorization)
        Content-Type: application/json
        Accept: application/json
        \(body)
        """)
    let answer = #"""
      {"data":[{"hostname":"media.example.com","edgeHitsSum":100,"edgeBytesSum":5000,"originHitsSum":10}],
       "metadata":{"start":"2025-12-31T22:45:00Z"}}
      """#
    #expect(
      try figures(vendor, answer) == TrafficFigures(requests: 100, bytes: 5000, hits: 90, lookups: 100))
  }

  /// What is not in the documented form is no zero.
  @Test(arguments: [
    "{}", "[]", "null", #"{"data":{}}"#, #"{"data":[{}]}"#, #"{"data":[{"requests":-1,"bandwidth":2}]}"#,
    #"{"data":[{"requests":"many","bandwidth":2}]}"#, #"{"data":[1]}"#, #"{"data":{"viewer":{"zones":[]}}}"#,
    #"{"data":{"viewer":{"zones":[{"httpRequestsAdaptiveGroups":[{}]}]}}}"#,
    #"{"data":[{"edgeHitsSum":1,"edgeBytesSum":1e40,"originHitsSum":0}]}"#,
    #"{"TotalRequestsServed":1}"#, #"{"MetricDataResults":[{"Id":"requests"}]}"#,
  ])
  func otherFormsAreRefused(json: String) throws {
    let keys = "zone = \"z\"\nkey_id = \"k\"\nkey_secret_env = \"SECRET\"\naccess_token_env = \"ACCESS\""
    for (name, more) in [
      ("fastly", Self.zone), ("cloudflare", Self.zone), ("bunny", Self.zone), ("cloudfront", keys),
      ("akamai", "api = \"https://a\"\nanalytics_api = \"https://a\"\n\(keys)"),
    ] {
      let vendor = try vendor(name, more)
      #expect(throws: AnalyticsError.self, "\(name)") { try figures(vendor, json) }
    }
  }

  @Test func reportsAreKeptAsTheyAre() throws {
    let window = TrafficWindow(ofSeconds: 3600, before: Self.now, lagSeconds: 900, stepSeconds: 300)
    var report = TrafficReport(
      TrafficFigures(requests: 10, bytes: .max, hits: 7, lookups: 9), window,
      fetchedMilliseconds: Self.now * 1000)
    #expect(report.bitsPerSecond == .max && report.ageSeconds(Self.now * 1000) == 900)
    #expect(TrafficReport(text: report.text) == report)
    #expect(try abs(#require(report.hitRatio) - 7.0 / 9) < 1e-9)
    report = TrafficReport(TrafficFigures(requests: 0, bytes: 9000), window, fetchedMilliseconds: 1)
    #expect(report.hitRatio == nil && report.bitsPerSecond == 20)
    #expect(TrafficReport(text: report.text) == report)
    for text in ["", "2\t1\t1\t1\t1\t1\t-", "1\t1", "1\tx\t1\t1\t1\t1\t-"] {
      #expect(TrafficReport(text: text) == nil)
    }
  }
}

// `/api/v1/cdn`: what the edges are owed, and asking more of them. docs/CDN.md has the members.

import HTTP
import Origin
import Store

struct CDNAPI: Sendable {
  private static let path = "/api/v1/cdn"
  private static let mostItems = 1000

  /// nil before the plugin is provisioned.
  let control: @Sendable () -> CDNControl?
  let measures: EdgeMeasures

  var routes: [APIRoute] {
    [
      APIRoute(.get, Self.path) { request throws(Problem) in
        _ = try request.queryParameters([])
        return try await status(request)
      },
      APIRoute(.post, "\(Self.path)/purge", body: .json) { request throws(Problem) in
        var fields = try JSONFields(request.text)
        var wish = CDNControl.Wish()
        wish.assets = try Self.texts(&fields, "assets", mostCharacters: 64)
        wish.paths = try Self.texts(&fields, "paths", mostCharacters: EdgeTask.longestNameBytes)
        wish.tags = try Self.texts(&fields, "tags", mostCharacters: 256)
        if case .value(let value) = fields.member("everything") {
          guard case .bool(let flag) = value else { throw .wrongType("everything", value, "a boolean") }
          wish.everything = flag
        }
        wish.edge = try Self.edge(&fields)
        try fields.end()
        guard !wish.assets.isEmpty || !wish.paths.isEmpty || !wish.tags.isEmpty || wish.everything else {
          throw .invalidField("Nothing is named: give assets, paths, tags, or everything.")
        }
        let made = wish
        return try await queued(request) { try $0.purge(made) }
      },
      APIRoute(.post, "\(Self.path)/prefetch", body: .json) { request throws(Problem) in
        var fields = try JSONFields(request.text)
        let assets = try Self.texts(&fields, "assets", mostCharacters: 64)
        let edge = try Self.edge(&fields)
        try fields.end()
        guard !assets.isEmpty else { throw .invalidField("\"assets\" names none.") }
        return try await queued(request) { try $0.prefetch(assets, edge: edge) }
      },
      APIRoute(.post, "\(Self.path)/retry", body: .optionalText(mediaTypes: ["application/json"])) {
        request throws(Problem) in
        var edge: String?
        if !request.text.isEmpty {
          var fields = try JSONFields(request.text)
          edge = try Self.edge(&fields)
          try fields.end()
        }
        let chosen = edge
        return try await queued(request) { try $0.retry(edge: chosen) }
      },
    ]
  }

  private static func texts(
    _ fields: inout JSONFields, _ key: String, mostCharacters: Int
  ) throws(Problem) -> [String] {
    if case .value(let texts) = try fields.texts(key, most: mostItems, mostCharacters: mostCharacters) {
      return texts
    }
    return []
  }

  private static func edge(_ fields: inout JSONFields) throws(Problem) -> String? {
    if case .value(let edge) = try fields.text("edge", most: 200) { return edge }
    return nil
  }

  private static func onWorker<Value: Sendable>(
    _ request: APIRequest, _ work: @escaping @Sendable () throws -> Value
  ) async throws(Problem) -> Value {
    try await request.onWorker { _ throws(Problem) in
      do { return try work() } catch let refusal as CDNControl.Refusal {
        throw .invalidField(refusal.description)
      } catch let error as StoreError { throw Problem(error) } catch { throw .internalError }
    }
  }

  /// 202: it is in the queue, durably, and not done yet.
  private func queued(
    _ request: APIRequest, _ work: @escaping @Sendable (CDNControl) throws -> Int
  ) async throws(Problem) -> APIReply {
    guard let control = control() else { throw .overloaded }
    let count = try await Self.onWorker(request) { try work(control) }
    var json = JSONWriter()
    json.object { $0.member("queued", count) }
    return .json(json, status: 202)
  }

  private static func write(_ traffic: TrafficReport, to json: inout JSONWriter) {
    json.object { json in
      json.member("from", AccessRecord.iso8601(traffic.fromSeconds * 1000))
      json.member("until", AccessRecord.iso8601(traffic.untilSeconds * 1000))
      json.member("age_seconds", traffic.ageSeconds(Store.wallClockMilliseconds()))
      json.member("requests", traffic.requests)
      json.member("bytes", traffic.bytes)
      json.member("bits_per_second", traffic.bitsPerSecond)
      json.key("hit_ratio")
      if let ratio = traffic.hitRatio {
        json.value(thousandths: UInt64((ratio * 1000).rounded()))
      } else {
        json.null()
      }
    }
  }

  private func status(_ request: APIRequest) async throws(Problem) -> APIReply {
    guard let control = control() else { throw .overloaded }
    let all = try await Self.onWorker(request) { try control.status() }
    var json = JSONWriter()
    json.object { json in
      json.key("edges")
      json.array(all) { json, status in
        let figures = measures.figures(status.edge)
        json.object { json in
          json.member("edge", status.edge)
          json.member("vendor", status.vendor)
          json.member("pending", status.pending)
          json.member("warming", status.warming)
          json.member("failed", status.failed)
          json.member("trouble", status.standing.isEmpty ? nil : status.standing)
          json.member("purged", figures.purged)
          json.member("warmed_requests", figures.warmed)
          json.member("fresh", figures.fresh)
          json.member("stale", figures.stale)
          json.member("last_fresh_milliseconds", figures.lastFreshMilliseconds)
          json.member("unlisted_segments", status.unlistedSegments)
          json.member("traffic_trouble", status.trafficTrouble.isEmpty ? nil : status.trafficTrouble)
          json.key("traffic")
          if let traffic = status.traffic {
            Self.write(traffic, to: &json)
          } else {
            json.null()
          }
          json.key("failures")
          json.array(status.failures) { json, failure in
            json.object { json in
              json.member("task", failure.task)
              json.member("error", failure.error)
            }
          }
        }
      }
    }
    return .json(json)
  }
}

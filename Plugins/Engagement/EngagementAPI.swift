// What the site's own systems ask, with a token of the site
//
//     GET    /api/v1/videos/{id}/engagement          views, viewers
//     GET    /api/v1/trending                        most viewed of the last day
//     POST   /api/v1/views/flush                     brings views into the catalog now
//     GET    /api/v1/realtime                        what players reported in the last five minutes
//     GET    /api/v1/viewers/{viewer}/history        what he has watched
//     DELETE /api/v1/viewers/{viewer}                forgets him
//     GET    /api/v1/viewers/{viewer}/feed           PUT: keeps it for a while
//     GET    /api/v1/moderation                      videos that somebody has to look at
//     POST   /api/v1/moderation/{id}                 decides

import HTTP
import Origin
import Store

struct EngagementAPI: Sendable {
  static let feedBytes = 64 << 10

  let service: @Sendable () throws(Problem) -> EngagementService

  var routes: [APIRoute] {
    let viewer = "/api/v1/viewers/{viewer}"
    return [
      APIRoute(.get, "/api/v1/videos/{id}/engagement") { request throws(Problem) in try await figures(request)
      },
      APIRoute(.get, "/api/v1/trending") { request throws(Problem) in try await trending(request) },
      APIRoute(.post, "/api/v1/views/flush") { request throws(Problem) in try await flush(request) },
      APIRoute(.get, "/api/v1/realtime") { request throws(Problem) in try await realtime(request) },
      APIRoute(.get, "\(viewer)/history") { request throws(Problem) in try await history(request) },
      APIRoute(.delete, viewer) { request throws(Problem) in try await erase(request) },
      APIRoute(.get, "\(viewer)/feed") { request throws(Problem) in try await feed(request) },
      APIRoute(
        .put, "\(viewer)/feed", body: .text(mediaTypes: ["application/json"], mostBytes: Self.feedBytes)
      ) { request throws(Problem) in try await setFeed(request) },
      APIRoute(.get, "/api/v1/moderation") { request throws(Problem) in try await queue(request) },
      APIRoute(.post, "/api/v1/moderation/{id}") { request throws(Problem) in try await decide(request) },
    ]
  }

  // MARK: Videos

  private func figures(_ request: APIRequest) async throws(Problem) -> APIReply {
    let service = try service()
    _ = try request.queryParameters([])
    let video = try BeaconAPI.video(of: request)
    let site = request.site.name
    let stored = try await request.onWorker { store throws(Problem) -> UInt64 in
      let asset: AssetRecord?
      do throws(StoreError) {
        asset = try store.read { (reader) throws(StoreError) in try reader.asset(site: site, id: video) }
      } catch { throw .internalError }
      guard let asset else { throw .unknown("video") }
      return asset.views
    }
    let found = try await service.ask { store throws(EngagementError) in try await store.figures(of: video) }
    let views = service.store.isShared ? max(stored, found.views) : stored &+ found.views
    var json = JSONWriter()
    json.object { json in
      json.member("video_id", video)
      json.member("views", views)
      json.member("unique_viewers", found.uniqueViewers)
      json.member("live_viewers", found.liveViewers)
    }
    return .json(json)
  }

  private func trending(_ request: APIRequest) async throws(Problem) -> APIReply {
    let service = try service()
    let values = try request.queryParameters(["limit"])
    let limit = try Self.limit(values["limit"])
    let found = try await service.ask { store throws(EngagementError) in
      try await store.trending(limit: limit)
    }
    var json = JSONWriter()
    json.object { $0.member("videos", found) }
    return .json(json)
  }

  private func flush(_ request: APIRequest) async throws(Problem) -> APIReply {
    let service = try service()
    _ = try request.queryParameters([])
    let added = try await service.flush()
    var json = JSONWriter()
    json.object { $0.member("added_views", added) }
    return .json(json)
  }

  private func realtime(_ request: APIRequest) async throws(Problem) -> APIReply {
    let service = try service()
    _ = try request.queryParameters([])
    let intervals = try await service.ask { store throws(EngagementError) in try await store.intervals() }
    let report = RealtimeReport(intervals)
    let videos = [LiveViewers.everywhere] + report.videos.map(\.id)
    let live = try await service.ask { store throws(EngagementError) in
      try await store.liveViewers(of: videos)
    }
    return .json(report.json(live: live, windowMilliseconds: service.config.times.realtimeWindow))
  }

  // MARK: Viewers

  private static func viewer(of request: APIRequest) throws(Problem) -> String {
    do throws(Problem) { return try ViewerIdentity.checked(request.parameters["viewer"] ?? "") } catch {
      throw .unknown("viewer")
    }
  }

  private func history(_ request: APIRequest) async throws(Problem) -> APIReply {
    let service = try service()
    _ = try request.queryParameters([])
    let viewer = try Self.viewer(of: request)
    let found = try await service.ask { store throws(EngagementError) in try await store.history(of: viewer) }
    var json = JSONWriter()
    json.object { json in
      json.key("history")
      json.array(found) { json, entry in
        json.object { json in
          json.member("video_id", entry.video)
          json.member("watched_at", AccessRecord.iso8601(entry.atMilliseconds))
        }
      }
    }
    return .json(json)
  }

  private func erase(_ request: APIRequest) async throws(Problem) -> APIReply {
    let service = try service()
    _ = try request.queryParameters([])
    let viewer = try Self.viewer(of: request)
    try await service.ask { store throws(EngagementError) in try await store.erase(viewer: viewer) }
    return .noContent
  }

  private func feed(_ request: APIRequest) async throws(Problem) -> APIReply {
    let service = try service()
    _ = try request.queryParameters([])
    let viewer = try Self.viewer(of: request)
    let found = try await service.ask { store throws(EngagementError) in try await store.feed(of: viewer) }
    guard let found else { throw .unknown("feed") }
    return APIReply(status: 200, contentType: "application/json", body: found)
  }

  private func setFeed(_ request: APIRequest) async throws(Problem) -> APIReply {
    let service = try service()
    _ = try request.queryParameters([])
    let viewer = try Self.viewer(of: request)
    let text = request.text
    let value: JSONValue
    do throws(JSONError) { value = try JSONValue(text) } catch {
      throw .invalidField(
        "The feed is not JSON as it is taken here: \(error.message) at byte \(error.offset).")
    }
    switch value {
    case .object, .array: break
    default: throw .invalidField("The feed is an object or an array.")
    }
    try await service.ask { store throws(EngagementError) in try await store.setFeed(text, of: viewer) }
    return .noContent
  }

  // MARK: Moderation

  private func queue(_ request: APIRequest) async throws(Problem) -> APIReply {
    let service = try service()
    let values = try request.queryParameters(["limit"])
    let limit = try Self.limit(values["limit"])
    let found = try await service.ask { store throws(EngagementError) in
      try await store.moderationQueue(limit: limit)
    }
    var json = JSONWriter()
    json.object { json in
      json.key("items")
      json.array(found) { json, item in
        json.object { json in
          json.member("video_id", item.video)
          json.member("reports", item.reports)
          json.key("reasons")
          json.object { json in
            for (reason, count) in item.reasons.sorted(by: { $0.key < $1.key }) { json.member(reason, count) }
          }
          json.member("note", item.note)
          json.member("first_at", AccessRecord.iso8601(item.firstMilliseconds))
          json.member("last_at", AccessRecord.iso8601(item.lastMilliseconds))
        }
      }
    }
    return .json(json)
  }

  /// `hide` makes the video private before it leaves the queue: a failure in between leaves it there, to be decided again.
  private func decide(_ request: APIRequest) async throws(Problem) -> APIReply {
    let service = try service()
    let values = try request.queryParameters(["decision"])
    let video = try BeaconAPI.video(of: request)
    guard let decision = values["decision"], ["keep", "hide"].contains(decision) else {
      throw .invalidParameter("\"decision\" is one of keep, hide.")
    }
    if decision == "hide" {
      let site = request.site.name
      try await request.onWorker { store throws(Problem) in
        do throws(StoreError) {
          try store.updateAsset(site: site, id: video) { (asset) throws(StoreError) in
            asset.privacy = .private
          }
        } catch { throw error.code == .notFound ? .unknown("video") : .internalError }
      }
    }
    let isKnown = try await service.ask { store throws(EngagementError) in
      try await store.settle(video: video)
    }
    guard isKnown || decision == "hide" else { throw .unknown("moderation-item") }
    service.logDecision(decision, video: video, token: request.tokenID ?? "")
    return .noContent
  }

  private static func limit(_ text: String?) throws(Problem) -> Int {
    guard let text else { return 20 }
    guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let limit = Int(text),
      (1...100).contains(limit)
    else { throw .invalidParameter("\"limit\" is a whole number from 1 to 100.") }
    return limit
  }
}

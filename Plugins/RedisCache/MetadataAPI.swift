// `/api/v1/videos/{id}/metadata`: what is known of a video, as it was given; and having it asked for again.

import HTTP
import Net
import Origin
import Store

struct MetadataAPI: Sendable {
  static let path = "/api/v1/videos/{id}/metadata"
  let plugin: RedisCachePlugin

  var routes: [APIRoute] {
    [
      APIRoute(.get, Self.path) { [plugin] request throws(Problem) in try await show(plugin, request) },
      APIRoute(.delete, Self.path) { [plugin] request throws(Problem) in try await forget(plugin, request) },
    ]
  }

  private func show(_ plugin: RedisCachePlugin, _ request: APIRequest) async throws(Problem) -> APIReply {
    let (id, cache) = try begin(plugin, request)
    var known = cache.lookup(id)
    if case .unknown = known {
      try await requireVideo(id, request)
      await cache.fetch(id)
      known = cache.lookup(id)
    }
    switch known {
    case .facts(let facts?, _):
      var json = JSONWriter()
      json.value(json: facts.json)
      return .resource(json, etag: Array("\"\(facts.digest)\"".utf8), to: request)
    case .facts(nil, _): throw .unknown("metadata")
    case .unknown, .unavailable: throw RedisCachePlugin.refusal
    }
  }

  private func forget(_ plugin: RedisCachePlugin, _ request: APIRequest) async throws(Problem) -> APIReply {
    let (id, cache) = try begin(plugin, request)
    try await requireVideo(id, request)
    do throws(RedisError) { try await cache.remove(id) } catch { throw RedisCachePlugin.unheard }
    request.logChange("metadata asked for again", id, [])
    return .noContent
  }

  private func begin(
    _ plugin: RedisCachePlugin, _ request: APIRequest
  ) throws(Problem) -> (id: String, cache: MetadataCache) {
    _ = try request.queryParameters([])
    guard let id = request.parameters["id"], AssetID.isValid(id) else { throw .unknown("video") }
    guard let cache = plugin.provisioned?.cache else { throw RedisCachePlugin.refusal }
    return (id, cache)
  }

  private func requireVideo(_ id: String, _ request: APIRequest) async throws(Problem) {
    let site = request.site.name
    let isThere = try await request.onWorker { store throws(Problem) -> Bool in
      do throws(StoreError) {
        return try store.read { (reader) throws(StoreError) in try reader.asset(site: site, id: id) != nil }
      } catch { throw .internalError }
    }
    guard isThere else { throw .unknown("video") }
  }
}

extension RedisCachePlugin {
  static let unheard = Problem(
    status: 503, code: "redis-unavailable", title: "Redis unavailable",
    detail:
      "This node asks again, but the others were not told, because Redis does not answer; try again soon.",
    fields: [.init("Retry-After", "1")])
}

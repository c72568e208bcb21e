// `/api/v1/videos`: the catalog's assets as a resource. Making them, and uploads, come in by other calls.

import HTTP
import Packaging
import Store

enum VideosAPI {
  static let path = "/api/v1/videos"

  static let routes = [
    APIRoute(.get, path) { request throws(Problem) in try await list(request) },
    // `VideoContent` answers it, and the hot table once it is made.
    APIRoute(media: "\(path)/{id}") { request, _ throws(Problem) in
      _ = try request.queryParameters([])
      return "\(path)/\(try id(of: request))"
    },
    APIRoute(
      .put, "\(path)/{id}", body: .json,
      { request throws(Problem) in try await change(request, VideoMetadata(whole: request.text)) }),
    APIRoute(
      .patch, "\(path)/{id}", body: .text(mediaTypes: [VideoMetadata.mergePatchType]),
      { request throws(Problem) in try await change(request, VideoMetadata(patch: request.text)) }),
    APIRoute(.delete, "\(path)/{id}") { request throws(Problem) in try await remove(request) },
    APIRoute(media: "\(path)/{id}/stream") { request, context throws(Problem) in
      try VideoResource.bestProgressivePath(of: try asset(request, context), in: context)
    },
    APIRoute(media: "\(path)/{id}/playlist.m3u8") { request, context throws(Problem) in
      "/v/\(try asset(request, context).id)/master.m3u8"
    },
    APIRoute(media: "\(path)/{id}/manifest.mpd") { request, context throws(Problem) in
      "/v/\(try asset(request, context).id)/manifest.mpd"
    },
    // What the two name, by relative paths.
    APIRoute(media: "\(path)/{id}/g/{generation}/{path*}") { request, context throws(Problem) in
      let (generation, rest) = (request.parameters["generation"] ?? "", request.parameters["path"] ?? "")
      guard Generation(hex: generation) != nil else { throw .notFound }
      return "/v/\(try asset(request, context).id)/g/\(generation)/\(rest)"
    },
  ]

  // MARK: Reading

  private static func list(_ request: APIRequest) async throws(Problem) -> APIReply {
    let list = try VideoList(request)
    let site = request.site
    return try await request.onWorker { store throws(Problem) in
      let page = try list.page(of: site.name, in: store)
      var json = JSONWriter()
      json.object { json in
        json.key("videos")
        json.array(page.assets) { VideoResource(asset: $1).write(to: &$0, site.api.facts, store) }
        json.member("next_cursor", page.next.map { list.cursor.text(after: $0) })
      }
      return .json(json)
    }
  }

  private static func reply(_ asset: AssetRecord, _ request: APIRequest, _ store: Store) -> APIReply {
    let resource = VideoResource(asset: asset, site: request.site)
    var json = JSONWriter()
    resource.write(to: &json, request.site.api.facts, store)
    return .resource(json, etag: resource.etag, to: request)
  }

  // MARK: Changing

  private static func change(
    _ request: APIRequest, _ metadata: VideoMetadata
  ) async throws(Problem) -> APIReply {
    _ = try request.queryParameters([])
    let id = try id(of: request)
    return try await request.onWorker { store throws(Problem) in
      var refusal: Problem?
      do throws(StoreError) {
        let changed = try store.updateAsset(site: request.site.name, id: id) { (asset) throws(StoreError) in
          do throws(Problem) {
            try request.checkChange(of: asset)
          } catch {
            refusal = error
            throw StoreError(.conflict, operation: "update asset", message: "the precondition does not hold")
          }
          metadata.apply(to: &asset)
        }
        request.logChange("changed", id, metadata.members)
        return reply(changed, request, store)
      } catch {
        throw refusal ?? problem(error)
      }
    }
  }

  private static func remove(_ request: APIRequest) async throws(Problem) -> APIReply {
    _ = try request.queryParameters([])
    let id = try id(of: request)
    let site = request.site.name
    let removed = try await request.onWorker { store throws(Problem) -> Result<APIReply, Problem> in
      do throws(StoreError) {
        // A change between the two makes the first look worthless, but for `*`, which holds for any.
        while true {
          let asset = try store.read { (reader) throws(StoreError) in try reader.asset(site: site, id: id) }
          guard let asset else { throw StoreError(.notFound, operation: "remove asset", message: "no asset") }
          do throws(Problem) {
            try request.checkChange(of: asset)
          } catch { return .failure(error) }
          do throws(StoreError) {
            try store.removeAsset(site: site, id: id, ifUpdatedMilliseconds: asset.updatedMilliseconds)
            request.logChange("removed", id, [])
            return .success(.noContent)
          } catch {
            guard error.code == .conflict else { throw error }
          }
        }
      } catch {
        throw problem(error)
      }
    }
    return try removed.get()
  }

  private static func problem(_ error: StoreError) -> Problem {
    switch error.code {
    case .notFound: .unknown("video")
    case .invalid: .invalidField("The video can't be stored so: \(error.message).")
    default: Problem(error)
    }
  }

  // MARK: Naming

  private static func id(of request: APIRequest) throws(Problem) -> String {
    guard let id = request.parameters["id"], AssetID.isValid(id) else { throw .unknown("video") }
    return id
  }

  private static func asset(
    _ request: APIRequest, _ context: ContentContext
  ) throws(Problem) -> AssetRecord {
    let id = try id(of: request)
    do throws(StoreError) {
      if let asset = try context.reader.asset(site: request.site.name, id: id) { return asset }
    } catch { throw Problem(error) }
    throw .unknown("video")
  }
}

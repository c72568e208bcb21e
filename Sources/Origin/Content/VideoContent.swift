// `GET /api/v1/videos/{id}`: one video as the API shows it.
//
// It goes the way of media: the answer is a `Representation` in the hot table, so that it is written once for each state of the
// catalog and of the site's metadata, whoever asks how often. `OriginLoop.callAnswer` has looked at the token before.

import HTTP
import Loop
import Store

struct VideoContent: ContentHandler {
  func content(for target: Target, in context: ContentContext) throws(Problem) -> ContentOutcome {
    guard case .video(let id) = target else { return .declined }
    let asset: AssetRecord?
    do throws(StoreError) { asset = try context.reader.asset(site: context.site.name, id: id) } catch {
      throw Problem(error)
    }
    guard let asset else { throw .unknown("video") }
    var resource = VideoResource(asset: asset)
    var freshSeconds: Int64?
    if let provider = context.site.pipeline.metadata {
      let lookup = provider.metadata(ofVideo: id)
      switch lookup {
      case .unknown(let load) where context.mayWait: return .awaiting(load)
      case .known(_, let seconds): freshSeconds = max(1, seconds)
      case .unknown, .unavailable: freshSeconds = 1
      }
      resource.metadata = VideoResource.Metadata(lookup)
    }
    let facts = context.site.api.facts
    let store = context.store
    if context.mayWait, let workers = context.workers, !resource.isAtHand(facts) {
      let read = resource
      // Where workers have no room the next turn, or the last one, reads by itself.
      return .awaiting { try? await workers.run { read.read(facts, store) } }
    }
    var json = JSONWriter()
    resource.write(to: &json, facts, store)
    return .representation(
      context.representation(
        AnswerInfo(site: context.site.name, kind: .api, assetID: id), contentType: "application/json",
        etag: resource.etag.dropFirst().dropLast(), lastModifiedMilliseconds: asset.updatedMilliseconds,
        slices: [.bytes(json.bytes + [0x0A])],
        validUntilSeconds: freshSeconds.map { context.nowSeconds + $0 }))
  }
}

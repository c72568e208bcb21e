// `/blob/{sha256}`: a blob by its name, for other origins and workers that hold a bearer token.

import HTTP
import Loop
import Store

/// Lets only requests with one of the site's API tokens, or with that of workers, reach `/blob/` (RFC 6750 §2.1).
struct BlobAccess: AccessHandler {
  private static let prefix: [UInt8] = Array("/blob/".utf8)

  func check(
    _ request: borrowing RequestHead, from client: () -> SocketAddress?, in site: Site
  ) -> AccessVerdict {
    let path = request.path
    guard path.count >= Self.prefix.count else { return .pass }
    for index in Self.prefix.indices where path[index] != Self.prefix[index] { return .pass }
    guard case .known = BearerToken.verdict(request, site.configuration.apiTokens, worker: site.workerToken)
    else {
      return .refuse(.unauthorized)
    }
    return .pass
  }
}

struct BlobContent: ContentHandler {
  func content(for target: Target, in context: ContentContext) throws(Problem) -> ContentOutcome {
    guard case .blob(let id) = target else { return .declined }
    let record: BlobRecord?
    do throws(StoreError) { record = try context.reader.blob(id) } catch { throw Problem(error) }
    guard let record else { throw .notFound }
    let file = try context.blob(id, sizeBytes: record.sizeBytes)
    let info = AnswerInfo(site: context.site.name, kind: .blob, isImmutable: true)
    return .representation(
      context.representation(
        info, contentType: "application/octet-stream", etag: Array(id.hex.utf8),
        lastModifiedMilliseconds: record.createdMilliseconds,
        slices: [.blob(file, offset: 0, count: file.sizeBytes)]))
  }
}

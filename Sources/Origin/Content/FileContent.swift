// `/f/{path}`: static files of a site, as `put` published them.

import Store

struct FileContent: ContentHandler {
  func content(for target: Target, in context: ContentContext) throws(Problem) -> ContentOutcome {
    guard case .file(let path) = target else { return .declined }
    let record: FileRecord?
    do throws(StoreError) {
      record = try context.reader.file(site: context.site.name, path: String(decoding: path, as: UTF8.self))
    } catch {
      throw Problem(error)
    }
    guard let record else { throw .notFound }
    let file = try context.blob(record.blob, sizeBytes: record.sizeBytes)
    let info = AnswerInfo(site: context.site.name, kind: .file)
    return .representation(
      context.representation(
        info, contentType: record.mediaType, etag: Array(record.blob.hex.utf8),
        lastModifiedMilliseconds: record.modifiedMilliseconds,
        slices: [.blob(file, offset: 0, count: file.sizeBytes)]))
  }
}

// `PUT /blob/{sha256}`: bytes for the store, under the name that they must turn out to have
//
// They go to `incoming/` and are hashed as they come. What is whole and has the right digest is a blob that nothing refers
// to yet: whoever sent it publishes it before the collector's grace time ends. Nothing of what fails stays behind.

import HTTP
import Store
import Synchronization

/// A blob on its way in.
final class BlobUpload: APIBodyStream {
  /// No disk holds so much: what ends an upload that is too long is the disk, with 507.
  private static let mostBytes: UInt64 = 1 << 48

  static let routes = [
    APIRoute(
      .put, "/blob/{sha256}", access: .tokenOrWorker,
      body: .stream(mostBytes: mostBytes) { request in BlobUpload(request.store) },
      admit: { request throws(Problem) in _ = try id(of: request) },
      { request throws(Problem) in try await put(request) })
  ]

  private let store: Store
  private let writer = Mutex<BlobWriter?>(nil)

  init(_ store: Store) { self.store = store }

  func write(_ bytes: [UInt8]) throws(Problem) {
    do throws(StoreError) { try opened().write(bytes) } catch { throw Problem(error) }
  }

  private func opened() throws(StoreError) -> BlobWriter {
    try writer.withLock { (writer) throws(StoreError) in
      if let writer { return writer }
      let made = try store.blobs.makeWriter()
      writer = made
      return made
    }
  }

  private static func id(of request: APIRequest) throws(Problem) -> BlobID {
    guard let id = request.parameters["sha256"].flatMap({ BlobID(hex: $0) }) else {
      throw .invalidParameter("A blob's name is its SHA-256: 64 lower-case hexadecimal digits.")
    }
    return id
  }

  private static func put(_ request: APIRequest) async throws(Problem) -> APIReply {
    let id = try id(of: request)
    guard case .stream(let stream, _) = request.body, let upload = stream as? BlobUpload else {
      throw .internalError
    }
    let (blob, isNew) = try await request.onWorker { store throws(Problem) in
      do throws(StoreError) {
        let isNew = try store.blobs.sizeBytes(of: id) == nil
        return (try upload.opened().finish(as: id), isNew)
      } catch { throw Problem(error) }
    }
    var json = JSONWriter()
    json.object { json in
      json.member("blob", blob.id.hex)
      json.member("size_bytes", blob.sizeBytes)
    }
    return .json(json, status: isNew ? 201 : 200)
  }
}

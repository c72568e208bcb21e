import Glibc
import HTTP
import Logging
import Loop
import Store

@testable import Origin

/// A store in a folder of its own, gone with it.
final class StoreFolder: Sendable {
  // Only its path is read, and its end is its purpose.
  private nonisolated(unsafe) let folder: ConfigFolder
  let store: Store
  var path: String { folder.path }

  /// - Parameter clockMilliseconds: how far the store's clock is from the system's.
  init(graceSeconds: Int = 3600, clockMilliseconds: Int64 = 0) throws {
    folder = try ConfigFolder()
    store = try Store(
      path: folder.path + "/storage",
      options: StoreOptions(
        graceSeconds: graceSeconds, indexMapSizeBytes: 1 << 30, indexReserveBytes: 0,
        nowMilliseconds: { Store.wallClockMilliseconds() + clockMilliseconds }))
  }

  func stage(_ bytes: [UInt8]) throws -> StagedBlob {
    let writer = try store.blobs.makeWriter()
    try writer.write(bytes)
    return try writer.finish()
  }

  /// Stores bytes and opens them as the server does.
  func blob(_ bytes: [UInt8]) throws -> BlobFile { try store.blobs.open(try stage(bytes).id) }

  @discardableResult
  func publish(file path: String, _ text: String, site: String = "default", mediaType: String = "text/plain")
    throws -> FileRecord
  {
    try store.publishFile(
      FileDraft(site: site, path: path, blob: try stage(Array(text.utf8)).id, mediaType: mediaType))
  }

  @discardableResult
  func publish(asset id: String, _ text: String, site: String = "default", reason: String? = nil) throws
    -> AssetRecord
  {
    try store.publishAsset(
      AssetDraft(
        site: site, id: id, status: .ready, source: try stage(Array(text.utf8)).id, sourceName: "\(id).bin",
        mediaType: "application/octet-stream", reason: reason))
  }
}

/// Sites and requests as the server makes them from text.
enum OriginFixture {
  static let logger = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }

  /// A site from the text of its file.
  static func siteConfiguration(
    _ text: String = "", name: String = "default", plugins: [PluginDeclaration] = []
  ) throws -> SiteConfiguration {
    let (table, problems) = SiteConfiguration.schema(plugins: plugins).decode(text: text)
    if let problem = problems.first { throw Refused(problem: problem) }
    return SiteConfiguration(table, name: name, file: nil, plugins: plugins)
  }

  static func site(_ text: String = "", name: String = "default", plugins: [any Plugin] = []) throws -> Site {
    Site(try siteConfiguration(text, name: name), number: 0, plugins: plugins)
  }

  static func configuration(_ sites: [SiteConfiguration]) -> Configuration {
    Configuration(server: .defaults, sites: sites, sources: [])
  }

  /// Parses a request head and lends it out. Lines end in CRLF; the empty one is added.
  static func withRequest<Result>(
    _ text: String, _ body: (borrowing RequestHead) throws -> Result
  ) throws -> Result {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let bytes = Array((lines.joined(separator: "\r\n") + "\r\nHost: localhost\r\n\r\n").utf8)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    defer { buffer.deallocate() }
    buffer.copyBytes(from: bytes)
    var head = RequestHead(limits: HTTPLimits())
    var progress = ParseProgress()
    let result = head.parse(UnsafeRawBufferPointer(buffer), resuming: &progress)
    guard case .complete = result else { throw NotParsed(result: result) }
    return try body(head)
  }

  struct Refused: Error { let problem: ConfigProblem }
  struct NotParsed: Error { let result: ParseResult }
}

extension ConfigRandom {
  mutating func bytes(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count { withUnsafeBytes(of: next()) { bytes.append(contentsOf: $0) } }
    bytes.removeLast(bytes.count - count)
    return bytes
  }
}

extension [BodySlice] {
  /// The bytes the slices stand for.
  func bytes() throws -> [UInt8] {
    try reduce(into: []) { all, slice in
      switch slice.source {
      case .bytes(let bytes): all += bytes[Int(slice.offset)..<Int(slice.offset + slice.count)]
      case .blob(let file): all += try file.read(offset: slice.offset, count: Int(slice.count))
      case .deferred(let body):
        all += try body.slices().cut(slice.offset, slice.offset + slice.count).bytes()
      }
    }
  }
}

extension Representation {
  /// An answer of bytes, without a store.
  static func of(
    _ slices: [BodySlice], etag: String = "tag", modifiedSeconds: Int64 = 1_700_000_000,
    validUntilSeconds: Int64? = nil
  ) -> Representation {
    Representation(
      info: AnswerInfo(site: "default", kind: .file), fields: HeaderFields(),
      contentType: Array("text/plain".utf8), etag: Array(etag.utf8), lastModifiedSeconds: modifiedSeconds,
      slices: slices, validUntilSeconds: validUntilSeconds)
  }
}

import Foundation
import Logging
import Loop
import Net
import Store
import Support
import Testing

@testable import CDNPlugin
@testable import Origin

/// Settings as they stand in a site file, and what they come to.
enum CDNFixture {
  struct Refused: Error { let problem: ConfigProblem }

  static func table(_ text: String) throws -> ConfigTable {
    let (table, problems) = CDNPlugin.declaration.settings.decode(
      text: text, environment: ["TOKEN": "t0ken", "SECRET": "SOMESECRET", "ACCESS": "akab-access-token-xxx"])
    if let problem = problems.first { throw Refused(problem: problem) }
    return table
  }

  static func config(_ text: String) throws -> CDNConfig { try CDNConfig(table(text), site: "demo") }

  /// The one edge of an entry with these keys.
  static func edge(_ vendor: String, _ more: String = "") throws -> Edge {
    try #require(
      config(
        """
        [[edges]]
        name = "e"
        vendor = "\(vendor)"
        urls = ["https://media.example.com"]
        \(more)
        """
      ).edges.first)
  }

  static func entry(_ kind: EdgeTask.Kind, _ name: String = "", sequence: UInt64 = 1) throws
    -> EdgeQueue.Entry
  {
    EdgeQueue.Entry(
      edge: "e", lane: .purge, sequence: sequence, version: 1, sinceMilliseconds: 0, queuedMilliseconds: 0,
      attempts: 0,
      task: try #require(EdgeTask(kind, name)), error: "")
  }

  static let moment = CallMoment(seconds: 1_767_225_600, nonce: "nonce-xx-xx-xx-xx")

  /// Method, URL, fields and body of a request, a line each.
  static func text(_ request: HTTPRequest) -> String {
    var lines = ["\(request.method) \(request.url)"] + request.fields.map { "\($0.name): \($0.value)" }
    if let body = request.body { lines.append(String(decoding: body, as: UTF8.self)) }
    return lines.joined(separator: "\n")
  }
}

/// An empty store in a folder of its own, which goes with the last reference.
final class StoreFixture: Sendable {
  let store: Store
  let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder("cdn")
    store = try Store(
      path: folder.path("storage"), options: StoreOptions(indexMapSizeBytes: 1 << 30, indexReserveBytes: 0))
  }

  func stage(_ text: String) throws -> BlobID {
    let writer = try store.blobs.makeWriter()
    try writer.write(Array(text.utf8))
    return try writer.finish().id
  }

  @discardableResult
  func publish(_ id: String, _ text: String, renditions: [String] = ["source"], privacy: Privacy = .public)
    throws -> AssetRecord
  {
    let blob = try stage(text)
    return try store.publishAsset(
      AssetDraft(
        site: "demo", id: id, privacy: privacy, status: .ready, source: blob,
        renditions: renditions.map { RenditionRecord(name: $0, kind: .video, blob: blob) }))
  }

  func events(after sequence: UInt64 = 0) throws -> [Event] { try store.events(after: sequence, limit: 100) }

  /// A host of a plugin on a loop of its own, until `body` has ended.
  func withHost<Value>(_ body: (PluginHost) async throws -> Value) async throws -> Value {
    ignoreSIGPIPE()
    let threads = try LoopThreads(count: 1)
    let workers = try WorkerPool(threadCount: 2)
    defer {
      threads.stopAndJoin()
      workers.shutdown()
    }
    return try await body(
      PluginHost(
        site: "demo", store: store, workers: workers, loop: threads.loops[0],
        logger: Logger(label: "cdn") { _ in SwiftLogNoOpLogHandler() }))
  }
}

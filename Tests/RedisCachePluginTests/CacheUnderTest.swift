import Foundation
import Logging
import Loop
import Net
import Origin
import Support
import Synchronization

@testable import RedisCachePlugin

/// A source that counts, and answers as it is told.
final class CountingSource: MetadataSource {
  enum Answer: Sendable {
    case facts(String)
    case missing
    case failure
  }

  let name = "source"
  private struct State {
    var answer: Answer
    var loads = 0
    var isHeld = false
    var held: [CheckedContinuation<Void, Never>] = []
  }
  private let state: Mutex<State>

  init(_ answer: Answer = .facts(#"{"title":"one"}"#)) { state = Mutex(State(answer: answer)) }

  var loads: Int { state.withLock { $0.loads } }
  var waiting: Int { state.withLock { $0.held.count } }
  func answer(_ answer: Answer) { state.withLock { $0.answer = answer } }
  /// From now on loads wait for `release`.
  func hold() { state.withLock { $0.isHeld = true } }

  func release() {
    let held = state.withLock { state in
      defer { state.held = [] }
      state.isHeld = false
      return state.held
    }
    for continuation in held { continuation.resume() }
  }

  nonisolated(nonsending) func load(_ id: String) async throws(MetadataSourceError) -> VideoFacts? {
    // What is asked for is what is true at the begin.
    let answer = state.withLock { state in
      state.loads += 1
      return state.answer
    }
    await withCheckedContinuation { continuation in
      let isHeld = state.withLock { state in
        if state.isHeld { state.held.append(continuation) }
        return state.isHeld
      }
      if !isHeld { continuation.resume() }
    }
    switch answer {
    case .facts(let json): return try VideoFacts(upstream: Array(json.utf8))
    case .missing: return nil
    case .failure: throw MetadataSourceError(description: "told to")
    }
  }

  func facts(stored text: [UInt8]) throws(MetadataSourceError) -> VideoFacts {
    try VideoFacts(upstream: text)
  }
}

/// Caches as several processes have them, in front of one source and one Redis.
///
/// - Parameters:
///   - settings: lines of `[plugins.redis]`.
///   - nodes: how many.
func withCaches(
  _ url: String, _ source: CountingSource, settings: String = "", nodes: Int = 1,
  _ body: ([MetadataCache]) async throws -> Void
) async throws {
  ignoreSIGPIPE()
  let threads = try LoopThreads(count: 1)
  let workers = try WorkerPool(threadCount: 1)
  // A machine without time must not look like a Redis without time, where that is not what is tested.
  let times = settings.contains("command_timeout") ? "" : "command_timeout = \"500ms\"\n"
  let (table, problems) = RedisCachePlugin.declaration.settings.decode(
    text: "url = \"\(url)\"\n\(times)\(settings)\n")
  if let problem = problems.first { throw SupportError("\(problem)") }
  guard let configuration = RedisSettings.configuration(table) else { throw SupportError("no Redis") }
  let config = RedisCacheConfig(table, site: "demo")
  var clients: [RedisClient] = []
  let caches = (0..<nodes).map { _ in
    let client = RedisClient(loop: threads.loops[0], workers: workers, configuration: configuration)
    clients.append(client)
    return MetadataCache(
      config, RedisShelf(client: client, config: config), source, on: threads.loops[0],
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }
  let result: Result<Void, any Error>
  do { result = .success(try await body(caches)) } catch { result = .failure(error) }
  source.release()
  for client in clients { client.close() }
  workers.shutdown()
  threads.stopAndJoin()
  try result.get()
}

extension MetadataCache {
  /// The JSON that is known now; `null` where the video is known not to be.
  func json(_ id: String = "film") -> String? {
    switch lookup(id) {
    case .facts(let facts?, _): String(decoding: facts.json, as: UTF8.self)
    case .facts(nil, _): "null"
    case .unknown, .unavailable: nil
    }
  }

  /// Waits for what `lookup` comes to.
  func becomes(_ json: String, _ id: String = "film") async -> Bool {
    await eventually { self.json(id) == json }
  }
}

import Loop
import Net
import Store
import Support
import Testing

@testable import EngagementPlugin
@testable import Origin

/// A store of its own, of either kind, with what it needs.
final class EngagementBench: Sendable {
  enum Kind: String, CaseIterable, CustomTestStringConvertible {
    case memory
    case redis
    var testDescription: String { rawValue }
  }

  let store: any EngagementStore
  /// nil of the one in memory.
  let server: RedisServer?
  private let threads: LoopThreads
  private let workers: WorkerPool
  /// Where answers of Redis arrive: what is asked here is not held up by tests that fill the pool.
  var loop: EventLoop { threads.loops[0] }

  init(
    _ kind: Kind, times: EngagementConfig.Times = EngagementConfig.Times(), options: [String] = []
  ) throws {
    ignoreSIGPIPE()
    threads = try LoopThreads(count: 1)
    workers = try WorkerPool(threadCount: 1)
    switch kind {
    case .memory:
      server = nil
      store = MemoryEngagementStore(times: times)
    case .redis:
      let server = try RedisServer(options)
      self.server = server
      // Longer than the plugin's own: the machine may be busy.
      var configuration = try RedisConfiguration(url: server.url)
      configuration.commandTimeoutMilliseconds = 20_000
      let client = RedisClient(loop: threads.loops[0], workers: workers, configuration: configuration)
      store = RedisEngagementStore(client: client, keys: EngagementKeys(prefix: ""), times: times)
    }
  }

  deinit {
    store.close()
    workers.shutdown()
    threads.stopAndJoin()
  }
}

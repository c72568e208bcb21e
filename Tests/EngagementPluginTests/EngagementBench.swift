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
    /// Redis behind a sentinel, and two nodes of a cluster.
    case sentinel
    case cluster

    /// Those that start quickly; the others join in the long form, and in a test of their own.
    static var usual: [Kind] { Torture.isLong ? allCases : [.memory, .redis] }

    var testDescription: String { rawValue }
  }

  let store: any EngagementStore
  /// nil of the one in memory.
  let server: RedisServer?
  private let others: [any Sendable]
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
      others = []
      store = MemoryEngagementStore(times: times)
    case .redis, .sentinel, .cluster:
      let nodes = kind == .cluster ? try RedisServer.cluster() : [try RedisServer(options)]
      server = nodes[0]
      var url = nodes[0].url
      if kind == .sentinel {
        let sentinel = try RedisSentinel(of: nodes[0])
        others = [sentinel]
        url = "redis-sentinel://127.0.0.1:\(sentinel.port)/mymaster"
      } else {
        others = nodes
        if kind == .cluster { url = "redis-cluster://127.0.0.1:\(nodes[0].port)" }
      }
      // Longer than the plugin's own: the machine may be busy.
      var configuration = try RedisConfiguration(url: url)
      configuration.commandTimeoutMilliseconds = 20_000
      let client = RedisClient(loop: threads.loops[0], workers: workers, configuration: configuration)
      store = RedisEngagementStore(
        client: client, keys: EngagementKeys(prefix: kind == .cluster ? "{headwater:demo}:" : ""),
        times: times)
    }
  }

  deinit {
    store.close()
    workers.shutdown()
    threads.stopAndJoin()
  }
}

// `headwater worker`: the workers of a process that serves nothing. It provisions the plugins of all sites for the sake of their
// job handlers; their `run()` and the catalog's events belong to the server.
//
//                         on the machine of the store        elsewhere ([jobs] origin)
//     store               the store                          one of its own, without a catalog
//     queue               in the store, or Redis             Redis
//     sources, results    in the store                       from and to the origin (OriginJobStorage.swift)
//     ends of jobs        applied here                       told to the origin, which applies them

import Glibc
public import Logging
import Loop
import Net
public import Store
import Synchronization

/// Does background work until SIGTERM. Make it, `run()` it; it returns when the process may exit.
public final class Worker: Sendable {
  private let configuration: Configuration
  private let store: Store
  private let logger: Logger
  private let plugins: PluginSet
  private let threads: LoopThreads
  private let pool: WorkerPool
  private let queue: any JobQueue
  private var hasStore: Bool { configuration.server.jobs.originURL == nil }
  private let runner: JobRunner

  /// The folder of the store that a worker has to itself where the origin is elsewhere.
  public static func folder(of configuration: Configuration) -> String {
    let storage = configuration.server.storage
    return configuration.server.jobs.originURL == nil ? storage : storage + "/worker"
  }

  /// - Parameter store: that in `folder(of:)`.
  /// - Throws: `WorkerError` for settings that do not go together, and what keeps threads from starting.
  public init(
    _ configuration: Configuration, registry: PluginRegistry, store: Store, logger: Logger
  ) throws {
    self.configuration = configuration
    self.store = store
    self.logger = logger
    ignoreSIGPIPE()
    DescriptorLimit.raise()
    let settings = configuration.server.jobs
    // Results are read from the disk on the loop that sends them: the queue has one that does not wait for that.
    threads = try LoopThreads(count: settings.originURL == nil ? 1 : 2)
    let pool = try WorkerPool(threadCount: configuration.server.workerThreads)
    self.pool = pool
    plugins = try PluginSet(configuration, registry)
    let disk = JobDisk(budgetBytes: UInt64(settings.diskBytes))
    let storage: any JobStorage
    let end: RedisJobQueue.End
    if let url = settings.originURL {
      let origin = try Self.origin(url, settings, loop: threads.loops[1], logger)
      storage = OriginJobStorage(
        origin: origin, store: store, workers: pool, disk: disk, cacheBytes: UInt64(settings.sourceCacheBytes)
      )
      end = .elsewhere { (id, fence, result) throws(JobQueueError) in
        try await origin.finish(id, fence: fence, result)
      }
    } else {
      storage = StoreJobStorage(store: store, workers: pool, disk: disk)
      let effects = JobEffects(store: store, workers: pool, configuration)
      end = .here { (job, result) throws(JobQueueError) in try await effects.apply(result, of: job) }
    }
    queue = settings.openQueue(workers: pool, loop: threads.loops[0], end: end) { store }
    runner = JobRunner(
      queue: queue, storage: storage, settings: JobProcessSettings(settings), logger: logger)
  }

  private static func origin(
    _ url: String, _ settings: ServerConfiguration.Jobs, loop: EventLoop, _ logger: Logger
  ) throws(WorkerError) -> OriginClient {
    guard settings.queueURL != nil else {
      throw WorkerError(
        "a worker with an origin needs the queue that the origin has: --queue redis://… or [jobs] queue")
    }
    guard let token = settings.workerToken else {
      throw WorkerError("a worker with an origin needs its token: [jobs] worker_token_file")
    }
    if url.hasPrefix("http://") {
      logger.warning(
        "the origin is asked without TLS: the worker's token and all media can be read on the way")
    }
    var options = HTTPClient.Options()
    // The operator says where the origin is.
    options.addresses = .publicAndPrivate
    options.certificateAuthoritiesPath = settings.originAuthoritiesPath
    return OriginClient(
      url: url, token: token, client: HTTPClient(loop: loop, options: options), logger: logger)
  }

  /// Works until SIGTERM or SIGINT.
  ///
  /// - Parameters:
  ///   - drains: also ends when there is nothing to claim and nothing under way.
  ///   - kinds: of jobs that are done; nil is all that the plugins of the sites can do.
  ///   - announce: called once with a line when it works.
  public func run(workers: Int, drains: Bool, kinds: Set<String>? = nil, announce: (String) -> Void) throws {
    let finished = Semaphore()
    let loop = threads.loops[0]
    try Server.wait { [self] () async throws(PluginError) in
      try await plugins.provision(on: loop, store: store, workers: pool, jobs: queue, logger: logger)
    }
    let able = plugins.jobHandlers.filter { hasStore || !$0.handler.needsStore }
    let handlers = able.filter { kinds?.contains($0.handler.kind) ?? true }
    if let kinds {
      let known = Set(able.map(\.handler.kind))
      if let unknown = kinds.subtracting(known).sorted().first {
        throw WorkerError(
          "no site has a plugin that does \(unknown); there are: \(known.sorted().joined(separator: ", "))")
      }
    }
    runner.use(handlers)
    // Who is told that it works may ask it to end at once.
    let isWatching = Semaphore()
    loop.execute { [self] in
      watch(loop, finished)
      isWatching.signal()
    }
    isWatching.wait()
    runner.start(workers: workers, drains: drains)
    if drains {
      Task.detached { [runner] in
        await runner.finish()
        finished.signal()
      }
    }
    announce("works with \(workers) at a time")
    finished.wait()
    Server.wait { [self] () async throws(Never) in
      await runner.stop()
      await plugins.stop()
    }
    threads.stopAndJoin()
    pool.shutdown()
    logger.notice("stopped")
  }

  /// Signals and upkeep, on the loop.
  private func watch(_ loop: EventLoop, _ finished: Semaphore) {
    let (store, queue, logger, pool) = (store, queue, logger, pool)
    let settings = configuration.server.jobs
    let retention = Int64(settings.retentionMilliseconds)
    // Of the many that there may be elsewhere none looks after the queue.
    let keepsQueue = settings.queueURL != nil && settings.originURL == nil
    let isEnding = Atomic<Bool>(false)
    let end: @Sendable () -> Void = {
      // What was under way is taken back as that of a dead process.
      if isEnding.exchange(true, ordering: .relaxed) { _exit(1) }
      finished.signal()
    }
    do throws(LoopError) {
      for signal in [SIGTERM, SIGINT] { _ = try SignalSource(loop: loop, signal: signal, handler: end) }
    } catch {
      logger.warning("signals end this process at once: \(error)")
    }
    loop.schedule(afterMilliseconds: 60_000, repeatMilliseconds: 60_000) {
      let upkeep: @Sendable () -> String? = {
        do throws(StoreError) {
          try store.maintain()
          try store.purgeJobs(olderThanMilliseconds: retention)
          return nil
        } catch { return "\(error)" }
      }
      _ = pool.submit(upkeep, on: loop) { problem in
        if let problem { logger.error("store upkeep: \(problem)") }
      }
      guard keepsQueue else { return }
      Task.detached {
        do throws(JobQueueError) { try await queue.purge(olderThanMilliseconds: retention) } catch {
          logger.error("upkeep of the job queue: \(error)")
        }
      }
    }
  }
}

/// Why a worker does not start: one sentence that says what to change.
public struct WorkerError: Error, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

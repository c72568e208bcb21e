// `headwater worker`: the workers of a process that serves nothing. It provisions the plugins of all sites for the sake of their
// job handlers; their `run()` and the catalog's events belong to the server.

import Glibc
public import Logging
import Loop
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
  private let runner: JobRunner

  public init(
    _ configuration: Configuration, registry: PluginRegistry, store: Store, logger: Logger
  ) throws {
    self.configuration = configuration
    self.store = store
    self.logger = logger
    ignoreSIGPIPE()
    DescriptorLimit.raise()
    let settings = configuration.server.jobs
    threads = try LoopThreads(count: 1)
    pool = try WorkerPool(threadCount: configuration.server.workerThreads)
    plugins = try PluginSet(configuration, registry)
    queue = EmbeddedJobQueue(store: store, workers: pool)
    runner = JobRunner(
      queue: queue,
      storage: StoreJobStorage(
        store: store, workers: pool, disk: JobDisk(budgetBytes: UInt64(settings.diskBytes))),
      settings: JobProcessSettings(settings), logger: logger)
  }

  /// Works until SIGTERM or SIGINT.
  ///
  /// - Parameters:
  ///   - drains: also ends when there is nothing to claim and nothing under way.
  ///   - announce: called once with a line when it works.
  public func run(workers: Int, drains: Bool, announce: (String) -> Void) throws {
    let finished = Semaphore()
    let loop = threads.loops[0]
    try Server.wait { [self] in
      try await plugins.provision(on: loop, store: store, workers: pool, jobs: queue, logger: logger)
    }
    runner.use(plugins.jobHandlers)
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
    try Server.wait { [self] in
      await runner.stop()
      await plugins.stop()
    }
    threads.stopAndJoin()
    pool.shutdown()
    logger.notice("stopped")
  }

  /// Signals and upkeep, on the loop.
  private func watch(_ loop: EventLoop, _ finished: Semaphore) {
    let (store, logger, pool) = (store, logger, pool)
    let retention = Int64(configuration.server.jobs.retentionMilliseconds)
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
    }
  }
}

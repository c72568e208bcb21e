// The server: loops, listeners, sites, plugins, and the changes of its life
//
//   start     provision plugins, open every listener on every loop or adopt those that were handed over
//             (InheritedListeners.swift), print the addresses, serve
//   SIGHUP    a worker reads the configuration; if it is sound its plugins are provisioned and each loop
//             changes over between two requests. If not, the one in force stays and the log says why.
//             Addresses, threads and storage are read at start only.
//   SIGUSR2   a rolling restart: start the program anew with the listening sockets (Successor.swift). Once the
//             new process serves this one drains; if it does not come to that, this one goes on.
//   SIGTERM   stop accepting, let answers finish within the drain time, stop plugins, exit 0. SIGINT does the
//             same, and ends at once when it comes again.
//
// While it drains a server cuts no connection that a client may be about to use: the next answer on it says
// `Connection: close`, and only what stays idle for the grace time is closed.

import Glibc
import HTTP
public import Logging
import Loop
public import Store
import Synchronization

/// What all loops share. Constant but for what is locked or atomic.
final class ServerState: Sendable {
  let store: Store
  let workers: WorkerPool
  let jobs: any JobQueue
  let logger: Logger
  let connectionLimit: Int
  let addressLimits = AddressLimits()
  let refusals = RecentRefusals()
  let startedSeconds: Int64
  let counters: [LoopCounters]
  private let waiting: Mutex<(loops: Int, drained: @Sendable () -> Void)>
  let isDraining = Atomic<Bool>(false)
  /// They outlive a reload, as sessions do.
  let ticketKeys = TLSTicketKeys()
  /// What the workers of this process have done; nil where it has none.
  let jobMeasures: JobMeasures?
  let jobFigures = JobFigures()

  init(
    store: Store, workers: WorkerPool, logger: Logger, connectionLimit: Int, counters: [LoopCounters],
    startedSeconds: Int64, jobs: (any JobQueue)? = nil, jobMeasures: JobMeasures? = nil,
    drained: @escaping @Sendable () -> Void
  ) {
    self.jobMeasures = jobMeasures
    self.store = store
    self.workers = workers
    self.jobs = jobs ?? EmbeddedJobQueue(store: store, workers: workers)
    self.logger = logger
    self.connectionLimit = connectionLimit
    self.counters = counters
    self.startedSeconds = startedSeconds
    waiting = Mutex((counters.count, drained))
  }

  /// One loop's part of something the configuration gives to the whole process.
  func share(_ whole: Int) -> Int { whole / max(1, counters.count) }

  func loopDrained(_ loop: EventLoop) {
    let drained = waiting.withLock { waiting in
      waiting.loops -= 1
      return waiting.loops == 0 ? waiting.drained : nil
    }
    drained?()
  }
}

/// An origin server. Make it, `run()` it; it returns when the process may exit.
public final class Server: Sendable {
  private let configurationPath: String?
  private let launch: Successor.Launch
  private let notification: ServiceNotification
  private let registry: PluginRegistry
  private let store: Store
  private let logger: Logger
  private let threads: LoopThreads
  private let state: ServerState
  private let finished: Semaphore
  private let jobs: any JobQueue
  private let jobEffects: JobEffects
  /// For commits and for hashing what jobs have made, which must not keep cold reads waiting.
  private let jobWorkers: WorkerPool
  /// nil where this process does no background work.
  private let runner: JobRunner?
  private let inForce: Mutex<InForce>

  private struct InForce {
    var snapshot: Snapshot
    var plugins: PluginSet
    var isReloading = false
    var reloadAgain = false
  }

  /// The rolling restart under way.
  private struct Restart {
    var thread: NamedThread?
    /// A process that does not serve yet.
    var starting: pid_t?
  }
  private let restart = Mutex(Restart())

  /// Prepares everything that can fail before the first listener opens.
  ///
  /// - Parameters:
  ///   - arguments: how the process was started, the program's path first; a rolling restart starts it in the same way.
  ///   - environment: the process's variables, which also say what sockets it was handed.
  public init(
    _ configuration: Configuration, path: String?, arguments: [String], environment: [String: String],
    registry: PluginRegistry, store: Store, logger: Logger
  ) throws {
    configurationPath = path
    launch = Successor.Launch(arguments: arguments, environment: environment)
    notification = ServiceNotification(environment: environment)
    self.registry = registry
    self.store = store
    self.logger = logger
    ignoreSIGPIPE()
    // Every connection and open blob is a descriptor.
    DescriptorLimit.raise()
    let server = configuration.server
    let count = server.threads == 0 ? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))) : server.threads
    threads = try LoopThreads(count: max(1, count))
    let finished = Semaphore()
    self.finished = finished
    // Where processors are short, loops go first: refusals and what needs no worker stay quick.
    let workers = try WorkerPool(threadCount: server.workerThreads, niceness: 5)
    let jobWorkers = try WorkerPool(threadCount: 2)
    self.jobWorkers = jobWorkers
    let effects = JobEffects(store: store, workers: jobWorkers, configuration)
    jobEffects = effects
    let queue = server.jobs.openQueue(
      workers: jobWorkers, loop: threads.loops[0],
      end: .here { (job, result) throws(JobQueueError) in try await effects.apply(result, of: job) }
    ) { store }
    jobs = queue
    runner = server.jobs.workers.map { _ in
      JobRunner(
        queue: queue,
        storage: StoreJobStorage(
          store: store, workers: jobWorkers, disk: JobDisk(budgetBytes: UInt64(server.jobs.diskBytes))),
        settings: JobProcessSettings(server.jobs), logger: logger)
    }
    state = ServerState(
      store: store, workers: workers, logger: logger,
      connectionLimit: max(1, server.limits.connections / max(1, count)),
      counters: threads.loops.map { _ in LoopCounters() }, startedSeconds: Int64(time(nil)),
      jobs: jobs, jobMeasures: runner?.measures, drained: { finished.signal() })
    let plugins = try PluginSet(configuration, registry)
    let log = try Self.accessLog(configuration)
    let tls = try TLSHosts(configuration)
    let snapshot = Self.snapshot(configuration, plugins, log, tls, outgoing: threads.loops[0], logger)
    inForce = Mutex(InForce(snapshot: snapshot, plugins: plugins))
    state.ticketKeys.inherit(from: environment)
  }

  /// Serves until SIGTERM or SIGINT and a drain.
  ///
  /// - Parameter announce: called once with a line for each listener when all of them accept.
  public func run(announce: @escaping @Sendable (String) -> Void) throws {
    let (snapshot, plugins) = inForce.withLock { ($0.snapshot, $0.plugins) }
    try Self.wait { [self] in
      try await plugins.provision(
        on: threads.loops[0], store: store, workers: state.workers, jobs: jobs, logger: logger)
    }
    let hosts = try LoopHosts(threads: threads, state: state, snapshot: snapshot)
    var inherited = try InheritedListeners(environment: launch.environment)
    let lines = try hosts.listen(snapshot.configuration.server, &inherited)
    plugins.start(on: threads.loops[0], store: store, workers: state.workers, jobs: jobs, logger: logger)
    runner?.use(plugins.jobHandlers)
    runner?.start(workers: snapshot.configuration.server.jobs.workers ?? 0)
    try hosts.onSignals(
      reload: { [self] in reload(hosts) },
      restart: { [self] in startSuccessor(hosts) },
      terminate: { [self] in terminate(hosts) },
      interrupt: { [self] in if !terminate(hosts) { finished.signal() } },
      everyMinute: { [self] in maintain() })
    for line in lines { announce(line) }
    // The process before tells the service manager who serves now.
    if inherited.ready == nil { notification.send(.ready) }
    inherited.sayReady()
    finished.wait()
    let last = inForce.withLock { $0.plugins }
    Self.wait { [runner] () async throws(Never) in
      await runner?.stop()
      await last.stop()
    }
    hosts.closeAll()
    threads.stopAndJoin()
    restart.withLock { $0.thread }?.join()
    jobWorkers.shutdown()
    state.workers.shutdown()
    inForce.withLock { $0.snapshot.accessLog }?.close()
    logger.notice("stopped")
  }

  // MARK: Ending

  /// False where the end has begun before.
  @discardableResult
  private func terminate(_ hosts: LoopHosts) -> Bool {
    guard drain(hosts, keepsAdmin: true) else { return false }
    notification.send(.stopping)
    // Whoever stops the service does not want it to go on in a process that is only starting.
    restart.withLock { if let id = $0.starting, id > 0 { kill(id, SIGTERM) } }
    return true
  }

  private func drain(_ hosts: LoopHosts, keepsAdmin: Bool) -> Bool {
    guard !state.isDraining.exchange(true, ordering: .relaxed) else { return false }
    logger.notice("draining")
    let (server, plugins) = inForce.withLock { ($0.snapshot.configuration.server, $0.plugins) }
    plugins.stopFollowing()
    // What is still under way at the end is given back.
    runner?.stopClaiming()
    let finished = finished
    hosts.drain(
      keepsAdmin: keepsAdmin, graceMilliseconds: UInt64(server.drainGraceMilliseconds),
      timeoutMilliseconds: UInt64(server.drainTimeoutMilliseconds), timedOut: { finished.signal() })
    return true
  }

  // MARK: Rolling restart

  /// How long a new process may take until it serves.
  private static let successorMilliseconds: Int32 = 60_000

  private func startSuccessor(_ hosts: LoopHosts) {
    restart.withLock { restart in
      guard restart.starting == nil, !state.isDraining.load(ordering: .relaxed) else {
        return logger.warning("a rolling restart or the end is under way: SIGUSR2 is ignored")
      }
      // Of a restart that has failed.
      restart.thread?.join()
      // Any id but that of a process: what the thread below replaces.
      restart.starting = 0
      do throws(LoopError) {
        restart.thread = try NamedThread(name: "hw-restart") { [self] in handOver(hosts) }
      } catch {
        restart.starting = nil
        logger.error("rolling restart: \(error)")
      }
    }
  }

  /// Starts the new process and waits until it serves; runs on a thread of its own.
  private func handOver(_ hosts: LoopHosts) {
    notification.send(.reloading)
    var outcome = Successor.Outcome.failed("")
    do {
      let listeners = try hosts.duplicateListeners()
      defer { for descriptor in listeners.flatMap(\.descriptors) { close(descriptor) } }
      let ticketKeys = state.ticketKeys.handOver()
      defer { if let ticketKeys { close(ticketKeys) } }
      let successor = try Successor(launch, listeners, ticketKeys: ticketKeys)
      logger.notice("rolling restart: process \(successor.id) starts")
      restart.withLock {
        $0.starting = successor.id
        // The end has begun while it was started.
        if state.isDraining.load(ordering: .relaxed) { kill(successor.id, SIGTERM) }
      }
      outcome = successor.wait(milliseconds: Self.successorMilliseconds) {
        restart.withLock { $0.starting = nil }
      }
      if outcome == .serves {
        logger.notice("rolling restart: process \(successor.id) serves")
        notification.send(.handedOver(to: successor.id))
        _ = drain(hosts, keepsAdmin: false)
      }
    } catch {
      outcome = .failed("\(error)")
    }
    restart.withLock { $0.starting = nil }
    if case .failed(let reason) = outcome {
      notification.send(.ready)
      logger.error("rolling restart failed, this process goes on: \(reason)")
    }
  }

  // MARK: Changes

  /// Reads the configuration again. One reload at a time; a signal during one asks for another after it.
  private func reload(_ hosts: LoopHosts) {
    guard !state.isDraining.load(ordering: .relaxed) else { return }
    let starts = inForce.withLock { state in
      state.reloadAgain = state.isReloading
      defer { state.isReloading = true }
      return !state.isReloading
    }
    guard starts else { return }
    Task.detached { [self] in
      notification.send(.reloading)
      await reloadOnce(hosts)
      notification.send(.ready)
      let again = inForce.withLock { state in
        state.isReloading = false
        defer { state.reloadAgain = false }
        return state.reloadAgain
      }
      if again { reload(hosts) }
    }
  }

  private func reloadOnce(_ hosts: LoopHosts) async {
    let result = Configuration.load(
      path: configurationPath, plugins: registry.declarations, environment: launch.environment)
    guard let configuration = result.configuration else {
      for problem in result.problems { logger.error("configuration refused: \(problem)") }
      return
    }
    let old = inForce.withLock { $0 }
    do {
      let plugins = try PluginSet(configuration, registry)
      let tls = try TLSHosts(configuration)
      let isSameLog =
        old.snapshot.configuration.server.log == configuration.server.log && old.snapshot.accessLog != nil
      // Opened before the plugins are provisioned, so that no provisioned plugin is left without its end.
      let log = isSameLog ? old.snapshot.accessLog : try Self.accessLog(configuration)
      do {
        try await plugins.provision(
          on: threads.loops[0], store: store, workers: state.workers, jobs: jobs, logger: logger)
      } catch {
        if !isSameLog { log?.close() }
        throw error
      }
      let snapshot = Self.snapshot(configuration, plugins, log, tls, outgoing: threads.loops[0], logger)
      inForce.withLock {
        $0.snapshot = snapshot
        $0.plugins = plugins
      }
      jobEffects.use(configuration)
      await hosts.apply(snapshot)
      plugins.start(on: threads.loops[0], store: store, workers: state.workers, jobs: jobs, logger: logger)
      runner?.use(plugins.jobHandlers)
      await old.plugins.stop()
      if isSameLog { log?.reopen() } else { old.snapshot.accessLog?.close() }
      logger.notice("configuration reloaded")
    } catch {
      logger.error("configuration refused: \(error)")
    }
  }

  /// Events that every plugin has seen are kept this long, for those that come later.
  private static let eventAgeMilliseconds: Int64 = 7 * 24 * 3600 * 1000

  private func maintain() {
    let store = store
    let logger = logger
    let (settings, retention) = inForce.withLock {
      ($0.snapshot.configuration.server.store, $0.snapshot.configuration.server.jobs.retentionMilliseconds)
    }
    let maintain: @Sendable () -> String? = {
      do throws(StoreError) {
        try store.maintain()
        if settings.snapshotIntervalMilliseconds > 0 {
          _ = try store.takeSnapshotIfDue(
            everyMilliseconds: settings.snapshotIntervalMilliseconds, keeping: settings.snapshotsKept)
        }
        _ = try store.trimEvents(olderThanMilliseconds: Self.eventAgeMilliseconds)
        // Also what an end of a job of another queue has left.
        _ = try store.purgeJobs(olderThanMilliseconds: Int64(retention))
        return nil
      } catch { return "\(error)" }
    }
    let accepted = state.workers.submit(maintain, on: threads.loops[0]) { problem in
      if let problem { logger.error("store upkeep: \(problem)") }
    }
    if !accepted { logger.warning("store upkeep is put off: the workers have no room") }
    guard inForce.withLock({ $0.snapshot.configuration.server.jobs.queueURL }) != nil else { return }
    Task.detached { [jobs] in
      do throws(JobQueueError) { try await jobs.purge(olderThanMilliseconds: Int64(retention)) } catch {
        logger.error("upkeep of the job queue: \(error)")
      }
    }
  }

  // MARK: Making

  /// - Parameter outgoing: the loop on which others are asked.
  private static func snapshot(
    _ configuration: Configuration, _ plugins: PluginSet, _ log: AccessLog?, _ tls: TLSHosts?,
    outgoing: EventLoop, _ logger: Logger
  ) -> Snapshot {
    let sites = configuration.sites.enumerated().map { number, site in
      Site(
        site, number: number, plugins: plugins.plugins(of: site.name),
        keyService: KeyService(of: site, loop: outgoing, logger: logger),
        workerToken: configuration.server.jobs.workerToken)
    }
    return Snapshot(
      configuration: configuration, sites: SiteTable(sites), accessLog: log, tls: tls)
  }

  private static func accessLog(_ configuration: Configuration) throws -> AccessLog? {
    let log = configuration.server.log
    switch log.access {
    case .off: return nil
    case .json: return try AccessLog(path: log.accessPath, format: .json)
    case .combined: return try AccessLog(path: log.accessPath, format: .combined)
    }
  }

  /// Runs async work from a thread that is not a loop's and waits for its end.
  @discardableResult
  static func wait<Value: Sendable, Failure: Error>(
    _ work: @escaping @Sendable () async throws(Failure) -> Value
  ) throws(Failure) -> Value {
    let done = Semaphore()
    let outcome = Outcome<Value, Failure>()
    Task.detached {
      do throws(Failure) { outcome.set(.success(try await work())) } catch { outcome.set(.failure(error)) }
      done.signal()
    }
    done.wait()
    return try outcome.get()
  }

  private final class Outcome<Value: Sendable, Failure: Error>: Sendable {
    private let result = Mutex<Result<Value, Failure>?>(nil)

    func set(_ result: Result<Value, Failure>) { self.result.withLock { $0 = result } }

    func get() throws(Failure) -> Value {
      guard let result = result.withLock({ $0 }) else { preconditionFailure("asked before the end") }
      return try result.get()
    }
  }
}

// The plugin instances of one configuration, from decoding to shutting down.

public import Logging
public import Loop
public import Store
import Synchronization

/// What a plugin may use while it lives.
public struct PluginHost: Sendable {
  public let site: String
  public let store: Store
  /// For whatever blocks.
  public let workers: WorkerPool
  /// For requests to other servers: `HTTPClient(loop: host.loop)`. Handlers run on this loop and on others.
  public let loop: EventLoop
  /// For work that takes long and has to be done whatever happens; see `JobProvider`.
  public let jobs: any JobQueue
  public let logger: Logger
  /// The site's segment length, for which packaging indexes are cut.
  public let segmentMilliseconds: UInt32
  /// Makes URLs that the site answers where it asks for tokens; nil where it has no keys of its own.
  public let signer: URLSigner?
  /// Whether the site asks for a token, be it for some of its paths only.
  public let needsTokens: Bool
  /// What the site's plugins know of what is watched most; nil where none does.
  public let trending: (any TrendingSource)?

  /// The server makes these; a test of a plugin may, too.
  /// - Parameter jobs: nil is the queue in the store.
  public init(
    site: String, store: Store, workers: WorkerPool, loop: EventLoop, jobs: (any JobQueue)? = nil,
    logger: Logger, segmentMilliseconds: UInt32 = 6000, signer: URLSigner? = nil, needsTokens: Bool = false,
    trending: (any TrendingSource)? = nil
  ) {
    self.site = site
    self.loop = loop
    self.store = store
    self.workers = workers
    self.jobs = jobs ?? EmbeddedJobQueue(store: store, workers: workers)
    self.logger = logger
    self.segmentMilliseconds = segmentMilliseconds
    self.signer = signer
    self.needsTokens = needsTokens
    self.trending = trending
  }
}

/// Every enabled plugin of every site, made together and let go together.
final class PluginSet: Sendable {
  struct Member: Sendable {
    let site: String
    let name: String
    let plugin: any Plugin
    let segmentMilliseconds: UInt32
    let signer: URLSigner?
    let needsTokens: Bool
  }

  let members: [Member]
  private let tasks = Mutex(Tasks())

  private struct Tasks {
    var running: [Task<Void, Never>] = []
    var following: [Task<Void, Never>] = []
  }

  /// Decodes the settings of all enabled plugins. Nothing is started.
  ///
  /// - Throws: the first plugin's complaint, with site and plugin named.
  init(_ configuration: Configuration, _ registry: PluginRegistry) throws(PluginError) {
    var members: [Member] = []
    for site in configuration.sites {
      let signer = try? URLSigner(site)
      for type in registry.plugins {
        let name = type.declaration.name
        guard let settings = site.plugin(name) else { continue }
        do throws(PluginError) {
          members.append(
            Member(
              site: site.name, name: name, plugin: try type.init(site: site.name, settings: settings),
              segmentMilliseconds: UInt32(clamping: site.packaging.segmentMilliseconds), signer: signer,
              needsTokens: site.signing.required || site.signing.rules.contains(where: \.required)))
        } catch {
          throw PluginError(key: "site \(site.name), [plugins.\(name)] \(error.key ?? "")", error.message)
        }
      }
    }
    self.members = members
  }

  /// What the plugins can do of background work, by site. Ask once they are provisioned.
  var jobHandlers: [(site: String, handler: any JobHandler)] {
    members.flatMap { member in
      ((member.plugin as? any JobProvider)?.jobHandlers ?? []).map { (member.site, $0) }
    }
  }

  func plugins(of site: String) -> [any Plugin] { members.filter { $0.site == site }.map(\.plugin) }

  /// Lets every plugin acquire what it needs. On failure all of them are shut down again.
  func provision(
    on loop: EventLoop, store: Store, workers: WorkerPool, jobs: (any JobQueue)? = nil, logger: Logger
  ) async throws(PluginError) {
    for member in members {
      do throws(PluginError) {
        try member.plugin.provision(host(for: member, on: loop, store, workers, jobs, logger))
      } catch {
        await shutDown()
        throw PluginError(key: "site \(member.site), [plugins.\(member.name)]", error.message)
      }
    }
  }

  /// Starts background work and event following on a loop's executor.
  func start(
    on loop: EventLoop, store: Store, workers: WorkerPool, jobs: (any JobQueue)? = nil, logger: Logger
  ) {
    for member in members {
      let host = host(for: member, on: loop, store, workers, jobs, logger)
      let plugin = member.plugin
      let running = Task(executorPreference: loop, priority: .medium) { await plugin.run() }
      tasks.withLock { $0.running.append(running) }
      if let consumer = plugin as? any CatalogConsumer {
        let follower = EventFollower(consumer: consumer, name: member.name, host: host)
        let following = Task(executorPreference: loop, priority: .medium) { await follower.run() }
        tasks.withLock { $0.following.append(following) }
      }
    }
  }

  /// Brings no further events to the consumers: a server that drains leaves them to the process after it.
  func stopFollowing() {
    tasks.withLock { for task in $0.following { task.cancel() } }
  }

  /// Cancels background work, waits for it, and shuts every plugin down.
  func stop() async {
    let running = tasks.withLock { tasks in
      defer { tasks = Tasks() }
      return tasks.running + tasks.following
    }
    for task in running { task.cancel() }
    for task in running { await task.value }
    await shutDown()
  }

  private func shutDown() async {
    for member in members.reversed() { await member.plugin.shutDown() }
  }

  private func host(
    for member: Member, on loop: EventLoop, _ store: Store, _ workers: WorkerPool, _ jobs: (any JobQueue)?,
    _ logger: Logger
  ) -> PluginHost {
    var logger = logger
    logger[metadataKey: "site"] = "\(member.site)"
    logger[metadataKey: "plugin"] = "\(member.name)"
    return PluginHost(
      site: member.site, store: store, workers: workers, loop: loop, jobs: jobs, logger: logger,
      segmentMilliseconds: member.segmentMilliseconds, signer: member.signer, needsTokens: member.needsTokens,
      trending: plugins(of: member.site).lazy.compactMap { $0 as? any TrendingSource }.first)
  }
}

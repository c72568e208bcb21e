// What a person may ask of a site's edges: by the command line, with the server running or not, and by the API.

public import Origin
public import Store

/// The edges of a site, as the command line and the API have them. Its calls block.
public struct CDNControl: Sendable {
  /// Why something can't be asked, in a sentence that says what to do.
  public struct Refusal: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
  }

  /// What is to be forgotten.
  public struct Wish: Sendable, Equatable {
    /// Assets, by id: what their URLs without a generation answer; everything, where the catalog has them no more.
    public var assets: [String] = []
    /// Paths of the site, as in URLs.
    public var paths: [String] = []
    public var tags: [String] = []
    public var everything = false
    /// The edge; nil is all of them.
    public var edge: String?

    public init() {}
  }

  public struct Status: Sendable {
    public var edge: String
    public var vendor: String
    public var pending: Int
    public var warming: Int
    public var failed: Int
    /// When the first of the pending ones came, milliseconds since 1970.
    public var oldestMilliseconds: Int64?
    /// What is wrong; empty where nothing is.
    public var standing: String
    /// The first of those that wait for a person.
    public var failures: [(task: String, error: String)]
    /// What its vendor told last of its traffic; nil where nobody asks, or it never has.
    public var traffic: TrafficReport?
    /// Why it does not tell now; empty where nothing is wrong.
    public var trafficTrouble: String
    /// Segments of removed assets that were not listed, and stay at the edge until their lifetime ends.
    public var unlistedSegments: UInt64
  }

  let edges: [Edge]
  let queue: EdgeQueue
  let plan: PurgePlan

  /// Throws where the site has the plugin off, or its settings make no sense.
  public init(_ store: Store, _ site: SiteConfiguration) throws {
    guard let table = site.plugin(CDNPlugin.declaration.name) else {
      throw Refusal(description: "the site \(site.name) does not have [plugins.cdn] in its file")
    }
    let config = try CDNConfig(table, site: site.name)
    try self.init(
      store, site: site.name, config,
      segmentMilliseconds: UInt32(clamping: site.packaging.segmentMilliseconds))
  }

  init(
    _ store: Store, site: String, _ config: CDNConfig, segmentMilliseconds: UInt32 = 6000
  ) throws(StoreError) {
    edges = config.edges
    queue = try EdgeQueue(store, site: site, mostAttempts: config.mostAttempts)
    plan = try PurgePlan(
      store, site: site, edges: config.edges, names: config.names, mostSegments: config.removedSegments,
      segmentMilliseconds: segmentMilliseconds)
  }

  private func named(_ name: String?) throws(Refusal) -> [Edge] {
    guard let name else { return edges }
    let found = edges.filter { $0.name == name || $0.name.hasPrefix("\(name)@") }
    guard !found.isEmpty else {
      let names = edges.map(\.name).joined(separator: ", ")
      throw Refusal(description: "there is no edge \"\(name)\"; the site has: \(names)")
    }
    return found
  }

  /// Puts purges into the queue, durably; returns how many.
  ///
  /// Throws a ``Refusal`` or a `StoreError`.
  public func purge(_ wish: Wish) throws -> Int {
    let chosen = try named(wish.edge)
    let names = Set(chosen.map(\.name))
    var tasks: [(edge: String, task: EdgeTask)] = []
    for asset in wish.assets {
      guard AssetID.isValid(asset) else { throw Refusal(description: "\"\(asset)\" is no id of an asset") }
      tasks += try plan.purge(asset: asset).filter { names.contains($0.edge) }
    }
    var others: [EdgeTask] = []
    for path in wish.paths {
      guard let task = EdgeTask(.path, path) else {
        throw Refusal(
          description: "\"\(path)\" is no path: write it as in a URL, from the slash behind the host on")
      }
      others.append(task)
    }
    for tag in wish.tags {
      guard let task = EdgeTask(.tag, tag) else { throw Refusal(description: "\"\(tag)\" is no tag") }
      others.append(task)
    }
    if wish.everything, let task = EdgeTask(.everything) { others.append(task) }
    for edge in chosen {
      for task in others {
        guard edge.vendor.kinds.contains(task.kind) else {
          throw Refusal(
            description: "the edge \(edge.name) (\(edge.vendorName)) can't purge by \(task.kind.rawValue)")
        }
        tasks.append((edge.name, task))
      }
    }
    try queue.add(tasks)
    return tasks.count
  }

  /// Puts assets into the line of what is fetched into edges; returns how many fetches that are.
  public func prefetch(_ assets: [String], edge: String?) throws -> Int {
    let chosen = try named(edge).filter { $0.prefetch != .off }
    guard !chosen.isEmpty else {
      throw Refusal(description: "prefetch is off for every edge that is meant: set it in [plugins.cdn]")
    }
    var tasks: [(edge: String, task: EdgeTask)] = []
    for asset in assets {
      guard AssetID.isValid(asset), let task = EdgeTask(.warm, asset) else {
        throw Refusal(description: "\"\(asset)\" is no id of an asset")
      }
      for edge in chosen { tasks.append((edge.name, task)) }
    }
    try queue.add(tasks)
    return tasks.count
  }

  /// Tries again what was given up; returns how many.
  public func retry(edge: String?) throws -> Int {
    var count = 0
    for edge in try named(edge) { count += try queue.retry(edge.name) }
    return count
  }

  /// How the edges stand; nil is all of them.
  ///
  /// Throws a ``Refusal`` or a `StoreError`.
  public func status(of edge: String? = nil, mostFailures: Int = 20) throws -> [Status] {
    var all: [Status] = []
    for edge in try named(edge) {
      let pending = try queue.count(edge.name, .purge)
      all.append(
        Status(
          edge: edge.name, vendor: edge.vendorName, pending: pending.entries,
          warming: try queue.count(edge.name, .warm).entries,
          failed: try queue.count(edge.name, .failed).entries, oldestMilliseconds: pending.firstMilliseconds,
          standing: try queue.standing(edge.name),
          failures: try queue.entries(edge.name, .failed, limit: mostFailures).map {
            ($0.task.text, $0.error)
          },
          traffic: edge.analytics == nil ? nil : try queue.traffic(edge.name),
          trafficTrouble: edge.analytics == nil ? "" : try queue.trafficTrouble(edge.name),
          unlistedSegments: try queue.unlistedSegments(edge.name)))
    }
    return all
  }
}

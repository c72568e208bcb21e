// What a change of the catalog makes false at an edge
//
//   asset changed       all that its URLs without a generation answered: one tag, or those URLs. What lies below
//                       `/g/{generation}/` never changes and stays: viewers of the old generation play on.
//   made private        everything of it, so that nobody finds it in a cache
//   asset removed       everything of it, as far as the edge can be told
//   file changed, gone  its URL
//
// URLs need the names of the asset's renditions, the old ones too. A removed asset has left none in the catalog, so
// the names of each asset are kept beside the queue, in the table `cdn.assets` (site, id: generation, then names). They are written
// after the tasks: what comes again after a crash finds the names that it found before.

import HTTP
import Origin
import Packaging
import Store

struct PurgePlan: Sendable {
  let site: String
  let store: Store
  let edges: [Edge]
  /// Names below an asset besides those that follow from its renditions.
  let names: [String]
  private let memory: Table

  init(_ store: Store, site: String, edges: [Edge], names: [String]) throws(StoreError) {
    self.site = site
    self.store = store
    self.edges = edges
    self.names = names
    memory = try store.index.table("cdn.assets")
  }

  private enum Extent {
    case latest
    case whole
  }

  /// The tasks that follow from events, in their order. Blocks.
  func tasks(for events: [Event]) throws(StoreError) -> [(edge: String, task: EdgeTask)] {
    var tasks: [(edge: String, task: EdgeTask)] = []
    for event in events {
      switch event.kind {
      case .filePublished, .fileRemoved:
        tasks += purge(file: event.subject)
      case .assetRemoved:
        tasks += try purge(asset: event.subject, .whole)
      case .assetReady, .assetUpdated, .generationReplaced:
        let record = try store.read { (reader) throws(StoreError) in
          try reader.asset(site: site, id: event.subject)
        }
        tasks += try purge(asset: event.subject, record?.privacy == .private ? .whole : .latest)
        guard event.kind != .assetUpdated, let task = EdgeTask(.warm, event.subject) else { continue }
        for edge in edges where edge.prefetch != .off { tasks.append((edge.name, task)) }
      }
    }
    return tasks
  }

  /// Writes down what the next change may take away. Call it when the tasks are in the queue. Blocks.
  func remember(_ events: [Event]) throws(StoreError) {
    guard edges.contains(where: { $0.method == .url }) else { return }
    var ids: Set<String> = []
    for event in events where event.kind != .filePublished && event.kind != .fileRemoved {
      ids.insert(event.subject)
    }
    for id in ids {
      let record = try store.read { (reader) throws(StoreError) in try reader.asset(site: site, id: id) }
      try remember(id, record?.generation?.hex, record?.renditions.map(\.name) ?? [])
    }
  }

  /// What has to be forgotten of a file.
  func purge(file path: String) -> [(edge: String, task: EdgeTask)] {
    let escaped = String(decoding: PercentEncoding.encode(path: Array(path.utf8).span), as: UTF8.self)
    guard let task = EdgeTask(.path, "/f/" + escaped) else { return [] }
    return edges.filter { $0.vendor.kinds.contains(.path) }.map { ($0.name, task) }
  }

  /// What has to be forgotten of an asset whose newest state is in the catalog, or that has gone from it. Blocks.
  func purge(asset id: String) throws(StoreError) -> [(edge: String, task: EdgeTask)] {
    let record = try store.read { (reader) throws(StoreError) in try reader.asset(site: site, id: id) }
    return try purge(asset: id, record == nil ? .whole : .latest)
  }

  private func purge(asset id: String, _ extent: Extent) throws(StoreError) -> [(
    edge: String, task: EdgeTask
  )] {
    let paths = edges.contains { $0.method == .url } ? try paths(of: id, extent) : []
    var tasks: [(edge: String, task: EdgeTask)] = []
    for edge in edges {
      let found: [EdgeTask?]
      switch (edge.method, extent) {
      case (.tag, .latest): found = [EdgeTask(.tag, "latest-\(id)")]
      case (.tag, .whole): found = [EdgeTask(.tag, "asset-\(id)")]
      case (.tree, _): found = [EdgeTask(.tree, "/v/\(id)/")]
      case (.url, .whole) where edge.vendor.kinds.contains(.tree): found = [EdgeTask(.tree, "/v/\(id)/")]
      case (.url, _): found = paths.map { EdgeTask(.path, $0) }
      }
      tasks += found.compactMap { $0 }.map { (edge.name, $0) }
    }
    return tasks
  }

  // MARK: URLs of an asset

  /// The paths of an asset that are known to be asked for; those of renditions that it had before, too.
  private func paths(of id: String, _ extent: Extent) throws(StoreError) -> [String] {
    let record = try store.read { (reader) throws(StoreError) in try reader.asset(site: site, id: id) }
    let known = try remembered(id)
    var renditions = known.renditions
    for name in record?.renditions.map(\.name) ?? [] where !renditions.contains(name) {
      renditions.append(name)
    }
    var paths = Self.names(renditions: renditions, more: self.names).map { "/v/\(id)/\($0)" }
    if extent == .whole, let generation = known.generation {
      paths += Self.names(renditions: known.renditions, more: self.names).map {
        "/v/\(id)/g/\(generation)/\($0)"
      }
    }
    return paths
  }

  /// Names below an asset, in the order in which viewers need them.
  static func names(renditions: [String], more: [String]) -> [String] {
    let forms: [DeliveryForm] = [.fragments, .transport, .byteRanges]
    var resources: [AssetResource] = forms.map { .multivariantPlaylist($0) }
    resources += [.mpd(.fragments), .mpd(.byteRanges), .source]
    for name in renditions {
      resources += forms.map { .rendition(name, .playlist($0)) }
      resources += [
        .rendition(name, .iFramePlaylist(.fragments)), .rendition(name, .iFramePlaylist(.transport)),
        .rendition(name, .initSegment), .rendition(name, .progressive), .rendition(name, .fragmentedFile),
      ]
      if name.hasPrefix("subtitle-") { resources.append(.rendition(name, .subtitleFile)) }
    }
    return resources.map(\.canonicalName) + more
  }

  private func key(_ id: String) -> [UInt8] {
    [UInt8(truncatingIfNeeded: site.utf8.count)] + Array(site.utf8) + Array(id.utf8)
  }

  private func remembered(_ id: String) throws(StoreError) -> (generation: String?, renditions: [String]) {
    let key = key(id)
    let text = try store.index.read { (transaction) throws(StoreError) in
      try transaction.withValue(memory, key.span.bytes) { String(decoding: $0, as: UTF8.self) } ?? ""
    }
    let parts = text.split(separator: " ").map(String.init)
    return (parts.first, Array(parts.dropFirst()))
  }

  private func remember(_ id: String, _ generation: String?, _ renditions: [String]) throws(StoreError) {
    let key = key(id)
    try store.index.write { (transaction) throws(StoreError) in
      guard let generation else {
        try transaction.delete(memory, key.span.bytes)
        return
      }
      let text = ([generation] + renditions).joined(separator: " ")
      try transaction.put(memory, key.span.bytes, Array(text.utf8))
    }
  }
}

// What a change of the catalog makes false at an edge
//
//   asset changed       all that its URLs without a generation answered: one tag, or those URLs. What lies below
//                       `/g/{generation}/` never changes and stays: viewers of the old generation play on.
//   made private        everything of it, so that nobody finds it in a cache
//   asset removed       everything of it, as far as the edge can be told; by URL its segments, too, up to a bound
//   file changed, gone  its URL
//
// URLs need the names of the asset's renditions, the old ones too, and how many segments each has. A removed asset has left none in the
// catalog, so the names are kept beside the queue, in the table `cdn.assets` (site, id). They are written after the tasks: what comes
// again after a crash finds the names that it found before.
//
//   names       generation { " " name "=" segments }, the newest generation first, ";" between them, four at most; behind "!" where the
//               asset was private by then: its segments are told once, and not at every change of its metadata
//
// That is 20 bytes for each rendition, and all that is needed: segments are numbered. Whoever removes an asset has it forgotten even
// where its packaging index is gone by then.

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
  /// Of one asset that is removed or hidden.
  let mostSegments: Int
  /// What packaging indexes are cut for.
  let segmentMilliseconds: UInt32
  private let memory: Table
  private static let mostGenerations = 4

  init(
    _ store: Store, site: String, edges: [Edge], names: [String], mostSegments: Int = 20_000,
    segmentMilliseconds: UInt32 = 6000
  ) throws(StoreError) {
    self.site = site
    self.store = store
    self.edges = edges
    self.names = names
    self.mostSegments = mostSegments
    self.segmentMilliseconds = segmentMilliseconds
    memory = try store.index.table("cdn.assets")
  }

  private enum Extent {
    case latest
    /// All of what is still there, but not for all to see.
    case hidden
    case removed

    var isWhole: Bool { self != .latest }
  }

  /// The tasks that follow from events, in their order. Blocks.
  func tasks(for events: [Event]) throws(StoreError) -> [(edge: String, task: EdgeTask)] {
    var tasks: [(edge: String, task: EdgeTask)] = []
    for event in events {
      switch event.kind {
      case .filePublished, .fileRemoved:
        tasks += purge(file: event.subject)
      case .assetRemoved:
        tasks += try purge(asset: event.subject, .removed)
      case .assetReady, .assetUpdated, .generationReplaced:
        let record = try store.read { (reader) throws(StoreError) in
          try reader.asset(site: site, id: event.subject)
        }
        tasks += try purge(asset: event.subject, record?.privacy == .private ? .hidden : .latest)
        guard event.kind != .assetUpdated, let task = EdgeTask(.warm, event.subject) else { continue }
        for edge in edges where edge.prefetch != .off { tasks.append((edge.name, task)) }
      }
    }
    return tasks
  }

  /// Writes down what the next change may take away. Call it when the tasks are in the queue. Blocks.
  func remember(_ events: [Event]) throws(StoreError) {
    guard edges.contains(where: { $0.method == .url }) else { return }
    var replaced: [String: [Generation]] = [:]
    for event in events where event.kind != .filePublished && event.kind != .fileRemoved {
      replaced[event.subject, default: []] += event.previous.map { [$0] } ?? []
    }
    for (id, previous) in replaced {
      let record = try store.read { (reader) throws(StoreError) in try reader.asset(site: site, id: id) }
      guard let record, let generation = record.generation else {
        try remember(id, [], isHidden: false)
        continue
      }
      let newest = known(generation, record.renditions)
      var older = try remembered(id).known.filter { $0.generation != newest.generation }
      // What was published before this plugin was there, and is served to those who are in the middle of it.
      for generation in previous
      where !([newest] + older).contains(where: { $0.generation == generation.hex }) {
        let record = try store.read { (reader) throws(StoreError) in
          try reader.generation(
            site: site, id: id, generation: generation, nowMilliseconds: store.options.nowMilliseconds())
        }
        if let record { older.insert(known(generation, record.renditions), at: 0) }
      }
      try remember(
        id, Array(([newest] + older).prefix(Self.mostGenerations)), isHidden: record.privacy == .private)
    }
  }

  /// How many segments of what these events remove or hide are beyond the bound, for each edge that is told by URLs.
  func unlistedSegments(of events: [Event]) throws(StoreError) -> [String: UInt64] {
    var counts: [String: UInt64] = [:]
    for event in events where event.kind == .assetRemoved || event.kind == .assetUpdated {
      let edges = edges.filter(\.isToldNameByName)
      guard !edges.isEmpty else { return [:] }
      let record = try store.read { (reader) throws(StoreError) in
        try reader.asset(site: site, id: event.subject)
      }
      guard event.kind == .assetRemoved || record?.privacy == .private else { continue }
      let extent: Extent = event.kind == .assetRemoved ? .removed : .hidden
      let segments = try segmentsToForget(of: event.subject, extent, most: .max).count
      for edge in edges {
        let left = edge.vendor.forgetsRemoved ? segments - min(segments, mostSegments) : segments
        if left > 0 { counts[edge.name, default: 0] += UInt64(left) }
      }
    }
    return counts
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
    return try purge(asset: id, record == nil ? .removed : .latest)
  }

  private func purge(asset id: String, _ extent: Extent) throws(StoreError) -> [(
    edge: String, task: EdgeTask
  )] {
    let paths = edges.contains { $0.method == .url } ? try paths(of: id, extent) : []
    let segments =
      extent.isWhole
        && edges.contains { $0.isToldNameByName && $0.vendor.forgetsRemoved }
      ? try segmentsToForget(of: id, extent, most: mostSegments) : []
    var tasks: [(edge: String, task: EdgeTask)] = []
    for edge in edges {
      let found: [EdgeTask?]
      switch (edge.method, extent.isWhole) {
      case (.tag, false): found = [EdgeTask(.tag, "latest-\(id)")]
      case (.tag, true): found = [EdgeTask(.tag, "asset-\(id)")]
      case (.tree, _): found = [EdgeTask(.tree, "/v/\(id)/")]
      case (.url, true) where edge.vendor.kinds.contains(.tree): found = [EdgeTask(.tree, "/v/\(id)/")]
      case (.url, true) where edge.vendor.forgetsRemoved:
        found = (paths + segments).map { EdgeTask(.path, $0) }
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
    let known = try remembered(id).known
    var renditions = known.first?.renditions.map(\.name) ?? []
    for name in record?.renditions.map(\.name) ?? [] where !renditions.contains(name) {
      renditions.append(name)
    }
    var paths = Self.names(renditions: renditions, more: self.names).map { "/v/\(id)/\($0)" }
    guard extent.isWhole else { return paths }
    for known in known {
      paths += Self.names(renditions: known.renditions.map(\.name), more: self.names).map {
        "/v/\(id)/g/\(known.generation)/\($0)"
      }
    }
    return paths
  }

  /// None of an asset that was private before.
  private func segmentsToForget(of id: String, _ extent: Extent, most: Int) throws(StoreError) -> [String] {
    let (known, wasHidden) = try remembered(id)
    return extent == .hidden && wasHidden ? [] : segmentPaths(of: id, known, most: most)
  }

  /// The paths of all segments that are known to have been there, those of the newest generation first, and of each the beginnings of all
  /// renditions before what follows.
  private func segmentPaths(of id: String, _ known: [Known], most: Int) -> [String] {
    var paths: [String] = []
    for known in known {
      let longest = known.renditions.map(\.segments).max() ?? 0
      for number in 0..<longest {
        for (name, segments) in known.renditions {
          let isSubtitle = name.hasPrefix("subtitle-")
          guard isSubtitle || number < segments else { continue }
          for form in [DeliveryForm.fragments, .transport] {
            guard paths.count < most else { return paths }
            let resource = AssetResource.rendition(
              name, isSubtitle ? .subtitleSegment(number, form) : .segment(number, form))
            paths.append("/v/\(id)/g/\(known.generation)/\(resource.canonicalName)")
          }
        }
      }
    }
    return paths
  }

  private func known(_ generation: Generation, _ renditions: [RenditionRecord]) -> Known {
    Known(
      generation: generation.hex, renditions: renditions.map { (name: $0.name, segments: segments(of: $0)) })
  }

  /// 0 for what has no segments, or no index that can be read.
  private func segments(of rendition: RenditionRecord) -> Int {
    SegmentCount.of(rendition, in: store, targetMilliseconds: segmentMilliseconds) ?? 0
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

  /// What was there.
  struct Known {
    var generation: String
    var renditions: [(name: String, segments: Int)]
  }

  private func remembered(_ id: String) throws(StoreError) -> (known: [Known], wasHidden: Bool) {
    let key = key(id)
    let text = try store.index.read { (transaction) throws(StoreError) in
      try transaction.withValue(memory, key.span.bytes) { String(decoding: $0, as: UTF8.self) } ?? ""
    }
    let wasHidden = text.hasPrefix("!")
    let known = text.dropFirst(wasHidden ? 1 : 0).split(separator: ";").compactMap { generation -> Known? in
      let parts = generation.split(separator: " ")
      guard let name = parts.first else { return nil }
      let renditions = parts.dropFirst().map { part in
        let pair = part.split(separator: "=", maxSplits: 1)
        return (name: String(pair[0]), segments: pair.count > 1 ? Int(pair[1]) ?? 0 : 0)
      }
      return Known(generation: String(name), renditions: renditions)
    }
    return (known, wasHidden)
  }

  /// - Parameter known: nothing where the asset is gone.
  func remember(_ id: String, _ known: [Known], isHidden: Bool) throws(StoreError) {
    let key = key(id)
    try store.index.write { (transaction) throws(StoreError) in
      guard !known.isEmpty else {
        try transaction.delete(memory, key.span.bytes)
        return
      }
      let text = known.map { known in
        ([known.generation] + known.renditions.map { "\($0.name)=\($0.segments)" }).joined(separator: " ")
      }.joined(separator: ";")
      try transaction.put(memory, key.span.bytes, Array(((isHidden ? "!" : "") + text).utf8))
    }
  }
}

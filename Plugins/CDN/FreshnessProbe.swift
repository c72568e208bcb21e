// Looks through an edge whether a purge has done what it should
//
// What the edge must answer follows from the catalog alone: the entity tag of a playlist begins with its generation, that of a
// file is its digest, and what was removed is not found. So the probe asks the edge and nobody else. The time counts from the
// change in the catalog to the first right answer.

import Loop
import Net
import Origin
import Store

struct FreshnessProbe: Sendable {
  let edge: Edge
  let client: HTTPClient
  let host: PluginHost
  let limitMilliseconds: UInt64

  /// Subjects of one run of purges that are looked at; of a thousand files that come at once the first will do.
  static let mostSubjects = 16
  private static let firstWaitMilliseconds: UInt64 = 50
  private static let longestWaitMilliseconds: UInt64 = 1000

  enum Expectation: Equatable, Sendable {
    /// An entity tag that begins so, behind its quote.
    case tag(prefix: String)
    case absent

    func holds(of response: HTTPResponse) -> Bool {
      switch self {
      case .absent: return response.status == 404 || response.status == 410
      case .tag(let prefix):
        guard response.status == 200, let tag = response.field("ETag") else { return false }
        // A CDN that compresses makes it weak.
        return (tag.hasPrefix("W/") ? tag.dropFirst(2) : tag[...]).hasPrefix("\"\(prefix)")
      }
    }
  }

  /// The entries whose subjects are still served as they were when time is up.
  ///
  /// - Parameter isFresh: called for each subject that is as it should be, with the milliseconds since its change.
  func check(
    _ entries: [EdgeQueue.Entry], _ isFresh: @escaping @Sendable (UInt64) -> Void
  ) async -> [EdgeQueue.Entry] {
    var subjects: [String: [EdgeQueue.Entry]] = [:]
    for entry in entries {
      if let asset = entry.task.asset {
        subjects["/v/\(asset)/master.m3u8", default: []].append(entry)
      } else if entry.task.kind == .path {
        subjects[entry.task.name, default: []].append(entry)
      }
    }
    return await withTaskGroup(of: [EdgeQueue.Entry].self) { group in
      for (path, entries) in subjects.sorted(by: { $0.key < $1.key }).prefix(Self.mostSubjects) {
        group.addTask {
          await isStale(path, entries[0], isFresh) ? entries : []
        }
      }
      return await group.reduce(into: []) { $0 += $1 }
    }
  }

  /// Whether the edge has not answered rightly in time; false where nothing can be said.
  private func isStale(
    _ path: String, _ entry: EdgeQueue.Entry, _ isFresh: @Sendable (UInt64) -> Void
  ) async -> Bool {
    let deadline = ContinuousClock.now + .milliseconds(limitMilliseconds)
    var wait = Self.firstWaitMilliseconds
    while !Task.isCancelled {
      // Asked for each time: it may change meanwhile.
      guard let expected = try? await host.workers.run({ try expectation(of: path, entry) }) else {
        return false
      }
      var request = edge.viewerRequest(expected.signedPath)
      request.keepsBody = false
      request.mostResponseBytes = 1 << 40
      if let response = try? await client.response(to: request), expected.expectation.holds(of: response) {
        let (elapsed, overflow) = host.store.options.nowMilliseconds().subtractingReportingOverflow(
          entry.queuedMilliseconds)
        isFresh(overflow ? 0 : UInt64(max(0, elapsed)))
        return false
      }
      guard ContinuousClock.now < deadline else { return true }
      try? await Task.sleep(for: .milliseconds(wait))
      wait = min(wait * 2, Self.longestWaitMilliseconds)
    }
    return false
  }

  /// What the path has to be answered with now; nil where that does not follow from the catalog. Blocks.
  private func expectation(
    of path: String, _ entry: EdgeQueue.Entry
  ) throws -> (expectation: Expectation, signedPath: String)? {
    let site = host.site
    if let asset = entry.task.asset {
      let record = try host.store.read { (reader) throws(StoreError) in
        try reader.asset(site: site, id: asset)
      }
      guard let record else { return (.absent, path) }
      guard let generation = record.generation, record.reason == nil, !record.renditions.isEmpty else {
        return nil
      }
      let signed = ViewerURL.path(path, of: record, host)
      return signed.map { (.tag(prefix: generation.hex + "-"), $0) }
    }
    guard path.hasPrefix("/f/"), !host.needsTokens else { return nil }
    let name = ViewerURL.decoded(path.dropFirst(3))
    let file = try host.store.read { (reader) throws(StoreError) in try reader.file(site: site, path: name) }
    return (file.map { .tag(prefix: $0.blob.hex) } ?? .absent, path)
  }
}

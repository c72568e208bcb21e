// What the plugin says about videos: to media, to the API, to `headwater explain`.

import Loop
import Net
public import Origin
import Store
import Synchronization

extension RedisCachePlugin: MetadataProvider {
  /// Asked for by each request: no lock, and nothing that threads share but the number.
  public var revision: UInt64 { rightsRevision.value.load(ordering: .relaxed) }

  public func metadata(ofVideo id: String) -> MetadataLookup {
    guard let cache = provisioned?.cache else { return unavailable }
    switch cache.lookup(id) {
    case .facts(let facts, let freshSeconds): return .known(facts, freshSeconds: freshSeconds)
    case .unknown: return .unknown { await cache.fetch(id) }
    case .unavailable: return unavailable
    }
  }

  private var unavailable: MetadataLookup {
    .unavailable(refusal: config.refusesUnknown ? Self.refusal : nil)
  }

  static let refusal = Problem(
    status: 503, code: "metadata-unavailable", title: "Metadata unavailable",
    detail: "Nobody says at the moment whether this video may be delivered; try again soon.",
    fields: [.init("Retry-After", "1")])

  /// Asks about a video only where the site has it: a name that somebody made up costs Redis and the source nothing.
  func load(ifInCatalog id: String) async {
    guard let parts = provisioned else { return }
    let (store, site) = (parts.host.store, parts.host.site)
    let isThere = try? await parts.host.workers.run {
      try store.read { (reader) throws(StoreError) in
        AssetID.isValid(id) ? try reader.asset(site: site, id: id) != nil : false
      }
    }
    if isThere == false { return parts.cache.keepAbsent(id) }
    await parts.cache.fetch(id)
  }

  public func explain(_ id: String, in host: PluginHost) async -> [(name: String, value: String)] {
    let cache = parts(on: host).cache
    var lines: [(name: String, value: String)] = []
    do throws(RedisError) {
      switch try await cache.shelf.read(id) {
      case .nothing: lines.append(("redis", "has nothing under \(config.key.value(of: id))"))
      case .value(let bytes, let remaining):
        let end = remaining.map { "for another \($0 / 1000) s" } ?? "without an end"
        lines.append(("redis", "\(config.key.value(of: id)): \(bytes.count) bytes, \(end)"))
      }
    } catch {
      lines.append(("redis", "\(error)"))
    }
    await cache.fetch(id)
    switch cache.lookup(id) {
    case .facts(let facts?, _):
      lines.append(("metadata", "\(facts.json.count) bytes, digest \(facts.digest)"))
      lines += Self.lines(of: facts.rights).map { ("rights", $0) }
    case .facts(nil, _): lines.append(("metadata", "the \(cache.source.name) does not know the video"))
    case .unknown, .unavailable:
      let what = config.refusesUnknown ? "viewers get 503" : "the catalog decides alone"
      lines.append(("metadata", "the \(cache.source.name) does not answer: \(what)"))
    }
    return lines
  }

  private static func lines(of rights: VideoRights) -> [String] {
    var lines: [String] = []
    if rights.isPrivate { lines.append("private: valid tokens alone") }
    if let renditions = rights.renditions { lines.append("pictures: \(renditions.joined(separator: ", "))") }
    if let countries = rights.countries { lines.append("countries: \(countries.joined(separator: ", "))") }
    if !rights.blockedCountries.isEmpty {
      lines.append("not in: \(rights.blockedCountries.joined(separator: ", "))")
    }
    if let from = rights.availableFromSeconds { lines.append("from \(AccessRecord.iso8601(from * 1000)) on") }
    if let until = rights.availableUntilSeconds {
      lines.append("until \(AccessRecord.iso8601(until * 1000))")
    }
    return lines.isEmpty ? ["none beyond the catalog's"] : lines
  }
}

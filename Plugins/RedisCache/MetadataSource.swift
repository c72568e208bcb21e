// Where metadata come from when Redis does not have them: the catalog, or a JSON API of the site's own.
//
//     GET https://cms.example.com/videos/film        Authorization: Bearer …
//     200 {"title": "Film", "privacy": "private", "renditions": ["480p", "720p"], "countries": ["DE", "AT"]}
//     404, 410: no such video
//
// The object may hold whatever the site wants its clients to have; six members decide something (`rights`), and one of these in
// another form than below is an error, since to pass over it would be to give away what somebody meant to withhold.
//
//     privacy             "public", "unlisted" or "private"; private needs a token, whatever the catalog says
//     renditions          names of renditions with pictures that may be had; absent or null: all
//     countries           where it may be had, in two letters (ISO 3166); absent or null: everywhere
//     blocked_countries   where not
//     available_from      from when on, and until when, it may be had (RFC 3339: "2026-12-24T20:15:00Z"); absent or null: no bound
//     available_until

import Loop
import Net
import Origin
import Store

/// Knows the metadata of videos, and may take a while.
protocol MetadataSource: Sendable {
  /// One word for logs and for `explain`.
  var name: String { get }

  /// - Returns: nil where there is no such video.
  /// - Throws: where there is no saying, with a reason for the operator's log.
  nonisolated(nonsending) func load(_ id: String) async throws(MetadataSourceError) -> VideoFacts?

  /// Reads back what Redis keeps of an answer.
  func facts(stored text: [UInt8]) throws(MetadataSourceError) -> VideoFacts
}

/// Why a source does not answer. Holds no secret.
struct MetadataSourceError: Error, Equatable, CustomStringConvertible {
  var description: String
  /// What the source asks for before the next try.
  var retryAfterMilliseconds: UInt64 = 0
}

/// The catalog of the site, for those who read Redis beside us.
struct CatalogSource: MetadataSource {
  let name = "catalog"
  let site: String
  let store: Store
  let workers: WorkerPool

  nonisolated(nonsending) func load(_ id: String) async throws(MetadataSourceError) -> VideoFacts? {
    let asset: AssetRecord?
    do {
      asset = try await workers.run { [site, store] in
        try store.read { (reader) throws(StoreError) in try reader.asset(site: site, id: id) }
      }
    } catch {
      throw MetadataSourceError(description: "the catalog can't be read: \(error)")
    }
    return asset.map { VideoFacts(json: Self.json(of: $0), rights: .unrestricted) }
  }

  /// The catalog decides by itself, so its copy decides nothing.
  func facts(stored text: [UInt8]) throws(MetadataSourceError) -> VideoFacts {
    do throws(JSONError) { _ = try JSONValue(text) } catch {
      throw MetadataSourceError(description: "no JSON: \(error.message) at byte \(error.offset)")
    }
    return VideoFacts(json: text, rights: .unrestricted)
  }

  private static func json(of asset: AssetRecord) -> [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.members(of: asset)
      json.member("updated_ms", asset.updatedMilliseconds)
      json.member("generation", asset.generation?.hex)
      json.member("renditions", asset.renditions.map(\.name))
    }
    return json.bytes
  }
}

/// A JSON API.
struct UpstreamSource: MetadataSource {
  let name = "upstream"
  private let settings: RedisCacheConfig.Upstream
  private let client: HTTPClient

  init(_ settings: RedisCacheConfig.Upstream, on loop: EventLoop) {
    self.settings = settings
    var options = HTTPClient.Options()
    options.addresses = settings.allowsPrivateAddresses ? .publicAndPrivate : .publicOnly
    options.certificateAuthoritiesPath = settings.certificateAuthoritiesPath
    options.mostWaiting = MetadataCache.mostFlights
    client = HTTPClient(loop: loop, options: options)
  }

  nonisolated(nonsending) func load(_ id: String) async throws(MetadataSourceError) -> VideoFacts? {
    // An id has no character that a URL would change.
    let url = settings.template.split(separator: "{id}", omittingEmptySubsequences: false)
      .joined(separator: id)
    var request = HTTPRequest("GET", url, fields: [HTTPField("Accept", "application/json")])
    if let token = settings.token {
      request.fields.append(
        HTTPField("Authorization", "Bearer \(String(decoding: token.bytes, as: UTF8.self))"))
    }
    request.timeoutMilliseconds = settings.timeoutMilliseconds
    request.connectTimeoutMilliseconds = settings.timeoutMilliseconds
    request.mostResponseBytes = VideoFacts.mostBytes
    let response: HTTPResponse
    do throws(HTTPClientError) { response = try await client.response(to: request) } catch {
      let advice =
        error.code == .addressRefused
        ? "; set upstream_allow_private = true for an API in a private network" : ""
      throw MetadataSourceError(description: "\(error)\(advice)")
    }
    switch response.status {
    case 200: return try VideoFacts(upstream: response.body)
    case 404, 410: return nil
    default:
      throw MetadataSourceError(
        description: "the answer has status \(response.status)",
        retryAfterMilliseconds: response.retryAfterMilliseconds ?? 0)
    }
  }

  func facts(stored text: [UInt8]) throws(MetadataSourceError) -> VideoFacts {
    try VideoFacts(upstream: text)
  }
}

extension VideoFacts {
  /// Of one video.
  static let mostBytes = 64 << 10

  /// Reads what an upstream answered, or what Redis keeps of it.
  init(upstream text: [UInt8]) throws(MetadataSourceError) {
    let value: JSONValue
    do throws(JSONError) { value = try JSONValue(text) } catch {
      throw MetadataSourceError(description: "no JSON: \(error.message) at byte \(error.offset)")
    }
    guard case .object(let members) = value else {
      throw MetadataSourceError(description: "the JSON is no object")
    }
    var rights = VideoRights()
    for member in members {
      switch (member.key, member.value) {
      case ("privacy", .null), ("renditions", .null), ("countries", .null), ("blocked_countries", .null),
        ("available_from", .null), ("available_until", .null):
        continue
      case ("privacy", .string(let word)):
        guard Privacy.allCases.contains(where: { "\($0)" == word }) else {
          throw MetadataSourceError(description: "\"privacy\" is none of public, unlisted, private")
        }
        rights.isPrivate = word == "\(Privacy.private)"
      case ("renditions", .array(let names)):
        rights.renditions = try Self.texts(names, "renditions")
      case ("countries", .array(let names)):
        rights.countries = try Self.countries(names, "countries")
      case ("blocked_countries", .array(let names)):
        rights.blockedCountries = try Self.countries(names, "blocked_countries")
      case ("available_from", .string(let text)):
        rights.availableFromSeconds = try Self.instant(text, "available_from")
      case ("available_until", .string(let text)):
        rights.availableUntilSeconds = try Self.instant(text, "available_until")
      case ("privacy", _), ("renditions", _), ("countries", _), ("blocked_countries", _),
        ("available_from", _),
        ("available_until", _):
        throw MetadataSourceError(description: "\"\(member.key)\" has another type than it must have")
      default: continue
      }
    }
    self.init(json: text, rights: rights)
  }

  private static func instant(_ text: String, _ key: String) throws(MetadataSourceError) -> Int64 {
    guard let seconds = AvailabilityDate.seconds(text) else {
      throw MetadataSourceError(
        description: "\"\(key)\" is no instant such as 2026-12-24T20:15:00Z (RFC 3339)")
    }
    return seconds
  }

  private static func texts(_ values: [JSONValue], _ key: String) throws(MetadataSourceError) -> [String] {
    var texts: Set<String> = []
    for value in values {
      guard case .string(let text) = value else {
        throw MetadataSourceError(description: "\"\(key)\" holds something else than strings")
      }
      texts.insert(text)
    }
    return texts.sorted()
  }

  private static func countries(
    _ values: [JSONValue], _ key: String
  ) throws(MetadataSourceError) -> [String] {
    let texts = try texts(values, key)
    guard texts.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy { (0x41...0x5A).contains($0) } }) else {
      throw MetadataSourceError(description: "\"\(key)\" holds something else than two capitals (ISO 3166)")
    }
    return texts
  }
}

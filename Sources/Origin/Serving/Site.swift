// A site as requests meet it: its settings, its pipeline, and what is the same for all of its answers.

import HTTP

/// One tenant of the server, made anew by every (re)load of the configuration.
public final class Site: Sendable {
  public let configuration: SiteConfiguration
  public let pipeline: Pipeline
  /// The calls below `/api/v1/`.
  let api: APIRouter
  let metricsProviders: [any MetricsProvider]
  /// Distinguishes the sites of one configuration in the hot table.
  let number: Int
  let preflightLines: [UInt8]
  /// Nil: everybody may ask.
  let originSecret: OriginSecret?
  /// Whether children of manifests may have to carry a token.
  let signs: Bool
  /// Query parameters whose values are not logged.
  let secretParameters: [String]
  /// Whose certificate clients must show; nil: nobody's.
  let clientAuthority: TLSClientAuthority?

  /// Where the site's content keys are asked for; nil where they need not be.
  let keyService: KeyService?
  /// By which workers on other machines are known, the same for all sites; nil: there are none.
  let workerToken: Secret?

  public var name: String { configuration.name }

  /// Under what the site's answers lie in the hot table: another number when its videos' rights have changed, so that what was made
  /// of others is not found any more.
  var answersNumber: Int {
    guard let metadata = pipeline.metadata else { return number }
    return number &+ Int(truncatingIfNeeded: metadata.revision) << 16
  }

  init(
    _ configuration: SiteConfiguration, number: Int, plugins: [any Plugin], keyService: KeyService? = nil,
    workerToken: Secret? = nil
  ) {
    self.workerToken = workerToken
    self.keyService = keyService
    self.configuration = configuration
    self.number = number
    clientAuthority = TLSClientAuthority(configuration)
    pipeline = Pipeline(configuration, plugins: plugins)
    api = APIRouter(configuration, plugins: plugins)
    metricsProviders = plugins.compactMap { $0 as? any MetricsProvider }
    originSecret = OriginSecret(configuration.originSecret)
    let verifiers = configuration.signing.verifiers
    signs = !verifiers.isEmpty
    secretParameters = verifiers.flatMap(\.secretParameters)
    preflightLines = Self.preflight(configuration.cors).lines()
  }

  /// What OPTIONS answers: the same for every path, without a token, and cacheable (Fetch §3.3.5).
  private static func preflight(_ cors: SiteConfiguration.CORS) -> HeaderFields {
    var fields = HeaderFields()
    fields.set("Allow", "GET, HEAD, OPTIONS")
    guard let origin = cors.allowOrigin else { return fields }
    fields.set("Access-Control-Allow-Origin", origin)
    fields.set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
    fields.set(
      "Access-Control-Allow-Headers",
      "Range, If-Range, If-None-Match, If-Modified-Since, Authorization, CMCD-Object, CMCD-Request, CMCD-Session, CMCD-Status"
    )
    fields.set("Access-Control-Max-Age", "\(cors.maxAgeSeconds)")
    fields.set("Cache-Control", "public, max-age=\(cors.maxAgeSeconds)")
    return fields
  }

  /// The Cache-Control of an answer, by its class.
  ///
  /// What pins its generation never changes under its URL and may be kept for good. What names the newest
  /// generation is short-lived, segments included.
  func cacheControl(_ info: AnswerInfo) -> [UInt8] {
    let cache = configuration.cache
    var control = CacheControl(visibility: .public)
    switch info.kind {
    case .error:
      switch info.status {
      case 404, 410, 422: control.maxAgeSeconds = UInt32(clamping: cache.errorMaxAgeSeconds)
      default:
        control = CacheControl(noStore: true)
      }
    case .key, .api:
      control = CacheControl(noStore: true)
    case .blob:
      // Only for who holds a token: what has passed once must not be handed to others by a cache (RFC 9111 §3.5).
      control = CacheControl(
        visibility: .private, maxAgeSeconds: UInt32(clamping: cache.segmentMaxAgeSeconds), immutable: true)
    case _ where info.isImmutable:
      control.maxAgeSeconds = UInt32(clamping: cache.segmentMaxAgeSeconds)
      control.immutable = true
    case .manifest, .segment, .thumbnail, .progressive, .file:
      let maxAgeSeconds =
        switch info.kind {
        case .progressive: cache.progressiveMaxAgeSeconds
        case .file: cache.fileMaxAgeSeconds
        default: cache.manifestMaxAgeSeconds
        }
      control.maxAgeSeconds = UInt32(clamping: maxAgeSeconds)
      control.staleWhileRevalidateSeconds = UInt32(clamping: cache.staleWhileRevalidateSeconds)
      control.staleIfErrorSeconds = UInt32(clamping: cache.staleIfErrorSeconds)
    }
    if let most = info.mostAgeSeconds, !control.noStore {
      control.maxAgeSeconds = min(control.maxAgeSeconds ?? .max, UInt32(clamping: most))
      control.staleWhileRevalidateSeconds = nil
      control.staleIfErrorSeconds = nil
      control.mustRevalidate = true
    }
    return control.bytes
  }
}

/// Finds the site for a Host field.
struct SiteTable: Sendable {
  let sites: [Site]
  private let byHost: [[UInt8]: Site]
  private let fallback: Site?
  /// Where one site takes every host, the look-up is this constant.
  private let only: Site?

  init(_ sites: [Site]) {
    self.sites = sites
    var byHost: [[UInt8]: Site] = [:]
    var fallback: Site?
    for site in sites {
      for host in site.configuration.hosts {
        if host == "*" { fallback = site } else { byHost[Array(host.utf8)] = site }
      }
    }
    self.byHost = byHost
    self.fallback = fallback
    only = byHost.isEmpty ? fallback : nil
  }

  /// - Parameter host: without the port, in any case. Complexity: one hash of the name.
  func site(for host: Span<UInt8>) -> Site? {
    if let only { return only }
    var name: [UInt8] = []
    name.reserveCapacity(host.count)
    for index in host.indices { name.append(lowerCased(host[index])) }
    return byHost[name] ?? fallback
  }

  func site(named name: String) -> Site? { sites.first { $0.name == name } }
}

/// What `etc/sites/NAME.toml` says: one tenant, its hosts, keys, rules and plugins.
///
/// Compared as one value, secrets included, which is how a reload finds out which sites changed.
public struct SiteConfiguration: Sendable, Equatable {
  /// The file's name without `.toml`.
  public var name: String
  /// The file, as problems and `headwater explain` show it; `nil` for the site that serves without one.
  public var file: String?
  /// Lower case, without a port; IPv6 in brackets; `*` takes what no other site takes.
  public var hosts: [String]
  /// The bearer tokens of the API. No token, no access.
  public var apiTokens: [Credential]
  public var originSecret: OriginSecret
  public var signing: Signing
  public var packaging: Packaging
  public var encryption: Encryption
  public var tls: TLS
  public var cache: Cache
  public var cors: CORS
  public var tags: Tags
  /// The plugins that are on, in the order in which they are compiled in.
  public var plugins: [PluginSettings]

  /// A secret with the name under which logs and URLs mention it.
  public struct Credential: Sendable, Equatable {
    public var id: String
    public var secret: Secret
  }

  public struct Packaging: Sendable, Equatable {
    /// Target length of a segment, 1,000 to 30,000.
    public var segmentMilliseconds: Int
  }

  /// `Cache-Control` by class of answer.
  public struct Cache: Sendable, Equatable {
    public var manifestMaxAgeSeconds: Int
    public var segmentMaxAgeSeconds: Int
    public var progressiveMaxAgeSeconds: Int
    public var fileMaxAgeSeconds: Int
    public var errorMaxAgeSeconds: Int
    public var staleWhileRevalidateSeconds: Int
    public var staleIfErrorSeconds: Int
    /// The value of `CDN-Cache-Control` (RFC 9213), or `nil` to leave it out.
    public var cdnCacheControl: String?
  }

  public struct CORS: Sendable, Equatable {
    /// `*`, one origin, or `nil` to send no CORS header.
    public var allowOrigin: String?
    public var expose: [String]
    public var maxAgeSeconds: Int
  }

  /// Names of the headers that carry surrogate keys; `nil` leaves one out.
  public struct Tags: Sendable, Equatable {
    public var surrogateKey: String?
    public var cacheTag: String?
  }

  /// A plugin that is on for a site.
  public struct PluginSettings: Sendable, Equatable {
    public var name: String
    public var settings: ConfigTable
  }

  /// The site that serves every host where there is no site file.
  public static let defaults = SiteConfiguration(
    schema(plugins: []).defaults, name: "default", file: nil, plugins: [])

  /// The settings of a plugin, or `nil` if it is not on for this site.
  public func plugin(_ name: String) -> ConfigTable? {
    plugins.first { $0.name == name }?.settings
  }

  /// - Parameter table: decoded by `SiteConfiguration.schema` with the same plugins.
  init(_ table: ConfigTable, name: String, file: String?, plugins declarations: [PluginDeclaration]) {
    self.name = name
    self.file = file
    hosts = table.strings("hosts")
    apiTokens = Self.credentials(table.table("api").tables("tokens"))
    originSecret = OriginSecret(table.table("origin_secret"))
    signing = Signing(table.table("signing"))
    packaging = Packaging(segmentMilliseconds: table.table("packaging").durationMilliseconds("segment"))

    encryption = Encryption(table.table("encryption"))
    tls = TLS(table.table("tls"))

    let cache = table.table("cache")
    func seconds(_ key: String, of table: ConfigTable) -> Int { table.durationMilliseconds(key) / 1000 }
    func text(_ key: String, of table: ConfigTable) -> String? {
      table.string(key).isEmpty ? nil : table.string(key)
    }
    self.cache = Cache(
      manifestMaxAgeSeconds: seconds("manifest_max_age", of: cache),
      segmentMaxAgeSeconds: seconds("segment_max_age", of: cache),
      progressiveMaxAgeSeconds: seconds("progressive_max_age", of: cache),
      fileMaxAgeSeconds: seconds("file_max_age", of: cache),
      errorMaxAgeSeconds: seconds("error_max_age", of: cache),
      staleWhileRevalidateSeconds: seconds("stale_while_revalidate", of: cache),
      staleIfErrorSeconds: seconds("stale_if_error", of: cache),
      cdnCacheControl: text("cdn_cache_control", of: cache))

    let cors = table.table("cors")
    self.cors = CORS(
      allowOrigin: text("allow_origin", of: cors), expose: cors.strings("expose"),
      maxAgeSeconds: seconds("max_age", of: cors))

    let tags = table.table("tags")
    self.tags = Tags(surrogateKey: text("surrogate_key", of: tags), cacheTag: text("cache_tag", of: tags))

    let settings = table.table("plugins")
    plugins = declarations.compactMap { declaration in
      guard case .table(let own) = settings.values[declaration.name], own.bool("enabled") else { return nil }
      return PluginSettings(name: declaration.name, settings: own)
    }
  }

  static func credentials(_ tables: [ConfigTable]) -> [Credential] {
    tables.compactMap { table in
      table.secret("secret").map { Credential(id: table.string("id"), secret: $0) }
    }
  }
}

extension SiteConfiguration {
  /// Every key of a site file, declared, with the sections of these plugins.
  public static func schema(plugins: [PluginDeclaration]) -> ConfigSection {
    ConfigSection(
      "", "A site: one file each, `etc/sites/NAME.toml`. The file's name is the site's name.",
      keys: [
        .strings(
          "hosts", default: [HostName.anyHost], of: HostName.text,
          "Hosts that the site answers for, without ports. `*` takes every host that no other site takes. "
            + "No host belongs to two sites.",
          example: ["media.example.com", "localhost"])
      ],
      sections: [
        api, OriginSecret.section, Signing.section, packaging, Encryption.section, TLS.section, cache, cors,
        tags,
        ConfigSection(
          "plugins", "One section for each plugin that the site uses: `[plugins.NAME]`.",
          sections: plugins.map(\.section), role: .pluginList),
      ],
      validate: { table in
        table.strings("hosts").isEmpty
          ? [ConfigComplaint(at: ["hosts"], "hosts needs at least one host, or \"*\"")] : []
      })
  }

  static let credentialKeys: [ConfigKey] = [
    .string(
      "id", default: nil, .identifier, "The name under which logs and URLs mention it; unique in the list.",
      example: "k1"),
    .secret(
      "secret", isRequired: true, "Where the secret is: a file that only the server can read, or a variable."),
  ]

  private static let api = ConfigSection(
    "api", "The API under `/api/v1/`.",
    keys: [
      .tables(
        "tokens", of: credentialKeys, identity: "id",
        "Bearer tokens that may use the API of this site. Without one, nobody may.",
        example: "[{ id = \"ops\", secret_file = \"secrets/ops.token\" }]")
    ])

  private static let packaging = ConfigSection(
    "packaging", "How assets are cut for HLS and DASH.",
    keys: [
      .duration(
        "segment", default: "6s", from: "1s", to: "30s",
        "Target length of a segment. Segments begin at key frames, so each lasts at least this long where it can.",
        example: "4s")
    ])

  private static let cache = ConfigSection(
    "cache",
    "How long browsers and CDNs may keep answers: `Cache-Control`, by class of answer, in whole seconds.",
    keys: [
      .duration(
        "manifest_max_age", default: "60s", from: "0s", to: "365d",
        "Playlists and MPDs, and whatever else is asked for without a generation.", example: "10s"),
      .duration(
        "segment_max_age", default: "365d", from: "0s", to: "365d",
        "Segments, init segments and whatever else is named by its generation; also marked `immutable`.",
        example: "30d"),
      .duration(
        "progressive_max_age", default: "1h", from: "0s", to: "365d",
        "Progressive files and sources, when asked for without a generation.", example: "1d"),
      .duration(
        "file_max_age", default: "1h", from: "0s", to: "365d", "Static files below `/f/`.", example: "10m"),
      .duration(
        "error_max_age", default: "5s", from: "0s", to: "1h",
        "404, 410 and 422. Refusals and server errors are never stored.", example: "1s"),
      .duration(
        "stale_while_revalidate", default: "60s", from: "0s", to: "365d",
        "How long a cache may answer with a stale manifest or file while it fetches a new one (RFC 5861). `0s`: not at all.",
        example: "10s"),
      .duration(
        "stale_if_error", default: "24h", from: "0s", to: "365d",
        "How long a cache may answer with a stale copy while the origin fails (RFC 5861). `0s`: not at all.",
        example: "7d"),
      .string(
        "cdn_cache_control", default: "", .fieldValue,
        "The value of `CDN-Cache-Control` (RFC 9213) on what may be stored. Empty: the header is left out.",
        example: "max-age=600"),
    ],
    validate: wholeSeconds)

  private static let cors = ConfigSection(
    "cors", "Which web pages may read the answers.",
    keys: [
      .string(
        "allow_origin", default: "*", origin,
        "`Access-Control-Allow-Origin`: `*` or one origin. Empty: no CORS headers.",
        example: "https://player.example.com"),
      .strings(
        "expose", default: ["Content-Length", "Content-Range", "ETag", "Date"], of: .fieldName,
        "Headers that scripts may read.", example: ["Content-Length", "Content-Range", "ETag", "Date", "Age"]),
      .duration(
        "max_age", default: "24h", from: "0s", to: "24h", "How long browsers may keep a preflight's answer.",
        example: "2h"),
    ],
    validate: wholeSeconds)

  private static let tags = ConfigSection(
    "tags", "Headers that name what an answer belongs to, so that a CDN can purge by name.",
    keys: [
      .string(
        "surrogate_key", default: "Surrogate-Key", .fieldNameOrEmpty,
        "Header with names separated by spaces. Empty: none.", example: "xkey"),
      .string(
        "cache_tag", default: "Cache-Tag", .fieldNameOrEmpty,
        "Header with names separated by commas. Empty: none.", example: "Edge-Cache-Tag"),
    ])

  /// `*`, nothing, or a scheme and host with an optional port and no path (RFC 6454 §7).
  private static let origin = ConfigText("\"*\", \"\" or an origin such as \"https://player.example.com\"") {
    text in
    if text.isEmpty || text == "*" { return .accepted(text) }
    guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else {
      return .refused(suggestion: HostName.normal(text).map { "https://\($0)" })
    }
    let scheme = text[..<colon].lowercased()
    let rest = text[colon...].dropFirst(3)
    var authority = String(rest.prefix { $0 != "/" })
    var port = ""
    if let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") {
      guard UInt16(authority[authority.index(after: colon)...]) != nil else { return .refused() }
      port = String(authority[colon...])
      authority = String(authority[..<colon])
    }
    guard ["http", "https"].contains(scheme), authority != "*", let host = HostName.normal(authority) else {
      return .refused()
    }
    let whole = "\(scheme)://\(host)\(port)"
    return rest.contains("/") ? .refused(suggestion: whole) : .accepted(whole)
  }

  /// HTTP counts lifetimes in seconds: half a second would silently become nothing.
  static let wholeSeconds: @Sendable (ConfigTable) -> [ConfigComplaint] = { table in
    table.values.compactMap { name, value in
      guard case .durationMilliseconds(let milliseconds) = value, milliseconds % 1000 != 0 else { return nil }
      return ConfigComplaint(
        at: [.key(name)], "\(name) counts whole seconds", code: .badUnit,
        suggestion: "\((milliseconds / 1000) + 1)s")
    }
  }
}

// The settings of the plugin: what they are called, and what they come to.

import HTTP
import Net
import Origin

/// The settings of the plugin as one value.
struct CDNConfig: Sendable {
  var edges: [Edge]
  /// How long a purge waits for others to go with it.
  var windowMilliseconds: UInt64
  var mostAttempts: UInt32
  var prefetchSegments: Int
  var prefetchConcurrency: Int
  var trendingAssets: Int
  var trendingMilliseconds: UInt64
  var verifyMilliseconds: UInt64
  /// Names below an asset that other plugins answer, purged by URL along with the built-in ones.
  var names: [String]
  /// Segments of one removed asset that are purged one by one where an edge is told by URLs.
  var removedSegments: Int

  static let vendors = [
    "generic", "fastly", "cloudflare", "cloudfront", "akamai", "bunny", "varnish", "nginx", "trafficserver",
  ]

  static let section = ConfigSection(
    "cdn", "Purges what changes, warms what is new, and tells each CDN what belongs together.",
    keys: [
      .tables(
        "edges", of: edgeKeys, identity: "name",
        "The CDNs and caches in front of the site. docs/CDN.md has an example for each vendor.",
        example:
          "[{ name = \"fastly\", vendor = \"fastly\", urls = [\"https://media.example.com\"], zone = \"SU1Z0isxPaozGVKXdv0eY\", token_file = \"secrets/fastly.token\" }]"
      ),
      .duration(
        "window", default: "200ms", from: "0ms", to: "10s",
        "How long a purge waits for others, so that they go in one call.", example: "500ms"),
      .integer(
        "attempts", default: 1000, in: 1...1_000_000,
        "Tries of one purge, a minute apart in the end, before it is left to `headwater cdn retry`.",
        example: 100),
      .integer(
        "prefetch_segments", default: 3, in: 0...1000,
        "Segments of each rendition of a new asset that are fetched through edges with `prefetch`.",
        example: 5),
      .integer(
        "prefetch_concurrency", default: 4, in: 1...64, "Requests of a warming at a time, for each edge.",
        example: 8),
      .integer(
        "trending", default: 0, in: 0...1000,
        "Assets of the most watched whose first half is fetched through edges with `prefetch`, in 720p and 1080p. Needs a plugin that counts views; 0: none.",
        example: 20),
      .duration(
        "trending_interval", default: "5m", from: "1s", to: "24h",
        "How often the most watched are looked up.",
        example: "15m"),
      .duration(
        "verify_timeout", default: "10s", from: "100ms", to: "5m",
        "How long an edge with `verify` may answer with the old copy after a purge, before it is purged again.",
        example: "30s"),
      .strings(
        "names", default: ["poster.jpg", "storyboard.vtt"], of: .nonEmpty,
        "Names below an asset that are purged along with its manifests where an edge is told by URLs.",
        example: ["poster.jpg", "thumb_0.jpg?w=320"]),
      .integer(
        "removed_segments", default: 20_000, in: 0...1_000_000,
        "Most segments of a removed or hidden asset that are purged one by one where an edge is told by URLs and has no trees. The others stay there until their lifetime ends; `headwater cdn status` counts them.",
        example: 100_000),
    ])

  private static let base = ConfigText.matching(
    "http:// or https:// and a host, without a path", SiteURLs.isBase)
  private static let path = ConfigText.matching("a path that begins with a slash, or \"\"") {
    $0.isEmpty || $0.hasPrefix("/") && $0.utf8.allSatisfy { (0x21...0x7E).contains($0) }
  }

  private static let edgeKeys: [ConfigKey] = [
    .string(
      "name", default: nil, .identifier, "A name of your choice, for logs and commands.", example: "pop-1"),
    .string("vendor", default: nil, .oneOf(vendors), "What it is.", example: "varnish"),
    .strings(
      "urls", default: [], of: base, "The names under which viewers reach the site through it.",
      example: ["https://media.example.com"]),
    .strings(
      "servers", default: [], of: base,
      "`varnish`, `nginx`, `trafficserver`: the cache servers, each of which is told by itself.",
      example: ["http://10.0.0.5:6081"]),
    .string(
      "api", default: "",
      ConfigText.matching("\"\", or http:// or https:// and a host") { $0.isEmpty || SiteURLs.isBase($0) },
      "The address of the vendor's API; \"\": the vendor's own. `akamai` and `generic` need it.",
      example: "https://cdn-api.example.net"),
    .string(
      "zone", default: "",
      ConfigText.matching("an id of letters, digits, \"-\" and \"_\"") {
        $0.utf8.allSatisfy {
          (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D
            || $0 == 0x5F
        }
      },
      "The id of Fastly's service, Cloudflare's zone, CloudFront's distribution, bunny.net's pull zone.",
      example: "023e105f4ecef8ad9ca31a8372d0c353"),
    .secret(
      "token", isRequired: false,
      "The API token; of `varnish`, `nginx` and `trafficserver` a secret that is sent as `X-Purge-Token`."),
    .string(
      "key_id", default: "", .any, "CloudFront's access key id; Akamai's client token.",
      example: "AKIDEXAMPLE"),
    .secret("key_secret", isRequired: false, "CloudFront's secret access key; Akamai's client secret."),
    .secret("access_token", isRequired: false, "Akamai's access token."),
    .string(
      "network", default: "production", .oneOf("production", "staging"), "Akamai's network.",
      example: "staging"),
    .string(
      "by", default: "auto", .oneOf("auto", "tag", "url", "tree"),
      "How a change of an asset is told: by one tag, by URLs, or by one prefix, which takes immutable segments along. `auto`: tags where the vendor has them without further setting.",
      example: "url"),
    .bool("soft", default: false, "Mark as stale instead of removing: Fastly, Akamai, Varnish with xkey."),
    .bool("ban", default: false, "Varnish: tags by bans, without vmod xkey."),
    .bool(
      "refresh", default: false, "nginx: renew by a GET that passes by the cache, without a purge module."),
    .integer(
      "batch", default: 0, in: 0...10_000, "Most items in a call; 0: the vendor's limit.", example: 50),
    .integer(
      "calls_per_minute", default: 0, in: 0...1_000_000, "Most calls a minute; 0: the vendor's limit.",
      example: 60),
    .integer(
      "call_burst", default: 0, in: 0...100_000, "Most calls at once; 0: the vendor's limit.", example: 10),
    .integer("concurrency", default: 8, in: 1...64, "Calls under way at a time.", example: 2),
    .duration("timeout", default: "10s", from: "100ms", to: "5m", "For one call.", example: "30s"),
    .bool(
      "private_addresses", default: false,
      "Whether its API may be at a private address. `servers` may always be."),
    .string(
      "tag_field", default: "auto", .fieldNameOrEmpty,
      "The response header that carries tags for it; `auto`: the vendor's; \"\": none.", example: "Cache-Tag"),
    .duration(
      "edge_max_age", default: "0s", from: "0s", to: "365d",
      "How long it may keep what it is purged of, whatever browsers are told; 0s: no longer than they.",
      example: "24h"),
    .string(
      "prefetch", default: "off", .oneOf("off", "requests", "api"),
      "How new assets are fetched into it: `requests` as viewers would make them, `api` by the generic vendor's own call.",
      example: "requests"),
    .bool(
      "verify", default: false, "Look after a purge, by a request through it, whether it serves the new."),
    .duration(
      "analytics", default: "0s", from: "0s", to: "30d",
      "How long a time its vendor is asked about: bandwidth, requests, hits. 0s: it is not asked. `fastly`, `cloudflare`, `cloudfront`, `akamai` and `bunny` can tell.",
      example: "1h"),
    .duration(
      "analytics_interval", default: "5m", from: "1s", to: "24h", "How often it is asked.", example: "15m"),
    .string(
      "analytics_api", default: "",
      ConfigText.matching("\"\", or http:// or https:// and a host") { $0.isEmpty || SiteURLs.isBase($0) },
      "The address that is asked; \"\": the vendor's own. `akamai` needs it.",
      example: "https://akab-xxxxxxxx.luna.akamaiapis.net"),
    .secret(
      "analytics_token", isRequired: false,
      "`fastly`, `cloudflare`: a token that may read figures; without one, that of purges."),
    .string(
      "purge_path", default: "/cache/purge", path, "`generic`: where purges are posted.", example: "/purge"),
    .string(
      "purge_body", default: "{\"urls\":${urls}}", .nonEmpty, "`generic`: the body of a purge by URL.",
      example: "{\"site\":${site},\"paths\":${paths}}"),
    .string(
      "purge_tags_body", default: "", .any, "`generic`: the body of a purge by tag; \"\": it has none.",
      example: "{\"tags\":${tags}}"),
    .string(
      "purge_all_body", default: "{\"all\":true}", .nonEmpty, "`generic`: the body of a purge of everything.",
      example: "{\"everything\":true}"),
    .string(
      "prefetch_path", default: "/cache/prefetch", path, "`generic`: where `prefetch = \"api\"` posts.",
      example: "/warm"),
    .string(
      "prefetch_body", default: "{\"urls\":${urls}}", .nonEmpty, "`generic`: the body of it.",
      example: "{\"paths\":${paths}}"),
    .stringTable(
      "rules", names: .nonEmpty, values: .nonEmpty,
      "`generic`: how long what is kept, by pattern of path; posted at each start and change.",
      example: "{ \"/v/*/g/*\" = \"365d\", \"/v/*\" = \"60s\" }"),
    .string(
      "rules_path", default: "/cache/rules", path, "`generic`: where rules are posted.", example: "/rules"),
    .string(
      "rules_body", default: "{\"rules\":${rules}}", .nonEmpty,
      "`generic`: the body of it; a rule is `{\"path\":…,\"ttl\":seconds}`.", example: "{\"ttl\":${rules}}"),
  ]

  init(_ table: ConfigTable, site: String) throws(PluginError) {
    windowMilliseconds = UInt64(table.durationMilliseconds("window"))
    mostAttempts = UInt32(table.integer("attempts"))
    prefetchSegments = table.integer("prefetch_segments")
    prefetchConcurrency = table.integer("prefetch_concurrency")
    trendingAssets = table.integer("trending")
    trendingMilliseconds = UInt64(table.durationMilliseconds("trending_interval"))
    verifyMilliseconds = UInt64(table.durationMilliseconds("verify_timeout"))
    names = table.strings("names")
    removedSegments = table.integer("removed_segments")
    edges = []
    for (number, entry) in table.tables("edges").enumerated() {
      let settings = EdgeSettings(table: entry, site: site, place: "edges[\(number)]")
      edges += try settings.edges()
    }
  }
}

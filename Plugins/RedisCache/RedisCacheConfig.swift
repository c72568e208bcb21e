import Origin

/// The settings of the plugin as one value.
struct RedisCacheConfig: Sendable, Equatable {
  /// Where an upstream has the metadata, and how it is asked.
  struct Upstream: Sendable, Equatable {
    /// With `{id}` for the video.
    var template: String
    var token: Secret?
    var timeoutMilliseconds: UInt64
    var allowsPrivateAddresses: Bool
    /// Nil: the certification authorities of the system.
    var certificateAuthoritiesPath: String?
  }

  /// Nil: the catalog is the source.
  var upstream: Upstream?
  var key: MetadataKey
  var channel: String
  var ttlMilliseconds: UInt64
  var missingTTLMilliseconds: UInt64
  var refreshBeforeMilliseconds: UInt64
  var lockMilliseconds: UInt64
  var waitMilliseconds: UInt64
  var memoryBytes: Int
  var memoryFreshMilliseconds: UInt64
  var staleMilliseconds: UInt64
  var refusesUnknown: Bool
  /// In lower case; nil: where viewers are is not looked at.
  var countryField: String?

  init(_ table: ConfigTable, site: String) {
    func milliseconds(_ name: String) -> UInt64 { UInt64(table.durationMilliseconds(name)) }
    func text(_ name: String) -> String? { table.string(name).isEmpty ? nil : table.string(name) }
    upstream = text("upstream_url").map {
      Upstream(
        template: $0, token: table.secret("upstream_token"),
        timeoutMilliseconds: milliseconds("upstream_timeout"),
        allowsPrivateAddresses: table.bool("upstream_allow_private"),
        certificateAuthoritiesPath: text("upstream_ca_file"))
    }
    key = MetadataKey(template: table.string("key"), site: site)
    channel = table.string("channel").split(separator: "{site}", omittingEmptySubsequences: false)
      .joined(separator: site)
    ttlMilliseconds = milliseconds("ttl")
    missingTTLMilliseconds = milliseconds("missing_ttl")
    refreshBeforeMilliseconds = milliseconds("refresh_before")
    lockMilliseconds = milliseconds("lock")
    waitMilliseconds = milliseconds("wait")
    memoryBytes = table.sizeBytes("memory")
    memoryFreshMilliseconds = milliseconds("memory_fresh")
    staleMilliseconds = milliseconds("stale")
    refusesUnknown = table.string("when_unknown") == "refuse"
    countryField = text("country_header")?.lowercased()
  }

  static let section = ConfigSection(
    "redis", "Metadata of videos from Redis, in front of the catalog or of a JSON API of yours.",
    keys: RedisSettings.keys() + [
      .string(
        "upstream_url", default: "", url,
        "The JSON API that knows the videos, with `{id}` for one of them. Empty: the catalog is the source.",
        example: "https://cms.example.com/videos/{id}"),
      .secret("upstream_token", isRequired: false, "The bearer token that `upstream_url` is asked with."),
      .duration(
        "upstream_timeout", default: "2s", from: "10ms", to: "30s",
        "How long `upstream_url` may take. Whoever waits for it gives up after `wait`; its answer is kept all the same.",
        example: "500ms"),
      .bool(
        "upstream_allow_private", default: false,
        "Whether `upstream_url` may lead to this machine or a private network. Link-local addresses are never asked."
      ),
      .string(
        "upstream_ca_file", default: "", absolutePath,
        "PEM file of the certification authorities that `upstream_url` is trusted by. Empty: those of the system.",
        example: "/etc/ssl/private-ca.pem"),
      .string(
        "key", default: "video:meta:{id}", key,
        "The key of a video in Redis: `{id}` stands for the video, `{site}` for the site. Sites that share a database need `{site}`.",
        example: "{site}:video:meta:{id}"),
      .string(
        "channel", default: "video:meta:changed", .nonEmpty,
        "The channel on which the ids of changed videos are published. `{site}` stands for the site.",
        example: "{site}:video:changed"),
      .duration(
        "ttl", default: "1h", from: "1s", to: "30d",
        "How long Redis keeps what is known of a video, a tenth more or less, so that not all of it ends at once.",
        example: "15m"),
      .duration(
        "missing_ttl", default: "30s", from: "1s", to: "1h",
        "How long Redis keeps that a video is not known.", example: "10s"),
      .duration(
        "refresh_before", default: "6m", from: "0s", to: "1h",
        "From how long before its end an entry is loaded anew, by one node, while all go on using it.",
        example: "1m"),
      .duration(
        "lock", default: "5s", from: "100ms", to: "1m",
        "How long the one that loads an entry may keep others from doing so, if it does not come back.",
        example: "10s"),
      .duration(
        "wait", default: "400ms", from: "10ms", to: "500ms",
        "How long a request waits for what nobody has asked for yet. Then it goes on as `when_unknown` says.",
        example: "200ms"),
      .size(
        "memory", default: "32MiB", from: "1MiB", to: "16GiB",
        "Memory of this process for what is known. What was used longest ago goes first.", example: "256MiB"),
      .duration(
        "memory_fresh", default: "5s", from: "100ms", to: "10m",
        "How long that is used without asking Redis again. Then it is used while Redis is asked.",
        example: "1s"),
      .duration(
        "stale", default: "24h", from: "0s", to: "30d",
        "How long what was known goes on being used when neither Redis nor the source answers.", example: "1h"
      ),
      .string(
        "when_unknown", default: "allow", .oneOf("allow", "refuse"),
        "What viewers get when nothing is known of a video and nobody answers: what the catalog allows, or 503.",
        example: "refuse"),
      .string(
        "country_header", default: "", .fieldNameOrEmpty,
        "The header in which your CDN says the viewer's country, in two letters. Empty: `countries` is not looked at.",
        example: "CloudFront-Viewer-Country"),
    ],
    validate: { table in
      var found = RedisSettings.complaints(table)
      if table.secret("upstream_token") != nil, table.string("upstream_url").isEmpty {
        found.append(
          ConfigComplaint(
            at: ["upstream_token"], "a token without upstream_url is never used", code: .missingKey))
      }
      if !table.string("country_header").isEmpty, table.string("upstream_url").isEmpty {
        found.append(
          ConfigComplaint(
            at: ["country_header"], "the catalog has no countries: set upstream_url", code: .missingKey))
      }
      if table.durationMilliseconds("refresh_before") >= table.durationMilliseconds("ttl") {
        found.append(
          ConfigComplaint(at: ["refresh_before"], "refresh_before is to be shorter than ttl"))
      }
      return found
    })

  private static let url = ConfigText("a URL with {id}") { text in
    if text.isEmpty { return .accepted(text) }
    guard text.hasPrefix("https://") || text.hasPrefix("http://") else {
      return .refused(reason: "write https://… or http://…")
    }
    guard text.contains("{id}") else { return .refused(reason: "{id} must stand where the video's id goes") }
    guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), !text.contains("@") else {
      return .refused(
        reason: "a URL is visible ASCII, and a secret does not stand in it: set upstream_token_file")
    }
    return .accepted(text)
  }

  private static let key = ConfigText("a key with {id}") { text in
    text.contains("{id}") ? .accepted(text) : .refused(reason: "{id} must stand where the video's id goes")
  }

  private static let absolutePath = ConfigText.matching("an absolute path, or \"\" for none") {
    $0.isEmpty || $0.hasPrefix("/")
  }
}

/// The names that a video has in Redis.
struct MetadataKey: Sendable, Equatable {
  /// The text around the video's id.
  private let parts: [String]

  init(template: String, site: String) {
    let named = template.split(separator: "{site}", omittingEmptySubsequences: false).joined(separator: site)
    parts = named.split(separator: "{id}", omittingEmptySubsequences: false).map(String.init)
  }

  /// Where its metadata are.
  func value(of id: String) -> String { parts.joined(separator: id) }

  /// Where it is noted who loads them: in the same slot of a cluster, since a script touches both.
  func lock(of id: String) -> String {
    let value = value(of: id)
    // Of a key with a tag only the tag decides (redis.io, cluster specification); else it is made the tag.
    if let open = value.firstIndex(of: "{"), let close = value[open...].firstIndex(of: "}"),
      value.index(after: open) < close
    {
      return value + ":lock"
    }
    return "{\(value)}:lock"
  }
}

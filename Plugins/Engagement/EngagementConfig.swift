import HTTP
import Net
import Origin

/// The settings of the plugin as one value.
struct EngagementConfig: Sendable {
  /// Nil: all of it stays in memory.
  var redis: RedisConfiguration?
  var keys = EngagementKeys(prefix: "")
  var times = Times()
  /// Beacons a second above which one viewer in `ViewSampling.share` stands for all; 0: never.
  var sampleAbove = 0
  var viewerKey: Secret?
  /// Beacons that an address may send in a second, and at once; 0: as many as it likes.
  var beaconRate = RateRule.off
  /// Requests for media.
  var mediaRate = RateRule.off
  var exempt: [NetworkPrefix] = []

  /// All in milliseconds.
  struct Times: Sendable, Equatable {
    var watched: Int64 = 30_000
    var again: Int64 = 1_800_000
    var session: Int64 = 7_200_000
    var history: Int64 = 90 * 86_400_000
    var live: Int64 = 30_000
    var feed: Int64 = 300_000
    var reported: Int64 = 86_400_000
    var realtimeWindow: Int64 = 300_000
    var realtimeInterval: Int64 = 5_000
    var flush: Int64 = 3_600_000
  }

  static let historyLength = 100
  static let uniqueDays = 30
  static let trendingHours = 24

  static let section = ConfigSection(
    "engagement",
    "Views, sessions, live viewers, rate limits, moderation and player metrics; docs/ENGAGEMENT.md tells more.",
    keys: RedisSettings.keys(url: "", commandTimeout: "200ms") + [
      .string(
        "prefix", default: "", .any,
        "In front of all keys. Sites that share a Redis need one each; a cluster needs a tag, such as `{headwater:demo}:`.",
        example: "{headwater:demo}:"),
      .duration(
        "view_after", default: "30s", from: "1s", to: "1h",
        "How much of a video must be watched for a view. Half of the video is enough, where that is less.",
        example: "10s"),
      .duration(
        "view_again", default: "30m", from: "1s", to: "7d",
        "How long a viewer's next view of the same video does not count.", example: "24h"),
      .integer(
        "sample_above", default: 0, in: 0...1_000_000,
        "Beacons of views and progress that this process gets in a second, above which one viewer in ten stands for all. 0: each is counted.",
        example: 5000),
      .duration(
        "flush", default: "1h", from: "1s", to: "24h",
        "How often views are brought into the catalog. Without Redis at least every minute.", example: "15m"),
      .duration(
        "session", default: "2h", from: "100ms", to: "30d",
        "How long a viewer's place in a video is kept after he was heard of.", example: "24h"),
      .duration(
        "history", default: "90d", from: "1s", to: "3650d",
        "How long the history of a viewer who does not come again is kept.", example: "30d"),
      .duration(
        "live", default: "30s", from: "100ms", to: "10m",
        "How long a viewer counts as watching after a heartbeat.", example: "60s"),
      .duration(
        "feed", default: "5m", from: "100ms", to: "30d", "How long the feed of a viewer is kept.",
        example: "1h"),
      .duration(
        "realtime_interval", default: "5s", from: "100ms", to: "60s",
        "How often this process adds to the metrics of the last five minutes.", example: "10s"),
      .secret(
        "viewer_key", isRequired: false,
        "The key under which viewers who bring no id are told apart. Without one each process has its own."),
      .integer(
        "beacon_rate", default: 20, in: 0...100_000,
        "Beacons (views, progress, heartbeats, reports, CMCD) that an address may send in a second. 0: any number.",
        example: 100),
      .integer(
        "beacon_burst", default: 100, in: 1...1_000_000, "How many of them may come at once.", example: 500),
      .integer(
        "media_rate", default: 0, in: 0...1_000_000,
        "Requests for media that an address may send within `media_per`, on all nodes together. 0: any number.",
        example: 600),
      .duration("media_per", default: "1m", from: "1s", to: "1h", "See `media_rate`.", example: "10s"),
      .string(
        "media_algorithm", default: "gcra", .oneOf("gcra", "fixed-window"),
        "How they are counted: `gcra` lets through an even rate and `media_burst` at once; `fixed-window` counts anew for each `media_per`.",
        example: "fixed-window"),
      .integer(
        "media_burst", default: 50, in: 1...1_000_000, "How many may come at once under `gcra`.", example: 200
      ),
      .strings(
        "exempt", default: [], of: networkText,
        "Networks, such as those of a CDN, that no rate limit is for.",
        example: ["10.0.0.0/8"]),
    ],
    sections: [EngagementKeys.section], validate: RedisSettings.complaints)

  private static let networkText = ConfigText("a network such as 10.0.0.0/8") { text in
    NetworkPrefix(text) == nil ? .refused() : .accepted(text)
  }

  init() {}

  init(_ table: ConfigTable) throws(PluginError) {
    redis = RedisSettings.configuration(table)
    let prefix = table.string("prefix")
    guard prefix.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      throw PluginError(key: "prefix", "a prefix is visible ASCII without blanks")
    }
    keys = try EngagementKeys(prefix: prefix, table.table("keys"))
    if case .cluster = redis?.place, !Self.hasTag(prefix) {
      throw PluginError(
        key: "prefix",
        "a cluster needs all keys in one slot: set a prefix with a tag, such as \"{headwater:demo}:\"")
    }
    times.watched = Int64(table.durationMilliseconds("view_after"))
    times.again = Int64(table.durationMilliseconds("view_again"))
    times.flush = Int64(table.durationMilliseconds("flush"))
    if redis == nil { times.flush = min(times.flush, 60_000) }
    times.session = Int64(table.durationMilliseconds("session"))
    times.history = Int64(table.durationMilliseconds("history"))
    times.live = Int64(table.durationMilliseconds("live"))
    times.feed = Int64(table.durationMilliseconds("feed"))
    times.realtimeInterval = Int64(table.durationMilliseconds("realtime_interval"))
    sampleAbove = table.integer("sample_above")
    viewerKey = table.secret("viewer_key")
    if let key = viewerKey, key.bytes.count < 16 {
      throw PluginError(key: "viewer_key", "a key has at least 16 bytes")
    }
    beaconRate = RateRule(
      .cellRate, requests: table.integer("beacon_rate"), perMilliseconds: 1000,
      burst: table.integer("beacon_burst"))
    mediaRate = RateRule(
      table.string("media_algorithm") == "gcra" ? .cellRate : .fixedWindow,
      requests: table.integer("media_rate"),
      perMilliseconds: table.durationMilliseconds("media_per"), burst: table.integer("media_burst"))
    exempt = table.strings("exempt").compactMap { NetworkPrefix($0) }
  }

  private static func hasTag(_ prefix: String) -> Bool {
    guard let open = prefix.firstIndex(of: "{"), let close = prefix[open...].firstIndex(of: "}") else {
      return false
    }
    return prefix.index(after: open) < close
  }
}

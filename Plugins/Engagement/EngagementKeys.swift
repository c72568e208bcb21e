// The names of keys in Redis
//
// Each is a template of the site's settings, whose placeholders are filled in, behind one prefix. Ids of videos and viewers hold
// letters, digits, `_` and `-`, so no filled-in name is another one. In a cluster all keys must share a slot, since views and all
// that goes with them are one step: give `prefix` a tag in braces then.

import Net
import Origin

/// Templates, filled in.
struct EngagementKeys: Sendable, Equatable {
  enum Name: String, CaseIterable, Sendable {
    case views, viewed, changed, line, unique, trending, session, history, live, feed, queue, item, reported,
      realtime
    case rate

    /// The names that are published, and what each holds.
    var template: String {
      switch self {
      case .views: "views:{id}"
      case .viewed: "viewed:{id}:{user}"
      case .changed: "views:changed"
      case .line: "views:line"
      case .unique: "uv:{id}:{day}"
      case .trending: "trending:{hour}"
      case .session: "session:{user}:{id}"
      case .history: "hist:{user}"
      case .live: "live:{id}"
      case .feed: "feed:{user}"
      case .queue: "moderation:queue"
      case .item: "moderation:item:{id}"
      case .reported: "reported:{id}:{user}"
      case .realtime: "metrics:realtime"
      case .rate: "rl:{address}:{window}"
      }
    }

    var documentation: String {
      switch self {
      case .views: "A number: views of a video."
      case .viewed: "Whose view of a video was counted lately."
      case .changed: "A sorted set: videos by the number of their last view."
      case .line: "A hash: which counter this is, and the number of the last view."
      case .unique: "A HyperLogLog: viewers of a video on a day."
      case .trending: "A sorted set: views of an hour by video."
      case .session: "A hash: where a viewer is in a video."
      case .history: "A sorted set: what a viewer has watched, by time."
      case .live: "A sorted set: viewers that are there, by the time they were heard of."
      case .feed: "A JSON text: the feed of a viewer."
      case .queue: "A sorted set: videos to be looked at, by the number of reports."
      case .item: "A hash: what was reported of a video."
      case .reported: "Who has reported a video."
      case .realtime: "A stream: what each node saw, interval by interval."
      case .rate: "What an address has used of the rate limit."
      }
    }

    /// The placeholders that a template must have, and no others.
    var placeholders: [String] {
      EngagementKeys.placeholders(in: template)
    }
  }

  let prefix: String
  private let templates: [Name: String]

  init(prefix: String, templates: [Name: String] = [:]) {
    self.prefix = prefix
    self.templates = templates
  }

  func callAsFunction(_ name: Name, _ values: [String: String] = [:]) -> RedisArgument {
    var key = templates[name] ?? name.template
    for (placeholder, value) in values { key = key.replacing("{\(placeholder)}", with: value) }
    return RedisArgument(prefix + key)
  }

  /// The text before and behind the id, for scripts that find keys by ids.
  func parts(_ name: Name) -> [RedisArgument] {
    let template = templates[name] ?? name.template
    let parts = template.split(separator: "{id}", maxSplits: 1, omittingEmptySubsequences: false)
    return [RedisArgument(prefix + (parts.first ?? "")), RedisArgument(parts.count > 1 ? parts[1] : "")]
  }

  // MARK: Settings

  static let section = ConfigSection(
    "keys", "Names of the keys in Redis. Each needs its own placeholders.",
    keys: Name.allCases.map { name in
      .string(
        name.rawValue, default: name.template, text(name), name.documentation,
        example: "headwater:\(name.template)")
    })

  init(prefix: String, _ table: ConfigTable) throws(PluginError) {
    var templates: [Name: String] = [:]
    for name in Name.allCases { templates[name] = table.string(name.rawValue) }
    guard Set(templates.values).count == templates.count else {
      throw PluginError(key: "keys", "two keys have the same name: give each its own")
    }
    self.init(prefix: prefix, templates: templates)
  }

  private static func text(_ name: Name) -> ConfigText {
    let wanted = Set(name.placeholders)
    let list = wanted.sorted().map { "{\($0)}" }.joined(separator: " and ")
    return .matching(
      wanted.isEmpty
        ? "a name without placeholders or blanks" : "a name with \(list), once each, and no blank"
    ) {
      text in
      let found = placeholders(in: text)
      return !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } && found.count == wanted.count
        && Set(found) == wanted
    }
  }

  /// The words in braces, in their order.
  private static func placeholders(in template: String) -> [String] {
    template.split(separator: "{").dropFirst(template.hasPrefix("{") ? 0 : 1).compactMap { part in
      part.firstIndex(of: "}").map { String(part[..<$0]) }
    }
  }
}

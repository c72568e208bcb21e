import HTTP
import Net
import Origin

/// What each edge is told of an answer, beside what all caches are told: tags in its own field and within its limits, and how long it
/// may keep what it will be purged of.
struct EdgeHeaders: HeaderFilter {
  let tagFields: [Edge.TagField]
  let cacheRules: [HTTPCacheRule]

  struct HTTPCacheRule: Equatable, Sendable {
    var name: String
    var value: String
  }

  init(_ edges: [Edge]) {
    var fields: [Edge.TagField] = []
    for field in edges.compactMap(\.tagField) {
      if let known = fields.firstIndex(where: { $0.name.lowercased() == field.name.lowercased() }) {
        // One field for two vendors: what fits both.
        fields[known].mostTags = min(fields[known].mostTags, field.mostTags)
        fields[known].mostTagBytes = min(fields[known].mostTagBytes, field.mostTagBytes)
        fields[known].mostBytes = min(fields[known].mostBytes, field.mostBytes)
      } else {
        fields.append(field)
      }
    }
    tagFields = fields
    var rules: [HTTPCacheRule] = []
    for rule in edges.compactMap(\.cacheRule)
    where !rules.contains(where: { $0.name.lowercased() == rule.name.lowercased() }) {
      rules.append(HTTPCacheRule(name: rule.name, value: rule.value))
    }
    cacheRules = rules
  }

  func filter(_ fields: inout HeaderFields, of answer: AnswerInfo) {
    guard answer.kind != .api, answer.kind != .key else { return }
    let tags = answer.cacheTags
    for field in tagFields {
      let value = Self.value(tags, field)
      if !value.isEmpty { fields.set(field.name, value) }
    }
    guard answer.status == 200, !answer.isImmutable, answer.kind != .error, answer.kind != .blob,
      let control = fields["Cache-Control"], String(decoding: control, as: UTF8.self).hasPrefix("public")
    else { return }
    for rule in cacheRules {
      fields.set(rule.name, answer.mostAgeSeconds.map { Self.value(rule.value, most: $0) } ?? rule.value)
    }
  }

  /// A rule, `max-age=86400` or `86400`, with its seconds cut down.
  static func value(_ rule: String, most seconds: Int64) -> String {
    let name = rule.prefix { !$0.isNumber }
    return "\(name)\(min(Int64(rule.dropFirst(name.count)) ?? 0, seconds))"
  }

  /// As many tags as fit, in their order, which is that of importance.
  static func value(_ tags: [String], _ field: Edge.TagField) -> String {
    var value = ""
    for tag in tags.filter({ $0.utf8.count <= field.mostTagBytes }).prefix(field.mostTags) {
      let longer = value.isEmpty ? tag : value + field.separator + tag
      guard longer.utf8.count <= field.mostBytes else { break }
      value = longer
    }
    return value
  }
}

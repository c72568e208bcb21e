import HTTP
import Origin

/// The settings of the plugin as one value: rules in the order of the file.
struct HeadersConfig: Equatable, Sendable {
  struct Rule: Equatable, Sendable {
    /// Which answers the rule is for; nil means every one.
    var kind: AnswerKind?
    var set: [(name: String, value: String)]
    var add: [(name: String, value: String)]
    var remove: [String]

    static func == (left: Rule, right: Rule) -> Bool {
      left.kind == right.kind && left.remove == right.remove
        && left.set.elementsEqual(right.set, by: ==) && left.add.elementsEqual(right.add, by: ==)
    }
  }

  var rules: [Rule]

  init(_ table: ConfigTable) throws(PluginError) {
    var rules: [Rule] = []
    for (number, entry) in table.tables("rules").enumerated() {
      let rule = Rule(
        kind: AnswerKind(rawValue: entry.string("class")), set: Self.sorted(entry.stringTable("set")),
        add: Self.sorted(entry.stringTable("add")), remove: entry.strings("remove"))
      for name in rule.set.map(\.name) + rule.add.map(\.name) + rule.remove
      where Self.framing.contains(name.lowercased()) {
        throw PluginError(
          key: "rules[\(number)]", "\(name) describes the message itself and can't be changed by a rule")
      }
      rules.append(rule)
    }
    self.rules = rules
  }

  /// Fields that the server needs for framing, ranges and validation; changing them would break clients.
  static let framing: Set<String> = [
    "connection", "content-length", "content-range", "content-type", "date", "etag", "keep-alive",
    "last-modified", "trailer", "transfer-encoding", "upgrade", "x-request-id",
  ]

  /// A TOML table has no order of its own; sorted by name, equal files give equal answers.
  private static func sorted(_ table: [String: String]) -> [(name: String, value: String)] {
    table.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
  }
}

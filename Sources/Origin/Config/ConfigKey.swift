/// One key of the configuration, declared once.
///
/// What the program accepts, what it assumes when the key is absent, what `docs/CONFIG.md` says and what
/// `headwater plugins` lists all follow from this value, so they cannot disagree.
///
/// ```swift
/// .duration("segment", default: "6s", from: "1s", to: "30s", "Target length of a segment.", example: "4s")
/// ```
public struct ConfigKey: Sendable {
  /// What a key takes. Ranges are inclusive; durations are in milliseconds, sizes in bytes.
  public enum Kind: Sendable {
    case bool
    case integer(ClosedRange<Int>)
    case string(ConfigText)
    case duration(ClosedRange<Int>)
    case size(ClosedRange<Int>)
    case strings(ConfigText)
    /// Free names with a string each, such as header fields.
    case stringTable(names: ConfigText, values: ConfigText)
    /// A list of tables of one shape. `identity` names the key whose value may occur only once in the list.
    case tables(ConfigSection, identity: String?)
    /// Written as `NAME_file` or `NAME_env`; the value itself never stands in the configuration.
    case secret
  }

  /// As it is written in TOML, lower case with underscores.
  public let name: String
  public let kind: Kind
  /// What stands for an absent key. `nil`: the key is required, or it is an optional secret.
  public let defaultValue: ConfigValue?
  public let isRequired: Bool
  /// One or two sentences for the person who writes the file.
  public let documentation: String
  /// A value other than the default, as TOML.
  public let example: String

  /// `true` or `false`.
  public static func bool(_ name: String, default value: Bool, _ documentation: String) -> ConfigKey {
    ConfigKey(name, .bool, .bool(value), documentation, example: value ? "false" : "true")
  }

  /// A whole number within `range`.
  public static func integer(
    _ name: String, default value: Int, in range: ClosedRange<Int>, _ documentation: String, example: Int
  ) -> ConfigKey {
    precondition(range.contains(value), "the default of \(name) lies outside its own range")
    return ConfigKey(name, .integer(range), .integer(value), documentation, example: String(example))
  }

  /// A string of the kind `text`. `nil` as the default makes the key required.
  public static func string(
    _ name: String, default value: String?, _ text: ConfigText = .any, _ documentation: String,
    example: String
  ) -> ConfigKey {
    ConfigKey(
      name, .string(text), value.map(ConfigValue.string), documentation, example: TOMLText.quoted(example))
  }

  /// A length of time with its unit, decoded to milliseconds. All three texts are durations themselves.
  public static func duration(
    _ name: String, default value: String, from least: String, to most: String, _ documentation: String,
    example: String
  ) -> ConfigKey {
    let range = ConfigDuration.declared(least)...ConfigDuration.declared(most)
    let milliseconds = ConfigDuration.declared(value)
    precondition(range.contains(milliseconds), "the default of \(name) lies outside its own range")
    return ConfigKey(
      name, .duration(range), .durationMilliseconds(milliseconds), documentation,
      example: TOMLText.quoted(example))
  }

  /// A number of bytes with its unit. All three texts are sizes themselves.
  public static func size(
    _ name: String, default value: String, from least: String, to most: String, _ documentation: String,
    example: String
  ) -> ConfigKey {
    let range = ConfigSize.declared(least)...ConfigSize.declared(most)
    let bytes = ConfigSize.declared(value)
    precondition(range.contains(bytes), "the default of \(name) lies outside its own range")
    return ConfigKey(
      name, .size(range), .sizeBytes(bytes), documentation, example: TOMLText.quoted(example))
  }

  /// A list of strings, each of the kind `text`.
  public static func strings(
    _ name: String, default value: [String], of text: ConfigText = .any, _ documentation: String,
    example: [String]
  ) -> ConfigKey {
    ConfigKey(
      name, .strings(text), .strings(value), documentation, example: TOMLText.list(of: example))
  }

  /// A table whose names are free, each with a string; empty when absent.
  public static func stringTable(
    _ name: String, names: ConfigText = .any, values: ConfigText = .any, _ documentation: String,
    example: String
  ) -> ConfigKey {
    ConfigKey(
      name, .stringTable(names: names, values: values), .stringTable([:]), documentation, example: example)
  }

  /// A list of tables, each with the keys given; empty when absent.
  ///
  /// - Parameter identity: the key by which an entry is known: two entries with the same value are a problem.
  public static func tables(
    _ name: String, of keys: [ConfigKey], identity: String? = nil, _ documentation: String, example: String
  ) -> ConfigKey {
    let entry = ConfigSection(name, documentation, keys: keys)
    return ConfigKey(name, .tables(entry, identity: identity), .tables([]), documentation, example: example)
  }

  /// A secret, given as `NAME_file` (a path, relative to the configuration file) or `NAME_env` (a variable).
  public static func secret(_ name: String, isRequired: Bool, _ documentation: String) -> ConfigKey {
    ConfigKey(
      name, .secret, isRequired ? nil : .secret(nil), documentation,
      example: "{ \(name)_file = \"secrets/\(name).key\" }")
  }

  init(_ name: String, _ kind: Kind, _ value: ConfigValue?, _ documentation: String, example: String) {
    self.name = name
    self.kind = kind
    self.defaultValue = value
    self.isRequired = value == nil
    self.documentation = documentation
    self.example = example
  }

  /// The names under which the key may stand in a file: its own, or the two forms of a secret.
  public var writtenNames: [String] {
    if case .secret = kind { return ["\(name)_file", "\(name)_env"] }
    return [name]
  }

  /// The default as TOML, or `nil` where there is none.
  public var defaultText: String? {
    if case .secret = kind { return nil }
    return defaultValue?.toml
  }
}

/// What may be inside a string: its description, the list of choices when it is closed, and the check.
public struct ConfigText: Sendable {
  /// The answer about one string.
  public enum Verdict: Sendable, Equatable {
    /// Good; carries the text to use, which may be a normal form of what was written.
    case accepted(String)
    /// Not good. `reason` replaces the standard sentence; `suggestion` is the nearest right spelling.
    case refused(reason: String? = nil, suggestion: String? = nil)
  }

  /// Continues "is not …" and "takes …": with its article, such as `a host name`.
  public let summary: String
  /// All allowed texts, when they can be listed.
  public let choices: [String]
  public let check: @Sendable (String) -> Verdict

  /// A kind of string with its own check.
  public init(_ summary: String, check: @escaping @Sendable (String) -> Verdict) {
    self.summary = summary
    self.choices = []
    self.check = check
  }

  private init(choices: [String]) {
    self.summary = "one of " + choices.map(TOMLText.quoted).joined(separator: ", ")
    self.choices = choices
    self.check = { text in
      choices.contains(text) ? .accepted(text) : .refused(suggestion: NearestName.of(text, in: choices))
    }
  }

  /// Any string, the empty one too.
  public static let any = ConfigText("a string") { .accepted($0) }

  /// Any string but the empty one.
  public static let nonEmpty = matching("a string that is not empty") { !$0.isEmpty }

  /// A name of 1 to 64 letters, digits, `-` and `_`, as for sites, keys and assets.
  public static let identifier = matching("a name of 1 to 64 letters, digits, \"-\" and \"_\"") {
    (1...64).contains($0.utf8.count) && $0.utf8.allSatisfy(isIdentifierByte)
  }

  /// A header field name (RFC 9110 §5.1).
  public static let fieldName = matching("a header field name", isFieldName)

  /// A header field name, or nothing to turn the header off.
  public static let fieldNameOrEmpty = matching("a header field name, or \"\" for none") {
    $0.isEmpty || isFieldName($0)
  }

  /// What may follow the colon of a header field (RFC 9110 §5.5): visible ASCII with inner spaces and tabs.
  public static let fieldValue = matching("a header field value of visible ASCII") { text in
    let bytes = Array(text.utf8)
    guard let first = bytes.first, let last = bytes.last else { return true }
    let isInside = bytes.allSatisfy { (0x20...0x7E).contains($0) || $0 == 0x09 }
    return isInside && first > 0x20 && last > 0x20
  }

  /// Exactly one of these texts.
  public static func oneOf(_ choices: String...) -> ConfigText { ConfigText(choices: choices) }

  /// Every text for which `isValid` holds. `summary` continues "is not …".
  public static func matching(
    _ summary: String, _ isValid: @escaping @Sendable (String) -> Bool
  ) -> ConfigText {
    ConfigText(summary) { isValid($0) ? .accepted($0) : .refused() }
  }

  @Sendable private static func isFieldName(_ text: String) -> Bool {
    !text.isEmpty
      && text.utf8.allSatisfy { byte in
        isIdentifierByte(byte) || "!#$%&'*+.^`|~".utf8.contains(byte)
      }
  }

  @Sendable private static func isIdentifierByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }
}

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
    /// The path of a file, relative to the configuration file, whose bytes are the value; absent when not given.
    case file
    /// The name of a TOML file of its own in a folder, relative to the configuration file, whose settings are the value.
    case document(folder: String, ConfigSection)
  }

  /// As it is written in TOML, lower case with underscores.
  public let name: String
  public let kind: Kind
  /// What stands for an absent key. `nil`: the key is required, or it is an optional secret.
  public let defaultValue: ConfigValue?
  public let isRequired: Bool
  /// The default as TOML, spelled as it was declared, or `nil` where there is none.
  public let defaultText: String?
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
      name, .duration(range), .durationMilliseconds(milliseconds), written: value, documentation,
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
      name, .size(range), .sizeBytes(bytes), written: value, documentation, example: TOMLText.quoted(example))
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
  /// - Parameters:
  ///   - identity: the key by which an entry is known: two entries with the same value are a problem.
  ///   - validate: rules over several keys of one entry; see `ConfigSection.validate`.
  public static func tables(
    _ name: String, of keys: [ConfigKey], identity: String? = nil, _ documentation: String, example: String,
    validate: (@Sendable (ConfigTable) -> [ConfigComplaint])? = nil
  ) -> ConfigKey {
    let entry = ConfigSection(name, documentation, keys: keys, validate: validate)
    return ConfigKey(name, .tables(entry, identity: identity), .tables([]), documentation, example: example)
  }

  /// A secret, given as `NAME_file` (a path, relative to the configuration file) or `NAME_env` (a variable).
  public static func secret(_ name: String, isRequired: Bool, _ documentation: String) -> ConfigKey {
    ConfigKey(
      name, .secret, isRequired ? nil : .secret(nil), documentation,
      example: "{ \(name)_file = \"secrets/\(name).key\" }")
  }

  /// A file that is read with the configuration, such as a certificate.
  public static func file(_ name: String, _ documentation: String, example: String) -> ConfigKey {
    ConfigKey(name, .file, .file(nil), documentation, example: TOMLText.quoted(example))
  }

  /// Settings in a file of their own, shared by whoever names it: `NAME` stands for `FOLDER/NAME.toml`.
  ///
  /// The default needs no file: without one, the section's own defaults are its settings.
  public static func document(
    _ name: String, default value: String, in folder: String, _ section: ConfigSection,
    _ documentation: String,
    example: String
  ) -> ConfigKey {
    ConfigKey(
      name, .document(folder: folder, section), .document(value, section.defaults), documentation,
      example: TOMLText.quoted(example))
  }

  private init(
    _ name: String, _ kind: Kind, _ value: ConfigValue?, written: String? = nil, _ documentation: String,
    example: String
  ) {
    self.defaultText = written.map(TOMLText.quoted) ?? value?.toml
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
}

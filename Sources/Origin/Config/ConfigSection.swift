/// A table of the configuration: a name, its keys, the tables inside it.
///
/// The outermost section of a file has the empty name.
public struct ConfigSection: Sendable {
  /// What the decoder does with a section beyond decoding its keys.
  enum Role: Sendable {
    case settings
    /// `[plugins]`: each inner section is optional, and an unknown one is a plugin that is not compiled in.
    case pluginList
    /// `[plugins.NAME]`: incomplete settings are no problem while `enabled = false`.
    case plugin
  }

  public let name: String
  /// One or two sentences for the person who writes the file.
  public let documentation: String
  public let keys: [ConfigKey]
  public let sections: [ConfigSection]
  /// Rules over several keys, asked once every key is valid by itself. It must not do anything but look.
  public let validate: (@Sendable (ConfigTable) -> [ConfigComplaint])?
  let role: Role

  public init(
    _ name: String, _ documentation: String, keys: [ConfigKey] = [], sections: [ConfigSection] = [],
    validate: (@Sendable (ConfigTable) -> [ConfigComplaint])? = nil
  ) {
    self.init(
      name, documentation, keys: keys, sections: sections, role: .settings, validate: validate)
  }

  init(
    _ name: String, _ documentation: String, keys: [ConfigKey] = [], sections: [ConfigSection] = [],
    role: Role, validate: (@Sendable (ConfigTable) -> [ConfigComplaint])? = nil
  ) {
    let names = keys.flatMap(\.writtenNames) + sections.map(\.name)
    precondition(Set(names).count == names.count, "[\(name)] declares a name twice")
    self.name = name
    self.documentation = documentation
    self.keys = keys
    self.sections = sections
    self.role = role
    self.validate = validate
  }

  /// The settings of a file that says nothing about this section.
  ///
  /// A required key has no default: it reads as empty, false or the least allowed value.
  public var defaults: ConfigTable {
    decode(text: "").table
  }

  /// Decodes TOML text that holds the keys of this section at its top level.
  ///
  /// - Parameters:
  ///   - text: a whole TOML document.
  ///   - file: the name that problems carry; secret files are found relative to its folder.
  ///   - environment: where `NAME_env` keys look.
  /// - Returns: a complete table (defaults stand wherever a value was absent or wrong), and every problem found.
  public func decode(
    text: String, file: String = "inline.toml", environment: [String: String] = [:]
  ) -> (table: ConfigTable, problems: [ConfigProblem]) {
    let loaded = ConfigDocument.parse(bytes: Array(text.utf8), file: file)
    var decoder = ConfigDecoder(
      document: loaded.document, secrets: SecretSource(folder: ConfigPathText.folder(of: file), environment))
    let table = decoder.decodeRoot(self)
    return (table, loaded.problems + decoder.sortedProblems)
  }
}

/// What a compiled-in plugin says about itself before anything is configured.
public struct PluginDeclaration: Sendable {
  /// The NAME in `[plugins.NAME]`.
  public let name: String
  /// One sentence for `headwater plugins` and the reference.
  public let summary: String
  /// The keys and inner sections of `[plugins.NAME]`, without `enabled`, which every plugin has.
  public let settings: ConfigSection

  public init(name: String, summary: String, settings: ConfigSection) {
    self.name = name
    self.summary = summary
    self.settings = settings
  }

  /// `[plugins.NAME]` as it stands in a site file.
  var section: ConfigSection {
    let enabled = ConfigKey.bool(
      "enabled", default: true, "Whether the plugin works for this site. Absent sections are off.")
    return ConfigSection(
      name, summary, keys: [enabled] + settings.keys, sections: settings.sections, role: .plugin,
      validate: settings.validate)
  }
}

/// A rule over several keys that does not hold.
public struct ConfigComplaint: Sendable, Equatable {
  /// Where, relative to the section that was validated: `["rules", 0, "class"]`.
  public let path: ConfigPath
  public let code: ConfigProblem.Code
  public let message: String
  public let suggestion: String?

  public init(
    at path: ConfigPath, _ message: String, code: ConfigProblem.Code = .invalidValue,
    suggestion: String? = nil
  ) {
    self.path = path
    self.code = code
    self.message = message
    self.suggestion = suggestion
  }
}

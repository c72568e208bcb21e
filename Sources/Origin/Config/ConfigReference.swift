/// The reference that the declarations add up to: `docs/CONFIG.md` and `headwater plugins`.
public enum ConfigReference {
  /// `docs/CONFIG.md`, whole. The same declarations give the same text.
  ///
  /// - Parameter plugins: their sections follow those of the site file.
  public static func markdown(plugins: [PluginDeclaration] = []) -> String {
    var text = """
      # Configuration

      <!-- Derived from the declared keys. To change it, change the declaration, then run
           HEADWATER_REWRITE=1 swift test --filter ConfigReference -->

      Headwater reads `etc/headwater.toml`, or the file that `--config` or `$HEADWATER_CONFIG` names, and one file for
      each site, `etc/sites/NAME.toml`. All of it is [TOML](https://toml.io/en/v1.0.0). Every key has a default that
      serves; with no file at all, one site called `default` answers for every host on port 8080.

      `headwater check` lists every problem with file, line and column. An unknown key is an error, because a
      mistyped key would otherwise be a setting that silently does nothing. SIGHUP reads the files again; while they
      hold an error, the server goes on with what it has.

      ## Values

      | written | means |
      |---|---|
      | `"250ms"`, `"6s"`, `"1h30m"`, `"24h"`, `"7d"` | a duration: whole numbers with ms, s, m, h or d, the larger units first |
      | `"512B"`, `"64KiB"`, `"10MiB"`, `"1GB"` | a size: one whole number with B; KiB, MiB, GiB, TiB; or KB, MB, GB, TB |
      | `NAME_file = "secrets/k1.key"` | a secret from a file, relative to the file that names it; a line end after it is dropped; a file that every user can read gives a warning |
      | `NAME_env = "HEADWATER_K1"` | a secret from an environment variable |

      Numbers without a unit are refused where a unit is meant. Secrets never stand in these files, and are never
      printed or logged.


      """
    text += "## The server: `etc/headwater.toml`\n\n"
    text += body(of: ServerConfiguration.schema, at: [])
    text += "## A site: `etc/sites/NAME.toml`\n\n"
    text += body(of: SiteConfiguration.schema(plugins: plugins), at: [])
    while text.hasSuffix("\n\n") { text.removeLast() }
    return text
  }

  /// What is compiled in, with the settings of each plugin and the sites that it is on for.
  public static func plugins(
    _ declarations: [PluginDeclaration], sites: [SiteConfiguration]
  ) -> [PluginReport] {
    declarations.map { declaration in
      PluginReport(
        name: declaration.name, summary: declaration.summary,
        sites: sites.filter { $0.plugin(declaration.name) != nil }.map(\.name),
        settings: settings(of: declaration.section, prefix: ""))
    }
  }

  private static func settings(of section: ConfigSection, prefix: String) -> [PluginReport.Setting] {
    section.keys.map { key in
      PluginReport.Setting(
        key: prefix + key.writtenNames.joined(separator: "|"), takes: key.takes, default: key.defaultText,
        documentation: key.documentation)
    } + section.sections.flatMap { settings(of: $0, prefix: prefix + $0.name + ".") }
  }

  // MARK: - Markdown

  private static func body(of section: ConfigSection, at path: ConfigPath) -> String {
    var text = section.documentation + "\n\n"
    if !section.keys.isEmpty { text += table(of: section.keys) + "\n" }
    for key in section.keys {
      guard case .tables(let entry, _) = key.kind else { continue }
      text += "Each table of `\(key.name)`:\n\n" + table(of: entry.keys) + "\n"
    }
    for inner in section.sections {
      let innerPath = path + [.key(inner.name)]
      text += "### `[\(innerPath.text)]`\n\n" + body(of: inner, at: innerPath)
    }
    return text
  }

  private static func table(of keys: [ConfigKey]) -> String {
    var text = "| key | takes | default | example | meaning |\n|---|---|---|---|---|\n"
    for key in keys {
      let name = key.writtenNames.map { "`\($0)`" }.joined(separator: " or ")
      let standard = key.defaultText.map { "`\($0)`" } ?? (key.isRequired ? "required" : "none")
      let cells = [name, key.takes, standard, "`\(key.example)`", key.documentation]
      text += "| " + cells.map(escaped).joined(separator: " | ") + " |\n"
    }
    return text
  }

  /// A vertical bar would end the cell.
  private static func escaped(_ cell: String) -> String {
    cell.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
  }
}

/// One compiled-in plugin, as `headwater plugins` lists it.
public struct PluginReport: Sendable, Equatable, Codable, CustomStringConvertible {
  public struct Setting: Sendable, Equatable, Codable {
    /// As written below `[plugins.NAME]`; the two forms of a secret are separated by a bar.
    public let key: String
    /// What it takes, in words.
    public let takes: String
    /// As TOML; `nil` where there is none.
    public let `default`: String?
    public let documentation: String
  }

  public let name: String
  public let summary: String
  /// The sites that it is on for.
  public let sites: [String]
  public let settings: [Setting]

  /// A paragraph for people.
  public var description: String {
    var text = "\(name): \(summary)\n"
    text += "  on for: \(sites.isEmpty ? "no site" : sites.joined(separator: ", "))\n"
    for setting in settings {
      let standard = setting.default.map { " (default \($0))" } ?? ""
      text += "  \(setting.key): \(setting.takes)\(standard). \(setting.documentation)\n"
    }
    return text
  }
}

extension ConfigKey {
  /// What the key takes, with its limits, for the reference.
  var takes: String {
    switch kind {
    case .bool: "true or false"
    case .integer, .duration, .size:
      "\(kind.noun), \(kind.rangeText?.least ?? "") to \(kind.rangeText?.most ?? "")"
    case .string(let text): text.summary
    case .strings(let text): "a list; each \(text.summary)"
    case .stringTable(let names, let values):
      "a table; each name \(names.summary), each value \(values.summary)"
    case .tables(_, let identity): "a list of tables" + (identity.map { ", each with its own `\($0)`" } ?? "")
    case .secret: "a secret"
    case .file: "the path of a file, relative to the file that names it"
    case .document(let folder, _):
      "the name of a file `\(folder)/NAME.toml`, relative to the file that names it"
    }
  }
}

extension ConfigKey.Kind {
  fileprivate var noun: String {
    switch self {
    case .integer: "an integer"
    case .duration: "a duration"
    default: "a size"
    }
  }
}

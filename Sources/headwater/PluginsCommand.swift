import ArgumentParser
import Origin

struct PluginsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plugins", abstract: "Show what is compiled in, its settings, and which site enables it.")

  @OptionGroup var options: CommandOptions
  @Flag(help: "Print JSON objects, one a line.")
  var json = false

  private struct Row: Encodable {
    struct Key: Encodable {
      var name: String
      var defaultValue: String?
      var documentation: String
    }
    var name: String
    var summary: String
    var keys: [Key]
    var sites: [String]
  }

  func run() throws {
    let configuration = try options.load()
    for declaration in builtinPlugins.declarations {
      let sites = configuration.sites.filter { $0.plugin(declaration.name) != nil }.map(\.name)
      let row = Row(
        name: declaration.name, summary: declaration.summary,
        keys: declaration.settings.keys.map {
          Row.Key(name: $0.name, defaultValue: $0.defaultText, documentation: $0.documentation)
        }, sites: sites)
      if json {
        Terminal.json(row)
        continue
      }
      Terminal.line("\(row.name): \(row.summary)")
      Terminal.line("  enabled by: \(sites.isEmpty ? "no site" : sites.joined(separator: ", "))")
      for key in row.keys {
        Terminal.line("  \(key.name)\(key.defaultValue.map { " = \($0)" } ?? ""): \(key.documentation)")
      }
    }
  }
}

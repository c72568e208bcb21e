import ArgumentParser
import Foundation
import Origin
import Store

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract:
      "Say what makes the answer to a URL: site, asset, generation, rules, segments, headers, plugins.")

  @OptionGroup var options: CommandOptions
  @Flag(help: "Print a JSON object.")
  var json = false
  @Option(
    help: "Whose request it is, as an IP address: what limits and tokens bound to an address say of it.")
  var client: String?
  @Option(
    help: "The admin address of the server to ask about the client. Default: that of the configuration.")
  var admin: String?
  @Argument(help: "A URL of this server, such as http://media.example.com/v/ID/master.m3u8.")
  var url: String

  func run() throws {
    let configuration = try options.load()
    let store = try options.openStore(configuration)
    try Failure.report {
      let explanation = try Explanation(
        url: url, client: client, admin: admin, configuration, builtinPlugins, store)
      if json { return Terminal.json(explanation.entries) }
      let width = explanation.entries.map(\.name.count).max() ?? 0
      for entry in explanation.entries {
        Terminal.line(entry.name.padding(toLength: width + 2, withPad: " ", startingAt: 0) + entry.value)
      }
    }
  }
}

import ArgumentParser
import Foundation
import Origin

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Validate the configuration; exit 1 if anything is wrong.")

  @OptionGroup var options: CommandOptions
  @Flag(help: "Print the problems as JSON objects, one a line, on standard output.")
  var json = false

  private struct Row: Encodable {
    var severity: String
    var file: String
    var line: Int
    var column: Int
    var key: String
    var code: String
    var message: String
    var suggestion: String?
  }

  func run() throws {
    let result = Configuration.load(
      path: options.config, plugins: builtinPlugins.declarations,
      environment: ProcessInfo.processInfo.environment)
    for problem in result.problems {
      if json {
        Terminal.json(
          Row(
            severity: problem.severity.rawValue, file: problem.file, line: problem.line,
            column: problem.column,
            key: problem.key, code: problem.code.rawValue, message: problem.message,
            suggestion: problem.suggestion))
      } else {
        Terminal.error("\(problem)")
      }
    }
    guard let configuration = result.configuration else { throw ExitCode.failure }
    do throws(PluginError) { try PluginCheck.decode(configuration, builtinPlugins) } catch {
      Terminal.error("\(error)")
      throw ExitCode.failure
    }
    if !json {
      let files = result.problems.isEmpty ? "sound" : "usable, with warnings"
      Terminal.error(
        "\(files): \(configuration.sites.count) site(s), \(configuration.sources.count) file(s) read")
    }
  }
}

import ArgumentParser
import Foundation
import Logging
import Origin
import Store

struct ServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Run the origin.",
    discussion: """
      SIGTERM or SIGINT: stop accepting, let answers finish, exit 0. SIGHUP: read the configuration again \
      without dropping a connection. SIGUSR2: start the program anew, hand it the listening sockets and end once \
      it serves. A line for each listener goes to standard output once all accept.
      """)

  @OptionGroup var options: CommandOptions

  func run() throws {
    let configuration = try options.load()
    let level = Logger.Level(rawValue: configuration.server.log.level) ?? .info
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level
      return handler
    }
    let logger = Logger(label: "headwater")
    let store = try options.openStore(configuration, checksWholeIndex: true)
    do {
      let server = try Server(
        configuration, path: options.config, arguments: CommandLine.arguments,
        environment: ProcessInfo.processInfo.environment,
        registry: builtinPlugins, store: store, logger: logger)
      try server.run { Terminal.notice($0) }
    } catch {
      Terminal.error("\(error)")
      throw ExitCode.failure
    }
  }
}

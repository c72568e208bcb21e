import ArgumentParser
import Foundation
import Logging
import Loop
import Origin
import Store

struct WorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker",
    abstract: "Do background work on the store of a server, beside it or without it.",
    discussion: """
      SIGTERM or SIGINT: claim nothing more, stop what runs and give it back, exit 0; again: end at once. A line \
      goes to standard output once it works.
      """)

  @OptionGroup var options: CommandOptions
  @Option(name: .long, help: "Jobs at a time. Default: [jobs] workers; where that is off, as for auto.")
  var workers: Int?
  @Flag(help: "End when no job is left that could be done now.")
  var drain = false

  func validate() throws {
    if let workers, !(1...256).contains(workers) { throw ValidationError("--workers is 1 to 256") }
  }

  func run() throws {
    let configuration = try options.load()
    let level = Logger.Level(rawValue: configuration.server.log.level) ?? .info
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level
      return handler
    }
    let store = try options.openStore(configuration)
    do {
      let worker = try Worker(
        configuration, registry: builtinPlugins, store: store, logger: Logger(label: "headwater"))
      try worker.run(
        workers: workers ?? configuration.server.jobs.workers ?? ServerConfiguration.Jobs.automaticWorkers,
        drains: drain
      ) { Terminal.line($0) }
    } catch {
      Terminal.error("\(error)")
      throw ExitCode.failure
    }
  }
}

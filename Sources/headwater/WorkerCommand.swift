import ArgumentParser
import Foundation
import Logging
import Loop
import Origin
import Store

struct WorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker",
    abstract: "Do background work, beside a server, without it, or on another machine.",
    discussion: """
      Without --origin it works on the storage folder that the configuration names. With --origin it needs nothing of it: \
      sources come from that server and results go back to it, with [jobs] worker_token, and jobs come from the \
      queue in Redis that the server has, too (docs/JOBS.md).

      SIGTERM or SIGINT: claim nothing more, stop what runs and give it back, exit 0; again: end at once. A line \
      goes to standard output once it works.
      """)

  @OptionGroup var options: CommandOptions
  @Option(name: .long, help: "Jobs at a time. Default: [jobs] workers; where that is off, as for auto.")
  var workers: Int?
  @Flag(help: "End when no job is left that could be done now.")
  var drain = false
  @Option(name: .long, help: "The queue: embedded, or redis://HOST:PORT/DATABASE. Default: [jobs] queue.")
  var queue: String?
  @Option(
    name: .long,
    help: "The server that has the store, such as https://media.example.com. Default: [jobs] origin.")
  var origin: String?
  @Option(name: .long, help: "Only jobs of this kind, such as transcode.chunk; repeat it for several.")
  var kind: [String] = []

  func validate() throws {
    if let workers, !(1...256).contains(workers) { throw ValidationError("--workers is 1 to 256") }
  }

  /// An option in the place of a setting, held to the same rules.
  private static func checked(_ text: String, _ name: String, _ rules: ConfigText) throws -> String {
    switch rules.check(text) {
    case .accepted(let accepted): return accepted
    case .refused(let reason, _):
      throw ValidationError("\(name): \(reason ?? "this is not \(rules.summary)")")
    }
  }

  private func load() throws -> Configuration {
    var configuration = try options.load()
    typealias Jobs = ServerConfiguration.Jobs
    if let queue {
      let text = try Self.checked(queue, "--queue", Jobs.queueText)
      configuration.server.jobs.queueURL = text == "embedded" ? nil : text
    }
    if let origin {
      configuration.server.jobs.originURL = try Self.checked(origin, "--origin", Jobs.originText)
    }
    return configuration
  }

  func run() throws {
    let configuration = try load()
    let level = Logger.Level(rawValue: configuration.server.log.level) ?? .info
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level
      return handler
    }
    let folder = Worker.folder(of: configuration)
    // Where the store is elsewhere nobody has made it; what can't be made is said when it is opened.
    if folder != configuration.server.storage { mkdir(configuration.server.storage, 0o750) }
    let store = try options.openStore(configuration, path: folder)
    do {
      let worker = try Worker(
        configuration, registry: builtinPlugins, store: store, logger: Logger(label: "headwater"))
      try worker.run(
        workers: workers ?? configuration.server.jobs.workers ?? ServerConfiguration.Jobs.automaticWorkers,
        drains: drain, kinds: kind.isEmpty ? nil : Set(kind)
      ) { Terminal.notice($0) }
    } catch {
      Terminal.error("\(error)")
      throw ExitCode.failure
    }
  }
}

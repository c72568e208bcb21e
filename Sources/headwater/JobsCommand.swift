import ArgumentParser
import Foundation
import Origin
import Store

struct JobsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "jobs", abstract: "List, show, retry, cancel and watch background work.",
    subcommands: [List.self, Show.self, Retry.self, Cancel.self, Watch.self])

  /// Which jobs a command is about.
  struct Selection: ParsableArguments {
    @Option(name: .long, help: "Only those of a site.") var site: String?
    @Option(name: .long, help: "Only those for an asset.") var asset: String?
    @Option(name: .long, help: "Only those of a kind, such as transcode.chunk.") var kind: String?
    @Option(name: .long, help: "pending, processing, completed, failed or cancelled; repeat it for several.")
    var state: [String] = []

    func validate() throws {
      for name in state where JobState(name: name) == nil {
        let all = JobState.allCases.map { "\($0)" }.joined(separator: ", ")
        throw ValidationError("\"\(name)\" is no state of a job: use one of \(all)")
      }
    }

    var filter: JobFilter {
      JobFilter(
        site: site, asset: asset, kind: kind,
        states: state.isEmpty ? nil : Set(state.compactMap { JobState(name: $0) }))
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List jobs, newest first.")
    @OptionGroup var options: CommandOptions
    @OptionGroup var selection: Selection
    @Option(name: .long, help: "At most this many; 0 is all.") var limit = 100
    @Flag(help: "Print JSON objects, one a line.") var json = false

    func run() throws {
      let queue = try options.openQueue(try options.load())
      let filter = selection.filter
      try Failure.report {
        var left = limit == 0 ? Int.max : limit
        var last: UInt64?
        while left > 0 {
          let (before, limit) = (last, min(left, 500))
          let page = try queue.ask { queue throws(JobQueueError) in
            try await queue.jobs(filter, before: before, limit: limit)
          }
          for job in page { if json { Terminal.json(JobRow(job)) } else { Terminal.line(JobRow(job).line) } }
          guard let end = page.last else { return }
          last = end.sequence
          left -= page.count
        }
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show all there is to know about a job.")
    @OptionGroup var options: CommandOptions
    @Flag(help: "Print a JSON object.") var json = false
    @Argument(help: "The job's id.") var id: String

    func run() throws {
      let queue = try options.openQueue(try options.load())
      try Failure.report {
        guard let job = try JobsCommand.job(try JobsCommand.parse(id), in: queue) else {
          throw JobsCommand.absent(id)
        }
        let row = JobRow(job, isWhole: true)
        if json { return Terminal.json(row) }
        func line(_ name: String, _ value: String?) {
          guard let value, !value.isEmpty else { return }
          Terminal.line(name.padding(toLength: 12, withPad: " ", startingAt: 0) + value)
        }
        line("id", row.id)
        line("site", row.site)
        line("kind", row.kind)
        line("key", row.key)
        line("asset", row.asset)
        line("state", row.state)
        if job.state.isAlive { line("standing", row.standing) }
        line("at", row.note)
        line("priority", "\(row.priority)")
        line("attempts", "\(row.attempt)" + (job.crashes > 0 ? ", of which \(job.crashes) crashed" : ""))
        line("owner", row.owner)
        line("created", row.created)
        line("started", row.started)
        line("updated", row.updated)
        line("payload", row.payload)
        line("result", row.result)
        for dependency in row.dependencies ?? [] { line("needs", dependency) }
        for blob in row.kept ?? [] { line("kept", blob) }
        if let error = row.error {
          line("error", "\(error.message) [\(error.code)]")
          for text in (error.log ?? "").split(separator: "\n") { line("log", String(text)) }
        }
      }
    }
  }

  struct Retry: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract:
        "Begin failed or cancelled jobs anew, with what they need and what has failed because of them.")
    @OptionGroup var options: CommandOptions
    @Argument(help: "Ids of jobs.") var ids: [String]

    func run() throws {
      try JobsCommand.change(ids, options) { queue, id throws(JobQueueError) in try await queue.retry(id) }
    }
  }

  struct Cancel: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Cancel jobs and those that wait for them; what runs is stopped within a second.")
    @OptionGroup var options: CommandOptions
    @Argument(help: "Ids of jobs.") var ids: [String]

    func run() throws {
      try JobsCommand.change(ids, options) { queue, id throws(JobQueueError) in try await queue.cancel(id) }
    }
  }

  // MARK: Shared

  static func parse(_ text: String) throws -> JobID {
    guard let id = JobID(text) else {
      throw StoreError(
        .invalid, operation: "find job",
        message: "a job's id is 26 characters, as `headwater jobs list` prints it",
        context: text)
    }
    return id
  }

  static func absent(_ id: String) -> StoreError {
    StoreError(.notFound, operation: "find job", message: "there is no such job (any more)", context: id)
  }

  static func job(_ id: JobID, in queue: JobQueueAccess) throws -> JobRecord? {
    try queue.ask { queue throws(JobQueueError) in try await queue.job(id) }
  }

  private static func change(
    _ ids: [String], _ options: CommandOptions,
    _ body: @escaping @Sendable (any JobQueue, JobID) async throws(JobQueueError) -> JobRecord?
  ) throws {
    let queue = try options.openQueue(try options.load())
    try Failure.report {
      for text in ids {
        let id = try parse(text)
        let changed = try queue.ask { queue throws(JobQueueError) in try await body(queue, id) }
        guard let job = changed else { throw absent(text) }
        Terminal.line(JobRow(job).line)
      }
    }
  }
}

extension JobState {
  init?(name: String) {
    guard let found = JobState.allCases.first(where: { "\($0)" == name }) else { return nil }
    self = found
  }
}

import ArgumentParser
import Foundation
import Origin
import Store

extension JobsCommand {
  /// Follows jobs: a line (or a JSON object) for each change on standard output, and where standard error is a terminal a bar
  /// for each job under way.
  struct Watch: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Follow jobs until none of them is left to do.",
      discussion:
        "Ends with 1 where one of them has failed. With ids it follows those, else all that are alive.")
    private static let pollMilliseconds: useconds_t = 250
    private static let followed = 1000
    private static let bars = 20
    /// The jobs of an import come a moment after it: so often an empty list is looked at again.
    private static let firstLooks = 6

    @OptionGroup var options: CommandOptions
    @OptionGroup var selection: Selection
    @Flag(help: "Go on when nothing is left.") var forever = false
    @Flag(help: "Print JSON objects, one a line.") var json = false
    @Argument(help: "Ids of jobs.") var ids: [String] = []

    func run() throws {
      let queue = try options.openQueue(try options.load())
      try Failure.report {
        let wanted = try ids.map { try JobsCommand.parse($0) }
        for id in wanted where try JobsCommand.job(id, in: queue) == nil { throw JobsCommand.absent("\(id)") }
        var filter = selection.filter
        filter.states = filter.states ?? [.pending, .processing]
        let living = filter
        var seen: [JobID: JobRecord] = [:]
        var shownBars = 0
        var hasFailed = false
        var looks = 0
        while true {
          // Those that ended since are no longer in the list, so what was seen alive is asked for by name.
          var jobs: [JobRecord] = []
          if wanted.isEmpty {
            jobs = try queue.ask { queue throws(JobQueueError) in
              try await queue.jobs(living, before: nil, limit: Self.followed)
            }
          }
          let listed = Set(jobs.map(\.id))
          let named = wanted.isEmpty ? seen.values.filter { $0.state.isAlive }.map(\.id) : wanted
          for id in named where !listed.contains(id) {
            if let job = try JobsCommand.job(id, in: queue) { jobs.append(job) }
          }
          clear(&shownBars)
          for job in jobs.sorted(by: { $0.sequence < $1.sequence }) {
            let before = seen.updateValue(job, forKey: job.id)
            guard before.map({ differs($0, job) }) ?? true else { continue }
            if json { Terminal.json(JobRow(job)) } else { Terminal.line(JobRow(job).line) }
            if job.state == .failed { hasFailed = true }
          }
          show(jobs.filter { $0.state == .processing }, &shownBars)
          looks += 1
          let isOver = !jobs.contains(where: \.state.isAlive) && (!seen.isEmpty || looks >= Self.firstLooks)
          if !forever, isOver { break }
          usleep(Self.pollMilliseconds * 1000)
        }
        if hasFailed { throw ExitCode.failure }
      }
    }

    /// Without a terminal's bars, progress is a change worth a line in JSON alone.
    private func differs(_ old: JobRecord, _ new: JobRecord) -> Bool {
      old.state != new.state || old.attempt != new.attempt
        || json && (old.progressPermille != new.progressPermille || old.note != new.note)
    }

    private func show(_ jobs: [JobRecord], _ shown: inout Int) {
      guard Terminal.showsProgress else { return }
      for job in jobs.prefix(Self.bars) {
        let row = JobRow(job)
        let label = "\(job.kind) \(job.asset ?? "") \(row.standing)" + (row.note.map { ", \($0)" } ?? "")
        Terminal.errorText("\(ProgressBar.text(permille: job.progressPermille)) \(label)\u{1B}[K\n")
        shown += 1
      }
    }

    private func clear(_ shown: inout Int) {
      if shown > 0 { Terminal.errorText("\u{1B}[\(shown)A\u{1B}[J") }
      shown = 0
    }
  }
}

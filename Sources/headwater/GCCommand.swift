import ArgumentParser
import Origin
import Store

struct GCCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "gc", abstract: "Remove blobs that nothing refers to and that are older than the grace time."
  )

  @OptionGroup var options: CommandOptions
  @Flag(help: "Say what would go, and remove nothing.")
  var dryRun = false
  @Flag(help: "Print a JSON object.")
  var json = false

  private struct Row: Encodable {
    var dryRun: Bool
    var removedGenerations: Int
    var removedBlobs: [String]
    var freedBytes: UInt64
    var removedDerived: Int
    var keptByGrace: Int
    var referencedBlobs: Int
    var failures: [String]
  }

  func run() throws {
    let configuration = try options.load()
    let store = try options.openStore(configuration)
    try Failure.report {
      // A replaced generation is still being served, so its blobs outlive the shorter of the two times.
      let settings = configuration.server.store
      let grace = max(settings.gcGraceMilliseconds, settings.generationGraceMilliseconds) / 1000
      let report = try GarbageCollector(store: store).run(.init(graceSeconds: grace, isDryRun: dryRun))
      let row = Row(
        dryRun: dryRun, removedGenerations: report.removedGenerations,
        removedBlobs: report.removedBlobs.map(\.hex), freedBytes: report.freedBytes,
        removedDerived: report.removedDerived,
        keptByGrace: report.keptByGrace, referencedBlobs: report.referencedBlobs,
        failures: report.failures.map { "\($0)" })
      if json {
        Terminal.json(row)
      } else {
        for blob in row.removedBlobs { Terminal.line(blob) }
        Terminal.error(
          "\(dryRun ? "would remove" : "removed") \(row.removedBlobs.count) blob(s), \(row.freedBytes) bytes, \(row.removedGenerations) old generation(s); \(row.keptByGrace) kept by the grace time, \(row.referencedBlobs) in use"
        )
      }
      for failure in row.failures { Terminal.error(failure) }
      if !row.failures.isEmpty { throw ExitCode.failure }
    }
  }
}

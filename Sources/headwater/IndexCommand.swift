import ArgumentParser
import Foundation
import Origin
import Store

struct IndexCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "index", abstract: "Check, copy and mend the index of the catalog.",
    subcommands: [Check.self, Snapshot.self, Snapshots.self, Restore.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Read every page of the index; exit 1 where one is damaged. Safe beside a server.")
    @OptionGroup var options: CommandOptions

    func run() throws {
      let configuration = try options.load()
      // Opening a store checks the index; one of any size is checked here.
      _ = try options.openStore(configuration, checksWholeIndex: true)
    }
  }

  struct Snapshot: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Copy the index as it is now; a server does so by itself (snapshot_interval).")
    @OptionGroup var options: CommandOptions

    func run() throws {
      let configuration = try options.load()
      let store = try options.openStore(configuration)
      try Failure.report {
        if let made = try store.takeSnapshot(keeping: configuration.server.store.snapshotsKept) {
          Terminal.line("\(made.name)\t\(made.sizeBytes)")
        } else {
          Terminal.error("the newest snapshot is as new as the index")
        }
      }
    }
  }

  struct Snapshots: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the snapshots, oldest first.")
    @OptionGroup var options: CommandOptions
    @Flag(help: "Print JSON objects, one a line.")
    var json = false

    private struct Row: Encodable {
      var name: String
      var bytes: UInt64
    }

    func run() throws {
      let configuration = try options.load()
      try Failure.report {
        for snapshot in try IndexSnapshot.list(storage: configuration.server.storage) {
          let row = Row(name: snapshot.name, bytes: snapshot.sizeBytes)
          if json { Terminal.json(row) } else { Terminal.line("\(row.name)\t\(row.bytes)") }
        }
      }
    }
  }

  struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Mend a damaged index: keep what is whole of it, take the rest from a snapshot.",
      discussion: """
        Stop the server and every other headwater process first. The old index is kept beside the new one. Run \
        "headwater scrub --repair" afterwards: it remakes records of blobs, and names what nothing refers to any more.
        """)
    @OptionGroup var options: CommandOptions
    @Option(name: .long, help: "The snapshot to use. Default: the newest.")
    var snapshot: String?
    @Flag(help: "Take the snapshot alone and nothing of the present index: go back in time.")
    var discard = false
    @Flag(help: "Print a JSON object.")
    var json = false

    private struct Row: Encodable {
      var snapshot: String?
      var keptRecords: Int
      var restoredRecords: Int
      var defects: [String]
      var oldIndex: String
    }

    func run() throws {
      let configuration = try options.load()
      try Failure.report {
        let report = try IndexRestore.run(
          storage: configuration.server.storage, snapshot: snapshot, discardsPresent: discard,
          options: StoreOptions(configuration.server.store))
        let row = Row(
          snapshot: report.snapshot, keptRecords: report.keptRecords, restoredRecords: report.restoredRecords,
          defects: report.defects, oldIndex: report.oldIndex)
        if json { return Terminal.json(row) }
        for defect in row.defects { Terminal.line("defect\t\(defect)") }
        Terminal.line("kept\t\(row.keptRecords)")
        Terminal.line("restored\t\(row.restoredRecords)\t\(row.snapshot ?? "no snapshot needed")")
        Terminal.line("old\t\(row.oldIndex)")
      }
    }
  }
}

import ArgumentParser
import Foundation
import Origin
import Store

struct ScrubCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scrub",
    abstract: "Re-hash every blob and check every pointer; exit 1 on damage.",
    discussion: """
      With --repair damaged blobs go to quarantine/, so that they are never served as whole, and missing \
      records of whole blobs are made again. What is lost is named by the assets and files that point at it.
      """)

  @OptionGroup var options: CommandOptions
  @Flag(help: "Quarantine damaged blobs and remake missing records.")
  var repair = false
  @Option(name: .long, help: "Most megabytes to read in a second, to leave the disk to the server.")
  var limitMegabytes: Int?
  @Flag(help: "Print a JSON object.")
  var json = false

  private struct Row: Encodable {
    struct Pointer: Encodable {
      var kind: String
      var site: String
      var subject: String
      var blob: String
    }
    var clean: Bool
    var checkedBlobs: Int
    var checkedBytes: UInt64
    var checkedPointers: Int
    var damaged: [String: String]
    var quarantined: [String]
    var brokenPointers: [Pointer]
    var missingRecords: [String]
    var remadeRecords: Int
    var unreadableRecords: [String]
    var orphans: [String]
    var strangers: Int
  }

  func validate() throws {
    if let limitMegabytes, limitMegabytes < 1 { throw ValidationError("--limit-megabytes is at least 1") }
  }

  func run() throws {
    let configuration = try options.load()
    let store = try options.openStore(configuration)
    try Failure.report {
      var bar = ProgressBar("scrub")
      let total = try store.usage().blobs
      let result = try Scrub(store: store).run(
        .init(bytesPerSecond: limitMegabytes.map { UInt64($0) * 1_000_000 }, repairs: repair)
      ) { result in
        bar.show(UInt64(result.checkedBlobs), of: total)
        return true
      }
      bar.clear()
      report(result)
      // After a repair the damage is out of the way, but what it took with it is still missing.
      if !result.isClean { throw ExitCode.failure }
    }
  }

  private func report(_ result: Scrub.Result) {
    let row = Row(
      clean: result.isClean, checkedBlobs: result.checkedBlobs, checkedBytes: result.checkedBytes,
      checkedPointers: result.checkedPointers,
      damaged: Dictionary(uniqueKeysWithValues: result.damage.map { ($0.key.hex, $0.value.rawValue) }),
      quarantined: result.quarantined.map(\.hex),
      brokenPointers: result.brokenPointers.map {
        Row.Pointer(kind: $0.kind.rawValue, site: $0.site, subject: $0.subject, blob: $0.blob.hex)
      }, missingRecords: result.missingRecords.map(\.hex), remadeRecords: result.remadeRecords,
      unreadableRecords: result.unreadableRecords.map { "\($0.table) \($0.key)" },
      orphans: result.orphans.map(\.hex), strangers: result.strangers.count)
    if json { return Terminal.json(row) }
    for (blob, damage) in row.damaged.sorted(by: { $0.key < $1.key }) {
      Terminal.line("damaged\t\(blob)\t\(damage)")
    }
    for blob in row.quarantined { Terminal.line("quarantined\t\(blob)") }
    for pointer in row.brokenPointers {
      Terminal.line("broken\t\(pointer.kind)\t\(pointer.site)\t\(pointer.subject)\t\(pointer.blob)")
    }
    for blob in row.missingRecords { Terminal.line("no-record\t\(blob)") }
    for record in row.unreadableRecords { Terminal.line("unreadable\t\(record)") }
    Terminal.error(
      "\(row.clean ? "clean" : "DAMAGED"): \(row.checkedBlobs) blobs, \(row.checkedBytes) bytes, \(row.checkedPointers) pointers checked; \(row.orphans.count) unreferenced, \(row.strangers) foreign file(s)"
    )
  }
}

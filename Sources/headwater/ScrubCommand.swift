import ArgumentParser
import Foundation
import Origin
import Store

struct ScrubCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scrub",
    abstract: "Re-hash every blob, check every pointer and packaging index; exit 1 on damage.",
    discussion: """
      With --repair damaged blobs go to quarantine/, so that they are never served as whole, and missing \
      records of whole blobs and packaging indexes are made again. What is lost is named by the assets and files that point at it.
      """)

  @OptionGroup var options: CommandOptions
  @Flag(help: "Quarantine damaged blobs and remake missing records and indexes.")
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
    var unusableIndexes: [String]
    var remadeIndexes: [String]
    var orphans: [String]
    var strangers: Int
  }

  func validate() throws {
    if let limitMegabytes, limitMegabytes < 1 { throw ValidationError("--limit-megabytes is at least 1") }
  }

  func run() throws {
    let configuration = try options.load()
    let store = try options.openStore(configuration, checksWholeIndex: true)
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
      var indexes = IndexUpkeep.Report()
      for site in configuration.sites {
        let found = try IndexUpkeep(store: store).run(
          site: site.name, segmentMilliseconds: UInt32(site.packaging.segmentMilliseconds), repairs: repair)
        indexes.unusable += found.unusable
        indexes.remade += found.remade
      }
      let isClean = result.isClean && indexes.unusable.count == indexes.remade.count
      report(result, indexes, isClean)
      // After a repair damaged blobs are out of the way, but what they held is still missing.
      if !isClean { throw ExitCode.failure }
    }
  }

  private func report(_ result: Scrub.Result, _ indexes: IndexUpkeep.Report, _ isClean: Bool) {
    let row = Row(
      clean: isClean, checkedBlobs: result.checkedBlobs, checkedBytes: result.checkedBytes,
      checkedPointers: result.checkedPointers,
      damaged: Dictionary(uniqueKeysWithValues: result.damage.map { ($0.key.hex, $0.value.rawValue) }),
      quarantined: result.quarantined.map(\.hex),
      brokenPointers: result.brokenPointers.map {
        Row.Pointer(kind: $0.kind.rawValue, site: $0.site, subject: $0.subject, blob: $0.blob.hex)
      }, missingRecords: result.missingRecords.map(\.hex), remadeRecords: result.remadeRecords,
      unreadableRecords: result.unreadableRecords.map { "\($0.table) \($0.key)" },
      unusableIndexes: indexes.unusable.map(\.hex), remadeIndexes: indexes.remade.map(\.hex),
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
    for blob in row.unusableIndexes {
      Terminal.line("index\t\(blob)\t\(row.remadeIndexes.contains(blob) ? "remade" : "unusable")")
    }
    for record in row.unreadableRecords { Terminal.line("unreadable\t\(record)") }
    Terminal.error(
      "\(row.clean ? "clean" : "DAMAGED"): \(row.checkedBlobs) blobs, \(row.checkedBytes) bytes, \(row.checkedPointers) pointers checked; \(row.orphans.count) unreferenced, \(row.strangers) foreign file(s)"
    )
  }
}

import ArgumentParser
import Foundation
import Store

/// Part of `make bench`: not a command for operators.
struct BenchIndexCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench-index", abstract: "Time look-ups in an index of many blobs.", shouldDisplay: false)

  @Option(name: .long, help: "How many blobs.")
  var blobs = 1_000_000

  func run() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "headwater-bench-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    try Failure.report {
      let figures = try LookupBenchmark.run(path: folder.path, blobs: blobs)
      func microseconds(_ nanoseconds: Double) -> String { String(format: "%.2f µs", nanoseconds / 1000) }
      Terminal.line(
        "\(microseconds(figures.randomNanoseconds)) at random, \(microseconds(figures.hotNanoseconds)) the same again, of it \(microseconds(figures.renewNanoseconds)) for the transaction"
      )
    }
  }
}

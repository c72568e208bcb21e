import ArgumentParser
import Foundation
import Origin

/// Part of `make bench`: not a command for operators.
struct BenchPackagingCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench-packaging", abstract: "Time what is made from a media file.", shouldDisplay: false)

  @Argument(help: "An MP4 file.")
  var file: String

  func run() throws {
    try Failure.report {
      let figures = try PackagingBenchmark.run(path: file, segmentMilliseconds: 6000)
      let rows: [(String, Double, String)] =
        [
          ("length of the film", figures.filmSeconds, "s"),
          ("packaging index of an hour", figures.indexBytesPerHour / 1e6, "MB"),
          ("reading tables and making the index", figures.indexMilliseconds, "ms"),
          ("hashing the file", figures.hashMilliseconds, "ms"),
          ("media playlist", figures.playlistMicroseconds, "µs"),
          ("multivariant playlist", figures.multivariantMicroseconds, "µs"),
          ("MPD", figures.mpdMicroseconds, "µs"),
          ("fragmented MP4 segment", figures.fragmentMicroseconds, "µs"),
          ("transport stream segment, for a MB", figures.transportMicrosecondsPerMegabyte, "µs"),
          (
            "transport stream segment of sound, for a MB", figures.soundTransportMicrosecondsPerMegabyte, "µs"
          ),
        ] + figures.encryption.map { ("\($0.name), for a MB", $0.microsecondsPerMegabyte, "µs") }
      for (name, value, unit) in rows {
        Terminal.line("\(name)\t\(String(format: "%.2f", value)) \(unit)")
      }
    }
  }
}

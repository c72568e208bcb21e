// What `headwater-media` says on descriptor 5: JSON, one object a line. Any number of lines tell how far it is,
//
//     {"progress":417}
//
// in thousandths; the last line is the result, whose shape is the command's. A line break after the last is optional.

import FoundationEssentials

/// A report as it comes in.
struct MediaReport {
  private static let longestProgressBytes = 256
  private static let progressStart = Array(#"{"progress":"#.utf8)

  /// All of it but the progress lines.
  private(set) var bytes: [UInt8] = []
  private var lineStart = 0

  private struct Progress: Decodable {
    var progress: UInt16
  }

  mutating func append(_ more: [UInt8], onProgress: (UInt16) -> Void) {
    var searched = bytes.count
    bytes += more
    while let end = bytes[searched...].firstIndex(of: UInt8(ascii: "\n")) {
      let line = bytes[lineStart..<end]
      if line.count <= Self.longestProgressBytes, line.starts(with: Self.progressStart),
        let told = try? JSONDecoder().decode(Progress.self, from: Data(line))
      {
        onProgress(min(1000, told.progress))
        bytes.removeSubrange(lineStart...end)
        searched = lineStart
      } else {
        lineStart = end + 1
        searched = lineStart
      }
    }
  }

  /// The last line that is not empty.
  static func lastLine(of report: [UInt8]) -> [UInt8]? {
    report.split(separator: UInt8(ascii: "\n")).last.map { Array($0) }
  }
}

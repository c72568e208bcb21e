import Foundation
import Packaging
import Support

/// A file that `headwater-media remux` was let loose on.
struct Remuxed {
  static let program = Checkout.root.appending(path: ".build/debug/headwater-media").path

  /// How the process ended: an exit code, or minus the number of a signal.
  let status: Int32
  /// nil where the process did not end with 0.
  let report: RemuxReport?
  let errors: String
  let outputPath: String
  private let folder: TemporaryFolder

  /// - Throws: when the process does not end within `timeout`, or its report is none.
  init(_ path: String, demuxer: String, options: [String] = [], timeout: Duration = .seconds(60)) throws {
    folder = try TemporaryFolder("remux")
    outputPath = folder.path("out.mp4")
    let reportPath = folder.path("report.json")
    let ended = try Command.run(
      "sh",
      [
        "-c",
        #"program=$0 in=$1 out=$2 report=$3; shift 3; exec "$program" remux "$@" 3<"$in" 4<>"$out" 5>"$report""#,
        Self.program, path, outputPath, reportPath, "--demuxer", demuxer,
      ] + options, timeout: timeout)
    status = ended.status
    errors = ended.errors
    report =
      status == 0 ? try JSONDecoder().decode(RemuxReport.self, from: Data(bytes(ofFile: reportPath))) : nil
  }

  /// libav's name of the container of a shared file.
  static func demuxer(of name: String) -> String { name.hasSuffix(".ts") ? "mpegts" : "matroska" }
}

/// What ffmpeg and ffprobe say about a file.
enum Oracle {
  static let isThere = Checkout.tool("ffmpeg") != nil && Checkout.tool("ffprobe") != nil

  /// Digests of the decoded pictures of a stream, in order of presentation.
  static func pictures(_ path: String, stream: Int) throws -> [String] {
    try digests([
      "-threads", "1", "-i", path, "-map", "0:\(stream)", "-fps_mode", "passthrough", "-f", "framemd5", "-",
    ])
  }

  /// Digests of the coded packets of a stream.
  static func packets(_ path: String, stream: Int, filter: String? = nil) throws -> [String] {
    try digests(
      ["-i", path, "-map", "0:\(stream)", "-c", "copy"] + (filter.map { ["-bsf", $0] } ?? [])
        + ["-f", "framemd5", "-"])
  }

  private static func digests(_ arguments: [String]) throws -> [String] {
    let lines = try Command.run("ffmpeg", ["-nostdin", "-v", "quiet"] + arguments, timeout: .seconds(120))
      .lines
    // Stream, decode time, presentation time, duration, size, digest; then what hangs on the packet.
    return lines.filter { !$0.hasPrefix("#") }.compactMap { line in
      let columns = line.split(separator: ",")
      return columns.count > 5 ? columns[5].trimmingCharacters(in: .whitespaces) : nil
    }
  }

  /// Presentation and decode times of a stream's packets in seconds, in the order of the file.
  static func times(_ path: String, stream: Int) throws -> [(presentation: Double, decode: Double?)] {
    let lines = try Command.run(
      "ffprobe",
      [
        "-v", "quiet", "-select_streams", "\(stream)", "-show_entries", "packet=pts_time,dts_time", "-of",
        "csv=p=0", path,
      ]
    ).lines
    return lines.compactMap { line in
      let fields = line.split(separator: ",", omittingEmptySubsequences: false)
      guard fields.count > 1, let presentation = Double(fields[0]) else { return nil }
      return (presentation, Double(fields[1]))
    }
  }
}

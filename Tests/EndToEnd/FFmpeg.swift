import Foundation
import Support

/// The commands that judge, as their makers document them.
enum FFmpeg {
  /// A digest for each of the first 1,200 frames: decoded pictures, or the coded sound.
  ///
  /// - Parameters:
  ///   - codec: of the track; nil asks for it.
  ///   - inputOptions: what ffmpeg must know to read the URL, such as a key.
  @concurrent static func frames(
    _ url: String, _ track: String, codec: String? = nil, inputOptions: [String] = []
  ) async throws -> [Substring] {
    var kind = ["-fps_mode", "passthrough"]
    if track.hasPrefix("a") {
      kind = ["-c", "copy"]
      // Sound in ADTS frames, as in transport streams, without them.
      if try codec ?? self.codec(url, track) == "aac" { kind += ["-bsf:a", "aac_adtstoasc"] }
    }
    let done = try Command.run(
      "ffmpeg",
      ["-v", "error", "-nostdin"] + inputOptions + ["-i", url, "-map", "0:\(track)", "-frames", "1200"] + kind
        + [
          "-f", "framemd5", "-",
        ],
      timeout: .seconds(120))
    guard done.status == 0 else { throw SupportError("ffmpeg \(url): \(done.errors.prefix(500))") }
    // Column 6; side data may follow it.
    return done.lines.filter { !$0.hasPrefix("#") }.compactMap { line in
      let columns = line.split(separator: ",")
      return columns.count > 5 ? columns[5] : nil
    }
  }

  /// ffprobe's name of a track's codec; nil without the track.
  static func codec(_ url: String, _ track: String) throws -> String? {
    try Command.run(
      "ffprobe",
      ["-v", "error", "-select_streams", track, "-show_entries", "stream=codec_name", "-of", "csv=p=0", url]
    ).lines.first.map { String($0.prefix { $0 != "," }) }
  }

  struct Packet: Decodable {
    let time: String
    let digest: String
    var seconds: Double { Double(time) ?? .nan }

    enum CodingKeys: String, CodingKey {
      case time = "pts_time"
      case digest = "data_hash"
    }
  }

  /// Every coded frame of a track in the order of the file, with its presentation time. Empty without the track.
  static func packets(_ url: String, _ track: String) throws -> [Packet] {
    struct Listing: Decodable { let packets: [Packet]? }
    let done = try Command.run(
      "ffprobe",
      [
        "-v", "error", "-select_streams", track, "-show_packets", "-show_data_hash", "md5", "-show_entries",
        "packet=pts_time,data_hash", "-of", "json", url,
      ])
    guard done.status == 0 else { throw SupportError("ffprobe \(url): \(done.errors.prefix(500))") }
    return try JSONDecoder().decode(Listing.self, from: Data(done.output)).packets ?? []
  }

  /// What ffmpeg complains about, reading everything; the exit code too, for it does not fail on all it logs.
  static func warnings(_ url: String) throws -> [Substring] {
    let done = try Command.run(
      "ffmpeg",
      ["-v", "warning", "-nostdin", "-xerror", "-i", url, "-map", "0", "-c", "copy", "-f", "null", "-"])
    // Said of a stream whose parameter sets do not announce its reordering, when the first such picture comes.
    // This ffmpeg does not play WebVTT of HLS, and says so.
    let lines = done.errors.split(separator: "\n").filter {
      !$0.contains("Increasing reorder buffer to") && !$0.contains("Can't support the subtitle(uri")
    }
    return done.status == 0 ? lines : lines + ["exit code \(done.status)"]
  }

  /// How long the longest track of picture or sound plays: as the file states, or from the earliest frame of all to
  /// the end of the last.
  static func longestTrackSeconds(_ file: String) throws -> Double {
    let stated = try ["v", "a"].flatMap { type in
      try Command.run(
        "ffprobe",
        ["-v", "error", "-select_streams", type, "-show_entries", "stream=duration", "-of", "csv=p=0", file]
      ).lines.compactMap { Double($0.prefix { $0 != "," }) }
    }
    if let longest = stated.max() { return longest }
    struct Listing: Decodable {
      struct Packet: Decodable {
        let start: String?
        let duration: String?

        enum CodingKeys: String, CodingKey {
          case start = "pts_time"
          case duration = "duration_time"
        }
      }
      let packets: [Packet]?
    }
    var first = Double.infinity
    var last = 0.0
    for track in ["v:0", "a:0"] {
      let done = try Command.run(
        "ffprobe",
        [
          "-v", "error", "-select_streams", track, "-show_packets", "-show_entries",
          "packet=pts_time,duration_time", "-of", "json", file,
        ])
      for packet in try JSONDecoder().decode(Listing.self, from: Data(done.output)).packets ?? [] {
        guard let start = packet.start.flatMap(Double.init) else { continue }
        first = min(first, start)
        last = max(last, start + (packet.duration.flatMap(Double.init) ?? 0))
      }
    }
    return last - min(first, last)
  }
}

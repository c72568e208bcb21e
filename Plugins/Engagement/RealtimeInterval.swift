// What a node saw in an interval, as it goes into the stream: JSON, short, since five minutes of it are read at a time
//
//     {"v":[["film",120,73400320,2,1500,480000,[[3200,80],[128,40]]], …]}
//
// For each video: reports, bytes, reports of a starved buffer, milliseconds stalled, milliseconds of media, and how many
// reports were of which bitrate (kbit/s). Videos beyond `mostVideos`, and what is of none, stand under the empty id.

import HTTP
import Origin

/// What was reported of one video.
struct RealtimeRow: Sendable, Equatable {
  static let mostBitrates = 32

  var reports: UInt64 = 0
  var bytes: UInt64 = 0
  var starvedReports: UInt64 = 0
  var stalledMilliseconds: UInt64 = 0
  var playedMilliseconds: UInt64 = 0
  /// Reports by the bitrate of their pictures, in kbit/s.
  var bitrates: [Int64: UInt64] = [:]

  mutating func add(_ other: RealtimeRow) {
    reports &+= other.reports
    bytes &+= other.bytes
    starvedReports &+= other.starvedReports
    stalledMilliseconds &+= other.stalledMilliseconds
    playedMilliseconds &+= other.playedMilliseconds
    for (bitrate, count) in other.bitrates { add(bitrate, count) }
  }

  mutating func add(_ bitrate: Int64, _ count: UInt64 = 1) {
    guard bitrates[bitrate] != nil || bitrates.count < Self.mostBitrates else { return }
    bitrates[bitrate, default: 0] &+= count
  }

  /// One report, and the bytes that went with it.
  mutating func add(_ report: CMCD, bytes: UInt64) {
    reports &+= 1
    self.bytes &+= bytes
    if report.flag(.bs) || report.text(.sta) == "r" { starvedReports &+= 1 }
    let type = report.text(.ot)
    // A report that is wrong by hours must not be worth more than one that is right.
    stalledMilliseconds &+= UInt64(clamping: min(report.integer(.bsd, objectType: type) ?? 0, 600_000))
    guard type == nil || type == "v" || type == "av" else { return }
    playedMilliseconds &+= UInt64(clamping: min(report.integer(.d) ?? 0, 60_000))
    if let bitrate = report.integer(.br, objectType: "v"), bitrate > 0 { add(bitrate) }
  }
}

struct RealtimeInterval: Sendable, Equatable {
  static let mostVideos = 200

  var rows: [String: RealtimeRow] = [:]

  var json: [UInt8] {
    var json = JSONWriter()
    json.object { json in
      json.key("v")
      json.array(rows.sorted { $0.key < $1.key }) { json, entry in
        Self.write(entry.key, entry.value, to: &json)
      }
    }
    return json.bytes
  }

  private enum Part {
    case text(String)
    case number(UInt64)
    case bitrates([(key: Int64, value: UInt64)])
  }

  private static func write(_ video: String, _ row: RealtimeRow, to json: inout JSONWriter) {
    let parts: [Part] =
      [.text(video)]
      + [row.reports, row.bytes, row.starvedReports, row.stalledMilliseconds, row.playedMilliseconds].map {
        .number($0)
      } + [.bitrates(row.bitrates.sorted { $0.key < $1.key })]
    json.array(parts) { json, part in
      switch part {
      case .text(let text): json.value(text)
      case .number(let number): json.value(number)
      case .bitrates(let pairs):
        json.array(pairs) { json, pair in
          json.array([UInt64(clamping: pair.key), pair.value]) { $0.value($1) }
        }
      }
    }
  }

  init(rows: [String: RealtimeRow] = [:]) { self.rows = rows }

  /// Nil for what is none: another program may write to the same stream.
  init?(json: [UInt8]) {
    guard let value = try? JSONValue(json), case .object(let members) = value,
      case .array(let entries)? = members.first(where: { $0.key == "v" })?.value
    else { return nil }
    for entry in entries {
      guard case .array(let parts) = entry, parts.count == 7, case .string(let video) = parts[0],
        case .array(let pairs) = parts[6]
      else { return nil }
      let numbers = parts[1...5].map { Self.number($0) }
      var row = RealtimeRow(
        reports: numbers[0], bytes: numbers[1], starvedReports: numbers[2], stalledMilliseconds: numbers[3],
        playedMilliseconds: numbers[4])
      for pair in pairs {
        guard case .array(let two) = pair, two.count == 2 else { return nil }
        row.add(Int64(clamping: Self.number(two[0])), Self.number(two[1]))
      }
      rows[video, default: RealtimeRow()].add(row)
    }
  }

  private static func number(_ value: JSONValue) -> UInt64 {
    if case .number(let text) = value { return UInt64(text) ?? 0 }
    return 0
  }
}

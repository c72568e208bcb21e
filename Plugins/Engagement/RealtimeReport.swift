import Origin

/// What players reported lately, of all nodes together.
struct RealtimeReport: Sendable {
  /// Videos that are told of by themselves.
  static let mostVideos = 20

  let total: RealtimeRow
  /// Those with the most reports first.
  let videos: [(id: String, row: RealtimeRow)]

  init(_ intervals: [RealtimeInterval]) {
    var total = RealtimeRow()
    var rows: [String: RealtimeRow] = [:]
    for interval in intervals {
      for (video, row) in interval.rows {
        total.add(row)
        if !video.isEmpty { rows[video, default: RealtimeRow()].add(row) }
      }
    }
    self.total = total
    videos = rows.sorted { ($0.value.reports, $0.key) > ($1.value.reports, $1.key) }.prefix(Self.mostVideos)
      .map { ($0.key, $0.value) }
  }

  /// - Parameter live: viewers of the site, then of each of `videos`.
  func json(live: [Int], windowMilliseconds: Int64) -> JSONWriter {
    var json = JSONWriter()
    json.object { json in
      json.key("window_seconds")
      json.value(thousandths: UInt64(windowMilliseconds))
      Self.write(total, live: live.first ?? 0, windowMilliseconds, to: &json)
      json.key("qualities")
      let all = total.bitrates.values.reduce(0, &+)
      json.array(total.bitrates.sorted { $0.key < $1.key }) { json, entry in
        json.object { json in
          json.member("kilobits_per_second", entry.key)
          json.key("share")
          json.value(thousandths: all == 0 ? 0 : entry.value * 1000 / all)
        }
      }
      json.key("videos")
      json.array(Array(zip(videos, live.dropFirst()))) { json, entry in
        json.object { json in
          json.member("video_id", entry.0.id)
          Self.write(entry.0.row, live: entry.1, windowMilliseconds, to: &json)
        }
      }
    }
    return json
  }

  private static func write(
    _ row: RealtimeRow, live: Int, _ windowMilliseconds: Int64, to json: inout JSONWriter
  ) {
    json.member("concurrent_viewers", live)
    json.member("reports", row.reports)
    json.member(
      "bits_per_second",
      row.bytes.multipliedReportingOverflow(by: 8000).partialValue / UInt64(max(1, windowMilliseconds)))
    // Of what was reported how much told of a buffer that had run dry.
    json.key("buffering_ratio")
    json.value(thousandths: row.reports == 0 ? 0 : row.starvedReports * 1000 / row.reports)
    json.key("stalled_seconds")
    json.value(thousandths: row.stalledMilliseconds)
    json.key("played_seconds")
    json.value(thousandths: row.playedMilliseconds)
  }
}

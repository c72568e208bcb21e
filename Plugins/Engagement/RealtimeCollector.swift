import HTTP
import Origin
import Store
import Synchronization

/// Gathers what players report (CMCD), with their requests for media and by themselves, until the interval is over.
///
/// Requests without CMCD are not even recorded. Everything is bounded: videos, sessions of each.
final class RealtimeCollector: AccessLogger {
  private static let mostVideos = 1_000
  private static let mostSessions = 10_000

  private struct Gathered {
    var rows: [String: RealtimeRow] = [:]
    /// By video; only of videos that the path or the report names.
    var sessions: [String: Set<String>] = [:]
  }

  private let gathered = Mutex(Gathered())

  func wants(_ request: borrowing RequestHead) -> Bool { CMCD.isPresent(in: request) }

  func log(_ record: AccessRecord) {
    guard let report = record.cmcd else { return }
    add(report, video: Self.video(in: record.target), bytes: record.sentBytes)
  }

  /// A report that came by itself: the content's id is taken for the video's where it is one.
  func add(event: CMCD) {
    let video = event.text(.cid).flatMap { AssetID.isValid($0) ? $0 : nil }
    add(event, video: video, bytes: 0)
  }

  private func add(_ report: CMCD, video: String?, bytes: UInt64) {
    gathered.withLock { gathered in
      var video = video ?? ""
      if gathered.rows[video] == nil, gathered.rows.count >= Self.mostVideos { video = "" }
      gathered.rows[video, default: RealtimeRow()].add(report, bytes: bytes)
      guard !video.isEmpty, let session = report.text(.sid), !session.isEmpty else { return }
      if gathered.sessions[video, default: []].count < Self.mostSessions {
        gathered.sessions[video, default: []].insert(session)
      }
    }
  }

  /// All since the last time, of which the busiest videos by themselves; and the sessions of each.
  func take() -> (interval: RealtimeInterval, sessions: [String: Set<String>]) {
    let taken = gathered.withLock { gathered in
      defer { gathered = Gathered() }
      return gathered
    }
    guard taken.rows.count > RealtimeInterval.mostVideos else {
      return (RealtimeInterval(rows: taken.rows), taken.sessions)
    }
    var interval = RealtimeInterval()
    let busiest = taken.rows.filter { !$0.key.isEmpty }.sorted { $0.value.reports > $1.value.reports }
      .prefix(RealtimeInterval.mostVideos)
    for (video, row) in busiest { interval.rows[video] = row }
    for (video, row) in taken.rows where interval.rows[video] == nil || video.isEmpty {
      interval.rows["", default: RealtimeRow()].add(row)
    }
    return (interval, taken.sessions)
  }

  /// `film` of `/v/film/…` and of `/api/v1/videos/film/…`.
  private static func video(in target: [UInt8]) -> String? {
    for prefix in ["/v/", "/api/v1/videos/"] where target.starts(with: prefix.utf8) {
      let id = target[prefix.utf8.count...].prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
      return AssetID.isValid(bytes: id) ? String(decoding: id, as: UTF8.self) : nil
    }
    return nil
  }
}

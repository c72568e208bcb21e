import Store
import Synchronization

/// The store of a site without Redis: this process's own, gone with it. Bounded: what is oldest makes room.
///
/// Views are the one thing that lasts: `viewCounts` hands them to the catalog, at least every minute. `kill -9` loses those since.
final class MemoryEngagementStore: EngagementStore {
  private struct Watched: Hashable {
    var video: String
    var viewer: String
  }

  private struct Playing {
    var session: PlaySession
    var isCounted: Bool
  }

  private struct State {
    /// Views that are not in the catalog yet; and those that are on their way there.
    var pending: [String: UInt64] = [:]
    var applying: [String: UInt64] = [:]
    var viewed: ExpiringTable<Watched, Bool>
    var reported: ExpiringTable<Watched, Bool>
    var sessions: ExpiringTable<Watched, Playing>
    /// The oldest first.
    var histories: ExpiringTable<String, [HistoryEntry]>
    var feeds: ExpiringTable<String, [UInt8]>
    var live: [String: ExpiringTable<String, Bool>] = [:]
    /// By day, then by video.
    var unique: [String: [String: HyperLogLog]] = [:]
    /// By hour, then by video.
    var trending: [String: [String: UInt64]] = [:]
    var queue: [String: ModerationItem] = [:]
    var intervals: [(at: Int64, interval: RealtimeInterval)] = []
    var rates: ExpiringTable<String, UInt64>
  }

  private static let mostLiveSets = 10_000
  private static let mostQueued = 10_000
  private static let mostLive = 1_000_000

  private let state: Mutex<State>
  private let times: EngagementConfig.Times
  private let now: @Sendable () -> Int64

  /// - Parameter now: the wall clock, in milliseconds since 1970.
  init(
    times: EngagementConfig.Times, now: @escaping @Sendable () -> Int64 = { Store.wallClockMilliseconds() }
  ) {
    self.times = times
    self.now = now
    state = Mutex(
      State(
        viewed: ExpiringTable(lifetimeMilliseconds: times.again, limit: 1_000_000),
        reported: ExpiringTable(lifetimeMilliseconds: times.reported, limit: 100_000),
        sessions: ExpiringTable(lifetimeMilliseconds: times.session, limit: 200_000),
        histories: ExpiringTable(lifetimeMilliseconds: times.history, limit: 50_000),
        feeds: ExpiringTable(lifetimeMilliseconds: times.feed, limit: 1_000),
        rates: ExpiringTable(lifetimeMilliseconds: 3_600_000, limit: 100_000)))
  }

  let place = "the memory of this process"
  let isShared = false

  func close() {}

  // MARK: Views

  func count(_ view: View) async throws(EngagementError) -> Bool {
    let now = now()
    return state.withLock { Self.count(view, &$0, at: now) }
  }

  private static func count(_ view: View, _ state: inout State, at now: Int64) -> Bool {
    guard view.weight > 0 else { return true }
    let watched = Watched(video: view.video, viewer: view.viewer)
    guard state.viewed.value(watched, at: now) == nil else { return false }
    state.viewed.set(watched, true, at: now)
    state.pending[view.video, default: 0] &+= view.weight
    let stamp = CalendarStamp(milliseconds: now)
    note(view.viewer, of: view.video, &state, stamp.day)
    state.trending[stamp.hour, default: [:]][view.video, default: 0] &+= view.weight
    while state.trending.count > EngagementConfig.trendingHours, let oldest = state.trending.keys.min() {
      state.trending[oldest] = nil
    }
    return true
  }

  private static func note(_ viewer: String, of video: String, _ state: inout State, _ day: String) {
    let hash = BlobID.digest(of: Array(viewer.utf8)).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    state.unique[day, default: [:]][video, default: HyperLogLog()].insert(hash: hash)
    while state.unique.count > EngagementConfig.uniqueDays, let oldest = state.unique.keys.min() {
      state.unique[oldest] = nil
    }
  }

  func note(viewers: [String: Set<String>]) async throws(EngagementError) {
    let day = CalendarStamp(milliseconds: now()).day
    state.withLock { state in
      for (video, viewers) in viewers {
        for viewer in viewers { Self.note(viewer, of: video, &state, day) }
      }
    }
  }

  func viewCounts(after cursor: ViewCursor?) async throws(EngagementError) -> ViewCounts? {
    state.withLock { state in
      guard state.applying.isEmpty, !state.pending.isEmpty else { return nil }
      swap(&state.applying, &state.pending)
      return .increments(state.applying)
    }
  }

  func settled(_ counts: ViewCounts, isApplied: Bool) {
    state.withLock { state in
      if !isApplied { for (video, count) in state.applying { state.pending[video, default: 0] &+= count } }
      state.applying = [:]
    }
  }

  // MARK: Viewers

  func progress(_ report: ProgressReport) async throws(EngagementError) -> ProgressOutcome {
    let now = now()
    let watched = Watched(video: report.video, viewer: report.viewer)
    return state.withLock { state in
      var playing = Playing(
        session: PlaySession(positionMilliseconds: 0, watchedMilliseconds: 0, updatedMilliseconds: now),
        isCounted: false)
      if let known = state.sessions.value(watched, at: now) {
        let last = known.session.positionMilliseconds
        // From the beginning again: another playing. Otherwise what was passed at no more than twice its pace was watched.
        if report.positionMilliseconds >= 5000 || last < 5000 {
          playing = known
          let step = report.positionMilliseconds - last
          let elapsed = now - known.session.updatedMilliseconds
          if step > 0, step <= 2 * elapsed + 2000 { playing.session.watchedMilliseconds += step }
        }
      }
      playing.session.positionMilliseconds = report.positionMilliseconds
      playing.session.updatedMilliseconds = now
      var isView = false
      if let threshold = report.thresholdMilliseconds, playing.session.watchedMilliseconds >= threshold,
        !playing.isCounted
      {
        isView = Self.count(
          View(video: report.video, viewer: report.viewer, weight: report.weight), &state, at: now)
        playing.isCounted = true
      }
      state.sessions.set(watched, playing, at: now)
      var history = state.histories.value(report.viewer, at: now) ?? []
      history.removeAll { $0.video == report.video }
      history.append(HistoryEntry(video: report.video, atMilliseconds: now))
      history.removeFirst(max(0, history.count - EngagementConfig.historyLength))
      state.histories.set(report.viewer, history, at: now)
      beat([report.video: [report.viewer]], &state, at: now)
      return ProgressOutcome(
        watchedMilliseconds: playing.session.watchedMilliseconds, isCounted: isView)
    }
  }

  func session(of viewer: String, video: String) async throws(EngagementError) -> PlaySession? {
    let now = now()
    return state.withLock { $0.sessions.value(Watched(video: video, viewer: viewer), at: now)?.session }
  }

  func history(of viewer: String) async throws(EngagementError) -> [HistoryEntry] {
    let now = now()
    return state.withLock { $0.histories.value(viewer, at: now)?.reversed() ?? [] }
  }

  func erase(viewer: String) async throws(EngagementError) {
    let now = now()
    state.withLock { state in
      for entry in state.histories.value(viewer, at: now) ?? [] {
        state.sessions.remove(Watched(video: entry.video, viewer: viewer))
      }
      state.histories.remove(viewer)
      state.feeds.remove(viewer)
    }
  }

  func feed(of viewer: String) async throws(EngagementError) -> [UInt8]? {
    let now = now()
    return state.withLock { $0.feeds.value(viewer, at: now) }
  }

  func setFeed(_ json: [UInt8], of viewer: String) async throws(EngagementError) {
    let now = now()
    state.withLock { $0.feeds.set(viewer, json, at: now) }
  }

  // MARK: Videos

  func heartbeat(_ viewers: [String: Set<String>]) async throws(EngagementError) {
    let now = now()
    state.withLock { beat(viewers, &$0, at: now) }
  }

  private func beat(_ viewers: [String: Set<String>], _ state: inout State, at now: Int64) {
    for (video, viewers) in viewers {
      for set in [video, LiveViewers.everywhere] {
        if state.live[set] == nil {
          if state.live.count >= Self.mostLiveSets {
            state.live = state.live.filter { !$0.value.keys(at: now).isEmpty }
          }
          guard state.live.count < Self.mostLiveSets else { continue }
        }
        for viewer in viewers {
          state.live[set, default: ExpiringTable(lifetimeMilliseconds: times.live, limit: Self.mostLive)]
            .set(viewer, true, at: now)
        }
      }
    }
  }

  func liveViewers(of videos: [String]) async throws(EngagementError) -> [Int] {
    let now = now()
    return state.withLock { state in
      videos.map { video in
        guard state.live[video] != nil else { return 0 }
        state.live[video]?.trim(at: now)
        let count = state.live[video]?.count ?? 0
        if count == 0 { state.live[video] = nil }
        return count
      }
    }
  }

  func figures(of video: String) async throws(EngagementError) -> VideoFigures {
    let live = try await liveViewers(of: [video])[0]
    return state.withLock { state in
      var unique = HyperLogLog()
      for day in state.unique.values { if let viewers = day[video] { unique.merge(viewers) } }
      return VideoFigures(
        views: (state.pending[video] ?? 0) &+ (state.applying[video] ?? 0), uniqueViewers: unique.estimate,
        liveViewers: live)
    }
  }

  func trending(limit: Int) async throws(EngagementError) -> [String] {
    state.withLock { state in
      var sums: [String: UInt64] = [:]
      for hour in state.trending.values { sums.merge(hour, uniquingKeysWith: &+) }
      // Of equals the later id first, as Redis has it.
      let sorted = sums.sorted { ($0.value, $0.key) > ($1.value, $1.key) }
      return sorted.prefix(limit).map(\.key)
    }
  }

  // MARK: Moderation

  func report(_ report: ViewerReport) async throws(EngagementError) {
    let now = now()
    state.withLock { state in
      let watched = Watched(video: report.video, viewer: report.viewer)
      guard state.reported.value(watched, at: now) == nil,
        state.queue.count < Self.mostQueued || state.queue[report.video] != nil
      else { return }
      state.reported.set(watched, true, at: now)
      var item =
        state.queue[report.video]
        ?? ModerationItem(
          video: report.video, reports: 0, reasons: [:], note: "", firstMilliseconds: now,
          lastMilliseconds: now)
      item.reports += 1
      item.reasons[report.reason, default: 0] += 1
      if !report.note.isEmpty { item.note = report.note }
      item.lastMilliseconds = now
      state.queue[report.video] = item
    }
  }

  func moderationQueue(limit: Int) async throws(EngagementError) -> [ModerationItem] {
    state.withLock { state in
      Array(state.queue.values.sorted { ($0.reports, $0.video) > ($1.reports, $1.video) }.prefix(limit))
    }
  }

  func settle(video: String) async throws(EngagementError) -> Bool {
    state.withLock { $0.queue.removeValue(forKey: video) != nil }
  }

  // MARK: Metrics and limits

  func append(_ interval: RealtimeInterval) async throws(EngagementError) {
    let now = now()
    state.withLock { state in
      state.intervals.append((now, interval))
      state.intervals.removeAll { now - $0.at > times.realtimeWindow }
    }
  }

  func intervals() async throws(EngagementError) -> [RealtimeInterval] {
    let now = now()
    return state.withLock { state in
      state.intervals.filter { now - $0.at <= times.realtimeWindow }.map(\.interval)
    }
  }

  func spend(_ spendings: [RateSpending], _ rule: RateRule) async throws(EngagementError) -> [UInt64] {
    let now = now()
    let nowMicroseconds = UInt64(clamping: now) &* 1000
    return state.withLock { state in
      spendings.map { spending in
        let key = "\(spending.address):\(spending.window)"
        let before = state.rates.value(key, at: now) ?? 0
        switch rule.algorithm {
        case .fixedWindow:
          state.rates.set(key, before &+ UInt64(spending.amount), at: now)
          return before &+ UInt64(spending.amount)
        case .cellRate:
          let emptyAt = max(before, nowMicroseconds) &+ UInt64(spending.amount) &* rule.intervalMicroseconds
          state.rates.set(key, emptyAt, at: now)
          return emptyAt - nowMicroseconds
        }
      }
    }
  }
}

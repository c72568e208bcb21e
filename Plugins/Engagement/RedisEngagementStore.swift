import Net
import Origin
import Store

/// The store in Redis: shared by all who ask the same one.
///
/// Each call is one command or script within the client's time, so it ends within twice that (a script that the server does not
/// know is sent again with its text). What fails is not tried again here: callers know whether they may.
final class RedisEngagementStore: EngagementStore {
  private let client: RedisClient
  private let keys: EngagementKeys
  private let times: EngagementConfig.Times

  init(client: RedisClient, keys: EngagementKeys, times: EngagementConfig.Times) {
    self.client = client
    self.keys = keys
    self.times = times
  }

  var place: String { "Redis at \(client.configuration)" }
  let isShared = true
  var redisFigures: RedisFigures { client.figures }

  func close() { client.close() }

  // MARK: Views

  func count(_ view: View) async throws(EngagementError) -> Bool {
    let keys = viewKeys(view.video, view.viewer)
    return try await run(
      RedisEngagementScripts.count, keys, viewArguments(view.video, view.viewer, view.weight)
    ).integer == 1
  }

  private func viewKeys(_ video: String, _ viewer: String) -> [RedisArgument] {
    let stamp = CalendarStamp(milliseconds: Store.wallClockMilliseconds())
    return [
      keys(.viewed, ["id": video, "user": viewer]), keys(.views, ["id": video]), keys(.changed), keys(.line),
      keys(.unique, ["id": video, "day": stamp.day]), keys(.trending, ["hour": stamp.hour]),
    ]
  }

  private func viewArguments(_ video: String, _ viewer: String, _ weight: UInt64) -> [RedisArgument] {
    [
      RedisArgument(video), RedisArgument(viewer), RedisArgument(weight),
      RedisArgument(UInt64.random(in: 1 ... .max)), RedisArgument(times.again),
      RedisArgument((EngagementConfig.uniqueDays + 1) * 86_400),
      RedisArgument((EngagementConfig.trendingHours + 1) * 3_600),
    ]
  }

  func note(viewers: [String: Set<String>]) async throws(EngagementError) {
    let day = CalendarStamp(milliseconds: Store.wallClockMilliseconds()).day
    var commands: [RedisCommand] = []
    for (video, viewers) in viewers where !viewers.isEmpty {
      let key = keys(.unique, ["id": video, "day": day])
      commands.append(RedisCommand("PFADD", [key] + viewers.map { RedisArgument($0) }))
      commands.append(RedisCommand("EXPIRE", key, RedisArgument((EngagementConfig.uniqueDays + 1) * 86_400)))
    }
    for result in await client.pipeline(commands) { _ = try Self.value(result) }
  }

  func viewCounts(after cursor: ViewCursor?) async throws(EngagementError) -> ViewCounts? {
    let known = cursor.map { [$0.line, $0.rewinds, $0.sequence].map { RedisArgument($0) } } ?? ["", "", ""]
    let value = try await run(
      RedisEngagementScripts.viewCounts, [keys(.changed), keys(.line)],
      known + [RedisArgument(mostViewCounts)] + keys.parts(.views))
    guard let parts = value.array, parts.count >= 5,
      let line = parts[0].text.flatMap({ UInt64($0) }), let rewinds = parts[1].text.flatMap({ UInt64($0) }),
      let sequence = parts[2].text.flatMap({ UInt64($0) })
    else { return nil }
    var totals: [String: UInt64] = [:]
    for index in stride(from: 3, to: parts.count - 1, by: 2) {
      if let id = parts[index].text, let total = parts[index + 1].text.flatMap({ UInt64($0) }) {
        totals[id] = total
      }
    }
    return .totals(totals, ViewCursor(line: line, rewinds: rewinds, sequence: sequence))
  }

  /// What was read is what the catalog will be asked for next: nothing to be done.
  func settled(_ counts: ViewCounts, isApplied: Bool) {}

  // MARK: Viewers

  func progress(_ report: ProgressReport) async throws(EngagementError) -> ProgressOutcome {
    let (video, viewer) = (report.video, report.viewer)
    let keys =
      viewKeys(video, viewer) + [
        keys(.session, ["id": video, "user": viewer]), keys(.history, ["user": viewer]),
        keys(.live, ["id": video]), keys(.live, ["id": LiveViewers.everywhere]),
      ]
    let numbers = [
      report.positionMilliseconds, report.thresholdMilliseconds ?? -1, times.session, times.history,
      Int64(EngagementConfig.historyLength), times.live,
    ]
    let value = try await run(
      RedisEngagementScripts.progress, keys,
      viewArguments(video, viewer, report.weight) + numbers.map { RedisArgument($0) })
    let answers = value.array?.compactMap(\.integer) ?? []
    guard answers.count == 2 else { throw Self.unreadable }
    return ProgressOutcome(watchedMilliseconds: answers[0], isCounted: answers[1] == 1)
  }

  func session(of viewer: String, video: String) async throws(EngagementError) -> PlaySession? {
    let key = keys(.session, ["id": video, "user": viewer])
    let value = try await call(RedisCommand("HMGET", key, "position", "watched", "updated"))
    let numbers = value.array?.compactMap(\.integer) ?? []
    guard numbers.count == 3 else { return nil }
    return PlaySession(
      positionMilliseconds: numbers[0], watchedMilliseconds: numbers[1], updatedMilliseconds: numbers[2])
  }

  func history(of viewer: String) async throws(EngagementError) -> [HistoryEntry] {
    let value = try await call(
      RedisCommand("ZREVRANGE", keys(.history, ["user": viewer]), 0, -1, "WITHSCORES"))
    let parts = value.array ?? []
    return stride(from: 0, to: parts.count - 1, by: 2).compactMap { index in
      guard let video = parts[index].text, let time = parts[index + 1].integer else { return nil }
      return HistoryEntry(video: video, atMilliseconds: time)
    }
  }

  func erase(viewer: String) async throws(EngagementError) {
    // The history knows the videos that there may be sessions of: it goes last, so that a failure can be repeated.
    let videos = try await history(of: viewer).map(\.video)
    let sessions = videos.map { RedisCommand("DEL", keys(.session, ["id": $0, "user": viewer])) }
    let rest = [keys(.feed, ["user": viewer]), keys(.history, ["user": viewer])].map {
      RedisCommand("DEL", $0)
    }
    for result in await client.pipeline(sessions + rest) { _ = try Self.value(result) }
  }

  func feed(of viewer: String) async throws(EngagementError) -> [UInt8]? {
    try await call(RedisCommand("GET", keys(.feed, ["user": viewer]))).bytes
  }

  func setFeed(_ json: [UInt8], of viewer: String) async throws(EngagementError) {
    _ = try await call(
      RedisCommand("SET", keys(.feed, ["user": viewer]), RedisArgument(json), "PX", RedisArgument(times.feed))
    )
  }

  // MARK: Videos

  func heartbeat(_ viewers: [String: Set<String>]) async throws(EngagementError) {
    var names: [RedisArgument] = []
    var arguments = [RedisArgument(times.live)]
    for (video, viewers) in viewers where !viewers.isEmpty {
      names.append(keys(.live, ["id": video]))
      arguments.append(RedisArgument(viewers.count))
      arguments += viewers.map { RedisArgument($0) }
    }
    guard !names.isEmpty else { return }
    let everybody = viewers.values.reduce(into: Set<String>()) { $0.formUnion($1) }
    names.append(keys(.live, ["id": LiveViewers.everywhere]))
    arguments.append(RedisArgument(everybody.count))
    arguments += everybody.map { RedisArgument($0) }
    _ = try await run(RedisEngagementScripts.heartbeat, names, arguments)
  }

  func liveViewers(of videos: [String]) async throws(EngagementError) -> [Int] {
    guard !videos.isEmpty else { return [] }
    let value = try await run(
      RedisEngagementScripts.live, videos.map { keys(.live, ["id": $0]) }, [RedisArgument(times.live)])
    let counts = (value.array ?? []).compactMap(\.integer).map { Int(clamping: $0) }
    guard counts.count == videos.count else { throw Self.unreadable }
    return counts
  }

  func figures(of video: String) async throws(EngagementError) -> VideoFigures {
    let now = Store.wallClockMilliseconds()
    let days = (0..<EngagementConfig.uniqueDays).map { day in
      let stamp = CalendarStamp(milliseconds: now - Int64(day) * 86_400_000)
      return keys(.unique, ["id": video, "day": stamp.day])
    }
    let there = try await liveViewers(of: [video])
    let answers = await client.pipeline([
      RedisCommand("GET", keys(.views, ["id": video])), RedisCommand("PFCOUNT", days),
    ])
    let numbers = try answers.map { result throws(EngagementError) in try Self.value(result).integer ?? 0 }
    return VideoFigures(
      views: UInt64(clamping: numbers[0]), uniqueViewers: Int(clamping: numbers[1]), liveViewers: there[0])
  }

  func trending(limit: Int) async throws(EngagementError) -> [String] {
    let now = Store.wallClockMilliseconds()
    let hours = (0..<EngagementConfig.trendingHours).map { hour in
      keys(.trending, ["hour": CalendarStamp(milliseconds: now - Int64(hour) * 3_600_000).hour])
    }
    let value = try await run(
      RedisEngagementScripts.trending, [keys(.trending, ["hour": "sum"])] + hours, [RedisArgument(limit)])
    return (value.array ?? []).compactMap(\.text)
  }

  // MARK: Moderation

  func report(_ report: ViewerReport) async throws(EngagementError) {
    let names = [
      keys(.reported, ["id": report.video, "user": report.viewer]), keys(.queue),
      keys(.item, ["id": report.video]),
    ]
    _ = try await run(
      RedisEngagementScripts.report, names,
      [
        RedisArgument(report.video), RedisArgument(times.reported), RedisArgument(report.reason),
        RedisArgument(report.note),
      ])
  }

  func moderationQueue(limit: Int) async throws(EngagementError) -> [ModerationItem] {
    let value = try await run(
      RedisEngagementScripts.moderationQueue, [keys(.queue)], [RedisArgument(limit)] + keys.parts(.item))
    return (value.array ?? []).compactMap { entry in
      guard let parts = entry.array, parts.count == 3, let video = parts[0].text, let fields = parts[2].array
      else { return nil }
      var item = ModerationItem(
        video: video, reports: Int(parts[1].text ?? "") ?? 0, reasons: [:], note: "", firstMilliseconds: 0,
        lastMilliseconds: 0)
      for index in stride(from: 0, to: fields.count - 1, by: 2) {
        let (name, field) = (fields[index].text ?? "", fields[index + 1])
        switch name {
        case "first": item.firstMilliseconds = field.integer ?? 0
        case "last": item.lastMilliseconds = field.integer ?? 0
        case "note": item.note = field.text ?? ""
        default: item.reasons[String(name.dropFirst("reason:".count))] = Int(clamping: field.integer ?? 0)
        }
      }
      return item
    }
  }

  func settle(video: String) async throws(EngagementError) -> Bool {
    try await run(
      RedisEngagementScripts.settle, [keys(.queue), keys(.item, ["id": video])], [RedisArgument(video)]
    ).integer == 1
  }

  // MARK: Metrics and limits

  func append(_ interval: RealtimeInterval) async throws(EngagementError) {
    _ = try await run(
      RedisEngagementScripts.append, [keys(.realtime)],
      [RedisArgument(times.realtimeWindow), RedisArgument(interval.json)])
  }

  func intervals() async throws(EngagementError) -> [RealtimeInterval] {
    let value = try await run(
      RedisEngagementScripts.intervals, [keys(.realtime)], [RedisArgument(times.realtimeWindow)])
    return (value.array ?? []).compactMap { $0.bytes.flatMap { RealtimeInterval(json: $0) } }
  }

  func spend(_ spendings: [RateSpending], _ rule: RateRule) async throws(EngagementError) -> [UInt64] {
    guard !spendings.isEmpty else { return [] }
    let isWindow = rule.algorithm == .fixedWindow
    let names = spendings.map { keys(.rate, ["address": $0.address, "window": "\($0.window)"]) }
    let measure = isWindow ? rule.perMicroseconds / 1000 : rule.intervalMicroseconds
    let value = try await run(
      RedisEngagementScripts.spend, names,
      [isWindow ? "1" : "0", RedisArgument(measure)] + spendings.map { RedisArgument($0.amount) })
    let answers = (value.array ?? []).compactMap(\.integer).map { UInt64(clamping: $0) }
    guard answers.count == spendings.count else { throw Self.unreadable }
    return answers
  }

  // MARK: Asking

  private static let unreadable = EngagementError(message: "Redis answers something else than was asked for")

  private func run(
    _ script: RedisScript, _ keys: [RedisArgument], _ arguments: [RedisArgument]
  ) async throws(EngagementError) -> RedisValue {
    do throws(RedisError) { return try await client.run(script, keys: keys, arguments: arguments) } catch {
      throw EngagementError(message: "\(error)")
    }
  }

  private func call(_ command: RedisCommand) async throws(EngagementError) -> RedisValue {
    do throws(RedisError) { return try await client.call(command) } catch {
      throw EngagementError(message: "\(error)")
    }
  }

  private static func value(_ result: Result<RedisValue, RedisError>) throws(EngagementError) -> RedisValue {
    do throws(RedisError) { return try result.get() } catch { throw EngagementError(message: "\(error)") }
  }
}

/// The day and the hour of a time, in UTC, as keys have them: `20260101`, `2026010112`.
struct CalendarStamp {
  let day: String
  let hour: String

  init(milliseconds: Int64) {
    // `2026-01-01T12:…`
    let digits = AccessRecord.iso8601(milliseconds).utf8.filter { (0x30...0x39).contains($0) }
    day = String(decoding: digits.prefix(8), as: UTF8.self)
    hour = String(decoding: digits.prefix(10), as: UTF8.self)
  }
}

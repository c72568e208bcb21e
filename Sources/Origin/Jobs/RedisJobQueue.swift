internal import Glibc
public import Net
public import Store

/// The queue in Redis: for any number of machines.
///
/// Behaves as the one in the index does, and is held to the same tests. What differs: the clock is the server's; a worker that
/// died is known by its lease alone; and the end of a job and what it does to the catalog are two steps. The effects come first
/// and may come twice, where a worker dies between them and the end: `Store.applyJobResult` sees to it that they happen once.
public final class RedisJobQueue: JobQueue {
  /// What the end of a job does outside of the queue.
  public typealias Effects = @Sendable (JobRecord, JobResult) async throws(JobQueueError) -> JobApplication

  /// Where jobs end.
  public enum End: Sendable {
    /// Here, beside the store.
    case here(Effects)
    /// Where the store is, by somebody who has this queue, too.
    case elsewhere(
      @Sendable (JobID, _ fence: UInt64, JobResult) async throws(JobQueueError) -> JobEnding)
  }

  private let client: RedisClient
  private let end: End
  private let prefix: RedisArgument
  private let leaseMilliseconds: Int64

  /// - Parameters:
  ///   - prefix: of all keys; the part in braces keeps them in one slot of a cluster.
  ///   - leaseMilliseconds: how long a claim or a heartbeat holds.
  public init(
    client: RedisClient, prefix: String = "{headwater:jobs}:",
    leaseMilliseconds: Int64 = JobRecord.leaseMilliseconds, end: End
  ) {
    self.client = client
    self.prefix = RedisArgument(prefix)
    self.leaseMilliseconds = leaseMilliseconds
    self.end = end
  }

  // MARK: Coming in

  @discardableResult
  public func enqueue(_ drafts: [JobDraft]) async throws(JobQueueError) -> [JobRecord] {
    try Self.check(drafts)
    if drafts.isEmpty { return [] }
    return try await rows(RedisJobScripts.enqueue, drafts.flatMap(RedisJobRow.arguments(of:)))
  }

  private static func check(_ drafts: [JobDraft]) throws(JobQueueError) {
    do throws(StoreError) { for draft in drafts { try draft.check() } } catch {
      throw JobQueueError(.invalid, "\(error)")
    }
  }

  // MARK: Workers

  public func register() async throws(JobQueueError) -> String {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return "\(host.replacing("/", with: "-"))/\(getpid())-\(UInt32.random(in: .min ... .max))/"
  }

  public func claim(_ offers: Set<JobOffer>, owner: String) async throws(JobQueueError) -> JobRecord? {
    guard !offers.isEmpty else { return nil }
    let words = [RedisArgument(owner)] + offers.flatMap { [RedisArgument($0.site), RedisArgument($0.kind)] }
    return try await row(RedisJobScripts.claim, words)
  }

  public func heartbeat(
    _ id: JobID, fence: UInt64, progressPermille: UInt16, note: String
  ) async throws(JobQueueError) -> JobStanding {
    let note = String(decoding: note.utf8.prefix(256), as: UTF8.self)
    let words = Self.held(id, fence) + [RedisArgument(min(1000, progressPermille)), RedisArgument(note)]
    return Self.standing(try await run(RedisJobScripts.heartbeat, words))
  }

  public func standing(_ id: JobID, fence: UInt64) async throws(JobQueueError) -> JobStanding {
    Self.standing(try await run(RedisJobScripts.standing, Self.held(id, fence)))
  }

  public func finish(
    _ id: JobID, fence: UInt64, _ result: JobResult
  ) async throws(JobQueueError) -> JobEnding {
    guard result.result.count <= JobDraft.maximumPayloadBytes else {
      throw JobQueueError(.invalid, "A result has at most 16 KiB: bulk belongs into blobs.")
    }
    try Self.check(result.followUps)
    let effects: Effects
    switch end {
    case .here(let here): effects = here
    case .elsewhere(let finish): return try await finish(id, fence, result)
    }
    guard let job = try await job(id), job.standing(fence: fence) == .held else {
      // Not ours: nothing is abandoned, and the step says what has become of it.
      return try await ending(RedisJobScripts.finish, Self.held(id, fence) + ["", ""])
    }
    guard result.followUps.allSatisfy({ $0.site == job.site }) else {
      throw JobQueueError(.invalid, "A follow-up is of the same site as the job.")
    }
    switch try await effects(job, result) {
    case .applied: break
    case .lost: return .lost
    case .outdated(let reason):
      return try await ending(
        RedisJobScripts.abandon,
        Self.held(id, fence) + [RedisArgument(reason.code), RedisArgument(reason.message)])
    }
    let kept = result.keptBlobs.map(\.description).joined(separator: " ")
    return try await ending(
      RedisJobScripts.finish,
      Self.held(id, fence) + [RedisArgument(result.result), RedisArgument(kept)]
        + result.followUps.flatMap(RedisJobRow.arguments(of:)))
  }

  @discardableResult
  public func fail(
    _ id: JobID, fence: UInt64, _ failure: JobFailure
  ) async throws(JobQueueError) -> JobRecord? {
    var kind = "permanent"
    var wait: Int64 = 0
    switch failure.kind {
    case .permanent: break
    case .retryable: kind = "retryable"
    case .crashed: kind = "crashed"
    case .postponed(let milliseconds): (kind, wait) = ("postponed", milliseconds)
    }
    let message = String(decoding: failure.message.utf8.prefix(JobFailure.maximumMessageBytes), as: UTF8.self)
    let log = String(decoding: failure.log.utf8.suffix(JobFailure.maximumLogBytes), as: UTF8.self)
    return try await row(
      RedisJobScripts.fail,
      Self.held(id, fence) + [
        RedisArgument(kind), RedisArgument(wait), RedisArgument(UInt32.random(in: 0..<1 << 31)),
        RedisArgument(failure.code), RedisArgument(message), RedisArgument(log),
        RedisArgument(JobRecord.maximumAttempts), RedisArgument(JobRecord.maximumCrashes),
      ])
  }

  @discardableResult
  public func release(_ id: JobID, fence: UInt64) async throws(JobQueueError) -> Bool {
    try await run(RedisJobScripts.release, Self.held(id, fence)).integer == 1
  }

  // MARK: People

  @discardableResult
  public func cancel(_ id: JobID) async throws(JobQueueError) -> JobRecord? {
    try await row(RedisJobScripts.cancel, [RedisArgument(id.description)])
  }

  @discardableResult
  public func retry(_ id: JobID) async throws(JobQueueError) -> JobRecord? {
    try await row(RedisJobScripts.retry, [RedisArgument(id.description)])
  }

  public func job(_ id: JobID) async throws(JobQueueError) -> JobRecord? {
    do throws(RedisError) {
      let key = RedisArgument(prefix.bytes + Array("job:\(id)".utf8))
      return try RedisJobRow.record(try await client.call(RedisCommand("HGETALL", key)))
    } catch {
      throw JobQueueError(error)
    }
  }

  public func jobs(
    _ filter: JobFilter, before: UInt64?, limit: Int
  ) async throws(JobQueueError) -> [JobRecord] {
    if let site = filter.site, let asset = filter.asset {
      return try await list("asset:\(site)/\(asset)", filter, before: before, limit: limit)
    }
    guard let states = filter.states else {
      return try await list("all", filter, before: before, limit: limit)
    }
    var found: [JobRecord] = []
    for state in states {
      found += try await list("state:\(state.rawValue)", filter, before: before, limit: limit)
    }
    return Array(found.sorted { $0.sequence > $1.sequence }.prefix(limit))
  }

  /// Those of one list that a filter shows.
  private func list(
    _ list: String, _ filter: JobFilter, before: UInt64?, limit: Int
  ) async throws(JobQueueError) -> [JobRecord] {
    var found: [JobRecord] = []
    var below = before.map { "(\($0)" } ?? "+inf"
    while found.count < limit {
      let page = try await rows(
        RedisJobScripts.list, [RedisArgument(list), RedisArgument(below), RedisArgument(100)])
      guard let last = page.last else { break }
      found += page.filter(filter.shows)
      below = "(\(last.sequence)"
    }
    return Array(found.prefix(limit))
  }

  public func figures() async throws(JobQueueError) -> JobQueueFigures {
    let parts = try await run(RedisJobScripts.figures, []).array ?? []
    func pairs(_ value: RedisValue?) -> [(name: String, number: String)] {
      let flat = value?.array ?? []
      return stride(from: 0, to: flat.count - 1, by: 2).map { (flat[$0].text ?? "", flat[$0 + 1].text ?? "") }
    }
    var figures = JobQueueFigures()
    for (name, number) in pairs(parts.first) {
      let words = name.split(separator: "/", maxSplits: 1)
      guard let state = words.first.flatMap({ UInt8($0) }).flatMap(JobState.init(rawValue:)),
        words.count == 2,
        let jobs = UInt64(number), jobs > 0
      else { continue }
      figures.counts.append(JobCount(kind: String(words[1]), state: state, jobs: jobs))
    }
    for (kind, time) in pairs(parts.last) { figures.nextMilliseconds[kind] = Int64(time) }
    return figures
  }

  /// Looks at up to 500 of each state a call, the oldest first.
  @discardableResult
  public func purge(olderThanMilliseconds age: Int64) async throws(JobQueueError) -> Int {
    let words = [RedisArgument(age), RedisArgument(500)]
    return Int(clamping: try await run(RedisJobScripts.purge, words).integer ?? 0)
  }

  // MARK: Steps

  private func run(_ script: RedisScript, _ arguments: [RedisArgument]) async throws(JobQueueError)
    -> RedisValue
  {
    do throws(RedisError) {
      return try await client.run(
        script, keys: [prefix], arguments: arguments + [RedisArgument(leaseMilliseconds)])
    } catch {
      throw JobQueueError(error)
    }
  }

  private func row(
    _ script: RedisScript, _ arguments: [RedisArgument]
  ) async throws(JobQueueError) -> JobRecord? {
    let value = try await run(script, arguments)
    do throws(RedisError) { return try RedisJobRow.record(value) } catch { throw JobQueueError(error) }
  }

  private func rows(
    _ script: RedisScript, _ arguments: [RedisArgument]
  ) async throws(JobQueueError) -> [JobRecord] {
    let value = try await run(script, arguments)
    do throws(RedisError) {
      var found: [JobRecord] = []
      for row in value.array ?? [] { if let record = try RedisJobRow.record(row) { found.append(record) } }
      return found
    } catch {
      throw JobQueueError(error)
    }
  }

  private func ending(
    _ script: RedisScript, _ arguments: [RedisArgument]
  ) async throws(JobQueueError) -> JobEnding {
    let parts = (try await run(script, arguments).array ?? []).map { $0.text ?? "" }
    switch parts.first {
    case "completed": return .completed
    case "cancelled" where parts.count >= 3: return .cancelled(JobError(code: parts[1], message: parts[2]))
    default: return .lost
    }
  }

  private static func held(_ id: JobID, _ fence: UInt64) -> [RedisArgument] {
    [RedisArgument(id.description), RedisArgument(fence)]
  }

  private static func standing(_ value: RedisValue) -> JobStanding {
    switch value.text {
    case "held": .held
    case "cancelled": .cancelled
    default: .lost
    }
  }
}

extension JobQueueError {
  init(_ error: RedisError) {
    if error.serverErrorName == "HWINVALID" {
      self.init(.invalid, String(error.detail.dropFirst("HWINVALID ".count)))
    } else {
      self.init(.unavailable, "\(error)")
    }
  }
}

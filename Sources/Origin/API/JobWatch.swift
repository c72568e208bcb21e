import Loop
import Store

/// What changes in a site's jobs, for a stream of events: each job that is alive at the first look, then each change of state,
/// progress or note, and the end of each that was seen alive. Progress is no part of the catalog's log, so it has no sequence, and what
/// happened while nobody looked is not told: `GET /api/v1/jobs` tells how things stand.
final class JobWatch {
  static let pollMilliseconds: UInt64 = 1000
  /// Living jobs that are looked at, the newest first.
  private static let most = 200

  private struct Seen: Equatable {
    var state: JobState
    var progressPermille: UInt16
    var note: String
    var attempt: UInt32

    init(_ job: JobRecord) {
      state = job.state
      progressPermille = job.progressPermille
      note = job.note
      attempt = job.attempt
    }
  }

  private let site: String
  private let queue: any JobQueue
  private let loop: EventLoop
  private var seen: [JobID: Seen] = [:]
  private var isLooking = false
  private var dueMilliseconds: UInt64 = 0
  /// Written and not yet taken.
  private var bytes: [UInt8] = []

  init(site: String, queue: any JobQueue, loop: EventLoop) {
    self.site = site
    self.queue = queue
    self.loop = loop
  }

  /// What was found by earlier looks. Begins another one when it is time.
  func take() -> [UInt8] {
    if !isLooking, bytes.isEmpty, loop.nowMilliseconds >= dueMilliseconds { look() }
    defer { bytes = [] }
    return bytes
  }

  private func look() {
    isLooking = true
    dueMilliseconds = loop.nowMilliseconds + Self.pollMilliseconds
    let (queue, site, known) = (queue, site, Array(seen.keys))
    let work: @Sendable () async -> [JobRecord]? = { await Self.jobs(of: site, in: queue, known) }
    let loop = loop
    let next = LoopBound({ (jobs: [JobRecord]?) in self.found(jobs) }, loop: loop)
    loop.beginWork()
    Task.immediate(executorPreference: loop) {
      let jobs = await work()
      next.value(jobs)
      loop.endWork()
    }
  }

  /// The living jobs, and how those have ended that were known and are not among them. Nil where the queue can't be asked.
  private static func jobs(
    of site: String, in queue: any JobQueue, _ known: [JobID]
  ) async -> [JobRecord]? {
    do throws(JobQueueError) {
      let filter = JobFilter(site: site, states: [.pending, .processing])
      var jobs = try await queue.jobs(filter, before: nil, limit: most)
      let living = Set(jobs.map(\.id))
      for id in known where !living.contains(id) {
        if let job = try await queue.job(id) { jobs.append(job) }
      }
      return jobs
    } catch { return nil }
  }

  private func found(_ jobs: [JobRecord]?) {
    isLooking = false
    guard let jobs else { return }
    var next: [JobID: Seen] = [:]
    for job in jobs.reversed() {
      let now = Seen(job)
      if job.state.isAlive { next[job.id] = now }
      if seen[job.id] != now { bytes += Self.text(of: job) }
    }
    seen = next
  }

  private static func text(of job: JobRecord) -> [UInt8] {
    var json = JSONWriter()
    JobsAPI.write(job, to: &json)
    return Array("event: job\ndata: ".utf8) + json.bytes + Array("\n\n".utf8)
  }
}

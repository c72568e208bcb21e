// Who gets which job, and who has lost one
// ----------------------------------------
// A claim first gives back what nobody works on any more, then lets in what has waited for a time, then chooses. Within one
// site the order is rank (see JobTables.swift). Between sites it is turn by turn: the site with the fewest jobs under way,
// and among equals the one whose last claim lies longest back. A site that brings ten thousand jobs thus delays another
// one's only job by those under way, not by ten thousand.
//
// Time is the wall clock, the only one that processes share. A clock that jumps ahead ends leases early, and then work is
// done twice, not wrongly: the fence sees to that. One that jumps back makes the leases of stopped processes last longer.

/// What a worker can do: jobs of a kind for a site.
public struct JobOffer: Sendable, Hashable {
  public var site: String
  public var kind: String

  public init(site: String, kind: String) {
    self.site = site
    self.kind = kind
  }
}

extension Store {
  private static let promotionsAtATime = 256

  /// Claims the next job of those that are on offer, or returns nil.
  ///
  /// Looks before it takes the write lock, so that asking again and again costs others nothing.
  public func claimJob(_ offers: Set<JobOffer>, owner: String) throws(StoreError) -> JobRecord? {
    guard !offers.isEmpty, try hasJobs(offers) else { return nil }
    return try index.write { (transaction) throws(StoreError) in
      let now = options.nowMilliseconds()
      try takeBack(transaction, nowMilliseconds: now)
      try promote(transaction, nowMilliseconds: now)
      guard let head = try choose(offers, transaction.view) else { return nil }
      guard var job = try? tables.jobs.job(transaction.view, head.id), job.state == .pending else {
        // The record cannot be read: scrub tells of it. It must not keep the others from being claimed.
        try transaction.delete(tables.jobs.ready, head.key.span.bytes)
        return nil
      }
      let old = job
      job.claim(owner: owner, nowMilliseconds: now)
      try tables.jobs.save(job, replacing: old, transaction)
      try takeTurn(job.site, transaction)
      return job
    }
  }

  /// Prolongs the lease and notes how far the work is.
  /// - Parameter note: what it is at, in a few words; cut at 256 bytes.
  public func heartbeat(
    _ id: JobID, fence: UInt64, progressPermille: UInt16, note: String
  ) throws(StoreError) -> JobStanding {
    try index.write { (transaction) throws(StoreError) in
      let now = options.nowMilliseconds()
      let (standing, job) = try standing(transaction.view, id, fence)
      guard standing == .held, var job else { return standing }
      let old = job
      job.beat(progressPermille: progressPermille, note: note, nowMilliseconds: now)
      try tables.jobs.save(job, replacing: old, transaction)
      return .held
    }
  }

  /// How a job stands, without a change: cheap enough to be asked several times a second.
  public func jobStanding(_ id: JobID, fence: UInt64) throws(StoreError) -> JobStanding {
    try index.read { (transaction) throws(StoreError) in try standing(transaction.view, id, fence).0 }
  }

  /// Gives a job back undone: the attempt does not count. For a worker that is to stop.
  /// - Returns: false where it is not this worker's any more.
  @discardableResult
  public func releaseJob(_ id: JobID, fence: UInt64) throws(StoreError) -> Bool {
    try index.write { (transaction) throws(StoreError) in
      let (standing, job) = try standing(transaction.view, id, fence)
      guard standing == .held, var job else { return false }
      let old = job
      job.release(nowMilliseconds: options.nowMilliseconds())
      try tables.jobs.save(job, replacing: old, transaction)
      return true
    }
  }

  // MARK: Inside the transaction

  func standing(
    _ view: IndexView, _ id: JobID, _ fence: UInt64
  ) throws(StoreError) -> (JobStanding, JobRecord?) {
    guard let job = try tables.jobs.job(view, id) else { return (.lost, nil) }
    return (job.standing(fence: fence), job)
  }

  private func hasJobs(_ offers: Set<JobOffer>) throws(StoreError) -> Bool {
    try index.read { (transaction) throws(StoreError) in
      let now = options.nowMilliseconds()
      if try choose(offers, transaction.view) != nil { return true }
      if try !due(tables.jobs.delayed, transaction.view, nowMilliseconds: now, limit: 1).isEmpty {
        return true
      }
      return try !abandoned(transaction.view, nowMilliseconds: now).isEmpty
    }
  }

  /// The best of the lines on offer.
  private func choose(_ offers: Set<JobOffer>, _ view: IndexView) throws(StoreError) -> ReadyHead? {
    let heads = try heads(view).filter { offers.contains(JobOffer(site: $0.site, kind: $0.kind)) }
    let sites = Set(heads.map(\.site))
    guard sites.count > 1 else { return heads.min { $0.rank < $1.rank } }
    var running: [String: Int] = [:]
    for id in try tables.jobs.ids(view, tables.jobs.leases) {
      if let job = try? tables.jobs.job(view, id) { running[job.site, default: 0] += 1 }
    }
    var turns: [String: UInt64] = [:]
    for site in sites { turns[site] = try turn(of: site, view) }
    return heads.min {
      (running[$0.site] ?? 0, turns[$0.site] ?? 0, $0.rank) < (
        running[$1.site] ?? 0, turns[$1.site] ?? 0, $1.rank
      )
    }
  }

  private func turn(of site: String, _ view: IndexView) throws(StoreError) -> UInt64 {
    try view.withValue(tables.jobs.turns, JobTables.prefix(site).span.bytes) { (value) throws(StoreError) in
      try CatalogTables.sequence(value)
    } ?? 0
  }

  private func takeTurn(_ site: String, _ transaction: borrowing WriteTransaction) throws(StoreError) {
    // Every site's turns come from one count, which lies under the name that no site has.
    let all = JobTables.prefix("")
    let next =
      try transaction.withValue(tables.jobs.turns, all.span.bytes) { (value) throws(StoreError) in
        try CatalogTables.sequence(value) &+ 1
      } ?? 1
    try transaction.put(tables.jobs.turns, all.span.bytes, JobTables.bytes(next))
    try transaction.put(tables.jobs.turns, JobTables.prefix(site).span.bytes, JobTables.bytes(next))
  }

  /// The ids in a table whose keys begin with a time that is past.
  private func due(
    _ table: Table, _ view: IndexView, nowMilliseconds now: Int64, limit: Int
  ) throws(StoreError) -> [JobID] {
    var found: [JobID] = []
    let end = JobTables.time(now)
    try view.scan(table, from: RawSpan()) { (key, value) throws(StoreError) in
      guard found.count < limit, key.count == 16, !end.lexicographicallyPrecedes(key[..<8]) else {
        return .stop
      }
      if let id = JobID(bytes: value) { found.append(id) }
      return .next
    }
    return found
  }

  /// Jobs under way whose lease has ended, or whose owner is dead.
  private func abandoned(_ view: IndexView, nowMilliseconds now: Int64) throws(StoreError) -> [JobID] {
    let expired = try due(tables.jobs.leases, view, nowMilliseconds: now, limit: .max)
    let isExpired = Set(expired)
    var found = expired
    for id in try tables.jobs.ids(view, tables.jobs.leases) where !isExpired.contains(id) {
      guard let job = try? tables.jobs.job(view, id) else { continue }
      if WorkerPresence.isDead(job.owner, incomingPath: blobs.incomingPath) { found.append(id) }
    }
    return found
  }

  private func takeBack(
    _ transaction: borrowing WriteTransaction, nowMilliseconds now: Int64
  ) throws(StoreError) {
    for id in try abandoned(transaction.view, nowMilliseconds: now) {
      guard var job = try? tables.jobs.job(transaction.view, id) else { continue }
      let old = job
      job.loseWorker(nowMilliseconds: now)
      if job.state == .failed, let reason = job.error {
        try end(old, as: .failed, reason, transaction, nowMilliseconds: now)
        continue
      }
      try tables.jobs.save(job, replacing: old, transaction)
    }
  }

  private func promote(
    _ transaction: borrowing WriteTransaction, nowMilliseconds now: Int64
  ) throws(StoreError) {
    let due = try due(
      tables.jobs.delayed, transaction.view, nowMilliseconds: now, limit: Store.promotionsAtATime)
    for id in due {
      guard var job = try? tables.jobs.job(transaction.view, id) else { continue }
      let old = job
      job.notBeforeMilliseconds = 0
      try tables.jobs.save(job, replacing: old, transaction)
    }
  }
}

/// Which jobs a list shows; what is nil does not matter.
public struct JobFilter: Sendable, Equatable {
  public var site: String?
  public var asset: String?
  public var kind: String?
  public var states: Set<JobState>?

  public init(
    site: String? = nil, asset: String? = nil, kind: String? = nil, states: Set<JobState>? = nil
  ) {
    self.site = site
    self.asset = asset
    self.kind = kind
    self.states = states
  }

  /// Whether a job is one of those.
  public func shows(_ job: JobRecord) -> Bool {
    (site == nil || job.site == site) && (asset == nil || job.asset == asset)
      && (kind == nil || job.kind == kind)
      && (states?.contains(job.state) ?? true)
  }
}

/// How many jobs of a kind are in a state.
public struct JobCount: Sendable, Equatable {
  public var kind: String
  public var state: JobState
  public var jobs: UInt64

  public init(kind: String, state: JobState, jobs: UInt64) {
    self.kind = kind
    self.state = state
    self.jobs = jobs
  }
}

// Jobs come in, and are looked at. How they are claimed stands in Store+JobClaims.swift, how they end in
// Store+JobEnds.swift, how old ones go in Store+JobUpkeep.swift.
extension Store {
  /// Adds jobs, all or none. One that exists already, in whatever state, stays as it is.
  ///
  /// A job whose dependency has failed or been cancelled is added as failed or cancelled. Throws `.invalid` for a broken
  /// limit, or a dependency that neither exists nor stands earlier in the list; `.full`; `.io`.
  /// - Returns: the jobs as they are now, in the order of the drafts.
  @discardableResult
  public func enqueue(_ drafts: [JobDraft]) throws(StoreError) -> [JobRecord] {
    for draft in drafts { try draft.check() }
    if drafts.isEmpty { return [] }
    return try index.write { (transaction) throws(StoreError) in
      try add(drafts, transaction, nowMilliseconds: options.nowMilliseconds())
    }
  }

  /// The part of `enqueue` that a job's follow-ups share. The drafts are checked.
  func add(
    _ drafts: [JobDraft], _ transaction: borrowing WriteTransaction, nowMilliseconds now: Int64
  ) throws(StoreError) -> [JobRecord] {
    var sequence = try tables.jobs.nextSequence(transaction.view)
    let first = sequence
    var ids: [JobID] = []
    for draft in drafts {
      let id = draft.id
      ids.append(id)
      if try tables.jobs.job(transaction.view, id) != nil { continue }
      if draft.supersedes { try supersede(by: draft, before: first, transaction, nowMilliseconds: now) }
      var job = JobRecord(draft, sequence: sequence, nowMilliseconds: now)
      sequence += 1
      try settleDependencies(of: &job, transaction.view)
      try tables.jobs.save(job, replacing: nil, transaction)
    }
    var records: [JobRecord] = []
    for id in ids {
      if let record = try tables.jobs.job(transaction.view, id) { records.append(record) }
    }
    return records
  }

  /// Counts what a pending job waits for, or ends it as what it waits for has ended.
  func settleDependencies(of job: inout JobRecord, _ view: IndexView) throws(StoreError) {
    job.unmetDependencies = 0
    for dependency in job.dependencies {
      guard let other = try tables.jobs.job(view, dependency) else {
        throw .invalid(
          "enqueue job", "a dependency is neither there nor earlier in the list: add it first",
          context: "\(dependency)")
      }
      switch other.state {
      case .completed: break
      case .pending, .processing: job.unmetDependencies += 1
      case .failed, .cancelled: job.end(asDependantOf: other)
      }
    }
  }

  /// Cancels the living jobs that a new one replaces, but for those that were added with it.
  private func supersede(
    by draft: JobDraft, before first: UInt64, _ transaction: borrowing WriteTransaction,
    nowMilliseconds: Int64
  ) throws(StoreError) {
    guard let asset = draft.asset else { return }
    let plugin = draft.kind.prefix { $0 != "." }
    let prefix = JobTables.prefix(draft.site, asset)
    for id in try tables.jobs.ids(transaction.view, tables.jobs.assets, prefix: prefix) {
      guard let job = try tables.jobs.job(transaction.view, id), job.state.isAlive, job.plugin == plugin,
        job.sequence < first
      else { continue }
      let reason = JobError(
        code: JobError.superseded, message: "The asset has changed, and newer work has taken its place.")
      try end(job, as: .cancelled, reason, transaction, nowMilliseconds: nowMilliseconds)
    }
  }

  // MARK: Looking

  /// A job, or nil where there is none of that id.
  public func job(_ id: JobID) throws(StoreError) -> JobRecord? {
    try index.read { (transaction) throws(StoreError) in try tables.jobs.job(transaction.view, id) }
  }

  /// Jobs, newest first.
  /// - Parameters:
  ///   - before: the `sequence` of the last job of the page before.
  ///   - limit: at most this many.
  public func jobs(
    _ filter: JobFilter = JobFilter(), before: UInt64? = nil, limit: Int
  ) throws(StoreError) -> [JobRecord] {
    guard limit > 0, before != 0 else { return [] }
    let last = before.map { $0 - 1 } ?? .max
    return try index.read { (transaction) throws(StoreError) in
      let view = transaction.view
      if let site = filter.site, let asset = filter.asset {
        guard (1...IndexKey.maximumSiteBytes).contains(site.utf8.count), AssetID.isValid(asset) else {
          return []
        }
        return try list(view, tables.jobs.assets, JobTables.prefix(site, asset), last, filter, limit)
      }
      guard let states = filter.states else {
        return try list(view, tables.jobs.order, [], last, filter, limit)
      }
      var found: [JobRecord] = []
      for state in states {
        found += try list(view, tables.jobs.states, [state.rawValue], last, filter, limit)
      }
      return Array(found.sorted { $0.sequence > $1.sequence }.prefix(limit))
    }
  }

  /// Jobs of a table whose keys are a prefix and then the sequence, newest first.
  private func list(
    _ view: IndexView, _ table: Table, _ prefix: [UInt8], _ last: UInt64, _ filter: JobFilter, _ limit: Int
  ) throws(StoreError) -> [JobRecord] {
    var found: [JobRecord] = []
    let start = prefix + JobTables.bytes(last)
    try view.scan(table, from: start.span.bytes, .descending) { (key, value) throws(StoreError) in
      guard key.starts(with: prefix), found.count < limit else { return .stop }
      guard let id = JobID(bytes: value), let job = try tables.jobs.job(view, id) else { return .next }
      if filter.shows(job) { found.append(job) }
      return .next
    }
    return found
  }

  /// How many jobs there are, by kind and state. No scan.
  public func jobCounts() throws(StoreError) -> [JobCount] {
    try index.read { (transaction) throws(StoreError) in
      var found: [JobCount] = []
      try transaction.scan(tables.jobs.counts, from: RawSpan()) { (key, value) throws(StoreError) in
        guard let state = key.first.flatMap(JobState.init(rawValue:)) else { return .next }
        let kind = String(decoding: key.dropFirst(), as: UTF8.self)
        found.append(JobCount(kind: kind, state: state, jobs: try CatalogTables.sequence(value)))
        return .next
      }
      return found
    }
  }

  /// For each kind with jobs that are ready, when the one that is next was added. One look for each site and kind.
  public func nextJobTimes() throws(StoreError) -> [String: Int64] {
    try index.read { (transaction) throws(StoreError) in
      var oldest: [String: Int64] = [:]
      for head in try heads(transaction.view) {
        guard let job = try tables.jobs.job(transaction.view, head.id) else { continue }
        oldest[head.kind] = min(oldest[head.kind] ?? .max, job.createdMilliseconds)
      }
      return oldest
    }
  }

  /// The job that is next in one of the lines, of which each site has one for each kind.
  struct ReadyHead {
    var site: String
    var kind: String
    var rank: UInt64
    var id: JobID
    var key: [UInt8]
  }

  /// The heads of all lines that have jobs.
  func heads(_ view: IndexView) throws(StoreError) -> [ReadyHead] {
    var found: [ReadyHead] = []
    var start: [UInt8] = []
    while true {
      var next: ReadyHead?
      try view.scan(tables.jobs.ready, from: start.span.bytes) { (key, value) throws(StoreError) in
        next = ReadyHead(key, value)
        // A key that nobody can have written is stepped over.
        return next == nil ? .next : .stop
      }
      guard let head = next else { return found }
      found.append(head)
      start = JobTables.prefix(head.site, head.kind) + [UInt8](repeating: 0xff, count: 17)
    }
  }
}

extension Store.ReadyHead {
  fileprivate init?(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    guard let siteCount = key.first.map(Int.init), key.count > siteCount + 1 else { return nil }
    let kindCount = Int(key[siteCount + 1])
    let end = siteCount + kindCount + 2
    guard key.count == end + 16, let id = JobID(bytes: value) else { return nil }
    site = String(decoding: key[1...siteCount], as: UTF8.self)
    kind = String(decoding: key[(siteCount + 2)..<end], as: UTF8.self)
    rank = UInt64(bigEndian: key.loadUnaligned(fromByteOffset: end, as: UInt64.self))
    self.id = id
    self.key = Array(key)
  }
}

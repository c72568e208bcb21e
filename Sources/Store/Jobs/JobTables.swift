// The tables of the job queue
// ---------------------------
// `site` and `kind` are their length in one byte and then their bytes; numbers are big-endian.
//
//   jobs              id                                JobRecord: the truth; all below follows from it
//   jobs.order        sequence                          id       every job, by age
//   jobs.states       state, sequence                   id       every job
//   jobs.assets       site, asset, sequence             id       those that are for an asset
//   jobs.ready        site, kind, rank, sequence        id       pending, and nothing keeps it waiting
//   jobs.delayed      not before, sequence              id       pending, and waits for a time
//   jobs.leases       lease until, sequence             id       processing
//   jobs.dependants   dependency, dependant             nothing  both are ids
//   jobs.counts       state, kind                       number of jobs, 8 bytes
//   jobs.turns        site                              turn of its last claim, 8 bytes
//
// A change of a job writes its record and moves its entries in one transaction, together with whatever the change brings
// about (a rendition, a follow-up, a dependant that is ready now). After any crash there is thus one state of each job and
// entries that agree with it. A job that waits for others, or for ever, stands in no queue.
//
// Rank is the time of its making plus a minute for each step of priority. All jobs age alike, so this order of theirs never
// changes and needs no keeping: an old job of low priority passes the young ones of high priority by standing still.
//
// All but `jobs` and `jobs.turns` can be made again from `jobs`, and are where their number differs from that of the records:
// a mended index has the records only.

/// How jobs are found, and how a change of one moves its entries. All of it works in the transaction that it is given.
struct JobTables: Sendable {
  /// What a step of priority is worth in waiting.
  static let priorityStepMilliseconds: Int64 = 60_000

  let jobs: Table
  let order: Table
  let states: Table
  let assets: Table
  let ready: Table
  let delayed: Table
  let leases: Table
  let dependants: Table
  let counts: Table
  let turns: Table

  /// Opens the tables, making them in a new index, and makes the derived ones again where they are not whole.
  init(_ transaction: borrowing WriteTransaction) throws(StoreError) {
    jobs = try transaction.openTable("jobs")
    order = try transaction.openTable("jobs.order")
    states = try transaction.openTable("jobs.states")
    assets = try transaction.openTable("jobs.assets")
    ready = try transaction.openTable("jobs.ready")
    delayed = try transaction.openTable("jobs.delayed")
    leases = try transaction.openTable("jobs.leases")
    dependants = try transaction.openTable("jobs.dependants")
    counts = try transaction.openTable("jobs.counts")
    turns = try transaction.openTable("jobs.turns")
    if try transaction.view.count(jobs) != transaction.view.count(order) { try remake(transaction) }
  }

  private var derived: [Table] { [order, states, assets, ready, delayed, leases, dependants, counts] }

  // MARK: Reading

  func job(_ view: IndexView, _ id: JobID) throws(StoreError) -> JobRecord? {
    try view.withValue(jobs, id.bytes.span.bytes) { (value) throws(StoreError) in
      try JobRecord(decoding: value)
    }
  }

  /// The ids that a table lists under keys that begin with a prefix, in order; `limit` of them at most.
  func ids(
    _ view: IndexView, _ table: Table, prefix: [UInt8] = [], limit: Int = .max
  ) throws(StoreError) -> [JobID] {
    var found: [JobID] = []
    guard limit > 0 else { return found }
    try view.scan(table, from: prefix.span.bytes) { (key, value) throws(StoreError) in
      guard key.starts(with: prefix) else { return .stop }
      if let id = JobID(bytes: value) { found.append(id) }
      return found.count < limit ? .next : .stop
    }
    return found
  }

  /// Who waits for a job, whatever state they are in.
  func dependants(of id: JobID, _ view: IndexView) throws(StoreError) -> [JobID] {
    let prefix = id.bytes
    var found: [JobID] = []
    try view.scan(dependants, from: prefix.span.bytes) { (key, _) throws(StoreError) in
      guard key.starts(with: prefix) else { return .stop }
      if let id = JobID(bytes: UnsafeRawBufferPointer(rebasing: key[prefix.count...])) { found.append(id) }
      return .next
    }
    return found
  }

  func nextSequence(_ view: IndexView) throws(StoreError) -> UInt64 {
    var last: UInt64 = 0
    try view.scan(order, from: RawSpan(), .descending) { (key, _) throws(StoreError) in
      last = try CatalogTables.sequence(key)
      return .stop
    }
    return last &+ 1
  }

  // MARK: Writing

  /// Writes a record and moves its entries from where those of `old` stand.
  func save(
    _ new: JobRecord, replacing old: JobRecord?, _ transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    try transaction.put(jobs, new.id.bytes.span.bytes, new.encode())
    let before = old.map { entries(of: $0) } ?? []
    let after = entries(of: new)
    for entry in before where !after.contains(entry) {
      try transaction.delete(entry.table, entry.key.span.bytes)
    }
    for entry in after where !before.contains(entry) {
      try transaction.put(entry.table, entry.key.span.bytes, new.id.bytes)
    }
    if old == nil {
      for dependency in new.dependencies {
        try transaction.put(dependants, (dependency.bytes + new.id.bytes).span.bytes, [])
      }
    }
    if old?.state != new.state {
      if let old { try count(old, -1, transaction) }
      try count(new, 1, transaction)
    }
  }

  /// Removes a record and its entries.
  func remove(_ record: JobRecord, _ transaction: borrowing WriteTransaction) throws(StoreError) {
    try transaction.delete(jobs, record.id.bytes.span.bytes)
    for entry in entries(of: record) { try transaction.delete(entry.table, entry.key.span.bytes) }
    for dependency in record.dependencies {
      try transaction.delete(dependants, (dependency.bytes + record.id.bytes).span.bytes)
    }
    try count(record, -1, transaction)
  }

  struct Entry: Hashable {
    var table: Table
    var key: [UInt8]
  }

  /// Where a job stands: a function of its record alone.
  func entries(of job: JobRecord) -> [Entry] {
    let sequence = JobTables.bytes(job.sequence)
    var found = [
      Entry(table: order, key: sequence), Entry(table: states, key: [job.state.rawValue] + sequence),
    ]
    if let asset = job.asset {
      found.append(Entry(table: assets, key: JobTables.prefix(job.site, asset) + sequence))
    }
    switch job.state {
    case .pending where job.unmetDependencies > 0: break
    case .pending where job.notBeforeMilliseconds > 0:
      found.append(Entry(table: delayed, key: JobTables.time(job.notBeforeMilliseconds) + sequence))
    case .pending:
      let key = JobTables.prefix(job.site, job.kind) + JobTables.time(JobTables.rank(of: job)) + sequence
      found.append(Entry(table: ready, key: key))
    case .processing:
      found.append(Entry(table: leases, key: JobTables.time(job.leaseUntilMilliseconds) + sequence))
    case .completed, .failed, .cancelled: break
    }
    return found
  }

  static func rank(of job: JobRecord) -> Int64 {
    let (rank, overflow) = job.createdMilliseconds.addingReportingOverflow(
      Int64(job.priority) * priorityStepMilliseconds)
    return overflow ? .max : max(0, rank)
  }

  private func count(
    _ job: JobRecord, _ change: Int64, _ transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    let key = [job.state.rawValue] + Array(job.kind.utf8)
    let before = try transaction.withValue(counts, key.span.bytes) { (value) throws(StoreError) in
      try CatalogTables.sequence(value)
    }
    let now = Int64(clamping: before ?? 0) + change
    if now > 0 {
      try transaction.put(counts, key.span.bytes, JobTables.bytes(UInt64(now)))
    } else {
      try transaction.delete(counts, key.span.bytes)
    }
  }

  /// Makes the derived tables again. Records that cannot be read are left to scrub.
  private func remake(_ transaction: borrowing WriteTransaction) throws(StoreError) {
    for table in derived { try transaction.clear(table) }
    var ids: [JobID] = []
    try transaction.scan(jobs, from: RawSpan()) { (key, _) throws(StoreError) in
      if let id = JobID(bytes: key) { ids.append(id) }
      return .next
    }
    for id in ids {
      // As if it were new; the record itself is written as it was.
      guard let record = try? job(transaction.view, id) else { continue }
      try save(record, replacing: nil, transaction)
    }
  }

  // MARK: Parts of keys

  static func bytes(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }

  static func time(_ milliseconds: Int64) -> [UInt8] { bytes(UInt64(max(0, milliseconds))) }

  /// Two names with their lengths, each up to 64 bytes.
  static func prefix(_ site: String, _ name: String) -> [UInt8] {
    prefix(site) + prefix(name)
  }

  static func prefix(_ name: String) -> [UInt8] {
    [UInt8(truncatingIfNeeded: name.utf8.count)] + Array(name.utf8)
  }
}

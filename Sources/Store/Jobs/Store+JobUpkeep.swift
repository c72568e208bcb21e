extension Store {
  /// Removes jobs that ended longer ago than an age, the dead letters among them; returns how many.
  ///
  /// What a job that stays waits for, or may need for a retry, stays. Looks at up to `limit` of each state a call, so that no
  /// transaction grows without bound. Its ends follow its beginnings closely enough that the oldest come first.
  @discardableResult
  public func purgeJobs(olderThanMilliseconds age: Int64, limit: Int = 5_000) throws(StoreError) -> Int {
    let now = options.nowMilliseconds()
    // Looked at first without the lock: most of the time there is nothing to remove.
    let old = try index.read { (transaction) throws(StoreError) in
      try ended(transaction.view, nowMilliseconds: now, age, limit)
    }
    if old.isEmpty { return 0 }
    return try index.write { (transaction) throws(StoreError) in
      var removed = 0
      for id in old {
        guard let job = try? tables.jobs.job(transaction.view, id),
          isOld(job, nowMilliseconds: now, age), try !isNeeded(id, transaction.view)
        else { continue }
        try tables.jobs.remove(job, transaction)
        removed += 1
      }
      return removed
    }
  }

  private func ended(
    _ view: IndexView, nowMilliseconds now: Int64, _ age: Int64, _ limit: Int
  ) throws(StoreError) -> [JobID] {
    var found: [JobID] = []
    // Dependants are younger than what they wait for and go first.
    for state in JobState.allCases where !state.isAlive {
      let ids = try tables.jobs.ids(view, tables.jobs.states, prefix: [state.rawValue], limit: limit)
      for id in ids {
        guard let job = try? tables.jobs.job(view, id), isOld(job, nowMilliseconds: now, age) else {
          continue
        }
        if try !isNeeded(id, view) { found.append(id) }
      }
    }
    return found
  }

  private func isOld(_ job: JobRecord, nowMilliseconds now: Int64, _ age: Int64) -> Bool {
    let (elapsed, overflow) = now.subtractingReportingOverflow(job.updatedMilliseconds)
    return !job.state.isAlive && !overflow && elapsed > age
  }

  /// Whether a job that is alive, or could be retried, waits for this one.
  func isNeeded(_ id: JobID, _ view: IndexView) throws(StoreError) -> Bool {
    try tables.jobs.hasDependant(of: id, in: [.pending, .processing, .failed, .cancelled], view)
  }
}

extension JobTables {
  func hasDependant(of id: JobID, in states: Set<JobState>, _ view: IndexView) throws(StoreError) -> Bool {
    for dependant in try dependants(of: id, view) {
      guard let job = try? job(view, dependant) else { continue }
      if states.contains(job.state) { return true }
    }
    return false
  }
}

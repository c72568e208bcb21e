extension Store {
  /// Makes a consumer known, at the newest event, and returns its cursor; a known one keeps the cursor it has.
  ///
  /// Events that a known consumer has not passed are never trimmed: remove consumers that are gone.
  @discardableResult
  public func registerConsumer(_ consumer: String) throws(StoreError) -> UInt64 {
    try index.write { (transaction) throws(StoreError) in
      if let known = try tables.cursor(transaction.view, consumer) { return known }
      let head = try tables.eventsHead(transaction.view)
      try tables.setCursor(transaction, consumer, head)
      return head
    }
  }

  /// Sequence of the last event a consumer has dealt with; 0 for one that is not known, which thus sees all events
  /// that are kept.
  public func cursor(for consumer: String) throws(StoreError) -> UInt64 {
    try index.read { (transaction) throws(StoreError) in
      try tables.cursor(transaction.view, consumer) ?? 0
    }
  }

  /// Notes durably that a consumer has dealt with all events up to a sequence. A cursor never goes back: a lower
  /// sequence changes nothing. Throws `.invalid` for one past the newest event.
  public func advance(consumer: String, to sequence: UInt64) throws(StoreError) {
    try index.write { (transaction) throws(StoreError) in
      guard try sequence <= tables.eventsHead(transaction.view) else {
        throw .invalid("move cursor", "no event has this sequence yet")
      }
      if let known = try tables.cursor(transaction.view, consumer), known >= sequence { return }
      try tables.setCursor(transaction, consumer, sequence)
    }
  }

  /// Forgets a consumer; `false` where it was not known.
  @discardableResult
  public func removeConsumer(_ consumer: String) throws(StoreError) -> Bool {
    try index.write { (transaction) throws(StoreError) in
      var key = IndexKey()
      guard key.set(consumer), !consumer.isEmpty else { return false }
      return try transaction.delete(tables.cursors, key.bytes)
    }
  }

  /// Up to `limit` events after a sequence, oldest first.
  public func events(after sequence: UInt64, limit: Int) throws(StoreError) -> [Event] {
    try index.read { (transaction) throws(StoreError) in
      try tables.events(transaction.view, after: sequence, limit: limit)
    }
  }

  /// Removes events that every known consumer has passed and that are older than an age; returns how many.
  ///
  /// The newest event stays. Removes at most `limit` a call, so that no transaction grows without bound.
  @discardableResult
  public func trimEvents(olderThanMilliseconds age: Int64, limit: Int = 10_000) throws(StoreError) -> Int {
    let now = options.nowMilliseconds()
    return try index.write { (transaction) throws(StoreError) in
      let head = try tables.eventsHead(transaction.view)
      let passed = try min(tables.leastCursor(transaction.view) ?? .max, head == 0 ? 0 : head - 1)
      var old: [UInt64] = []
      for event in try tables.events(transaction.view, after: 0, limit: limit) {
        let (elapsed, overflow) = now.subtractingReportingOverflow(event.atMilliseconds)
        guard event.sequence <= passed, !overflow, elapsed > age else { break }
        old.append(event.sequence)
      }
      var key = IndexKey()
      for sequence in old {
        key.set(sequence)
        try transaction.delete(tables.events, key.bytes)
      }
      return old.count
    }
  }
}

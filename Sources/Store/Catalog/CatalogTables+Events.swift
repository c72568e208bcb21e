// The event log
// -------------
// An event is written in the transaction of the change it tells of: neither exists without the other. Sequences grow
// by one. A consumer keeps, in the index, the sequence of the last event it has dealt with; what lies between that and
// the head it gets again after a crash, so a consumer sees every event at least once. Trimming removes events that every
// known consumer has passed and that are old enough; the newest event always stays, because the next sequence is
// counted from it.
extension CatalogTables {
  /// Sequence of the newest event, 0 before the first.
  func eventsHead(_ view: IndexView) throws(StoreError) -> UInt64 {
    var head: UInt64 = 0
    try view.scan(events, from: RawSpan(), .descending) {
      (key, _) throws(StoreError) in
      head = try CatalogTables.sequence(key)
      return .stop
    }
    return head
  }

  func append(
    _ transaction: borrowing WriteTransaction, atMilliseconds: Int64, _ kind: EventKind, site: String,
    subject: String, generation: Generation? = nil, previous: Generation? = nil
  ) throws(StoreError) {
    let event = Event(
      sequence: try eventsHead(transaction.view) + 1, atMilliseconds: atMilliseconds, kind: kind, site: site,
      subject: subject, generation: generation, previous: previous)
    var key = IndexKey()
    key.set(event.sequence)
    try transaction.put(events, key.bytes, event.encode())
  }

  /// Up to `limit` events after a sequence, oldest first.
  func events(_ view: IndexView, after sequence: UInt64, limit: Int) throws(StoreError) -> [Event] {
    guard limit > 0, sequence < .max else { return [] }
    var key = IndexKey()
    key.set(sequence + 1)
    var found: [Event] = []
    try view.scan(events, from: key.bytes) { (_, value) throws(StoreError) in
      found.append(try Event(decoding: value))
      return found.count < limit ? .next : .stop
    }
    return found
  }

  func cursor(_ view: IndexView, _ consumer: String) throws(StoreError) -> UInt64? {
    var key = IndexKey()
    guard key.set(consumer), !consumer.isEmpty else {
      throw .invalid("read cursor", "a consumer's name has 1 to 511 bytes")
    }
    return try view.withValue(cursors, key.bytes) { (value) throws(StoreError) in
      try CatalogTables.sequence(value)
    }
  }

  func setCursor(
    _ transaction: borrowing WriteTransaction, _ consumer: String, _ sequence: UInt64
  ) throws(StoreError) {
    var key = IndexKey()
    guard key.set(consumer), !consumer.isEmpty else {
      throw .invalid("move cursor", "a consumer's name has 1 to 511 bytes")
    }
    let value = withUnsafeBytes(of: sequence.bigEndian) { Array($0) }
    try transaction.put(cursors, key.bytes, value)
  }

  /// The least cursor of all consumers; `nil` where there is none.
  func leastCursor(_ view: IndexView) throws(StoreError) -> UInt64? {
    var least: UInt64?
    try view.scan(cursors, from: RawSpan()) {
      (_, value) throws(StoreError) in
      least = min(least ?? .max, try CatalogTables.sequence(value))
      return .next
    }
    return least
  }

  static func sequence(_ bytes: UnsafeRawBufferPointer) throws(StoreError) -> UInt64 {
    guard bytes.count == 8 else { throw .damagedRecord("sequence") }
    return UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
  }
}

import Origin

/// What one process knows of videos, within a budget of bytes.
///
/// A value without a clock and without a lock: each call says the time, in milliseconds of one monotonic clock.
struct MetadataMemory: Sendable {
  /// What is known of one video.
  struct Entry: Sendable {
    /// Nil: the source does not know the video.
    var facts: VideoFacts?
    /// Until then nobody needs to be asked.
    var freshUntil: UInt64
    /// Until then it is used while somebody is asked.
    var usableUntil: UInt64
    /// Until then it is used where nobody answers.
    var staleUntil: UInt64
    fileprivate var lastUse: UInt64 = 0

    init(facts: VideoFacts?, freshUntil: UInt64, usableUntil: UInt64, staleUntil: UInt64) {
      self.facts = facts
      self.freshUntil = freshUntil
      self.usableUntil = usableUntil
      self.staleUntil = staleUntil
    }

    /// Of the value, its id and what the table needs.
    fileprivate func costBytes(_ id: String) -> Int { 256 + id.utf8.count + (facts?.json.count ?? 0) }
  }

  let budgetBytes: Int
  private(set) var usedBytes = 0
  private var entries: [String: Entry] = [:]
  private var clock: UInt64 = 0

  init(budgetBytes: Int) { self.budgetBytes = budgetBytes }

  var count: Int { entries.count }

  subscript(id: String) -> Entry? {
    mutating get {
      guard let index = entries.index(forKey: id) else { return nil }
      clock += 1
      entries.values[index].lastUse = clock
      return entries.values[index]
    }
    set {
      if let old = entries.removeValue(forKey: id) { usedBytes -= old.costBytes(id) }
      guard var new = newValue else { return }
      let cost = new.costBytes(id)
      guard cost <= budgetBytes / 4 else { return }
      while usedBytes + cost > budgetBytes, !entries.isEmpty { dropOldest() }
      clock += 1
      new.lastUse = clock
      entries[id] = new
      usedBytes += cost
    }
  }

  /// Has everything asked for again, and used meanwhile.
  mutating func age() {
    for index in entries.values.indices { entries.values[index].freshUntil = 0 }
  }

  /// The oldest half goes, so that the search for what is oldest pays.
  private mutating func dropOldest() {
    let uses = entries.values.map(\.lastUse).sorted()
    guard !uses.isEmpty else { return }
    let middle = uses[uses.count / 2]
    entries = entries.filter { $0.value.lastUse > middle }
    usedBytes = entries.reduce(0) { $0 + $1.value.costBytes($1.key) }
  }
}

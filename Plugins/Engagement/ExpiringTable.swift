/// A dictionary whose entries end by themselves, and which never holds more than its limit: the ones that were set longest ago go
/// first.
///
/// All entries live equally long. Setting and looking up cost O(1) on average: what has ended is removed from the front of the
/// order in which entries were set, a few at each change.
struct ExpiringTable<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private struct Entry {
    var value: Value
    var setAt: Int64
    /// Which of the marks in `order` is this entry's newest.
    var mark: UInt64
  }

  private let lifetimeMilliseconds: Int64
  private let limit: Int
  private var entries: [Key: Entry] = [:]
  /// Each setting, the oldest at `first`; marks of entries that were set again since are stale.
  private var order: [(key: Key, mark: UInt64)] = []
  private var first = 0
  private var nextMark: UInt64 = 0

  init(lifetimeMilliseconds: Int64, limit: Int) {
    self.lifetimeMilliseconds = lifetimeMilliseconds
    self.limit = limit
  }

  /// Entries, among them some that have ended and were not removed yet.
  var count: Int { entries.count }

  func value(_ key: Key, at now: Int64) -> Value? {
    guard let entry = entries[key], now - entry.setAt < lifetimeMilliseconds else { return nil }
    return entry.value
  }

  /// Sets a value, whose life begins now.
  mutating func set(_ key: Key, _ value: Value, at now: Int64) {
    nextMark += 1
    entries[key] = Entry(value: value, setAt: now, mark: nextMark)
    order.append((key, nextMark))
    trim(at: now)
  }

  mutating func remove(_ key: Key) { entries[key] = nil }

  /// The keys that live, in no order.
  func keys(at now: Int64) -> [Key] {
    entries.filter { now - $0.value.setAt < lifetimeMilliseconds }.map(\.key)
  }

  /// Removes what has ended.
  mutating func trim(at now: Int64) {
    while first < order.count {
      let (key, mark) = order[first]
      if let entry = entries[key], entry.mark == mark {
        guard now - entry.setAt >= lifetimeMilliseconds || entries.count > limit else { break }
        entries[key] = nil
      }
      first += 1
    }
    // Half of it is gone: what is left moves to the front.
    if first > 64, first * 2 > order.count {
      order.removeFirst(first)
      first = 0
    }
  }
}

// Answers that were made lately, by site and path.
//
// A representation is a pure function of site, path and catalog. The table is emptied whenever the
// catalog's transaction id has moved, whoever moved it: what another process commits is seen by the
// next request. Entries that age on their own (a replaced generation in its grace time) say until
// when they hold. One table per loop, so there is no lock; a budget in bytes and in open blobs bounds
// it, and the oldest half goes when it is reached.

import Glibc

struct HotTable {
  private struct Entry {
    let path: [UInt8]
    let site: Int
    var representation: Representation
    var lastUse: UInt32
    var uses: UInt32 = 0
    /// Bytes of memory files that the representation holds.
    var assembledBytes = 0
  }

  private var entries: [Int: Entry] = [:]
  private(set) var transaction: UInt64 = 0
  private var costBytes = 0
  private var assembledBytes = 0
  private var useClock: UInt32 = 0
  let budgetBytes: Int
  let budgetEntries: Int

  /// For assembled segments; 0 turns assembling off.
  var assemblyBudgetBytes: Int
  /// Paths whose answers cost a worker's time and were made once; see `isMadeAgain`.
  private var madeOnce: Set<Int> = []
  /// A representation that was asked for again and would be sent faster in one piece.
  private(set) var wish: Wish?

  struct Wish {
    fileprivate let key: Int
    let representation: Representation
  }

  init(budgetBytes: Int = 32 << 20, budgetEntries: Int = 4096, assemblyBudgetBytes: Int = 0) {
    self.budgetBytes = budgetBytes
    self.budgetEntries = budgetEntries
    self.assemblyBudgetBytes = assemblyBudgetBytes
  }

  /// Forgets everything if the catalog has changed since the last call. Returns true if it did.
  mutating func follow(_ transaction: UInt64) -> Bool {
    if transaction == self.transaction { return false }
    self.transaction = transaction
    removeAll()
    return true
  }

  mutating func removeAll() {
    entries.removeAll(keepingCapacity: true)
    costBytes = 0
    assembledBytes = 0
    wish = nil
    madeOnce.removeAll(keepingCapacity: true)
  }

  /// The answer for a path of a site, if it was made since the catalog last changed.
  mutating func representation(site: Int, path: Span<UInt8>, nowSeconds: Int64) -> Representation? {
    let key = Self.key(site: site, path: path)
    guard let index = entries.index(forKey: key) else { return nil }
    let entry = entries.values[index]
    guard entry.site == site, Self.equal(entry.path, path) else { return nil }
    if let until = entry.representation.validUntilSeconds, until <= nowSeconds {
      costBytes -= entry.representation.costBytes
      assembledBytes -= entry.assembledBytes
      entries.remove(at: index)
      return nil
    }
    useClock &+= 1
    entries.values[index].lastUse = useClock
    entries.values[index].uses &+= 1
    if entry.uses == 0, assemblyBudgetBytes > 0, Assembly.pays(entry.representation) {
      wish = Wish(key: key, representation: entry.representation)
    }
    return entry.representation
  }

  mutating func takeWish() -> Wish? {
    defer { wish = nil }
    return wish
  }

  /// Whether the path's answer was made before and not kept, so that it is worth keeping now. Notes that it is made.
  ///
  /// Always false where segments are not assembled.
  mutating func isMadeAgain(site: Int, path: [UInt8]) -> Bool {
    guard assemblyBudgetBytes > 0 else { return false }
    if madeOnce.count >= budgetEntries { madeOnce.removeAll(keepingCapacity: true) }
    return !madeOnce.insert(Self.key(site: site, path: path.span)).inserted
  }

  /// Puts in an answer of owned bytes until its assembled form takes their place; nil where it is too large.
  mutating func insertForAssembly(_ representation: Representation, site: Int, path: [UInt8]) -> Wish? {
    guard representation.lengthBytes <= Assembly.maximumBytes else { return nil }
    insert(representation, site: site, path: path)
    return Wish(key: Self.key(site: site, path: path.span), representation: representation)
  }

  /// Puts the assembled form in the place of what was wished for, if that is still there.
  mutating func fulfil(_ wish: Wish, with assembled: Representation) {
    let bytes = Int(assembled.lengthBytes)
    guard bytes <= assemblyBudgetBytes / 4 else { return }
    while assembledBytes + bytes > assemblyBudgetBytes, assembledBytes > 0 { dropOldest() }
    guard let index = entries.index(forKey: wish.key),
      entries.values[index].representation === wish.representation
    else { return }
    costBytes += assembled.costBytes - wish.representation.costBytes
    entries.values[index].representation = assembled
    entries.values[index].assembledBytes = bytes
    assembledBytes += bytes
  }

  mutating func insert(_ representation: Representation, site: Int, path: [UInt8]) {
    let cost = representation.costBytes
    guard cost <= budgetBytes / 4 else { return }
    while !entries.isEmpty, entries.count >= budgetEntries || costBytes + cost > budgetBytes { dropOldest() }
    useClock &+= 1
    let key = Self.key(site: site, path: path.span)
    if let old = entries.updateValue(
      Entry(path: path, site: site, representation: representation, lastUse: useClock), forKey: key)
    {
      costBytes -= old.representation.costBytes
      assembledBytes -= old.assembledBytes
    }
    costBytes += cost
  }

  private mutating func dropOldest() {
    let uses = entries.values.map(\.lastUse).sorted()
    guard let middle = uses.isEmpty ? nil : uses[uses.count / 2] else { return }
    entries = entries.filter { $0.value.lastUse > middle }
    costBytes = entries.values.reduce(0) { $0 + $1.representation.costBytes }
    assembledBytes = entries.values.reduce(0) { $0 + $1.assembledBytes }
  }

  private static func key(site: Int, path: Span<UInt8>) -> Int {
    var hasher = Hasher()
    hasher.combine(site)
    path.withUnsafeBytes { hasher.combine(bytes: $0) }
    return hasher.finalize()
  }

  private static func equal(_ left: [UInt8], _ right: Span<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    let left = left.span
    return left.withUnsafeBytes { a in
      right.withUnsafeBytes { b in
        guard let a = a.baseAddress, let b = b.baseAddress else { return true }
        return memcmp(a, b, left.count) == 0
      }
    }
  }
}

// What is owed to each edge
// -------------------------
// Two tables in the store's index. `site` and `edge` are their length in one byte and then their bytes; numbers are big-endian.
//
//   cdn.tasks    site, edge, lane (1 byte), sequence (8 bytes)    the entry, below
//   cdn.places   site, edge, 16 bytes of the task's SHA-256       lane and sequence of the entry for that task
//                site, edge                                       the last sequence given
//                site, edge, 0                                    standing of the edge, as text
//                site, edge, 1                                    what its vendor told of its traffic (`TrafficReport`)
//                site, edge, 2                                    why the vendor does not tell, as text
//                site, edge, 3                                    how many segments of removed assets were not listed (8 bytes)
//
//   entry        "1" version since queued attempts task error, with tabs between
//
// A queue is a set of tasks in the order in which they came. The same task again does not come twice: the entry keeps its place and
// gets another version. What was sent is settled by version, so that a change which comes while its purge is on the way is
// purged again. All a purge says is "forget", so that one purge after the last change is worth as much as one for
// each; that is why a set is enough, and why a busy asset can't fill the disk.
//
// An entry is written before the cursor of the event log passes its event, and removed when the edge has acknowledged it. A crash
// between the two brings the event or the purge again; no crash loses one. Several processes may use a queue at a time:
// then an edge hears a purge twice.
//
// Lanes: what is to be forgotten does not wait behind what is to be fetched; what an edge has refused (failed) waits for a person.
// A warming waits until its edge has no older purge.
//
// A mended index may have lost entries of either table: a place without entry is none, an entry without place is sent and removed.

public import Store

/// The tasks of a site's edges, in the store.
///
/// Every call blocks: not on a loop.
public struct EdgeQueue: Sendable {
  public enum Lane: UInt8, Sendable, CaseIterable {
    case purge = 1
    case warm = 2
    case failed = 3
  }

  public struct Entry: Sendable, Equatable {
    public var edge: String
    public var lane: Lane
    public var sequence: UInt64
    /// Grows when the task comes again.
    public var version: UInt64
    /// When it came first, and last, milliseconds since 1970.
    public var sinceMilliseconds: Int64
    public var queuedMilliseconds: Int64
    /// How often it was tried in vain.
    public var attempts: UInt32
    public var task: EdgeTask
    /// What the edge said last; may be empty.
    public var error: String
  }

  /// What sending entries has come to.
  public struct Settlement: Sendable {
    public var done: [Entry] = []
    /// To be tried again.
    public var tried: [(entry: Entry, error: String)] = []
    /// Not to be tried again by itself.
    public var refused: [(entry: Entry, error: String)] = []

    public init() {}

    var isEmpty: Bool { done.isEmpty && tried.isEmpty && refused.isEmpty }
  }

  /// Attempts of one task before it is left to a person.
  let mostAttempts: UInt32
  private let site: String
  private let index: Environment
  private let now: @Sendable () -> Int64
  private let tasks: Table
  private let places: Table

  public init(_ store: Store, site: String, mostAttempts: UInt32) throws(StoreError) {
    self.site = site
    self.mostAttempts = mostAttempts
    index = store.index
    now = store.options.nowMilliseconds
    tasks = try store.index.table("cdn.tasks")
    places = try store.index.table("cdn.places")
  }

  // MARK: Adding

  /// Adds tasks, all or none, durably, and to the count of segments that were not listed.
  public func add(
    _ new: [(edge: String, task: EdgeTask)], unlistedSegments: [String: UInt64] = [:]
  ) throws(StoreError) {
    guard !new.isEmpty || !unlistedSegments.isEmpty else { return }
    let now = now()
    try index.write { (transaction) throws(StoreError) in
      for (edge, task) in new { try put(task, edge, now, transaction) }
      for (edge, segments) in unlistedSegments {
        let key = edgeKey(edge) + [Note.unlisted.rawValue]
        let known = try transaction.withValue(places, key.span.bytes) { Self.number($0) } ?? 0
        try transaction.put(places, key.span.bytes, Self.bytes(saturatingSum([known, segments])))
      }
    }
  }

  private func put(
    _ task: EdgeTask, _ edge: String, _ now: Int64, _ transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    let place = placeKey(edge, task)
    let known = try transaction.withValue(places, place.span.bytes) { Array($0) }
    if let known, let lane = known.first.flatMap(Lane.init(rawValue:)), known.count == 9 {
      let key = laneKey(edge, lane) + known[1...]
      let old = try transaction.withValue(tasks, key.span.bytes) { Self.entry($0, key: key, edge: edge) }
      if var entry = old ?? nil {
        if lane != .failed {
          entry.version += 1
          entry.queuedMilliseconds = now
          return try transaction.put(tasks, key.span.bytes, Self.encode(entry))
        }
        try transaction.delete(tasks, key.span.bytes)
      }
    }
    try append(
      Entry(
        edge: edge, lane: task.isPurge ? .purge : .warm, sequence: 0, version: 1, sinceMilliseconds: now,
        queuedMilliseconds: now,
        attempts: 0, task: task, error: ""), transaction)
  }

  /// Writes an entry at the end of its lane.
  private func append(
    _ new: Entry, _ transaction: borrowing WriteTransaction
  ) throws(StoreError) {
    var entry = new
    let counter = edgeKey(entry.edge)
    let last = try transaction.withValue(places, counter.span.bytes) { Self.number(Array($0)) } ?? 0
    entry.sequence = last + 1
    let sequence = Self.bytes(entry.sequence)
    try transaction.put(places, counter.span.bytes, sequence)
    try transaction.put(
      tasks, (laneKey(entry.edge, entry.lane) + sequence).span.bytes, Self.encode(entry))
    try transaction.put(
      places, placeKey(entry.edge, entry.task).span.bytes, [entry.lane.rawValue] + sequence)
  }

  // MARK: Reading

  /// The first entries of a lane, oldest first.
  public func entries(_ edge: String, _ lane: Lane, limit: Int) throws(StoreError) -> [Entry] {
    let prefix = laneKey(edge, lane)
    var found: [Entry] = []
    guard limit > 0 else { return [] }
    try index.read { (transaction) throws(StoreError) in
      try transaction.scan(tasks, from: prefix.span.bytes) { (key, value) throws(StoreError) in
        guard key.starts(with: prefix) else { return .stop }
        if let entry = Self.entry(value, key: Array(key), edge: edge) { found.append(entry) }
        return found.count < limit ? .next : .stop
      }
    }
    return found
  }

  /// How many entries a lane has, counted up to `limit`, and since when the first of them waits.
  public func count(
    _ edge: String, _ lane: Lane, limit: Int = 100_000
  ) throws(StoreError) -> (entries: Int, firstMilliseconds: Int64?) {
    let prefix = laneKey(edge, lane)
    var count = 0
    var first: Int64?
    try index.read { (transaction) throws(StoreError) in
      try transaction.scan(tasks, from: prefix.span.bytes) { (key, value) throws(StoreError) in
        guard key.starts(with: prefix), count < limit else { return .stop }
        if first == nil { first = Self.entry(value, key: Array(key), edge: edge)?.sinceMilliseconds }
        count += 1
        return .next
      }
    }
    return (count, first)
  }

  /// What is written down about an edge beside its tasks.
  private enum Note: UInt8 {
    case standing = 0
    case traffic = 1
    case trafficTrouble = 2
    case unlisted = 3
  }

  private func note(_ note: Note, _ edge: String) throws(StoreError) -> [UInt8] {
    let key = edgeKey(edge) + [note.rawValue]
    return try index.read { (transaction) throws(StoreError) in
      try transaction.withValue(places, key.span.bytes) { Array($0) } ?? []
    }
  }

  /// What was last written down about an edge; empty where nothing is wrong.
  public func standing(_ edge: String) throws(StoreError) -> String {
    String(decoding: try note(.standing, edge), as: UTF8.self)
  }

  /// What its vendor told last of its traffic; nil where it never has.
  public func traffic(_ edge: String) throws(StoreError) -> TrafficReport? {
    TrafficReport(text: String(decoding: try note(.traffic, edge), as: UTF8.self))
  }

  /// Why it does not tell now; empty where nothing is wrong.
  public func trafficTrouble(_ edge: String) throws(StoreError) -> String {
    String(decoding: try note(.trafficTrouble, edge), as: UTF8.self)
  }

  /// Segments of removed assets that were too many to be listed, over all time.
  public func unlistedSegments(_ edge: String) throws(StoreError) -> UInt64 {
    Self.number(try note(.unlisted, edge))
  }

  // MARK: Changing

  public func setStanding(_ edge: String, _ text: String) throws(StoreError) {
    let key = edgeKey(edge) + [Note.standing.rawValue]
    try index.write { (transaction) throws(StoreError) in
      try transaction.put(places, key.span.bytes, Array(text.utf8))
    }
  }

  /// - Parameter report: nil leaves what is known.
  func setTraffic(_ edge: String, _ report: TrafficReport?, trouble: String) throws(StoreError) {
    let key = edgeKey(edge)
    try index.write { (transaction) throws(StoreError) in
      if let report {
        try transaction.put(places, (key + [Note.traffic.rawValue]).span.bytes, Array(report.text.utf8))
      }
      try transaction.put(
        places, (key + [Note.trafficTrouble.rawValue]).span.bytes, Array(trouble.utf8.prefix(500)))
    }
  }

  /// Writes down what became of entries. One whose task came again meanwhile stays as it is.
  public func settle(_ settlement: Settlement) throws(StoreError) {
    guard !settlement.isEmpty else { return }
    try index.write { (transaction) throws(StoreError) in
      for entry in settlement.done where try isCurrent(entry, transaction) {
        try remove(entry, transaction)
      }
      for (entry, error) in settlement.tried where try isCurrent(entry, transaction) {
        var changed = entry
        changed.attempts += 1
        changed.error = error
        if changed.attempts >= mostAttempts {
          try fail(changed, transaction)
        } else {
          try transaction.put(tasks, key(of: entry).span.bytes, Self.encode(changed))
        }
      }
      for (entry, error) in settlement.refused where try isCurrent(entry, transaction) {
        var changed = entry
        changed.attempts += 1
        changed.error = error
        try fail(changed, transaction)
      }
    }
  }

  /// Adds entries that were settled once more, as tried once; those whose tasks have come again stay as they are.
  public func repeated(_ entries: [Entry]) throws(StoreError) {
    guard !entries.isEmpty else { return }
    try index.write { (transaction) throws(StoreError) in
      for entry in entries {
        let place = placeKey(entry.edge, entry.task)
        let isKnown = try transaction.withValue(places, place.span.bytes) { _ in true } ?? false
        guard !isKnown else { continue }
        var again = entry
        again.attempts = 1
        again.error = "the edge served the old after the purge"
        try append(again, transaction)
      }
    }
  }

  /// Gives the failed tasks of an edge another life; returns how many.
  public func retry(_ edge: String) throws(StoreError) -> Int {
    let failed = try entries(edge, .failed, limit: 100_000)
    try index.write { (transaction) throws(StoreError) in
      for entry in failed where try isCurrent(entry, transaction) {
        try remove(entry, transaction)
        var fresh = entry
        fresh.lane = entry.task.isPurge ? .purge : .warm
        fresh.attempts = 0
        try append(fresh, transaction)
      }
    }
    return failed.count
  }

  /// Forgets all that is owed to edges other than these; returns their names.
  public func forget(except edges: Set<String>) throws(StoreError) -> [String] {
    let site = sitePrefix
    return try index.write { (transaction) throws(StoreError) in
      var gone: Set<String> = []
      for table in [tasks, places] {
        var keys: [[UInt8]] = []
        try transaction.scan(table, from: site.span.bytes) { (key, _) throws(StoreError) in
          guard key.starts(with: site), key.count > site.count else { return .stop }
          let length = Int(key[site.count])
          let name = String(decoding: key.dropFirst(site.count + 1).prefix(length), as: UTF8.self)
          if !edges.contains(name) {
            gone.insert(name)
            keys.append(Array(key))
          }
          return .next
        }
        for key in keys { try transaction.delete(table, key.span.bytes) }
      }
      return gone.sorted()
    }
  }

  private func isCurrent(
    _ entry: Entry, _ transaction: borrowing WriteTransaction
  ) throws(StoreError) -> Bool {
    let key = key(of: entry)
    let stored = try transaction.withValue(tasks, key.span.bytes) {
      Self.entry($0, key: key, edge: entry.edge)
    }
    return (stored ?? nil)?.version == entry.version
  }

  private func remove(_ entry: Entry, _ transaction: borrowing WriteTransaction) throws(StoreError) {
    try transaction.delete(tasks, key(of: entry).span.bytes)
    try transaction.delete(places, placeKey(entry.edge, entry.task).span.bytes)
  }

  private func fail(_ entry: Entry, _ transaction: borrowing WriteTransaction) throws(StoreError) {
    try remove(entry, transaction)
    var failed = entry
    failed.lane = .failed
    try append(failed, transaction)
  }

  // MARK: Keys and values

  private var sitePrefix: [UInt8] { Self.prefix(site) }
  private func edgeKey(_ edge: String) -> [UInt8] { sitePrefix + Self.prefix(edge) }
  private func laneKey(_ edge: String, _ lane: Lane) -> [UInt8] { edgeKey(edge) + [lane.rawValue] }
  private func key(of entry: Entry) -> [UInt8] {
    laneKey(entry.edge, entry.lane) + Self.bytes(entry.sequence)
  }
  private func placeKey(_ edge: String, _ task: EdgeTask) -> [UInt8] {
    edgeKey(edge)
      + BlobID.digest(of: Array(task.text.utf8)).withUnsafeBytes { Array($0.prefix(16)) }
  }

  /// A name with its length, up to 128 bytes of it.
  private static func prefix(_ name: String) -> [UInt8] {
    let bytes = Array(name.utf8.prefix(128))
    return [UInt8(bytes.count)] + bytes
  }

  private static func bytes(_ number: UInt64) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
  }
  private static func number(_ bytes: some Sequence<UInt8>) -> UInt64 {
    bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }

  private static func encode(_ entry: Entry) -> [UInt8] {
    let error = entry.error.unicodeScalars.prefix(500).map { $0.value < 0x20 ? " " : Character($0) }
    return Array(
      "1\t\(entry.version)\t\(entry.sinceMilliseconds)\t\(entry.queuedMilliseconds)\t\(entry.attempts)\t\(entry.task.text)\t\(String(error))"
        .utf8)
  }

  /// nil for what nobody here has written.
  private static func entry(_ value: UnsafeRawBufferPointer, key: [UInt8], edge: String) -> Entry? {
    let parts = String(decoding: value, as: UTF8.self).split(
      separator: "\t", maxSplits: 6, omittingEmptySubsequences: false)
    guard parts.count == 7, parts[0] == "1", let version = UInt64(parts[1]), let since = Int64(parts[2]),
      let queued = Int64(parts[3]), let attempts = UInt32(parts[4]), let task = EdgeTask(text: parts[5]),
      key.count > 9, let lane = Lane(rawValue: key[key.count - 9])
    else { return nil }
    return Entry(
      edge: edge, lane: lane, sequence: number(key.suffix(8)), version: version, sinceMilliseconds: since,
      queuedMilliseconds: queued, attempts: attempts, task: task, error: String(parts[6]))
  }
}

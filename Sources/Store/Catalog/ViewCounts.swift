// How views come from a counter into the catalog: none lost, none twice
//
// A counter that lives elsewhere (Redis) only ever grows. What is brought here is where it stands, not what was added: for each
// asset the index keeps how much of the counter the record has already (`seen`), and adds the difference. So it does no harm to
// bring the same twice, to be killed anywhere in between, or to have several processes and several catalogs follow one counter.
//
//   views, key: site, asset id    version 1 byte · line 8 · seen 8        numbers are big-endian
//   views, key: site alone        version 1 byte · line 8 · rewinds 8 · sequence 8
//
// A counter that was lost begins again at nothing, under another `line`, a number that is drawn with it: all of it is then
// new. One that has lost its last moments (a power cut before they were on its disk) goes on in its line below what was seen;
// what it lost was brought here already or is lost, and nothing is added until it has passed that. `rewinds` counts how often
// that was noticed.
//
// The second record is how far this catalog has followed the line, as the counter's own numbering of its changes. A batch that
// is no newer was read before one that is here already, and changes nothing: only so can two processes read, and commit in
// the other order.

/// What a counter of views brings.
public enum ViewCounts: Sendable, Equatable {
  /// To be added, each once: of a counter that ends with its process.
  case increments([String: UInt64])
  /// Where a counter that outlives processes stands.
  case totals([String: UInt64], ViewCursor)
}

/// How far a counter has been followed.
public struct ViewCursor: Sendable, Equatable {
  /// Which counter it is: another one where everything was lost.
  public var line: UInt64
  /// How often it was seen to have gone back.
  public var rewinds: UInt64
  /// Of the last change, in the counter's numbering.
  public var sequence: UInt64

  public init(line: UInt64, rewinds: UInt64, sequence: UInt64) {
    self.line = line
    self.rewinds = rewinds
    self.sequence = sequence
  }

  /// Whether the other is further along, or another line altogether.
  func isPassed(by other: ViewCursor) -> Bool {
    line != other.line || (rewinds, sequence) < (other.rewinds, other.sequence)
  }
}

extension Store {
  private static let viewVersion: UInt8 = 1

  /// Brings views of a site's assets into their records, all in one transaction. Assets that the site has not are passed over.
  ///
  /// - Returns: how many views were added.
  @discardableResult
  public func apply(_ counts: ViewCounts, site: String) throws(StoreError) -> UInt64 {
    try Store.checkSite(site, operation: "count views")
    return try index.write { (transaction) throws(StoreError) in
      switch counts {
      case .increments(let increments):
        var added: UInt64 = 0
        for (id, count) in increments where AssetID.isValid(id) {
          added &+= try addViews(count, site: site, id: id, transaction)
        }
        return added
      case .totals(let totals, let cursor):
        return try applyTotals(totals, cursor, site: site, transaction)
      }
    }
  }

  private func applyTotals(
    _ totals: [String: UInt64], _ cursor: ViewCursor, site: String,
    _ transaction: borrowing WriteTransaction
  ) throws(StoreError) -> UInt64 {
    if let known = try viewCursor(site: site, transaction.view), !known.isPassed(by: cursor) { return 0 }
    var added: UInt64 = 0
    for (id, total) in totals where AssetID.isValid(id) {
      let key = Store.assetKey(site: site, id: id)
      let row = try transaction.withValue(tables.views, key.bytes) { (value) throws(StoreError) in
        try Store.numbers(value, 2)
      }
      let seen = row.map { $0[0] == cursor.line ? min($0[1], total) : 0 } ?? 0
      added &+= try addViews(total - seen, site: site, id: id, transaction)
      try transaction.put(tables.views, key.bytes, Store.record([cursor.line, total]))
    }
    var key = IndexKey()
    _ = key.start(site: site)
    let record = Store.record([cursor.line, cursor.rewinds, cursor.sequence])
    try transaction.put(tables.views, key.bytes, record)
    return added
  }

  /// How far a site's catalog has followed its counter; nil before the first time.
  public func viewCursor(site: String) throws(StoreError) -> ViewCursor? {
    try index.read { (transaction) throws(StoreError) in try viewCursor(site: site, transaction.view) }
  }

  private func viewCursor(site: String, _ view: IndexView) throws(StoreError) -> ViewCursor? {
    var key = IndexKey()
    guard key.start(site: site) else { return nil }
    return try view.withValue(tables.views, key.bytes) { (value) throws(StoreError) in
      let numbers = try Store.numbers(value, 3)
      return ViewCursor(line: numbers[0], rewinds: numbers[1], sequence: numbers[2])
    }
  }

  private func addViews(
    _ count: UInt64, site: String, id: String, _ transaction: borrowing WriteTransaction
  ) throws(StoreError) -> UInt64 {
    guard count > 0, var asset = try currentAsset(transaction.view, site: site, id: id) else { return 0 }
    let (sum, overflow) = asset.views.addingReportingOverflow(count)
    asset.views = overflow ? .max : sum
    let encoded = asset.encode()
    // A record without room for a longer number keeps the one it has.
    guard encoded.count <= Store.maximumRecordBytes + 16 else { return 0 }
    try transaction.put(tables.assets, Store.assetKey(site: site, id: id).bytes, encoded)
    return count
  }

  private static func record(_ numbers: [UInt64]) -> [UInt8] {
    [viewVersion] + numbers.flatMap { number in withUnsafeBytes(of: number.bigEndian) { Array($0) } }
  }

  private static func numbers(_ value: UnsafeRawBufferPointer, _ count: Int) throws(StoreError) -> [UInt64] {
    guard value.count == 1 + 8 * count, value.first == viewVersion else { throw .damagedRecord("views") }
    return (0..<count).map {
      UInt64(bigEndian: value.loadUnaligned(fromByteOffset: 1 + 8 * $0, as: UInt64.self))
    }
  }
}

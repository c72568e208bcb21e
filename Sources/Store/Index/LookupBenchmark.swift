/// How long the catalog takes to find a blob among many: the same tables, keys and records as in service.
public enum LookupBenchmark {
  public struct Figures: Sendable, Equatable {
    public var blobs: Int
    /// Renewing the read transaction, as each request does.
    public var renewNanoseconds: Double
    /// Finding and decoding the same record again and again, and others at random; each with its renewal.
    public var hotNanoseconds: Double
    public var randomNanoseconds: Double
  }

  /// Fills a store of its own with records of blobs that do not exist, and looks them up.
  ///
  /// - Parameters:
  ///   - path: an empty folder; what is put there is the caller's to remove.
  ///   - blobs: how many records, at least 1.
  public static func run(path: String, blobs: Int) throws(StoreError) -> Figures {
    let store = try Store(path: path)
    let total = max(1, blobs)
    var made = 0
    while made < total {
      let upper = min(total, made + 50_000)
      try store.index.write { (transaction) throws(StoreError) in
        for number in made..<upper {
          var key = IndexKey()
          key.set(id(number))
          let record = BlobRecord(sizeBytes: UInt64(number), createdMilliseconds: Int64(number))
          try transaction.put(store.tables.blobs, key.bytes, record.encode())
        }
      }
      made = upper
    }
    let reader = try store.makeReader()
    let rounds = 200_000
    var random = SystemRandomNumberGenerator()
    let wanted = (0..<rounds).map { _ in id(Int.random(in: 0..<total, using: &random)) }
    let same = [BlobID](repeating: id(total / 2), count: rounds)
    return Figures(
      blobs: total,
      renewNanoseconds: try time(rounds) { (_) throws(StoreError) in try reader.renew() },
      hotNanoseconds: try lookUp(same, reader), randomNanoseconds: try lookUp(wanted, reader))
  }

  private static func lookUp(_ ids: [BlobID], _ reader: CatalogReader) throws(StoreError) -> Double {
    try time(ids.count) { (round) throws(StoreError) in
      try reader.renew()
      guard try reader.blob(ids[round]) != nil else { throw .damagedRecord("benchmark") }
    }
  }

  /// Spread over the key space as digests are.
  private static func id(_ number: Int) -> BlobID {
    BlobID.digest(of: withUnsafeBytes(of: number.littleEndian) { Array($0) })
  }

  private static func time(_ rounds: Int, _ body: (Int) throws(StoreError) -> Void) throws(StoreError)
    -> Double
  {
    let started = Disk.monotonicNanoseconds()
    for round in 0..<rounds { try body(round) }
    return Double(Disk.monotonicNanoseconds() - started) / Double(rounds)
  }
}

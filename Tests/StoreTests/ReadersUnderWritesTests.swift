import Glibc
import Support
import Testing

@testable import Store

/// LMDB reuses no page that a reader could still see. A listing goes on for minutes, so it must not be one such reader: each
/// of its pages is a transaction of its own. `HEADWATER_TORTURE=1` holds one open for ten minutes under 1,000 writes a second.
@Suite struct ReadersUnderWritesTests {
  private static let writes = 300
  private static let minutes: Int64 = 10

  private func store(_ folder: TemporaryFolder) throws -> Store {
    let store = try Store(path: folder.path, options: StoreOptions(indexMapSizeBytes: 1 << 30))
    let writer = try store.blobs.makeWriter()
    try writer.write([1])
    let blob = try writer.finish()
    for number in 0..<20 {
      try store.publishAsset(AssetDraft(site: "demo", id: "a\(number)", status: .ready, source: blob.id))
    }
    return store
  }

  /// Another 3 KB under one key, in a commit of its own.
  private func overwrite(_ store: Store, _ number: Int) throws {
    let transaction = try store.index.beginWrite()
    // Before the keys of any site.
    let key: [UInt8] = [1]
    let value = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 3000)
    try transaction.put(store.tables.assets, key.span.bytes, value)
    try transaction.commit()
  }

  /// What the index has used after the writes, with `between` before each.
  private func used(_ between: (Store, Int) throws -> Void) throws -> UInt64 {
    let folder = try TemporaryFolder()
    let store = try store(folder)
    for number in 0..<Self.writes {
      try between(store, number)
      try overwrite(store, number)
    }
    return try store.usage().usedBytes
  }

  @Test func aListingDoesNotKeepOldPages() throws {
    let alone = try used { _, _ in }
    var last: String?
    let listed = try used { store, _ in
      let reader = try store.makeReader()
      try reader.renew()
      last = try reader.listAssets(site: "demo", after: last, limit: 3).last?.id
      reader.end()
    }
    #expect(listed <= 2 * alone)
    // What it is about: a reader that stays in its transaction does keep them.
    var held: CatalogReader?
    let kept = try used { store, number in
      guard number == 0 else { return }
      held = try store.makeReader()
      try held?.renew()
    }
    #expect(kept > 2 * alone)
    held?.end()
  }

  @Test(.enabled(if: Torture.isLong)) func aListingUnderAThousandWritesASecond() throws {
    let folder = try TemporaryFolder()
    let store = try store(folder)
    let reader = try store.makeReader()
    let live = try store.usage().usedBytes
    let start = ContinuousClock.now
    var last: String?
    var writes = 0
    while ContinuousClock.now - start < .seconds(60 * Self.minutes) {
      if writes % 100 == 0 {
        try reader.renew()
        last = try reader.listAssets(site: "demo", after: last, limit: 3).last?.id
        reader.end()
      }
      try overwrite(store, writes)
      writes += 1
      // No faster than the bar asks for.
      let due = start + .milliseconds(writes)
      while ContinuousClock.now < due { usleep(200) }
    }
    let used = try store.usage().usedBytes
    print("a listing under writes: \(writes) writes, index \(used) bytes, \(live) before")
    #expect(used <= 2 * live + 64 << 20)
  }
}

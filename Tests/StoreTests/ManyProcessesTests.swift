import Foundation
import Support
import Testing

@testable import Store

/// What the second processes of these tests do; each is the whole life of a child.
private enum Child {
  static let options = StoreOptions(indexMapSizeBytes: 1 << 28, maximumReaders: 8)

  static func open(_ path: String) throws -> Store {
    try Store(path: path, options: options)
  }

  static func publish(_ store: Store, _ id: String, _ bytes: [UInt8]) throws {
    let writer = try store.blobs.makeWriter()
    try writer.write(bytes)
    let blob = try writer.finish()
    try store.publishAsset(AssetDraft(site: "demo", id: id, status: .ready, source: blob.id))
  }

  /// Publishes ten assets and dies in the middle of the next: a blob half written, a transaction not committed.
  static func publishAndDie(_ path: String) throws {
    let store = try open(path)
    for index in 0..<10 { try publish(store, "a\(index)", [UInt8(index)]) }
    let writer = try store.blobs.makeWriter()
    try writer.write([1, 2, 3])
    let transaction = try store.index.beginWrite()
    let key: [UInt8] = [1]
    try transaction.put(store.tables.assets, key.span.bytes, key)
    kill(getpid(), SIGKILL)
  }

  /// Dies with five readers in the middle of reading.
  static func readAndDie(_ path: String) throws {
    let store = try open(path)
    var readers: [CatalogReader] = []
    for _ in 0..<5 {
      let reader = try store.makeReader()
      try reader.renew()
      readers.append(reader)
    }
    kill(getpid(), SIGKILL)
    withExtendedLifetime(readers) {}
  }

  static func collect(_ path: String, rounds: Int) throws {
    var options = options
    // An hour ahead, so that nothing is young.
    options.nowMilliseconds = { Store.wallClockMilliseconds() + 3_600_000 }
    let store = try Store(path: path, options: options)
    for _ in 0..<rounds {
      _ = try GarbageCollector(store: store).run(GarbageCollector.Options(graceSeconds: 0))
    }
  }
}

/// Real second processes: each exit test runs its body in a child, which here mostly ends by `SIGKILL`.
@Suite struct ManyProcessesTests {
  @Test func whatAKilledProcessHadPublishedIsThereAtOnce() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path
    let store = try Child.open(path)
    let reader = try store.makeReader()
    let before = try reader.renew()
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
      try Child.publishAndDie(path)
    }
    #expect(try reader.renew() == before + 10)
    #expect(try reader.listAssets(site: "demo", limit: 100).count == 10)
    reader.end()
    #expect(files(in: store.blobs.incomingPath).count == 1)
    #expect(try store.blobs.removeLeftovers() == 1)
    // The write lock that the dead process held is free again.
    try store.removeAsset(site: "demo", id: "a0")
    #expect(try Scrub(store: store).run().isClean)
  }

  @Test func theSlotsOfDeadReadersAreFreed() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path
    let store = try Child.open(path)
    let live = try store.usage().usedBytes
    let key: [UInt8] = [1]
    // Three times five slots are more than the eight there are: each start must free those of the one before, and with them
    // the pages that the dead would have kept.
    for round in 0..<Torture.rounds(3, long: 100) {
      await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
        try Child.readAndDie(path)
      }
      for number in 0..<200 {
        let transaction = try store.index.beginWrite()
        let value = [UInt8](repeating: UInt8(truncatingIfNeeded: round + number), count: 3000)
        try transaction.put(store.tables.assets, key.span.bytes, value)
        try transaction.commit()
      }
    }
    let used = try store.usage().usedBytes
    if Torture.isLong { print("killed readers: index \(used) bytes, \(live) before") }
    #expect(used <= 2 * live + 8 << 20)
    #expect(try store.index.readerCheck() == 5)
    #expect(try store.index.readerCheck() == 0)
  }

  @Test func aLiveWritersFileSurvivesTheStartOfAnotherProcess() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path
    let store = try Child.open(path)
    let writer = try store.blobs.makeWriter()
    try writer.write([1, 2])
    await #expect(processExitsWith: .success) { [path = path as String] in
      try Child.collect(path, rounds: 1)
    }
    try writer.write([3])
    #expect(try writer.finish().id == BlobID.digest(of: [1, 2, 3]))
  }

  @Test func processesPublishAndCollectAtOnce() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path
    let store = try Child.open(path)
    let publisher = Task {
      var random = SplitMix64(seed: 42)
      for round in 0..<200 {
        do {
          try Child.publish(store, "a\(round % 5)", [UInt8.random(in: 0..<4, using: &random)])
        } catch let error as StoreError {
          // The collector of the other process was faster; a real ingest stages again.
          guard error.code == .blobMissing else { throw error }
        }
      }
    }
    await #expect(processExitsWith: .success) { [path = path as String] in
      try Child.collect(path, rounds: 100)
    }
    try await publisher.value
    let scrub = try Scrub(store: store).run()
    #expect(scrub.isClean, "\(scrub)")
  }
}

import Foundation
import Testing

@testable import Store

@Suite struct GarbageCollectorTests {
  private func collect(
    _ fixture: Fixture, graceSeconds: Int = 3600, isDryRun: Bool = false
  ) throws -> GarbageCollector.Report {
    try GarbageCollector(store: fixture.store).run(
      GarbageCollector.Options(graceSeconds: graceSeconds, isDryRun: isDryRun))
  }

  private func isStored(_ blob: BlobID, _ fixture: Fixture) throws -> Bool {
    try fixture.store.blobs.sizeBytes(of: blob) != nil
  }

  @Test func whatIsReferencedStaysWhateverItsAge() throws {
    let fixture = try Fixture(wallClock: true)
    let asset = try fixture.publish("one", "asset")
    let rendition = try fixture.stage("rendition")
    try fixture.store.publishAsset(
      AssetDraft(
        site: "demo", id: "one", status: .ready, source: asset.source,
        renditions: [RenditionRecord(name: "240p", kind: .video, blob: rendition.id)]))
    let file = try fixture.stage("file")
    try fixture.store.publishFile(FileDraft(site: "demo", path: "f", blob: file.id, mediaType: "t"))
    try fixture.store.blobs.writeSidecar(file.id, [1])
    fixture.clock.advance(seconds: 1_000_000)
    let report = try collect(fixture)
    #expect(report.removedBlobs.isEmpty)
    #expect(report.referencedBlobs == 3)
    #expect(report.removedGenerations == 1)
    #expect(report.removedSidecars == 0)
    #expect(try fixture.store.blobs.openSidecar(file.id) != nil)
    #expect(try Scrub(store: fixture.store).run().isClean)
  }

  @Test func orphansGoAfterTheGraceWithTheirSidecars() throws {
    let fixture = try Fixture(wallClock: true)
    let orphan = try fixture.stage("orphan")
    try fixture.store.blobs.writeSidecar(orphan.id, [1])
    let stray = BlobID.digest(of: [99])
    try fixture.store.blobs.writeSidecar(stray, [1])
    let young = try collect(fixture)
    #expect(young.removedBlobs.isEmpty)
    #expect(young.keptByGrace == 1)
    fixture.clock.advance(seconds: 3700)
    let dry = try collect(fixture, isDryRun: true)
    #expect(dry.removedBlobs == [orphan.id])
    #expect(try isStored(orphan.id, fixture))
    let report = try collect(fixture)
    #expect(report.removedBlobs == [orphan.id])
    #expect(report.freedBytes == 6)
    #expect(report.removedSidecars == 1)
    #expect(files(in: fixture.store.blobs.blobsPath).isEmpty)
  }

  @Test func aReplacedGenerationGoesWhenItsGraceIsOver() throws {
    let fixture = try Fixture(wallClock: true, graceSeconds: 3600)
    let old = try fixture.publish("one", "old")
    let new = try fixture.publish("one", "new")
    let before = try collect(fixture)
    #expect(before.removedGenerations == 0)
    #expect(try isStored(old.source!, fixture))
    fixture.clock.advance(seconds: 3700)
    let dry = try collect(fixture, isDryRun: true)
    #expect(dry.removedGenerations == 1)
    let report = try collect(fixture)
    #expect(report.removedGenerations == 1)
    #expect(report.removedBlobs == [old.source!])
    #expect(try isStored(new.source!, fixture))
    try fixture.store.read { reader throws(StoreError) in
      #expect(try reader.blob(old.source!) == nil)
      #expect(
        try reader.generation(site: "demo", id: "one", generation: old.generation!, nowMilliseconds: 0) == nil
      )
    }
    #expect(try collect(fixture).removedBlobs.isEmpty)
  }

  @Test func aBlobSharedWithAnotherAssetStays() throws {
    let fixture = try Fixture(wallClock: true)
    let first = try fixture.publish("one", "shared")
    _ = try fixture.publish("two", "shared", site: "other")
    try fixture.store.removeAsset(site: "demo", id: "one")
    fixture.clock.advance(seconds: 3700)
    #expect(try collect(fixture).removedBlobs.isEmpty)
    try fixture.store.removeAsset(site: "other", id: "two")
    #expect(try collect(fixture).removedBlobs == [first.source!])
  }

  @Test func aRecordWhoseFileACrashTookIsDeleted() throws {
    let fixture = try Fixture(wallClock: true)
    let asset = try fixture.publish("one", "bytes")
    try fixture.store.removeAsset(site: "demo", id: "one")
    // What a kill between unlink and commit leaves.
    try Disk.remove(fixture.store.blobs.path(of: asset.source!))
    let draft = AssetDraft(site: "demo", id: "one", status: .ready, source: asset.source)
    #expect(code { try fixture.store.publishAsset(draft) } == .blobMissing)
    #expect(try collect(fixture).removedRecords == 1)
    #expect(try fixture.publish("one", "bytes").source == asset.source)
    #expect(try Scrub(store: fixture.store).run().isClean)
  }

  @Test func anUnreadableRecordStopsTheCollection() throws {
    let fixture = try Fixture(wallClock: true)
    let asset = try fixture.publish("one", "bytes")
    let orphan = try fixture.stage("orphan")
    fixture.clock.advance(seconds: 3700)
    try fixture.store.index.write { transaction throws(StoreError) in
      var key = IndexKey()
      _ = key.setAsset(site: "demo", id: "one")
      try transaction.put(fixture.store.tables.assets, key.bytes, [1, 2, 3])
    }
    #expect(code { try collect(fixture) } == .damaged)
    #expect(try isStored(orphan.id, fixture))
    #expect(try isStored(asset.source!, fixture))
    let scrub = try Scrub(store: fixture.store).run()
    #expect(scrub.unreadableRecords.map(\.table) == ["assets"])
    #expect(!scrub.isClean)
  }

  /// Publishers stage and publish a few contents again and again, and remove what they published; a collector without
  /// any grace takes whatever is unreferenced at each instant. Whatever was acknowledged and not removed must be whole.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func noPublishedBlobIsLostToACollectorWithoutGrace(seed: UInt64) async throws {
    let fixture = try Fixture(wallClock: true, graceSeconds: 0)
    let store = fixture.store
    // An hour ahead, so that nothing is young.
    fixture.clock.advance(seconds: 3600)
    let rounds = 60
    let finished = Counter()
    let publishers = 3
    var missing = 0
    var collected = 0
    var kept: [String: BlobID] = [:]
    try await withThrowingTaskGroup(of: (kept: [String: BlobID], missing: Int, collected: Int).self) {
      group in
      for publisher in 0..<publishers {
        group.addTask {
          defer { finished.increment() }
          var random = SplitMix64(seed: seed &* 100 &+ UInt64(publisher))
          var kept: [String: BlobID] = [:]
          var missing = 0
          for round in 0..<rounds {
            // Few threads may serve all these tasks: without a pause the collector might come last.
            await Task.yield()
            let content = [UInt8](repeating: UInt8.random(in: 0..<30, using: &random), count: 100)
            let id = "p\(publisher)-\(round % 7)"
            let writer = try store.blobs.makeWriter()
            try writer.write(content)
            let staged = try writer.finish()
            do {
              try store.publishAsset(AssetDraft(site: "demo", id: id, status: .ready, source: staged.id))
              kept[id] = staged.id
            } catch let error as StoreError {
              guard error.code == .blobMissing else { throw error }
              missing += 1
            }
            if Bool.random(using: &random), let victim = kept.keys.sorted().first {
              try store.removeAsset(site: "demo", id: victim)
              kept[victim] = nil
            }
          }
          return (kept, missing, 0)
        }
      }
      group.addTask {
        var collected = 0
        while finished.count < publishers {
          await Task.yield()
          // Generations replaced in the rounds before expire.
          fixture.clock.advance(seconds: 1)
          let report = try GarbageCollector(store: store).run(GarbageCollector.Options(graceSeconds: 0))
          collected += report.removedBlobs.count
        }
        return ([:], 0, collected)
      }
      for try await part in group {
        kept.merge(part.kept) { first, _ in first }
        missing += part.missing
        collected += part.collected
      }
    }
    for (id, blob) in kept {
      let asset = try store.read { reader throws(StoreError) in try reader.asset(site: "demo", id: id) }
      #expect(asset?.source == blob, "seed \(seed), asset \(id)")
      #expect(try BlobID.digest(of: store.blobs.open(blob).readAll()) == blob, "seed \(seed), asset \(id)")
    }
    let scrub = try Scrub(store: store).run()
    #expect(scrub.isClean, "seed \(seed): \(scrub)")
    #expect(collected > 0, "the race never happened")
    print("Race with seed \(seed): \(collected) blobs collected, \(missing) publications told to stage again")
  }
}

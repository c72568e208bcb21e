import Foundation
import Testing

@testable import Store

@Suite struct ScrubTests {
  /// Twenty assets, each with a blob of its own.
  private func populated() throws -> (Fixture, [BlobID]) {
    let fixture = try Fixture(wallClock: true)
    let blobs = try (0..<20).map { try fixture.publish("a\($0)", "content of \($0)").source! }
    return (fixture, blobs)
  }

  private func overwrite(_ path: String, _ change: (inout Data) -> Void) throws {
    var bytes = try Data(contentsOf: URL(filePath: path))
    change(&bytes)
    try FileManager.default.removeItem(atPath: path)
    try bytes.write(to: URL(filePath: path))
  }

  @Test func aSoundStoreIsClean() throws {
    let (fixture, blobs) = try populated()
    try fixture.store.blobs.writeSidecar(blobs[0], [1])
    let result = try Scrub(store: fixture.store).run()
    #expect(result.isClean)
    #expect(result.checkedBlobs == 20)
    #expect(result.checkedPointers == 40)
    #expect(result.sidecars == 1)
    #expect(result.orphans.isEmpty && result.strangers.isEmpty)
    let record = try fixture.store.read { reader throws(StoreError) in try reader.blob(blobs[3]) }
    #expect(record?.verifiedMilliseconds == fixture.clock.milliseconds)
  }

  @Test func everyDamageIsFoundAndNothingElse() throws {
    let (fixture, blobs) = try populated()
    let store = fixture.store.blobs
    try overwrite(store.path(of: blobs[0])) { $0[3] ^= 0x10 }
    try overwrite(store.path(of: blobs[1])) { $0.removeLast(4) }
    try overwrite(store.path(of: blobs[2])) { $0.append(0) }
    try overwrite(store.path(of: blobs[3])) { $0 = Data(count: $0.count) }
    try overwrite(store.path(of: blobs[4])) { $0 = Data() }
    try FileManager.default.removeItem(atPath: store.path(of: blobs[5]))
    let spare = fixture.folder.path + "/spare"
    try FileManager.default.moveItem(atPath: store.path(of: blobs[6]), toPath: spare)
    try FileManager.default.moveItem(atPath: store.path(of: blobs[7]), toPath: store.path(of: blobs[6]))
    try FileManager.default.moveItem(atPath: spare, toPath: store.path(of: blobs[7]))
    try FileManager.default.removeItem(atPath: store.path(of: blobs[8]))
    try FileManager.default.createDirectory(
      atPath: store.path(of: blobs[8]), withIntermediateDirectories: false)

    let expected: [BlobID: Scrub.Damage] = [
      blobs[0]: .wrongBytes, blobs[1]: .wrongSize, blobs[2]: .wrongSize, blobs[3]: .wrongBytes,
      blobs[4]: .wrongSize, blobs[5]: .missing, blobs[6]: .wrongBytes, blobs[7]: .wrongBytes,
    ]
    let result = try Scrub(store: fixture.store).run()
    var found = result.damage
    // A folder in place of a blob counts as one that is gone.
    #expect([.unreadable, .missing].contains(found.removeValue(forKey: blobs[8])))
    #expect(found == expected)
    #expect(Set(result.brokenPointers.map(\.blob)) == Set(blobs[0...8]))
    #expect(result.brokenPointers.count == 18)
    #expect(result.missingRecords.isEmpty && result.unreadableRecords.isEmpty && result.orphans.isEmpty)
    #expect(result.quarantined.isEmpty)
    #expect(!result.isClean)
  }

  @Test func repairMovesDamageAwayAndStagingHeals() throws {
    let (fixture, blobs) = try populated()
    let store = fixture.store.blobs
    try overwrite(store.path(of: blobs[0])) { $0[0] ^= 1 }
    let result = try Scrub(store: fixture.store).run(Scrub.Options(repairs: true))
    #expect(result.quarantined == [blobs[0]])
    #expect(code { try store.open(blobs[0]) } == .blobMissing)
    #expect(files(in: store.quarantinePath) == ["\(blobs[0].hex).0"])
    let again = try Scrub(store: fixture.store).run(Scrub.Options(repairs: true))
    #expect(again.damage == [blobs[0]: .missing])
    #expect(again.quarantined.isEmpty)
    _ = try fixture.stage("content of 0")
    #expect(try Scrub(store: fixture.store).run().isClean)
  }

  @Test func repairRemakesRecordsOfReferencedBlobs() throws {
    let (fixture, blobs) = try populated()
    try fixture.store.index.write { transaction throws(StoreError) in
      var key = IndexKey()
      key.set(blobs[2])
      try transaction.delete(fixture.store.tables.blobs, key.bytes)
    }
    let result = try Scrub(store: fixture.store).run(Scrub.Options(repairs: true))
    #expect(result.missingRecords == [blobs[2]])
    #expect(result.remadeRecords == 1)
    #expect(result.damage.isEmpty && result.brokenPointers.isEmpty)
    #expect(try Scrub(store: fixture.store).run().isClean)
  }

  @Test func anUnreadableBlobRecordIsToldEvenBesideDamage() throws {
    let (fixture, blobs) = try populated()
    try overwrite(fixture.store.blobs.path(of: blobs[1])) { $0[0] ^= 1 }
    try fixture.store.index.write { transaction throws(StoreError) in
      var key = IndexKey()
      for blob in blobs[1...2] {
        key.set(blob)
        try transaction.put(fixture.store.tables.blobs, key.bytes, [0xff])
      }
    }
    let result = try Scrub(store: fixture.store).run(Scrub.Options(repairs: true))
    #expect(result.damage == [blobs[1]: .wrongBytes])
    #expect(Set(result.unreadableRecords.map(\.key)) == Set(blobs[1...2].map(\.hex)))
    #expect(result.missingRecords.isEmpty)
  }

  @Test func orphansAndStrangersAreToldAndAreNoDamage() throws {
    let (fixture, _) = try populated()
    let orphan = try fixture.stage("orphan")
    try Data().write(to: URL(filePath: fixture.store.blobs.blobsPath + "/notes.txt"))
    try Data().write(to: URL(filePath: fixture.store.blobs.folderPath(of: orphan.id) + "/core"))
    let result = try Scrub(store: fixture.store).run(Scrub.Options(repairs: true))
    #expect(result.isClean)
    #expect(result.orphans == [orphan.id])
    #expect(result.strangers.count == 2)
  }

  @Test func aRunThatWasStoppedGoesOnWhereItStopped() throws {
    let (fixture, blobs) = try populated()
    try overwrite(fixture.store.blobs.path(of: blobs[11])) { $0[0] ^= 1 }
    var checked = 0
    var damage: [BlobID: Scrub.Damage] = [:]
    var after: BlobID?
    var runs = 0
    repeat {
      let result = try Scrub(store: fixture.store).run(Scrub.Options(after: after)) { $0.checkedBlobs < 6 }
      checked += result.checkedBlobs
      damage.merge(result.damage) { first, _ in first }
      after = result.stoppedAfter
      runs += 1
    } while after != nil && runs < 10
    #expect(checked == 20)
    #expect(runs == 4)
    #expect(damage == [blobs[11]: .wrongBytes])
  }

  @Test func aRateIsKept() throws {
    let fixture = try Fixture()
    let writer = try fixture.store.blobs.makeWriter()
    try writer.write([UInt8](repeating: 1, count: 400_000))
    _ = try writer.finish()
    let clock = ContinuousClock()
    let elapsed = try clock.measure {
      _ = try Scrub(store: fixture.store).run(Scrub.Options(bytesPerSecond: 4_000_000))
    }
    #expect(elapsed >= .milliseconds(99))
  }
}

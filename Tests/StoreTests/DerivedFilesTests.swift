import Foundation
import Testing

@testable import Store

@Suite struct DerivedFilesTests {
  private static let generation = Generation.make(roles: [("source", BlobID.digest(of: [1]))])
  private static func key(_ name: String, asset: String = "film") -> DerivedFiles.Key {
    DerivedFiles.Key(asset: asset, generation: generation, name: name)
  }

  private func files(_ fixture: Fixture, budgetBytes: UInt64 = 1 << 20) throws -> DerivedFiles {
    try DerivedFiles(fixture.store, owner: "thumbnails", site: "demo", budgetBytes: budgetBytes)
  }

  private func path(_ fixture: Fixture, _ name: String, asset: String = "film") -> String {
    "\(fixture.store.path)/derived/thumbnails/demo/\(asset)/\(Self.generation.hex)/\(name)"
  }

  @Test func whatIsWrittenIsRead() throws {
    let fixture = try Fixture(wallClock: true)
    let files = try files(fixture)
    #expect(try files.open(Self.key("a.jpg")) == nil)
    let payload: [UInt8] = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
    try files.write(Self.key("a.jpg"), payload)
    let found = try #require(try files.open(Self.key("a.jpg")))
    #expect(try found.bytes() == payload)
    #expect(found.sizeBytes == 1000 && found.digest == BlobID.digest(of: payload))
    #expect(try found.file.read(offset: found.offset, count: 3) == [0, 1, 2])
    #expect(files.usedBytes == 1048)
    // Another process has the same.
    let other = try self.files(fixture)
    #expect(try other.open(Self.key("a.jpg"))?.bytes() == payload)
    #expect(try Disk.names(in: fixture.store.path + "/incoming").isEmpty)
  }

  @Test(arguments: [0, 3, 5, 9, 20, 47, 48, 60, 147])
  func whatIsDamagedIsRemoved(offset: Int) throws {
    let fixture = try Fixture(wallClock: true)
    let files = try files(fixture)
    try files.write(Self.key("a.jpg"), [UInt8](repeating: 7, count: 100))
    let path = path(fixture, "a.jpg")
    chmod(path, 0o644)
    var bytes = try #require(FileManager.default.contents(atPath: path))
    bytes[offset] ^= 0x40
    try bytes.write(to: URL(fileURLWithPath: path))
    #expect(try files.open(Self.key("a.jpg")) == nil)
    #expect(!FileManager.default.fileExists(atPath: path))
    #expect(files.usedBytes == 0)
  }

  @Test(arguments: [0, 1, 47, 48, 147])
  func whatIsCutShortIsRemoved(length: Int) throws {
    let fixture = try Fixture(wallClock: true)
    let files = try files(fixture)
    try files.write(Self.key("a.jpg"), [UInt8](repeating: 7, count: 100))
    #expect(truncate(path(fixture, "a.jpg"), length) == 0)
    #expect(try files.open(Self.key("a.jpg")) == nil)
  }

  @Test func whatWasUsedLongestAgoGoesFirst() throws {
    let fixture = try Fixture(wallClock: true)
    let files = try files(fixture, budgetBytes: 10_480)
    for number in 0..<10 { try files.write(Self.key("\(number).jpg"), [UInt8](repeating: 1, count: 1000)) }
    #expect(files.count == 10)
    files.touch(Self.key("0.jpg"))
    try files.write(Self.key("10.jpg"), [UInt8](repeating: 1, count: 1000))
    #expect(files.usedBytes <= 10_480 / 10 * 9)
    #expect(try files.open(Self.key("0.jpg")) != nil)
    #expect(try files.open(Self.key("1.jpg")) == nil)
    #expect(try files.open(Self.key("10.jpg")) != nil)
  }

  @Test func aScanFindsWhatOthersWrote() throws {
    let fixture = try Fixture(wallClock: true)
    let first = try files(fixture)
    try first.write(Self.key("a.jpg"), [1, 2, 3])
    try first.write(Self.key("b.jpg", asset: "other"), [1, 2, 3])
    let second = try files(fixture)
    try second.scan()
    #expect(second.count == 2 && second.usedBytes == 102)
    try first.removeAsset("film")
    #expect(try second.open(Self.key("a.jpg")) == nil)
    #expect(second.count == 1)
    // A smaller budget holds from the scan on.
    let third = try files(fixture, budgetBytes: 10)
    try third.scan()
    #expect(third.count == 0)
    #expect(!FileManager.default.fileExists(atPath: path(fixture, "b.jpg", asset: "other")))
  }

  @Test func anAssetsFolderGoesAsAWhole() throws {
    let fixture = try Fixture(wallClock: true)
    let files = try files(fixture)
    for name in ["a.jpg", "b.jpg"] { try files.write(Self.key(name), [1]) }
    try files.removeAsset("film")
    #expect(files.count == 0 && files.usedBytes == 0)
    #expect(!FileManager.default.fileExists(atPath: "\(fixture.store.path)/derived/thumbnails/demo/film"))
    try files.removeAsset("../demo")
  }

  @Test(arguments: ["", ".", "..", ".a", "a/b", "ä", "a b", String(repeating: "a", count: 129)])
  func namesStayInTheirFolder(name: String) throws {
    let fixture = try Fixture(wallClock: true)
    let files = try files(fixture)
    #expect(throws: StoreError.self) { try files.write(Self.key(name), [1]) }
    #expect(try files.open(Self.key(name)) == nil)
    #expect(throws: StoreError.self) {
      try DerivedFiles(fixture.store, owner: "thumbnails", site: name, budgetBytes: 1)
    }
  }

  @Test func theCollectorRemovesWhatHasNoAsset() throws {
    let fixture = try Fixture(wallClock: true)
    let asset = try fixture.publish("film", "asset")
    let generation = try #require(asset.generation)
    let files = try files(fixture)
    let kept = DerivedFiles.Key(asset: "film", generation: generation, name: "a.jpg")
    try files.write(kept, [1])
    try files.write(Self.key("old.jpg"), [1])
    try files.write(Self.key("gone.jpg", asset: "gone"), [1])
    let collector = GarbageCollector(store: fixture.store)
    #expect(try collector.run(.init(graceSeconds: 3600, isDryRun: true)).removedDerived == 2)
    #expect(try files.open(Self.key("old.jpg")) != nil)
    #expect(try collector.run(.init(graceSeconds: 3600)).removedDerived == 2)
    #expect(try files.open(Self.key("old.jpg")) == nil)
    #expect(try files.open(Self.key("gone.jpg", asset: "gone")) == nil)
    #expect(try files.open(kept) != nil)
    #expect(try Scrub(store: fixture.store).run().isClean)
  }
}

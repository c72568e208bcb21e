import Foundation
import Testing

@testable import Store

@Suite struct IndexTests {
  private func environment(_ folder: TemporaryFolder, mapSizeBytes: Int = 1 << 24) throws -> Environment {
    try Environment(path: folder.path, mapSizeBytes: mapSizeBytes, maximumReaders: 16)
  }

  private func put(_ environment: Environment, _ table: Table, _ entries: [String]) throws {
    let transaction = try environment.beginWrite()
    for entry in entries {
      let bytes = Array(entry.utf8)
      try transaction.put(table, bytes.span.bytes, bytes)
    }
    try transaction.commit()
  }

  private func keys(
    _ environment: Environment, _ table: Table, from start: String = "", _ order: ScanOrder = .ascending
  ) throws -> [String] {
    var keys: [String] = []
    let transaction = try environment.beginRead()
    try transaction.scan(table, from: Array(start.utf8).span.bytes, order) { key, _ in
      keys.append(String(decoding: key, as: UTF8.self))
      return .next
    }
    return keys
  }

  @Test func aSecondOpenInOneProcessIsRefused() throws {
    let folder = try TemporaryFolder()
    var first: Environment? = try environment(folder)
    #expect(code { try environment(folder) } == .locked)
    #expect(first != nil)
    first = nil
    _ = try environment(folder)
  }

  @Test func aSecondOpenByAnotherNameIsRefused() throws {
    let folder = try TemporaryFolder()
    let first = try environment(folder)
    let other = folder.path + "-link"
    try FileManager.default.createSymbolicLink(atPath: other, withDestinationPath: folder.path)
    defer { try? FileManager.default.removeItem(atPath: other) }
    #expect(code { try Environment(path: other, mapSizeBytes: 1 << 20, maximumReaders: 4) } == .locked)
    withExtendedLifetime(first) {}
  }

  @Test func aDroppedWriteNeverHappened() throws {
    let folder = try TemporaryFolder()
    let environment = try environment(folder)
    let table = try environment.table("test.table")
    do {
      let transaction = try environment.beginWrite()
      try transaction.put(table, [107].span.bytes, [107])
    }
    #expect(try keys(environment, table) == [])
    try put(environment, table, ["key"])
    #expect(try keys(environment, table) == ["key"])
  }

  @Test(arguments: [
    ("", ScanOrder.ascending, ["a", "c", "e"]), ("c", .ascending, ["c", "e"]), ("d", .ascending, ["e"]),
    ("f", .ascending, []), ("", .descending, ["e", "c", "a"]), ("c", .descending, ["c", "a"]),
    ("d", .descending, ["c", "a"]), ("f", .descending, ["e", "c", "a"]), ("A", .descending, []),
  ])
  func scansStartWhereTold(start: String, order: ScanOrder, expected: [String]) throws {
    let folder = try TemporaryFolder()
    let environment = try environment(folder)
    let table = try environment.table("test.table")
    try put(environment, table, ["c", "a", "e"])
    #expect(try keys(environment, table, from: start, order) == expected)
  }

  @Test func keysOfTheWrongLengthAreInvalid() throws {
    let folder = try TemporaryFolder()
    let environment = try environment(folder)
    let table = try environment.table("test.table")
    #expect(code { try put(environment, table, [""]) } == .invalid)
    #expect(code { try put(environment, table, [String(repeating: "x", count: 512)]) } == .invalid)
    try put(environment, table, [String(repeating: "x", count: 511)])
  }

  @Test func anIndexCutOffIsDamagedAndNoCrash() throws {
    let folder = try TemporaryFolder()
    do {
      let environment = try environment(folder)
      let table = try environment.table("test.table")
      try put(environment, table, (0..<5000).map { "key \($0)" })
    }
    #expect(truncate(folder.path + "/data.mdb", 16_384) == 0)
    #expect(code { try environment(folder) } == .damaged)
    // Refusing must not leave the folder marked as open.
    #expect(code { try environment(folder) } == .damaged)
  }

  /// LMDB would map that much, and the system have no memory for it: which says nothing about the index.
  @Test(arguments: [0, 1]) func aLastPageFarAwayIsDamage(meta: Int) throws {
    let folder = try TemporaryFolder()
    do {
      let environment = try environment(folder)
      try put(environment, try environment.table("test.table"), ["key"])
    }
    let file = try FileHandle(forUpdating: URL(filePath: folder.path + "/data.mdb"))
    try file.seek(toOffset: UInt64(meta * sysconf(Int32(_SC_PAGESIZE)) + 136))
    try file.write(contentsOf: Data([0, 0, 0, 0, 1, 0, 0, 0x40]))
    try file.close()
    #expect(code { try environment(folder) } == .damaged)
  }

  @Test func whatIsNoIndexIsDamaged() throws {
    let folder = try TemporaryFolder()
    try Data((0..<65_536).map { UInt8(truncatingIfNeeded: $0 &* 7) }).write(
      to: URL(filePath: folder.path + "/data.mdb"))
    #expect(code { try environment(folder) } == .damaged)
  }

  @Test func aCopyOpensAndHoldsTheSame() throws {
    let folder = try TemporaryFolder()
    let copy = try TemporaryFolder()
    let original = try environment(folder)
    let table = try original.table("test.table")
    try put(original, table, ["a", "b"])
    try original.copy(to: copy.path)
    try put(original, table, ["c"])
    let restored = try environment(copy)
    #expect(try keys(restored, restored.table("test.table")) == ["a", "b"])
  }

  @Test func theReserveAllocatesWithoutGrowingTheFile() throws {
    let folder = try TemporaryFolder()
    let environment = try environment(folder)
    func status() throws -> (size: Int, blocks: Int) {
      var raw = stat()
      #expect(stat(folder.path + "/data.mdb", &raw) == 0)
      return (raw.st_size, Int(raw.st_blocks) * 512)
    }
    let before = try status()
    guard environment.reserveDisk(4 << 20) else {
      print("This filesystem cannot reserve blocks: the check of the index reserve is skipped.")
      return
    }
    let after = try status()
    #expect(after.size == before.size)
    #expect(after.blocks > before.blocks)
  }

  @Test(arguments: [
    (ENOSPC, StoreError.Code.full), (EDQUOT, .full), (ENOENT, .notFound), (EACCES, .io), (EMFILE, .io),
    (EIO, .io),
  ])
  func systemErrorsMapToCodes(number: Int32, expected: StoreError.Code) {
    let error = StoreError.system(number, operation: "test", path: "/x")
    #expect(error.code == expected)
    #expect(error.underlying == number)
    #expect(!error.message.contains("/x"))
    #expect(error.description.contains("/x"))
  }
}

@Suite struct MapFullTests {
  @Test func aFullMapIsFullKeepsServingAndTakesMoreAfterRemovals() throws {
    let fixture = try Fixture(mapSizeBytes: 512 << 10)
    let store = fixture.store
    let blob = try fixture.stage("one for all")
    var published = 0
    var failure: StoreError?
    let text = String(repeating: "x", count: 1500)
    while failure == nil && published < 10_000 {
      do throws(StoreError) {
        try store.publishAsset(
          AssetDraft(site: "demo", id: "asset-\(published)", title: text, status: .ready, source: blob.id))
        published += 1
      } catch {
        failure = error
      }
    }
    #expect(failure?.code == .full)
    #expect(published > 10 && published < 10_000)
    // All that was acknowledged is there, nothing else is.
    #expect(
      try store.read { reader throws(StoreError) in try reader.listAssets(site: "demo", limit: 20_000).count }
        == published)
    for index in 0..<published / 2 {
      try store.removeAsset(site: "demo", id: "asset-\(index)")
    }
    try store.publishAsset(
      AssetDraft(site: "demo", id: "again", title: text, status: .ready, source: blob.id))
    #expect(
      try store.read { reader throws(StoreError) in try reader.asset(site: "demo", id: "again")?.title }
        == text)
  }
}

@Suite struct LayoutCheckTests {
  @Test func makesAFolderThatPasses() throws {
    let folder = try TemporaryFolder()
    try LayoutCheck.prepare(folder.path + "/storage")
    try LayoutCheck.prepare(folder.path + "/storage")
    #expect(
      try Disk.names(in: folder.path + "/storage") == ["blobs", "incoming", "index", "quarantine"])
    #expect(files(in: folder.path).isEmpty)
  }

  @Test func aMissingParentIsUnsuitable() throws {
    let folder = try TemporaryFolder()
    #expect(code { try LayoutCheck.prepare(folder.path + "/none/storage") } == .unsuitable)
  }

  @Test func aFileInTheWayIsAnError() throws {
    let folder = try TemporaryFolder()
    try Data().write(to: URL(filePath: folder.path + "/blobs"))
    #expect(code { try LayoutCheck.prepare(folder.path) } == .io)
  }

  @Test func twoFilesystemsAreRefused() throws {
    let folder = try TemporaryFolder()
    let other = "/dev/shm"
    guard let shared = try Disk.status(other), let own = try Disk.status(folder.path),
      shared.device != own.device
    else {
      print("There is no second filesystem at \(other): the check of two filesystems is skipped.")
      return
    }
    let blobs = "\(other)/store-tests-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: blobs, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: blobs) }
    try FileManager.default.createSymbolicLink(atPath: folder.path + "/blobs", withDestinationPath: blobs)
    #expect(code { try LayoutCheck.prepare(folder.path) } == .unsuitable)
  }

  @Test func anIndexOfANewerFormatIsRefused() throws {
    let folder = try TemporaryFolder()
    do {
      let store = try Store(path: folder.path, options: StoreOptions(indexMapSizeBytes: 1 << 24))
      try store.index.write { transaction throws(StoreError) in
        var key = IndexKey()
        _ = key.set("version")
        try transaction.put(store.tables.meta, key.bytes, [0, 0, 0, 9])
      }
    }
    #expect(
      code { try Store(path: folder.path, options: StoreOptions(indexMapSizeBytes: 1 << 24)) }
        == .incompatible)
  }
}

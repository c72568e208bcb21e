import Foundation
import Testing

@testable import Store

/// A store that compares what is read with what the blob's name vouches for.
@Suite struct ReadVerificationTests {
  private static let chunk = BlobSums.chunkBytes

  private final class Verifying {
    let folder: TemporaryFolder
    let store: Store

    init() throws {
      folder = try TemporaryFolder()
      store = try Store(
        path: folder.path + "/storage",
        options: StoreOptions(indexMapSizeBytes: 1 << 28, indexReserveBytes: 0, verifiesReads: true))
    }

    func stage(_ bytes: [UInt8]) throws -> BlobID {
      let writer = try store.blobs.makeWriter()
      for start in stride(from: 0, to: bytes.count, by: 300_001) {
        try writer.write(Array(bytes[start..<min(bytes.count, start + 300_001)]))
      }
      return try writer.finish().id
    }

    func change(_ id: BlobID, _ body: (inout Data) -> Void) throws {
      let path = store.blobs.path(of: id)
      chmod(path, 0o644)
      let file = try FileHandle(forUpdating: URL(filePath: path))
      defer { try? file.close() }
      var bytes = try file.readToEnd() ?? Data()
      body(&bytes)
      try file.seek(toOffset: 0)
      try file.write(contentsOf: bytes)
      try file.truncate(atOffset: UInt64(bytes.count))
    }

    func isQuarantined(_ id: BlobID) -> Bool {
      files(in: store.blobs.quarantinePath).contains { $0.hasPrefix(id.hex) }
    }
  }

  private static func content(_ count: Int, seed: UInt64 = 5) -> [UInt8] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
  }

  @Test(arguments: [0, 1, 100, chunk - 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 77])
  func wholeBlobsAreRead(count: Int) throws {
    let fixture = try Verifying()
    let bytes = Self.content(count)
    let id = try fixture.stage(bytes)
    let file = try fixture.store.blobs.open(id)
    #expect(file.isVerified(offset: 0, count: count) == (count == 0))
    #expect(try file.readAll() == bytes)
    #expect(file.isVerified(offset: 0, count: count))
    #expect(try file.readAll() == bytes)
    // Only where the name does not say as much.
    let hasSums = FileManager.default.fileExists(atPath: fixture.store.blobs.path(of: id) + BlobSums.suffix)
    #expect(hasSums == (count > Self.chunk))
    #expect(fixture.store.blobs.blobsFoundDamaged == 0)
  }

  @Test func whatIsDamagedIsNotRead() throws {
    let fixture = try Verifying()
    let bytes = Self.content(3 * Self.chunk + 5)
    for position in [0, Self.chunk + 17, 3 * Self.chunk + 4] {
      let id = try fixture.stage(bytes)
      try fixture.change(id) { $0[position] ^= 4 }
      let file = try fixture.store.blobs.open(id)
      let bad = position / Self.chunk
      for part in 0..<bad {
        #expect(
          try file.read(offset: UInt64(part * Self.chunk), count: 5)
            == Array(bytes[part * Self.chunk..<part * Self.chunk + 5]))
      }
      #expect(!fixture.isQuarantined(id))
      let start = UInt64(bad * Self.chunk)
      #expect(code { try file.read(offset: start, count: 2) } == .damaged)
      #expect(!file.isVerified(offset: start, count: 2))
      // Nothing of it is given out from now on.
      #expect(code { try file.read(offset: 0, count: 2) } == .damaged)
      #expect(fixture.isQuarantined(id))
      #expect(code { try fixture.store.blobs.open(id) } == .blobMissing)
      // The same bytes again are a good copy, with the sums that are there.
      #expect(try fixture.stage(bytes) == id)
      #expect(try fixture.store.blobs.open(id).readAll() == bytes)
      try FileManager.default.removeItem(atPath: fixture.store.blobs.quarantinePath + "/\(id.hex).0")
    }
    #expect(fixture.store.blobs.blobsFoundDamaged == 3)
  }

  @Test func whoHasABlobOpenHearsWhatAnotherFound() throws {
    let fixture = try Verifying()
    let id = try fixture.stage(Self.content(1000))
    let first = try fixture.store.blobs.open(id)
    let second = try fixture.store.blobs.open(id)
    _ = try first.read(offset: 0, count: 10)
    #expect(second.isVerified(offset: 0, count: 1000))
    try fixture.change(id) { $0[5] ^= 1 }
    #expect(code { try second.verify(offset: 0, count: 1) } == .damaged)
    #expect(!first.isVerified(offset: 0, count: 10))
    #expect(code { try first.read(offset: 0, count: 10) } == .damaged)
    #expect(fixture.store.blobs.blobsFoundDamaged == 1)
  }

  @Test func aSmallBlobIsComparedWithItsName() throws {
    let fixture = try Verifying()
    let id = try fixture.stage(Self.content(1000))
    try fixture.change(id) { $0[999] ^= 1 }
    let file = try fixture.store.blobs.open(id)
    #expect(code { try file.read(offset: 0, count: 1) } == .damaged)
    #expect(fixture.isQuarantined(id))
  }

  @Test func sumsThatAreMissingOrDamagedAreMadeAgain() throws {
    let fixture = try Verifying()
    let bytes = Self.content(2 * Self.chunk)
    let id = try fixture.stage(bytes)
    let path = fixture.store.blobs.path(of: id) + BlobSums.suffix
    let made = try Data(contentsOf: URL(filePath: path))
    let damages: [(inout Data) -> Void] = [
      { $0[20] ^= 1 }, { $0.removeLast() }, { $0.removeAll() }, { $0[$0.count - 1] ^= 1 }, { $0[0] = 0 },
    ]
    for damage in damages {
      var sums = made
      damage(&sums)
      chmod(path, 0o644)
      try sums.write(to: URL(filePath: path))
      #expect(try fixture.store.blobs.open(id).read(offset: 9, count: 4) == Array(bytes[9..<13]))
      #expect(try Data(contentsOf: URL(filePath: path)) == made)
    }
    try FileManager.default.removeItem(atPath: path)
    #expect(try fixture.store.blobs.open(id).read(offset: 9, count: 4) == Array(bytes[9..<13]))
    #expect(try Data(contentsOf: URL(filePath: path)) == made)
    // Sums of other bytes that look whole: the blob's name decides.
    let other = try fixture.stage(Self.content(2 * Self.chunk, seed: 6))
    chmod(path, 0o644)
    try Data(contentsOf: URL(filePath: fixture.store.blobs.path(of: other) + BlobSums.suffix)).write(
      to: URL(filePath: path))
    #expect(try fixture.store.blobs.open(id).readAll() == bytes)
    #expect(try Data(contentsOf: URL(filePath: path)) == made)
  }

  @Test func piecesAreVerifiedToo() throws {
    let fixture = try Verifying()
    let bytes = Self.content(2 * Self.chunk)
    let id = try fixture.stage(bytes)
    let pieces = [5, Self.chunk - 3, Self.chunk + 100].map { BlobFile.Piece(offset: UInt64($0), count: 6) }
    var buffer = [UInt8](repeating: 0, count: 18)
    try buffer.withUnsafeMutableBytes { try fixture.store.blobs.open(id).gather(pieces, into: $0) }
    #expect(buffer == pieces.flatMap { bytes[Int($0.offset)..<Int($0.offset) + 6] })
    try fixture.change(id) { $0[Self.chunk + 9] ^= 1 }
    let file = try fixture.store.blobs.open(id)
    #expect(code { try buffer.withUnsafeMutableBytes { try file.gather(pieces, into: $0) } } == .damaged)
  }

  @Test func theCollectorTakesSumsWithTheirBlob() throws {
    let fixture = try Verifying()
    let id = try fixture.stage(Self.content(2 * Self.chunk))
    let orphan = fixture.store.blobs.path(of: id) + BlobSums.suffix
    try FileManager.default.removeItem(atPath: fixture.store.blobs.path(of: id))
    let past = [FileAttributeKey.modificationDate: Date(timeIntervalSince1970: 1000)]
    try FileManager.default.setAttributes(past, ofItemAtPath: orphan)
    let kept = try fixture.stage(Self.content(2 * Self.chunk, seed: 9))
    try FileManager.default.setAttributes(past, ofItemAtPath: fixture.store.blobs.path(of: kept))
    #expect(try Scrub(store: fixture.store).run().strangers.isEmpty)
    let report = try GarbageCollector(store: fixture.store).run(.init(graceSeconds: 60))
    #expect(report.removedSidecars == 1)
    #expect(report.removedBlobs == [kept])
    #expect(files(in: fixture.store.blobs.blobsPath).isEmpty)
  }
}

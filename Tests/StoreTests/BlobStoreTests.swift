import Foundation
import Testing

@testable import Store

@Suite struct BlobStoreTests {
  @Test func bytesWrittenAreBytesRead() throws {
    let fixture = try Fixture()
    let writer = try fixture.store.blobs.makeWriter()
    var whole: [UInt8] = []
    var random = SplitMix64(seed: 7)
    for _ in 0..<50 {
      let part = (0..<Int.random(in: 0...40_000, using: &random)).map { UInt8(truncatingIfNeeded: $0) }
      try writer.write(part)
      whole += part
    }
    #expect(writer.sizeBytes == UInt64(whole.count))
    let staged = try writer.finish()
    #expect(staged == StagedBlob(id: BlobID.digest(of: whole), sizeBytes: UInt64(whole.count)))
    let file = try fixture.store.blobs.open(staged.id)
    #expect(file.sizeBytes == staged.sizeBytes)
    #expect(try file.readAll() == whole)
    #expect(files(in: fixture.store.blobs.incomingPath).isEmpty)
    let hex = staged.id.hex
    #expect(
      files(in: fixture.store.blobs.blobsPath) == ["\(hex.prefix(2))/\(hex.dropFirst(2).prefix(2))/\(hex)"])
  }

  @Test func readingPastTheEndGivesWhatThereIs() throws {
    let fixture = try Fixture()
    let file = try fixture.store.blobs.open(fixture.stage("0123456789").id)
    var buffer = [UInt8](repeating: 0, count: 8)
    let counts = try [(6, 4), (10, 0), (1 << 40, 0), (UInt64.max, 0)].map { offset, expected in
      (try buffer.withUnsafeMutableBytes { try file.read(at: UInt64(offset), into: $0) }, expected)
    }
    for (count, expected) in counts { #expect(count == expected) }
    #expect(code { try file.readAll(limitBytes: 9) } == .invalid)
  }

  @Test func equalBytesAreStoredOnce() throws {
    let fixture = try Fixture()
    let first = try fixture.stage("same")
    let inode = try Disk.status(fixture.store.blobs.path(of: first.id))?.inode
    let second = try fixture.stage("same")
    #expect(first == second)
    #expect(try Disk.status(fixture.store.blobs.path(of: first.id))?.inode == inode)
    #expect(files(in: fixture.store.path + "/incoming").isEmpty)
  }

  @Test func equalBytesStagedAgainStartTheGraceAnew() throws {
    let fixture = try Fixture()
    let blob = try fixture.stage("old")
    let path = fixture.store.blobs.path(of: blob.id)
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSince1970: 1000)], ofItemAtPath: path)
    _ = try fixture.stage("old")
    #expect(try #require(try Disk.status(path)).modifiedMilliseconds > 1_600_000_000_000)
  }

  @Test func aTruncatedBlobIsReplacedByTheGoodCopyInHand() throws {
    let fixture = try Fixture()
    let blob = try fixture.stage("whole bytes")
    #expect(truncate(fixture.store.blobs.path(of: blob.id), 3) == 0)
    #expect(try fixture.stage("whole bytes") == blob)
    #expect(try fixture.store.blobs.open(blob.id).readAll() == Array("whole bytes".utf8))
    #expect(files(in: fixture.store.blobs.quarantinePath) == ["\(blob.id.hex).0"])
  }

  @Test func aDroppedWriterLeavesNothing() throws {
    let fixture = try Fixture()
    do {
      let writer = try fixture.store.blobs.makeWriter()
      try writer.write([1, 2, 3])
      #expect(files(in: fixture.store.blobs.incomingPath).count == 1)
      _ = consume writer
    }
    #expect(files(in: fixture.store.blobs.incomingPath).isEmpty)
  }

  @Test func aFinishedWriterTakesNothingMore() throws {
    let fixture = try Fixture()
    let writer = try fixture.store.blobs.makeWriter()
    _ = try writer.finish()
    #expect(code { try writer.write([1]) } == .invalid)
    #expect(code { try writer.finish() } == .invalid)
  }

  @Test func aMissingBlobIsSaidToBeMissing() throws {
    let fixture = try Fixture()
    #expect(code { try fixture.store.blobs.open(BlobID.digest(of: [9])) } == .blobMissing)
    #expect(try fixture.store.blobs.sizeBytes(of: BlobID.digest(of: [9])) == nil)
    #expect(try !fixture.store.blobs.quarantine(BlobID.digest(of: [9])))
  }

  @Test func startRemovesLeftoversOfTheDeadAndNothingElse() throws {
    let fixture = try Fixture()
    let incoming = fixture.store.blobs.incomingPath
    try Data([1]).write(to: URL(filePath: "\(incoming)/1-abc.part"))
    try Data([1]).write(to: URL(filePath: "\(incoming)/upload-session"))
    let writer = try fixture.store.blobs.makeWriter()
    try writer.write([5])
    #expect(try fixture.store.blobs.removeLeftovers() == 1)
    #expect(files(in: incoming).count == 2)
    #expect(try writer.finish().sizeBytes == 1)
    #expect(files(in: incoming) == ["upload-session"])
  }

  @Test func temporaryFilesLastAsLongAsTheirOwner() throws {
    let fixture = try Fixture()
    let incoming = fixture.store.blobs.incomingPath
    var file: TemporaryFile? = try fixture.store.blobs.makeTemporaryFile()
    let path = try #require(file?.path)
    #expect(path.hasPrefix(incoming + "/") && (file?.descriptor ?? -1) >= 0)
    // A cleaner in another process leaves it alone while it is locked.
    #expect(try fixture.store.blobs.removeLeftovers() == 0)
    #expect(files(in: incoming).count == 1)
    file = nil
    #expect(files(in: incoming).isEmpty)
  }

  @Test func writersMayFinishAtOnceFromManyThreads() async throws {
    let fixture = try Fixture()
    let store = fixture.store
    let ids = try await withThrowingTaskGroup(of: BlobID.self) { group in
      for index in 0..<64 {
        group.addTask {
          let writer = try store.blobs.makeWriter()
          try writer.write([UInt8(index % 4)])
          return try writer.finish().id
        }
      }
      return try await group.reduce(into: Set<BlobID>()) { $0.insert($1) }
    }
    #expect(ids.count == 4)
    #expect(files(in: store.blobs.blobsPath).count == 4)
    #expect(files(in: store.blobs.incomingPath).isEmpty)
  }
}

@Suite struct BlobImportTests {
  private func file(_ bytes: Data, in fixture: Fixture) throws -> String {
    let path = fixture.folder.path + "/source.bin"
    try bytes.write(to: URL(filePath: path))
    return path
  }

  @Test func importCopiesAndLeavesTheSource() throws {
    let fixture = try Fixture()
    let bytes = Data((0..<3_500_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
    let path = try file(bytes, in: fixture)
    var steps: [UInt64] = []
    let staged = try fixture.store.blobs.importFile(path) { done, total in
      #expect(total == 3_500_000)
      steps.append(done)
    }
    #expect(steps == [1_048_576, 2_097_152, 3_145_728, 3_500_000])
    #expect(try fixture.store.blobs.open(staged.id).readAll() == Array(bytes))
    #expect(FileManager.default.fileExists(atPath: path))
  }

  @Test func aFileThatGrowsMeanwhileIsRefused() throws {
    let fixture = try Fixture()
    let path = try file(Data(count: 1_500_000), in: fixture)
    let found = code {
      try fixture.store.blobs.importFile(path) { done, _ in
        if done < 1_500_000, let handle = FileHandle(forWritingAtPath: path) {
          handle.seekToEndOfFile()
          handle.write(Data([1]))
          try? handle.close()
        }
      }
    }
    #expect(found == .conflict)
    #expect(files(in: fixture.store.blobs.blobsPath).isEmpty)
    #expect(files(in: fixture.store.blobs.incomingPath).isEmpty)
  }

  @Test func whatIsNoRegularFileIsRefused() throws {
    let fixture = try Fixture()
    #expect(code { try fixture.store.blobs.importFile(fixture.folder.path) } == .invalid)
    #expect(code { try fixture.store.blobs.importFile(fixture.folder.path + "/none") } == .notFound)
    #expect(code { try fixture.store.blobs.importFile("/dev/null") } == .invalid)
  }

  @Test func adoptingMovesWithoutCopying() throws {
    let fixture = try Fixture()
    let path = fixture.store.blobs.incomingPath + "/upload-1"
    try Data("uploaded".utf8).write(to: URL(filePath: path))
    let inode = try Disk.status(path)?.inode
    let staged = try fixture.store.blobs.adoptFile(path)
    #expect(staged.id == BlobID.digest(of: Array("uploaded".utf8)))
    #expect(try Disk.status(fixture.store.blobs.path(of: staged.id))?.inode == inode)
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test func aFullDiskIsFullAndLeavesNothing() throws {
    // /dev/full answers every write with ENOSPC.
    #expect(
      code {
        let full = try Disk.open("/dev/full", O_WRONLY, operation: "open")
        try [UInt8](repeating: 0, count: 10).withUnsafeBytes {
          try Disk.write($0, to: full, path: "/dev/full")
        }
      } == .full)
  }
}

@Suite struct SidecarTests {
  @Test func isReplacedAsAWhole() throws {
    let fixture = try Fixture()
    let blob = try fixture.stage("media")
    #expect(try fixture.store.blobs.openSidecar(blob.id) == nil)
    try fixture.store.blobs.writeSidecar(blob.id, [1, 2, 3])
    let old = try #require(try fixture.store.blobs.openSidecar(blob.id))
    try fixture.store.blobs.writeSidecar(blob.id, [4])
    #expect(try old.readAll() == [1, 2, 3])
    #expect(try fixture.store.blobs.openSidecar(blob.id)?.readAll() == [4])
    #expect(files(in: fixture.store.blobs.incomingPath).isEmpty)
  }
}

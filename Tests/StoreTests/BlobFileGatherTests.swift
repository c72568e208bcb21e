import Glibc
import Testing

@testable import Store

@Suite struct BlobFileGatherTests {
  private func file(_ count: Int) throws -> (BlobFile, [UInt8]) {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    let file = try BlobFile(sizeBytes: count) { target in target.copyBytes(from: bytes) }
    return (file, bytes)
  }

  private func gather(_ file: BlobFile, _ pieces: [BlobFile.Piece]) throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0xEE, count: pieces.reduce(0) { $0 + $1.count })
    try buffer.withUnsafeMutableBytes { try file.gather(pieces, into: $0) }
    return buffer
  }

  /// Few and many, short, empty and long, in any order and over each other.
  @Test(arguments: [0, 1, 2, 7, 1023, 1024, 1025, 5000]) func piecesComeInTheirOrder(count: Int) throws {
    let (file, bytes) = try file(1_000_000)
    var random = SystemRandomNumberGenerator()
    let pieces = (0..<count).map { number in
      let length =
        number % 501 == 500
        ? Int.random(in: 0...200_000, using: &random) : Int.random(in: 0...700, using: &random)
      return BlobFile.Piece(
        offset: UInt64.random(in: 0...UInt64(bytes.count - length), using: &random), count: length)
    }
    let expected = pieces.flatMap { bytes[Int($0.offset)..<Int($0.offset) + $0.count] }
    #expect(try gather(file, pieces) == expected)
  }

  @Test func piecesOutsideAreRefused() throws {
    let (file, _) = try file(1000)
    #expect(try gather(file, [.init(offset: 1000, count: 0)]).isEmpty)
    for (offset, count) in [(1000, 1), (999, 2), (UInt64.max, 1), (0, 1001)] as [(UInt64, Int)] {
      #expect(throws: StoreError.self) {
        try gather(file, [.init(offset: 0, count: 10), .init(offset: offset, count: count)])
      }
    }
  }

  private func onDisk(_ bytes: [UInt8]) throws -> (file: BlobFile, descriptor: Int32) {
    var path = Array("/tmp/headwater-gather-XXXXXX\0".utf8CString)
    let descriptor = mkstemp(&path)
    let name = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { unlink(name) }
    #expect(write(descriptor, bytes, bytes.count) == bytes.count)
    return (try BlobFile(path: name), descriptor)
  }

  /// Touching a page that is gone is SIGBUS, which the guard turns into an error, again and again and on any thread.
  @Test func aFileThatWasCutShortIsDamaged() async throws {
    let (file, descriptor) = try onDisk([UInt8](repeating: 7, count: 100_000))
    defer { close(descriptor) }
    let pieces = (0..<100).map { BlobFile.Piece(offset: UInt64($0) * 1000, count: 100) }
    #expect(try gather(file, pieces) == [UInt8](repeating: 7, count: 10_000))
    ftruncate(descriptor, 50_000)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<20 {
        group.addTask {
          #expect(throws: StoreError.self) { try self.gather(file, pieces) }
          // What is there still is had still: the pieces are then read one by one.
          #expect((try? self.gather(file, Array(pieces[..<50]))) == [UInt8](repeating: 7, count: 5000))
        }
      }
    }
  }

  /// The rest of the page in which a file now ends reads as zeros.
  @Test func zerosBehindTheEndAreNoBytesOfTheFile() throws {
    let (file, descriptor) = try onDisk([UInt8](repeating: 7, count: 8192))
    defer { close(descriptor) }
    #expect(try gather(file, [.init(offset: 5000, count: 10)]) == [UInt8](repeating: 7, count: 10))
    ftruncate(descriptor, 4100)
    #expect(throws: StoreError.self) { try gather(file, [.init(offset: 5000, count: 10)]) }
    #expect(throws: StoreError.self) { try gather(file, [.init(offset: 4090, count: 100)]) }
  }
}

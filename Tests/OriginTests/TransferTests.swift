import Glibc
import Loop
import Store
import Testing

@testable import Origin

/// Bodies of all shapes over a real socket, compared byte by byte.
@Suite struct TransferTests {
  /// Serves one body to `check`, with the counters of the loop that served it.
  private func serving(
    _ slices: [BodySlice], in folder: StoreFolder, _ check: (SocketAddress, LoopCounters) throws -> Void
  ) throws {
    let answer = Representation.of(slices)
    let server = try OriginUnderTest(folder.store, sites: [try OriginFixture.site()]) { answer }
    defer { server.stop() }
    try check(server.address, server.counters)
  }

  private func expectWhole(_ slices: [BodySlice], in folder: StoreFolder) throws {
    let expected = try slices.bytes()
    try serving(slices, in: folder) { address, _ throws in
      let answer = try TestClient.get("/", from: address)
      #expect(answer.status == 200)
      #expect(answer.fields["content-length"] == "\(expected.count)")
      #expect(answer.body == expected)
    }
  }

  /// Slices of a blob with gaps between them, as the samples of one track lie among those of another.
  private func slices(of file: BlobFile, count: Int, sizeBytes: Int, gapBytes: Int) -> [BodySlice] {
    (0..<count).map {
      .blob(file, offset: UInt64($0 * (sizeBytes + gapBytes)), count: UInt64(sizeBytes))
    }
  }

  private func stored(_ sizeBytes: Int, in folder: StoreFolder) throws -> BlobFile {
    var random = ConfigRandom(seed: 7)
    return try folder.blob(random.bytes(sizeBytes))
  }

  @Test func manySmallSlicesAreGathered() throws {
    let folder = try StoreFolder()
    let file = try stored(3 << 20, in: folder)
    // More than one writev holds (256 pieces) and with gaps.
    try expectWhole(slices(of: file, count: 1000, sizeBytes: 665, gapBytes: 1500), in: folder)
  }

  @Test func gatheringTakesTurns() throws {
    let folder = try StoreFolder()
    let file = try stored(10 << 20, in: folder)
    // 8 MiB in pieces of 16 KiB: several turns of 2 MiB.
    try expectWhole(slices(of: file, count: 512, sizeBytes: 16 << 10, gapBytes: 4096), in: folder)
  }

  @Test func largeSlicesAreSentFromTheFile() throws {
    let folder = try StoreFolder()
    let file = try stored(9 << 20, in: folder)
    try expectWhole([.blob(file, offset: 0, count: 9 << 20)], in: folder)
    try expectWhole(slices(of: file, count: 7, sizeBytes: 1 << 20, gapBytes: 12_345), in: folder)
  }

  @Test func ownedBytesAndPartsOfBlobsKeepTheirOrder() throws {
    let folder = try StoreFolder()
    let file = try stored(4 << 20, in: folder)
    var random = ConfigRandom(seed: 8)
    let head = random.bytes(3000)
    // A made segment: its head, then samples; once of small, once of large ones.
    try expectWhole(
      [.bytes(head)] + slices(of: file, count: 300, sizeBytes: 900, gapBytes: 7000), in: folder)
    try expectWhole(
      [.bytes(head)] + slices(of: file, count: 3, sizeBytes: 1 << 20, gapBytes: 1), in: folder)
    // Bytes between and behind, and from two files.
    let other = try folder.blob(random.bytes(200_000))
    try expectWhole(
      [
        .blob(file, offset: 5, count: 100_000), .bytes(head), .blob(other, offset: 0, count: 200_000),
        .bytes(random.bytes(70_000)), .blob(file, offset: 1 << 20, count: 50_000), .bytes([1]),
      ], in: folder)
    try expectWhole(
      (0..<400).flatMap { number -> [BodySlice] in
        [
          .blob(file, offset: UInt64(number * 8000), count: 500), .bytes(Array(head[..<100])),
          .blob(other, offset: UInt64(number * 300), count: 300),
        ]
      }, in: folder)
  }

  /// Parts that are made when their turn comes: between others, of many pieces, and cut by ranges.
  @Test func deferredPartsAreMadeInTheirPlace() throws {
    let folder = try StoreFolder()
    let file = try stored(4 << 20, in: folder)
    var random = ConfigRandom(seed: 10)
    let head = random.bytes(900)
    let pieces = DeferredParts([.bytes(head)] + slices(of: file, count: 300, sizeBytes: 900, gapBytes: 7000))
    let large = DeferredParts([.blob(file, offset: 77, count: 2 << 20), .bytes(head)])
    let small = DeferredParts([.bytes([1, 2, 3])])
    let body: [BodySlice] = [
      .deferred(small), .bytes(head), .deferred(pieces), .deferred(large), .blob(file, offset: 0, count: 99),
      .deferred(small),
    ]
    try expectWhole(body, in: folder)
    try expectWhole([.deferred(large)], in: folder)
    let whole = try body.bytes()
    for (lower, upper) in [(2, 5), (900, 950), (1000, 300_000), (500_000, 2_300_000)] {
      try expectWhole(body.cut(UInt64(lower), UInt64(upper)), in: folder)
      #expect(try body.cut(UInt64(lower), UInt64(upper)).bytes() == Array(whole[lower..<upper]))
    }
  }

  /// One that is not as long as promised, or can't be made, ends the connection short of its Content-Length.
  @Test(arguments: [true, false]) func aDeferredPartThatFailsTruncates(throwing: Bool) throws {
    let folder = try StoreFolder()
    let broken = DeferredParts([.bytes([1, 2, 3])], promisedBytes: 100_000, throwing: throwing)
    try serving([.bytes([9]), .deferred(broken)], in: folder) { address, _ throws in
      let answer = try TestClient.get("/", from: address)
      #expect(answer.fields["content-length"] == "100001")
      #expect(answer.body == [9])
    }
  }

  @Test func ownedBytesAlone() throws {
    let folder = try StoreFolder()
    var random = ConfigRandom(seed: 9)
    try expectWhole([.bytes(random.bytes(5 << 20))], in: folder)
    try expectWhole((0..<600).map { _ in .bytes(random.bytes(4000)) }, in: folder)
    try expectWhole([.bytes([])], in: folder)
  }

  /// The socket is full nearly always, so most bytes take the queued way.
  @Test(arguments: [665, 5 << 20]) func aSlowReaderGetsTheSame(sizeBytes: Int) throws {
    let folder = try StoreFolder()
    let file = try stored(6 << 20, in: folder)
    let parts = slices(
      of: file, count: sizeBytes == 665 ? 6000 : 1, sizeBytes: sizeBytes, gapBytes: sizeBytes == 665 ? 300 : 0
    )
    let expected = try parts.bytes()
    try serving(parts, in: folder) { address, counters throws in
      let answer = try TestClient.get("/", from: address, receiveBufferBytes: 2048, readBytes: 3001)
      #expect(answer.body == expected)
      #expect(counters.timeouts.value == 0)
    }
  }

  /// Answers one behind the other on one connection, asked for before the first was read.
  @Test func pipelinedAnswersDoNotMix() throws {
    let folder = try StoreFolder()
    let file = try stored(2 << 20, in: folder)
    let parts: [BodySlice] = [.blob(file, offset: 0, count: 2 << 20)]
    let expected = try parts.bytes()
    try serving(parts, in: folder) { address, _ throws in
      let client = try TestClient(address, receiveBufferBytes: 2048)
      let one = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
      try client.send(one + one + "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      var rest = client.readAll(atMost: 100_000).bytes[...]
      for number in 0..<3 {
        let end = try #require(rest.firstRange(of: Array("\r\n\r\n".utf8)))
        let body = rest[end.upperBound...].prefix(expected.count)
        #expect(body.elementsEqual(expected), "answer \(number)")
        rest = rest[body.endIndex...]
      }
      #expect(rest.isEmpty)
    }
  }

  /// A file that is shorter than the index says: the client sees the end, and no byte that is not the file's.
  @Test(arguments: [true, false]) func aTruncatedBlobEndsTheConnection(isGathered: Bool) throws {
    let folder = try StoreFolder()
    var random = ConfigRandom(seed: 10)
    let bytes = random.bytes(3 << 20)
    let staged = try folder.stage(bytes)
    let file = try folder.store.blobs.open(staged.id)
    let parts =
      isGathered
      ? slices(of: file, count: 3000, sizeBytes: 1024, gapBytes: 0)
      : [.blob(file, offset: 0, count: 3 << 20)]
    chmod(folder.store.blobs.path(of: staged.id), 0o600)
    #expect(truncate(folder.store.blobs.path(of: staged.id), 1_000_000) == 0)
    try serving(parts, in: folder) { address, _ throws in
      let client = try TestClient(address)
      try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      let answer = try TestClient.Answer(client.readAll().bytes)
      #expect(answer.fields["content-length"] == "\(parts.reduce(0) { $0 + $1.count })")
      #expect(answer.body.count <= 1_000_000)
      #expect(answer.body.elementsEqual(bytes[..<answer.body.count]), "never padded")
      // The server goes on, and the next client fares no worse.
      let next = try TestClient.get("/", from: address)
      #expect(next.status == 200 && next.body.count <= 1_000_000)
    }
  }

  /// Pages that were dropped come back over a worker.
  @Test(
    arguments: [
      (1, 7 << 20, 0), (300, 600, 20_000), (2000, 900, 3_000), (2, 1_500_000, 2_000_000),
    ] as [(Int, Int, Int)])
  func aColdFileIsReadInByWorkers(count: Int, sizeBytes: Int, gapBytes: Int) throws {
    let folder = try StoreFolder()
    let staged = try folder.stage(
      {
        var random = ConfigRandom(seed: 11)
        return random.bytes(8 << 20)
      }())
    let file = try folder.store.blobs.open(staged.id)
    let parts = slices(of: file, count: count, sizeBytes: sizeBytes, gapBytes: gapBytes)
    let expected = try parts.bytes()
    fsync(file.descriptor)
    posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_DONTNEED)
    let isCold = PageCacheProbe.isResident(descriptor: file.descriptor, offset: 0, count: 8 << 20) == false
    if !isCold { print("note: this file system keeps its pages; the cold way is not tested") }
    try serving(parts, in: folder) { address, counters throws in
      let answer = try TestClient.get("/", from: address)
      #expect(answer.body == expected)
      #expect(counters.coldReads.value > 0 || !isCold)
      // A read of the disk brings at least its own slice forward: their number is bounded.
      #expect(counters.coldReads.value <= UInt64(count) + 64)
    }
  }

  /// A client that goes away in the middle costs only its own connection.
  @Test func clientsThatVanish() throws {
    let folder = try StoreFolder()
    let file = try stored(8 << 20, in: folder)
    let parts: [BodySlice] = [.blob(file, offset: 0, count: 8 << 20)]
    let expected = try parts.bytes()
    try serving(parts, in: folder) { address, counters throws in
      for _ in 0..<8 {
        let client = try TestClient(address, receiveBufferBytes: 2048)
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      }
      #expect(try TestClient.get("/", from: address).body == expected)
    }
  }
}

private struct DeferredParts: DeferredBody {
  let parts: [BodySlice]
  let lengthBytes: UInt64
  let isThrowing: Bool

  init(_ parts: [BodySlice], promisedBytes: UInt64? = nil, throwing: Bool = false) {
    self.parts = parts
    lengthBytes = promisedBytes ?? parts.reduce(0) { $0 + $1.count }
    isThrowing = throwing
  }

  func slices() throws(Problem) -> [BodySlice] {
    if isThrowing { throw .damaged }
    return parts
  }
}

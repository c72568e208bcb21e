import Foundation
import Glibc
import Loop
import Net
import Store
import Support
import Testing

@testable import Origin

/// Sources fetched from an origin that is unsteady, and results brought to it.
@Suite(.serialized, .timeLimit(.minutes(3))) struct OriginJobStorageTests {
  /// A worker's storage, with an origin that serves one blob.
  private final class Bench: Sendable {
    let folder: TemporaryFolder
    let store: Store
    let threads: LoopThreads
    let workers: WorkerPool
    let origin: BackgroundCommand
    let storage: OriginJobStorage
    let bytes: [UInt8]
    let blob: BlobID

    init(_ words: [String], sizeBytes: Int = 3 << 20, cacheBytes: UInt64 = 1 << 30) throws {
      ignoreSIGPIPE()
      folder = try TemporaryFolder("origin")
      bytes = (0..<sizeBytes).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) }
      blob = BlobID.digest(of: bytes)
      threads = try LoopThreads(count: 1)
      workers = try WorkerPool(threadCount: 2)
      store = try Store(
        path: folder.path("worker"), options: StoreOptions(indexMapSizeBytes: 1 << 30, indexReserveBytes: 0))
      let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "unsteady-origin.py")
        .path
      origin = try BackgroundCommand("python3", [script, try folder.write("blob", bytes)] + words)
      let port = try #require(origin.line(startingWith: "port ", .seconds(30)))
      var options = HTTPClient.Options()
      options.addresses = .publicAndPrivate
      let client = OriginClient(
        url: "http://127.0.0.1:\(port)", token: Secret(bytes: Array("token".utf8)),
        client: HTTPClient(loop: threads.loops[0], options: options), logger: OriginFixture.logger)
      storage = OriginJobStorage(
        origin: client, store: store, workers: workers, disk: JobDisk(budgetBytes: 1 << 30),
        cacheBytes: cacheBytes)
    }

    deinit {
      origin.kill()
      threads.stopAndJoin()
      workers.shutdown()
    }

    /// What has been asked; so many are waited for.
    func requests(_ count: Int) async throws -> [String] {
      let deadline = ContinuousClock.now + .seconds(30)
      while true {
        let lines = origin.lines(startingWith: "request ")
        if lines.count >= count || ContinuousClock.now > deadline { return lines }
        try await Task.sleep(for: .milliseconds(5))
      }
    }

    func read(_ source: JobSource) -> [UInt8] {
      var buffer = [UInt8](repeating: 0, count: Int(source.sizeBytes) + 1)
      let count = buffer.withUnsafeMutableBytes { pread(source.descriptor, $0.baseAddress, $0.count, 0) }
      return Array(buffer.prefix(max(0, count)))
    }

    var incoming: [String] {
      (try? FileManager.default.contentsOfDirectory(atPath: folder.path("worker/incoming"))) ?? []
    }
  }

  @Test func aSourceComesInPartsAndIsFetchedOnce() async throws {
    // Two parts and a half.
    let bench = try Bench([], sizeBytes: Int(OriginClient.partBytes) * 5 / 2)
    async let first = bench.storage.source(bench.blob)
    async let second = bench.storage.source(bench.blob)
    let sources = try await [first, second]
    for source in sources { #expect(bench.read(source) == bench.bytes) }
    #expect(bench.read(try await bench.storage.source(bench.blob)) == bench.bytes)
    let requests = try await bench.requests(3)
    #expect(requests.count == 3, "\(requests)")
    #expect(bench.incoming.isEmpty)
  }

  @Test func aCutIsMadeGood() async throws {
    let bench = try Bench(
      ["well", "cut", "busy", "cut", "well"], sizeBytes: Int(OriginClient.partBytes) * 3 / 2)
    #expect(bench.read(try await bench.storage.source(bench.blob)) == bench.bytes)
    let part = OriginClient.partBytes
    let requests = try await bench.requests(5)
    #expect(
      requests.map { $0.split(separator: " ")[2] } == ["bytes=0-\(part - 1)"]
        + [Substring](repeating: "bytes=\(part)-\(2 * part - 1)", count: 4), "\(requests)")
  }

  @Test(arguments: [
    (["wrong"], "source-damaged-on-its-way"), (["gone"], "source-gone"), (["refuse"], "origin-refuses"),
  ]) func whatIsNotTheSourceIsNotKept(words: [String], code: String) async throws {
    let bench = try Bench(words)
    let error = await #expect(throws: JobFailure.self) { try await bench.storage.source(bench.blob) }
    #expect(error?.code == code && bench.incoming.isEmpty)
    if code == "origin-refuses" { #expect(error?.kind == .postponed(milliseconds: 60_000)) }
    // The next attempt finds nothing of it in its way.
    #expect(bench.read(try await bench.storage.source(bench.blob)) == bench.bytes)
  }

  @Test func aSourceThatIsTooLargeForTheCacheWaits() async throws {
    let bench = try Bench([], cacheBytes: 1 << 20)
    let error = await #expect(throws: JobFailure.self) { try await bench.storage.source(bench.blob) }
    #expect(error?.code == "source-cache-too-small" && error?.kind == .postponed(milliseconds: 600_000))
  }

  @Test func aResultIsBroughtUntilItIsThere() async throws {
    let bench = try Bench(["busy", "busy"])
    let output = try await bench.storage.makeOutput(maximumBytes: UInt64(bench.bytes.count))
    #expect(
      bench.bytes.withUnsafeBytes { pwrite(output.descriptor, $0.baseAddress, $0.count, 0) }
        == bench.bytes.count)
    #expect(try await bench.storage.keep(output) == bench.blob)
    #expect(try await bench.requests(3).count == 3)
    // It need not be fetched by the next job that reads it.
    #expect(bench.read(try await bench.storage.source(bench.blob)) == bench.bytes)
    #expect(try await bench.requests(3).count == 3)
  }

  @Test func whoIsStoppedWaitsNoLonger() async throws {
    let bench = try Bench([String](repeating: "busy", count: 1000))
    let storage = bench.storage
    let blob = bench.blob
    let work = Task { try await storage.source(blob) }
    #expect(try await !bench.requests(1).isEmpty)
    let begun = ContinuousClock.now
    work.cancel()
    let result = await work.result
    #expect(throws: JobFailure.self) { try result.get() }
    #expect(ContinuousClock.now - begun < .seconds(6))
  }
}

import Glibc
import Testing

@testable import Store

@Suite struct BlobCacheTests {
  private let fixture: Fixture

  init() throws { fixture = try Fixture(wallClock: true) }

  /// As if it had been used so many seconds ago.
  private func age(_ id: BlobID, seconds: Int) {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    now.tv_sec -= seconds
    let times = [now, now]
    #expect(utimensat(AT_FDCWD, fixture.store.blobs.path(of: id), times, 0) == 0)
  }

  @Test func whatWasUsedLongestAgoMakesRoom() throws {
    let cache = BlobCache(fixture.store.blobs, budgetBytes: 30)
    let ids = try ["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"].map { try fixture.stage($0).id }
    for (number, id) in ids.enumerated() { age(id, seconds: 300 - 100 * number) }
    #expect(try cache.makeRoom(sizeBytes: 0) != nil)
    for id in ids { #expect(try fixture.store.blobs.sizeBytes(of: id) == 10) }
    // The oldest is used: the second oldest goes.
    let file = try #require(try cache.open(ids[0]))
    let room = try #require(try cache.makeRoom(sizeBytes: 10))
    #expect(try cache.open(ids[1]) == nil && cache.open(ids[2]) != nil)
    // What is on its way counts.
    let second = try #require(try cache.makeRoom(sizeBytes: 20))
    #expect(try cache.open(ids[0]) == nil && cache.open(ids[2]) == nil)
    #expect(try cache.makeRoom(sizeBytes: 1) == nil)
    withExtendedLifetime((room, second)) {}
    // One that is read goes on being read.
    var buffer = [UInt8](repeating: 0, count: 10)
    #expect(
      try buffer.withUnsafeMutableBytes { bytes throws(StoreError) in try file.read(at: 0, into: bytes) }
        == 10)
  }

  @Test func roomIsGivenBackAndMoreThanAllIsRefused() throws {
    let cache = BlobCache(fixture.store.blobs, budgetBytes: 30)
    do {
      let room = try #require(try cache.makeRoom(sizeBytes: 30))
      #expect(try cache.makeRoom(sizeBytes: 1) == nil)
      withExtendedLifetime(room) {}
    }
    #expect(try cache.makeRoom(sizeBytes: 30) != nil)
    #expect(code { _ = try cache.makeRoom(sizeBytes: 31) } == .full)
  }
}

import Foundation
import Testing

@testable import Store

/// A filesystem of 16 MiB in memory, unmounted with the last reference; `nil` where this process may not mount.
private final class SmallDisk: Sendable {
  let folder: TemporaryFolder

  var path: String { folder.path }

  init?() throws {
    folder = try TemporaryFolder()
    guard mount("tmpfs", folder.path, "tmpfs", 0, "size=16m") == 0 else {
      print("This process may not mount a small filesystem: the checks of a full disk are skipped.")
      return nil
    }
  }

  deinit { umount2(folder.path, Int32(MNT_DETACH)) }
}

@Suite struct FullDiskTests {
  private func fill(_ store: Store) -> (published: [BlobID], failure: StoreError?) {
    var published: [BlobID] = []
    var sizeBytes = 1 << 20
    var failure: StoreError?
    var random = SplitMix64(seed: 3)
    // Ever smaller blobs, until not even a page is left.
    while sizeBytes >= 1024 {
      do throws(StoreError) {
        let writer = try store.blobs.makeWriter()
        try writer.write(
          [UInt8](repeating: UInt8.random(in: 0...255, using: &random), count: sizeBytes - published.count))
        let blob = try writer.finish()
        try store.publishAsset(
          AssetDraft(site: "demo", id: "a\(published.count)", status: .ready, source: blob.id))
        published.append(blob.id)
      } catch {
        failure = error
        if error.code != .full { break }
        sizeBytes /= 2
      }
    }
    return (published, failure)
  }

  @Test func aFullDiskIsToldReadsGoOnRemovingWorksAndSpaceComesBack() throws {
    guard let disk = try SmallDisk() else { return }
    let store = try Store(
      path: disk.path + "/storage", options: StoreOptions(graceSeconds: 0, indexMapSizeBytes: 1 << 28))
    let (published, failure) = fill(store)
    #expect(failure?.code == .full)
    #expect(published.count > 10)
    #expect(files(in: store.blobs.incomingPath).isEmpty)

    // Everything acknowledged is whole.
    let found = try store.read { reader throws(StoreError) in
      try reader.listAssets(site: "demo", limit: 1000).compactMap(\.source)
    }
    #expect(Set(found) == Set(published))
    for blob in published {
      #expect(try BlobID.digest(of: store.blobs.open(blob).readAll()) == blob)
    }

    // Removing needs index pages although the disk has none left: they come from the reserve.
    for index in 0..<5 { try store.removeAsset(site: "demo", id: "a\(index)") }
    let report = try GarbageCollector(store: store).run(GarbageCollector.Options(graceSeconds: 0))
    #expect(Set(report.removedBlobs).isSuperset(of: Set(published[..<5]).subtracting(published[5...])))
    #expect(report.freedBytes > 4 << 20)

    // The same process goes on without a restart.
    let again = try store.blobs.makeWriter()
    try again.write([UInt8](repeating: 7, count: 2 << 20))
    let blob = try again.finish()
    try store.publishAsset(AssetDraft(site: "demo", id: "again", status: .ready, source: blob.id))
    #expect(try Scrub(store: store).run().isClean)
  }

  @Test func aStoreOpensOnAFullDisk() throws {
    guard let disk = try SmallDisk() else { return }
    let options = StoreOptions(indexMapSizeBytes: 1 << 28)
    var published: [BlobID] = []
    do {
      let store = try Store(path: disk.path + "/storage", options: options)
      published = fill(store).published
    }
    let store = try Store(path: disk.path + "/storage", options: options)
    #expect(
      try store.read { reader throws(StoreError) in try reader.listAssets(site: "demo", limit: 1000).count }
        == published.count)
  }
}

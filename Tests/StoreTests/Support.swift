import Foundation
import Synchronization
import Testing

@testable import Store

/// An empty folder that goes with the last reference to it.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "store-tests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A wall clock that moves when told to.
final class FakeClock: Sendable {
  private let now: Mutex<Int64>

  init(_ milliseconds: Int64 = 1_700_000_000_000) { now = Mutex(milliseconds) }

  var milliseconds: Int64 { now.withLock { $0 } }

  func advance(seconds: Int64) { now.withLock { $0 += seconds * 1000 } }
}

/// A store in a folder of its own.
///
/// The store comes first, so that it is closed before the folder goes: else a folder that another test makes could get
/// the number by which the store knows that it is open.
struct Fixture {
  let store: Store
  let folder: TemporaryFolder
  let clock: FakeClock

  /// - Parameter wallClock: use the system's clock, as the files' times do.
  init(wallClock: Bool = false, graceSeconds: Int = 3600, mapSizeBytes: Int = 1 << 30) throws {
    let folder = try TemporaryFolder()
    let clock = FakeClock(wallClock ? Store.wallClockMilliseconds() : 1_700_000_000_000)
    self.folder = folder
    self.clock = clock
    store = try Store(
      path: folder.path + "/storage",
      options: StoreOptions(
        graceSeconds: graceSeconds, indexMapSizeBytes: mapSizeBytes, indexReserveBytes: 1 << 20,
        nowMilliseconds: { clock.milliseconds }))
  }

  func stage(_ text: String) throws -> StagedBlob {
    let writer = try store.blobs.makeWriter()
    try writer.write(Array(text.utf8))
    return try writer.finish()
  }

  @discardableResult
  func publish(_ id: String, _ text: String, site: String = "demo", title: String? = nil) throws
    -> AssetRecord
  {
    let blob = try stage(text)
    return try store.publishAsset(
      AssetDraft(site: site, id: id, title: title, status: .ready, source: blob.id))
  }
}

/// Sebastiano Vigna's SplitMix64: the same numbers for the same seed.
struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

/// The code that `body` throws, `nil` where it throws nothing or something else.
func code<Result>(of body: () throws -> Result) -> StoreError.Code? {
  do {
    _ = try body()
    return nil
  } catch {
    return (error as? StoreError)?.code
  }
}

func files(in path: String) -> [String] {
  (FileManager.default.enumerator(atPath: path)?.allObjects as? [String] ?? []).filter { name in
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: "\(path)/\(name)", isDirectory: &isFolder)
      && !isFolder.boolValue
  }.sorted()
}

/// Counts across tasks.
final class Counter: Sendable {
  private let value = Mutex(0)

  var count: Int { value.withLock { $0 } }

  func increment() { value.withLock { $0 += 1 } }
}

// Where pictures come from: memory, the disk, or a process that decodes; in this order, and once for all who ask.
//
//     asked for            what happens
//     lately               its bytes, or its open file, are in memory
//     before               a worker reads the derived file and checks it
//     never                `StillStudio` makes it; it is written as a derived file, and everybody who waits gets it
//     what gave none       422 with the reason, from memory, for ten minutes
//     while all is busy    503, and for the next second, too
//
// A disk that is full or refuses costs the keeping of a picture and not the picture.

import Logging
import Loop
import Origin
import Store
import Synchronization

/// The pictures of one site. Safe from any thread.
final class ThumbnailMaker: Sendable {
  /// Something that was made.
  struct Made: Sendable {
    let slices: [BodySlice]
    let digest: BlobID

    init(_ bytes: [UInt8]) {
      slices = [.bytes(bytes)]
      digest = BlobID.digest(of: bytes)
    }

    /// Small ones are held as bytes: they cost no descriptor.
    init(_ file: DerivedFile) throws(StoreError) {
      digest = file.digest
      if file.sizeBytes <= UInt64(ThumbnailMaker.inMemoryBytes) {
        slices = [.bytes(try file.bytes())]
      } else {
        slices = [.blob(file.file, offset: file.offset, count: file.sizeBytes)]
      }
    }
  }

  enum Lookup {
    case made(Made)
    case failed(Problem)
    case unknown
  }

  private enum Entry {
    case made(Made)
    case failed(Problem, until: ContinuousClock.Instant)
  }

  private struct State {
    var entries: [DerivedFiles.Key: (entry: Entry, lastUse: UInt64)] = [:]
    var waiting: [DerivedFiles.Key: [UnsafeContinuation<Void, Never>]] = [:]
    var clock: UInt64 = 0
  }

  private static let inMemoryBytes = 64 << 10
  private static let mostEntries = 256
  private let files: DerivedFiles
  private let host: PluginHost
  let studio: StillStudio
  private let state = Mutex(State())

  init(_ files: DerivedFiles, _ studio: StillStudio, _ host: PluginHost) {
    self.files = files
    self.studio = studio
    self.host = host
  }

  func lookup(_ key: DerivedFiles.Key) -> Lookup {
    let found: Lookup = state.withLock { state in
      guard let entry = state.entries[key]?.entry else { return .unknown }
      state.clock += 1
      state.entries[key]?.lastUse = state.clock
      switch entry {
      case .made(let made): return .made(made)
      case .failed(let problem, let until): return until > .now ? .failed(problem) : .unknown
      }
    }
    if case .made = found { files.touch(key) }
    return found
  }

  /// Returns when `lookup` knows more: what was made, or why not. Resumes on the caller's executor.
  ///
  /// - Parameter produce: makes the bytes; runs for the first who asks.
  nonisolated(nonsending) func make(
    _ key: DerivedFiles.Key, _ produce: @Sendable () async throws(StillError) -> [UInt8]
  ) async {
    let isFirst = state.withLock { state in
      if state.waiting[key] != nil { return false }
      state.waiting[key] = []
      return true
    }
    guard isFirst else {
      await withUnsafeContinuation { continuation in
        let isOver = state.withLock { state in
          guard state.waiting[key] != nil else { return true }
          state.waiting[key]?.append(continuation)
          return false
        }
        if isOver { continuation.resume() }
      }
      return
    }
    let entry = await found(key, produce)
    let waiting = state.withLock { state in
      state.clock += 1
      state.entries[key] = (entry, state.clock)
      if state.entries.count > Self.mostEntries { Self.dropOldest(&state) }
      return state.waiting.removeValue(forKey: key) ?? []
    }
    for continuation in waiting { continuation.resume() }
  }

  private nonisolated(nonsending) func found(
    _ key: DerivedFiles.Key, _ produce: @Sendable () async throws(StillError) -> [UInt8]
  ) async -> Entry {
    let files = files
    do {
      if let kept = try await host.workers.run({ try files.open(key).map { file in try Made(file) } }) {
        return .made(kept)
      }
    } catch let error as StoreError {
      host.logger.warning("a kept picture can't be read: \(error)")
    } catch {
      return .failed(.thumbnailsBusy, until: .now + .seconds(1))
    }
    do throws(StillError) {
      let bytes = try await produce()
      host.logger.debug("picture made", metadata: ["asset": "\(key.asset)", "name": "\(key.name)"])
      do {
        return .made(try await host.workers.run { try Made(files.write(key, bytes)) })
      } catch {
        host.logger.warning("a picture can't be kept: \(error)")
        return .made(Made(bytes))
      }
    } catch {
      return .failed(Problem(error), until: failureEnd(error, key))
    }
  }

  private func failureEnd(_ error: StillError, _ key: DerivedFiles.Key) -> ContinuousClock.Instant {
    switch error.kind {
    case .media:
      if !error.cause.isEmpty {
        host.logger.warning("no picture can be made: \(error.cause)", metadata: ["asset": "\(key.asset)"])
      }
      return .now + .seconds(600)
    case .busy: return .now + .seconds(1)
    case .server:
      host.logger.error(
        "a picture could not be made: \(error.message) \(error.cause)", metadata: ["asset": "\(key.asset)"])
      return .now + .seconds(2)
    }
  }

  private static func dropOldest(_ state: inout State) {
    let uses = state.entries.values.map(\.lastUse).sorted()
    let middle = uses[uses.count / 2]
    state.entries = state.entries.filter { $0.value.lastUse > middle }
  }

  // MARK: Upkeep

  /// Forgets an asset, in memory and on disk.
  nonisolated(nonsending) func remove(asset: String) async throws {
    state.withLock { state in
      for key in state.entries.keys where key.asset == asset { state.entries[key] = nil }
    }
    let files = files
    try await host.workers.run { try files.removeAsset(asset) }
    host.logger.debug("pictures removed", metadata: ["asset": "\(asset)"])
  }

  /// Counts what is on disk, and brings it under the budget.
  nonisolated(nonsending) func scan() async {
    let files = files
    do { try await host.workers.run { try files.scan() } } catch {
      host.logger.warning("the kept pictures can't be counted: \(error)")
    }
  }

  /// Runs what reads from the disk.
  nonisolated(nonsending) func onWorker<Value: Sendable>(
    _ work: @escaping @Sendable () throws(Problem) -> Value
  ) async throws(StillError) -> Value {
    do {
      return try await host.workers.run { try work() }
    } catch let problem as Problem {
      throw StillError(.server, problem.code, problem.detail, cause: problem.cause ?? "")
    } catch {
      throw StillError(.busy, "thumbnails-busy", "Too much waits for the disk; try again soon.")
    }
  }
}

extension Problem {
  static let thumbnailsBusy = Problem(
    status: 503, code: "thumbnails-busy", title: "Too many pictures at once",
    detail: "More pictures are asked for than can be made; try again soon.",
    fields: [.init("Retry-After", "1")])

  init(_ error: StillError) {
    switch error.kind {
    case .busy: self = .thumbnailsBusy
    case .media:
      self.init(
        status: 422, code: "thumbnail-undecodable", title: "No picture can be made", detail: error.message)
    case .server where error.code == "blob-damaged":
      self = .damaged
      cause = error.cause
    case .server:
      self.init(
        status: 503, code: "thumbnails-unavailable", title: "No picture now",
        detail: "The picture could not be made just now; the server's log says why.",
        fields: [.init("Retry-After", "2")])
    }
  }
}

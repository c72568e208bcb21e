// Where still pictures are made: a few threads, each with one process at a time.
//
// One studio serves all sites of a server, whoever asks. It has as many threads as the machine has cores: a picture is
// all processor time. What comes while all are busy waits in line, and when the line is full it is refused, so that a
// crowd costs the server a bounded number of processes and the viewer a 503 and not a minute.
//
// One process is started ahead of its order (`StillProcess`), and the next one when that is used.

import Glibc
public import Loop
public import Packaging
public import Store
import Synchronization

/// Samples of one blob, and what to make of them.
public struct StillSource: Sendable {
  public var order: StillOrder
  public var configuration: [UInt8]
  public var file: BlobFile
  /// Where the samples of the order lie in the file, in its order.
  public var ranges: [(offset: UInt64, sizeBytes: UInt32)]

  public init(
    order: StillOrder, configuration: [UInt8], file: BlobFile, ranges: [(offset: UInt64, sizeBytes: UInt32)]
  ) {
    self.order = order
    self.configuration = configuration
    self.file = file
    self.ranges = ranges
  }
}

/// Why there are no pictures.
public struct StillError: Error, Sendable, Equatable {
  public enum Kind: Sendable {
    /// The media gives none, now and later.
    case media
    /// Too many wait already; try again soon.
    case busy
    /// The server could not do its work; its log says why.
    case server
  }

  public var kind: Kind
  /// Stable.
  public var code: String
  /// One sentence for people.
  public var message: String
  /// For the log; never part of an answer.
  public var cause = ""

  public init(_ kind: Kind, _ code: String, _ message: String, cause: String = "") {
    self.kind = kind
    self.code = code
    self.message = message
    self.cause = cause
  }
}

/// One picture that was made.
public struct StillImage: Sendable, Equatable {
  /// Its place in the order.
  public var number: Int
  public var widthPixels: Int
  public var heightPixels: Int
  public var bytes: [UInt8]
}

/// Makes still pictures in processes of their own.
public final class StillStudio: Sendable {
  /// How much work may wait beside what runs.
  public static let queueLimit = 256
  /// A picture takes milliseconds, a sheet of a hundred some seconds.
  private static let limit = Duration.seconds(60)

  private struct Shared: Sendable {
    var studio: StillStudio?
    var users = 0
  }
  private static let shared = Mutex(Shared())

  private let workers: WorkerPool
  private struct Spare: Sendable {
    var process: StillProcess?
    var isStarting = false
    var isClosed = false
  }
  private let spare = Mutex(Spare())

  private init() throws(LoopError) {
    workers = try WorkerPool(
      threadCount: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))), queueLimit: Self.queueLimit)
  }

  /// The studio of this process; made for the first who asks. Each call needs a `release()`.
  public static func acquire() throws(LoopError) -> StillStudio {
    try shared.withLock { shared throws(LoopError) in
      let studio: StillStudio
      if let known = shared.studio { studio = known } else { studio = try StillStudio() }
      shared.studio = studio
      shared.users += 1
      return studio
    }
  }

  /// Ends the threads after the last user. Blocks until what runs is done: not on a loop.
  public static func release() {
    let doomed = shared.withLock { shared -> StillStudio? in
      shared.users -= 1
      guard shared.users == 0 else { return nil }
      return shared.studio.take()
    }
    doomed?.close()
  }

  private func close() {
    let process = spare.withLock { spare -> StillProcess? in
      spare.isClosed = true
      return spare.process.take()
    }
    withExtendedLifetime(process) {}
    workers.shutdown()
  }

  /// Makes the pictures; resumes on the caller's executor.
  public nonisolated(nonsending) func make(_ source: StillSource) async throws(StillError) -> [StillImage] {
    let result: Result<[StillImage], StillError>
    do {
      result = try await workers.run { self.makeNow(source) }
    } catch {
      throw StillError(
        .busy, "thumbnails-busy", "More pictures are asked for than can be made; try again soon.")
    }
    prepareSpare()
    return try result.get()
  }

  /// Has a process started ahead, if there is none and nothing waits.
  public func prepareSpare() {
    let starts = spare.withLock { spare -> Bool in
      guard spare.process == nil, !spare.isStarting, !spare.isClosed else { return false }
      spare.isStarting = true
      return true
    }
    guard starts else { return }
    // Without a priority it would be that of whatever calls, and threads for a high one are none that a plain user may have.
    Task(priority: .medium) { [self] in
      _ = try? await workers.run { self.startSpare() }
      spare.withLock { $0.isStarting = false }
    }
  }

  private func startSpare() {
    // Why it does not start, the next order will find out and report.
    guard let program = try? MediaProcess.find(), let made = try? StillProcess(program) else { return }
    let surplus = spare.withLock { spare -> StillProcess? in
      guard spare.process == nil, !spare.isClosed else { return made }
      spare.process = made
      return nil
    }
    withExtendedLifetime(surplus) {}
  }

  /// On a worker.
  private func makeNow(_ source: StillSource) -> Result<[StillImage], StillError> {
    let process: StillProcess
    do throws(MediaProcessError) {
      let waiting = spare.withLock { $0.process.take() }
      process = if let waiting { waiting } else { try StillProcess(MediaProcess.find()) }
    } catch {
      return .failure(StillError(.server, error.code, error.message, cause: error.log))
    }
    var feed = StillFeed(source)
    let report: StillReport
    let pictures: [[UInt8]]
    do throws(MediaProcessError) {
      (report, pictures) = try process.make(limit: Self.limit) { feed.next() }
    } catch {
      // What brings the decoder down, or keeps it for a minute, does so again.
      return .failure(StillError(.media, error.code, error.message, cause: "\(error.message) \(error.log)"))
    }
    if feed.isCut {
      return .failure(
        StillError(
          .server, "blob-damaged", "The stored bytes are missing or damaged.", cause: "a sample is cut short")
      )
    }
    if let failure = report.failure {
      let kind: StillError.Kind = failure.kind == .environment ? .server : .media
      return .failure(StillError(kind, failure.code, failure.message))
    }
    guard report.made.count == pictures.count, !pictures.isEmpty,
      report.made.allSatisfy({ source.order.pictures.indices.contains($0.number) })
    else {
      return .failure(
        StillError(.server, "media-program-failed", "The program that decodes made no picture."))
    }
    return .success(
      zip(report.made, pictures).map {
        StillImage(number: $0.number, widthPixels: $0.widthPixels, heightPixels: $0.heightPixels, bytes: $1)
      })
  }
}

/// The bytes of an order, in pieces: its head, then samples as they are read from the blob.
private struct StillFeed {
  private let source: StillSource
  private var position = -1
  private(set) var isCut = false

  init(_ source: StillSource) { self.source = source }

  mutating func next() -> [UInt8]? {
    defer { position += 1 }
    guard position >= 0 else { return head() }
    guard position < source.ranges.count else { return nil }
    let range = source.ranges[position]
    guard let bytes = try? source.file.read(offset: range.offset, count: Int(range.sizeBytes)) else {
      isCut = true
      return nil
    }
    return bytes
  }

  private func head() -> [UInt8]? {
    guard let order = try? StillOrderText.encode(source.order) else { return nil }
    var bytes = StillOrder.magic
    for shift in stride(from: 0, to: 32, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: order.count >> shift))
    }
    return bytes + order + source.configuration
  }
}

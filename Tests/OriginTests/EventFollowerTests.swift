import Loop
import Store
import Synchronization
import Testing

@testable import Origin

/// Collects events; its script says how each call ends.
final class CollectingConsumer: CatalogConsumer {
  static let declaration = PluginDeclaration(
    name: "collecting", summary: "Collects events.", settings: ConfigSection("collecting", "None."))

  enum Ending { case success, failure, cancellation }
  struct Refusal: Error {}

  private struct State {
    var script: [Ending] = []
    var calls: [[Event]] = []
    var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
  }
  private let state = Mutex(State())

  init(site: String, settings: ConfigTable) throws(PluginError) {}
  init(script: [Ending] = []) { state.withLock { $0.script = script } }

  func join(_ pipeline: inout PipelineBuilder) {}

  func consume(_ events: [Event]) async throws {
    let (ending, ready) = state.withLock { state in
      state.calls.append(events)
      let ending = state.script.isEmpty ? Ending.success : state.script.removeFirst()
      let ready = state.waiters.filter { $0.count <= state.calls.count }
      state.waiters.removeAll { $0.count <= state.calls.count }
      return (ending, ready)
    }
    for waiter in ready { waiter.continuation.resume() }
    switch ending {
    case .success: return
    case .failure: throw Refusal()
    case .cancellation: throw CancellationError()
    }
  }

  var calls: [[Event]] { state.withLock { $0.calls } }

  func waitForCalls(_ count: Int) async {
    await withCheckedContinuation { continuation in
      let isThere = state.withLock { state in
        if state.calls.count >= count { return true }
        state.waiters.append((count, continuation))
        return false
      }
      if isThere { continuation.resume() }
    }
  }
}

@Suite(.timeLimit(.minutes(1))) struct EventFollowerTests {
  private func follow(
    _ consumer: CollectingConsumer, in folder: StoreFolder, site: String = "default",
    _ body: () async throws -> Void
  ) async throws {
    let workers = try WorkerPool(threadCount: 1)
    defer { workers.shutdown() }
    let follower = EventFollower(
      consumer: consumer, name: "collecting",
      host: PluginHost(
        site: site, store: folder.store, workers: workers, loop: try EventLoop(), logger: OriginFixture.logger
      ))
    let task = Task { await follower.run() }
    let result: Result<Void, any Error>
    do { result = .success(try await body()) } catch { result = .failure(error) }
    task.cancel()
    // That it returns shows that cancellation ends it, in whatever it waits.
    await task.value
    try result.get()
  }

  private func cursor(_ folder: StoreFolder, site: String = "default") throws -> UInt64 {
    try folder.store.cursor(for: "collecting/\(site)")
  }

  private func waitForCursor(_ folder: StoreFolder, _ wanted: UInt64, site: String = "default") async throws {
    while try cursor(folder, site: site) < wanted {
      // The suite's time limit cancels the test.
      try Task.checkCancellation()
      await Task.yield()
    }
  }

  @Test func bringsAllEventsInOrderAndMovesTheCursor() async throws {
    let folder = try StoreFolder()
    let blob = try folder.stage(Array("text".utf8)).id
    let drafts = (0..<600).map {
      FileDraft(site: "default", path: "\($0)", blob: blob, mediaType: "text/plain")
    }
    try folder.store.publishFiles(drafts)
    let consumer = CollectingConsumer()
    try await follow(consumer, in: folder) { try await waitForCursor(folder, 600) }
    #expect(consumer.calls.flatMap { $0 }.map(\.subject) == (0..<600).map { "\($0)" })
    #expect(consumer.calls.flatMap { $0 }.map(\.sequence) == Array(1...600))
    #expect(consumer.calls.allSatisfy { $0.count <= EventFollower.batch })
  }

  @Test func aRestartGoesOnWhereItStopped() async throws {
    let folder = try StoreFolder()
    try folder.publish(file: "before", "1")
    let first = CollectingConsumer()
    try await follow(first, in: folder) { try await waitForCursor(folder, 1) }
    try folder.publish(asset: "meanwhile", "2")
    let second = CollectingConsumer()
    try await follow(second, in: folder) { try await waitForCursor(folder, 2) }
    #expect(second.calls.flatMap { $0 }.map(\.subject) == ["meanwhile"])
  }

  @Test func eventsThatComeWhileItWaitsAreSeen() async throws {
    let folder = try StoreFolder()
    let consumer = CollectingConsumer()
    try await follow(consumer, in: folder) {
      try folder.publish(file: "late", "text")
      await consumer.waitForCalls(1)
    }
    #expect(consumer.calls.first?.map(\.subject) == ["late"])
  }

  @Test func otherSitesMoveTheCursorUnseen() async throws {
    let folder = try StoreFolder()
    try folder.publish(file: "theirs", "1", site: "other")
    try folder.publish(file: "ours", "2")
    try folder.publish(file: "theirs too", "3", site: "other")
    let consumer = CollectingConsumer()
    try await follow(consumer, in: folder) { try await waitForCursor(folder, 3) }
    #expect(consumer.calls.flatMap { $0 }.map(\.subject) == ["ours"])
    #expect(try cursor(folder, site: "other") == 0, "each site has a cursor of its own")
  }

  /// Both kinds of failure: even a consumer's own `CancellationError` does not end the following.
  @Test(arguments: [CollectingConsumer.Ending.failure, .cancellation])
  func whatFailedComesAgain(ending: CollectingConsumer.Ending) async throws {
    let folder = try StoreFolder()
    try folder.publish(file: "a", "1")
    let consumer = CollectingConsumer(script: [ending])
    try await follow(consumer, in: folder) {
      await consumer.waitForCalls(1)
      #expect(try cursor(folder) == 0)
      try folder.publish(file: "b", "2")
      try await waitForCursor(folder, 2)
    }
    #expect(consumer.calls.first?.map(\.subject) == ["a"])
    #expect(consumer.calls.dropFirst().flatMap { $0 }.map(\.subject) == ["a", "b"])
  }

  @Test func afterACrashBeforeTheCursorMovedEventsComeAgain() async throws {
    let folder = try StoreFolder()
    try folder.publish(file: "a", "1")
    let first = CollectingConsumer(script: [.failure])
    try await follow(first, in: folder) { await first.waitForCalls(1) }
    let second = CollectingConsumer()
    try await follow(second, in: folder) { try await waitForCursor(folder, 1) }
    #expect(second.calls.flatMap { $0 }.map(\.subject) == ["a"])
  }
}

import Loop
public import Store

/// The queue that the configuration names, for a command that asks it something and ends.
public final class JobQueueAccess: Sendable {
  private let threads: LoopThreads
  private let workers: WorkerPool
  private let queue: any JobQueue

  /// - Parameter store: opened where the queue is in it.
  public init(_ settings: ServerConfiguration.Jobs, store: () throws -> Store) throws {
    ignoreSIGPIPE()
    threads = try LoopThreads(count: 1)
    workers = try WorkerPool(threadCount: 2)
    queue = try settings.openQueue(
      workers: workers, loop: threads.loops[0],
      end: .elsewhere { (_, _, _) throws(JobQueueError) in
        throw JobQueueError(.invalid, "Jobs are ended by workers.")
      }, store: store)
  }

  deinit {
    threads.stopAndJoin()
    workers.shutdown()
  }

  /// Waits for what is asked of the queue. Not for loops.
  public func ask<Value: Sendable>(
    _ body: @escaping @Sendable (any JobQueue) async throws(JobQueueError) -> Value
  ) throws(JobQueueError) -> Value {
    let queue = queue
    return try Server.wait { () async throws(JobQueueError) in try await body(queue) }
  }
}

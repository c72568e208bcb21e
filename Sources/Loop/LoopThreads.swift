/// Some event loops, each running on a thread of its own.
///
/// ```swift
/// let threads = try LoopThreads(count: 2)
/// threads.loops[0].execute { … }
/// threads.stopAndJoin()
/// ```
/// The threads are named `hw-loop-0`, `hw-loop-1`, … (Linux allows 15 bytes).
public final class LoopThreads: Sendable {
  /// The loops, in the order of their threads; their number never changes.
  public let loops: [EventLoop]
  private let threads: [NamedThread]

  /// Makes `count` loops (at least 1) and starts their threads; returns when all have been started.
  ///
  /// - Throws: ``LoopError`` when the system refuses descriptors or a thread; what had been started is stopped then.
  public init(count: Int) throws(LoopError) {
    precondition(count >= 1, "at least one event loop is needed")
    var loops: [EventLoop] = []
    var threads: [NamedThread] = []
    do throws(LoopError) {
      for index in 0..<count {
        let loop = try EventLoop()
        threads.append(try NamedThread(name: "hw-loop-\(index)") { loop.run() })
        loops.append(loop)
      }
    } catch {
      Self.stopAndJoin(loops, threads)
      throw error
    }
    self.loops = loops
    self.threads = threads
  }

  /// Stops every loop in the orderly way of ``EventLoop/stop()`` and waits until all threads have ended.
  ///
  /// Blocks as long as connections stay open. Not to be called on one of the loops. Harmless when repeated.
  public func stopAndJoin() {
    Self.stopAndJoin(loops, threads)
  }

  private static func stopAndJoin(_ loops: [EventLoop], _ threads: [NamedThread]) {
    for loop in loops { loop.stop() }
    for thread in threads { thread.join() }
  }
}

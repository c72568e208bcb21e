internal import Dispatch

/// Runs tasks on threads that may block.
///
/// End-to-end tests wait for processes and sockets in plain blocking calls. On the cooperative pool, which has
/// a thread per core, that would starve every other test; here each waiting test has a thread of its own.
public final class BlockingExecutor: TaskExecutor {
  public static let shared = BlockingExecutor()

  private let queue = DispatchQueue(label: "headwater.tests.blocking", attributes: .concurrent)

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}

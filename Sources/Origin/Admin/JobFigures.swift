import Logging
import Synchronization

/// What the queue has said last, for the page of metrics that asked it. Each answer is for one page.
final class JobFigures: Sendable {
  private let last = Mutex<JobQueueFigures?>(nil)

  func take() -> JobQueueFigures? { last.withLock { $0.take() } }

  /// Without an answer the page says nothing of jobs, and the log says why.
  func ask(_ queue: any JobQueue, _ logger: Logger) async {
    var figures = JobQueueFigures()
    do throws(JobQueueError) { figures = try await queue.figures() } catch {
      logger.error("metrics of jobs: \(error)")
    }
    let found = figures
    last.withLock { $0 = found }
  }
}

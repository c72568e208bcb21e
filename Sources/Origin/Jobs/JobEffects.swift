import Loop
import Net
import Packaging
import Store
import Synchronization

/// What the end of a job does to the store, for a queue that is elsewhere.
///
/// Renditions that come without a packaging index, as from workers on other machines, get theirs here and before they are
/// published: the index is made from the bytes that are stored, for the segments of their site.
final class JobEffects: Sendable {
  private let store: Store
  private let workers: WorkerPool
  private let segmentMilliseconds = Mutex<[String: UInt32]>([:])

  init(store: Store, workers: WorkerPool, _ configuration: Configuration) {
    self.store = store
    self.workers = workers
    use(configuration)
  }

  /// Takes the sites' settings from a configuration.
  func use(_ configuration: Configuration) {
    segmentMilliseconds.withLock { known in
      for site in configuration.sites {
        known[site.name] = UInt32(clamping: site.packaging.segmentMilliseconds)
      }
    }
  }

  func apply(_ result: JobResult, of job: JobRecord) async throws(JobQueueError) -> JobApplication {
    let store = store
    let segment = segmentMilliseconds.withLock { $0[job.site] } ?? 6000
    do {
      return try await workers.run {
        if case .renditions(_, _, let added, _, _)? = result.change {
          for blob in Set(added.filter(\.hasIndex).map(\.blob)) { try Self.index(blob, segment, store) }
        }
        return try store.applyJobResult(result, of: job)
      }
    } catch {
      throw (error as? JobQueueError) ?? JobQueueError(store: error)
    }
  }

  private static func index(_ blob: BlobID, _ segmentMilliseconds: UInt32, _ store: Store) throws {
    guard try store.blobs.openSidecar(blob) == nil else { return }
    guard try store.blobs.sizeBytes(of: blob) != nil else {
      throw JobQueueError(.blobMissing, "The blob \(blob) of a rendition is not stored: bring it again.")
    }
    guard try IndexUpkeep.makeIndex(of: blob, segmentMilliseconds, in: store) else {
      throw JobQueueError(.invalid, "The blob \(blob) of a rendition is no media that can be packaged.")
    }
  }
}

extension ServerConfiguration.Jobs {
  /// The queue that the configuration names.
  /// - Parameters:
  ///   - loop: on which Redis is asked.
  ///   - store: where the queue is if it names none.
  func openQueue(
    workers: WorkerPool, loop: EventLoop, end: RedisJobQueue.End, store: () throws -> Store
  ) rethrows -> any JobQueue {
    guard let redis else { return EmbeddedJobQueue(store: try store(), workers: workers) }
    return RedisJobQueue(
      client: RedisClient(loop: loop, workers: workers, configuration: redis), end: end)
  }
}

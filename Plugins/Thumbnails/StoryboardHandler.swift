import Loop
import Origin
import Packaging
import Store

/// `thumbnails.storyboard`: makes the poster and all sheets of a generation before somebody asks for them.
///
/// What it makes are derived files, which the server finds as it finds its own. So it may be begun as often as the queue likes, and
/// an end of it changes nothing in the catalog. It runs on the machine of the store.
struct StoryboardHandler: JobHandler {
  static let kind = "thumbnails.storyboard"
  var kind: String { Self.kind }
  var needsStore: Bool { true }
  /// Of the job as a whole; `StillProcess` has limits of its own.
  var limits: JobLimits { JobLimits() }

  struct Payload: Codable, Equatable {
    var asset: String
    var generation: String
  }

  private struct Summary: Codable {
    /// Pictures that were made or found; nil of a generation that was not the newest any more.
    var pictures: Int?
  }

  let config: ThumbnailsConfig
  let host: PluginHost
  let maker: ThumbnailMaker

  /// The job for a generation of an asset; nil where it has no pictures, or is about to get another generation.
  static func draft(_ asset: AssetRecord) throws(JobFailure) -> JobDraft? {
    guard asset.status == .ready, let generation = asset.generation,
      asset.renditions.contains(where: { $0.kind == .video })
    else { return nil }
    return JobDraft(
      site: asset.site, kind: kind, key: "\(asset.id)/\(generation.hex)", asset: asset.id, priority: 90,
      payload: try JobJSON.bytes(of: Payload(asset: asset.id, generation: generation.hex)), supersedes: true)
  }

  func run(_ job: RunningJob) async throws(JobFailure) -> JobResult {
    let payload = try job.payload(as: Payload.self)
    guard let media = try await media(of: payload), media.generation.hex == payload.generation else {
      return JobResult(result: try JobJSON.bytes(of: Summary(pictures: nil)))
    }
    let plans = try await onWorker { [config, host] () throws(Problem) in
      let planner = ThumbnailPlanner(media: media, config: config) { (blob) throws(Problem) in
        do throws(StoreError) { return try host.store.blobs.open(blob) } catch {
          throw Problem(StillError(.server, "blob-damaged", "A blob can't be opened.", cause: "\(error)"))
        }
      }
      guard let board = Storyboard(media.presentation, config) else { return [ThumbnailPlan]() }
      var plans = [try planner.poster(.jpeg, widthPixels: config.posterWidthPixels)]
      for number in 0..<board.sheetCount { plans.append(try planner.sheet(number, of: board)) }
      return plans
    }
    for (number, plan) in plans.enumerated() {
      if job.isStopped { throw JobFailure(.retryable, code: "stopped", "The job was stopped.") }
      let maker = maker
      await maker.make(plan.key) { () async throws(StillError) in try await plan.produce(maker) }
      if case .failed(let problem) = maker.lookup(plan.key) {
        // 422: the media gives no picture, now and later.
        throw JobFailure(
          problem.status == 422 ? .permanent : .retryable, code: problem.code, problem.detail)
      }
      job.progress(permille: UInt16(1000 * (number + 1) / plans.count))
    }
    return JobResult(result: try JobJSON.bytes(of: Summary(pictures: plans.count)))
  }

  private func media(of payload: Payload) async throws(JobFailure) -> AssetMedia? {
    try await onWorker { [host] () throws(Problem) in
      try AssetMedia.newest(
        of: payload.asset, site: host.site, in: host.store, segmentMilliseconds: host.segmentMilliseconds)
    }
  }

  private func onWorker<Value: Sendable>(
    _ work: @escaping @Sendable () throws(Problem) -> Value
  ) async throws(JobFailure) -> Value {
    do {
      return try await host.workers.run { try work() }
    } catch let problem as Problem {
      throw JobFailure(
        problem.status < 500 ? .permanent : .retryable, code: problem.code, problem.cause ?? problem.detail)
    } catch {
      throw JobFailure(.retryable, code: "busy", "Too much waits for the disk.")
    }
  }
}

// Makes a ladder of renditions of every asset that arrives.
//
//     asset ready ─► transcode.plan ─► transcode.chunk × n, transcode.audio ─► transcode.join ─► renditions in the catalog
//                          └─► transcode.probe × n ─► transcode.choose ─┘          where the ladder is measured first
//
// Read this file, then `PlanHandler.swift` (which jobs), `ChunkPlan.swift` (where is cut), `RungChoice.swift` (which rungs),
// `JoinHandler.swift` (what is verified), `ProbePlan.swift` and `RungTuning.swift` (two passes, per-title). The encoding itself is `headwater-media`, in a process of its own for each chunk.
//
// An asset plays from its source at once, and goes on doing so whatever becomes of the jobs: a source that can't be decoded
// has a failed `transcode.plan` and is served as before. An asset that has a rendition of picture besides its source is left
// alone: the plugin's own work makes no new work, and a ladder that was imported by hand stands.

import Logging
import Loop
public import Origin
public import Store
import Synchronization

public final class TranscodePlugin: Plugin, CatalogConsumer, JobProvider {
  public static let declaration = PluginDeclaration(
    name: "transcode", summary: "Makes a ladder of renditions of every asset that arrives.",
    settings: TranscodeConfig.section)

  private let site: String
  private let config: TranscodeConfig
  private let host = Mutex<PluginHost?>(nil)

  public init(site: String, settings: ConfigTable) throws(PluginError) {
    self.site = site
    config = TranscodeConfig(settings)
    guard config.ladder.mode == .fixed || config.ladder.passes == 1 else {
      throw PluginError(
        key: "ladder",
        "a ladder has either mode = \"per-title\" or passes = 2: one chooses rates, the other keeps to them")
    }
  }

  public func provision(_ host: PluginHost) throws(PluginError) { self.host.withLock { $0 = host } }

  public func join(_ pipeline: inout PipelineBuilder) {}

  public var jobHandlers: [any JobHandler] {
    guard let host = host.withLock({ $0 }) else { return [] }
    return [
      PlanHandler(config: config, segmentMilliseconds: host.segmentMilliseconds), ChunkHandler(),
      SoundHandler(), ProbeHandler(),
      ChooseHandler(config: config, segmentMilliseconds: host.segmentMilliseconds),
      JoinHandler(workers: host.workers, segmentMilliseconds: host.segmentMilliseconds),
    ]
  }

  // MARK: - Assets that arrive

  public func consume(_ events: [Event]) async throws {
    guard let host = host.withLock({ $0 }) else { return }
    let store = host.store
    for event in events where event.kind == .assetReady || event.kind == .generationReplaced {
      let asset = try await host.workers.run { [site] in
        try store.read { reader throws(StoreError) in try reader.asset(site: site, id: event.subject) }
      }
      guard let asset, let source = asset.source, let draft = try Self.plan(asset, occasion: event.sequence)
      else { continue }
      // A change of an asset whose source is at work already, was given up, or is what that work brought about.
      let isSoundAlone = !asset.renditions.contains { $0.kind == .video }
      let known = try await host.jobs.jobs(JobFilter(site: site, asset: asset.id), before: nil, limit: 512)
      let isKnown = known.contains { job in
        guard job.plugin == "transcode", job.key.contains("/\(source)") else { return false }
        switch job.state {
        case .pending, .processing, .failed: return true
        case .cancelled: return job.error?.code == JobError.cancelledByHand
        case .completed: return isSoundAlone && job.kind == JoinHandler.kind
        }
      }
      if !isKnown { try await host.jobs.enqueue([draft]) }
    }
  }

  /// The job that an asset needs; nil where it has its ladder, or nothing to make one of.
  static func plan(_ asset: AssetRecord, occasion: UInt64) throws -> JobDraft? {
    guard let source = asset.source, asset.status == .ready || asset.status == .processing else { return nil }
    let pictures = asset.renditions.filter { $0.kind == .video }
    let sounds = asset.renditions.filter { $0.kind == .audio }
    guard pictures.allSatisfy({ $0.name == "source" || $0.name.hasPrefix("source-") }) else { return nil }
    let packaged = pictures.first ?? sounds.first
    let payload = PlanPayload(
      asset: asset.id, source: "\(source)", packaged: packaged.map { "\($0.blob)" },
      videoTrack: pictures.first?.trackIndex,
      audioTrack: sounds.first { $0.blob == packaged?.blob }?.trackIndex, occasion: occasion)
    return JobDraft(
      site: asset.site, kind: PlanHandler.kind, key: "\(asset.id)/\(occasion)/\(source)", asset: asset.id,
      priority: 40, payload: try JobJSON.bytes(of: payload), supersedes: true)
  }

  // MARK: - Assets that are given up

  private static let settleSeconds = 15

  /// An asset whose jobs have failed is ready with what it has: nothing would say so otherwise, since a job that fails changes
  /// nothing.
  public func run() async {
    while !Task.isCancelled {
      if let host = host.withLock({ $0 }) {
        do { try await settle(host) } catch { host.logger.warning("assets that are given up wait: \(error)") }
      }
      do { try await Task.sleep(for: .seconds(Self.settleSeconds)) } catch { return }
    }
  }

  private func settle(_ host: PluginHost) async throws {
    var given: [JobRecord] = []
    for kind in [JoinHandler.kind, ChooseHandler.kind] {
      given += try await host.jobs.jobs(
        JobFilter(site: site, kind: kind, states: [.failed, .cancelled]), before: nil, limit: 64)
    }
    let store = host.store
    for job in given {
      guard let id = job.asset else { continue }
      let living = try await host.jobs.jobs(
        JobFilter(site: site, asset: id, states: [.pending, .processing]), before: nil, limit: 64)
      guard !living.contains(where: { $0.plugin == "transcode" }) else { continue }
      let reason = job.error?.message ?? "It was cancelled."
      try await host.workers.run { [site] in
        let asset = try store.read { reader throws(StoreError) in try reader.asset(site: site, id: id) }
        guard let asset, asset.status == .processing else { return }
        var draft = AssetDraft(of: asset)
        draft.status = .ready
        draft.defects.append("not-transcoded: \(reason)")
        _ = try store.publishAsset(draft, ifUpdatedMilliseconds: asset.updatedMilliseconds)
      }
    }
  }
}

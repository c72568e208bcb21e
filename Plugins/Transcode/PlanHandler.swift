import Origin
import Packaging
import Store

/// `transcode.plan`: looks at an asset's media and lays out the jobs that make its ladder.
///
///     plan ─┬─ chunk, chunk, … of the smallest rung ─ join ─┐
///           ├─ audio ───────────────────────────────────────┤
///           └─ chunk, chunk, … of the others ─────────────── join: ready
///
/// Where the ladder is measured first, `plan` ─ probe, probe, … ─ `choose` come before, and the rest follows from `choose`.
///
/// The smallest rung is made by itself and first, where `lowest_first` is on, so that somebody on a slow network does not
/// wait for the largest: its chunks cost one more decoding of the source.
struct PlanHandler: JobHandler {
  static let kind = "transcode.plan"
  var kind: String { Self.kind }
  var limits: JobLimits { .transcoding }

  let config: TranscodeConfig
  let segmentMilliseconds: UInt32

  func run(_ job: RunningJob) async throws(JobFailure) -> JobResult {
    let payload = try job.payload(as: PlanPayload.self)
    let source = try BlobID.parse(payload.source)
    let survey = try await SourceSurvey(payload, job, segmentMilliseconds: segmentMilliseconds)
    let jobs = TranscodeJobs(payload, survey, config, site: job.site)
    let probes = try jobs.probes()
    let drafts = probes.isEmpty ? try jobs.drafts() : probes
    let summary = Summary(jobs: drafts.count, warnings: survey.warnings)
    // Without work the asset is what it will be.
    let change: AssetChange? =
      drafts.isEmpty
      ? nil : .renditions(asset: payload.asset, ifSource: source, add: [], status: .processing)
    return JobResult(result: try JobJSON.bytes(of: summary), followUps: drafts, change: change)
  }

  private struct Summary: Codable {
    var jobs: Int
    var warnings: [RemuxReport.Remark]
  }
}

/// `transcode.choose`: settles the rungs of a title by what its probes measured, and lays out the jobs that make them.
///
/// What was chosen stands in its result, and what it was chosen by in those of the probes: begun again, it chooses the same.
struct ChooseHandler: JobHandler {
  static let kind = "transcode.choose"
  var kind: String { Self.kind }
  var limits: JobLimits { .transcoding }

  let config: TranscodeConfig
  let segmentMilliseconds: UInt32

  func run(_ job: RunningJob) async throws(JobFailure) -> JobResult {
    let payload = try job.payload(as: PlanPayload.self)
    var samples: [RungTuning.Sample] = []
    for probe in try await job.dependencies() {
      samples.append(
        RungTuning.Sample(
          seconds: try RunningJob.payload(of: probe, as: ProbePayload.self).mediaSeconds,
          measures: try RunningJob.result(of: probe, as: ProbeResult.self).measures))
    }
    let survey = try await SourceSurvey(payload, job, segmentMilliseconds: segmentMilliseconds)
    let jobs = TranscodeJobs(payload, survey, config, site: job.site)
    let tuning = RungTuning(jobs.rungs, samples, config.ladder.mode)
    let drafts = try jobs.drafts(tuning.rungs)
    return JobResult(
      result: try JobJSON.bytes(of: Summary(jobs: drafts.count, rungs: tuning.choices)), followUps: drafts)
  }

  private struct Summary: Codable {
    var jobs: Int
    var rungs: [RungTuning.Choice]
  }
}

/// The jobs that follow from a survey. Pure: the same survey gives the same jobs.
struct TranscodeJobs {
  private let payload: PlanPayload
  private let survey: SourceSurvey
  private let config: TranscodeConfig
  private let site: String

  init(
    _ payload: PlanPayload, _ survey: SourceSurvey, _ config: TranscodeConfig, site: String
  ) {
    self.payload = payload
    self.survey = survey
    self.config = config
    self.site = site
  }

  /// What the ladder has for the source.
  var rungs: [TranscodeRequest.Rung] {
    survey.video.map { RungChoice.rungs(of: config.ladder, for: $0.choiceSource) } ?? []
  }

  /// The jobs that measure, and the one that waits for them; none where the ladder needs no measuring or the source does not
  /// say how long it is.
  func probes() throws(JobFailure) -> [JobDraft] {
    guard config.ladder.needsProbes, let video = survey.video, let end = video.endTicks else { return [] }
    let plan = ProbePlan(
      chunkPlan(video).chunks, endTicks: end, timescale: video.timescale, rungs: rungs, config.ladder)
    guard !plan.probes.isEmpty else { return [] }
    var drafts: [JobDraft] = []
    for (place, probe) in plan.probes.enumerated() {
      let request = self.request(probe.chunk, probe.rungs, video)
      drafts.append(
        JobDraft(
          site: site, kind: ProbeHandler.kind, key: key("probe/\(place)"), asset: payload.asset, priority: 45,
          payload: try JobJSON.bytes(
            of: ProbePayload(
              blob: "\(video.blob)", demuxer: video.demuxer,
              probe: TranscodeProbe(request, comparesPictures: probe.comparesPictures),
              mediaSeconds: probe.seconds)),
          servesDependantsOnly: true))
    }
    drafts.append(
      JobDraft(
        site: site, kind: ChooseHandler.kind, key: key("choose"), asset: payload.asset, priority: 40,
        payload: try JobJSON.bytes(of: payload), dependencies: drafts.map(\.id)))
    return drafts
  }

  func drafts() throws(JobFailure) -> [JobDraft] { try drafts(rungs) }

  /// - Parameter rungs: from the smallest to the largest.
  func drafts(_ rungs: [TranscodeRequest.Rung]) throws(JobFailure) -> [JobDraft] {
    let (sound, audio) = try soundJob()
    var drafts = audio.map { [$0] } ?? []
    guard let video = survey.video, !rungs.isEmpty else {
      guard let audio else { return [] }
      drafts.append(
        try join("sound", [], sound, endTicks: nil, after: [audio.id], priority: 60, isLast: true))
      return drafts
    }
    let chunks = chunkPlan(video).chunks
    let isSplit = config.lowestFirst && rungs.count > 1
    let groups = isSplit ? [[rungs[0]], Array(rungs.dropFirst())] : [rungs]
    for (number, group) in groups.enumerated() {
      let isLast = number == groups.count - 1
      let priority = UInt8(50 + 20 * number)
      var waited: [JobID] = []
      for (place, chunk) in chunks.enumerated() {
        let draft = try self.chunk(chunk, place, group, number, video, priority: priority)
        waited.append(draft.id)
        drafts.append(draft)
      }
      if let audio { waited.append(audio.id) }
      drafts.append(
        try join(
          "rungs-\(number)", group.map(\.name), sound, endTicks: video.endTicks, after: waited,
          priority: priority, isLast: isLast))
    }
    return drafts
  }

  private func chunkPlan(_ video: SourceSurvey.Video) -> ChunkPlan {
    guard let end = video.endTicks else {
      return ChunkPlan(
        unknownLengthFrom: video.startTicks, timescale: video.timescale,
        groupMilliseconds: config.ladder.groupMilliseconds)
    }
    // There may be workers elsewhere, too: nobody knows here, and more chunks than this would cost all of them.
    let workers = ServerConfiguration.Jobs.automaticWorkers + 1
    return ChunkPlan(
      startTicks: video.startTicks, endTicks: end, timescale: video.timescale,
      groupMilliseconds: config.ladder.groupMilliseconds, cuts: video.cuts,
      sourceKeys: video.keys, workers: workers)
  }

  private func key(_ part: String) -> String {
    "\(payload.asset)/\(payload.occasion)/\(payload.source)/\(part)"
  }

  private func request(
    _ chunk: ChunkPlan.Chunk, _ rungs: [TranscodeRequest.Rung], _ video: SourceSurvey.Video
  ) -> TranscodeRequest {
    TranscodeRequest(
      trackID: video.trackID, timescale: video.timescale, zeroTicks: video.zeroTicks,
      startTicks: chunk.startTicks, endTicks: chunk.endTicks ?? video.lastTicks, keyTicks: chunk.keyTicks,
      framesPerSecondNumerator: video.survey.framesPerSecondNumerator,
      framesPerSecondDenominator: video.survey.framesPerSecondDenominator,
      rotationDegrees: video.survey.rotationDegrees, deinterlaces: video.survey.isInterlaced,
      isHDR: video.survey.isHDR, colour: video.survey.colour, rungs: rungs)
  }

  private func chunk(
    _ chunk: ChunkPlan.Chunk, _ place: Int, _ rungs: [TranscodeRequest.Rung], _ group: Int,
    _ video: SourceSurvey.Video, priority: UInt8
  ) throws(JobFailure) -> JobDraft {
    let end = chunk.endTicks ?? video.endTicks ?? 0
    let seconds = max(0, Double(end - chunk.startTicks)) / Double(max(1, video.timescale))
    let request = self.request(chunk, rungs, video)
    return JobDraft(
      site: site, kind: ChunkHandler.kind, key: key("rungs-\(group)/\(place)"), asset: payload.asset,
      priority: priority,
      payload: try JobJSON.bytes(
        of: ChunkPayload(
          blob: "\(video.blob)", demuxer: video.demuxer, request: request,
          mediaSeconds: video.endTicks == nil ? survey.mediaSeconds : seconds)),
      servesDependantsOnly: true)
  }

  private func join(
    _ name: String, _ rungs: [String], _ sound: JoinPayload.Sound, endTicks: Int64?, after: [JobID],
    priority: UInt8, isLast: Bool
  ) throws(JobFailure) -> JobDraft {
    JobDraft(
      site: site, kind: JoinHandler.kind, key: key("join/\(name)"), asset: payload.asset,
      // What is done with its chunks has waited long enough.
      priority: priority - 10,
      payload: try JobJSON.bytes(
        of: JoinPayload(
          asset: payload.asset, source: payload.source, rungs: rungs, endTicks: endTicks, sound: sound,
          removed: isLast && !rungs.isEmpty && !config.keepsSource ? ["source"] : [], isLast: isLast)),
      dependencies: after)
  }

  // MARK: - Sound

  /// What becomes of the sound, and the job for it where there is one.
  private func soundJob() throws(JobFailure) -> (JoinPayload.Sound, JobDraft?) {
    guard let sound = survey.sound else { return (.none, nil) }
    if let track = sound.packaged, isGoodAsItIs(track) {
      return (.kept(blob: "\(sound.blob)", track: sound.packagedNumber), nil)
    }
    let ladder = config.ladder
    let request = TranscodeAudioRequest(
      trackID: sound.trackID, zeroMicroseconds: sound.zeroMicroseconds,
      bitsPerSecond: Int64(ladder.audioKilobitsPerSecond) * 1000, mostChannels: Int32(ladder.audioChannels),
      loudness: ladder.loudness)
    let draft = JobDraft(
      site: site, kind: SoundHandler.kind, key: key("audio"), asset: payload.asset, priority: 45,
      payload: try JobJSON.bytes(
        of: SoundPayload(
          blob: "\(sound.blob)", demuxer: sound.demuxer, request: request, mediaSeconds: survey.mediaSeconds)),
      servesDependantsOnly: true)
    return (.encoded, draft)
  }

  /// Encoding AAC again would only make it worse, unless it is far larger than it need be.
  private func isGoodAsItIs(_ track: Track) -> Bool {
    let seconds = Double(track.durationTicks) / Double(max(1, track.timescale))
    let kilobits = seconds > 0 ? Double(track.totalBytes) * 8 / 1000 / seconds : .infinity
    return track.codec == .aac && config.ladder.loudness == nil
      && Int(track.channelCount) <= config.ladder.audioChannels
      && kilobits <= Double(config.ladder.audioKilobitsPerSecond) * 1.25
  }
}

extension SourceSurvey.Video {
  /// Where the last chunk ends at the latest: a tenth of a second behind the end that our own reading of the tables has. libav shows
  /// every edit of a list, and half a million of them would show one picture for hours. Nil of other containers, which are vague
  /// about their length.
  fileprivate var lastTicks: Int64? {
    trackID == nil ? nil : endTicks.map { $0 + Int64(timescale) / 10 }
  }

  fileprivate var choiceSource: RungChoice.Source {
    RungChoice.Source(
      widthPixels: Int(survey.displayWidthPixels), heightPixels: Int(survey.displayHeightPixels),
      framesPerSecond: Double(survey.framesPerSecondNumerator)
        / Double(max(1, survey.framesPerSecondDenominator)), isHDR: survey.isHDR)
  }
}

import Origin
import Packaging
import Store

/// What is known of an asset's media before it is planned: our own reading of the tables, and libav's look at the pictures.
struct SourceSurvey: Sendable {
  /// The picture, on the presentation timeline, in ticks of `timescale`.
  struct Video: Sendable {
    var blob: BlobID
    var demuxer: String
    var trackID: UInt32?
    var survey: TranscodeSurvey.Video
    var timescale: UInt32 { survey.timescale }
    /// Time zero of the presentation on libav's clock.
    var zeroTicks: Int64
    var startTicks: Int64
    /// Nil where the container does not say.
    var endTicks: Int64?
    var cuts: [Int64] = []
    var keys: [Int64] = []
  }

  struct Sound: Sendable {
    var blob: BlobID
    var demuxer: String
    var trackID: UInt32?
    var survey: TranscodeSurvey.Audio
    var zeroMicroseconds: Int64
    /// The track of the packaging index, where it is packaged as it is.
    var packaged: Track?
    var packagedNumber: UInt32 = 0
  }

  var video: Video?
  var sound: Sound?
  var mediaSeconds: Double = 0
  var warnings: [RemuxReport.Remark] = []

  init(_ payload: PlanPayload, _ job: RunningJob, segmentMilliseconds: UInt32) async throws(JobFailure) {
    let sourceID = try BlobID.parse(payload.source)
    if let packaged = payload.packaged {
      let blob = try BlobID.parse(packaged)
      try await readPackaged(blob, payload, job, segmentMilliseconds)
      guard blob != sourceID, payload.audioTrack == nil else { return }
      // What was made for packaging has no sound; the source may have some of a coding that isn't packaged.
      await addSound(of: sourceID, job)
    } else {
      try await readUnpackaged(sourceID, job)
    }
  }

  private static func look(
    _ job: RunningJob, _ source: JobSource, _ demuxer: String, trackID: UInt32? = nil
  ) async throws(JobFailure) -> TranscodeSurvey {
    let report = try await job.process(
      ["survey", "--demuxer", demuxer] + (trackID.map { ["--track", "\($0)"] } ?? []),
      inputs: [source.descriptor], outputs: [])
    let survey = try report.decoded(as: TranscodeSurvey.self)
    if let failure = survey.failure { throw JobFailure(failure, log: report.log) }
    return survey
  }

  // MARK: - MP4 that is packaged

  private mutating func readPackaged(
    _ blob: BlobID, _ payload: PlanPayload, _ job: RunningJob, _ segmentMilliseconds: UInt32
  ) async throws(JobFailure) {
    let source = try await job.source(of: blob)
    let movie = try Self.movie(source)
    func track(_ number: UInt32?) -> MovieTrack? {
      number.flatMap { Int($0) < movie.tracks.count ? movie.tracks[Int($0)] : nil }
    }
    let picture = track(payload.videoTrack)
    let survey = try await Self.look(job, source, "mov", trackID: picture?.track.id)
    warnings += survey.warnings
    mediaSeconds = Double(movie.durationMilliseconds) / 1000
    var zeroMicroseconds: Int64 = 0
    if let picture, let found = survey.video {
      let own = picture.track.timescale
      func scaled(_ ticks: Int64) -> Int64 { Self.scale(ticks, from: own, to: found.timescale) }
      let start = scaled(picture.track.presentationStartTicks)
      // Our reader moves clips of a longer stream to the start; edit lists it reads as libav does.
      let zero = movie.isFragmented ? found.firstTicks - start : 0
      zeroMicroseconds = Self.scale(zero, from: found.timescale, to: 1_000_000)
      let plan = SegmentPlan.make(movie.tracks, targetMilliseconds: segmentMilliseconds)
      video = Video(
        blob: blob, demuxer: "mov", trackID: picture.track.id, survey: found, zeroTicks: zero,
        startTicks: start, endTicks: scaled(Int64(clamping: picture.track.endTicks)),
        cuts: plan[Int(payload.videoTrack ?? 0)].map { scaled(Int64(clamping: $0.startTicks)) },
        keys: Self.keys(of: picture).map(scaled))
    }
    guard let found = survey.audio else { return }
    if video == nil, movie.isFragmented { zeroMicroseconds = found.firstMicroseconds }
    let audio = track(payload.audioTrack)
    sound = Sound(
      blob: blob, demuxer: "mov", trackID: audio?.track.id, survey: found, zeroMicroseconds: zeroMicroseconds,
      packaged: audio?.track, packagedNumber: payload.audioTrack ?? 0)
  }

  static func movie(_ source: JobSource) throws(JobFailure) -> Movie {
    do throws(MediaError) { return try MovieReader.read(JobBytes(source: source)) } catch {
      throw JobFailure(.permanent, code: "unreadable", error.message)
    }
  }

  /// Presentation times of its sync samples.
  private static func keys(of track: MovieTrack) -> [Int64] {
    track.columns.samples().filter(\.isSync).map {
      Int64(clamping: $0.decodeTicks) + Int64($0.compositionOffsetTicks) + track.track.presentationShiftTicks
    }.sorted()
  }

  // MARK: - Whatever libav reads

  private mutating func readUnpackaged(_ blob: BlobID, _ job: RunningJob) async throws(JobFailure) {
    let source = try await job.source(of: blob)
    let demuxer = try SourceContainer.demuxer(of: JobBytes(source: source))
    // libav decodes encrypted samples to noise rather than say so, and calls too many tracks a want of memory.
    if demuxer == "mov", case .bytesOnly(let reason) = MediaInspector.inspect(JobBytes(source: source)),
      reason.code.contains("encrypted") || reason.code.hasPrefix("too-many")
    {
      let code = reason.code.contains("encrypted") ? "encrypted" : reason.code
      throw JobFailure(.permanent, code: "transcode-\(code)", reason.message)
    }
    let survey = try await Self.look(job, source, demuxer)
    warnings += survey.warnings
    // The presentation begins with whatever begins first.
    var zero = survey.audio?.firstMicroseconds ?? .max
    if let found = survey.video {
      zero = min(zero, Self.scale(found.firstTicks, from: found.timescale, to: 1_000_000))
      let zeroTicks = min(found.firstTicks, Self.scale(zero, from: 1_000_000, to: found.timescale))
      let start = found.firstTicks - zeroTicks
      video = Video(
        blob: blob, demuxer: demuxer, trackID: nil, survey: found, zeroTicks: zeroTicks, startTicks: start,
        endTicks: found.durationTicks.map { start + $0 })
      mediaSeconds = Double(found.durationTicks ?? 0) / Double(max(1, found.timescale))
    }
    if let found = survey.audio {
      sound = Sound(
        blob: blob, demuxer: demuxer, trackID: nil, survey: found, zeroMicroseconds: zero == .max ? 0 : zero)
    }
  }

  /// Sound that is in the source and not in what was packaged of it, on the same timeline by way of the first picture.
  private mutating func addSound(of blob: BlobID, _ job: RunningJob) async {
    do throws(JobFailure) {
      let source = try await job.source(of: blob)
      let demuxer = try SourceContainer.demuxer(of: JobBytes(source: source))
      let survey = try await Self.look(job, source, demuxer)
      guard let found = survey.audio else { return }
      var zero = found.firstMicroseconds
      if let video, let first = survey.video {
        zero =
          Self.scale(first.firstTicks, from: first.timescale, to: 1_000_000)
          - Self.scale(video.startTicks, from: video.timescale, to: 1_000_000)
      }
      sound = Sound(blob: blob, demuxer: demuxer, trackID: nil, survey: found, zeroMicroseconds: zero)
    } catch {
      // The picture is worth its rungs without it.
      warnings.append(RemuxReport.Remark(code: error.code, message: error.message))
    }
  }

  /// To the nearest.
  static func scale(_ ticks: Int64, from: UInt32, to: UInt32) -> Int64 {
    let (from, to) = (Int128(max(1, from)), Int128(to))
    let product = Int128(ticks) * to
    let half = product < 0 ? -(from / 2) : from / 2
    return Int64(clamping: (product + half) / from)
  }
}

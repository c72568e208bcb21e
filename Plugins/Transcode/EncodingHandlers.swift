import Origin
import Packaging
import Store

/// `transcode.chunk`: one decode of a chunk, encoded to each of its rungs.
struct ChunkHandler: JobHandler {
  static let kind = "transcode.chunk"
  var kind: String { Self.kind }
  var limits: JobLimits { .transcoding }

  func run(_ job: RunningJob) async throws(JobFailure) -> JobResult {
    let payload = try job.payload(as: ChunkPayload.self)
    let bitsPerSecond = payload.request.rungs.reduce(0) { $0 + Double($1.maxBitsPerSecond) }
    return try await encode(
      job, "transcode", payload.blob, payload.demuxer, try JobJSON.bytes(of: payload.request),
      bitsPerSecond: bitsPerSecond,
      mediaSeconds: payload.mediaSeconds)
  }
}

/// `transcode.audio`: the sound of a whole source.
struct SoundHandler: JobHandler {
  static let kind = "transcode.audio"
  var kind: String { Self.kind }
  var limits: JobLimits { .transcoding }

  func run(_ job: RunningJob) async throws(JobFailure) -> JobResult {
    let payload = try job.payload(as: SoundPayload.self)
    return try await encode(
      job, "transcode-audio", payload.blob, payload.demuxer, try JobJSON.bytes(of: payload.request),
      bitsPerSecond: Double(payload.request.bitsPerSecond), mediaSeconds: payload.mediaSeconds)
  }
}

/// `transcode.probe`: one decode of a part, encoded to variants of its rungs that are measured and thrown away.
struct ProbeHandler: JobHandler {
  static let kind = "transcode.probe"
  var kind: String { Self.kind }
  var limits: JobLimits { .transcoding }

  func run(_ job: RunningJob) async throws(JobFailure) -> JobResult {
    let payload = try job.payload(as: ProbePayload.self)
    let source = try await job.source(of: try BlobID.parse(payload.blob))
    let request = String(decoding: try JobJSON.bytes(of: payload.probe), as: UTF8.self)
    let report = try await job.process(
      ["transcode-probe", "--demuxer", payload.demuxer, "--request", request], inputs: [source.descriptor],
      outputs: [], mediaSeconds: payload.mediaSeconds * Double(max(1, payload.probe.request.rungs.count)))
    let result = try report.decoded(as: TranscodeReport.self)
    if let failure = result.failure { throw JobFailure(failure, log: report.log) }
    return JobResult(result: try JobJSON.bytes(of: ProbeResult(measures: result.measures ?? [])))
  }
}

/// Runs an encoding process and keeps what it makes.
private func encode(
  _ job: RunningJob, _ command: String, _ blob: String, _ demuxer: String, _ request: [UInt8],
  bitsPerSecond: Double, mediaSeconds: Double
) async throws(JobFailure) -> JobResult {
  let source = try await job.source(of: try BlobID.parse(blob))
  // Twice what the rate allows, for its buffer, and room for tables.
  let bytes = UInt64(min(max(0, bitsPerSecond * (mediaSeconds + 10) / 4), 1e12)) + (32 << 20)
  let most = min(mediaSeconds > 0 ? bytes : .max, job.limits.outputBytes)
  let output = try await job.temporaryOutput(maximumBytes: most)
  let report = try await job.process(
    [command, "--demuxer", demuxer, "--request", String(decoding: request, as: UTF8.self)],
    inputs: [source.descriptor], outputs: [output.descriptor], outputBytes: most, mediaSeconds: mediaSeconds)
  let result = try report.decoded(as: TranscodeReport.self)
  if let failure = result.failure { throw JobFailure(failure, log: report.log) }
  guard result.frames > 0 else {
    return JobResult(
      result: try JobJSON.bytes(of: ChunkResult(blob: nil, frames: 0, warnings: result.remarks)))
  }
  let kept = try await job.keep(output)
  return JobResult(
    result: try JobJSON.bytes(
      of: ChunkResult(blob: "\(kept)", frames: result.frames, warnings: result.remarks)), keptBlobs: [kept])
}

extension TranscodeReport {
  /// The first of its warnings, nil where there is none.
  fileprivate var remarks: [RemuxReport.Remark]? { warnings.isEmpty ? nil : Array(warnings.prefix(16)) }
}

extension JobLimits {
  /// An encoder that looks ahead at large pictures for each of its rungs takes time and memory.
  static let transcoding: JobLimits = {
    var limits = JobLimits()
    limits.wallSeconds = 120
    limits.wallSecondsPerMediaSecond = 240
    limits.memoryBytes = 6 << 30
    limits.outputBytes = 4 << 30
    return limits
  }()
}

import Loop
import Origin
import Packaging
import Store

/// `transcode.join`: puts the chunks of rungs together, verifies what came out, and publishes it.
///
/// Each rung becomes one progressive MP4 of picture and sound, which is at once the download and the material of every
/// segment. All rungs of the job appear in one transaction with the end of the job.
struct JoinHandler: JobHandler {
  static let kind = "transcode.join"
  var kind: String { Self.kind }
  var limits: JobLimits {
    var limits = JobLimits.transcoding
    limits.outputBytes = 256 << 30
    return limits
  }

  let workers: WorkerPool
  let segmentMilliseconds: UInt32

  func run(_ job: RunningJob) async throws(JobFailure) -> JobResult {
    let payload = try job.payload(as: JoinPayload.self)
    let source = try BlobID.parse(payload.source)
    var dependencies = try await job.dependencies()
    let warnings = try Self.warnings(of: dependencies)
    var files = JoinedFiles()
    var sound: MovieTrack?
    switch payload.sound {
    case .none: break
    case .kept(let blob, let number):
      let (movie, base) = try await files.add(try BlobID.parse(blob), job)
      guard Int(number) < movie.tracks.count else { throw .broken("The sound of the source is not there.") }
      sound = movie.tracks[Int(number)].moved(by: base)
    case .encoded:
      guard let last = dependencies.popLast(),
        let blob = try RunningJob.result(of: last, as: ChunkResult.self).blob
      else { throw .broken("The encoded sound is not there.") }
      let (movie, base) = try await files.add(try BlobID.parse(blob), job)
      sound = movie.tracks.first?.moved(by: base)
    }
    let chunks = try await chunks(dependencies, job, &files)
    var renditions: [RenditionRecord] = []
    var keys: [Int64]?
    for (number, name) in payload.rungs.enumerated() {
      if job.isStopped { throw .broken("stopped") }
      let joined = try JoinedTrack(chunks, number, endTicks: payload.endTicks)
      // Each rung has the same key frames, or players could not change between them.
      if let keys, keys != joined.keyTicks {
        throw .broken("The key frames of \(name) are not those of \(payload.rungs[0]).")
      }
      keys = joined.keyTicks
      let blob = try await write([joined.track] + (sound.map { [$0] } ?? []), files, job)
      renditions.append(RenditionRecord(name: name, kind: .video, blob: blob))
      job.progress(
        permille: UInt16(1000 * (number + 1) / max(1, payload.rungs.count)), note: "\(name) is joined")
    }
    if payload.sound == .encoded, let sound {
      if let first = renditions.first {
        renditions.append(RenditionRecord(name: "audio", kind: .audio, blob: first.blob, trackIndex: 1))
      } else {
        let blob = try await write([sound], files, job)
        renditions.append(RenditionRecord(name: "audio", kind: .audio, blob: blob))
      }
    }
    return JobResult(
      result: try JobJSON.bytes(
        of: Summary(renditions: renditions.map(\.name), warnings: warnings)),
      change: .renditions(
        asset: payload.asset, ifSource: source, add: renditions, remove: payload.removed,
        status: payload.isLast ? .ready : nil))
  }

  private struct Summary: Codable {
    var renditions: [String]
    /// Each once, whatever chunks it was said of.
    var warnings: [RemuxReport.Remark]
  }

  private static func warnings(of chunks: [JobRecord]) throws(JobFailure) -> [RemuxReport.Remark] {
    var seen: [RemuxReport.Remark] = []
    for chunk in chunks where seen.count < 16 {
      let remarks = try RunningJob.result(of: chunk, as: ChunkResult.self).warnings ?? []
      for remark in remarks where !seen.contains(remark) { seen.append(remark) }
    }
    return seen
  }

  private func chunks(
    _ dependencies: [JobRecord], _ job: RunningJob, _ files: inout JoinedFiles
  ) async throws(JobFailure) -> [JoinedTrack.Chunk] {
    var chunks: [JoinedTrack.Chunk] = []
    for dependency in dependencies {
      let request = try RunningJob.payload(of: dependency, as: ChunkPayload.self).request
      let result = try RunningJob.result(of: dependency, as: ChunkResult.self)
      guard let text = result.blob else { continue }
      let (movie, base) = try await files.add(try BlobID.parse(text), job)
      guard movie.tracks.count == request.rungs.count else {
        throw .broken("A chunk has \(movie.tracks.count) of its \(request.rungs.count) rungs.")
      }
      chunks.append(JoinedTrack.Chunk(request: request, movie: movie, baseBytes: base, frames: result.frames))
    }
    return chunks
  }

  // MARK: - Writing

  /// Writes a progressive file of these tracks, reads it back, and keeps it with its packaging index.
  private func write(
    _ tracks: [MovieTrack], _ files: JoinedFiles, _ job: RunningJob
  ) async throws(JobFailure) -> BlobID {
    guard var movie = files.first else { throw .broken("There is nothing to join.") }
    movie.tracks = tracks
    movie.isFragmented = false
    let file = ProgressiveFile(movie)
    let output = try await job.temporaryOutput(maximumBytes: file.totalBytes)
    var offset: UInt64 = 0
    try await put([JoinedFiles.Piece(bytes: file.head)], at: &offset, output)
    var pieces: [JoinedFiles.Piece] = []
    var bytes: UInt64 = 0
    for slice in file.slices {
      for piece in try files.pieces(of: slice) {
        pieces.append(piece)
        bytes += piece.count
      }
      // A worker thread serves others between two turns.
      if bytes >= 8 << 20 {
        if job.isStopped { throw .broken("stopped") }
        try await put(pieces, at: &offset, output)
        (pieces, bytes) = ([], 0)
      }
    }
    try await put(pieces, at: &offset, output)
    return try await keep(output, tracks, file.totalBytes, job)
  }

  private func put(
    _ pieces: [JoinedFiles.Piece], at offset: inout UInt64, _ output: JobOutput
  ) async throws(JobFailure) {
    let start = offset
    offset = try await blocking { try JoinedFiles.write(pieces, to: output.descriptor, at: start) }
  }

  private func keep(
    _ output: JobOutput, _ tracks: [MovieTrack], _ sizeBytes: UInt64, _ job: RunningJob
  ) async throws(JobFailure) -> BlobID {
    let movie = try SourceSurvey.movie(
      JobSource(descriptor: output.descriptor, sizeBytes: sizeBytes, owner: output))
    // What players will read is what was laid out.
    let isSame =
      movie.tracks.count == tracks.count
      && zip(movie.tracks, tracks).allSatisfy { read, written in
        read.columns.durationsTicks == written.columns.durationsTicks
          && read.columns.sizesBytes == written.columns.sizesBytes
          && read.track.presentationStartTicks == written.track.presentationStartTicks
      }
    guard isSame else { throw .broken("What was joined does not read as it was written.") }
    let index = PackagingIndex.encode(
      movie, targetMilliseconds: segmentMilliseconds, sourceBytes: sizeBytes)
    return try await job.keep(output, packagingIndex: index)
  }

  private func blocking<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
  ) async throws(JobFailure) -> Value {
    do { return try await workers.run(body) } catch {
      throw (error as? JobFailure) ?? JobFailure(storage: error)
    }
  }
}

extension JobFailure {
  /// What came out of the encoders is not what was asked of them; another time it may be.
  static func broken(_ message: String) -> JobFailure {
    JobFailure(.retryable, code: "transcode-verification", message)
  }
}

// One rung of all chunks as one track.
//
// Of each sample the chunks say when it is shown; when it is decoded is laid out anew over the whole. Let p(i) be the
// presentation times in decode order and s(i) the same times sorted. Sample i is decoded at s(i) − s(0) and lasts until the
// next one is decoded, so durations are the distances of pictures as they are shown, whatever the frame rate does; its
// composition offset is p(i) − s(i) + lead, with the smallest lead that makes none of them negative; and the track is shifted
// by s(0) − lead. Nothing is rounded: all times are ticks of the source's own timescale.
//
// What is checked, of the encoders' output and not of what they were asked for:
//
// - every chunk has the same parameter sets, so that a decoder runs on from one to the next;
// - times are those of pictures inside of the chunk, no two alike, none missing: as many as were decoded, or with a frame
//   step as many as that leaves;
// - a key frame is the first picture at or behind each time it was promised for, and no other picture is one.

import Origin
import Packaging
import Store

struct JoinedTrack {
  struct Chunk: Sendable {
    var request: TranscodeRequest
    var movie: Movie
    /// Where its file begins in the long one.
    var baseBytes: UInt64
    /// Pictures that were decoded.
    var frames: Int64
  }

  private(set) var track: MovieTrack
  /// Presentation times of key frames.
  private(set) var keyTicks: [Int64] = []

  /// - Parameters:
  ///   - number: of the rung, among those of each chunk.
  ///   - endTicks: when the last picture ends; nil where nobody knows.
  init(_ chunks: [Chunk], _ number: Int, endTicks: Int64?) throws(JobFailure) {
    guard let first = chunks.first else { throw .broken("The source has no picture that can be decoded.") }
    track = first.movie.tracks[number]
    let timescale = first.request.timescale
    var columns = SampleColumns()
    var times: [Int64] = []
    for chunk in chunks {
      let part = chunk.movie.tracks[number]
      guard part.track.sampleEntry == track.track.sampleEntry, part.track.timescale == timescale else {
        throw .broken("A chunk at \(chunk.request.startTicks) has other parameters than the first.")
      }
      let shown = Self.times(of: part).map { $0 + chunk.request.startTicks }
      let keys = try Self.check(chunk, part, shown, chunk.request.rungs[number])
      if let last = keyTicks.last, let next = keys.first, next <= last { throw .overlap(next) }
      keyTicks += keys
      times += shown
      columns.offsets += part.columns.offsets.map { $0 + chunk.baseBytes }
      columns.sizesBytes += part.columns.sizesBytes
      columns.syncFlags += (0..<part.columns.count).map { part.columns.isSyncSample($0) }
    }
    let sorted = times.sorted()
    var lead: Int64 = 0
    for index in sorted.indices {
      if index > 0, sorted[index] == sorted[index - 1] { throw .overlap(sorted[index]) }
      lead = max(lead, sorted[index] - times[index])
    }
    let before = sorted.count > 1 ? sorted[sorted.count - 1] - sorted[sorted.count - 2] : 1
    let last = sorted[sorted.count - 1]
    let end = max(last + 1, endTicks ?? last + before)
    columns.durationsTicks = sorted.indices.map { index in
      UInt32(clamping: (index + 1 < sorted.count ? sorted[index + 1] : end) - sorted[index])
    }
    columns.compositionOffsetsTicks = sorted.indices.map { Int32(clamping: times[$0] - sorted[$0] + lead) }
    if columns.compositionOffsetsTicks.allSatisfy({ $0 == 0 }) { columns.compositionOffsetsTicks = [] }
    track.columns = columns
    track.track.presentationShiftTicks = sorted[0] - lead
    track.track.presentationStartTicks = sorted[0]
    track.track.sampleCount = UInt32(clamping: columns.count)
    track.track.durationTicks = UInt64(end - sorted[0])
    track.track.totalBytes = columns.sizesBytes.reduce(0) { $0 + UInt64($1) }
  }

  /// Presentation times in decode order.
  private static func times(of track: MovieTrack) -> [Int64] {
    track.columns.samples().map {
      Int64(clamping: $0.decodeTicks) + Int64($0.compositionOffsetTicks) + track.track.presentationShiftTicks
    }
  }

  /// - Returns: the times of the chunk's key frames.
  private static func check(
    _ chunk: Chunk, _ part: MovieTrack, _ times: [Int64], _ rung: TranscodeRequest.Rung
  ) throws(JobFailure) -> [Int64] {
    let sorted = times.sorted()
    let isInside = sorted.allSatisfy { time in
      time >= chunk.request.startTicks && chunk.request.endTicks.map { time < $0 } ?? true
    }
    var promised: [Int64] = []
    for wanted in chunk.request.keyTicks {
      if let time = sorted.first(where: { $0 >= wanted }), time != promised.last { promised.append(time) }
    }
    let keys = times.indices.filter { part.columns.isSyncSample($0) }.map { times[$0] }.sorted()
    let step = Int64(max(1, rung.frameStep))
    // Of each group the first is kept, and then one of every `step`.
    let least = (chunk.frames + step - 1) / step
    let isWhole = Int64(times.count) >= least && Int64(times.count) <= least + Int64(promised.count)
    guard isInside, isWhole, step > 1 || Int64(times.count) == chunk.frames else {
      throw .broken(
        "\(rung.name) has \(times.count) pictures of \(chunk.frames) in the chunk at \(chunk.request.startTicks)."
      )
    }
    guard keys == promised, part.columns.count > 0, part.columns.isSyncSample(0) else {
      throw .broken(
        "\(rung.name) has key frames at \(keys.prefix(4)) where \(promised.prefix(4)) were promised.")
    }
    return keys
  }
}

extension SampleColumns {
  fileprivate func isSyncSample(_ index: Int) -> Bool { syncFlags.isEmpty || syncFlags[index] }
}

extension JobFailure {
  fileprivate static func overlap(_ ticks: Int64) -> JobFailure {
    .broken("Two pictures are shown at \(ticks) ticks: chunks overlap.")
  }
}

// Which parts of a source are encoded for measurement before its ladder is settled.
//
//     two-pass    every chunk at the ladder's quality; eight of them six and twelve steps coarser, too: how the rate falls
//     per-title   the beginnings of eight chunks, evenly spread, at three qualities, each compared with the source
//
// Probes are chunks like others: GOP-aligned, independent, a process each, run by all workers. Their encodings are thrown away;
// what was measured stays in their results, and `RungTuning` turns it into the rungs that are made. The same source and ladder
// give the same probes.

import Packaging

/// The probes of one source.
struct ProbePlan {
  struct Probe: Equatable {
    var chunk: ChunkPlan.Chunk
    var seconds: Double
    /// Variants of the source's rungs, with qualities of their own.
    var rungs: [TranscodeRequest.Rung]
    var comparesPictures: Bool
  }

  private(set) var probes: [Probe] = []

  static let samples = 8
  static let coarserBy = 6.0
  /// Of a probe whose pictures are compared.
  private static let mostSampleSeconds: Int64 = 4

  /// - Parameters:
  ///   - chunks: of the whole source; the last may be open.
  ///   - endTicks: when the last picture ends.
  init(
    _ chunks: [ChunkPlan.Chunk], endTicks: Int64, timescale: UInt32, rungs: [TranscodeRequest.Rung],
    _ ladder: Ladder
  ) {
    guard ladder.needsProbes, !chunks.isEmpty, !rungs.isEmpty else { return }
    let places = Self.spread(Self.samples, over: chunks.count)
    for (place, chunk) in chunks.enumerated() {
      let isSample = places.contains(place)
      var part = chunk
      switch ladder.mode {
      case .perTitle:
        guard isSample else { continue }
        part = Self.beginning(of: chunk, seconds: Self.mostSampleSeconds, timescale)
      case .fixed: break
      }
      let ticks = max(0, (part.endTicks ?? endTicks) - part.startTicks)
      let variants = rungs.flatMap { rung in
        Self.qualities(of: rung, ladder, isSample).map { quality in
          var variant = rung
          variant.quality = quality
          // What the picture wants is measured, not what a cap leaves of it.
          variant.maxBitsPerSecond = rung.maxBitsPerSecond.multipliedReportingOverflow(by: 16).partialValue
          variant.bufferBits = min(Int64(Int32.max), variant.maxBitsPerSecond)
          return variant
        }
      }
      probes.append(
        Probe(
          chunk: part, seconds: Double(ticks) / Double(max(1, timescale)), rungs: variants,
          comparesPictures: ladder.mode == .perTitle))
    }
  }

  private static func qualities(
    of rung: TranscodeRequest.Rung, _ ladder: Ladder, _ isSample: Bool
  ) -> [Double] {
    switch ladder.mode {
    case .perTitle: [rung.quality, rung.quality + coarserBy / 2, rung.quality + coarserBy]
    case .fixed:
      isSample
        ? [rung.quality, rung.quality + coarserBy, rung.quality + 2 * coarserBy] : [rung.quality]
    }
  }

  /// So many places among `count`, evenly; all where there are fewer.
  private static func spread(_ samples: Int, over count: Int) -> Set<Int> {
    Set((0..<min(samples, count)).map { (2 * $0 + 1) * count / (2 * min(samples, count)) })
  }

  /// As many whole groups as lie in so many seconds, and one at least.
  private static func beginning(of chunk: ChunkPlan.Chunk, seconds: Int64, _ timescale: UInt32)
    -> ChunkPlan.Chunk
  {
    let limit = chunk.startTicks + seconds * Int64(max(1, timescale))
    guard
      let end = chunk.keyTicks.dropFirst().last(where: { $0 <= limit }) ?? chunk.keyTicks.dropFirst().first
    else { return chunk }
    return ChunkPlan.Chunk(
      startTicks: chunk.startTicks, endTicks: end, keyTicks: chunk.keyTicks.filter { $0 < end })
  }
}

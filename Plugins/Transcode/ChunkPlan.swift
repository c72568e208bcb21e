// Where a source is cut for transcoding, and where its renditions get key frames.
//
//     segments of the source   |           6.0 s           |            6.2 s            |        5.8 s …
//     key frames of the rungs  |        |        |         |        |        |           |
//     chunks                   |                           |                             |
//
// Wherever the source's own segments begin, the rungs have a key frame: then a player that changes between the source and a
// rung finds the same segments in both. Between two of those a key frame stands every two seconds, and none nearer than one
// second before the next. A source that is not packaged counts as one long segment.
//
// A chunk is a run of such groups. Each begins with half a gigabyte of fresh memory for the encoders of five rungs, a second of
// processor time, so chunks are long: up to 24 seconds. But the last ones are short, down to four, so that all workers end together: a
// chunk gets half of what would be each worker's share of the rest of the title. It ends at a key frame of the source where
// there is one within eight seconds more, since what is decoded from there is decoded by nobody else.

/// The chunks of one source, on its presentation timeline, in ticks.
struct ChunkPlan: Sendable, Equatable {
  struct Chunk: Sendable, Equatable {
    var startTicks: Int64
    /// Nil of the last, which goes on to whatever end the stream has.
    var endTicks: Int64?
    /// The first is `startTicks`.
    var keyTicks: [Int64]
  }

  var chunks: [Chunk]

  /// A job waits for at most 4,096 others.
  static let mostChunks = 4000
  private static let leastSeconds: ClosedRange<Int64> = 4...24
  private static let searchSeconds: Int64 = 8

  /// - Parameters:
  ///   - startTicks: presentation time of the first picture.
  ///   - endTicks: when the last one ends.
  ///   - cuts: where segments of the source begin; in ascending order.
  ///   - sourceKeys: where its key frames stand; in ascending order.
  ///   - workers: how many chunks are probably encoded at a time; at least 1.
  init(
    startTicks: Int64, endTicks: Int64, timescale: UInt32, groupMilliseconds: Int, cuts: [Int64],
    sourceKeys: [Int64], workers: Int
  ) {
    let second = Int64(max(1, timescale))
    let end = max(endTicks, startTicks + 1)
    let keys = Self.keys(
      startTicks, end, group: max(1, second * Int64(groupMilliseconds) / 1000), second: second,
      cuts: cuts.filter { $0 > startTicks && $0 < end })
    let isSourceKey = Set(sourceKeys)
    let bounds = (Self.leastSeconds.lowerBound * second, Self.leastSeconds.upperBound * second)
    let few = (end - startTicks) / Int64(Self.mostChunks) + 1
    var chunks: [Chunk] = []
    for key in keys {
      if let last = chunks.last {
        let length = key - last.startTicks
        let share = (end - last.startTicks) / (2 * Int64(max(1, workers)))
        let least = max(few, min(max(share, bounds.0), bounds.1))
        let most = least + Self.searchSeconds * second
        // What would be left behind it has to be worth a process.
        let isWorthwhile = end - key >= second
        guard length >= least, isWorthwhile, isSourceKey.contains(key) || length >= most || sourceKeys.isEmpty
        else {
          chunks[chunks.count - 1].keyTicks.append(key)
          continue
        }
        chunks[chunks.count - 1].endTicks = key
      }
      chunks.append(Chunk(startTicks: key, endTicks: nil, keyTicks: [key]))
    }
    self.chunks = chunks
  }

  /// One chunk of everything, for a source that does not say how long it is: a live recording, mostly. Key frames are
  /// promised for as long as a payload has room, half an hour or so.
  init(unknownLengthFrom startTicks: Int64, timescale: UInt32, groupMilliseconds: Int) {
    let group = max(1, Int64(timescale) * Int64(groupMilliseconds) / 1000)
    let keys = (0..<Self.mostKeys).map { startTicks + Int64($0) * group }
    chunks = [Chunk(startTicks: startTicks, endTicks: nil, keyTicks: keys)]
  }

  private static let mostKeys = 900

  private static func keys(
    _ start: Int64, _ end: Int64, group: Int64, second: Int64, cuts: [Int64]
  ) -> [Int64] {
    var keys: [Int64] = []
    let near = min(second, group / 2)
    let starts = [start] + cuts
    for (number, cut) in starts.enumerated() {
      if let last = keys.last, cut <= last { continue }
      let next = number + 1 < starts.count ? starts[number + 1] : end
      keys.append(cut)
      var key = cut + group
      while next - key >= near {
        keys.append(key)
        key += group
      }
    }
    return keys
  }
}

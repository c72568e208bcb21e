/// A fragmented file from a few numbers. As in `MovieBuilder`, the bytes of a sample are its number in its track.
struct FragmentBuilder {
  struct Run {
    var sizes: [Int] = []
    /// Columns; nil leaves them out.
    var durations: [Int]?
    var flags: [Int]?
    var compositionOffsets: [Int]?
    var firstFlags: Int?
    var hasSizes = true
    var hasDataOffset = true
    var version = 0
  }

  enum Base { case fragment, stated, implicit }

  struct TrackFragment {
    var id = 1
    var base = Base.fragment
    /// `tfdt`; nil leaves it out.
    var decodeTicks: UInt64?
    var isWide = false
    var descriptionNumber: Int?
    var duration: Int?
    var size: Int?
    var flags: Int?
    var durationIsEmpty = false
    var runs: [Run] = []
  }

  static let sync = 0x0200_0000
  static let nonSync = 0x0101_0000

  /// `moov`; samples of its tracks stand before those of the fragments.
  var movie = MovieBuilder()
  /// Track number to default duration, size and flags.
  var defaults: [(id: Int, duration: Int, size: Int, flags: Int)] = []
  /// Length of the whole for `mehd`; nil leaves it out.
  var durationMovieTicks: Int?
  var fragments: [[TrackFragment]] = []
  /// Boxes before each `moof`, and at the end.
  var between: [UInt8] = []
  var trailer: [UInt8] = []

  /// Pictures of 1/30 s, sync every ten, and sound of 1024 ticks, one second of both in each of `count` fragments.
  static func clip(fragments count: Int, startSeconds: Int = 0) -> FragmentBuilder {
    var builder = FragmentBuilder()
    builder.movie.tracks = [MovieBuilder.video(count: 0), MovieBuilder.audio(count: 0)]
    builder.movie.tracks[0].syncNumbers = nil
    builder.defaults = [(1, 1, 0, nonSync), (2, 1024, 0, sync)]
    for number in 0..<count {
      builder.fragments.append([
        video(count: 30, at: UInt64(30 * (startSeconds + number))),
        audio(count: 47, at: UInt64(48000 * startSeconds + 47 * 1024 * number)),
      ])
    }
    return builder
  }

  static func video(count: Int, at decodeTicks: UInt64?) -> TrackFragment {
    let flags = (0..<count).map { $0 % 10 == 0 ? sync : nonSync }
    let run = Run(sizes: (0..<count).map { 20 + $0 % 7 }, flags: flags)
    return TrackFragment(decodeTicks: decodeTicks, runs: [run])
  }

  static func audio(count: Int, at decodeTicks: UInt64?) -> TrackFragment {
    TrackFragment(
      id: 2, decodeTicks: decodeTicks, runs: [Run(sizes: (0..<count).map { 6 + $0 % 3 })])
  }

  func build() -> [UInt8] {
    var result = withExtension().build()
    var numbers: [Int: Int] = [:]
    for track in movie.tracks { numbers[track.id] = track.sizes.count }
    for trafs in fragments {
      result += between
      var media: [UInt8] = []
      for traf in trafs {
        for size in traf.runs.flatMap(\.sizes) {
          let number = numbers[traf.id, default: 0]
          media += [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size)
          numbers[traf.id] = number + 1
        }
      }
      let length = Self.moof(trafs, at: result.count, bytes: 0).count
      result += Self.moof(trafs, at: result.count, bytes: length) + BoxBytes.box("mdat", media)
    }
    return result + trailer
  }

  /// Where each `moof` starts in `bytes`, which this builder made.
  static func fragmentOffsets(_ bytes: [UInt8]) -> [Int] {
    var result: [Int] = []
    var offset = 0
    while offset + 8 <= bytes.count {
      if bytes[offset + 4..<offset + 8].elementsEqual(Array("moof".utf8)) { result.append(offset) }
      offset += bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
    }
    return result
  }

  private func withExtension() -> MovieBuilder {
    var boxes: [UInt8] = []
    if let durationMovieTicks { boxes += BoxBytes.full("mehd", BoxBytes.u32(durationMovieTicks)) }
    for track in defaults {
      boxes += BoxBytes.full(
        "trex", BoxBytes.u32(track.id), BoxBytes.u32(1), BoxBytes.u32(track.duration),
        BoxBytes.u32(track.size), BoxBytes.u32(track.flags))
    }
    var result = movie
    result.moovExtra += BoxBytes.box("mvex", boxes)
    return result
  }

  /// The `moof` at `offset` that is `length` bytes long, followed by an `mdat` with an eight-byte header.
  private static func moof(_ trafs: [TrackFragment], at offset: Int, bytes length: Int) -> [UInt8] {
    var body = BoxBytes.full("mfhd", BoxBytes.u32(1))
    var position = offset + length + 8
    var previousEnd = offset
    for traf in trafs {
      let base: Int
      switch traf.base {
      case .fragment: base = offset
      case .stated: base = position
      case .implicit: base = previousEnd
      }
      var flags = traf.base == .fragment ? 0x02_0000 : 0
      var fields: [UInt8] = []
      if traf.base == .stated {
        flags |= 1
        fields += BoxBytes.u64(UInt64(base))
      }
      let defaults = [
        (2, traf.descriptionNumber), (8, traf.duration), (0x10, traf.size), (0x20, traf.flags),
      ]
      for (flag, value) in defaults {
        guard let value else { continue }
        flags |= flag
        fields += BoxBytes.u32(value)
      }
      if traf.durationIsEmpty { flags |= 0x01_0000 }
      var boxes = BoxBytes.full("tfhd", flags: flags, BoxBytes.u32(traf.id), fields)
      if let ticks = traf.decodeTicks {
        boxes += BoxBytes.full(
          "tfdt", version: traf.isWide ? 1 : 0,
          traf.isWide ? BoxBytes.u64(ticks) : BoxBytes.u32(Int(ticks)))
      }
      for run in traf.runs {
        boxes += trun(run, dataOffset: position - base)
        position += run.sizes.reduce(0, +)
      }
      previousEnd = position
      body += BoxBytes.box("traf", boxes)
    }
    return BoxBytes.box("moof", body)
  }

  private static func trun(_ run: Run, dataOffset: Int) -> [UInt8] {
    var flags = 0
    var fields = BoxBytes.u32(run.sizes.count)
    if run.hasDataOffset {
      flags |= 1
      fields += BoxBytes.u32(dataOffset)
    }
    if let first = run.firstFlags {
      flags |= 4
      fields += BoxBytes.u32(first)
    }
    let columns = [
      (0x100, run.durations), (0x200, run.hasSizes ? run.sizes : nil), (0x400, run.flags),
      (0x800, run.compositionOffsets),
    ]
    for (flag, column) in columns where column != nil { flags |= flag }
    for sample in run.sizes.indices {
      for case (_, let column?) in columns { fields += BoxBytes.u32(column[sample]) }
    }
    return BoxBytes.full("trun", version: run.version, flags: flags, fields)
  }
}

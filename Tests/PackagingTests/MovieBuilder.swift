/// Big-endian bytes and boxes for hand-made files.
enum BoxBytes {
  static func u16(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
  static func u32(_ value: Int) -> [UInt8] { u16(value >> 16 & 0xFFFF) + u16(value & 0xFFFF) }
  static func u64(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(value >> UInt64(56 - 8 * $0) & 255) } }
  static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

  static func box(_ type: String, _ parts: [UInt8]...) -> [UInt8] {
    let body = parts.flatMap { $0 }
    return u32(body.count + 8) + Array(type.utf8) + body
  }

  static func full(_ type: String, version: Int = 0, flags: Int = 0, _ parts: [UInt8]...) -> [UInt8] {
    box(type, [UInt8(version)] + Array(u32(flags).dropFirst()) + parts.flatMap { $0 })
  }

  /// `avc1` with a Baseline 3.1 `avcC`, followed by `extra` boxes.
  static func avc1(
    width: Int = 640, height: Int = 360, extra: [UInt8] = [], code: String = "avc1",
    configuration: [UInt8]? = nil
  ) -> [UInt8] {
    let avcC =
      configuration
      ?? box("avcC", [1, 0x42, 0xC0, 0x1F, 0xFF, 0xE1, 0, 4, 0x67, 0x42, 0xC0, 0x1F, 1, 0, 2, 0x68, 0xCE])
    return box(
      code, zeros(6), u16(1), zeros(16), u16(width), u16(height), u32(0x48_0000), u32(0x48_0000), u32(0),
      u16(1),
      zeros(32), u16(24), u16(0xFFFF), avcC, extra)
  }

  static func esds(_ specificConfig: [UInt8], objectType: UInt8 = 0x40) -> [UInt8] {
    let specific = [5, UInt8(specificConfig.count)] + specificConfig
    let decoder = [4, UInt8(13 + specific.count), objectType, 0x15] + zeros(11) + specific
    return full("esds", [3, UInt8(3 + decoder.count + 3), 0, 1, 0] + decoder + [6, 1, 2])
  }

  static func mp4a(_ specificConfig: [UInt8] = [0x11, 0x90], channels: Int = 2, rate: Int = 48000) -> [UInt8]
  {
    box(
      "mp4a", zeros(6), u16(1), zeros(8), u16(channels), u16(16), u32(0), u16(rate), u16(0),
      esds(specificConfig))
  }
}

/// A progressive file from a few numbers: each sample is a byte pattern of its own size.
struct MovieBuilder {
  struct BuiltTrack {
    var id = 1
    var handler = "vide"
    var timescale = 30
    var language = 0x55C4
    var entry = BoxBytes.avc1()
    var sizes: [Int] = []
    var durations: [Int] = []
    /// Empty for none.
    var compositionOffsets: [Int] = []
    /// Numbers from 1; nil for no `stss`.
    var syncNumbers: [Int]?
    var samplesPerChunk = 4
    /// Duration in the movie's timescale, media time.
    var edits: [(Int, Int)] = []
    var isWide = false
    var extra: [UInt8] = []
  }

  var movieTimescale = 1000
  var tracks: [BuiltTrack] = []
  var moovFirst = true
  var moovExtra: [UInt8] = []
  var fileType = BoxBytes.box("ftyp", Array("isom".utf8), BoxBytes.u32(0), Array("isomavc1".utf8))

  static func video(
    count: Int, timescale: Int = 30, duration: Int = 1, syncEvery: Int = 10, size: Int = 20
  ) -> BuiltTrack {
    var track = BuiltTrack()
    track.timescale = timescale
    track.sizes = (0..<count).map { size + $0 % 7 }
    track.durations = Array(repeating: duration, count: count)
    track.syncNumbers = stride(from: 1, through: count, by: syncEvery).map { $0 }
    return track
  }

  static func audio(count: Int, id: Int = 2, timescale: Int = 48000, duration: Int = 1024) -> BuiltTrack {
    var track = BuiltTrack()
    track.id = id
    track.handler = "soun"
    track.timescale = timescale
    track.entry = BoxBytes.mp4a()
    track.sizes = (0..<count).map { 6 + $0 % 3 }
    track.durations = Array(repeating: duration, count: count)
    return track
  }

  /// The whole file. Chunks of the tracks alternate in `mdat`.
  func build() -> [UInt8] {
    let ones = tracks.map { [UInt64](repeating: 0, count: Self.chunkCount($0)) }
    let moovBytes = moov(ones).count
    var offset = UInt64(fileType.count + 8 + (moovFirst ? moovBytes : 0))
    var chunks = tracks.map { _ in [UInt64]() }
    var media: [UInt8] = []
    for round in 0..<(ones.map(\.count).max() ?? 0) {
      for (number, track) in tracks.enumerated() where round < ones[number].count {
        chunks[number].append(offset)
        let start = round * track.samplesPerChunk
        for sample in start..<min(start + track.samplesPerChunk, track.sizes.count) {
          media += [UInt8](repeating: UInt8(truncatingIfNeeded: sample), count: track.sizes[sample])
          offset += UInt64(track.sizes[sample])
        }
      }
    }
    let mdat = BoxBytes.box("mdat", media)
    return moovFirst ? fileType + moov(chunks) + mdat : fileType + mdat + moov(chunks)
  }

  private static func chunkCount(_ track: BuiltTrack) -> Int {
    (track.sizes.count + track.samplesPerChunk - 1) / track.samplesPerChunk
  }

  func moov(_ chunks: [[UInt64]]) -> [UInt8] {
    let mvhd = BoxBytes.full(
      "mvhd", BoxBytes.zeros(8), BoxBytes.u32(movieTimescale), BoxBytes.zeros(80))
    var body = mvhd
    for (number, track) in tracks.enumerated() { body += trak(track, chunks[number]) }
    return BoxBytes.box("moov", body, moovExtra)
  }

  private func trak(_ track: BuiltTrack, _ chunks: [UInt64]) -> [UInt8] {
    let matrix = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000].flatMap { BoxBytes.u32($0) }
    let tkhd = BoxBytes.full(
      "tkhd", flags: 3, BoxBytes.zeros(8), BoxBytes.u32(track.id), BoxBytes.zeros(8), BoxBytes.zeros(16),
      matrix,
      BoxBytes.zeros(8))
    let mdhd = BoxBytes.full(
      "mdhd", BoxBytes.zeros(8), BoxBytes.u32(track.timescale), BoxBytes.u32(track.durations.reduce(0, +)),
      BoxBytes.u16(track.language), BoxBytes.u16(0))
    let hdlr = BoxBytes.full("hdlr", BoxBytes.u32(0), Array(track.handler.utf8), BoxBytes.zeros(13))
    var edts: [UInt8] = []
    if !track.edits.isEmpty {
      let entries = track.edits.flatMap { BoxBytes.u32($0.0) + BoxBytes.u32($0.1) + BoxBytes.u32(0x10000) }
      edts = BoxBytes.box("edts", BoxBytes.full("elst", BoxBytes.u32(track.edits.count), entries))
    }
    let minf = BoxBytes.box("minf", Self.stbl(track, chunks))
    return BoxBytes.box("trak", tkhd, edts, BoxBytes.box("mdia", mdhd, hdlr, minf))
  }

  private static func stbl(_ track: BuiltTrack, _ chunks: [UInt64]) -> [UInt8] {
    func runs(_ values: [Int]) -> [UInt8] {
      var result: [UInt8] = []
      var count = 0
      var start = 0
      for index in values.indices where index + 1 == values.count || values[index + 1] != values[index] {
        result += BoxBytes.u32(index + 1 - start) + BoxBytes.u32(values[index])
        start = index + 1
        count += 1
      }
      return BoxBytes.u32(count) + result
    }
    var body = BoxBytes.full("stsd", BoxBytes.u32(1), track.entry)
    body += BoxBytes.full("stts", runs(track.durations))
    if !track.compositionOffsets.isEmpty { body += BoxBytes.full("ctts", runs(track.compositionOffsets)) }
    if let sync = track.syncNumbers {
      body += BoxBytes.full("stss", BoxBytes.u32(sync.count), sync.flatMap { BoxBytes.u32($0) })
    }
    body += BoxBytes.full(
      "stsz", BoxBytes.u32(0), BoxBytes.u32(track.sizes.count), track.sizes.flatMap { BoxBytes.u32($0) })
    body += BoxBytes.full(
      "stsc", BoxBytes.u32(1), BoxBytes.u32(1), BoxBytes.u32(track.samplesPerChunk), BoxBytes.u32(1))
    body += BoxBytes.full(
      track.isWide ? "co64" : "stco", BoxBytes.u32(chunks.count),
      chunks.flatMap { track.isWide ? BoxBytes.u64($0) : BoxBytes.u32(Int($0)) })
    return BoxBytes.box("stbl", body, track.extra)
  }
}

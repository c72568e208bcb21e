import Testing

@testable import Packaging

/// Where tiles of AV1 and frames of VP9 begin, beside what an independent reader of their headers says.
@Suite("Encryption: frame headers of AV1 and VP9")
struct EncryptionFrameHeaderTests {
  private typealias Clip = FFmpegOracleTests.Clip

  private static let picture = [
    "-f", "lavfi", "-i", "testsrc2=size=640x180:rate=24:duration=1", "-g", "24",
  ]
  private static let av1 = picture + ["-pix_fmt", "yuv420p", "-c:v", "libaom-av1", "-cpu-used", "8"]
  private static let svt = picture + ["-pix_fmt", "yuv420p", "-c:v", "libsvtav1", "-preset", "12"]
  private static let vp9 = picture + ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"]

  static let av1Clips: [[String]] = [
    av1 + ["-aom-params", "aq-mode=1:deltaq-mode=0"],
    av1 + ["-tile-columns", "1", "-tile-rows", "1", "-aom-params", "film-grain-test=1:num-tile-groups=2"],
    av1 + ["-aom-params", "error-resilient=1:enable-order-hint=0"],
    av1 + ["-aom-params", "lossless=1:enable-cdef=0:sb-size=128"],
    av1 + ["-aom-params", "tune-content=screen", "-pix_fmt", "gray"],
    picture + ["-pix_fmt", "yuv444p10le", "-c:v", "libaom-av1", "-cpu-used", "8"],
    svt + ["-svtav1-params", "tile-columns=1:film-grain=8"],
    picture + ["-pix_fmt", "yuv420p", "-c:v", "librav1e", "-speed", "10", "-tiles", "4"],
  ]

  static let vp9Clips: [[String]] = [
    vp9 + ["-pix_fmt", "yuv420p", "-auto-alt-ref", "1", "-lag-in-frames", "12"],
    vp9 + ["-pix_fmt", "yuv420p", "-error-resilient", "1", "-aq-mode", "3", "-tile-columns", "1"],
    vp9 + ["-pix_fmt", "yuv444p10le", "-lossless", "1", "-frame-parallel", "1"],
    picture + [
      "-pix_fmt", "yuv420p", "-c:v", "libvpx-vp9", "-cpu-used", "4", "-aq-mode", "2", "-row-mt", "1",
    ],
  ]

  /// What ffmpeg reads of one OBU or frame.
  private struct Traced {
    var type = 0
    /// From its first byte to the end of what was read, alignment included.
    var headerBits = 0
    /// Of the size in front of each tile but the last; nil where there is one tile.
    var tileSizeBytes: Int?
  }

  /// The OBUs or frames of each packet.
  private static func traced(_ path: String) throws -> [[Traced]] {
    let traced = try Clip.run(
      "ffmpeg",
      ["-nostats", "-i", path, "-map", "0:v", "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"])
    #expect(traced.status == 0, "\(traced.errors)")
    var packets: [[Traced]] = []
    for line in traced.errors.split(separator: "\n") where line.hasPrefix("[trace_headers") {
      let words = line.drop { $0 != "]" }.dropFirst().split(separator: " ")
      if words.first == "Packet:" { packets.append([]) }
      guard let packet = packets.indices.last, words.count >= 4, let position = Int(words[0]) else {
        continue
      }
      if ["obu_forbidden_bit", "frame_marker"].contains(words[1]) { packets[packet].append(Traced()) }
      guard let unit = packets[packet].indices.last else { continue }
      if words[1] == "obu_type" { packets[packet][unit].type = Int(words[words.count - 1]) ?? 0 }
      if words[1] == "tile_size_bytes_minus1" {
        packets[packet][unit].tileSizeBytes = (Int(words[words.count - 1]) ?? 0) + 1
      }
      if words.count == 5 { packets[packet][unit].headerBits = position + words[2].count }
    }
    return packets
  }

  private static func samples(_ clip: Clip) throws -> (track: Track, samples: [[UInt8]]) {
    let movieTrack = try #require(try MovieReader.read(ArraySource(clip.bytes)).tracks.first)
    return (
      movieTrack.track,
      movieTrack.columns.samples().map {
        Array(clip.bytes[Int($0.offset)..<Int($0.offset) + Int($0.sizeBytes)])
      }
    )
  }

  /// The ranges that are protected.
  private static func ranges(_ subsamples: [Subsample]) -> [Range<Int>] {
    var position = 0
    return subsamples.map { subsample in
      let start = position + subsample.clearBytes
      position = start + subsample.protectedBytes
      return start..<position
    }.filter { !$0.isEmpty }
  }

  /// Where each OBU of a sample ends.
  private static func unitEnds(_ sample: [UInt8]) -> [Int] {
    var ends: [Int] = []
    var position = 0
    while position < sample.count {
      let header = sample[position]
      position += header & 4 != 0 ? 2 : 1
      var size = sample.count - position
      if header & 2 != 0 {
        var shift = 0
        size = 0
        repeat {
          size |= Int(sample[position] & 0x7F) << shift
          shift += 7
          position += 1
        } while sample[position - 1] & 0x80 != 0
      }
      position += size
      ends.append(position)
    }
    return ends
  }

  @Test(arguments: av1Clips.indices) func tilesOfAV1AreFound(number: Int) throws {
    guard let clip = try Clip(Self.av1Clips[number]) else { return }
    let packets = try Self.traced(clip.path)
    let (track, samples) = try Self.samples(clip)
    try #require(packets.count == samples.count && samples.count > 20)
    for scheme in [ProtectionScheme.cbcs, .cenc] {
      var pictures = try #require(PictureSubsamples(track: track, scheme: scheme))
      var tileSizeBytes: Int?
      for (sample, packet) in zip(samples, packets) {
        let found = try #require(sample.withUnsafeBytes { pictures.find(in: $0, entryLimit: 40) })
        var ranges = Self.ranges(found)
        var start = 0
        for (end, unit) in zip(Self.unitEnds(sample), packet) {
          if unit.type == 3 || unit.type == 6 { tileSizeBytes = unit.tileSizeBytes }
          if unit.type == 4 || unit.type == 6 {
            // The first range of the unit begins behind all that is read of it, and the last ends with it.
            let inside = ranges.prefix { $0.upperBound <= end }
            let tile = start + unit.headerBits / 8 + (tileSizeBytes ?? 0)
            #expect(unit.headerBits % 8 == 0)
            if scheme == .cbcs {
              #expect(inside.first?.lowerBound == tile)
            } else if tileSizeBytes == nil {
              #expect((inside.first?.count ?? 0) == (end - tile) & ~15)
            }
            // Under cenc a last tile of less than a block has no range.
            if scheme == .cbcs, let last = inside.last { #expect(last.upperBound == end) }
            ranges.removeFirst(inside.count)
          }
          start = end
        }
        #expect(ranges.isEmpty)
        #expect(found.reduce(0) { $0 + $1.clearBytes + $1.protectedBytes } == sample.count)
        if scheme == .cenc { #expect(found.allSatisfy { $0.protectedBytes % 16 == 0 }) }
      }
    }
  }

  @Test(arguments: vp9Clips.indices) func framesOfVP9AreFound(number: Int) throws {
    guard let clip = try Clip(Self.vp9Clips[number]) else { return }
    let packets = try Self.traced(clip.path)
    let (track, samples) = try Self.samples(clip)
    try #require(packets.count == samples.count && samples.count > 20)
    var pictures = try #require(PictureSubsamples(track: track, scheme: .cenc))
    for (sample, packet) in zip(samples, packets) {
      let found = try #require(sample.withUnsafeBytes { pictures.find(in: $0, entryLimit: 40) })
      let sizes = sample.withUnsafeBytes(VP9Subsamples.frameSizes)
      #expect(sizes.count == packet.count)
      var expected: [Range<Int>] = []
      var start = 0
      for (size, frame) in zip(sizes, packet) {
        let bytes = (size - (frame.headerBits + 7) / 8) & ~15
        if bytes > 0 { expected.append(start + size - bytes..<start + size) }
        start += size
      }
      #expect(Self.ranges(found) == expected)
      #expect(found.reduce(0) { $0 + $1.clearBytes + $1.protectedBytes } == sample.count)
    }
  }

  /// Damage anywhere leaves a sample that is told of from front to end, and never a range out of place.
  @Test(arguments: [av1Clips[1], av1Clips[6], vp9Clips[0]]) func damagedSamplesAreToldOf(arguments: [String])
    throws
  {
    guard let clip = try Clip(arguments) else { return }
    let (track, samples) = try Self.samples(clip)
    var random = ReaderRandom(seed: 0xA51)
    for scheme in track.codec == .vp9 ? [ProtectionScheme.cenc] : [.cenc, .cbcs] {
      for round in 0..<150 {
        var pictures = try #require(PictureSubsamples(track: track, scheme: scheme))
        for sample in samples.prefix(12) {
          var sample = sample
          let reach = round % 2 == 0 ? min(sample.count, 64) : sample.count
          for _ in 0..<Int.random(in: 0...3, using: &random) {
            sample[Int.random(in: 0..<reach, using: &random)] = UInt8.random(in: 0...255, using: &random)
          }
          if round % 5 == 0 { sample.removeLast(Int.random(in: 0..<sample.count, using: &random)) }
          guard let found = sample.withUnsafeBytes({ pictures.find(in: $0, entryLimit: 40) }) else {
            continue
          }
          #expect(!found.isEmpty && found.count <= 40)
          #expect(found.allSatisfy { $0.clearBytes >= 0 && $0.protectedBytes >= 0 })
          #expect(found.reduce(0) { $0 + $1.clearBytes + $1.protectedBytes } == sample.count)
        }
      }
    }
  }

  /// Tables of what the specification writes as loops.
  @Test func orderHintsAreComparedAndReferencesChosen() {
    #expect(AV1References.distance(1, 127, bits: 7) == 2)
    #expect(AV1References.distance(127, 1, bits: 7) == -2)
    let hints: [UInt32?] = [10, 8, 6, 4, 16, 12, 14, 2]
    #expect(
      AV1References.choose(last: 0, golden: 3, orderHint: 11, orderHints: hints, orderHintBits: 7)
        == [0, 1, 2, 3, 5, 6, 4])
    #expect(
      AV1References.choose(last: 0, golden: 3, orderHint: 20, orderHints: hints, orderHintBits: 7)
        == [0, 4, 6, 3, 5, 1, 2])
    #expect(
      AV1References.choose(
        last: 0, golden: 3, orderHint: 20, orderHints: [nil] + hints.dropFirst(), orderHintBits: 7)
        == nil)
    #expect(AV1References.allowSkipMode([10, 12], orderHint: 11, orderHintBits: 7) == true)
    #expect(AV1References.allowSkipMode([10, 10], orderHint: 11, orderHintBits: 7) == false)
    #expect(AV1References.allowSkipMode([10, 8], orderHint: 11, orderHintBits: 7) == true)
    #expect(AV1References.allowSkipMode([12, 13], orderHint: 11, orderHintBits: 7) == false)
    #expect(AV1References.allowSkipMode([nil, 13], orderHint: 11, orderHintBits: 7) == nil)
  }
}

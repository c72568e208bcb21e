import Foundation
import Packaging
import Testing

/// Where protection begins in each slice under `cbcs`, against what others say of the same slices.
@Suite("Encryption: slice headers")
struct EncryptionSliceHeaderTests {
  /// For each slice of enough bytes: its sample, and how many bytes of the NAL unit are clear.
  struct ClearFront: Equatable {
    var sample: Int
    var unitBytes: Int
    var clearBytes: Int
  }

  /// What our segments say, laid over a walk of the NAL units.
  static func clearFronts(_ track: Track, _ samples: [Sample], of bytes: [UInt8]) throws -> [ClearFront] {
    let protected = try ProtectedTrack(
      track: track, scheme: .cbcs, key: try EncryptionFixture.key(), vectorBase: 0)
    let made = try EncryptionFixture.protect(protected, samples, of: bytes, length: samples.count)
    let encryption = try #require(TrackEncryption(initSegment: made.initSegment))
    let segment = try #require(made.segments.first)
    let said = try #require(
      SampleEncryption.all(segment.head, sampleCount: samples.count, encryption))
    var fronts: [ClearFront] = []
    for (index, sample) in samples.enumerated() {
      var starts: [Int: Int] = [:]  // end of a protected run: its start
      var position = 0
      for run in said[index].subsamples where run[1] > 0 || run[0] > 0 {
        position += run[0]
        if run[1] > 0 { starts[position + run[1]] = position }
        position += run[1]
      }
      for unit in try Self.units(sample, of: bytes) where Self.isSlice(unit.bytes, track.codec) {
        let start = starts[unit.offset + unit.bytes.count] ?? unit.offset + unit.bytes.count
        fronts.append(
          ClearFront(sample: index, unitBytes: unit.bytes.count, clearBytes: start - unit.offset))
      }
    }
    return fronts
  }

  static func units(_ sample: Sample, of bytes: [UInt8]) throws -> [(offset: Int, bytes: ArraySlice<UInt8>)] {
    var units: [(Int, ArraySlice<UInt8>)] = []
    var offset = 0
    while offset + 4 < Int(sample.sizeBytes) {
      let at = Int(sample.offset) + offset
      let count = bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
      try #require(offset + 4 + count <= Int(sample.sizeBytes))
      units.append((offset + 4, bytes[at + 4..<at + 4 + count]))
      offset += 4 + count
    }
    return units
  }

  static func isSlice(_ unit: ArraySlice<UInt8>, _ codec: TrackCodec) -> Bool {
    guard let first = unit.first else { return false }
    if codec == .hevc { return first >> 1 & 0x3F < 32 }
    return [1, 5].contains(first & 0x1F)
  }

  /// The length in bits of every slice header of a video stream, as ffmpeg's own parser traces them.
  static func tracedHeaderBits(_ path: String, stream: String) throws -> [Int] {
    let traced = try FFmpegOracleTests.Clip.run(
      "ffmpeg",
      [
        "-v", "info", "-nostats", "-i", path, "-map", "0:\(stream)", "-c", "copy", "-bsf:v", "trace_headers",
        "-f",
        "null", "-",
      ])
    try #require(traced.status == 0)
    var headers: [Int] = []
    var isInHeader = false
    for line in traced.errors.split(separator: "\n") where line.hasPrefix("[trace_headers") {
      let fields = line.split(separator: " ").dropFirst(3)
      if line.hasSuffix("Slice Header") || line.hasSuffix("Slice Segment Header") {
        isInHeader = true
        headers.append(0)
      } else if let first = fields.first, let position = Int(first), fields.count >= 5,
        let bits = fields.dropLast(2).last
      {
        if isInHeader, !fields.contains("cabac_alignment_one_bit") {
          headers[headers.count - 1] = position + bits.count
        }
      } else {
        isInHeader = false
      }
    }
    return headers
  }

  /// Bytes of the unit that hold so many bits of its payload.
  static func unitBytes(_ unit: ArraySlice<UInt8>, headerBits: Int) -> Int {
    var zeros = 0
    var payloadBytes = 0
    for (index, byte) in unit.enumerated() {
      if zeros >= 2, byte == 3 {
        zeros = 0
        continue
      }
      zeros = byte == 0 ? zeros + 1 : 0
      payloadBytes += 1
      if payloadBytes == (headerBits + 7) / 8 { return index + 1 }
    }
    return unit.count
  }

  static func check(_ path: String, _ bytes: [UInt8], expectsSlices: Int) throws {
    let movie = try MovieReader.read(ArraySource(bytes))
    let videos = movie.tracks.filter { $0.track.kind == .video }
    var checked = 0
    for (number, video) in videos.enumerated() {
      let samples = video.columns.samples()
      let traced = try Self.tracedHeaderBits(path, stream: "v:\(number)")
      let ours = try Self.clearFronts(video.track, samples, of: bytes)
      try #require(traced.count == ours.count, "\(traced.count) headers traced, \(ours.count) slices found")
      var index = 0
      for sample in samples {
        for unit in try Self.units(sample, of: bytes) where Self.isSlice(unit.bytes, video.track.codec) {
          let headerBytes = Self.unitBytes(unit.bytes, headerBits: traced[index])
          let expected = unit.bytes.count - headerBytes < 16 ? unit.bytes.count : headerBytes
          if ours[index].clearBytes != expected {
            Issue.record("slice \(index): \(ours[index].clearBytes) bytes are clear, \(expected) are header")
            return
          }
          if expected < unit.bytes.count { checked += 1 }
          index += 1
        }
      }
    }
    #expect(checked >= expectsSlices)
  }

  static let shared = [
    "h264-aac-2997.mp4", "h264-sparse-key.mp4", "h264-video-only.mp4", "h264-no-stss.mp4", "vfr-screen.mp4",
    "multi-2video-2audio-2tx3g.mp4", "mov-aac-first.mov", "h264-short-audio.mp4", "hevc-hev1.mp4",
    "hevc-hvc1-hdr10.mp4", "hevc-open-gop-720p.mp4",
  ].filter { MediaFolder.packageable.contains($0) }

  @Test(arguments: shared)
  func ofSharedMediaEndWhereFFmpegSaysSo(name: String) throws {
    guard let url = MediaFolder.url, FFmpegOracleTests.Clip.tool("ffmpeg") != nil else { return }
    let bytes = try #require(try MediaFolder.bytes(name))
    try Self.check(url.appending(path: name).path(), bytes, expectsSlices: 10)
  }

  private static func source(_ size: String) -> [String] {
    let filters = "fade=in:0:25,noise=alls=20:allf=t"
    return ["-f", "lavfi", "-i", "testsrc2=size=\(size):rate=25:duration=2,\(filters)", "-an"]
  }

  /// Encoder, its parameters, pixel format and size where they are not the usual ones.
  static let encoders: [String: [String]] = [
    "avc-b-weights": ["libx264", "bframes=3:b-pyramid=normal:ref=5:weightp=2:weightb=1:keyint=25"],
    "avc-slices": ["libx264", "slices=4:bframes=2:keyint=20"],
    "avc-interlaced": ["libx264", "interlaced=1:bframes=2:keyint=20:weightp=0"],
    "avc-cavlc": ["libx264", "cabac=0:bframes=2:direct=temporal:no-deblock=1"],
    "avc-baseline": ["libx264", "bframes=0:cabac=0:8x8dct=0:weightp=0:ref=4:intra-refresh=1"],
    "avc-444": ["libx264", "bframes=2:cqm=jvt", "yuv444p"],
    "avc-gray": ["libx264", "bframes=2:weightp=2", "gray"],
    "avc-10": ["libx264", "bframes=2", "yuv420p10le"],
    "hevc-wpp": ["libx265", "bframes=4:ref=4:weightp=1:weightb=1:ctu=16:keyint=25:log-level=none"],
    "hevc-slices": ["libx265", "slices=3:bframes=2:ref=3:ctu=16:keyint=20:log-level=none"],
    "hevc-plain": [
      "libx265", "no-wpp=1:bframes=3:b-pyramid=1:no-sao=1:no-deblock=1:open-gop=1:log-level=none",
    ],
    "hevc-scaling": ["libx265", "scaling-list=default:no-temporal-mvp=1:log-level=none:tskip=1:cbqpoffs=2"],
    "hevc-10": ["libx265", "bframes=2:ctu=32:log-level=none", "yuv420p10le"],
    "hevc-444": ["libx265", "bframes=2:weightb=1:log-level=none", "yuv444p"],
    "hevc-gray": ["libx265", "bframes=2:weightp=1:log-level=none", "gray"],
    // So many rows that their entry points alone are longer than the front that is tried first.
    "hevc-tall": ["libx265", "bframes=1:ctu=16:log-level=none", "yuv420p", "112x4096"],
    "hevc-intra": ["libx265", "keyint=1:log-level=none"],
  ]

  @Test(arguments: encoders.keys.sorted())
  func ofEveryToolOfEncodersEndWhereFFmpegSaysSo(name: String) throws {
    let settings = try #require(Self.encoders[name])
    let parameters = settings[0] == "libx264" ? "-x264-params" : "-x265-params"
    guard
      let clip = try FFmpegOracleTests.Clip(
        Self.source(settings.count > 3 ? settings[3] : "208x144") + [
          "-c:v", settings[0], "-pix_fmt", settings.count > 2 ? settings[2] : "yuv420p", "-preset", "medium",
          parameters,
          settings[1],
        ])
    else { return }
    try Self.check(clip.path, clip.bytes, expectsSlices: 25)
  }

  /// A file protected with `cbcs` by another packager, whose `senc` states where it found the ends of the headers.
  @Test func endWhereAnotherPackagerFoundThem() throws {
    guard let bytes = try MediaFolder.bytes("cbcs-frag-c608.mp4") else { return }
    let walk = BoxWalk(bytes: bytes)
    let entry = try #require(walk.box("moov/trak/mdia/minf/stbl/stsd")).payload.lowerBound + 8
    var track = WriterFixture.video()
    track.sampleEntry = Array(bytes[entry..<entry + Int(walk.word(entry))])
    var slices = 0
    for moof in try #require(walk.boxes(in: 0..<bytes.count)) where moof.type == "moof" {
      let traf = try #require(walk.boxes(in: moof.payload)?.first { $0.type == "traf" })
      let boxes = try #require(walk.boxes(in: traf.payload))
      var senc = try #require(boxes.first { $0.type == "senc" }).payload.lowerBound + 8
      var samples: [Sample] = []
      var stated: [[Int]] = []
      for trun in boxes where trun.type == "trun" {
        var offset = moof.range.lowerBound + Int(walk.word(trun.payload.lowerBound + 8))
        for _ in 0..<walk.word(trun.payload.lowerBound + 4) {
          try #require(walk.half(senc) == 1)
          let run = [Int(walk.half(senc + 2)), Int(walk.word(senc + 4))]
          senc += 8
          stated.append(run)
          samples.append(
            Sample(
              offset: UInt64(offset), sizeBytes: UInt32(run[0] + run[1]), durationTicks: 1,
              decodeTicks: UInt64(samples.count), compositionOffsetTicks: 0, isSync: false))
          offset += run[0] + run[1]
        }
      }
      let fronts = try Self.clearFronts(track, samples, of: bytes)
      try #require(fronts.count == samples.count)
      for (front, run) in zip(fronts, stated) where front.unitBytes - front.clearBytes > 0 {
        #expect(front.unitBytes - front.clearBytes == run[1], "sample \(front.sample)")
        slices += 1
      }
      for (front, run) in zip(fronts, stated) where front.unitBytes == front.clearBytes {
        #expect(run[1] < 16)
      }
    }
    #expect(slices > 50)
  }

  /// `avc3`: nothing in the sample entry, all in the first sample of the segment.
  @Test func areReadWithParameterSetsOfTheSamples() throws {
    guard let bytes = try MediaFolder.bytes("h264-aac-2997.mp4") else { return }
    let video = try #require(MovieReader.read(ArraySource(bytes)).tracks.first { $0.track.kind == .video })
    var samples = video.columns.samples()
    let entry = BoxWalk(bytes: video.track.sampleEntry)
    let children = try #require(entry.boxes(in: 86..<entry.bytes.count))
    let configuration = try #require(children.first { $0.type == "avcC" }).payload
    var at = configuration.lowerBound + 6
    let sequenceEnd = at + 2 + Int(entry.half(at))
    let sequence = [0, 0] + entry.bytes[at..<sequenceEnd]
    at = sequenceEnd + 1
    let picture = [0, 0] + entry.bytes[at..<at + 2 + Int(entry.half(at))]

    let sampleBytes = Int(samples[0].sizeBytes)
    let first = sequence + picture + bytes[Int(samples[0].offset)..<Int(samples[0].offset) + sampleBytes]
    samples[0].offset = UInt64(bytes.count)
    samples[0].sizeBytes = UInt32(first.count)
    var track = video.track
    let empty: [UInt8] = [0, 0, 0, 15] + Array("avcC".utf8) + [1, 0x64, 0, 0x1F, 0xFF, 0xE0, 0]
    track.sampleEntry = WriterFixture.sampleEntry("avc3", boxes: empty)
    let expected = try Self.clearFronts(video.track, video.columns.samples(), of: bytes)
    let found = try Self.clearFronts(track, samples, of: bytes + first)
    #expect(found == expected)
    #expect(found.contains { $0.clearBytes < $0.unitBytes })
    let without = try Self.clearFronts(track, video.columns.samples(), of: bytes)
    #expect(without.allSatisfy { $0.clearBytes == $0.unitBytes })
  }

  /// Damaged parameter sets and headers: nothing traps, and what is made comes back.
  @Test(arguments: ["h264-aac-2997.mp4", "hevc-hev1.mp4"])
  func damageNeitherTrapsNorLosesBytes(name: String) throws {
    guard let bytes = try MediaFolder.bytes(name) else { return }
    let video = try #require(MovieReader.read(ArraySource(bytes)).tracks.first { $0.track.kind == .video })
    let samples = Array(video.columns.samples().prefix(6))
    let first = try #require(samples.map(\.offset).min())
    let end = try #require(samples.map { $0.offset + UInt64($0.sizeBytes) }.max())
    let part = Array(bytes[Int(first)..<Int(end)])
    var moved = samples
    for index in moved.indices { moved[index].offset -= first }
    var random = WriterRandom(state: 11)
    for round in 0..<400 {
      var track = video.track
      var media = part
      if round % 2 == 0 {
        // Behind the fixed fields, so that the entry stays one.
        for _ in 0..<Int.random(in: 1...6, using: &random) {
          let at = Int.random(in: 102..<track.sampleEntry.count, using: &random)
          track.sampleEntry[at] = UInt8.random(in: 0...255, using: &random)
        }
      } else {
        for _ in 0..<30 {
          let sample = moved[Int.random(in: 0..<moved.count, using: &random)]
          let at = Int(sample.offset) + Int.random(in: 0..<min(60, Int(sample.sizeBytes)), using: &random)
          media[at] = UInt8.random(in: 0...255, using: &random)
        }
      }
      for scheme in [ProtectionScheme.cenc, .cbcs] {
        guard
          let protected = try? ProtectedTrack(
            track: track, scheme: scheme, key: try EncryptionFixture.key(), vectorBase: 0)
        else { continue }
        let made = try EncryptionFixture.protect(protected, moved, of: media, length: moved.count)
        let segment = try #require(made.segments.first)
        guard let encryption = TrackEncryption(initSegment: made.initSegment) else { continue }
        let said = try #require(SampleEncryption.all(segment.head, sampleCount: moved.count, encryption))
        var position = 0
        for (sample, how) in zip(moved, said) {
          let range = position..<position + Int(sample.sizeBytes)
          let clear = try how.decrypt(
            Array(segment.media[range]), encryption, Decryptor(key: EncryptionFixture.keyBytes))
          let expected = Array(media[Int(sample.offset)..<Int(sample.offset) + Int(sample.sizeBytes)])
          let isSame = clear == expected
          #expect(isSame, "round \(round)")
          position = range.upperBound
        }
      }
    }
  }
}

import Packaging
import Testing

@Suite("The sidecar")
struct PackagingIndexTests {
  static func movie() throws -> (Movie, UInt64) {
    var builder = MovieBuilder()
    builder.tracks = [
      MovieBuilder.video(count: 700, syncEvery: 25, size: 300), MovieBuilder.audio(count: 1100),
      MovieBuilder.audio(count: 3, id: 3),
    ]
    builder.tracks[0].compositionOffsets = (0..<700).map { $0 % 4 - 1 }
    builder.tracks[2].entry = BoxBytes.box("Opus", BoxBytes.zeros(28))
    builder.moovFirst = false
    let bytes = builder.build()
    return (try MovieReader.read(ArraySource(bytes)), UInt64(bytes.count))
  }

  private func open(_ sidecar: [UInt8]) throws -> PackagingIndex {
    let count = try PackagingIndex.residentBytes(
      header: sidecar.span.extracting(first: PackagingIndex.headerBytes))
    return try PackagingIndex(resident: sidecar.span.extracting(first: count))
  }

  /// All samples of a track through the segments of an index, reading only what `sampleRange` names.
  private func samples(_ index: PackagingIndex, track: Int, sidecar: [UInt8]) throws -> [Sample] {
    var result: [Sample] = []
    for segment in index.segments[track].indices {
      let range = try #require(index.sampleRange(track: track, segment: segment))
      let bytes = Array(sidecar[Int(range.offset)..<Int(range.offset) + range.count])
      result += try index.samples(track: track, segment: segment, in: bytes.span)
    }
    return result
  }

  @Test func whatIsWrittenIsRead() throws {
    let (movie, length) = try Self.movie()
    let sidecar = PackagingIndex.encode(movie, targetMilliseconds: 6000, sourceBytes: length)
    let index = try open(sidecar)
    #expect(index.tracks == movie.tracks.map(\.track))
    #expect(index.leftOut == movie.leftOut)
    #expect(index.defects == movie.defects)
    #expect(!index.leftOut.isEmpty && !index.defects.isEmpty)
    #expect(index.targetMilliseconds == 6000)
    #expect(index.durationMilliseconds == movie.durationMilliseconds)
    #expect(index.sourceBytes == length)
    #expect(index.totalBytes == UInt64(sidecar.count))
    #expect(index.segments == SegmentPlan.make(movie.tracks, targetMilliseconds: 6000))
    #expect(index.segments[0].count > 2)
    for track in movie.tracks.indices {
      #expect(try samples(index, track: track, sidecar: sidecar) == movie.tracks[track].columns.samples())
    }
    #expect(index.sampleRange(track: 9, segment: 0) == nil)
    #expect(index.sampleRange(track: 0, segment: 999) == nil)
  }

  @Test(arguments: [1, 500, 2000, 10000, 4_000_000] as [UInt32])
  func anotherTargetUsesTheSameColumns(target: UInt32) throws {
    let (movie, length) = try Self.movie()
    let sidecar = PackagingIndex.encode(movie, targetMilliseconds: 6000, sourceBytes: length)
    let index = try open(sidecar).replanned(targetMilliseconds: target, columns: sidecar.span)
    #expect(index.targetMilliseconds == target)
    #expect(index.segments == SegmentPlan.make(movie.tracks, targetMilliseconds: target))
    for track in movie.tracks.indices {
      #expect(try samples(index, track: track, sidecar: sidecar) == movie.tracks[track].columns.samples())
    }
  }

  @Test func keyFramesAreASecondApart() throws {
    let (movie, length) = try Self.movie()
    let sidecar = PackagingIndex.encode(movie, targetMilliseconds: 6000, sourceBytes: length)
    let index = try open(sidecar)
    for (number, track) in movie.tracks.enumerated() {
      let frames = try keyFrames(index, track: number, sidecar: sidecar)
      let samples = track.columns.samples()
      #expect(frames.isEmpty == (track.track.kind != .video))
      for (frame, next) in zip(frames, frames.dropFirst().map(\.startTicks) + [track.track.endTicks]) {
        let sample = samples[Int(frame.sample)]
        #expect(sample.isSync && sample.offset == frame.offset && sample.sizeBytes == frame.sizeBytes)
        #expect(frame.startTicks + frame.durationTicks == next)
        #expect(frame == frames.last || frame.durationTicks >= UInt64(track.track.timescale))
      }
    }
  }

  private func keyFrames(_ index: PackagingIndex, track: Int, sidecar: [UInt8]) throws -> [KeyFrame] {
    guard let range = index.keyFrameRange(track: track) else { return [] }
    let bytes = Array(sidecar[Int(range.offset)..<Int(range.offset) + range.count])
    return try index.keyFrames(track: track, in: bytes.span)
  }

  /// A head is as long as the index says, so that offsets in a file of all segments can be reckoned.
  @Test func headsAreAsLongAsStated() throws {
    let (movie, length) = try Self.movie()
    let sidecar = PackagingIndex.encode(movie, targetMilliseconds: 700, sourceBytes: length)
    let index = try open(sidecar)
    for (number, track) in index.tracks.enumerated() {
      for (position, segment) in index.segments[number].enumerated() {
        let range = try #require(index.sampleRange(track: number, segment: position))
        let bytes = Array(sidecar[Int(range.offset)..<Int(range.offset) + range.count])
        let samples = try index.samples(track: number, segment: position, in: bytes.span)
        let made = MediaSegment.make(track: track, sequenceNumber: 1, samples: samples)
        #expect(made.head.count == Int(segment.headBytes))
        #expect(made.totalBytes == segment.totalBytes)
      }
    }
  }

  @Test func everyDamagedByteIsFound() throws {
    let (movie, length) = try Self.movie()
    let sidecar = PackagingIndex.encode(movie, targetMilliseconds: 6000, sourceBytes: length)
    let resident = try PackagingIndex.residentBytes(header: sidecar.span)
    for position in 0..<sidecar.count {
      var damaged = sidecar
      damaged[position] ^= 0x10
      #expect(throws: IndexError.self, "byte \(position)") {
        let index = try open(damaged)
        #expect(position >= resident)
        for track in index.tracks.indices {
          _ = try samples(index, track: track, sidecar: damaged)
          _ = try keyFrames(index, track: track, sidecar: damaged)
        }
      }
    }
    for cut in stride(from: 0, to: resident, by: 7) {
      #expect(throws: IndexError.self) { try PackagingIndex(resident: sidecar.span.extracting(first: cut)) }
    }
    let index = try open(sidecar)
    #expect(throws: IndexError.self) { try index.samples(track: 0, segment: 1, in: sidecar.span) }
    #expect(throws: IndexError.self) { try index.samples(track: 0, segment: 999, in: sidecar.span) }
    #expect(throws: IndexError.self) {
      try index.replanned(targetMilliseconds: 2000, columns: sidecar.span.extracting(first: resident + 100))
    }
  }

  @Test func otherFilesAndVersionsAreToldApart() throws {
    let (movie, length) = try Self.movie()
    var sidecar = PackagingIndex.encode(movie, targetMilliseconds: 6000, sourceBytes: length)
    #expect(throws: IndexError.notAnIndex) {
      try PackagingIndex.residentBytes(header: [UInt8](repeating: 7, count: 64).span)
    }
    sidecar[4] = 99
    #expect(throws: IndexError.unknownVersion(99)) { try PackagingIndex.residentBytes(header: sidecar.span) }
  }

  /// Columns with all widths: sizes up to 4 bytes, negative offsets, backward gaps, no or all sync samples.
  @Test(arguments: 0..<60)
  func extremeColumns(seed: UInt64) throws {
    var random = ReaderRandom(seed: seed)
    let blob: UInt64 = 1 << 45
    var columns = SampleColumns()
    columns.firstDecodeTicks = UInt64.random(in: 0...1 << 40, using: &random)
    let count = Int.random(in: 1...300, using: &random)
    let sizeBits = UInt32.random(in: 0...31, using: &random)
    let jump = Int.random(in: 0...6, using: &random)
    var offset: UInt64 = 1 << 40
    for index in 0..<count {
      if jump > 0, Int.random(in: 0...jump, using: &random) == 0 {
        offset = UInt64.random(in: 0...1 << 44, using: &random)
      }
      let size = UInt32.random(in: 0...(1 << sizeBits), using: &random)
      columns.offsets.append(offset)
      columns.sizesBytes.append(size)
      columns.durationsTicks.append(
        seed % 3 == 0 ? 512 : UInt32.random(in: 0...UInt32(Int32.max), using: &random))
      columns.compositionOffsetsTicks.append(
        seed % 2 == 0 ? Int32.random(in: .min ... .max, using: &random) : Int32(index % 5) - 2)
      columns.syncFlags.append(seed % 5 == 0 ? false : Bool.random(using: &random))
      offset += UInt64(size)
    }
    var track = Track(
      id: 1, kind: .video, codec: .hevc, sampleEntry: [1, 2, 3], codecString: "hvc1", timescale: 90000)
    track.sampleCount = UInt32(count)
    track.durationTicks = 1 << 50
    track.presentationShiftTicks = -77
    let movie = Movie(
      majorBrand: FourCC("isom"), compatibleBrands: [], timescale: 1000,
      tracks: [MovieTrack(track: track, columns: columns)], leftOut: [], defects: [])
    let sidecar = PackagingIndex.encode(movie, targetMilliseconds: 6000, sourceBytes: blob)
    let index = try open(sidecar)
    #expect(try samples(index, track: 0, sidecar: sidecar) == columns.samples(), "seed \(seed)")
    let replanned = try index.replanned(targetMilliseconds: 1000, columns: sidecar.span)
    #expect(try samples(replanned, track: 0, sidecar: sidecar) == columns.samples(), "seed \(seed)")
  }

  #if DEBUG
  static let filmMinutes = 12
  #else
  static let filmMinutes = 120
  #endif

  /// A film of picture and sound interleaved frame by frame, the least compact form there is.
  @Test func sizeAndSpeedOfAFilm() throws {
    let minutes = Self.filmMinutes
    var tracks: [MovieTrack] = []
    for (kind, timescale, duration, count, size) in [
      (TrackKind.video, 30000, 1001, minutes * 1798, 20_000), (.audio, 48000, 1024, minutes * 2812, 340),
    ] {
      var random = ReaderRandom(seed: 7)
      var columns = SampleColumns()
      for index in 0..<count {
        columns.offsets.append(UInt64(index) * 30_000 + (kind == .audio ? 25_000 : 0))
        columns.sizesBytes.append(UInt32(size / 2 + Int(random.next() % UInt64(size))))
        columns.durationsTicks.append(UInt32(duration))
      }
      if kind == .video {
        columns.compositionOffsetsTicks = (0..<count).map { Int32($0 % 3) * 1001 }
        columns.syncFlags = (0..<count).map { $0 % 60 == 0 }
      }
      var track = Track(
        id: 1, kind: kind, codec: kind == .video ? .avc : .aac,
        sampleEntry: [UInt8](repeating: 0, count: 150),
        codecString: "avc1.64001f", timescale: UInt32(timescale))
      track.sampleCount = UInt32(count)
      track.durationTicks = UInt64(count) * UInt64(duration)
      tracks.append(MovieTrack(track: track, columns: columns))
    }
    let movie = Movie(
      majorBrand: FourCC("isom"), compatibleBrands: [], timescale: 1000, tracks: tracks, leftOut: [],
      defects: [])
    let clock = ContinuousClock()
    var sidecar: [UInt8] = []
    let encoding = clock.measure {
      sidecar = PackagingIndex.encode(movie, targetMilliseconds: 6000, sourceBytes: 1 << 40)
    }
    let resident = try PackagingIndex.residentBytes(header: sidecar.span)
    var index = try open(sidecar)
    let opening = try clock.measure { index = try open(sidecar) }
    let range = try #require(index.sampleRange(track: 0, segment: 60))
    let bytes = Array(sidecar[Int(range.offset)..<Int(range.offset) + range.count])
    var found = 0
    let reading = try clock.measure {
      for _ in 0..<1000 { found += try index.samples(track: 0, segment: 60, in: bytes.span).count }
    }
    #expect(found == 1000 * Int(index.segments[0][60].sampleCount))
    print(
      "note: index of \(minutes) min: \(resident) B resident, \(sidecar.count) B, encode \(encoding), open \(opening), "
        + "samples of a segment \(reading / 1000)")
    #expect(resident * 60 / minutes < 2 * 26 << 10)
    #expect(sidecar.count * 60 / minutes < 2_300 << 10)
  }
}

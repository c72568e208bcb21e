import Testing

@testable import Packaging

@Suite("Mutated files never trap")
struct MutationTests {
  /// Everything that a file goes through, within five seconds: verdict, index, samples, and what is made of them.
  private func run(_ bytes: [UInt8]) throws {
    var verdict: Result<Void, any Error> = .success(())
    let elapsed = ContinuousClock().measure { verdict = Result { try package(bytes) } }
    try verdict.get()
    #expect(elapsed < .seconds(5))
  }

  private func package(_ bytes: [UInt8]) throws {
    guard case .packageable(let movie) = MediaInspector.inspect(ArraySource(bytes)) else { return }
    for track in movie.tracks {
      for sample in track.columns.samples() {
        #expect(sample.offset + UInt64(sample.sizeBytes) <= UInt64(bytes.count))
      }
    }
    let sidecar = PackagingIndex.encode(movie, targetMilliseconds: 2000, sourceBytes: UInt64(bytes.count))
    let index = try PackagingIndex(resident: sidecar.span)
    for track in index.tracks.indices {
      for segment in index.segments[track].indices {
        let range = try #require(index.sampleRange(track: track, segment: segment))
        let part = sidecar.span.extracting(Int(range.offset)..<Int(range.offset) + range.count)
        let samples = try index.samples(track: track, segment: segment, in: part)
        #expect(!samples.isEmpty)
        try make(index.tracks[track], samples, number: segment, of: bytes)
      }
    }
    try describe(index, sidecar)
  }

  /// The segment in every form.
  private func make(_ track: Track, _ samples: [Sample], number: Int, of bytes: [UInt8]) throws {
    let made = MediaSegment.make(track: track, sequenceNumber: UInt32(number) + 1, samples: samples)
    #expect(made.slices.allSatisfy { $0.offset + $0.count <= UInt64(bytes.count) })
    guard DeliveryForm.transport.carries(track), let stream = try? TransportStream(track) else { return }
    let segment = TransportSegment([.init(stream: stream, samples: samples)], sequenceNumber: UInt64(number))
    // Tables may name the same bytes over and over; what is too long is refused, and is not waited for here.
    guard segment.totalBytes ?? 0 < 16 << 20 else { return }
    let written = try segment.bytes(reading: ArraySource(bytes)).count
    if let promised = segment.totalBytes { #expect(promised == UInt64(written)) }
  }

  /// Every playlist and MPD, and those of a clip.
  private func describe(_ index: PackagingIndex, _ sidecar: [UInt8]) throws {
    let range = try #require(ClipRange(startMilliseconds: 500, endMilliseconds: 1500))
    let clip = try index.clipped(range) { offset, count in
      Array(sidecar[Int(offset)..<Int(offset) + count])
    }
    for index in [index, clip].compactMap({ $0 }) {
      let presentation = try index.presentation(sidecar: sidecar.span)
      for form in DeliveryForm.allCases {
        _ = MultivariantPlaylist.bytes(presentation, form: form, uriPrefix: "")
        for rendition in presentation.renditions {
          _ = MediaPlaylist.bytes(
            track: rendition.track, segments: rendition.segments, uriPrefix: "", form: form,
            name: rendition.name)
        }
      }
      _ = MPD.bytes(presentation, baseURL: nil)
      _ = MPD.bytes(presentation, form: .byteRanges, baseURL: nil)
    }
  }

  /// Where `moov` lies in a file, by its name.
  private static func moovRange(_ bytes: [UInt8]) -> Range<Int>? {
    let name = Array("moov".utf8)
    guard let at = (4..<bytes.count - 4).first(where: { bytes[$0..<$0 + 4].elementsEqual(name) }) else {
      return nil
    }
    let size = bytes[at - 4..<at].reduce(0) { $0 << 8 | Int($1) }
    return at - 4..<min(bytes.count, at - 4 + max(8, size))
  }

  @Test(arguments: [
    "h264-aac-elst-audio-delay.mp4", "mov-aac-first.mov", "hevc-open-gop-720p.mp4", "heaac.mp4",
    "fuzz/seed-8.mp4",
    "h264-co64-elst.mp4", "multi-2video-2audio-2tx3g.mp4", "bad-trailing-junk.mp4",
    "av1-aac-elst.mp4", "vp9-aac.mp4", "h264-eac3.mp4", "flac.mp4", "alac.mp4",
  ])
  func realFiles(name: String) throws {
    guard let whole = try MediaFolder.bytes(name), let moov = Self.moovRange(whole) else { return }
    for seed in 0..<UInt64(250) {
      var random = ReaderRandom(seed: seed)
      var bytes = whole
      for _ in 0..<Int.random(in: 1...12, using: &random) {
        let position = Int.random(in: moov, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 2:
          for index in position..<min(position + 4, moov.upperBound) {
            bytes[index] = Bool.random(using: &random) ? 0xFF : 0
          }
        default:
          let from = Int.random(in: moov, using: &random)
          for index in 0..<min(16, moov.upperBound - max(from, position)) {
            bytes[position + index] = whole[from + index]
          }
        }
      }
      try run(bytes)
    }
  }

  /// Everything of a fragmented file but its media may change: `moov`, every `moof`, and the headers between them.
  @Test(arguments: [
    "frag-23976-h264.mp4", "frag-audio-aac.isma", "frag-h264-aac-8s.mp4", "frag-h264-aac.mp4",
    "rotate-90-1080p-51.mp4", "sar-pasp.mp4", "wvtt-frag.mp4", "stpp-frag.mp4", "cbcs-frag-c608.mp4",
  ])
  func realFragments(name: String) throws {
    guard let whole = try MediaFolder.bytes(name) else { return }
    let places = Self.tables(of: whole)
    for seed in 0..<UInt64(250) {
      var random = ReaderRandom(seed: seed)
      var bytes = whole
      Self.mutate(&bytes, at: places, using: &random)
      if seed % 5 == 0 { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
      try run(bytes)
    }
  }

  @Test func handMadeFragments() throws {
    var builder = FragmentBuilder.clip(fragments: 3, startSeconds: 5)
    builder.movie.tracks[0].edits = [(10, -1), (0, 1)]
    builder.durationMovieTicks = 3000
    builder.fragments[0][0].runs[0].compositionOffsets = (0..<30).map { $0 % 3 }
    builder.fragments[1][1].base = .implicit
    builder.fragments[2][0].base = .stated
    let whole = builder.build()
    let places = Self.tables(of: whole)
    for seed in 0..<UInt64(3000) {
      var random = ReaderRandom(seed: seed)
      var bytes = whole
      Self.mutate(&bytes, at: places, using: &random)
      try run(bytes)
    }
  }

  /// Positions of all bytes that are not inside of `mdat`.
  private static func tables(of bytes: [UInt8]) -> [Int] {
    var result: [Int] = []
    var offset = 0
    while offset + 8 <= bytes.count {
      let size = max(8, bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) })
      let isMedia = bytes[offset + 4..<offset + 8].elementsEqual(Array("mdat".utf8))
      result += offset..<min(bytes.count, offset + (isMedia ? 8 : size))
      offset += size
    }
    return result
  }

  private static func mutate(_ bytes: inout [UInt8], at places: [Int], using random: inout ReaderRandom) {
    for _ in 0..<Int.random(in: 1...8, using: &random) {
      guard let position = places.randomElement(using: &random) else { return }
      switch Int.random(in: 0..<4, using: &random) {
      case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      default:
        let value: UInt8 = Bool.random(using: &random) ? 0xFF : 0
        for index in position..<min(position + 4, bytes.count) { bytes[index] = value }
      }
    }
  }

  @Test func handMadeFiles() throws {
    var builder = MovieBuilder()
    builder.tracks = [MovieBuilder.video(count: 40), MovieBuilder.audio(count: 40)]
    builder.tracks[0].compositionOffsets = (0..<40).map { $0 % 3 }
    builder.tracks[0].edits = [(10, -1), (1000, 1)]
    let whole = builder.build()
    for seed in 0..<UInt64(2000) {
      var random = ReaderRandom(seed: seed)
      var bytes = whole
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      try run(bytes)
    }
  }

  @Test func sidecarsWithValidChecksumsAreStillChecked() throws {
    var builder = MovieBuilder()
    builder.tracks = [MovieBuilder.video(count: 200)]
    let movie = try MovieReader.read(ArraySource(builder.build()))
    // A blob shorter than its samples: the columns are whole, but not of this blob.
    let sidecar = PackagingIndex.encode(movie, targetMilliseconds: 1000, sourceBytes: 100)
    let index = try PackagingIndex(resident: sidecar.span)
    let range = try #require(index.sampleRange(track: 0, segment: 0))
    let part = sidecar.span.extracting(Int(range.offset)..<Int(range.offset) + range.count)
    #expect(throws: IndexError.self) { try index.samples(track: 0, segment: 0, in: part) }
    #expect(throws: IndexError.self) { try index.replanned(targetMilliseconds: 10, columns: sidecar.span) }
  }

  /// Sample entries of every coding, in ISO and QuickTime form, through the reader and all that looks at what it kept.
  @Test func sampleEntries() {
    typealias Video = VideoConfigurationTests
    typealias Sound = AudioConfigurationTests
    var entries: [(TrackKind, [UInt8])] = [
      (.video, BoxBytes.avc1(extra: Video.colr((9, 16, 9)))),
      (.video, BoxBytes.avc1(code: "vp09", configuration: Video.vpcC([2, 10, 0xA2, 9, 16, 9]))),
    ]
    for configuration in [Video.hdr10, Video.twelveBit, Video.still] {
      let box = Video.av1C(configuration)
      entries.append((.video, BoxBytes.avc1(code: "av01", configuration: box)))
    }
    for given in Sound.cases {
      entries.append((.audio, Sound.entry(given.code, given.boxes)))
      entries.append((.audio, Sound.entry(given.code, BoxBytes.box("wave", given.boxes), version: 1)))
    }
    var kept = 0
    for seed in 0..<UInt64(20000) {
      var random = ReaderRandom(seed: seed)
      var (kind, bytes) = entries[Int(seed) % entries.count]
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        bytes[Int.random(in: 8..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      guard case .success(let entry) = SampleEntry.read(bytes, kind: kind) else { continue }
      kept += 1
      var track = WriterFixture.audio()
      track.kind = kind
      track.codec = entry.codec
      track.sampleEntry = entry.bytes
      track.channelCount = entry.channelCount
      let channels = AudioChannels(track)
      let hasText = channels.playlistText != nil
      #expect(hasText == (entry.channelCount > 0), "seed \(seed)")
      let initBytes = InitSegment.bytes(for: track)
      #expect(initBytes.count > entry.bytes.count)
      if kind == .audio {
        // What was rewritten, or kept, says the same when it is read again.
        let again = try? SampleEntry.read(entry.bytes, kind: .audio).get()
        #expect(again?.codecString == entry.codecString, "seed \(seed)")
        #expect(again?.channelCount == entry.channelCount, "seed \(seed)")
      }
    }
    #expect(kept > 1000)
  }
}

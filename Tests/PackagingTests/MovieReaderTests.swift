import Packaging
import Testing

@Suite("Movies from hand-made files")
struct MovieReaderTests {
  private static func movie() -> MovieBuilder {
    var movie = MovieBuilder()
    movie.tracks = [MovieBuilder.video(count: 60), MovieBuilder.audio(count: 90)]
    return movie
  }

  private func code(_ bytes: [UInt8], limits: MediaLimits = .init()) -> String {
    switch MediaInspector.inspect(ArraySource(bytes), limits: limits) {
    case .packageable: return "packageable"
    case .bytesOnly(let reason): return "bytes " + reason.code
    case .refused(let error): return "refused " + error.code
    }
  }

  @Test func samplesAreWhereTheyWerePut() throws {
    let bytes = Self.movie().build()
    let movie = try MovieReader.read(ArraySource(bytes))
    #expect(movie.tracks.map(\.track.codecString) == ["avc1.42c01f", "mp4a.40.2"])
    #expect(movie.defects.isEmpty)
    for track in movie.tracks {
      for (number, sample) in track.columns.samples().enumerated() {
        let data = bytes[Int(sample.offset)..<Int(sample.offset) + Int(sample.sizeBytes)]
        #expect(data.allSatisfy { $0 == UInt8(number) })
        #expect(sample.isSync == (track.track.kind == .audio || number % 10 == 0))
      }
    }
    #expect(movie.tracks[0].track.durationTicks == 60)
    #expect(movie.durationMilliseconds == 2000)
  }

  @Test func moovMayBeAnywhere() throws {
    var builder = Self.movie()
    let first = try MovieReader.read(ArraySource(builder.build()))
    builder.moovFirst = false
    let last = builder.build()
    let movie = try MovieReader.read(ArraySource(last))
    #expect(movie.tracks.map(\.track) == first.tracks.map(\.track))
    #expect(movie.defects.map(\.code) == ["moov-at-end"])

    // The last box may leave its size open, and any box may state it in 64 bits.
    let chunks = [[UInt64](repeating: 0, count: 15), [UInt64](repeating: 0, count: 23)]
    let moovStart = last.count - builder.moov(chunks).count
    var open = last
    open.replaceSubrange(moovStart..<moovStart + 4, with: [0, 0, 0, 0])
    #expect(try MovieReader.read(ArraySource(open)).tracks == movie.tracks)
    var wide = Array(last[..<moovStart]) + [0, 0, 0, 1] + Array("moov".utf8)
    wide += BoxBytes.u64(UInt64(last.count - moovStart + 8))
    wide += last[(moovStart + 8)...]
    #expect(try MovieReader.read(ArraySource(wide)).tracks == movie.tracks)

    builder.tracks[0].isWide = true
    #expect(try MovieReader.read(ArraySource(builder.build())).tracks[0].track == first.tracks[0].track)
  }

  @Test func negativeOffsetsInVersionZeroAreSigned() throws {
    var builder = Self.movie()
    builder.tracks[0].compositionOffsets = (0..<60).map { $0 % 3 == 0 ? 2 : -1 }
    let columns = try MovieReader.read(ArraySource(builder.build())).tracks[0].columns
    #expect(columns.compositionOffsetsTicks.prefix(4) == [2, -1, -1, 2])
  }

  @Test func verdicts() {
    var builder = Self.movie()
    let whole = builder.build()
    #expect(code(whole) == "packageable")
    #expect(code([]) == "refused unknown")
    #expect(code(Array(whole.dropLast(1))) == "refused sample-past-end")
    #expect(code(Array(whole.prefix(600))) == "refused moov-cut-short")
    #expect(code(builder.fileType + BoxBytes.box("mdat", [1, 2, 3])) == "refused no-moov")
    #expect(code(whole + BoxBytes.box("moof")) == "packageable")
    builder.moovExtra = BoxBytes.box("mvex")
    #expect(code(builder.build()) == "packageable")
    builder.moovExtra = []
    builder.tracks[1].entry = BoxBytes.box("enca", BoxBytes.zeros(28))
    #expect(code(builder.build()) == "bytes encrypted")
    builder.tracks[1].entry = BoxBytes.box("sowt", BoxBytes.zeros(28))
    #expect(code(builder.build()) == "packageable")
    builder.tracks[0].entry = BoxBytes.avc1(code: "vvc1")
    #expect(code(builder.build()) == "bytes no-packageable-track")
    builder.tracks = []
    #expect(code(builder.build()) == "refused no-tracks")
    builder.tracks = [MovieBuilder.video(count: 0)]
    #expect(code(builder.build()) == "refused no-packageable-track")
  }

  @Test func brokenTablesAreDamageAndFlawsAreNot() {
    func broken(_ change: (inout MovieBuilder.BuiltTrack) -> Void) -> String {
      var builder = Self.movie()
      change(&builder.tracks[0])
      return code(builder.build())
    }
    #expect(broken { $0.durations = [] } == "refused sample-times")
    #expect(broken { $0.durations = Array(repeating: -1, count: 60) } == "refused sample-times")
    // Without a unit or a number the track cannot be described; the sound still can.
    #expect(broken { $0.timescale = 0 } == "packageable")
    #expect(broken { $0.id = 0 } == "packageable")
    #expect(broken { $0.syncNumbers = [] } == "packageable")
    #expect(broken { $0.syncNumbers = [1, 2, 9999] } == "packageable")
  }

  @Test func flawsThatAreForgivenAreNoted() throws {
    var builder = Self.movie()
    builder.tracks[0].syncNumbers = []
    builder.tracks[0].durations = Array(repeating: 1, count: 50)
    builder.tracks[0].entry = BoxBytes.avc1(code: "avc3")
    let movie = try MovieReader.read(ArraySource(builder.build() + [1, 2, 3]))
    #expect(
      movie.defects.map(\.code) == [
        "stts-short", "no-sync-sample", "in-band-parameter-sets", "trailing-junk",
      ])
    builder.tracks[0].syncNumbers = nil
    #expect(try MovieReader.read(ArraySource(builder.build())).defects.map(\.code).contains("no-stss"))
    builder.tracks[0].syncNumbers = [1]
    builder.tracks[0].durations = Array(repeating: 30, count: 60)
    #expect(
      try MovieReader.read(ArraySource(builder.build())).defects.map(\.code).contains("single-key-frame"))
    builder.tracks[0].syncNumbers = [1, 50]
    #expect(try MovieReader.read(ArraySource(builder.build())).defects.map(\.code).contains("long-gop"))
  }

  @Test func limitsHold() {
    let bytes = Self.movie().build()
    var limits = MediaLimits()
    limits.samplesPerTrack = 59
    #expect(code(bytes, limits: limits) == "bytes too-many-samples")
    limits = MediaLimits()
    limits.samplesTotal = 100
    #expect(code(bytes, limits: limits) == "bytes too-many-samples")
    limits = MediaLimits()
    limits.tracks = 1
    #expect(code(bytes, limits: limits) == "bytes too-many-tracks")
    limits = MediaLimits()
    limits.moovBytes = 100
    #expect(code(bytes, limits: limits) == "bytes moov-too-large")
    // A constant size times a count that no file holds is found before anything is allocated.
    var builder = Self.movie()
    builder.tracks[0].sizes = []
    builder.tracks[0].extra = BoxBytes.full("stz2", BoxBytes.u32(8), BoxBytes.u32(Int(Int32.max)))
    #expect(code(builder.build()) == "packageable")
  }

  @Test func unreadableSourcesAreNotCalledDamaged() {
    struct Failing: ByteSource {
      var lengthBytes: UInt64 { 1000 }
      func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(MediaError) -> Int {
        throw .sourceUnreadable(reason: MediaReason(code: "io", message: "The disk failed."))
      }
    }
    guard case .refused(.sourceUnreadable(let reason)) = MediaInspector.inspect(Failing()) else {
      Issue.record("an unreadable source was judged")
      return
    }
    #expect(reason.code == "io")
  }

  @Test func everyTruncationGivesAVerdict() {
    var builder = MovieBuilder()
    builder.tracks = [MovieBuilder.video(count: 12), MovieBuilder.audio(count: 10)]
    builder.tracks[0].compositionOffsets = (0..<12).map { $0 % 3 }
    builder.tracks[0].edits = [(10, -1), (400, 1)]
    for moovFirst in [true, false] {
      builder.moovFirst = moovFirst
      let bytes = builder.build()
      for length in 0..<bytes.count {
        let verdict = code(Array(bytes[..<length]))
        #expect(verdict.hasPrefix("refused"), "cut at \(length): \(verdict)")
      }
      #expect(code(bytes) == "packageable")
    }
  }
}

@Suite("What a file is")
struct MediaProbeTests {
  private static let packets188: [UInt8] = (0..<600).map { $0 % 188 == 0 ? 0x47 : 0xFF }
  private static let packets192: [UInt8] = (0..<600).map { $0 % 192 == 4 ? 0x47 : 0xFF }
  private static let avif = BoxBytes.box("ftyp", Array("avif".utf8), BoxBytes.u32(0), Array("mif1".utf8))
  private static let mpd = "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"/>"

  static let files: [(bytes: [UInt8], kind: MediaKind)] = [
    (bytes: [], kind: .unknown),
    (bytes: Array("#EXTM3U\n#EXT-X-VERSION:3\n".utf8), kind: .hlsPlaylist),
    (bytes: [0xEF, 0xBB, 0xBF] + Array("#EXTM3U\n".utf8), kind: .hlsPlaylist),
    (bytes: Array(mpd.utf8), kind: .mpd),
    (bytes: Array("<html></html>".utf8), kind: .text),
    (bytes: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0], kind: .image),
    (bytes: [0xFF, 0xD8, 0xFF, 0xE0], kind: .image),
    (bytes: avif, kind: .image),
    (bytes: [0x1A, 0x45, 0xDF, 0xA3, 0x84, 0x42, 0x82, 0x84] + Array("webm".utf8), kind: .matroska),
    (bytes: [0x1A, 0x45, 0xDF, 0xA3, 0, 0, 0, 0], kind: .unknown),
    (bytes: packets188, kind: .mpegTS),
    (bytes: packets192, kind: .mpegTS),
    (bytes: Array(packets188.dropFirst()), kind: .unknown),
    (bytes: Array("OggS\u{0}".utf8), kind: .otherMedia("Ogg")),
    (bytes: Array("RIFF1234WAVEfmt ".utf8), kind: .otherMedia("WAV")),
    (bytes: BoxBytes.box("moof") + BoxBytes.box("mdat", [1]), kind: .fragmentedMP4),
    (bytes: BoxBytes.box("mdat", [1]), kind: .progressiveMP4),
    (bytes: BoxBytes.box("free"), kind: .unknown),
  ]

  @Test(arguments: files.indices)
  func kinds(number: Int) throws {
    #expect(try MediaProbe.kind(of: ArraySource(Self.files[number].bytes)) == Self.files[number].kind)
  }
}

import Packaging
import Testing

/// Every rule of fragments, on hand-made files.
@Suite("Movies from fragments")
struct FragmentReaderTests {
  private func code(_ bytes: [UInt8], limits: MediaLimits = .init()) -> String {
    switch MediaInspector.inspect(ArraySource(bytes), limits: limits) {
    case .packageable: return "packageable"
    case .bytesOnly(let reason): return "bytes " + reason.code
    case .refused(let error): return "refused " + error.code
    }
  }

  /// The movie, whose samples are checked to be the bytes that the builder gave them, none missing in between.
  private func read(_ builder: FragmentBuilder) throws -> Movie {
    let bytes = builder.build()
    let movie = try MovieReader.read(ArraySource(bytes))
    for track in movie.tracks {
      let samples = track.columns.samples()
      let first = samples.first.map { bytes[Int($0.offset)] } ?? 0
      for (number, sample) in samples.enumerated() {
        let data = bytes[Int(sample.offset)..<Int(sample.offset) + Int(sample.sizeBytes)]
        let isNumbered = data.allSatisfy { $0 == first &+ UInt8(truncatingIfNeeded: number) }
        #expect(isNumbered, "sample \(number) of track \(track.track.id)")
      }
    }
    return movie
  }

  @Test func fragmentsMakeTheSameMovieAsTables() throws {
    let movie = try read(FragmentBuilder.clip(fragments: 3))
    #expect(movie.isFragmented)
    #expect(movie.tracks.map(\.track.sampleCount) == [90, 141])
    #expect(movie.tracks.map(\.track.durationTicks) == [90, 141 * 1024])
    #expect(movie.tracks.map(\.track.codecString) == ["avc1.42c01f", "mp4a.40.2"])
    #expect(movie.tracks[0].columns.samples().map(\.isSync) == (0..<90).map { $0 % 10 == 0 })
    #expect(movie.tracks[1].columns.syncFlags.isEmpty)
    #expect(movie.tracks[0].columns.compositionOffsetsTicks.isEmpty)
    #expect(movie.defects.isEmpty)

    var progressive = MovieBuilder()
    progressive.tracks = [MovieBuilder.video(count: 90), MovieBuilder.audio(count: 141)]
    let other = try MovieReader.read(ArraySource(progressive.build()))
    #expect(movie.tracks[0].columns.durationsTicks == other.tracks[0].columns.durationsTicks)
    #expect(movie.tracks[0].columns.syncFlags == other.tracks[0].columns.syncFlags)
  }

  @Test func otherTopLevelBoxesSayNothing() throws {
    var builder = FragmentBuilder.clip(fragments: 2)
    let plain = try read(builder)
    builder.between =
      BoxBytes.box("styp", Array("msdh".utf8), BoxBytes.u32(0)) + BoxBytes.full("sidx", BoxBytes.zeros(24))
      + BoxBytes.full("prft", BoxBytes.zeros(16)) + BoxBytes.full("emsg", BoxBytes.zeros(20))
      + BoxBytes.box("free", [1, 2, 3])
    builder.trailer = BoxBytes.box("mfra", BoxBytes.full("mfro", BoxBytes.u32(16)))
    let movie = try read(builder)
    #expect(movie.tracks.map(\.track) == plain.tracks.map(\.track))
    #expect(movie.defects.isEmpty)
  }

  @Test(arguments: [
    [FragmentBuilder.Base.fragment, .fragment], [.stated, .stated], [.implicit, .implicit],
    [.stated, .implicit], [.fragment, .implicit], [.implicit, .stated],
  ])
  func basesOfData(bases: [FragmentBuilder.Base]) throws {
    var builder = FragmentBuilder.clip(fragments: 2)
    for number in builder.fragments.indices {
      for (track, base) in bases.enumerated() { builder.fragments[number][track].base = base }
      // Behind the data of the track before, or at the stated base, a run needs no offset.
      if bases[1] != .fragment { builder.fragments[number][1].runs[0].hasDataOffset = false }
    }
    #expect(try read(builder).tracks.map(\.track.sampleCount) == [60, 94])
  }

  @Test func severalRunsFollowEachOther() throws {
    var builder = FragmentBuilder.clip(fragments: 1)
    builder.fragments[0][0].runs = [
      .init(sizes: [9, 8, 7], durations: [2, 1, 3], flags: nil, firstFlags: FragmentBuilder.sync),
      .init(
        sizes: [4, 4], compositionOffsets: [3, -1], hasSizes: false, hasDataOffset: false, version: 1),
      .init(sizes: [6], flags: [FragmentBuilder.sync]),
    ]
    builder.fragments[0][0].size = 4
    builder.fragments[0][0].duration = 5
    let columns = try read(builder).tracks[0].columns
    #expect(columns.sizesBytes == [9, 8, 7, 4, 4, 6])
    #expect(columns.durationsTicks == [2, 1, 3, 5, 5, 5])
    #expect(columns.compositionOffsetsTicks == [0, 0, 0, 3, -1, 0])
    #expect(columns.syncFlags == [true, false, false, false, false, true])
  }

  @Test func valuesComeFromRunHeaderOrDefaults() throws {
    var builder = FragmentBuilder.clip(fragments: 1)
    builder.defaults[0] = (1, 7, 11, FragmentBuilder.sync)
    builder.fragments[0][0].runs = [.init(sizes: [11, 11], hasSizes: false)]
    var columns = try read(builder).tracks[0].columns
    #expect(columns.durationsTicks == [7, 7])
    #expect(columns.syncFlags.isEmpty)
    builder.fragments[0][0].flags = FragmentBuilder.nonSync
    builder.fragments[0][0].duration = 8
    columns = try read(builder).tracks[0].columns
    #expect(columns.durationsTicks == [8, 8])
    // No sync sample at all: the first is taken for one.
    #expect(columns.syncFlags == [true, false])
    // The flags of a column are stronger than those of the first sample.
    builder.fragments[0][0].runs[0].firstFlags = FragmentBuilder.nonSync
    builder.fragments[0][0].runs[0].flags = [FragmentBuilder.sync, 0x0100_0000]
    columns = try read(builder).tracks[0].columns
    #expect(columns.syncFlags == [true, false])

    builder.defaults = []
    #expect(code(builder.build()) == "refused fragment-defaults")
  }

  @Test func samplesOfMoovComeFirst() throws {
    var builder = FragmentBuilder.clip(fragments: 1)
    builder.movie.tracks = [MovieBuilder.video(count: 30), MovieBuilder.audio(count: 47)]
    builder.fragments[0][0].decodeTicks = 30
    builder.fragments[0][1].decodeTicks = nil
    // Edits that end with the media of moov go on; the one that is shorter than that as well.
    builder.movie.tracks[0].edits = [(1000, 0)]
    builder.movie.tracks[1].edits = [(900, 1024)]
    for duration in [nil, 2000] {
      builder.durationMovieTicks = duration
      let movie = try read(builder)
      #expect(movie.tracks.map(\.track.durationTicks) == [60, 93 * 1024])
      #expect(movie.tracks[0].columns.samples().last?.decodeTicks == 59)
      #expect(movie.defects.isEmpty)
    }
  }

  @Test func editsTrimTheEndWhereTheWholeWasKnown() throws {
    var builder = FragmentBuilder.clip(fragments: 2)
    builder.movie.tracks[0].edits = [(1500, 0)]
    #expect(try read(builder).tracks[0].track.durationTicks == 60)
    builder.durationMovieTicks = 2000
    #expect(try read(builder).tracks[0].track.durationTicks == 45)
    builder.movie.tracks[0].edits = [(0, 10)]
    #expect(try read(builder).tracks[0].track.durationTicks == 50)
  }

  @Test func gapsAreClosedByTheSampleBefore() throws {
    var builder = FragmentBuilder.clip(fragments: 3)
    builder.fragments[1][0].decodeTicks = 30 + 75
    builder.fragments[2][0].decodeTicks = 60 + 75
    builder.fragments[2][1].decodeTicks = 94 * 1024 + 5
    let movie = try read(builder)
    let samples = movie.tracks[0].columns.samples()
    #expect(samples[29].durationTicks == 76)
    #expect(samples[30].decodeTicks == 105)
    #expect(samples[89].decodeTicks == 164)
    #expect(movie.tracks[1].columns.durationsTicks[93] == 1029)
    #expect(movie.defects.map(\.code).filter { $0 == "gap" } == ["gap"])
    let message = movie.defects.first { $0.code == "gap" }?.message ?? ""
    #expect(message.contains("2.500 s at 1.000 s"), "\(message)")

    builder.fragments[1][0].decodeTicks = 1 << 31 + 100
    #expect(code(builder.build()) == "bytes gap-too-long")
    builder.fragments[1][0].isWide = true
    builder.fragments[1][0].decodeTicks = .max
    #expect(code(builder.build()) == "refused fragment-times")
  }

  @Test func timeWithoutTimestampsGoesOn() throws {
    var builder = FragmentBuilder.clip(fragments: 3)
    for number in builder.fragments.indices {
      for track in 0..<2 { builder.fragments[number][track].decodeTicks = nil }
    }
    #expect(try read(builder).tracks.map(\.track.durationTicks) == [90, 141 * 1024])
    // A fragment that says it is empty takes its default duration.
    builder.fragments[1][0] = .init(duration: 15, durationIsEmpty: true)
    let samples = try read(builder).tracks[0].columns.samples()
    #expect(samples.count == 60)
    #expect(samples[30].decodeTicks == 45)
  }

  @Test func overlapsKeepDecodeTimesRising() throws {
    var builder = FragmentBuilder.clip(fragments: 4)
    builder.movie.tracks[0].timescale = 30000
    builder.defaults[0].duration = 1000
    for number in 0..<4 { builder.fragments[number][0].decodeTicks = UInt64(30000 * number) }
    // Rounding: the last sample is shorter.
    builder.fragments[1][0].decodeTicks = 29990
    builder.fragments[2][0].decodeTicks = 60000
    var movie = try read(builder)
    #expect(movie.tracks[0].columns.durationsTicks[29] == 990)
    #expect(movie.tracks[0].columns.durationsTicks[59] == 1010)
    #expect(movie.defects.isEmpty)
    // The encoder was restarted: its clock begins again, and what follows keeps its distance.
    builder.fragments[1][0].decodeTicks = 30000
    builder.fragments[2][0].decodeTicks = 0
    builder.fragments[3][0].decodeTicks = 30500
    movie = try read(builder)
    let samples = movie.tracks[0].columns.samples()
    #expect(samples[60].decodeTicks == 60000)
    #expect(samples[90].decodeTicks == 90500)
    #expect(movie.defects.map(\.code) == ["overlap"])
    // One wrong time does not move what comes after it.
    builder.fragments[3][0].decodeTicks = 90000
    #expect(try read(builder).tracks[0].columns.samples()[90].decodeTicks == 90000)
  }

  @Test func clipsOfLongerStreamsStartAtZero() throws {
    var builder = FragmentBuilder.clip(fragments: 2, startSeconds: 1000)
    builder.fragments[0][0].runs[0].compositionOffsets = Array(repeating: 2, count: 30)
    builder.fragments[0][0].isWide = true
    let movie = try read(builder)
    #expect(movie.tracks.map(\.columns.firstDecodeTicks) == [30000, 48_000_000])
    // The sound is first; the pictures come two ticks later, as they did.
    #expect(movie.tracks.map(\.track.presentationShiftTicks) == [-30000, -48_000_000])
    #expect(movie.tracks.map(\.track.presentationStartTicks) == [2, 0])
    // A single track, and one whose first composition time is not its decode time.
    builder.movie.tracks.removeLast()
    for number in 0..<2 { builder.fragments[number].removeLast() }
    let alone = try read(builder).tracks[0].track
    #expect(alone.presentationShiftTicks == -30002)
    #expect(alone.presentationStartTicks == 0)
    // What is written from it starts at 0 too, the delay of its pictures in the edit list.
    let timing = FragmentTiming(track: alone, firstDecodeTicks: 30000)
    #expect(timing.baseMediaDecodeTicks(decodeTicks: 30000) == 0)
    #expect(timing.editMediaTicks == 2)
  }

  @Test func aTrackThatStartsLateStaysLate() throws {
    var builder = FragmentBuilder.clip(fragments: 2)
    builder.fragments.removeFirst()
    builder.fragments[0][1].decodeTicks = 0
    let movie = try read(builder)
    #expect(movie.tracks.map(\.track.presentationStartTicks) == [30, 0])
    #expect(movie.tracks[0].columns.firstDecodeTicks == 30)
    #expect(movie.defects.map(\.code).contains("late-start"))
  }

  @Test func aCutOffLastFragmentIsDropped() throws {
    let whole = FragmentBuilder.clip(fragments: 3).build()
    let offsets = FragmentBuilder.fragmentOffsets(whole)
    let expected = try MovieReader.read(ArraySource(FragmentBuilder.clip(fragments: 2).build()))
    for length in (offsets[2] + 9)..<whole.count {
      let movie = try MovieReader.read(ArraySource(Array(whole[..<length])))
      #expect(movie.tracks == expected.tracks, "cut at \(length)")
      #expect(movie.defects.map(\.code) == ["fragment-cut-short"], "cut at \(length)")
    }
    #expect(code(Array(whole[..<(offsets[1] - 1)])) == "refused fragment-cut-short")
    #expect(code(Array(whole[..<offsets[0]])) == "bytes init-segment")
    // In the middle of the file it is damage.
    var broken = FragmentBuilder.clip(fragments: 3)
    broken.fragments[1][0].base = .stated
    var bytes = broken.build()
    let field = offsets[1] + 8 + 16 + 8 + 16
    for index in field..<field + 8 { bytes[index] = index < field + 3 ? 0 : 0xFF }
    #expect(code(bytes) == "refused sample-past-end")
  }

  @Test func otherSampleEntriesAndTracksAreLeftOut() throws {
    var builder = FragmentBuilder.clip(fragments: 2)
    builder.fragments[1][0].descriptionNumber = 2
    var movie = try read(builder)
    #expect(movie.leftOut.map(\.reason.code) == ["several-sample-entries"])
    #expect(movie.tracks.map(\.track.id) == [2])
    // A track that moov does not have is passed over, its data counted.
    builder = FragmentBuilder.clip(fragments: 2)
    builder.fragments[0].insert(.init(id: 9, base: .implicit, runs: [.init(sizes: [30, 30])]), at: 0)
    builder.fragments[0][1].base = .implicit
    builder.fragments[0][1].runs[0].hasDataOffset = false
    #expect(try read(builder).tracks.count == 2)
    // One that has no samples is left out.
    builder.fragments = builder.fragments.map { $0.filter { $0.id != 2 } }
    movie = try read(builder)
    #expect(movie.leftOut.map(\.reason.code) == ["no-samples"])
  }

  @Test func verdictsOfOtherFragmentedFiles() {
    var builder = FragmentBuilder.clip(fragments: 1)
    let whole = builder.build()
    let offsets = FragmentBuilder.fragmentOffsets(whole)
    #expect(code(whole + [1, 2, 3]) == "packageable")
    #expect(code(Array(whole[offsets[0]...])) == "bytes media-segment")
    builder.movie.tracks[1].entry = BoxBytes.box("enca", BoxBytes.zeros(28))
    #expect(code(builder.build()) == "bytes encrypted")
    builder = FragmentBuilder.clip(fragments: 1)
    builder.movie.tracks[0].entry = BoxBytes.box("wvtt", BoxBytes.zeros(8))
    builder.movie.tracks.removeLast()
    #expect(code(builder.build()) == "bytes no-packageable-track")
    #expect(code(whole + BoxBytes.box("moof", BoxBytes.box("traf"))) == "refused fragment-boxes")
  }

  @Test func limitsHold() {
    let bytes = FragmentBuilder.clip(fragments: 3).build()
    func verdict(_ change: (inout MediaLimits) -> Void) -> String {
      var limits = MediaLimits()
      change(&limits)
      return code(bytes, limits: limits)
    }
    #expect(verdict { $0.fragments = 3 } == "packageable")
    #expect(verdict { $0.fragments = 2 } == "bytes too-many-fragments")
    #expect(verdict { $0.samplesPerTrack = 140 } == "bytes too-many-samples")
    #expect(verdict { $0.samplesTotal = 230 } == "bytes too-many-samples")
    #expect(verdict { $0.moofBytes = 100 } == "bytes moof-too-large")
    // A run without columns may claim any count: nothing is allocated for it.
    var builder = FragmentBuilder.clip(fragments: 1)
    builder.fragments[0][0].runs[0] = .init(hasSizes: false)
    var claim = builder.build()
    let name = Array("trun".utf8)
    if let trun = (4..<claim.count - 4).first(where: { claim[$0..<$0 + 4].elementsEqual(name) }) {
      for index in trun + 8..<trun + 12 { claim[index] = 0xFF }
    }
    #expect(code(claim) == "bytes too-many-samples")
  }

  @Test func everyTruncationGivesAVerdict() {
    var builder = FragmentBuilder.clip(fragments: 2)
    builder.movie.tracks[1].edits = [(0, 1024)]
    let bytes = builder.build()
    let offsets = FragmentBuilder.fragmentOffsets(bytes)
    for length in 0..<bytes.count {
      let verdict = code(Array(bytes[..<length]))
      let expected = length < offsets[1] ? verdict != "packageable" : verdict == "packageable"
      #expect(expected, "cut at \(length): \(verdict)")
    }
  }
}

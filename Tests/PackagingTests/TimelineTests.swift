import Packaging
import Testing

@Suite("Edit lists")
struct TimelineTests {
  private func track(_ track: MovieBuilder.BuiltTrack, movieTimescale: Int = 1000) throws -> MovieTrack? {
    var builder = MovieBuilder()
    builder.movieTimescale = movieTimescale
    builder.tracks = [track]
    guard case .packageable(let movie) = MediaInspector.inspect(ArraySource(builder.build())) else {
      return nil
    }
    return movie.tracks[0]
  }

  /// Pictures at 30 a second, a sync sample each second; edits as (duration in ms, media time in ticks).
  @Test(arguments: [
    // No edit, and an edit over everything.
    ([], 0, 0, 0, 120),
    ([(4000, 0)], 0, 0, 0, 120),
    // A delay of 500 ms; of 44 ms, which is 1.32 ticks and becomes 1.
    ([(500, -1), (4000, 0)], 15, 15, 0, 120),
    ([(44, -1), (4000, 0)], 1, 1, 0, 120),
    // Two empty edits add up; one behind the media counts nothing.
    ([(500, -1), (500, -1), (4000, 0), (900, -1)], 30, 30, 0, 120),
    // An edit inside the second group of pictures keeps that group.
    ([(2000, 45)], -45, -15, 30, 75),
    // The end: half the media, and one tick of rounding short of the end.
    ([(2000, 0)], 0, 0, 0, 60),
    ([(3999, 0)], 0, 0, 0, 120),
    ([(3998, 0)], 0, 0, 0, 120),
    ([(3960, 0)], 0, 0, 0, 119),
    // Length 0 means all; an edit that is only empty delays everything.
    ([(0, 30)], -30, 0, 30, 90),
    ([(1000, -1)], 30, 30, 0, 120),
  ])
  func video(edits: [(Int, Int)], shift: Int64, start: Int64, firstDecode: UInt64, count: Int) throws {
    var builder = MovieBuilder.video(count: 120, syncEvery: 30)
    builder.edits = edits
    let found = try #require(try track(builder))
    #expect(found.track.presentationShiftTicks == shift)
    #expect(found.track.presentationStartTicks == start)
    #expect(found.columns.firstDecodeTicks == firstDecode)
    #expect(found.columns.count == count)
    #expect(found.track.sampleCount == UInt32(count))
    #expect(found.track.durationTicks == UInt64(Int64(firstDecode) + Int64(count) + shift - max(0, start)))
  }

  @Test(arguments: [
    ([(3200, 1024)], -1024, 150),
    // Two seconds are hidden: one second of sound before the edit is kept.
    ([(1200, 96000)], -96000, 150 - 46),
    ([(1000, 0)], 0, 47),
  ])
  func audio(edits: [(Int, Int)], shift: Int64, count: Int) throws {
    var builder = MovieBuilder.audio(count: 150)
    builder.edits = edits
    let found = try #require(try track(builder))
    #expect(found.track.presentationShiftTicks == shift)
    #expect(found.columns.count == count)
  }

  @Test func reorderedPicturesBehindTheEndStayWhenOthersNeedThem() throws {
    // Decode order I P B B P B B: the edit ends between the last two B pictures, so that only the very last goes.
    var builder = MovieBuilder.video(count: 7, syncEvery: 99)
    builder.compositionOffsets = [1, 3, 0, 0, 3, 0, 0]
    builder.edits = [(166, 1)]
    let found = try #require(try track(builder))
    #expect(found.columns.count == 6)
  }

  @Test func severalEditsAreNotedAndTheFirstDecides() throws {
    var builder = MovieBuilder()
    builder.tracks = [MovieBuilder.video(count: 120, syncEvery: 30)]
    builder.tracks[0].edits = [(1000, 30), (1000, 90)]
    let movie = try MovieReader.read(ArraySource(builder.build()))
    #expect(movie.defects.map(\.code) == ["several-edits"])
    #expect(movie.tracks[0].track.durationTicks == 30)
  }

  @Test func editsThatShowNothingLeaveTheTrackOut() throws {
    var builder = MovieBuilder()
    builder.tracks = [MovieBuilder.video(count: 60), MovieBuilder.audio(count: 30)]
    builder.tracks[1].edits = [(1000, 1 << 30)]
    let movie = try MovieReader.read(ArraySource(builder.build()))
    #expect(movie.tracks.count == 1)
    #expect(movie.leftOut.map(\.reason.code) == ["no-samples"])
  }
}

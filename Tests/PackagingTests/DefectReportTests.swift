import Packaging
import Testing

/// Every note on a movie, and the nearest thing that is none.
@Suite("Defect report")
struct DefectReportTests {
  private func codes(_ change: (inout MovieBuilder) -> Void) throws -> [String] {
    var builder = MovieBuilder()
    builder.tracks = [MovieBuilder.video(count: 150), MovieBuilder.audio(count: 235)]
    change(&builder)
    let movie = try MovieReader.read(ArraySource(builder.build()))
    let report = DefectReport.defects(of: movie)
    let isComplete = report.allSatisfy { movie.defects.contains($0) && $0.message.hasSuffix(".") }
    #expect(isComplete)
    return report.map(\.code)
  }

  @Test func aSoundMovieHasNone() throws { #expect(try codes { _ in } == []) }

  @Test func keyFrames() throws {
    #expect(try codes { $0.tracks[0].entry = BoxBytes.avc1(code: "avc3") } == ["in-band-parameter-sets"])
    let single = try codes {
      $0.tracks = [MovieBuilder.video(count: 330, syncEvery: 1000)]
    }
    #expect(single == ["single-key-frame"])
    #expect(try codes { $0.tracks = [MovieBuilder.video(count: 300, syncEvery: 1000)] } == [])
    #expect(try codes { $0.tracks = [MovieBuilder.video(count: 400, syncEvery: 301)] } == ["long-gop"])
    #expect(try codes { $0.tracks = [MovieBuilder.video(count: 400, syncEvery: 300)] } == [])
    #expect(try codes { $0.tracks[0].syncNumbers = [11, 21] } == ["no-key-frame-first"])
  }

  @Test func variableFrameRate() throws {
    let jumpy = try codes {
      $0.tracks = [MovieBuilder.video(count: 100, timescale: 1000, duration: 33)]
      for index in 0..<100 where index % 9 == 4 { $0.tracks[0].durations[index] = 40 }
    }
    #expect(jumpy == ["variable-frame-rate"])
    // 30 pictures a second in milliseconds, a single long picture, and sound are none.
    let rounded = try codes {
      $0.tracks = [MovieBuilder.video(count: 100, timescale: 1000, duration: 33)]
      for index in 0..<100 where index % 3 == 0 { $0.tracks[0].durations[index] = 34 }
      $0.tracks[0].durations[50] = 200
    }
    #expect(rounded == [])
    #expect(try codes { for index in 0..<99 { $0.tracks[1].durations[index] = 1300 } } == [])
  }

  @Test func gaps() throws {
    func withHole(_ ticks: Int, track: Int) throws -> [String] {
      try codes {
        $0.tracks = [$0.tracks[track]]
        $0.tracks[0].durations[40] = ticks
      }
    }
    #expect(try withHole(31, track: 0) == ["gap"])
    #expect(try withHole(30, track: 0) == [])
    #expect(try withHole(48001, track: 1) == ["gap"])
    // A slide show has long pictures, and the last sample of any track may state what it likes.
    let slides = try codes {
      $0.tracks = [MovieBuilder.video(count: 20, timescale: 1, duration: 2, syncEvery: 1)]
      $0.tracks[0].durations[7] = 20
      $0.tracks[0].durations[19] = 100
    }
    #expect(slides == [])
  }

  @Test func startsAndEnds() throws {
    #expect(try codes { $0.tracks[1].edits = [(101, -1), (5013, 0)] } == ["late-start"])
    #expect(try codes { $0.tracks[1].edits = [(100, -1), (5013, 0)] } == [])
    #expect(try codes { $0.tracks[0].edits = [(900, -1), (5000, 0)] } == ["late-start"])
    #expect(try codes { $0.tracks[1] = MovieBuilder.audio(count: 187) } == ["short-audio"])
    #expect(try codes { $0.tracks[1] = MovieBuilder.audio(count: 188) } == [])
    #expect(try codes { $0.tracks[1] = MovieBuilder.audio(count: 282) } == ["long-audio"])
    #expect(try codes { $0.tracks[1] = MovieBuilder.audio(count: 281) } == [])
  }

  @Test func brightness() throws {
    func colour(_ transfer: Int) -> [UInt8] {
      BoxBytes.avc1(
        extra: BoxBytes.box(
          "colr", Array("nclx".utf8), BoxBytes.u16(9), BoxBytes.u16(transfer), BoxBytes.u16(9), [0]))
    }
    func of(_ first: Int, _ second: Int) throws -> [String] {
      try codes {
        $0.tracks[1] = $0.tracks[0]
        $0.tracks[1].id = 2
        $0.tracks[0].entry = colour(first)
        $0.tracks[1].entry = colour(second)
      }
    }
    #expect(try of(1, 16) == ["hdr-mismatch"])
    #expect(try of(18, 2) == ["hdr-mismatch"])
    #expect(try of(16, 18) == [])
    #expect(try of(1, 2) == [])
  }

  @Test func keyFramesOfTwoVideoTracks() throws {
    func second(_ track: MovieBuilder.BuiltTrack) throws -> [String] {
      try codes {
        $0.tracks = [MovieBuilder.video(count: 600, syncEvery: 60), track]
        $0.tracks[1].id = 2
      }
    }
    #expect(try second(MovieBuilder.video(count: 600, syncEvery: 30)) == [])
    // The same instants in another clock, rounded, and a track that ends early.
    #expect(
      try second(MovieBuilder.video(count: 1200, timescale: 601, duration: 10, syncEvery: 120))
        == ["misaligned-key-frames"])
    #expect(try second(MovieBuilder.video(count: 1200, timescale: 600, duration: 10, syncEvery: 120)) == [])
    #expect(try second(MovieBuilder.video(count: 300, syncEvery: 60)) == [])
    #expect(try second(MovieBuilder.video(count: 600, syncEvery: 50)) == ["misaligned-key-frames"])
    #expect(try second(MovieBuilder.video(count: 290, syncEvery: 1000)) == ["misaligned-key-frames"])
  }
}

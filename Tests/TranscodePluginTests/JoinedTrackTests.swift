import Packaging
import Store
import Testing

@testable import TranscodePlugin

@Suite("Rungs put together from chunks")
struct JoinedTrackTests {
  /// A chunk of one rung: when each picture is shown, in decode order, from the start of the chunk.
  private func chunk(
    start: Int64, end: Int64?, shown: [Int64], keys: [Int64], promised: [Int64]? = nil, frames: Int64? = nil,
    step: Int32 = 1, entry: UInt8 = 1, base: UInt64 = 0
  ) -> JoinedTrack.Chunk {
    var columns = SampleColumns()
    // As an encoder lays them out: decode times a picture apart, the first ones before they are shown.
    let sorted = shown.sorted()
    let lead = zip(sorted, shown).reduce(Int64(0)) { max($0, $1.0 - $1.1) }
    columns.offsets = shown.indices.map { UInt64(100 + 10 * $0) }
    columns.sizesBytes = shown.map { _ in 10 }
    columns.durationsTicks = sorted.indices.map {
      $0 + 1 < sorted.count ? UInt32(sorted[$0 + 1] - sorted[$0]) : 40
    }
    columns.compositionOffsetsTicks = shown.indices.map { Int32(shown[$0] - sorted[$0] + lead) }
    columns.syncFlags = shown.map { keys.contains($0 + start) }
    var track = Track(
      id: 1, kind: .video, codec: .avc, sampleEntry: [entry], codecString: "avc1.64000b", timescale: 1000)
    track.presentationShiftTicks = (sorted.first ?? 0) - lead
    let movie = Movie(
      majorBrand: FourCC(rawValue: 0), compatibleBrands: [], timescale: 1000,
      tracks: [MovieTrack(track: track, columns: columns)], leftOut: [], defects: [])
    let rung = TranscodeRequest.Rung(
      name: "90p", widthPixels: 160, heightPixels: 90, encoder: "libx264", preset: "", quality: 23,
      maxBitsPerSecond: 1000, bufferBits: 2000, frameStep: step)
    let request = TranscodeRequest(
      trackID: nil, timescale: 1000, startTicks: start, endTicks: end, keyTicks: promised ?? keys,
      framesPerSecondNumerator: 25, framesPerSecondDenominator: 1, rungs: [rung])
    return JoinedTrack.Chunk(
      request: request, movie: movie, baseBytes: base, frames: frames ?? Int64(shown.count))
  }

  private func presented(_ track: MovieTrack) -> [Int64] {
    track.columns.samples().map {
      Int64($0.decodeTicks) + Int64($0.compositionOffsetTicks) + track.track.presentationShiftTicks
    }
  }

  @Test func timesStayWhatTheyAre() throws {
    // Pictures that are shown in another order than they are decoded, at an uneven pace, from a time that is not 0.
    let joined = try JoinedTrack(
      [
        chunk(start: 20, end: 220, shown: [0, 120, 40, 80, 190], keys: [20]),
        chunk(start: 220, end: nil, shown: [0, 90, 30], keys: [220], base: 1000),
      ], 0, endTicks: 350)
    #expect(presented(joined.track) == [20, 140, 60, 100, 210, 220, 310, 250])
    #expect(joined.keyTicks == [20, 220])
    #expect(joined.track.columns.durationsTicks == [40, 40, 40, 70, 10, 30, 60, 40])
    #expect(joined.track.columns.compositionOffsetsTicks.allSatisfy { $0 >= 0 })
    #expect(joined.track.columns.compositionOffsetsTicks.contains(0))
    #expect(joined.track.track.presentationStartTicks == 20)
    #expect(joined.track.track.durationTicks == 330)
    #expect(joined.track.columns.offsets.suffix(3) == [1100, 1110, 1120])
  }

  @Test func aKeyFrameIsTheFirstPictureBehindItsTime() throws {
    let joined = try JoinedTrack(
      [chunk(start: 0, end: nil, shown: [0, 40, 80, 120], keys: [0, 80], promised: [0, 60, 70])], 0,
      endTicks: nil)
    #expect(joined.keyTicks == [0, 80])
    #expect(joined.track.track.durationTicks == 160)
  }

  @Test func everySecondPictureIsEnoughWhereThatWasAsked() throws {
    let joined = try JoinedTrack(
      [chunk(start: 0, end: nil, shown: [0, 80, 160], keys: [0], frames: 6, step: 2)], 0, endTicks: 240)
    #expect(joined.track.columns.durationsTicks == [80, 80, 80])
  }

  @Test func whatIsNotAsPromisedIsNotPublished() {
    let good = chunk(start: 0, end: 200, shown: [0, 40], keys: [0])
    let wrong: [(String, [JoinedTrack.Chunk])] = [
      ("a picture is missing", [chunk(start: 0, end: nil, shown: [0, 40], keys: [0], frames: 3)]),
      ("half of them are missing", [chunk(start: 0, end: nil, shown: [0], keys: [0], frames: 6, step: 2)]),
      ("no key frame begins it", [chunk(start: 0, end: nil, shown: [0, 40], keys: [40], promised: [0])]),
      ("a key frame too many", [chunk(start: 0, end: nil, shown: [0, 40], keys: [0, 40], promised: [0])]),
      ("a picture outside", [chunk(start: 0, end: 40, shown: [0, 40], keys: [0])]),
      ("two pictures at a time", [good, chunk(start: 40, end: nil, shown: [0, 40], keys: [40])]),
      ("other parameters", [good, chunk(start: 200, end: nil, shown: [0], keys: [200], entry: 2)]),
      ("nothing", []),
    ]
    for (what, chunks) in wrong {
      #expect(throws: JobFailure.self, "\(what)") { try JoinedTrack(chunks, 0, endTicks: nil) }
    }
  }
}

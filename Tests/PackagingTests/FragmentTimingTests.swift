import Packaging
import Testing

@Suite struct FragmentTimingTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var kind: TrackKind
    var shift: Int64
    var start: Int64
    var firstDecode: UInt64
    var decodeShift: Int64
    var edit: Int64?
    var testDescription: String { name }
  }

  @Test(arguments: [
    Case(
      name: "no edit", kind: .video, shift: 0, start: 0, firstDecode: 0, decodeShift: 0, edit: nil),
    Case(
      name: "late start", kind: .video, shift: 900_000, start: 900_000, firstDecode: 0, decodeShift: 900_000,
      edit: nil),
    Case(
      name: "late sound", kind: .audio, shift: 2112, start: 2112, firstDecode: 0, decodeShift: 2112,
      edit: nil),
    Case(
      name: "delay of B frames", kind: .video, shift: -2002, start: 0, firstDecode: 0, decodeShift: 0,
      edit: 2002),
    Case(
      name: "primed sound", kind: .audio, shift: -1024, start: -1024, firstDecode: 0, decodeShift: 0,
      edit: 1024),
    Case(
      name: "video cut inside a GOP", kind: .video, shift: -50000, start: -46000, firstDecode: 0,
      decodeShift: 0,
      edit: 50000),
    Case(
      name: "video cut at a later key frame", kind: .video, shift: -452_002, start: 0, firstDecode: 450_000,
      decodeShift: -450_000, edit: 2002),
    Case(
      name: "video cut inside a later GOP", kind: .video, shift: -500_000, start: -48000,
      firstDecode: 450_000,
      decodeShift: -450_000, edit: 50000),
    Case(
      name: "sound cut inside a later frame", kind: .audio, shift: -48500, start: -372, firstDecode: 48128,
      decodeShift: -48128, edit: 372),
    Case(
      name: "sound cut between frames", kind: .audio, shift: -48128, start: 0, firstDecode: 48128,
      decodeShift: -48128, edit: nil),
    Case(
      name: "first kept sample after the cut", kind: .audio, shift: -48000, start: 128, firstDecode: 48128,
      decodeShift: -48000, edit: nil),
    Case(
      name: "very large shift", kind: .video, shift: -(1 << 40), start: 0, firstDecode: 0,
      decodeShift: 0, edit: 1 << 40),
    Case(
      name: "smallest shift", kind: .audio, shift: .min, start: 0, firstDecode: 0, decodeShift: 0,
      edit: .max),
    Case(
      name: "smallest shift, largest decode time", kind: .video, shift: .min, start: 0, firstDecode: .max,
      decodeShift: -.max, edit: nil),
    Case(
      name: "largest shift", kind: .video, shift: .max, start: .max, firstDecode: .max, decodeShift: .max,
      edit: nil),
  ])
  func followsTheRule(_ test: Case) {
    var track = test.kind == .video ? WriterFixture.video() : WriterFixture.audio()
    track.presentationShiftTicks = test.shift
    track.presentationStartTicks = test.start
    let timing = FragmentTiming(track: track, firstDecodeTicks: test.firstDecode)
    #expect(timing.decodeShiftTicks == test.decodeShift)
    #expect(timing.editMediaTicks == test.edit)
  }

  /// Whatever the rule chooses, a player must come to the source's presentation times.
  @Test func presentsEverySampleWhenTheSourceDoes() throws {
    let seed: UInt64 = 0x5EED_0001
    var random = WriterRandom(state: seed)
    for round in 0..<500 {
      let isVideo = Bool.random(using: &random)
      var track = isVideo ? WriterFixture.video() : WriterFixture.audio()
      let firstDecode = UInt64.random(in: 0...1_000_000, using: &random)
      let samples = WriterFixture.samples(
        count: 24, durationTicks: 1001, firstDecodeTicks: firstDecode,
        composition: { _ in isVideo ? Int32.random(in: 0...5005, using: &random) : 0 })
      let compositions = samples.map { Int64($0.decodeTicks) + Int64($0.compositionOffsetTicks) }
      track.presentationShiftTicks = Int64.random(in: -1_000_000...100_000, using: &random)
      // As a reader leaves it: the samples kept end after 0.
      track.presentationShiftTicks = max(track.presentationShiftTicks, -Int64(firstDecode) - 5000)
      let expected = compositions.map { $0 + track.presentationShiftTicks }
      track.presentationStartTicks = try #require(expected.min())

      let segment = MediaSegment.make(
        track: track, sequenceNumber: 1, samples: samples, firstDecodeTicks: firstDecode)
      let fragment = try #require(ParsedFragment(segment.head))
      let walk = BoxWalk(bytes: InitSegment.bytes(for: track, firstDecodeTicks: firstDecode))
      let editTicks =
        walk.box("moov/trak/edts/elst").map { Int64(walk.long($0.payload.lowerBound + 16)) } ?? 0
      var decode = Int64(fragment.baseMediaDecodeTicks)
      var presented: [Int64] = []
      for row in fragment.rows {
        presented.append(decode + Int64(row.compositionOffsetTicks) - editTicks)
        decode += Int64(row.durationTicks)
      }
      #expect(presented == expected, "seed \(seed), round \(round)")
    }
  }

  @Test(arguments: [
    (Int64(-1000), UInt64(400), UInt64(0)), (-1000, 1000, 0), (-1000, 5000, 4000), (.max, .max, .max),
  ])
  func neverLeaves64Bits(shift: Int64, decode: UInt64, expected: UInt64) {
    var track = WriterFixture.audio()
    track.presentationShiftTicks = shift
    let timing = FragmentTiming(track: track, firstDecodeTicks: 1000)
    #expect(timing.baseMediaDecodeTicks(decodeTicks: decode) == expected)
  }
}

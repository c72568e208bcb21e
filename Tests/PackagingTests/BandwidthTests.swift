import Packaging
import Testing

/// The peak rate of RFC 8216bis §4.4.6.2, read from the playlist of sound alone. The fixture's segments
/// have heads of 152 bytes.
@Suite struct BandwidthTests {
  struct Vector: Sendable {
    var milliseconds: [UInt64]
    /// Bits of each segment, boxes included.
    var bits: [UInt64]
    var peak: UInt64
    var average: UInt64
  }

  @Test(arguments: [
    // One segment at a time and no pair: 6 s + 6 s is more than 9 s.
    Vector(milliseconds: [6000, 6000], bits: [6_000_000, 12_000_000], peak: 2_000_000, average: 1_500_000),
    // A last segment below half the target counts only with the one before.
    Vector(milliseconds: [6000, 100], bits: [6_000_000, 1_000_000], peak: 1_147_541, average: 1_147_541),
    // Exactly half the target counts by itself.
    Vector(milliseconds: [6000, 3000], bits: [6_000_000, 6_000_000], peak: 2_000_000, average: 1_333_334),
    Vector(milliseconds: [6000, 2999], bits: [6_000_000, 6_000_000], peak: 1_333_482, average: 1_333_482),
    // Exactly 1.5 times the target is the longest run; one tick more is none.
    Vector(
      milliseconds: [6000, 1500, 1500, 6000], bits: [6_000_000, 6_000_000, 6_000_000, 6_000_000],
      peak: 4_000_000,
      average: 1_600_000),
    Vector(
      milliseconds: [2900, 100, 6000, 6000], bits: [8_000, 2_000_000, 8_000, 8_000], peak: 669_334,
      average: 134_934),
    // Shorter than half a target duration: all of it.
    Vector(milliseconds: [400], bits: [1_000_000], peak: 2_500_000, average: 2_500_000),
    Vector(milliseconds: [6000], bits: [1216], peak: 203, average: 203),
  ])
  func followsTheRule(_ vector: Vector) throws {
    let segments = WriterFixture.segments(
      vector.milliseconds, bytes: vector.bits.map { $0 / 8 - 152 }, samples: 1)
    let text = MultivariantPlaylistTests.text([
      PresentationRendition(name: "a", track: WriterFixture.audio(timescale: 1000), segments: segments)
    ])
    let line = try #require(MultivariantPlaylistTests.lines(text, "#EXT-X-STREAM-INF").first)
    #expect(MultivariantPlaylistTests.attribute("BANDWIDTH", of: line) == String(vector.peak))
    #expect(MultivariantPlaylistTests.attribute("AVERAGE-BANDWIDTH", of: line) == String(vector.average))
  }

  @Test func boxesNeverCostMoreThanIsCounted() {
    var random = WriterRandom(state: 0xB0C5)
    for count in [0, 1, 2, 180, 500] {
      for track in [WriterFixture.video(), WriterFixture.audio()] {
        var samples = WriterFixture.samples(
          count: count, durationTicks: 1001, composition: { _ in Int32.random(in: -5...5, using: &random) },
          sync: { $0 % 2 == 1 })
        if count > 1 { samples[1].durationTicks = 5 }
        // Sound with composition offsets does not occur; everything else does.
        if track.kind == .audio { for index in samples.indices { samples[index].compositionOffsetTicks = 0 } }
        let bound = 144 + (track.kind == .video ? 16 : 8) * count
        #expect(MediaSegment.make(track: track, sequenceNumber: 1, samples: samples).head.count <= bound)
      }
    }
  }

  @Test func survivesRatesOutsideOfAllRanges() {
    let segments = WriterFixture.segments([1, .max / 4, 0], bytes: [.max, .max, .max])
    for timescale: UInt32 in [0, 1, .max] {
      var track = WriterFixture.video(timescale: timescale)
      track.sampleCount = .max
      track.durationTicks = .max
      track.presentationStartTicks = .min
      let renditions = [
        PresentationRendition(name: "a", track: track, segments: segments),
        PresentationRendition(name: "b", track: track, segments: []),
      ]
      #expect(
        MultivariantPlaylistTests.lines(MultivariantPlaylistTests.text(renditions), "#EXT-X-STREAM").count
          == 2)
    }
  }
}

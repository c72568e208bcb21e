import Support
import Testing

@testable import Codec

@Suite("One clock out of a transport stream's")
struct ClockJoinTests {
  /// Packets of two streams as (stream, decode time), and what the join makes of them.
  private func joined(_ packets: [(stream: Int, ticks: Int64)]) -> (times: [Int64], jumps: Int) {
    var join = ClockJoin(ticksPerSecond: 90_000)
    let times = packets.map { $0.ticks + join.shift(stream: $0.stream, ticks: $0.ticks, duration: 3600) }
    return (times, join.jumps)
  }

  @Test func aSteadyClockIsLeftAlone() {
    let packets = (0..<100).flatMap { [(0, Int64($0) * 3600), (1, Int64($0) * 3600 - 9000)] }
    let result = joined(packets)
    #expect(result.times == packets.map(\.1))
    #expect(result.jumps == 0)
  }

  @Test(arguments: [Int64(900_000_000), -900_000_000, -450_000, 1_000_000])
  func aJumpIsClosedUpOnAllStreamsAlike(jump: Int64) {
    // The second stream lies half a second behind, and crosses the jump that much later in the file.
    var packets: [(Int, Int64)] = []
    for number in 0..<60 {
      let before = Int64(number) * 3600
      packets.append((0, before + (number >= 30 ? jump : 0)))
      let late = number - 12
      if late >= 0 { packets.append((1, Int64(late) * 3600 + (late >= 30 ? jump : 0))) }
    }
    let result = joined(packets)
    #expect(result.jumps == 1)
    for stream in 0..<2 {
      let times = zip(packets, result.times).filter { $0.0.0 == stream }.map(\.1)
      #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 == 3600 }, "stream \(stream)")
    }
  }

  @Test func aStreamThatPausesAloneIsNoJump() {
    var packets: [(Int, Int64)] = []
    for number in 0..<1000 {
      packets.append((0, Int64(number) * 3600))
      if number < 10 || number > 900 { packets.append((1, Int64(number) * 3600)) }
    }
    #expect(joined(packets).jumps == 0)
  }

  @Test func absurdTimesDoNotOverflow() {
    let times: [Int64] = [.min, .max, 0, .max - 1, 1 << 52, -(1 << 52), .min + 1, 5]
    var join = ClockJoin(ticksPerSecond: 90_000)
    for round in 0..<200 {
      for time in times { _ = join.shift(stream: round % 3, ticks: time, duration: .max) }
    }
    #expect(join.jumps > 0)
  }
}

@Suite("Times of one track")
struct TrackClockTests {
  private let milliseconds = TimeBase(numerator: 1, denominator: 1000)

  private func video() -> TrackClock { TrackClock(isVideo: true, base: milliseconds, timescale: 16_000) }
  private func sound() -> TrackClock { TrackClock(isVideo: false, base: milliseconds, timescale: 48_000) }

  /// Both readings of a file.
  private func placed(_ clock: TrackClock, _ packets: [PacketTimes]) -> (
    placements: [TrackClock.Placement], first: TrackClock
  ) {
    var first = clock
    for packet in packets { _ = first.place(packet) }
    let shift = TrackClock.Shift(zero: first.start ?? 0, lead: first.lead, firstDecodes: first.firstDecodes)
    var second = clock
    let placements = packets.compactMap { packet -> TrackClock.Placement? in
      let number = second.placed
      return second.place(packet).map { shift.apply(to: $0, number: number) }
    }
    return (placements, first)
  }

  @Test func picturesBeforeTheFirstKeyAreDropped() {
    let packets = (0..<10).map {
      PacketTimes(presentation: $0 * 40, decode: $0 * 40, duration: 40, isKey: $0 == 3)
    }
    let (placements, clock) = placed(video(), packets)
    #expect(clock.droppedPictures == 3)
    #expect(placements.map(\.decode) == (0..<7).map { $0 * 640 })
  }

  @Test func decodeTimesThatAreNotStatedAreReckonedBackwards() {
    // I P B B P as Matroska states them.
    let packets = [(0, nil), (120, nil), (40, 0), (80, 40), (240, 80)].map {
      PacketTimes(presentation: $0.0, decode: $0.1, duration: 1)
    }
    let (placements, clock) = placed(video(), packets)
    #expect(placements.map(\.decode) == [-80, -40, 0, 40, 80].map { $0 * 16 })
    #expect(placements.map(\.presentation) == [0, 120, 40, 80, 240].map { $0 * 16 })
    #expect(clock.repaired == 0)
  }

  @Test func presentationIsNeverBeforeDecoding() {
    let packets = [(0, 0), (120, 40), (40, 80), (80, 120), (200, 160)].map {
      PacketTimes(presentation: Int64($0.0), decode: Int64($0.1), duration: 40)
    }
    let (placements, _) = placed(video(), packets)
    #expect(placements.map(\.decode) == [-40, 0, 40, 80, 120].map { $0 * 16 })
    let isSound = placements.allSatisfy { $0.presentation >= $0.decode }
    #expect(isSound)
  }

  @Test func decodeTimesAreMadeToIncrease() {
    let packets = [0, 40, 40, 40, 80].map { PacketTimes(presentation: $0, decode: $0, duration: 40) }
    let (placements, clock) = placed(video(), packets)
    #expect(clock.repaired == 2)
    #expect(placements.map { $0.decode + clock.lead } == [0, 640, 641, 642, 1280])
    let isSound = placements.allSatisfy { $0.presentation >= $0.decode }
    #expect(isSound)
  }

  @Test func soundIsCountedInSamples() {
    // 1024 samples at 48 kHz are 21.33 ms, which the container rounds.
    let packets = (0..<500).map { number in
      PacketTimes(presentation: Int64((Double(number) * 1024 / 48).rounded()), duration: 21, samples: 1024)
    }
    let (placements, clock) = placed(sound(), packets)
    #expect(placements.map(\.decode) == (0..<500).map { $0 * 1024 })
    #expect(clock.gaps == 0 && clock.repaired == 0)
  }

  @Test func soundThatOverlapsDoesNotFallBehind() {
    // Two pieces of a recording that overlap by 30 ms.
    let packets = [0, 20, 40, 30, 50, 70, 90].map {
      PacketTimes(presentation: $0, duration: 20, samples: 960)
    }
    let (placements, clock) = placed(sound(), packets)
    #expect(placements.map(\.decode) == [0, 960, 1920, 1921, 2400, 3360, 4320])
    #expect(clock.repaired == 1)
  }

  @Test func theContainerHoldsWhereSoundPauses() {
    let packets = [0, 20, 40, 3000, 3020].map { PacketTimes(presentation: $0, duration: 20, samples: 960) }
    let (placements, clock) = placed(sound(), packets)
    #expect(placements.map(\.decode) == [0, 960, 1920, 144_000, 144_960])
    #expect(clock.gaps == 1)
  }

  @Test func anEncodersDelayStandsBeforeZero() {
    // Matroska has rounded 312 samples, 6.5 ms, to 7 ms.
    let packets = [-7, 13, 33].map {
      PacketTimes(presentation: $0, duration: 20, samples: 960, skippedSamples: 312)
    }
    let (placements, clock) = placed(sound(), packets)
    #expect(clock.start == 0)
    #expect(placements.map(\.decode) == [-312, 648, 1608])
  }

  @Test(arguments: [true, false]) func anyTimesGiveIncreasingDecodeTimes(isVideo: Bool) {
    var random = SplitMix64(seed: 7)
    for _ in 0..<300 {
      let packets = (0..<60).map { _ in
        let wild = [Int64.min, .max, 0, -1, 1 << 52, 1 << 40].randomElement(using: &random)
        func time() -> Int64? {
          switch Int.random(in: 0..<8, using: &random) {
          case 0: nil
          case 1: wild
          default: Int64.random(in: -200...2000, using: &random)
          }
        }
        return PacketTimes(
          presentation: time(), decode: time(), duration: time() ?? 0, isKey: Bool.random(using: &random),
          samples: 960)
      }
      let (placements, _) = placed(isVideo ? video() : sound(), packets)
      let decodes = placements.map(\.decode)
      let isIncreasing = zip(decodes, decodes.dropFirst()).allSatisfy { $0 < $1 }
      let isSound = placements.allSatisfy { $0.presentation >= $0.decode && $0.duration > 0 }
      #expect(isIncreasing && isSound)
    }
  }
}

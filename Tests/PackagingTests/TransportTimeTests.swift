import Testing

@testable import Packaging

@Suite struct TransportTimeTests {
  typealias Fixture = TransportFixture

  static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  static let timeStamps: [(Int64, UInt8, String)] = [
    (133_200, 3, "31000910a1"), (126_000, 1, "110007d861"), ((1 << 33) - 1, 2, "2fffffffff"),
    ((1 << 33) + 126_000, 1, "110007d861"), (-1, 2, "2fffffffff"),
  ]

  @Test(arguments: timeStamps)
  func writesTimeStamps(clockTicks: Int64, prefix: UInt8, text: String) {
    var bytes = [UInt8](repeating: 0xEE, count: 7)
    bytes.withUnsafeMutableBytes {
      TransportTimeField.storeTimeStamp(clockTicks, prefix: prefix, in: $0, at: 1)
    }
    #expect(Self.hex(bytes) == "ee" + text + "ee")
  }

  @Test func writesClockReferences() {
    #expect(TransportTimeField.clockReference(63000) == 0x7B0C_7E00)
    #expect(TransportTimeField.clockReference((1 << 33) - 1) == 0xFFFF_FFFF_FE00)
    #expect(TransportTimeField.clockReference((1 << 33) + 63000) == 0x7B0C_7E00)
  }

  @Test func checksumOfTheStandardText() {
    #expect(TransportTables.checksum(Array("123456789".utf8)) == 0x0376_E6E7)
  }

  static let times: [(UInt32, UInt64, Int64, Int64)] = [
    (90000, 0, 0, 900_000), (30000, 1001, 0, 903_003), (30000, 1001, -2002, 896_997),
    (44100, 1024, 0, 902_090), (44100, 1, 0, 900_002), (48000, 0, -1024, 898_080), (1, 10, 0, 1_800_000),
    (600_000, 3, 0, 900_000), (600_000, 4, 0, 900_001), (600_000, 0, -4, 899_999), (600_000, 0, -3, 900_000),
    (1, 1 << 46, -1 << 45, 3_166_593_487_995_780_000),
  ]

  @Test(arguments: times)
  func countsFromTheExactTime(timescale: UInt32, decode: UInt64, shift: Int64, expected: Int64) {
    let timeline = TransportTimeline(timescale: timescale, shiftTicks: shift)
    #expect(timeline.clockTicks(decodeTicks: decode) == expected)
  }

  /// The 128-bit way and the short one agree where both can be taken, and nothing overflows.
  @Test func countsTheSameOnBothWays() {
    var random = WriterRandom(state: 7)
    for _ in 0..<500 {
      let timescale = UInt32.random(in: 1...1_000_000, using: &random)
      let decode = UInt64.random(in: 0..<1 << 42, using: &random)
      let shift = Int64.random(in: -1 << 42..<1 << 42, using: &random)
      let short = TransportTimeline(timescale: timescale, shiftTicks: shift)
      // The same sum in parts that are too large for the short way.
      let long = TransportTimeline(timescale: timescale, shiftTicks: shift - 1 << 50)
      #expect(short.clockTicks(decodeTicks: decode) == long.clockTicks(decodeTicks: decode + 1 << 50))
    }
    for shift in [Int64.min, -1, 0, .max] {
      for decode in [UInt64(0), .max] {
        for offset in [Int64.min, 0, .max] {
          let timeline = TransportTimeline(timescale: 1, shiftTicks: shift)
          _ = timeline.clockTicks(decodeTicks: decode, offsetTicks: offset)
        }
      }
    }
  }

  /// Clocks of a segment and its successor: one at the start, none more than 100 ms after another, never
  /// backwards.
  @Test(arguments: [(UInt32(3000), 60), (3003, 60), (18000, 10), (90000, 4), (45000, 1), (1500, 240)])
  func theClockIsNeverFarAway(durationTicks: UInt32, count: Int) throws {
    var clocks: [Int] = []
    let stream = try TransportStream(Fixture.video())
    let sound = try TransportStream(Fixture.aac(timescale: 90000))
    var decode: UInt64 = 0
    for number in 0..<3 {
      let video = WriterFixture.samples(
        count: count, durationTicks: durationTicks, firstDecodeTicks: decode, offset: 0, size: { _ in 700 })
      let audio = WriterFixture.samples(
        count: count * Int(durationTicks) / 1920, durationTicks: 1920, firstDecodeTicks: decode, offset: 0,
        size: { _ in 300 })
      decode += UInt64(count) * UInt64(durationTicks)
      let segment = TransportSegment(
        [.init(stream: stream, samples: video), .init(stream: sound, samples: audio)],
        sequenceNumber: UInt64(number))
      let blob = [UInt8](repeating: 1, count: 700 * 300 + 300 * 500)
      let transport = try #require(ParsedTransport(try segment.bytes(reading: ArraySource(blob))))
      clocks += transport.packets.compactMap(\.clock)
      #expect(transport.packets.allSatisfy { $0.clock == nil || $0.identifier == 0x100 })
      #expect(transport.packets[2].clock != nil)
      #expect(transport.packets[2].isRandomAccess)
    }
    #expect(clocks.first == 837_000)
    let steps = zip(clocks, clocks.dropFirst()).map { $1 - $0 }
    #expect(steps.allSatisfy { $0 > 0 && $0 <= 9000 }, "\(steps.filter { $0 <= 0 || $0 > 9000 })")
  }

  /// Sound alone carries the clock with its PES packets, of up to 100 ms each, and between frames that are longer than that.
  @Test(
    arguments: zip(
      [[0x11, 0x90], [0x12, 0x10], [0x15, 0x90]] as [[UInt8]], [48000, 44100, 8000] as [UInt32]))
  func theClockIsNeverFarAwayInSound(config: [UInt8], rateHertz: UInt32) throws {
    let stream = try TransportStream(Fixture.aac(config, timescale: rateHertz))
    var clocks: [Int] = []
    for number in 0..<3 {
      let samples = WriterFixture.samples(
        count: 61, durationTicks: 1024, firstDecodeTicks: UInt64(number) * 61 * 1024, offset: 0,
        size: { UInt32(40 + $0 * 37 % 600) })
      let segment = TransportSegment(
        [.init(stream: stream, samples: samples)], sequenceNumber: UInt64(number))
      let transport = try #require(
        ParsedTransport(try segment.bytes(reading: ArraySource([UInt8](repeating: 1, count: 61 * 640)))))
      #expect(transport.packets[2].clock != nil)
      clocks += transport.packets.compactMap(\.clock)
    }
    #expect(clocks.first == 837_000)
    let steps = zip(clocks, clocks.dropFirst()).map { $1 - $0 }
    #expect(steps.allSatisfy { $0 > 0 && $0 <= 9000 }, "\(steps.filter { $0 <= 0 || $0 > 9000 })")
  }

  /// Sound goes on where the picture has ended: the picture's PID still carries the clock.
  @Test func theClockGoesOnWithoutPictures() throws {
    let audio = WriterFixture.samples(
      count: 281, durationTicks: 1024, firstDecodeTicks: 480_000, offset: 0, size: { _ in 9 })
    let segment = TransportSegment(
      [
        .init(stream: try TransportStream(Fixture.video()), samples: []),
        .init(stream: try TransportStream(Fixture.aac()), samples: audio),
      ], sequenceNumber: 0)
    let transport = try #require(
      ParsedTransport(try segment.bytes(reading: ArraySource([UInt8](repeating: 1, count: 2529)))))
    let clocks = transport.packets.filter { $0.clock != nil }
    #expect(transport.packets[2].clock == 900_000 + 900_000 - 63000)
    #expect(clocks.count >= 59)
    #expect(clocks.allSatisfy { $0.identifier == 0x100 && !$0.hasPayload && $0.counter == 15 })
  }

  @Test func aGapOfYearsHasFewClocks() throws {
    let samples = WriterFixture.samples(count: 3, durationTicks: .max, offset: 0, size: { _ in 9 })
    let segment = TransportSegment(
      [.init(stream: try TransportStream(Fixture.video(timescale: 1)), samples: samples)], sequenceNumber: 0)
    let packets = try #require(segment.totalBytes) / 188
    #expect(packets <= 2 + 16 + 3 * 99)
  }

  /// Pictures that a version 1 `ctts` shows before their decoding.
  @Test func decodeTimesNeverPassPresentationTimes() throws {
    let offsets: [Int32] = [0, 6000, -3000, -3000]
    func decodes(_ stream: TransportStream, number: Int, count: Int) throws -> [ParsedTransport.PES] {
      let samples = WriterFixture.samples(
        count: count, durationTicks: 3000, firstDecodeTicks: UInt64(number * count) * 3000, offset: 0,
        size: { _ in 9 },
        composition: { $0 == 0 ? 0 : offsets[1 + ($0 - 1) % 3] })
      let segment = TransportSegment([.init(stream: stream, samples: samples)], sequenceNumber: 0)
      let blob = [UInt8](repeating: 0, count: 9 * count)
      return try #require(ParsedTransport(try segment.bytes(reading: ArraySource(blob)))).units
    }
    for least in [Int32(0), -3000] {
      var track = Fixture.video()
      track.leastCompositionOffsetTicks = least
      let stream = try TransportStream(track)
      let units = try (0..<3).flatMap { try decodes(stream, number: $0, count: 10) }
      #expect(units.allSatisfy { $0.decode <= $0.presentation })
      let isRising = zip(units, units.dropFirst()).allSatisfy { $0.decode < $1.decode }
      #expect(isRising)
      if least != 0 { #expect(units.map(\.decode) == (0..<30).map { 900_000 + $0 * 3000 - 3000 }) }
    }
  }

  /// Each frame's time, as a decoder counts it from its PES packet, is the source's within one tick.
  @Test(arguments: [UInt32(44100), 48000, 1000, 90000, 22050])
  func soundFramesKeepTheirTimes(timescale: UInt32) throws {
    // AAC at 44.1 kHz, in tables of several timescales, with a hole after 50 frames.
    let stream = try TransportStream(Fixture.aac([0x12, 0x10], timescale: timescale))
    func ticks(_ index: Int) -> UInt64 {
      let samples = UInt64(index) * 1024 + (index < 50 ? 0 : 30000)
      return (samples * UInt64(timescale) + 22050) / 44100
    }
    let samples = (0..<120).map {
      Sample(
        offset: 0, sizeBytes: 100, durationTicks: UInt32(ticks($0 + 1) - ticks($0)), decodeTicks: ticks($0),
        compositionOffsetTicks: 0, isSync: true)
    }
    let segment = TransportSegment([.init(stream: stream, samples: samples)], sequenceNumber: 0)
    let transport = try #require(
      ParsedTransport(try segment.bytes(reading: ArraySource([UInt8](repeating: 5, count: 100)))))
    var frame = 0
    var packetsWithSeveral = 0
    for unit in transport.units {
      #expect(unit.body.count % 107 == 0)
      let count = unit.body.count / 107
      if count > 1 { packetsWithSeveral += 1 }
      #expect(count * 1024 * 10 <= 44100)
      for place in 0..<count {
        let exact = 900_000 + Double(ticks(frame)) * 90000 / Double(timescale)
        let counted = Double(unit.presentation) + (Double(place) * 1024 * 90000 / 44100)
        #expect(abs(exact - counted) <= 2)
        frame += 1
      }
    }
    #expect(frame == 120)
    if timescale == 44100 { #expect(packetsWithSeveral >= 29) }
  }
}

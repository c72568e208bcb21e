import Packaging
import Testing

@Suite struct TransportStreamTests {
  typealias Fixture = TransportFixture

  /// What the program map says of a stream: its type and its descriptors.
  static func entry(_ track: Track) throws -> [UInt8] {
    let segment = TransportSegment(
      [.init(stream: try TransportStream(track), samples: [])], sequenceNumber: 0)
    let map = Array(try segment.bytes(reading: ArraySource([]))[193...])
    let length = Int(map[1] & 15) << 8 | Int(map[2])
    let section = map[..<(3 + length)]
    return Array(section[12..<section.count - 4])
  }

  static func failure(_ track: Track) -> String {
    do throws(MediaError) {
      _ = try TransportStream(track)
      return ""
    } catch {
      return error.code
    }
  }

  @Test func namesEachCoding() throws {
    #expect(try Self.entry(Fixture.video()) == [0x1B, 0xE1, 0x00, 0xF0, 0x00])
    #expect(try Self.entry(Fixture.hevc()) == [0x24, 0xE1, 0x00, 0xF0, 0x00])
    let english: [UInt8] = [0x0A, 4] + Array("eng".utf8) + [0]
    #expect(try Self.entry(Fixture.aac(language: "en")) == [0x0F, 0xE1, 0x01, 0xF0, 0x06] + english)
    #expect(try Self.entry(Fixture.sound(.mp3)) == [0x03, 0xE1, 0x01, 0xF0, 0x06] + english)
    var low = Fixture.sound(.mp3)
    low.sampleRateHertz = 24000
    #expect(try Self.entry(low).first == 0x04)
  }

  /// 48 kHz, bit stream 8, complete main, 2/0, 192 kbit/s: the example box of TS 102 366.
  @Test func describesAC3() throws {
    let entry = try Self.entry(Fixture.sound(.ac3, box: "dac3", [0x10, 0x11, 0x40]))
    let expected: [UInt8] =
      [0x81, 0xE1, 0x01, 0xF0, 21, 0x05, 4] + Array("AC-3".utf8) + [0x0A, 4] + Array("eng".utf8)
      + [0, 0x81, 7, 0x08, 10 << 2, 0x05, 0xFF, 0x0F, 0x01, 0x3F]
    #expect(entry == expected)
    let without = try Self.entry(Fixture.sound(.ac3))
    #expect(without.count == 5 + 12)
  }

  @Test func describesEAC3() throws {
    let entry = try Self.entry(Fixture.sound(.eac3, box: "dec3", [0x06, 0x00, 0x20, 0x04, 0x00]))
    let expected: [UInt8] =
      [0x87, 0xE1, 0x01, 0xF0, 17, 0x05, 4] + Array("EAC3".utf8) + [0x0A, 4] + Array("eng".utf8)
      + [0, 0xCC, 3, 0xC0, 0xC2, 0x30]
    #expect(entry == expected)
  }

  @Test(arguments: [
    ("de", "deu"), ("fr-CA", "fra"), ("zh-Hant", "zho"), ("nl", "nld"), ("gsw", "gsw"), ("EN", "eng"),
    ("cs", "ces"),
    ("is", "isl"), ("ms", "msa"), ("und", ""), ("x-private", ""), ("qz", ""), ("", ""),
  ])
  func writesLanguages(tag: String, code: String) throws {
    let entry = try Self.entry(Fixture.aac(language: tag))
    #expect(
      entry == [0x0F, 0xE1, 0x01, 0xF0] + (code.isEmpty ? [0] : [6, 0x0A, 4] + Array(code.utf8) + [0]))
  }

  /// Rate, channels and profile of the header, from configurations of all forms.
  @Test(arguments: [
    ([UInt8]([0x11, 0x88]), UInt8(0x4C), UInt8(0x40)), ([0x11, 0x90], 0x4C, 0x80),
    ([0x12, 0x10], 0x50, 0x80),
    // 5.1 and 7.1.
    ([0x11, 0xB0], 0x4D, 0x80), ([0x11, 0xB8], 0x4D, 0xC0),
    // HE-AAC: 22.05 kHz core, told before (type 5) and behind the core; version 2 (type 29).
    ([0x2B, 0x92, 0x08, 0x00], 0x5C, 0x80), ([0x13, 0x90, 0x56, 0xE5, 0xA0], 0x5C, 0x80),
    ([0xEB, 0x8A, 0x08, 0x00], 0x5C, 0x40),
    // Main, and 48 kHz spelled out.
    ([0x09, 0x90], 0x0C, 0x80), ([0x17, 0x80, 0x5D, 0xC0, 0x10], 0x4C, 0x80),
  ])
  func wrapsAACFrames(config: [UInt8], third: UInt8, fourth: UInt8) throws {
    let samples = WriterFixture.samples(count: 1, durationTicks: 1024, offset: 0, size: { _ in 212 })
    let segment = TransportSegment(
      [.init(stream: try TransportStream(Fixture.aac(config)), samples: samples)], sequenceNumber: 0)
    let bytes = try segment.bytes(reading: ArraySource([UInt8](repeating: 6, count: 212)))
    let unit = try #require(ParsedTransport(bytes)?.units.first)
    #expect(Array(unit.body[..<7]) == [0xFF, 0xF1, third, fourth, 0x1B, 0x7F, 0xFC])
    #expect(unit.streamIdentifier == 0xC0)
    #expect(unit.identifier == 0x101)
    #expect(unit.isRandomAccess)
  }

  @Test func passesOtherSoundOnAsItIs() throws {
    let samples = WriterFixture.samples(count: 6, durationTicks: 1536, offset: 0, size: { _ in 768 })
    let blob = (0..<768 * 6).map { UInt8(truncatingIfNeeded: $0 % 251) }
    for codec in [TrackCodec.ac3, .eac3, .mp3] {
      let segment = TransportSegment(
        [.init(stream: try TransportStream(Fixture.sound(codec)), samples: samples)], sequenceNumber: 0)
      let transport = try #require(ParsedTransport(try segment.bytes(reading: ArraySource(blob))))
      let body = transport.units.flatMap(\.body)
      #expect(body == blob)
      #expect(transport.units.allSatisfy { $0.streamIdentifier == (codec == .mp3 ? 0xC0 : 0xBD) })
      // Three frames of 32 ms are 96 ms. MP3 frames do not last so long, so each has its own time.
      #expect(transport.units.count == (codec == .mp3 ? 6 : 2))
    }
  }

  /// A frame that its header cannot measure is no frame: the table is damaged.
  @Test func leavesOutSoundThatIsTooLong() throws {
    let sizes: [UInt32] = [10, 8185, 8184, 0, 11]
    let samples = WriterFixture.samples(count: 5, durationTicks: 1024, offset: 0, size: { sizes[$0] })
    let segment = TransportSegment(
      [.init(stream: try TransportStream(Fixture.aac()), samples: samples)], sequenceNumber: 0)
    let bytes = try segment.bytes(reading: ArraySource([UInt8](repeating: 1, count: 20000)))
    #expect(UInt64(bytes.count) == segment.totalBytes)
    let transport = try #require(ParsedTransport(bytes))
    #expect(transport.units.map(\.body.count) == [17, 8191, 18])
  }

  @Test func parameterSetsOfHEVCComeInOrder() throws {
    let sample = Fixture.word(3) + [0x26, 0x01, 0xAA]
    let samples = WriterFixture.samples(count: 1, durationTicks: 1, offset: 0, size: { _ in 7 })
    let segment = TransportSegment.iFrame(try TransportStream(Fixture.hevc()), samples[0])
    let unit = try #require(ParsedTransport(try segment.bytes(reading: ArraySource(sample)))?.units.first)
    let start: [UInt8] = [0, 0, 0, 1]
    let units: [[UInt8]] = [
      [0x46, 0x01, 0x50], [0x40, 0x01, 0x0C], [0x42, 0x01, 0x01], [0x44, 0x01, 0xC1], [0x26, 0x01, 0xAA],
    ]
    #expect(unit.body == units.flatMap { start + $0 })
  }

  @Test func refusesWhatItCannotCarry() {
    for codec in [TrackCodec.av1, .vp9, .flac, .opus, .alac, .unsupported(FourCC("vvc1"))] {
      #expect(Self.failure(Fixture.sound(codec)) == "transport-codec")
    }
    #expect(Self.failure(WriterFixture.video()) == "no-decoder-configuration")
    #expect(Self.failure(WriterFixture.audio()) == "no-decoder-configuration")
    // Channels by program_config_element, configuration 11, frames of 960, xHE-AAC, 50 kHz, nothing.
    for config in [
      [0x11, 0x80], [0x11, 0xD8], [0x11, 0x94], [0xF9, 0x46, 0x40], [0x17, 0x80, 0x61, 0xA8, 0x10], [],
    ]
      as [[UInt8]]
    {
      #expect(Self.failure(Fixture.aac(config)) == "transport-aac")
    }
  }

  /// Sample entries of any bytes give a stream or an error.
  @Test func mutatedEntriesNeverTrap() {
    var random = WriterRandom(state: 11)
    let tracks = [
      Fixture.video(), Fixture.hevc(), Fixture.aac(), Fixture.sound(.ac3, box: "dac3", [0x10, 0x11, 0x40]),
      Fixture.sound(.eac3, box: "dec3", [6, 0, 0x20, 4, 0]),
    ]
    var outcomes: Set<String> = []
    for track in tracks {
      for _ in 0..<400 {
        var mutated = track
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          let place = Int.random(in: 0..<mutated.sampleEntry.count, using: &random)
          mutated.sampleEntry[place] = UInt8.random(in: 0...255, using: &random)
        }
        if Bool.random(using: &random) {
          mutated.sampleEntry.removeLast(Int.random(in: 0...mutated.sampleEntry.count, using: &random))
        }
        outcomes.insert(Self.failure(mutated))
      }
    }
    #expect(outcomes == ["", "no-decoder-configuration", "transport-aac"])
  }
}

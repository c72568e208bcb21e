import Packaging
import Testing

@Suite struct TransportSegmentTests {
  typealias Fixture = TransportFixture

  static func hex(_ text: String) -> [UInt8] {
    let digits = text.utf8.filter { $0 != 0x20 }
    return stride(from: 0, to: digits.count, by: 2).map {
      UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16) ?? 0
    }
  }

  /// The tables are those that ffmpeg writes for the same two streams, checksum included.
  @Test func startsWithTheTwoTables() throws {
    let parts = [
      TransportSegment.Part(stream: try Fixture.stream(Fixture.video()), samples: []),
      TransportSegment.Part(stream: try Fixture.stream(Fixture.aac()), samples: []),
    ]
    let segment = TransportSegment(parts, sequenceNumber: 21)
    let bytes = try segment.bytes(reading: ArraySource([]))
    let association = Self.hex("47 40 00 15 00 00 b00d 0001 c1 00 00 0001 f000 2ab104b2")
    let map = Self.hex("47 50 00 15 00 02 b017 0001 c1 00 00 e100 f000 1b e100 f000 0f e101 f000 2f44b99b")
    #expect(bytes.count == 376)
    #expect(segment.totalBytes == 376)
    #expect(Array(bytes[..<188]) == association + [UInt8](repeating: 0xFF, count: 188 - association.count))
    #expect(Array(bytes[188...]) == map + [UInt8](repeating: 0xFF, count: 188 - map.count))
  }

  /// One key picture and one that follows, by hand.
  @Test func onePictureIsOnePES() throws {
    let sample = Fixture.word(3) + [0x65, 1, 2] + Fixture.word(2) + [0x06, 9]
    let samples = [
      Sample(
        offset: 5, sizeBytes: UInt32(sample.count), durationTicks: 3003, decodeTicks: 0,
        compositionOffsetTicks: 6006, isSync: true)
    ]
    let blob = [9, 9, 9, 9, 9] + sample
    let segment = TransportSegment(
      [.init(stream: try Fixture.stream(Fixture.video()), samples: samples)], sequenceNumber: 0)
    let bytes = try segment.bytes(reading: ArraySource(blob))
    let transport = try #require(ParsedTransport(bytes))
    let unit = try #require(transport.units.first)
    #expect(transport.units.count == 1)
    #expect(unit.streamIdentifier == 0xE0)
    #expect(unit.presentation == 906_006)
    #expect(unit.decode == 900_000)
    #expect(unit.isRandomAccess)
    #expect(unit.stuffingBytes == 0)
    #expect(
      unit.body == Fixture.delimiter + Fixture.parameterSets + [0, 0, 0, 1, 0x65, 1, 2, 0, 0, 0, 1, 0x06, 9])
    let first = transport.packets[unit.packet]
    #expect(first.clock == 837_000)
    #expect(!first.isDiscontinuous)
    #expect(transport.packets.filter { $0.identifier == 0x100 }.count == 16)
    #expect(segment.totalBytes == 18 * 188)

    let alone = TransportSegment.iFrame(try Fixture.stream(Fixture.video()), samples[0])
    let picture = try #require(ParsedTransport(try alone.bytes(reading: ArraySource(blob))))
    #expect(picture.packets.count == 3)
    #expect(picture.units.map(\.body) == [unit.body])
    #expect(alone.totalBytes == 3 * 188)
  }

  /// A picture with a delimiter of its own keeps it; the parameter sets follow it; the size is the same.
  @Test(arguments: [[UInt8]([0x09, 0x10]), [0x09, 0xF0], [0x09]])
  func keepsADelimiterThatIsThere(delimiter: [UInt8]) throws {
    let sample = Fixture.word(delimiter.count) + delimiter + Fixture.word(2) + [0x65, 7]
    let other =
      Fixture.word(delimiter.count) + [UInt8](repeating: 0x0C, count: delimiter.count) + Fixture.word(2) + [
        0x65, 7,
      ]
    func unit(_ blob: [UInt8]) throws -> ParsedTransport.PES? {
      let samples = WriterFixture.samples(
        count: 1, durationTicks: 1, offset: 0, size: { _ in UInt32(blob.count) })
      let segment = TransportSegment.iFrame(try Fixture.stream(Fixture.video()), samples[0])
      let bytes = try segment.bytes(reading: ArraySource(blob))
      #expect(UInt64(bytes.count) == segment.totalBytes)
      return ParsedTransport(bytes)?.units.first
    }
    let kept = try #require(try unit(sample))
    #expect(kept.stuffingBytes == 6)
    #expect(kept.body == [0, 0, 0, 1] + delimiter + Fixture.parameterSets + [0, 0, 0, 1, 0x65, 7])
    let added = try #require(try unit(other))
    #expect(added.stuffingBytes == 0)
    #expect(added.body.starts(with: Fixture.delimiter + Fixture.parameterSets))
    #expect(added.body.count == kept.body.count + 6)
  }

  @Test(arguments: 1...3)
  func widensShortLengths(lengthBytes: Int) throws {
    func unit(_ body: [UInt8]) -> [UInt8] { Fixture.word(body.count).suffix(lengthBytes) + body }
    let first = unit([0x65, 1, 2, 3]) + unit([]) + unit([0x06, 4])
    let second = unit([0x41, 5]) + Fixture.word(200).suffix(lengthBytes) + [6]
    let sizes = [first.count, second.count]
    let samples = WriterFixture.samples(count: 2, durationTicks: 3000, offset: 0, size: { UInt32(sizes[$0]) })
    let stream = try Fixture.stream(Fixture.video(lengthBytes: lengthBytes))
    let segment = TransportSegment([.init(stream: stream, samples: samples)], sequenceNumber: 3)
    #expect(segment.totalBytes == nil)
    let transport = try #require(ParsedTransport(try segment.bytes(reading: ArraySource(first + second))))
    let start: [UInt8] = [0, 0, 0, 1]
    #expect(
      transport.units.map(\.body) == [
        Fixture.delimiter + Fixture.parameterSets + start + [0x65, 1, 2, 3] + start + [0x06, 4],
        Fixture.delimiter + start + [0x41, 5] + start + [6],
      ])
    #expect(
      ParsedTransport.continuityFaults([transport, transport]).count == 2,
      "only the tables repeat their number")
  }

  @Test func readsPictureAndSoundFromTheirOwnBlobs() throws {
    let picture = Fixture.word(2) + [0x65, 1]
    let video = WriterFixture.samples(count: 1, durationTicks: 3000, offset: 0, size: { _ in 6 })
    let audio = WriterFixture.samples(count: 1, durationTicks: 1024, offset: 2, size: { _ in 3 })
    let segment = TransportSegment(
      [
        .init(stream: try Fixture.stream(Fixture.video()), samples: video),
        .init(stream: try Fixture.stream(Fixture.aac()), samples: audio),
      ], sequenceNumber: 0)
    let bytes = try segment.bytes(reading: ArraySource(picture), sound: ArraySource([0, 0, 7, 8, 9]))
    let transport = try #require(ParsedTransport(bytes))
    #expect(transport.units.map(\.identifier) == [0x100, 0x101])
    #expect(transport.units[1].body == [0xFF, 0xF1, 0x4C, 0x80, 0x01, 0x5F, 0xFC, 7, 8, 9])
  }

  /// Sizes of all kinds: what is promised is what is made, every byte arrives, and segments join without a
  /// seam.
  @Test(arguments: 0..<20)
  func keepsItsPromisesForRandomSamples(seed: UInt64) throws {
    var random = WriterRandom(state: seed)
    let videoStream = try Fixture.stream(Fixture.video(timescale: 30000))
    let audioStream = try Fixture.stream(Fixture.aac(timescale: 48000))
    var transports: [ParsedTransport] = []
    var videoTicks: UInt64 = 0
    var audioTicks: UInt64 = 0
    var lastDecode = Int.min
    for number in 0..<4 {
      var blob: [UInt8] = []
      var video: [Sample] = []
      var audio: [Sample] = []
      var pictures: [[UInt8]] = []
      var sound: [UInt8] = []
      let count = Int.random(in: 0...40, using: &random)
      for index in 0..<count {
        if Int.random(in: 0..<4, using: &random) == 0 { blob += [1, 2, 3] }
        let bytes = Int.random(in: 0...(index % 3 == 0 ? 40 : 5000), using: &random)
        let picture = Fixture.picture(bytes, using: &random)
        let isSync = Int.random(in: 0..<5, using: &random) == 0
        video.append(
          Sample(
            offset: UInt64(blob.count), sizeBytes: UInt32(bytes), durationTicks: 1001,
            decodeTicks: videoTicks,
            compositionOffsetTicks: Int32.random(in: 0...3, using: &random) * 1001, isSync: isSync))
        videoTicks += 1001
        blob += picture.sample
        if bytes > 0 {
          pictures.append(Fixture.delimiter + (isSync ? Fixture.parameterSets : []) + picture.stream)
        }
        let frameBytes = Int.random(in: 0...600, using: &random)
        let frame = (0..<frameBytes).map { _ in UInt8.random(in: 0...255, using: &random) }
        audio.append(
          Sample(
            offset: UInt64(blob.count), sizeBytes: UInt32(frameBytes), durationTicks: 1024,
            decodeTicks: audioTicks,
            compositionOffsetTicks: 0, isSync: true))
        audioTicks += 1024
        blob += frame
        if frameBytes > 0 {
          let length = frameBytes + 7
          sound +=
            [
              0xFF, 0xF1, 0x4C, 0x80 | UInt8(length >> 11), UInt8(length >> 3 & 255),
              UInt8(length & 7) << 5 | 0x1F, 0xFC,
            ]
            + frame
        }
      }
      let segment = TransportSegment(
        [.init(stream: videoStream, samples: video), .init(stream: audioStream, samples: audio)],
        sequenceNumber: UInt64(number) + 14)
      let bytes = try segment.bytes(reading: ArraySource(blob))
      #expect(UInt64(bytes.count) == segment.totalBytes)
      let transport = try #require(ParsedTransport(bytes))
      let sentPictures = transport.units(0x100).map(\.body)
      #expect(sentPictures == pictures)
      let sentSound = transport.units(0x101).flatMap(\.body)
      #expect(sentSound == sound)
      for identifier in [0x100, 0x101] {
        let sent = transport.packets.filter { $0.identifier == identifier && $0.hasPayload }.count
        #expect(sent % 16 == 0)
      }
      let decodes = transport.units.map(\.decode)
      #expect(decodes == decodes.sorted(), "interleaved by decode time")
      for unit in transport.units(0x100) {
        #expect(unit.decode > lastDecode)
        #expect(unit.decode <= unit.presentation)
        lastDecode = unit.decode
      }
      transports.append(transport)
    }
    let faults = ParsedTransport.continuityFaults(transports)
    #expect(faults.isEmpty, "\(faults)")
  }
}

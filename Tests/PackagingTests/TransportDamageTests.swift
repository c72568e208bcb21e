import Packaging
import Testing

/// Samples and sources that are not what they should be.
@Suite struct TransportDamageTests {
  typealias Fixture = TransportFixture

  @Test func passesBrokenLengthsOnAsFarAsTheyGo() throws {
    let cases: [(sample: [UInt8], stream: [UInt8])] = [
      ([0, 0, 0, 9, 1, 2], [0, 0, 0, 1, 1, 2]),
      ([255, 255, 255, 255, 5], [0, 0, 0, 1, 5]),
      ([0, 0, 0, 1, 5, 0, 0, 0, 0], [0, 0, 0, 1, 5, 0, 0, 0, 0]),
      ([0, 0, 0, 1, 5, 9, 9, 9], [0, 0, 0, 1, 5, 0, 0, 0]),
      ([0, 0, 0, 7], [0, 0, 0, 0]),
      ([9, 9], [0, 0]),
    ]
    for (sample, stream) in cases {
      let samples = WriterFixture.samples(
        count: 1, durationTicks: 1, offset: 0, size: { _ in UInt32(sample.count) }, sync: { _ in false })
      let segment = TransportSegment(
        [.init(stream: try Fixture.stream(Fixture.video()), samples: samples)], sequenceNumber: 0)
      let bytes = try segment.bytes(reading: ArraySource(sample))
      let transport = try #require(ParsedTransport(bytes))
      #expect(transport.units.map(\.body) == [Fixture.delimiter + stream])
      #expect(segment.totalBytes == UInt64(bytes.count))
    }
  }

  @Test func refusesWhatIsNotInTheBlob() throws {
    let stream = try Fixture.stream(Fixture.video())
    for (offset, size) in [(0, 9), (8, 1), (.max, 1), (.max - 1, .max)] as [(UInt64, UInt32)] {
      let sample = Sample(
        offset: offset, sizeBytes: size, durationTicks: 1, decodeTicks: 0, compositionOffsetTicks: 0,
        isSync: true)
      let segment = TransportSegment.iFrame(stream, sample)
      let code: String
      do throws(MediaError) {
        _ = try segment.bytes(reading: ArraySource([UInt8](repeating: 0, count: 8)))
        code = ""
      } catch {
        code = error.code
      }
      #expect(code == (size == .max ? "transport-segment-size" : "sample-past-end"))
    }
  }

  /// A source that never gives more than a little, and can end before its time.
  struct SlowSource: ByteSource {
    let bytes: [UInt8]
    var endsAt = Int.max
    var lengthBytes: UInt64 { UInt64(bytes.count) }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(MediaError) -> Int {
      let start = Int(offset)
      let count = max(0, min(buffer.count, 1000, bytes.count - start, endsAt - start))
      for index in 0..<count { buffer[index] = bytes[start + index] }
      return count
    }
  }

  /// Samples larger than the window, gaps small and large, and backwards in the blob.
  @Test func readsSamplesFromAnywhere() throws {
    var random = WriterRandom(state: 3)
    var blob: [UInt8] = []
    var samples: [Sample] = []
    var pictures: [[UInt8]] = []
    for (index, bytes) in [200_000, 30, 90_000, 60_000, 5, 300_000, 7000].enumerated() {
      blob += [UInt8](repeating: 9, count: [0, 8192, 8193, 100_000][index % 4])
      let picture = Fixture.picture(bytes, using: &random)
      samples.append(
        Sample(
          offset: UInt64(blob.count), sizeBytes: UInt32(bytes), durationTicks: 3000,
          decodeTicks: UInt64(index) * 3000, compositionOffsetTicks: 0, isSync: false))
      blob += picture.sample
      pictures.append(Fixture.delimiter + picture.stream)
    }
    samples.swapAt(1, 5)
    pictures.swapAt(1, 5)
    for index in samples.indices { samples[index].decodeTicks = UInt64(index) * 3000 }
    let segment = TransportSegment(
      [.init(stream: try Fixture.stream(Fixture.video()), samples: samples)], sequenceNumber: 0)
    let transport = try #require(ParsedTransport(try segment.bytes(reading: SlowSource(bytes: blob))))
    let sent = transport.units.map(\.body)
    #expect(sent == pictures)
    let code: String
    do throws(MediaError) {
      _ = try segment.bytes(reading: SlowSource(bytes: blob, endsAt: 250_000))
      code = ""
    } catch {
      code = error.code
    }
    #expect(code == "source-short")
  }

  /// Samples with numbers of any kind make a segment or an error.
  @Test func wildSamplesNeverTrap() throws {
    var random = WriterRandom(state: 5)
    let blob = (0..<4000).map { _ in UInt8.random(in: 0...255, using: &random) }
    let extremes: [UInt64] = [0, 1, 3999, 1 << 31, 1 << 43, 1 << 62, 1 << 63, .max - 1, .max]
    var made = 0
    for _ in 0..<1500 {
      func wild() -> UInt64 {
        Bool.random(using: &random)
          ? UInt64.random(in: 0...4000, using: &random) : extremes.randomElement(using: &random) ?? 0
      }
      func samples() -> [Sample] {
        (0..<Int.random(in: 0...5, using: &random)).map { _ in
          let isInside = Int.random(in: 0..<8, using: &random) > 0
          return Sample(
            offset: isInside ? UInt64.random(in: 0...2000, using: &random) : wild(),
            sizeBytes: isInside
              ? UInt32.random(in: 0...2000, using: &random) : UInt32(truncatingIfNeeded: wild()),
            durationTicks: UInt32(truncatingIfNeeded: wild()), decodeTicks: wild(),
            compositionOffsetTicks: Int32(truncatingIfNeeded: wild()), isSync: Bool.random(using: &random))
        }
      }
      var video = Fixture.video(
        lengthBytes: Int.random(in: 1...4, using: &random), timescale: UInt32(truncatingIfNeeded: wild()))
      video.presentationShiftTicks = Int64(bitPattern: wild())
      var audio = Fixture.aac(timescale: UInt32(truncatingIfNeeded: wild()))
      audio.presentationShiftTicks = Int64(bitPattern: wild())
      video.leastCompositionOffsetTicks = Int32(truncatingIfNeeded: wild())
      let stream = try TransportStream(video)
      let segment = TransportSegment(
        [
          .init(stream: stream, samples: samples()),
          .init(stream: try Fixture.stream(audio), samples: samples()),
        ],
        sequenceNumber: wild())
      let bytes: [UInt8]?
      do throws(MediaError) {
        bytes = try segment.bytes(reading: ArraySource(blob))
      } catch {
        bytes = nil
      }
      guard let bytes else { continue }
      made += 1
      let isAsPromised = segment.totalBytes.map { $0 == UInt64(bytes.count) } ?? true
      #expect(isAsPromised)
      #expect(ParsedTransport(bytes) != nil)
    }
    #expect(made > 300)
  }
}

import Packaging
import Testing

@Suite struct MediaSegmentTests {
  static let sync: UInt32 = 0x0200_0000
  static let nonSync: UInt32 = 0x0101_0000

  @Test func statesEverySampleAndPointsAtThePayload() throws {
    let samples = WriterFixture.samples(
      count: 180, durationTicks: 3003, firstDecodeTicks: 540_540, composition: { $0 % 3 == 0 ? 6006 : 0 })
    let segment = MediaSegment.make(track: WriterFixture.video(), sequenceNumber: 7, samples: samples)
    let fragment = try #require(ParsedFragment(segment.head))
    #expect(fragment.sequenceNumber == 7)
    #expect(fragment.baseMediaDecodeTicks == 540_540)
    #expect(fragment.rows.count == 180)
    #expect(fragment.dataOffset == segment.head.count)
    #expect(fragment.mdat.payload.lowerBound == segment.head.count)
    #expect(fragment.headerFlags == 0x02_0028)
    #expect(fragment.runFlags == 0xA05)
    for (row, sample) in zip(fragment.rows, samples) {
      let expected = ParsedFragment.Row(
        durationTicks: 3003, sizeBytes: sample.sizeBytes, flags: sample.isSync ? Self.sync : Self.nonSync,
        compositionOffsetTicks: sample.compositionOffsetTicks)
      #expect(row == expected)
    }
    let mediaBytes = samples.reduce(0) { $0 + UInt64($1.sizeBytes) }
    #expect(UInt64(fragment.mdat.range.count) == mediaBytes + 8)
    #expect(segment.totalBytes == UInt64(segment.head.count) + mediaBytes)
    #expect(segment.slices == [BlobSlice(offset: 1000, count: mediaBytes)])
  }

  @Test func isByteForByteTheSmallestFragment() {
    let samples = WriterFixture.samples(count: 2, durationTicks: 1024, offset: 48, size: { _ in 5 })
    let segment = MediaSegment.make(track: WriterFixture.audio(), sequenceNumber: 1, samples: samples)
    let expected: [UInt8] =
      [0, 0, 0, 24] + Array("stypmsdh".utf8) + [0, 0, 0, 0] + Array("msdhcmfs".utf8)
      + [0, 0, 0, 100] + Array("moof".utf8)
      + [0, 0, 0, 16] + Array("mfhd".utf8) + [0, 0, 0, 0, 0, 0, 0, 1]
      + [0, 0, 0, 76] + Array("traf".utf8)
      + [0, 0, 0, 28] + Array("tfhd".utf8) + [0, 2, 0, 0x38, 0, 0, 0, 1]
      + [0, 0, 4, 0, 0, 0, 0, 5, 2, 0, 0, 0]
      + [0, 0, 0, 20] + Array("tfdt".utf8) + [1, 0, 0, 0] + [UInt8](repeating: 0, count: 8)
      + [0, 0, 0, 20] + Array("trun".utf8) + [1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 108]
      + [0, 0, 0, 18] + Array("mdat".utf8)
    #expect(segment.head == expected)
    #expect(segment.totalBytes == 142)
  }

  struct Shape: Sendable {
    var kind: TrackKind
    var durationsDiffer: Bool
    var sizesDiffer: Bool
    var syncSamples: Set<Int>
    var hasComposition: Bool
  }

  static let shapes: [Shape] = [TrackKind.video, .audio].flatMap { kind in
    [false, true].flatMap { durations in
      [false, true].flatMap { sizes in
        [Set<Int>(), [0], [0, 4], [3], Set(0..<8)].flatMap { syncSamples in
          [false, true].map { composition in
            Shape(
              kind: kind, durationsDiffer: durations, sizesDiffer: sizes, syncSamples: syncSamples,
              hasComposition: composition)
          }
        }
      }
    }
  }

  @Test(arguments: shapes)
  func saysTheSameInEveryFormOfTable(_ shape: Shape) throws {
    var samples = WriterFixture.samples(
      count: 8, durationTicks: 512, size: { shape.sizesDiffer ? UInt32(50 + $0) : 50 },
      composition: { shape.hasComposition ? Int32($0) - 4 : 0 }, sync: { shape.syncSamples.contains($0) })
    if shape.durationsDiffer { samples[7].durationTicks = 700 }
    let track = shape.kind == .video ? WriterFixture.video() : WriterFixture.audio()
    let segment = MediaSegment.make(track: track, sequenceNumber: 3, samples: samples)
    let fragment = try #require(ParsedFragment(segment.head))
    #expect(fragment.rows.count == samples.count)
    for (row, sample) in zip(fragment.rows, samples) {
      #expect(row.durationTicks == sample.durationTicks)
      #expect(row.sizeBytes == sample.sizeBytes)
      #expect(row.flags == (sample.isSync || shape.kind == .audio ? Self.sync : Self.nonSync))
      #expect(row.compositionOffsetTicks == sample.compositionOffsetTicks)
    }
    #expect(fragment.dataOffset == segment.head.count)
    #expect((fragment.runFlags & 0x100 != 0) == shape.durationsDiffer)
    #expect((fragment.runFlags & 0x200 != 0) == shape.sizesDiffer)
    #expect((fragment.runFlags & 0x800 != 0) == shape.hasComposition)
    let needsColumn = shape.kind == .video && [[0, 4], [3]].contains(shape.syncSamples)
    #expect((fragment.runFlags & 0x400 != 0) == needsColumn)
    #expect(segment.totalBytes == UInt64(segment.head.count) + segment.slices.reduce(0) { $0 + $1.count })
  }

  @Test func leavesCompositionOffsetsAsTheyAre() throws {
    var track = WriterFixture.video()
    track.presentationShiftTicks = -2002
    let samples = WriterFixture.samples(
      count: 4, durationTicks: 1001, composition: { [2002, 4004, Int32.min, 0][$0] })
    let fragment = try #require(
      ParsedFragment(MediaSegment.make(track: track, sequenceNumber: 1, samples: samples).head))
    #expect(fragment.rows.map(\.compositionOffsetTicks) == [2002, 4004, .min, 0])
    let plain = WriterFixture.samples(count: 4, durationTicks: 1001, composition: { _ in 0 })
    let even = try #require(
      ParsedFragment(MediaSegment.make(track: track, sequenceNumber: 1, samples: plain).head))
    #expect(even.runFlags & 0x800 == 0)
  }

  @Test func mergesSamplesThatTouchAndLeavesOutEmptyOnes() {
    func sample(_ offset: UInt64, _ sizeBytes: UInt32) -> Sample {
      Sample(
        offset: offset, sizeBytes: sizeBytes, durationTicks: 1, decodeTicks: 0, compositionOffsetTicks: 0,
        isSync: true)
    }
    let samples = [
      sample(0, 10), sample(10, 5), sample(900, 0), sample(15, 1), sample(20, 4), sample(10, 5),
      sample(15, 5),
      sample(20, 0), sample(.max - 3, 3), sample(.max, 9), sample(8, 2),
    ]
    let segment = MediaSegment.make(track: WriterFixture.audio(), sequenceNumber: 1, samples: samples)
    #expect(
      segment.slices == [
        BlobSlice(offset: 0, count: 16), BlobSlice(offset: 20, count: 4), BlobSlice(offset: 10, count: 10),
        BlobSlice(offset: .max - 3, count: 14),
      ])
    #expect(segment.totalBytes == UInt64(segment.head.count) + 44)
  }

  @Test func makesAValidSegmentOfNothing() throws {
    let segment = MediaSegment.make(track: WriterFixture.video(), sequenceNumber: 1, samples: [])
    let fragment = try #require(ParsedFragment(segment.head))
    #expect(fragment.rows.isEmpty)
    #expect(fragment.mdat.range.count == 8)
    #expect(segment.slices.isEmpty)
    #expect(segment.totalBytes == UInt64(segment.head.count))
  }

  @Test(arguments: [
    (UInt32.max - 8, UInt32(0), 8), (.max - 9, 1, 8), (.max - 8, 1, 16), (.max, .max, 16),
  ])
  func usesALargeMediaBoxPast4GiB(first: UInt32, second: UInt32, headerBytes: Int) throws {
    let samples = WriterFixture.samples(count: 2, durationTicks: 1, size: { $0 == 0 ? first : second })
    let segment = MediaSegment.make(track: WriterFixture.video(), sequenceNumber: 1, samples: samples)
    let fragment = try #require(ParsedFragment(segment.head))
    #expect(fragment.mdat.payload.lowerBound - fragment.mdat.range.lowerBound == headerBytes)
    #expect(fragment.mdat.payload.count == Int(first) + Int(second))
    #expect(fragment.dataOffset == segment.head.count)
    #expect(segment.totalBytes == UInt64(segment.head.count) + UInt64(first) + UInt64(second))
  }

  @Test func keepsDecodeTimesOf64Bits() throws {
    var track = WriterFixture.audio(timescale: 10_000_000)
    track.presentationShiftTicks = 1
    let samples = WriterFixture.samples(count: 1, durationTicks: 1, firstDecodeTicks: 1 << 52)
    let segment = MediaSegment.make(track: track, sequenceNumber: .max, samples: samples)
    let fragment = try #require(ParsedFragment(segment.head))
    #expect(fragment.baseMediaDecodeTicks == 1 << 52 + 1)
    #expect(fragment.sequenceNumber == .max)
  }
}

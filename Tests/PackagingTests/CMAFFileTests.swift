import Packaging
import Testing

@Suite struct CMAFFileTests {
  /// A `sidx` read with nothing taken from the code under test.
  struct ParsedIndex {
    struct Reference: Equatable {
      var bytes: UInt64
      var ticks: UInt64
      var accessPoint: UInt32
    }
    var timescale: UInt32
    var startTicks: UInt64
    var references: [Reference]

    init?(_ head: [UInt8], _ range: ClosedRange<UInt64>) {
      let walk = BoxWalk(bytes: Array(head[Int(range.lowerBound)...Int(range.upperBound)]))
      guard let boxes = walk.boxes(in: 0..<walk.bytes.count), boxes.map(\.type) == ["sidx"],
        walk.word(8) == 0x0100_0000, walk.word(12) == 1, walk.long(28) == 0, walk.half(36) == 0
      else { return nil }
      timescale = walk.word(16)
      startTicks = walk.long(20)
      let count = Int(walk.half(38))
      guard walk.bytes.count == 40 + 12 * count else { return nil }
      references = (0..<count).map { index in
        let offset = 40 + 12 * index
        return Reference(
          bytes: UInt64(walk.word(offset)), ticks: UInt64(walk.word(offset + 4)),
          accessPoint: walk.word(offset + 8))
      }
    }
  }

  @Test func headIsInitSegmentAndIndexAndSegmentsFollow() throws {
    let segments = WriterFixture.segments(
      [540_540, 540_540, 200_002], bytes: [1_000_000, 99_000, 848], startTicks: 3003)
    let track = WriterFixture.video()
    let file = CMAFFile(track: track, segments: segments, firstDecodeTicks: 3003)
    let initSegment = InitSegment.bytes(for: track, firstDecodeTicks: 3003)
    #expect(file.initRange == 0...UInt64(initSegment.count - 1))
    #expect(Array(file.head[..<initSegment.count]) == initSegment)
    let range = try #require(file.indexRange)
    #expect(range == UInt64(initSegment.count)...UInt64(file.head.count - 1))
    let index = try #require(ParsedIndex(file.head, range))
    #expect(index.timescale == 90000 && index.startTicks == 3003)
    #expect(
      index.references
        == segments.map {
          ParsedIndex.Reference(bytes: $0.totalBytes, ticks: $0.durationTicks, accessPoint: 0x9000_0000)
        })
    var offset = UInt64(file.head.count)
    for (number, segment) in segments.enumerated() {
      let range = file.range(ofSegment: number)
      #expect(range.offset == offset && range.count == segment.totalBytes)
      offset += segment.totalBytes
    }
    #expect(file.totalBytes == offset && file.segmentCount == 3)
    for number in [-1, 3, Int.max, Int.min] {
      let range = file.range(ofSegment: number)
      #expect(range.offset == offset && range.count == 0)
    }
  }

  @Test func startsThatAreNoAccessPointsAreNotCalledSo() throws {
    let file = CMAFFile(
      track: WriterFixture.video(), segments: WriterFixture.segments([1]), segmentsAreIndependent: false)
    let index = try #require(file.indexRange.flatMap { ParsedIndex(file.head, $0) })
    #expect(index.references.map(\.accessPoint) == [0])
  }

  @Test func moreSegmentsThanReferencesShareThem() throws {
    let count = 150_000
    let segments = WriterFixture.segments([UInt64](repeating: 900, count: count))
    let file = CMAFFile(track: WriterFixture.video(), segments: segments)
    let index = try #require(file.indexRange.flatMap { ParsedIndex(file.head, $0) })
    #expect(index.references.count == 50_000)
    #expect(index.references.allSatisfy { $0.bytes == 3 * 1152 && $0.ticks == 2700 })
    #expect(file.totalBytes == UInt64(file.head.count) + UInt64(count) * 1152)
  }

  @Test(
    arguments: [
      ([1 << 31], [90000]), ([(1 << 31) - 1], [90000]), ([UInt64.max], [90000]), ([1], [1 << 32]),
      ([1, .max, .max], [1, .max, .max]),
    ] as [([UInt64], [UInt64])])
  func whatHasNoRoomInAReferenceHasNoIndex(bytes: [UInt64], ticks: [UInt64]) {
    var segments = WriterFixture.segments(bytes.map { _ in 1 }, bytes: bytes)
    for index in segments.indices { segments[index].durationTicks = ticks[index] }
    let file = CMAFFile(track: WriterFixture.video(), segments: segments)
    #expect(file.indexRange == nil)
    #expect(UInt64(file.head.count) == file.initRange.upperBound + 1)
    #expect(file.range(ofSegment: 0).offset == UInt64(file.head.count))
  }

  @Test func theLargestReferenceFits() throws {
    let largest = UInt64((1 << 31) - 1)
    let segments = WriterFixture.segments([(1 << 32) - 1], bytes: [largest - 152])
    let file = CMAFFile(track: WriterFixture.video(), segments: segments)
    let index = try #require(file.indexRange.flatMap { ParsedIndex(file.head, $0) })
    #expect(index.references.map(\.bytes) == [largest])
  }

  @Test func withoutSegmentsThereIsNoIndex() {
    let file = CMAFFile(track: WriterFixture.video(), segments: [])
    #expect(file.indexRange == nil && file.segmentCount == 0)
    #expect(file.totalBytes == UInt64(file.head.count))
  }

  /// The arithmetic is true for real movies: each range is exactly as long as the segment that is made for it.
  @Test(arguments: MediaFolder.packageable)
  func rangesAreThoseOfTheSegmentsThatAreMade(name: String) throws {
    guard let bytes = try MediaFolder.bytes(name) else { return }
    let movie = try MovieReader.read(ArraySource(bytes))
    let plan = SegmentPlan.make(movie.tracks, targetMilliseconds: 2000)
    for (movieTrack, segments) in zip(movie.tracks, plan) {
      let samples = movieTrack.columns.samples()
      let file = CMAFFile(
        track: movieTrack.track, segments: segments, firstDecodeTicks: segments.first?.decodeTicks ?? 0)
      var offset = UInt64(file.head.count)
      for (number, segment) in segments.enumerated() {
        let made = MediaSegment.make(
          track: movieTrack.track, sequenceNumber: UInt32(number + 1),
          samples: Array(samples[Int(segment.firstSample)..<Int(segment.firstSample + segment.sampleCount)]),
          firstDecodeTicks: segments[0].decodeTicks)
        let range = file.range(ofSegment: number)
        #expect(range.offset == offset && range.count == made.totalBytes)
        offset += made.totalBytes
      }
      #expect(file.totalBytes == offset)
    }
  }
}

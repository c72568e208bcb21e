import CLibAV
import Foundation
import Packaging
import Support
import Testing

@testable import Codec

@Suite("One look ahead for several rungs")
struct LookaheadTests {
  init() { Remux.silence() }

  private func rung(_ name: String, _ width: Int32, _ height: Int32, preset: String = "medium")
    -> TranscodeRequest.Rung
  {
    TranscodeRequest.Rung(
      name: name, widthPixels: width, heightPixels: height, encoder: "libx264", preset: preset, quality: 23,
      maxBitsPerSecond: 4_000_000, bufferBits: 8_000_000)
  }

  /// Four seconds with key frames every second.
  private func request(_ rungs: [TranscodeRequest.Rung], isColourKnown: Bool = true) -> TranscodeRequest {
    TranscodeRequest(
      trackID: nil, timescale: 30_000, startTicks: 0, endTicks: 120_000,
      keyTicks: [0, 30_000, 60_000, 90_000],
      framesPerSecondNumerator: 30_000, framesPerSecondDenominator: 1001,
      colour: isColourKnown ? TranscodeColour(primaries: 1, transfer: 1, matrix: 1) : nil, rungs: rungs)
  }

  private func measures(
    _ rungs: [TranscodeRequest.Rung], isColourKnown: Bool = true
  ) throws -> [TranscodeReport.Measure] {
    let file = try #require(FileHandle(forReadingAtPath: Fixtures.path("h264-aac-2997.mp4")))
    defer { try? file.close() }
    let probe = TranscodeProbe(request(rungs, isColourKnown: isColourKnown), comparesPictures: true)
    let report = TranscodeChunk.measure(
      probe, lookaheads: TranscodeLookaheads(probe.request), input: file.fileDescriptor, demuxer: "mov")
    #expect(report.failure == nil)
    #expect(report.frames == 120)
    return try #require(report.measures)
  }

  /// Tracks of the output, by their packets.
  private func tracks(_ rungs: [TranscodeRequest.Rung]) throws -> [String] {
    let folder = try TemporaryFolder()
    let path = folder.url.appending(path: "out.mp4").path
    let input = try #require(FileHandle(forReadingAtPath: Fixtures.path("h264-aac-2997.mp4")))
    #expect(FileManager.default.createFile(atPath: path, contents: nil))
    let output = try #require(FileHandle(forUpdatingAtPath: path))
    let request = request(rungs)
    let report = TranscodeChunk.run(
      request, lookaheads: TranscodeLookaheads(request), input: input.fileDescriptor,
      output: output.fileDescriptor, demuxer: "mov")
    #expect(report.failure == nil)
    try input.close()
    try output.close()
    return try rungs.indices.map { number in
      try Command.run(
        "ffmpeg",
        ["-v", "error", "-nostdin", "-i", path, "-map", "0:v:\(number)", "-c", "copy", "-f", "md5", "-"],
        timeout: .seconds(60)
      ).lines.joined()
    }
  }

  @Test func whoLeadsAndWhoFollows() {
    func chosen(_ heights: [Int32]) -> [String] {
      let rungs = heights.map { rung("\($0)p", $0 * 16 / 9 & ~1, $0) }
      guard let (leader, followers) = TranscodeLookaheads.choose(Array(rungs.indices), rungs) else {
        return []
      }
      return ([leader] + followers).map { rungs[$0].name }
    }
    #expect(chosen([240, 360, 480, 720, 1080]) == ["720p", "360p", "480p", "1080p"])
    #expect(chosen([2160, 1440, 1080]) == ["1440p", "2160p", "1080p"])
    #expect(chosen([360, 1080]) == [])
    #expect(chosen([1080]) == [])
    #expect(chosen([720, 720, 720]).count == 3)
  }

  @Test func theLeaderIsEncodedAsIfItWereAlone() throws {
    let alone = try tracks([rung("144p", 256, 144)])
    let leading = try tracks([rung("144p", 256, 144), rung("180p", 320, 180)])
    #expect(alone[0] == leading[0])
    #expect(leading[1] != leading[0])
  }

  /// What a rung of its own size tells it makes nearly the stream that it would make by itself, and what a smaller one tells it a good one.
  @Test(arguments: [(256, 144, 0.1, 0.003), (320, 180, 0.03, 0.0005)])
  func aFollowerIsAsGood(width: Int32, height: Int32, sizeShare: Double, similarity: Double) throws {
    let follower = rung("180p", 320, 180)
    let alone = try measures([rung("leader", width, height), follower], isColourKnown: false)
    let together = try measures([rung("leader", width, height), follower])
    #expect(together[1] != alone[1])
    let (ownBytes, toldBytes) = (Double(alone[1].bytes), Double(together[1].bytes))
    #expect(abs(toldBytes / ownBytes - 1) <= sizeShare)
    let (own, told) = try (#require(alone[1].similarity), #require(together[1].similarity))
    #expect(told >= own - similarity)
  }

  @Test(arguments: [("ultrafast", false), ("superfast", false), ("veryfast", true), ("slow", true)])
  func presetsThatWeighNothingShareNothing(preset: String, shares: Bool) {
    let rungs = [rung("144p", 256, 144, preset: preset), rung("180p", 320, 180, preset: preset)]
    #expect(TranscodeLookaheads(request(rungs)).descriptors == (shares ? Lookahead.descriptors : 0))
    #expect(TranscodeLookaheads(request(rungs, isColourKnown: false)).descriptors == 0)
  }

  @Test func adaptiveQuantisersAreThoseOfTheFormula() throws {
    // Neither side is one of whole macroblocks.
    let frame = try MediaFrame(widthPixels: 42, heightPixels: 20, format: AV_PIX_FMT_YUV420P)
    var random = SplitMix64(seed: 7)
    for (number, size) in [(42, 20), (21, 10), (21, 10)].enumerated() {
      let plane = try #require(frame.plane(number))
      for row in 0..<size.1 {
        for column in 0..<size.0 {
          plane.bytes[row * plane.stride + column] = UInt8(truncatingIfNeeded: random.next())
        }
      }
    }
    let quantiser = AdaptiveQuantiser(frame)
    #expect(quantiser.changes.count == 6)
    for (number, change) in quantiser.changes.enumerated() {
      var energy = 0.0
      for (plane, side) in [(0, 16), (1, 8), (2, 8)] {
        let (width, height) = plane == 0 ? (42, 20) : (21, 10)
        let (bytes, stride) = try #require(frame.plane(plane))
        var samples: [Double] = []
        for row in 0..<side {
          for column in 0..<side {
            let y = min(number / 3 * side + row, height - 1)
            let x = min(number % 3 * side + column, width - 1)
            samples.append(Double(bytes[y * stride + x]))
          }
        }
        let mean = samples.reduce(0, +) / Double(samples.count)
        energy += samples.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      }
      #expect(abs(Double(change) - 1.0397 * (log2(energy) - 14.427)) < 0.001)
    }
  }

  @Test func advicePassesEvenlyToOtherSizes() throws {
    let small = try MediaFrame(widthPixels: 32, heightPixels: 16, format: AV_PIX_FMT_YUV420P)
    for plane in 0..<3 {
      let (bytes, stride) = try #require(small.plane(plane))
      for place in 0..<stride * (plane == 0 ? 16 : 8) { bytes[place] = 16 }
    }
    let own = AdaptiveQuantiser(small)
    // Flat: no energy at all. Changes of -2 and -6 steps besides.
    func bytes(_ steps: Float) -> [UInt8] {
      let value = Int16((256 * (own.changes[0] + steps)).rounded())
      return [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)]
    }
    let tree = MacroblockTree(record: [3] + bytes(-2) + bytes(-6), without: own)
    // As high as the small one, so that nothing grows.
    let large = try MediaFrame(widthPixels: 128, heightPixels: 16, format: AV_PIX_FMT_YUV420P)
    try tree.give(to: large)
    let side = try #require(av_frame_get_side_data(large.pointer, AV_FRAME_DATA_REGIONS_OF_INTEREST))
    let regions = UnsafeRawBufferPointer(start: side.pointee.data, count: side.pointee.size)
      .bindMemory(to: AVRegionOfInterest.self)
    let first = regions.filter { $0.top == 0 }
    #expect(regions.count == first.count)
    #expect(first.map(\.left) == [0, 32, 48, 64, 80, 96])
    #expect(first.map(\.right) == [32, 48, 64, 80, 96, 128])
    // Of 51 steps, in eighths of one.
    #expect(regions.allSatisfy { $0.qoffset.den == 8 * 51 })
    #expect(first.map(\.qoffset.num) == [-16, -20, -28, -36, -44, -48])

    // Twice as high: 2 to the power of 0.2, and -2.297 is -2.25 in eighths.
    let high = try MediaFrame(widthPixels: 128, heightPixels: 32, format: AV_PIX_FMT_YUV420P)
    try tree.give(to: high)
    let grown = try #require(av_frame_get_side_data(high.pointer, AV_FRAME_DATA_REGIONS_OF_INTEREST))
    let region = grown.pointee.data.withMemoryRebound(to: AVRegionOfInterest.self, capacity: 1) { $0.pointee }
    #expect(region.qoffset.num == -18)
  }
}

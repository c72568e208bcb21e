import Foundation
import Support
import Testing

@testable import Codec

@Suite("Decoding of pictures and sound")
struct VideoDecoderTests {
  private func decoder(_ path: String, _ demuxer: String, limits: DecodeLimits = DecodeLimits()) throws -> (
    VideoDecoder, FileHandle
  ) {
    let file = try #require(FileHandle(forReadingAtPath: path))
    return (
      try VideoDecoder(descriptor: file.fileDescriptor, demuxer: demuxer, stream: nil, limits: limits), file
    )
  }

  private func times(_ decoder: VideoDecoder, most: Int = .max) throws -> [Int64] {
    let frame = try MediaFrame()
    var times: [Int64] = []
    while times.count < most, let ticks = try decoder.next(into: frame) { times.append(ticks) }
    return times
  }

  /// Presentation times in ticks, by ffprobe.
  private func oracle(_ path: String) throws -> [Int64] {
    try Command.run(
      "ffprobe",
      [
        "-v", "quiet", "-threads", "1", "-select_streams", "v:0", "-show_entries",
        "frame=best_effort_timestamp",
        "-of", "csv=p=0", path,
      ], timeout: .seconds(60)
    ).lines.compactMap { Int64($0.prefix { $0 != "," }) }
  }

  @Test(
    arguments: [
      ("h264-aac-faststart.mp4", "mov"), ("h264-aac-2997.mp4", "mov"), ("fragmented.mp4", "mov"),
      ("h264-aac-srt.mkv", "matroska"), ("h264-aac.ts", "mpegts"),
    ])
  func everyPictureHasItsTime(name: String, demuxer: String) throws {
    let path = try Fixtures.path(name)
    let (decoder, file) = try decoder(path, demuxer)
    #expect(try times(decoder) == oracle(path))
    try file.close()
  }

  @Test(
    arguments: [
      ("h264-aac-faststart.mp4", "mov"), ("h264-aac-srt.mkv", "matroska"), ("h264-aac.ts", "mpegts"),
      ("fragmented.mp4", "mov"),
    ])
  func aSoughtTimeIsBehindAKeyFrame(name: String, demuxer: String) throws {
    let path = try Fixtures.path(name)
    let (decoder, file) = try decoder(path, demuxer)
    let all = try times(decoder)
    for index in [all.count - 1, 0, all.count / 2, 7, all.count / 3, all.count - 2] {
      try decoder.seek(to: all[index])
      let found = try times(decoder)
      let first = try #require(found.first)
      #expect(first <= all[index])
      #expect(found == all.filter { $0 >= first })
    }
    try file.close()
  }

  @Test func limitsActBeforeDecoding() throws {
    let path = try Fixtures.path("h264-aac-faststart.mp4")
    var limits = DecodeLimits()
    limits.sidePixels = 319
    #expect { _ = try decoder(path, "mov", limits: limits) } throws: {
      ($0 as? CodecError)?.code == "too-large"
    }
    limits = DecodeLimits()
    limits.pixels = 320 * 180 - 1
    #expect { _ = try decoder(path, "mov", limits: limits) } throws: {
      ($0 as? CodecError)?.code == "too-large"
    }
    limits = DecodeLimits()
    limits.durationSeconds = 1
    #expect { _ = try decoder(path, "mov", limits: limits) } throws: {
      ($0 as? CodecError)?.code == "too-long"
    }
    #expect { _ = try decoder(path, "hls") } throws: { ($0 as? CodecError)?.code == "demuxer" }
  }

  @Test func aRotatedPictureIsDescribed() throws {
    guard SharedMedia.folder != nil else { return print("note:", SharedMedia.absence) }
    let (decoder, file) = try decoder(try SharedMedia.path("rotate-90-1080p-51.mp4"), "mov")
    #expect(decoder.description.rotationDegrees == 90)
    #expect(decoder.description.displaySize == (1080, 1920))
    try file.close()
  }

  @Test func soundBeginsWhereTheEditListSays() throws {
    let file = try #require(FileHandle(forReadingAtPath: try Fixtures.path("audio-delay.mp4")))
    let decoder = try AudioDecoder(descriptor: file.fileDescriptor, demuxer: "mov")
    let frame = try MediaFrame()
    let first = try #require(try decoder.next(into: frame))
    let seconds =
      Double(first) * Double(decoder.description.secondsPerTick.numerator)
      / Double(decoder.description.secondsPerTick.denominator)
    // Half a second, less the 1,024 samples of the encoder's delay that the edit list does not hide.
    #expect(abs(seconds - (0.5 - 0.022)) < 0.001)
    try file.close()
  }
}

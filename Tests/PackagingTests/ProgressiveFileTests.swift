import Foundation
import Testing

@testable import Packaging

/// The stored form of what we write: read back, it is the movie it was made of.
@Suite struct ProgressiveFileTests {
  /// The file's bytes, its slices taken from `source`.
  static func bytes(of file: ProgressiveFile, from source: [UInt8]) -> [UInt8] {
    file.slices.reduce(into: file.head) { $0 += source[Int($1.offset)..<Int($1.offset + $1.count)] }
  }

  /// A movie without what a new file may change: track numbers, the start of the decode clock, brands and defects.
  static func essence(_ movie: Movie) -> [MovieTrack] {
    movie.tracks.enumerated().map { number, track in
      var track = track
      track.track.id = UInt32(number) + 1
      track.track.presentationShiftTicks += Int64(track.columns.firstDecodeTicks)
      track.columns.firstDecodeTicks = 0
      track.columns.offsets = []
      return track
    }
  }

  static func samples(_ track: MovieTrack, in bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    track.columns.samples().map { bytes[Int($0.offset)..<Int($0.offset) + Int($0.sizeBytes)] }
  }

  @discardableResult
  private func roundTrip(_ source: [UInt8]) throws -> Movie {
    let movie = try MovieReader.read(ArraySource(source))
    let file = ProgressiveFile(movie)
    let written = Self.bytes(of: file, from: source)
    #expect(UInt64(written.count) == file.totalBytes)
    let found = try MovieReader.read(ArraySource(written))
    let isSame = Self.essence(found) == Self.essence(movie)
    #expect(isSame)
    #expect(found.leftOut.isEmpty)
    let codes = found.defects.map(\.code)
    #expect(!codes.contains("moov-at-end") && !codes.contains("no-stss") && !codes.contains("several-edits"))
    for (before, after) in zip(movie.tracks, found.tracks) {
      let isEqual = Self.samples(before, in: source) == Self.samples(after, in: written)
      #expect(isEqual, "the bytes of track \(before.track.id)")
    }
    // The same again: no clock, and what we wrote is written no other way.
    let again = ProgressiveFile(found)
    #expect(again.head == file.head && again.slices.count == 1)
    return found
  }

  @Test(arguments: MediaFolder.packageable) func realMoviesComeBackTheSame(name: String) throws {
    guard let source = try MediaFolder.bytes(name) else { return }
    try roundTrip(source)
  }

  @Test(arguments: [
    [], [(0, 0)], [(900, 3)], [(0, 40)], [(700, -1), (0, 0)], [(333, -1), (0, 7)], [(41, -1), (0, 90)],
    [(1, -1), (5000, 0)],
  ])
  func editsComeBackTheSame(edits: [(Int, Int)]) throws {
    var video = MovieBuilder.video(count: 100, timescale: 24, syncEvery: 24)
    video.edits = edits
    var audio = MovieBuilder.audio(count: 200)
    audio.edits = edits
    try roundTrip(MovieBuilder(tracks: [video, audio]).build())
  }

  @Test func negativeCompositionOffsetsComeBackTheSame() throws {
    var video = MovieBuilder.video(count: 40)
    video.compositionOffsets = (0..<40).map { [0, 2, -1, -1][$0 % 4] }
    let found = try roundTrip(MovieBuilder(tracks: [video]).build())
    #expect(found.tracks[0].columns.compositionOffsetsTicks.contains(-1))
  }

  @Test func chunksLastOneToTwoSecondsAndTracksAlternate() throws {
    var video = MovieBuilder.video(count: 300, syncEvery: 20)
    video.samplesPerChunk = 1
    var audio = MovieBuilder.audio(count: 500)
    audio.samplesPerChunk = 7
    let source = MovieBuilder(tracks: [video, audio]).build()
    let file = ProgressiveFile(try MovieReader.read(ArraySource(source)))
    let written = Self.bytes(of: file, from: source)
    let movie = try MovieReader.read(ArraySource(written))
    var chunks: [(start: UInt64, track: Int, seconds: Double)] = []
    for (number, track) in movie.tracks.enumerated() {
      var end: UInt64?
      for sample in track.columns.samples() {
        if sample.offset != end { chunks.append((sample.offset, number, 0)) }
        end = sample.offset + UInt64(sample.sizeBytes)
        chunks[chunks.count - 1].seconds += Double(sample.durationTicks) / Double(track.track.timescale)
      }
    }
    chunks.sort { $0.start < $1.start }
    // Key frames are 20 pictures apart at 30 a second: the first one after a second is the second one.
    let video40 = chunks.filter { $0.track == 0 }
    #expect(video40.dropLast().allSatisfy { abs($0.seconds - 40.0 / 30) < 0.001 })
    // Two chunks of sound between two of video touch, and look like one.
    #expect(chunks.filter { $0.track == 1 }.dropLast().allSatisfy { $0.seconds >= 1 && $0.seconds < 2.05 })
    #expect(chunks.first?.track == 0)
    // Read on from any place, and the other track is never further than two chunks.
    let longest = zip(chunks, chunks.dropFirst()).reduce(into: (run: 1, longest: 1)) { state, pair in
      state.run = pair.0.track == pair.1.track ? state.run + 1 : 1
      state.longest = max(state.longest, state.run)
    }
    #expect(longest.longest <= 2)
  }

  @Test func moreThanFourGigabytesTakeWideOffsets() throws {
    var columns = SampleColumns()
    let sizeBytes: UInt32 = 1 << 30
    columns.sizesBytes = Array(repeating: sizeBytes, count: 6)
    columns.offsets = (0..<6).map { 5000 + UInt64($0) * (1 << 31) }
    columns.durationsTicks = Array(repeating: 30, count: 6)
    var track = WriterFixture.video(timescale: 30)
    track.sampleEntry = BoxBytes.avc1()
    let movie = Movie(
      majorBrand: FourCC("isom"), compatibleBrands: [], timescale: 30,
      tracks: [MovieTrack(track: track, columns: columns)], leftOut: [], defects: [])
    let file = ProgressiveFile(movie)
    #expect(file.totalBytes == UInt64(file.head.count) + 6 << 30)
    #expect(file.slices.count == 6)
    let source = SparseSource(head: file.head, lengthBytes: file.totalBytes)
    let found = try MovieReader.read(source)
    let offsets = found.tracks[0].columns.offsets
    #expect(offsets == (0..<6).map { UInt64(file.head.count) + UInt64($0) << 30 })
  }

  /// A head, and zero bytes after it.
  struct SparseSource: ByteSource {
    let head: [UInt8]
    let lengthBytes: UInt64

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(MediaError) -> Int {
      let count = Int(min(UInt64(buffer.count), lengthBytes - min(offset, lengthBytes)))
      for index in 0..<count {
        let place = offset + UInt64(index)
        buffer[index] = place < UInt64(head.count) ? head[Int(place)] : 0
      }
      return count
    }
  }

  /// ffprobe finds the same packets at the same times as in the source.
  @Test(arguments: [
    "h264-aac-2997.mp4", "h264-aac-elst-audio-delay.mp4", "h264-firstpts-10s.mp4", "heaac.mp4",
    "multi-2video-2audio-2tx3g.mp4", "vfr-screen.mp4", "mov-aac-first.mov",
  ])
  func ffprobeAgrees(name: String) throws {
    guard let source = try MediaFolder.bytes(name), let url = MediaFolder.url?.appending(path: name),
      FFmpegOracleTests.Clip.tool("ffprobe") != nil
    else { return }
    let movie = try MovieReader.read(ArraySource(source))
    let written = Self.bytes(of: ProgressiveFile(movie), from: source)
    let copy = FileManager.default.temporaryDirectory.appending(path: "headwater-\(UUID().uuidString).mp4")
    try Data(written).write(to: copy)
    defer { try? FileManager.default.removeItem(at: copy) }
    for kind in ["v:0", "a:0"] {
      func times(_ path: String) throws -> [[String?]] {
        let packets = try FFmpegOracleTests.Clip.packets(path, stream: kind)
        // An edit may end inside the last sample, which we keep whole.
        return packets.enumerated().map { index, packet in
          [
            packet["pts_time"], packet["size"], packet["flags"],
            index + 1 < packets.count ? packet["duration_time"] : nil,
          ]
        }
      }
      let before = try times(url.path())
      let after = try times(copy.path())
      #expect(before.count == after.count, "\(name) \(kind)")
      let difference = zip(before, after).first { $0 != $1 }.map { "\($0) became \($1)" }
      #expect(difference == nil, "\(name) \(kind)")
    }
  }
}

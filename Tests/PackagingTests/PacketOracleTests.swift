import Codec
import Foundation
import Packaging
import Testing

/// Our sample tables against the packets that libavformat reads from the same files.
@Suite("Samples equal libavformat's packets")
struct PacketOracleTests {
  /// How much later libavformat presents the tracks of some fragmented files, in ticks of each track. By hand:
  /// where all tracks start late we move the presentation to 0, here by the composition offset of the first picture.
  /// And libavformat moves a track of negative composition offsets by the largest of them.
  private static let movedTicks: [String: [Int64]] = [
    "frag-23976-h264.mp4": [0xC_BA77], "sar-pasp.mp4": [2002], "rotate-90-1080p-51.mp4": [4800, 0],
  ]

  @Test func fragmentedFilesAreAmongThem() {
    guard !MediaFolder.names.isEmpty else { return }
    let fragmented: Set<String> = [
      "frag-23976-h264.mp4", "frag-audio-aac.isma", "frag-h264-aac-8s.mp4", "frag-h264-aac.mp4",
      "rotate-90-1080p-51.mp4", "sar-pasp.mp4",
    ]
    #expect(fragmented.isSubset(of: MediaFolder.packageable))
  }

  @Test(arguments: MediaFolder.packageable)
  func everySampleIsAPacket(name: String) throws {
    guard let folder = MediaFolder.url, let bytes = try MediaFolder.bytes(name) else { return }
    let movie = try MovieReader.read(ArraySource(bytes))
    let file = try FileHandle(forReadingFrom: folder.appending(path: name))
    defer { try? file.close() }
    let reader = try PacketReader(descriptor: file.fileDescriptor, demuxer: "mov")
    var packets = reader.streams.map { _ in [MediaPacket]() }
    while let packet = try reader.next() { packets[packet.streamIndex].append(packet) }

    for (number, movieTrack) in movie.tracks.enumerated() {
      let moved = Self.movedTicks[name]?[number] ?? 0
      let track = movieTrack.track
      let samples = movieTrack.columns.samples()
      // Streams have no track numbers here: the one that holds our first sample is ours.
      let stream = try #require(
        packets.firstIndex { $0.contains { $0.position == Int64(samples[0].offset) && !$0.isDiscarded } }
          ?? packets.firstIndex { $0.contains { $0.position == Int64(samples[0].offset) } })
      let described = reader.streams[stream]
      #expect(described.isVideo == (track.kind == .video))
      #expect(described.timeBaseDenominator == Int32(track.timescale))
      var theirs = packets[stream].filter { !$0.isDiscarded }
      let hidden = packets[stream].filter(\.isDiscarded).map(\.position)
      let ours = samples.filter { !hidden.contains(Int64($0.offset)) }
      // libavformat drops a last packet that starts within one tick of the movie of the edit's end.
      if ours.count == theirs.count + 1 { theirs.append(try #require(packets[stream].last)) }
      #expect(ours.count == theirs.count, "\(name): \(ours.count) samples, \(theirs.count) packets")
      var differences: [String] = []
      var unlistedKeys = 0
      for (sample, packet) in zip(ours, theirs) {
        let presentation =
          Int64(sample.decodeTicks) + Int64(sample.compositionOffsetTicks) + track.presentationShiftTicks
          + moved
        if Int64(sample.offset) != packet.position || Int(sample.sizeBytes) != packet.sizeBytes
          || sample.isSync && !packet.isKey || movie.isFragmented && sample.isSync != packet.isKey
          || packet.presentationTicks.map({ $0 != presentation }) ?? false
        {
          differences.append("\(sample) at \(presentation) is \(packet)")
        }
        if packet.isKey, !sample.isSync { unlistedKeys += 1 }
      }
      #expect(differences.isEmpty, "\(name): \(differences.count) differ, first: \(differences.first ?? "")")
      // While it probes, libav's H.264 parser also marks an intra picture that stss does not list (vfr-phone-360p).
      #expect(unlistedKeys <= 1)
      if track.kind == .video {
        #expect(described.widthPixels == Int32(track.widthPixels))
        #expect(described.heightPixels == Int32(track.heightPixels))
        #expect(described.transferCharacteristics == Int32(track.transferCharacteristics))
      } else {
        #expect(described.channelCount == Int32(track.channelCount))
        #expect(described.sampleRateHertz == Int32(track.sampleRateHertz))
      }
    }
  }

  @Test func nestedOpensAreRefused() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "packet-reader-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    var movie = MovieBuilder()
    movie.tracks = [MovieBuilder.audio(count: 4)]
    let inner = folder.appending(path: "inner.mp4")
    try Data(movie.build()).write(to: inner)
    let playlist = folder.appending(path: "movie.mp4")
    let text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n\(inner.path())\n#EXT-X-ENDLIST\n"
    try Data(text.utf8).write(to: playlist)
    let file = try FileHandle(forReadingFrom: playlist)
    defer { try? file.close() }
    #expect(throws: CodecError.self) { try PacketReader(descriptor: file.fileDescriptor, demuxer: "mov") }
    // Even with the demuxer that would follow it, the playlist leads nowhere.
    #expect(throws: CodecError.self) {
      let reader = try PacketReader(descriptor: file.fileDescriptor, demuxer: "hls")
      _ = try reader.next()
    }
  }
}

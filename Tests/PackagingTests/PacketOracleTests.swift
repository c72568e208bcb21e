import Codec
import Foundation
import Packaging
import Testing

/// Our sample tables against the packets that libavformat reads from the same files.
@Suite("Samples equal libavformat's packets")
struct PacketOracleTests {
  @Test(arguments: MediaFolder.packageable)
  func everySampleIsAPacket(name: String) throws {
    guard let folder = MediaFolder.url, let bytes = try MediaFolder.bytes(name) else { return }
    let movie = try MovieReader.read(ArraySource(bytes))
    let file = try FileHandle(forReadingFrom: folder.appending(path: name))
    defer { try? file.close() }
    let reader = try PacketReader(descriptor: file.fileDescriptor, demuxer: "mov")
    var packets = reader.streams.map { _ in [MediaPacket]() }
    while let packet = try reader.next() { packets[packet.streamIndex].append(packet) }

    for movieTrack in movie.tracks {
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
        if Int64(sample.offset) != packet.position || Int(sample.sizeBytes) != packet.sizeBytes
          || sample.isSync && !packet.isKey || packet.presentationTicks.map({ $0 != presentation }) ?? false
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

import Foundation
import Packaging
import Testing

/// What we protect, decrypted and decoded by an independent reader.
@Suite("Encryption: ffmpeg decrypts and decodes")
struct EncryptionFFmpegTests {
  private typealias Clip = FFmpegOracleTests.Clip

  private static let arguments: [String: [String]] = [
    "avc": ["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "24", "-x264-params", "slices=3"],
    "hevc": [
      "-c:v", "libx265", "-preset", "fast", "-tag:v", "hvc1", "-x265-params", "keyint=24:log-level=none",
    ],
    "av1": ["-c:v", "libaom-av1", "-cpu-used", "8", "-g", "24", "-tile-columns", "1"],
    "svt-av1": ["-c:v", "libsvtav1", "-preset", "12", "-g", "24"],
    "vp9": [
      "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "24", "-lag-in-frames", "12",
    ],
  ]

  private static let source = [
    "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=24:duration=3", "-f", "lavfi", "-i",
    "sine=frequency=440:sample_rate=48000:duration=3", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k",
  ]

  /// Times and hashes of the decoded frames of the only stream; fails on any warning.
  private static func frames(_ arguments: [String]) throws -> [String] {
    let decoded = try Clip.run(
      "ffmpeg",
      ["-v", "warning"] + arguments + ["-copyts", "-fps_mode", "passthrough", "-f", "framemd5", "-"])
    #expect(decoded.status == 0, "\(decoded.errors)")
    #expect(decoded.errors.isEmpty, "\(decoded.errors)")
    return decoded.output.split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
  }

  private static func cuts(_ samples: [Sample], kind: TrackKind) -> [Int] {
    kind == .video
      ? samples.indices.filter { samples[$0].isSync } : Array(stride(from: 0, to: samples.count, by: 47))
  }

  @Test(arguments: ["avc", "hevc", "av1", "svt-av1", "vp9"], [ProtectionScheme.cenc, .cbcs])
  func commonEncryptionDecodesToTheSameFrames(coding: String, scheme: ProtectionScheme) throws {
    // The binding of VP9 knows no cbcs.
    guard coding != "vp9" || scheme == .cenc else { return }
    guard let clip = try Clip(Self.source + (try #require(Self.arguments[coding]))) else { return }
    let cipher = try OpenSSLCipher(EncryptionFixture.keyBytes)
    let hexKey = EncryptionFixture.keyBytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    for (number, movieTrack) in try MovieReader.read(ArraySource(clip.bytes)).tracks.enumerated() {
      let samples = movieTrack.columns.samples()
      let track = movieTrack.track
      let cuts = Self.cuts(samples, kind: track.kind)
      let protected = try ProtectedTrack(
        track: track, scheme: scheme, key: try EncryptionFixture.key(),
        systems: [.common(keyIDs: [EncryptionFixture.keyID])],
        vectorBase: ProtectedTrack.vectorBase(renditionNumber: UInt16(number)))
      var file = protected.initSegment()
      for (index, start) in cuts.enumerated() {
        let end = index + 1 < cuts.count ? cuts[index + 1] : samples.count
        let segment = try protected.segment(
          sequenceNumber: UInt32(index + 1), samples: Array(samples[start..<end]),
          firstSampleIndex: UInt64(start),
          reading: ArraySource(clip.bytes), cipher: cipher)
        file += segment.head + segment.media
      }
      let path = clip.folder.appendingPathComponent("protected-\(number).mp4").path
      try Data(file).write(to: URL(fileURLWithPath: path))
      let clear = try clip.write(track, samples, cuts: cuts, name: "clear-\(number).mp4")
      let expected = try Self.frames(["-i", clear])
      #expect(expected.count >= 72)
      // A file that can be sought in is read ahead by ffmpeg 5.1, and fragments then lose their encryption.
      #expect(try Self.frames(["-seekable", "0", "-decryption_key", hexKey, "-i", path]) == expected)
      if track.kind == .video {
        func hash(_ frame: String) -> Substring? { frame.split(separator: ",").last }
        #expect(try Self.frames(["-i", clip.path, "-map", "0:v"]).map(hash) == expected.map(hash))
      }
    }
  }

  /// Whole segments and the init segment under AES-128, played from a playlist.
  @Test func aPlaylistOfEncryptedSegmentsPlays() throws {
    guard let clip = try Clip(Self.source + (try #require(Self.arguments["avc"]))) else { return }
    let cipher = try OpenSSLCipher(EncryptionFixture.keyBytes)
    func save(_ bytes: [UInt8], _ name: String) throws -> String {
      let url = clip.folder.appendingPathComponent(name)
      try Data(bytes).write(to: url)
      return url.path
    }
    func encrypt(_ bytes: [UInt8]) -> [UInt8] {
      SegmentCipher.encrypt(bytes, iv: EncryptionFixture.iv, cipher: cipher)
    }
    let movieTrack = try #require(
      MovieReader.read(ArraySource(clip.bytes)).tracks.first { $0.track.kind == .video })
    let (track, samples) = (movieTrack.track, movieTrack.columns.samples())
    let cuts = Self.cuts(samples, kind: .video)
    _ = try save(EncryptionFixture.keyBytes, "key.bin")
    let initSegment = InitSegment.bytes(for: track)
    _ = try save(encrypt(initSegment), "init.mp4")
    let key = HLSKey(method: .aes128, uri: "key.bin", iv: EncryptionFixture.iv)
    var encrypted = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:1\n#EXT-X-PLAYLIST-TYPE:VOD\n"
    var clear = encrypted
    encrypted += String(decoding: key.line, as: UTF8.self) + "#EXT-X-MAP:URI=\"init.mp4\"\n"
    _ = try save(initSegment, "init-clear.mp4")
    clear += "#EXT-X-MAP:URI=\"init-clear.mp4\"\n"
    for (index, start) in cuts.enumerated() {
      let end = index + 1 < cuts.count ? cuts[index + 1] : samples.count
      let segment = MediaSegment.make(
        track: track, sequenceNumber: UInt32(index + 1), samples: Array(samples[start..<end]))
      var bytes = segment.head
      for slice in segment.slices { bytes += clip.bytes[Int(slice.offset)..<Int(slice.offset + slice.count)] }
      _ = try save(bytes, "\(index)-clear.mp4")
      _ = try save(encrypt(bytes), "\(index).mp4")
      encrypted += "#EXTINF:1,\n\(index).mp4\n"
      clear += "#EXTINF:1,\n\(index)-clear.mp4\n"
    }
    let play = ["-allowed_extensions", "ALL", "-protocol_whitelist", "file,crypto,data", "-i"]
    let expected = try Self.frames(play + [try save(Array((clear + "#EXT-X-ENDLIST\n").utf8), "clear.m3u8")])
    #expect(expected.count == samples.count)
    let played = try Self.frames(
      play + [try save(Array((encrypted + "#EXT-X-ENDLIST\n").utf8), "encrypted.m3u8")])
    #expect(played == expected)
  }
}

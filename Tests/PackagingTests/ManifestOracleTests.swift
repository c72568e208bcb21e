import Foundation
import Packaging
import Testing

/// A whole asset, played by ffmpeg from its manifests: the same pictures and sounds as the source, at the same times,
/// and no complaint.
@Suite struct ManifestOracleTests {
  typealias Clip = FFmpegOracleTests.Clip
  typealias Frame = FFmpegOracleTests.Frame

  static let movies = [
    "demo-bbb-480p-30s-51.mp4", "h264-aac-2997.mp4", "h264-aac-elst-audio-delay.mp4",
    "multi-2video-2audio-2tx3g.mp4",
  ].filter { MediaFolder.packageable.contains($0) }

  /// The readers of ffmpeg open few names of local files by themselves,
  /// so both are told to.
  static func readerOptions(_ manifest: String) throws -> [String] {
    guard manifest.hasSuffix(".m3u8") else { return ["-allowed_extensions", "ALL"] }
    let help = try Clip.run("ffmpeg", ["-hide_banner", "-h", "demuxer=hls"]).output
    return ["-allowed_extensions", "ALL"]
      + (help.contains("extension_picky") ? ["-extension_picky", "0"] : [])
  }

  /// The frames of one stream as ffmpeg decodes them, times in microseconds; fails on any warning.
  static func frames(_ path: String, stream: String, options: [String] = []) throws -> [Frame] {
    let decoded = try Clip.run(
      "ffmpeg",
      ["-v", "warning"] + options + [
        "-i", path, "-map", "0:\(stream)", "-copyts", "-fps_mode", "passthrough", "-enc_time_base",
        "1/1000000",
        "-f", "framemd5", "-",
      ])
    #expect(decoded.status == 0)
    #expect(decoded.errors.isEmpty, "\(decoded.errors)")
    return try decoded.output.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let fields = line.split(separator: ",").map { $0.filter { $0 != " " } }
      return Frame(presentationTicks: try #require(Int64(fields[2])), hash: try #require(fields.last))
    }
  }

  static func isReady() -> Bool {
    guard Clip.tool("ffmpeg") != nil, Clip.tool("ffprobe") != nil else {
      print("skipped: ffmpeg and ffprobe are not on PATH")
      return false
    }
    return true
  }

  @Test(arguments: movies)
  func everyManifestPlaysTheSource(name: String) throws {
    guard Self.isReady(), let bytes = try MediaFolder.bytes(name), let media = MediaFolder.url else { return }
    let asset = try MaterialisedAsset(bytes)
    for stream in ["v", "a"] {
      let kind: TrackKind = stream == "v" ? .video : .audio
      // Of streams that follow each other in the file, the manifest's order is the file's.
      let expected = try Self.frames(media.appending(path: name).path(), stream: "\(stream):0")
      guard asset.presentation.renditions.contains(where: { $0.track.kind == kind }) else { continue }
      for manifest in MaterialisedAsset.names where manifest != "master_ts.m3u8" {
        let played = try Self.frames(
          asset.path(manifest), stream: "\(stream):0", options: Self.readerOptions(manifest))
        // In a fragmented file ffmpeg gives the sound before an edit negative times, in a plain one it drops it.
        let shown = kind == .audio ? played.filter { $0.presentationTicks >= 0 } : played
        #expect(shown.map(\.hash) == expected.map(\.hash), "\(name) \(manifest) \(stream)")
        let difference = zip(shown, expected).map {
          abs(
            ($0.presentationTicks - shown[0].presentationTicks)
              - ($1.presentationTicks - expected[0].presentationTicks))
        }.max()
        #expect((difference ?? 0) <= 100, "\(name) \(manifest) \(stream)")
      }
    }
  }

  @Test(arguments: movies)
  func trickPlayShowsTheKeyFramesOfTheSource(name: String) throws {
    guard Self.isReady(), let bytes = try MediaFolder.bytes(name), let media = MediaFolder.url else { return }
    let asset = try MaterialisedAsset(bytes)
    let pictures = asset.presentation.renditions.filter { $0.track.kind == .video }
    try #require(!pictures.isEmpty)
    for (number, rendition) in pictures.enumerated() {
      let source = try Self.frames(media.appending(path: name).path(), stream: "v:\(number)")
      let shown = try Self.frames(
        asset.path("\(rendition.name)/iframes.m3u8"), stream: "v:0",
        options: Self.readerOptions("iframes.m3u8"))
      #expect(shown.count == rendition.keyFrames.count)
      let timescale = Int64(rendition.track.timescale)
      for (frame, listed) in zip(shown, rendition.keyFrames) {
        let microseconds = Int64(listed.startTicks) * 1_000_000 / timescale
        #expect(abs(frame.presentationTicks - microseconds) <= 100)
        let original = source.filter { $0.hash == frame.hash }
        #expect(original.contains { abs($0.presentationTicks - frame.presentationTicks) <= 100 })
      }
    }
  }

  /// Each range that a manifest states, cut out of the file, is the init segment, an index, or that segment.
  @Test(arguments: movies)
  func rangesCutOutWhatTheySay(name: String) throws {
    guard let bytes = try MediaFolder.bytes(name) else { return }
    let asset = try MaterialisedAsset(bytes)
    for rendition in asset.presentation.renditions {
      let file = [UInt8](
        try Data(
          contentsOf: asset.folder.appending(
            path: "\(rendition.name)\(CMAFFile.fileExtension(rendition.track))")))
      let text = try String(
        contentsOf: asset.folder.appending(path: "\(rendition.name)/playlist_byterange.m3u8"), encoding: .utf8
      )
      let map = try #require(MultivariantPlaylistTests.lines(text, "#EXT-X-MAP").first)
      let initBytes = try #require(
        MultivariantPlaylistTests.attribute("BYTERANGE", of: map)?.split(separator: "@").first.flatMap {
          Int($0)
        })
      let folder = asset.folder.appending(path: rendition.name)
      #expect(Array(file[..<initBytes]) == [UInt8](try Data(contentsOf: folder.appending(path: "init.mp4"))))
      let ranges = MultivariantPlaylistTests.lines(text, "#EXT-X-BYTERANGE:")
      #expect(ranges.count == rendition.segments.count)
      for (number, line) in ranges.enumerated() {
        let range = line.dropFirst(17).split(separator: "@").compactMap { Int($0) }
        try #require(range.count == 2)
        let segment = folder.appending(path: "segment_\(MaterialisedAsset.digits(number)).m4s")
        #expect(Array(file[range[1]..<range[0] + range[1]]) == [UInt8](try Data(contentsOf: segment)))
        if number == ranges.count - 1 { #expect(range[0] + range[1] == file.count) }
      }
    }
  }

  /// The file by itself is a movie whose packets are those of the plain concatenation: `sidx` moves nothing.
  @Test(arguments: movies)
  func theIndexMovesNoTime(name: String) throws {
    guard Self.isReady(), let bytes = try MediaFolder.bytes(name) else { return }
    let asset = try MaterialisedAsset(bytes)
    for rendition in asset.presentation.renditions {
      let whole = try Data(
        contentsOf: asset.folder.appending(
          path: "\(rendition.name)\(CMAFFile.fileExtension(rendition.track))"))
      let file = CMAFFile(
        track: rendition.track, segments: rendition.segments,
        firstDecodeTicks: rendition.segments.first?.decodeTicks ?? 0)
      let index = try #require(file.indexRange)
      let plain = whole.prefix(Int(index.lowerBound)) + whole.dropFirst(Int(index.upperBound) + 1)
      try plain.write(to: asset.folder.appending(path: "plain.mp4"))
      func times(_ name: String) throws -> [[String?]] {
        try Clip.packets(asset.path(name), stream: rendition.track.kind == .video ? "v:0" : "a:0").map {
          [$0["pts"], $0["dts"], $0["size"]]
        }
      }
      let indexed = try times("\(rendition.name)\(CMAFFile.fileExtension(rendition.track))")
      #expect(try indexed == times("plain.mp4"))
      #expect(indexed.count == Int(rendition.track.sampleCount))
    }
  }
}

import Foundation
import Packaging
import Testing

/// A movie laid out in a folder as an origin would serve it: every manifest, segment and picture under its URL, so that
/// a player can be pointed at files.
final class MaterialisedAsset {
  let folder: URL
  let source: [UInt8]
  let movie: Movie
  let index: PackagingIndex
  let presentation: Presentation

  static let names = [
    "master.m3u8", "master_ts.m3u8", "master_byterange.m3u8", "manifest.mpd", "manifest_ondemand.mpd",
  ]

  init(_ source: [UInt8], targetMilliseconds: UInt32 = 2000) throws {
    self.source = source
    movie = try MovieReader.read(ArraySource(source))
    let sidecar = PackagingIndex.encode(
      movie, targetMilliseconds: targetMilliseconds, sourceBytes: UInt64(source.count))
    let resident = try PackagingIndex.residentBytes(
      header: sidecar.span.extracting(first: PackagingIndex.headerBytes))
    index = try PackagingIndex(resident: sidecar.span.extracting(first: resident))
    var renditions: [PresentationRendition] = []
    for kind in [TrackKind.video, .audio] {
      for (number, track) in index.tracks.enumerated() where track.kind == kind {
        var keyFrames: [KeyFrame] = []
        if let range = index.keyFrameRange(track: number) {
          let bytes = Array(sidecar[Int(range.offset)..<Int(range.offset) + range.count])
          keyFrames = try index.keyFrames(track: number, in: bytes.span)
        }
        renditions.append(
          PresentationRendition(
            name: "track\(number)", track: track, segments: index.segments[number], keyFrames: keyFrames))
      }
    }
    presentation = Presentation(renditions: renditions, durationMilliseconds: index.durationMilliseconds)
    folder = FileManager.default.temporaryDirectory.appending(path: "headwater-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try write()
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func path(_ name: String) -> String { folder.appending(path: name).path() }

  /// The samples of a segment, from the movie itself.
  func samples(_ track: Int, _ segment: Segment) -> [Sample] {
    let all = movie.tracks[track].columns.samples()
    return Array(all[Int(segment.firstSample)..<Int(segment.firstSample + segment.sampleCount)])
  }

  func bytes(_ segment: MediaSegment) -> [UInt8] {
    segment.slices.reduce(into: segment.head) { bytes, slice in
      bytes += source[Int(slice.offset)..<Int(slice.offset + slice.count)]
    }
  }

  private func put(_ name: String, _ bytes: [UInt8]) throws {
    try Data(bytes).write(to: folder.appending(path: name))
  }

  private func write() throws {
    for (name, form) in zip(Self.names, [DeliveryForm.fragments, .transport, .byteRanges]) {
      try put(name, MultivariantPlaylist.bytes(presentation, form: form, uriPrefix: ""))
    }
    try put("manifest.mpd", MPD.bytes(presentation, baseURL: nil))
    try put("manifest_ondemand.mpd", MPD.bytes(presentation, form: .byteRanges, baseURL: nil))
    for rendition in presentation.renditions { try write(rendition) }
  }

  private func write(_ rendition: PresentationRendition) throws {
    let (name, track) = (rendition.name, rendition.track)
    let number = try #require(index.tracks.firstIndex(of: track))
    let target = presentation.targetDurationSeconds
    try FileManager.default.createDirectory(
      at: folder.appending(path: name), withIntermediateDirectories: true)
    for (file, form) in [("playlist.m3u8", DeliveryForm.fragments), ("playlist_byterange.m3u8", .byteRanges)]
    {
      try put(
        "\(name)/\(file)",
        MediaPlaylist.bytes(
          track: track, segments: rendition.segments, uriPrefix: "", targetDurationSeconds: target,
          form: form,
          name: name))
    }
    let firstDecodeTicks = rendition.segments.first?.decodeTicks ?? 0
    try put("\(name)/init.mp4", InitSegment.bytes(for: track, firstDecodeTicks: firstDecodeTicks))
    let file = CMAFFile(
      track: track, segments: rendition.segments, firstDecodeTicks: firstDecodeTicks)
    var whole = file.head
    for (position, segment) in rendition.segments.enumerated() {
      let made = bytes(
        MediaSegment.make(
          track: track, sequenceNumber: UInt32(position + 1), samples: samples(number, segment),
          firstDecodeTicks: firstDecodeTicks))
      try put("\(name)/segment_\(Self.digits(position)).m4s", made)
      whole += made
    }
    try put("\(name)\(CMAFFile.fileExtension(track))", whole)
    guard !rendition.keyFrames.isEmpty else { return }
    try put(
      "\(name)/iframes.m3u8",
      IFramePlaylist.bytes(
        track: track, keyFrames: rendition.keyFrames, form: .fragments, uriPrefix: "",
        targetDurationSeconds: target))
    for (position, frame) in rendition.keyFrames.enumerated() {
      let made = IFrameSegment.make(
        track: track, keyFrame: frame, number: position, firstDecodeTicks: firstDecodeTicks)
      try put("\(name)/iframe_\(Self.digits(position)).m4s", bytes(made))
    }
  }

  static func digits(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }
}

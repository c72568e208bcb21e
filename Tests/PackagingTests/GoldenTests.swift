import Foundation
import Testing

@testable import Packaging

/// Every answer made for small movies that are built in memory, against digests that were recorded once.
///
/// What two versions of the packager must not do is give other bytes under an old entity tag: a change here needs a
/// higher `PackagerVersion.number`, and the file is then written anew with HEADWATER_REWRITE=1.
@Suite struct GoldenTests {
  private static let file = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "Golden/answers.txt")

  @Test func everyAnswerIsAsRecorded() throws {
    var lines = ["packager version \(PackagerVersion.number)"]
    for (name, movie, length) in try Self.movies() {
      let made = try Answers(movie, length)
      for (path, bytes) in made.all {
        lines.append(
          "\(name) \(path) \(bytes.count) \(String(Checksum.of(bytes, 0..<bytes.count), radix: 16))")
      }
    }
    let text = lines.joined(separator: "\n") + "\n"
    if ProcessInfo.processInfo.environment["HEADWATER_REWRITE"] != nil {
      try FileManager.default.createDirectory(
        at: Self.file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: Self.file)
    }
    let recorded = String(decoding: try Data(contentsOf: Self.file), as: UTF8.self)
    let changed = zip(text.split(separator: "\n"), recorded.split(separator: "\n")).filter { $0 != $1 }
    #expect(
      text == recorded,
      "raise PackagerVersion.number, then run once with HEADWATER_REWRITE=1: \(changed.prefix(5))")
  }

  private static func movies() throws -> [(String, Movie, UInt64)] {
    var plain = MovieBuilder()
    plain.tracks = [
      MovieBuilder.video(count: 700, syncEvery: 25, size: 300), MovieBuilder.audio(count: 1300),
    ]
    var reordered = plain
    reordered.tracks[0].compositionOffsets = (0..<700).map { $0 % 3 }
    var sound = MovieBuilder()
    sound.tracks = [MovieBuilder.audio(count: 900)]
    return try [("plain", plain), ("reordered", reordered), ("sound", sound)].map { name, builder in
      let bytes = builder.build()
      return (name, try MovieReader.read(ArraySource(bytes)), UInt64(bytes.count))
    }
  }

  /// All that an origin makes of one movie; media bytes are left out, since the blob's own digest names them.
  private struct Answers {
    var all: [(path: String, bytes: [UInt8])] = []

    init(_ movie: Movie, _ length: UInt64) throws {
      let sidecar = PackagingIndex.encode(movie, targetMilliseconds: 6000, sourceBytes: length)
      let index = try PackagingIndex(resident: sidecar.span)
      all.append(("index", sidecar))
      let presentation = try index.presentation(sidecar: sidecar.span)
      for (number, rendition) in presentation.renditions.enumerated() {
        try addSegments(of: rendition, number, index, sidecar)
      }
      for form in DeliveryForm.allCases {
        all.append(
          ("multivariant \(form)", MultivariantPlaylist.bytes(presentation, form: form, uriPrefix: "g/0/")))
        for rendition in presentation.renditions {
          all.append(
            (
              "\(rendition.name) playlist \(form)",
              MediaPlaylist.bytes(
                track: rendition.track, segments: rendition.segments, uriPrefix: "",
                targetDurationSeconds: presentation.targetDurationSeconds, form: form, name: rendition.name)
            ))
        }
      }
      all.append(("mpd", MPD.bytes(presentation, baseURL: "g/0/")))
      all.append(("on-demand mpd", MPD.bytes(presentation, form: .byteRanges, baseURL: nil)))
    }

    private mutating func addSegments(
      of rendition: PresentationRendition, _ number: Int, _ index: PackagingIndex, _ sidecar: [UInt8]
    ) throws {
      let (track, segments) = (rendition.track, rendition.segments)
      let first = segments.first?.decodeTicks ?? 0
      all.append(("\(rendition.name) init", InitSegment.bytes(for: track, firstDecodeTicks: first)))
      let file = CMAFFile(track: track, segments: segments, firstDecodeTicks: first)
      all.append(("\(rendition.name) cmaf", file.head))
      for position in segments.indices {
        let samples = try index.samples(track: number, segment: position, sidecar: sidecar.span)
        let made = MediaSegment.make(
          track: track, sequenceNumber: UInt32(position) + 1, samples: samples, firstDecodeTicks: first)
        all.append(("\(rendition.name) segment \(position)", made.head))
      }
      for (position, frame) in rendition.keyFrames.enumerated() {
        let made = IFrameSegment.make(
          track: track, keyFrame: frame, number: position, firstDecodeTicks: first)
        all.append(("\(rendition.name) iframe \(position)", made.head))
      }
    }
  }
}

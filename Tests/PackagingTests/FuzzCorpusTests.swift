import Foundation
import Packaging
import Testing

/// The seeds of the fuzz target are hand-made files: this suite makes them (with HEADWATER_REWRITE=1 it writes them), holds
/// them to what is committed, and takes every file of the corpus through the code under test.
@Suite("Fuzz corpus")
struct FuzzCorpusTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fuzz/Packaging/Corpus")

  private static func seeds() throws -> [String: [UInt8]] {
    var plain = MovieBuilder()
    plain.tracks = [MovieBuilder.video(count: 24, syncEvery: 8), MovieBuilder.audio(count: 20)]
    var edited = plain
    edited.moovFirst = false
    edited.tracks[0].compositionOffsets = (0..<24).map { [1, 3, 0, 0][$0 % 4] }
    edited.tracks[0].edits = [(40, -1), (700, 1)]
    edited.tracks[0].isWide = true
    edited.tracks[1].edits = [(400, 1024)]
    edited.tracks[1].samplesPerChunk = 1
    var soundOnly = MovieBuilder()
    soundOnly.tracks = [MovieBuilder.audio(count: 60, id: 1)]
    var fragmented = FragmentBuilder.clip(fragments: 3)
    fragmented.movie.tracks[1].edits = [(0, 1024)]
    fragmented.durationMovieTicks = 3000
    fragmented.between = BoxBytes.box("styp", Array("msdh".utf8), BoxBytes.u32(0))
    for number in fragmented.fragments.indices {
      fragmented.fragments[number][0] = FragmentBuilder.video(count: 6, at: UInt64(8 * number))
      fragmented.fragments[number][1] = FragmentBuilder.audio(count: 5, at: nil)
    }
    fragmented.fragments[1][0].runs[0].compositionOffsets = [1, 3, 0, 0, 2, -1]
    fragmented.fragments[1][1].base = .implicit
    fragmented.fragments[2][0].base = .stated
    // Samples in moov, and then in a fragment.
    var mixed = fragmented
    mixed.movie.tracks[0] = MovieBuilder.video(count: 8, syncEvery: 4)
    mixed.fragments.removeLast(2)
    let movie = try MovieReader.read(ArraySource(edited.build()))
    return [
      "plain.mp4": plain.build(), "edited.mp4": edited.build(), "sound.mp4": soundOnly.build(),
      "fragmented.mp4": fragmented.build(), "mixed.mp4": mixed.build(),
      "sidecar.index": PackagingIndex.encode(
        movie, targetMilliseconds: 300, sourceBytes: UInt64(edited.build().count)),
    ]
  }

  @Test func seedsAreWhatTheBuilderMakes() throws {
    for (name, bytes) in try Self.seeds() {
      let url = Self.folder.appending(path: name)
      if ProcessInfo.processInfo.environment["HEADWATER_REWRITE"] != nil {
        try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
      }
      #expect(
        try Array(Data(contentsOf: url)) == bytes, "\(name): run once with HEADWATER_REWRITE=1, read the diff"
      )
    }
  }

  @Test func everyFileOfTheCorpusGivesAVerdict() throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: Self.folder.path()) {
      let bytes = try Array(Data(contentsOf: Self.folder.appending(path: name)))
      if case .packageable(let movie) = MediaInspector.inspect(ArraySource(bytes)) {
        let sidecar = PackagingIndex.encode(movie, targetMilliseconds: 500, sourceBytes: UInt64(bytes.count))
        #expect(try PackagingIndex(resident: sidecar.span).tracks == movie.tracks.map(\.track))
      }
      if let index = try? PackagingIndex(resident: bytes.span) {
        #expect(index.totalBytes == UInt64(bytes.count))
      }
    }
  }
}

import Packaging
import Store
import Testing

@testable import Origin

@Suite struct SourceMediaTypeTests {
  private static func box(_ type: String, _ payload: [UInt8]) -> [UInt8] {
    let size = UInt32(payload.count + 8)
    return withUnsafeBytes(of: size.bigEndian) { Array($0) } + Array(type.utf8) + payload
  }

  static let files: [(String, [UInt8], String)] = [
    ("nothing", [], "application/octet-stream"),
    ("zeros", [UInt8](repeating: 0, count: 5000), "application/octet-stream"),
    ("text", Array("just words\n".utf8), "application/octet-stream"),
    ("a playlist", Array("#EXTM3U\n#EXTINF:6,\nhttp://evil/\n".utf8), "application/octet-stream"),
    ("a page", Array("<html><script>alert(1)</script>".utf8), "application/octet-stream"),
    ("a picture", [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0], "application/octet-stream"),
    (
      "an MP4", box("ftyp", Array("isom".utf8) + [0, 0, 0, 0]) + box("mdat", [1, 2, 3]), "video/mp4"
    ),
    ("Matroska", [0x1A, 0x45, 0xDF, 0xA3, 0x42, 0x82, 0x88] + Array("matroska".utf8), "video/x-matroska"),
    (
      "a transport stream", (0..<20).flatMap { _ in [0x47] + [UInt8](repeating: 0xFF, count: 187) },
      "video/mp2t"
    ),
    ("Ogg", Array("OggS".utf8) + [0, 2], "application/ogg"),
    ("a tag, then who knows", Array("ID3".utf8) + [4, 0, 0, 0, 0, 0, 1, 0, 0xFF, 0xFB], "audio/mpeg"),
    (
      "AAC behind a tag",
      Array("ID3".utf8) + [4, 0, 0, 0, 0, 0, 0] + [
        0xFF, 0xF1, 0x50, 0x80, 0, 0xFF, 0, 0xFF, 0xF1, 0x50, 0x80, 0, 0xFF, 0,
      ],
      "audio/aac"
    ),
  ]

  /// What a stranger uploaded is never served under a type that a browser would run.
  @Test(arguments: files) func ofWhatIsKeptAsItCame(name: String, bytes: [UInt8], type: String) throws {
    #expect(SourceMediaType.of(try MediaProbe.kind(of: ArraySource(bytes))) == type)
  }

  @Test(arguments: [("aac-audio-only.m4a", "audio/mp4"), ("h264-video-only.mp4", "video/mp4")])
  func ofWhatIsPackaged(name: String, type: String) throws {
    guard let path = SharedMediaFile.path(name) else { return }
    let folder = try StoreFolder()
    let record = try Ingest(store: folder.store, site: "default", segmentMilliseconds: 6000)
      .importFile(path: path, id: nil, title: nil)
    #expect(record.mediaType == type)
    #expect(record.reason == nil)
  }
}

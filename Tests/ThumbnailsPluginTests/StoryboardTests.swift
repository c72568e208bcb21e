import Foundation
import Origin
import Packaging
import Testing

@testable import ThumbnailsPlugin

/// Tiles, sheets, and the texts that say where they are.
@Suite struct StoryboardTests {
  static func config(_ text: String = "") throws -> ThumbnailsConfig {
    try ThumbnailsConfig(ThumbnailsPluginTests.table(text))
  }

  /// A film of one rendition, 1080p, with a key frame every `keySeconds`.
  static func presentation(
    seconds: UInt64, keySeconds: UInt64 = 2, width: UInt32 = 1920, height: UInt32 = 1080,
    name: String = "source"
  ) -> Presentation {
    var track = Track(
      id: 1, kind: .video, codec: .avc, sampleEntry: [], codecString: "avc1.640028", timescale: 1000,
      displayWidthPixels: width, displayHeightPixels: height, durationTicks: seconds * 1000)
    track.sampleCount = UInt32(seconds * 25)
    var rendition = PresentationRendition(name: name, track: track, segments: [])
    rendition.keyFrames = stride(from: 0, to: seconds, by: Int(keySeconds)).map {
      KeyFrame(
        sample: UInt32($0 * 25), startTicks: $0 * 1000, durationTicks: keySeconds * 1000, offset: $0 * 100,
        sizeBytes: 100)
    }
    return Presentation(renditions: [rendition], durationMilliseconds: seconds * 1000)
  }

  @Test(arguments: [
    // Seconds, then interval in ms, tiles, columns, rows, sheets.
    (600, 5000, 120, 5, 5, 5), (10, 1000, 10, 5, 2, 1), (1, 1000, 1, 1, 1, 1), (125, 5000, 25, 5, 5, 1),
    (126, 5000, 26, 5, 5, 2), (3, 1000, 3, 3, 1, 1), (20_000, 10_000, 2000, 5, 5, 80),
  ])
  func aFilmHasItsTiles(seconds: Int, interval: Int, tiles: Int, columns: Int, rows: Int, sheets: Int) throws
  {
    let board = try #require(Storyboard(Self.presentation(seconds: UInt64(seconds)), Self.config()))
    #expect(board.intervalMilliseconds == UInt64(interval))
    #expect(board.tileCount == tiles)
    #expect((board.columns, board.rows) == (columns, rows))
    #expect(board.sheetCount == sheets)
    #expect((board.widthPixels, board.heightPixels) == (320, 180))
    // Every tile lies on one sheet, in order.
    #expect((0..<sheets).flatMap { Array(board.tiles(ofSheet: $0)) } == Array(0..<tiles))
    #expect(board.tiles(ofSheet: sheets).isEmpty && board.tiles(ofSheet: -1).isEmpty)
  }

  @Test func aTileShowsTheFirstKeyFrameInItsTime() throws {
    let presentation = Self.presentation(seconds: 60, keySeconds: 7)
    let board = try #require(Storyboard(presentation, Self.config("interval = \"5s\"")))
    #expect(board.intervalMilliseconds == 3000)
    let frames = presentation.renditions[0].keyFrames
    let chosen = board.choose(0..<8, from: frames, timescale: 1000).map { frames[$0].startTicks / 1000 }
    // Key frames at 0, 7, 14, 21; tiles at 0, 3, 6, 9, 12, 15, 18, 21.
    #expect(chosen == [0, 0, 7, 7, 14, 14, 14, 21])
    // A sheet by itself chooses the same.
    #expect(
      board.choose(4..<8, from: frames, timescale: 1000).map { frames[$0].startTicks / 1000 } == [
        14, 14, 14, 21,
      ])
  }

  @Test func thePictureIsDecodedFromTheSmallestRenditionThatIsWideEnough() {
    var presentation = Self.presentation(seconds: 10)
    presentation.renditions +=
      Self.presentation(seconds: 10, width: 640, height: 360, name: "360p").renditions
    presentation.renditions +=
      Self.presentation(seconds: 10, width: 1280, height: 720, name: "720p").renditions
    #expect(presentation.stillRendition(widthPixels: 320)?.name == "360p")
    #expect(presentation.stillRendition(widthPixels: 640)?.name == "360p")
    #expect(presentation.stillRendition(widthPixels: 641)?.name == "720p")
    #expect(presentation.stillRendition(widthPixels: 4000)?.name == "source")
    presentation.renditions[1].track.transferCharacteristics = 16
    #expect(presentation.stillRendition(widthPixels: 320)?.name == "720p")
    for index in presentation.renditions.indices { presentation.renditions[index].keyFrames = [] }
    #expect(presentation.stillRendition(widthPixels: 320) == nil)
  }

  @Test func webVTTNamesEveryTile() throws {
    let board = try #require(
      Storyboard(Self.presentation(seconds: 3725), Self.config("interval = \"2m\"\ncolumns = 4\nrows = 4")))
    let text = String(decoding: board.webVTT(prefix: "g/0123456789ab/", suffix: "\u{1F}"), as: UTF8.self)
    #expect(
      text.hasPrefix(
        """
        WEBVTT

        00:00:00.000 --> 00:02:00.000
        g/0123456789ab/storyboard_0.jpg\u{1F}#xywh=0,0,320,180

        00:02:00.000 --> 00:04:00.000
        g/0123456789ab/storyboard_0.jpg\u{1F}#xywh=320,0,320,180

        """))
    #expect(
      text.hasSuffix(
        "\n01:02:00.000 --> 01:02:05.000\ng/0123456789ab/storyboard_1.jpg\u{1F}#xywh=960,540,320,180\n"))
  }

  @Test func theImagePlaylistNamesEverySheet() throws {
    let board = try #require(Storyboard(Self.presentation(seconds: 130), Self.config()))
    #expect(
      String(decoding: board.playlist(prefix: "", suffix: ""), as: UTF8.self) == """
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-TARGETDURATION:125
        #EXT-X-MEDIA-SEQUENCE:0
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXT-X-IMAGES-ONLY
        #EXTINF:125.000,
        #EXT-X-TILES:RESOLUTION=320x180,LAYOUT=5x5,DURATION=5.000
        storyboard_0.jpg
        #EXTINF:5.000,
        #EXT-X-TILES:RESOLUTION=320x180,LAYOUT=5x5,DURATION=5.000
        storyboard_1.jpg
        #EXT-X-ENDLIST

        """)
  }

  @Test func theIndexIsJSON() throws {
    let board = try #require(Storyboard(Self.presentation(seconds: 3), Self.config()))
    let bytes = board.index(prefix: "", suffix: "", times: [0, 0, 2000])
    let object = try #require(
      JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    #expect(object["interval_ms"] as? Int == 1000)
    #expect(object["sheets"] as? [String] == ["storyboard_0.jpg"])
    #expect(object["times_ms"] as? [Int] == [0, 0, 2000])
  }

  @Test func aTrickPlayFileIsWhatRokuReads() throws {
    let bytes = try #require(TrickPlayFile.bytes([[1, 2, 3], [4, 5]], intervalMilliseconds: 10_000))
    func number(_ offset: Int) -> Int {
      bytes[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    #expect(bytes.starts(with: [0x89, 0x42, 0x49, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]))
    let head: [Int] = [number(8), number(12), number(16)]
    #expect(head == [0, 2, 10_000] as [Int])
    #expect(bytes[20..<64].allSatisfy { $0 == 0 })
    let rows: [Int] = [number(64), number(68), number(72), number(76)]
    #expect(rows == [0, 88, 1, 91] as [Int])
    #expect(number(80) == 0xFFFF_FFFF && number(84) == 93)
    #expect(Array(bytes[88...]) == [1, 2, 3, 4, 5])
  }
}

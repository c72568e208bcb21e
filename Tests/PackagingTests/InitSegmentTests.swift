import Packaging
import Testing

@Suite struct InitSegmentTests {
  @Test func hasTheBoxesOfACMAFHeaderInOrder() throws {
    let bytes = InitSegment.bytes(for: WriterFixture.video())
    let walk = BoxWalk(bytes: bytes)
    func children(_ path: String) throws -> [String] {
      let box = try #require(walk.box(path), "no box at \(path)")
      return try #require(walk.boxes(in: box.payload)).map(\.type)
    }
    #expect(walk.boxes(in: 0..<bytes.count)?.map(\.type) == ["ftyp", "moov"])
    #expect(try children("moov") == ["mvhd", "trak", "mvex"])
    #expect(try children("moov/trak") == ["tkhd", "mdia"])
    #expect(try children("moov/trak/mdia") == ["mdhd", "hdlr", "minf"])
    #expect(try children("moov/trak/mdia/minf") == ["vmhd", "dinf", "stbl"])
    #expect(try children("moov/trak/mdia/minf/stbl") == ["stsd", "stts", "stsc", "stco", "stsz"])
    #expect(try children("moov/mvex") == ["trex"])
    let ftyp = try #require(walk.box("ftyp"))
    #expect(String(decoding: bytes[ftyp.payload], as: UTF8.self) == "iso6\0\0\0\0iso6cmfcdash")
    let sizes = ["mvhd": 108, "trak/tkhd": 92, "trak/mdia/mdhd": 32, "mvex/trex": 32]
    for (path, sizeBytes) in sizes {
      #expect(walk.box("moov/\(path)")?.range.count == sizeBytes, "\(path)")
    }
  }

  @Test func copiesTheSampleEntryButForItsDataReference() throws {
    var track = WriterFixture.video()
    track.sampleEntry = WriterFixture.sampleEntry("hev1", boxes: [0, 0, 0, 9, 0x66, 0x72, 0x65, 0x65, 0xAB])
    track.sampleEntry[15] = 7
    let walk = BoxWalk(bytes: InitSegment.bytes(for: track))
    let stsd = try #require(walk.box("moov/trak/mdia/minf/stbl/stsd"))
    var expected = track.sampleEntry
    expected[15] = 1
    #expect(walk.word(stsd.payload.lowerBound + 4) == 1)
    #expect(Array(walk.bytes[stsd.payload.lowerBound + 8..<stsd.payload.upperBound]) == expected)
  }

  @Test(arguments: [
    (TrackKind.video, "vide", "vmhd"), (.audio, "soun", "smhd"), (.subtitle, "subt", "sthd"),
    (.other, "meta", "nmhd"),
  ])
  func namesTheHandlerOfTheKind(kind: TrackKind, handler: String, header: String) throws {
    var track = WriterFixture.video()
    track.kind = kind
    let walk = BoxWalk(bytes: InitSegment.bytes(for: track))
    let hdlr = try #require(walk.box("moov/trak/mdia/hdlr")).payload.lowerBound
    #expect(String(decoding: walk.bytes[hdlr + 8..<hdlr + 12], as: UTF8.self) == handler)
    #expect(walk.box("moov/trak/mdia/minf/\(header)") != nil)
    let tkhd = try #require(walk.box("moov/trak/tkhd")).payload.lowerBound
    #expect(walk.half(tkhd + 36) == (kind == .audio ? 0x100 : 0))
    #expect(walk.word(tkhd + 76) == (kind == .video ? 1280 << 16 : 0))
  }

  @Test func keepsTimescaleAndTurnsTheSizeBackBeforeTheMatrix() throws {
    var track = WriterFixture.video(width: 1920, height: 1080, timescale: 30000)
    track.matrix = [0, 0x10000, 0, -0x10000, 0, 0, 1080 << 16, 0, 0x4000_0000]
    track.displayWidthPixels = 1080
    track.displayHeightPixels = 1920
    let walk = BoxWalk(bytes: InitSegment.bytes(for: track))
    let tkhd = try #require(walk.box("moov/trak/tkhd")).payload.lowerBound
    #expect((0..<9).map { Int32(bitPattern: walk.word(tkhd + 40 + 4 * $0)) } == track.matrix)
    #expect(walk.word(tkhd + 76) == 1920 << 16)
    #expect(walk.word(tkhd + 80) == 1080 << 16)
    #expect(walk.word(try #require(walk.box("moov/mvhd")).payload.lowerBound + 12) == 30000)
    #expect(walk.word(try #require(walk.box("moov/trak/mdia/mdhd")).payload.lowerBound + 12) == 30000)
  }

  @Test func survivesAMatrixAndASizeThatAreNone() throws {
    var track = WriterFixture.video()
    track.matrix = [1, 2, 3]
    track.displayWidthPixels = .max
    track.displayHeightPixels = 70000
    track.sampleEntry = []
    let walk = BoxWalk(bytes: InitSegment.bytes(for: track))
    let tkhd = try #require(walk.box("moov/trak/tkhd")).payload.lowerBound
    #expect(walk.word(tkhd + 40) == 0x10000)
    #expect(walk.word(tkhd + 76) == 0xFFFF_0000)
    #expect(walk.word(tkhd + 80) == 0xFFFF_0000)
  }

  @Test(
    arguments: [
      ("und", 0x55C4, nil), ("eng", 0x15C7, nil), ("deu", 0x10B5, nil),
      ("en", 0x55C4, "en"), ("pt-BR", 0x55C4, "pt-BR"), ("ENG", 0x55C4, "ENG"),
      ("", 0x55C4, nil), ("e\0n", 0x55C4, nil), ("en\"", 0x55C4, nil), ("-en", 0x55C4, nil),
      ("en-", 0x55C4, nil),
      ("abcdefghi", 0x55C4, nil), ("é", 0x55C4, nil), ("12", 0x55C4, nil),
    ] as [(String, UInt16, String?)])
  func statesTheLanguageWhereItIsOne(language: String, packed: UInt16, extended: String?) throws {
    let walk = BoxWalk(bytes: InitSegment.bytes(for: WriterFixture.audio(language: language)))
    #expect(walk.half(try #require(walk.box("moov/trak/mdia/mdhd")).payload.lowerBound + 20) == packed)
    let elng = walk.box("moov/trak/mdia/elng").map {
      String(decoding: walk.bytes[$0.payload.lowerBound + 4..<$0.payload.upperBound], as: UTF8.self)
    }
    #expect(elng == extended.map { $0 + "\0" })
  }

  @Test func carriesTheEditOfPrimedSound() throws {
    var track = WriterFixture.audio()
    track.presentationShiftTicks = -2112
    track.presentationStartTicks = -2112
    let walk = BoxWalk(bytes: InitSegment.bytes(for: track))
    let elst = try #require(walk.box("moov/trak/edts/elst"))
    let expected: [UInt8] =
      [1, 0, 0, 0] + [0, 0, 0, 1] + [UInt8](repeating: 0, count: 8) + [0, 0, 0, 0, 0, 0, 8, 0x40] + [
        0, 1, 0, 0,
      ]
    #expect(Array(walk.bytes[elst.payload]) == expected)
  }

  @Test func isTheSameEveryTime() {
    let track = WriterFixture.audio(language: "fr-CA")
    #expect(InitSegment.bytes(for: track) == InitSegment.bytes(for: track))
  }
}

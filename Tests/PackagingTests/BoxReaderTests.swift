import Testing

@testable import Packaging

@Suite("Boxes from bytes")
struct BoxReaderTests {
  private func boxes(_ bytes: [UInt8]) -> [String] {
    var reader = BoxReader(bytes.span)
    var result: [String] = []
    while let box = reader.box() {
      result.append("\(box.type) \(box.body.count)\(box.isTruncated ? " cut" : "")")
    }
    return result
  }

  @Test func sizes() {
    #expect(boxes(BoxBytes.box("free", [1, 2, 3]) + BoxBytes.box("skip")) == ["free 3", "skip 0"])
    #expect(boxes([0, 0, 0, 0] + Array("mdat".utf8) + [1, 2, 3, 4]) == ["mdat 4"])
    #expect(boxes([0, 0, 0, 1] + Array("mdat".utf8) + BoxBytes.u64(18) + [1, 2]) == ["mdat 2"])
    #expect(boxes([0, 0, 0, 99] + Array("mdat".utf8) + [1]) == ["mdat 1 cut"])
    #expect(boxes([0, 0, 0, 1] + Array("mdat".utf8) + BoxBytes.u64(.max)) == ["mdat 0 cut"])
  }

  @Test(arguments: [
    [], [0], [0, 0, 0, 8], [0, 0, 0, 7, 0x66, 0x72, 0x65, 0x65], [0, 0, 0, 1, 0x66, 0x72, 0x65, 0x65, 0, 0],
    [0, 0, 0, 1, 0x66, 0x72, 0x65, 0x65] + BoxBytes.u64(15),
  ])
  func whatIsNoBox(bytes: [UInt8]) { #expect(boxes(bytes).isEmpty) }

  @Test func readsStopAtTheEnd() {
    let bytes: [UInt8] = [1, 2, 3]
    var reader = BoxReader(bytes.span)
    #expect(reader.u32() == nil)
    #expect(reader.u16() == 0x0102)
    #expect(reader.u16() == nil)
    #expect(reader.skip(2) == nil)
    #expect(reader.skip(-1) == nil)
    #expect(reader.u8() == 3)
    #expect(reader.u8() == nil)
  }

  @Test func tablesThatDoNotFitAreRefused() {
    let bytes = [UInt8](repeating: 1, count: 16)
    func fits(_ count: UInt32, _ entryBytes: Int) -> Bool {
      BoxTable(bytes.span, count: count, entryBytes: entryBytes) != nil
    }
    #expect(fits(2, 8))
    #expect(!fits(3, 8))
    #expect(!fits(.max, 12))
  }

  @Test func headers() throws {
    let version1 = BoxBytes.full(
      "mdhd", version: 1, BoxBytes.zeros(16), BoxBytes.u32(90000), BoxBytes.u64(1 << 40), BoxBytes.u16(0x15C7)
    )
    func mediaHeader(_ bytes: [UInt8]) -> MediaHeaderBox? {
      guard let box = bytes.span.firstBox(FourCC("mdhd"))?.fullBox() else { return nil }
      return MediaHeaderBox(box)
    }
    let header = try #require(mediaHeader(version1))
    #expect(header.timescale == 90000)
    #expect(header.durationTicks == 1 << 40)
    #expect(TrackLanguage.of(packed: header.languageCode) == "en")
    for length in 0..<version1.count - 10 {
      #expect(mediaHeader(BoxBytes.box("mdhd", Array(version1[8..<8 + length]))) == nil)
    }
  }

  @Test func compactSizes() throws {
    func sizes(_ bits: Int, _ table: [UInt8], count: Int) -> [UInt32]? {
      let bytes = BoxBytes.full("stz2", BoxBytes.u32(bits), BoxBytes.u32(count), table)
      guard let box = bytes.span.firstBox(FourCC("stz2"))?.fullBox(), let sizes = SampleSizeBox(compact: box)
      else {
        return nil
      }
      return (0..<count).map { sizes.size($0) }
    }
    #expect(sizes(4, [0x12, 0x30], count: 3) == [1, 2, 3])
    #expect(sizes(8, [7, 8], count: 2) == [7, 8])
    #expect(sizes(16, [1, 0, 0, 2], count: 2) == [256, 2])
    #expect(sizes(4, [0x12], count: 3) == nil)
    #expect(sizes(5, [0x12], count: 1) == nil)
  }

  @Test func editLists() throws {
    let bytes = BoxBytes.full(
      "elst", version: 1, BoxBytes.u32(2), BoxBytes.u64(500), BoxBytes.u64(.max), BoxBytes.u32(0x10000),
      BoxBytes.u64(7), BoxBytes.u64(1024), BoxBytes.u32(0x10000))
    func editList() -> EditListBox? {
      guard let box = bytes.span.firstBox(FourCC("elst"))?.fullBox() else { return nil }
      return EditListBox(box)
    }
    let list = try #require(editList())
    #expect(list.entries.map(\.mediaTicks) == [-1, 1024])
    #expect(list.entries.map(\.durationTicks) == [500, 7])
  }

  @Test(arguments: [
    ([21, 14, 4], "und"), ([5, 14, 7], "en"), ([4, 5, 21], "de"), ([7, 5, 18], "de"), ([8, 1, 23], "haw"),
    ([31, 31, 31], "und"), ([1, 0, 1], "und"),
  ])
  func packedLanguages(letters: [UInt16], tag: String) {
    #expect(TrackLanguage.of(packed: letters[0] << 10 | letters[1] << 5 | letters[2]) == tag)
  }

  @Test func otherLanguages() {
    #expect(TrackLanguage.of(packed: 0) == "en")
    #expect(TrackLanguage.of(packed: 11) == "ja")
    #expect(TrackLanguage.of(packed: 0x300) == "und")
    #expect(TrackLanguage.of(extended: Array("zh-Hant".utf8) + [0]) == "zh-Hant")
    #expect(TrackLanguage.of(extended: Array("a\"b".utf8)) == nil)
    #expect(TrackLanguage.of(extended: []) == nil)
  }
}

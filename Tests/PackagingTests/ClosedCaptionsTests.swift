import Testing

@testable import Packaging

/// Captions in hand-made pictures, and in a recording that has some.
@Suite struct ClosedCaptionsTests {
  /// A picture that is one SEI message with these pairs, and a slice.
  private func picture(_ pairs: [(head: UInt8, first: UInt8, second: UInt8)]) -> [UInt8] {
    var payload: [UInt8] = [0xB5, 0x00, 0x31] + Array("GA94".utf8) + [3, 0x40 | UInt8(pairs.count), 0xFF]
    for pair in pairs { payload += [pair.head, pair.first, pair.second] }
    payload.append(0xFF)
    let unit = [0x06, 4, UInt8(payload.count)] + payload + [0x80]
    let slice: [UInt8] = [0x65, 0x88, 0x80]
    return [0, 0, 0, UInt8(unit.count)] + unit + [0, 0, 0, UInt8(slice.count)] + slice
  }

  private func find(_ pictures: [[UInt8]]) throws -> ClosedCaptions {
    var builder = MovieBuilder()
    builder.tracks = [MovieBuilder.video(count: 1, syncEvery: 1, size: 10)]
    var track = try #require(try MovieReader.read(ArraySource(builder.build())).tracks.first)
    track.columns = SampleColumns()
    var offset: UInt64 = 0
    for picture in pictures {
      track.columns.offsets.append(offset)
      track.columns.sizesBytes.append(UInt32(picture.count))
      track.columns.durationsTicks.append(1)
      offset += UInt64(picture.count)
    }
    return ClosedCaptions.find(in: track, ArraySource(pictures.flatMap { $0 }))
  }

  @Test func pairsThatSaySomethingCount() throws {
    let filler = picture([(0xFC, 0x80, 0x80), (0xFD, 0x80, 0x80), (0xFA, 0, 0)])
    #expect(try find([filler, filler]) == [])
    #expect(try find([filler, picture([(0xFC, 0x94, 0x2C)])]) == .cc1)
    #expect(try find([picture([(0xFD, 0x15, 0x2C)])]) == .cc3)
    #expect(try find([picture([(0xFF, 0x02, 0x21), (0xFC, 0x94, 0x20)])]) == [.cc1, .service1])
    // Pairs that are not valid.
    #expect(try find([picture([(0xF8, 0x94, 0x2C)])]) == [])
  }

  @Test func brokenPicturesHaveNone() throws {
    let whole = picture([(0xFC, 0x94, 0x2C)])
    for count in whole.indices.dropLast(8) { _ = try find([Array(whole[..<count])]) }
    #expect(try find([[0, 0, 0, 200, 6, 4, 255, 255, 255]]) == [])
    #expect(try find([[]]) == [])
  }

  @Test func channelsHaveTheNamesOfThePlaylist() {
    #expect(ClosedCaptions([.cc1, .cc3, .service1]).instreamIdentifiers == ["CC1", "CC3", "SERVICE1"])
  }
}

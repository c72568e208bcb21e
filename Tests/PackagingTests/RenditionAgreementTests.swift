import Testing

@testable import Packaging

@Suite struct RenditionAgreementTests {
  private static func rendition(
    _ name: String, timescale: UInt32 = 90000, cutsSeconds: [Double] = [0, 4, 8, 10],
    change: (inout Track) -> Void = { _ in }
  ) -> PresentationRendition {
    let ticks = cutsSeconds.map { UInt64(($0 * Double(timescale)).rounded()) }
    var track = WriterFixture.video(timescale: timescale, durationTicks: ticks.last ?? 0)
    change(&track)
    let lengths = zip(ticks, ticks.dropFirst()).map { $1 - $0 }
    return PresentationRendition(name: name, track: track, segments: WriterFixture.segments(lengths))
  }

  private static func codes(_ renditions: PresentationRendition...) -> [String] {
    RenditionAgreement.defects(renditions).map(\.code)
  }

  @Test func renditionsOfOneEncodingAgree() {
    let source = Self.rendition("source")
    #expect(Self.codes(source) == [])
    let smaller = Self.rendition("360p") {
      ($0.widthPixels, $0.heightPixels) = (640, 360)
      ($0.displayWidthPixels, $0.displayHeightPixels) = (640, 360)
    }
    #expect(Self.codes(source, smaller) == [])
    // A clock of 600 ticks rounds what 90 000 say exactly.
    let cuts = [0, 4.004, 8.008, 10.01]
    let coarse = Self.rendition("coarse", timescale: 600, cutsSeconds: cuts)
    #expect(Self.codes(Self.rendition("source", cutsSeconds: cuts), coarse) == [])
  }

  @Test(arguments: [
    ([0, 4.04, 8, 10], 1), ([0, 4, 8.5, 10], 2), ([0, 4, 10], 2), ([0, 4, 6, 8, 10], 2), ([0, 10], 1),
  ])
  func otherCutsAreFoundWithTheirSegment(cuts: [Double], segment: Int) throws {
    let defects = RenditionAgreement.defects([
      Self.rendition("source"), Self.rendition("720p", cutsSeconds: cuts),
    ])
    let defect = try #require(defects.first)
    #expect(defects.count == 1 && defect.code == "misaligned-key-frames")
    #expect(
      defect.message.contains("Renditions source and 720p") && defect.message.contains("segment \(segment):"))
  }

  @Test func oneThatEndsEarlyNeedNotHaveTheLastCuts() {
    let short = Self.rendition("720p", cutsSeconds: [0, 4, 7.9]) { $0.sampleCount = 237 }
    #expect(Self.codes(Self.rendition("source"), short) == [])
    #expect(Self.codes(short, Self.rendition("source")) == [])
  }

  @Test func rangeShapeAndRateAreCompared() {
    let source = Self.rendition("source")
    let bright = Self.rendition("hdr") { $0.transferCharacteristics = 16 }
    let square = Self.rendition("square") { ($0.displayWidthPixels, $0.displayHeightPixels) = (720, 720) }
    let fast = Self.rendition("fast") { $0.sampleCount = 600 }
    #expect(Self.codes(source, bright) == ["hdr-mismatch"])
    #expect(Self.codes(source, square) == ["aspect-ratio-mismatch"])
    #expect(Self.codes(source, fast) == ["frame-rate-mismatch"])
    #expect(Self.codes(source, bright, square).count == 2)
    #expect(RenditionAgreement.codes.isSuperset(of: Self.codes(source, bright, square, fast)))
  }

  @Test func soundIsNotCompared() {
    var sound = Self.rendition("audio", cutsSeconds: [0, 3, 10])
    sound.track.kind = .audio
    #expect(Self.codes(Self.rendition("source"), sound) == [])
    #expect(Self.codes(sound) == [])
  }
}

import Origin
import Packaging
import Testing

@testable import TranscodePlugin

@Suite("Which rungs a source gets")
struct RungChoiceTests {
  static let ladder = Ladder(Ladder.section.defaults)

  struct Case: Sendable, CustomTestStringConvertible {
    var width: Int
    var height: Int
    var rate = 25.0
    /// `name widthxheight` of each rung, with `/n` where of n pictures one is kept.
    var rungs: String
    var testDescription: String { "\(width)×\(height) at \(rate)" }
  }

  @Test(arguments: [
    Case(
      width: 1920, height: 1080,
      rungs: "240p 426x240, 360p 640x360, 480p 854x480, 720p 1280x720, 1080p 1920x1080"),
    Case(
      width: 3840, height: 2160,
      rungs:
        "240p 426x240, 360p 640x360, 480p 854x480, 720p 1280x720, 1080p 1920x1080, 1440p 2560x1440, 2160p 3840x2160"
    ),
    // On its end, as telephones film.
    Case(
      width: 1080, height: 1920,
      rungs: "240p 240x426, 360p 360x640, 480p 480x854, 720p 720x1280, 1080p 1080x1920"),
    // Twice as many pictures as a small screen needs; the rates of television are those of their names.
    Case(
      width: 1280, height: 720, rate: 59.94,
      rungs: "240p 426x240/2, 360p 640x360/2, 480p 854x480/2, 720p 1280x720"),
    Case(width: 640, height: 360, rate: 30.5, rungs: "240p 426x240, 360p 640x360"),
    Case(width: 640, height: 360, rate: 120, rungs: "240p 426x240/4, 360p 640x360/4"),
    // Wide, square, and narrower than any.
    Case(
      width: 1920, height: 800,
      rungs: "240p 576x240, 360p 864x360, 480p 1152x480, 720p 1728x720, 800p 1920x800"),
    Case(width: 720, height: 720, rungs: "240p 240x240, 360p 360x360, 480p 480x480, 720p 720x720"),
    Case(width: 8000, height: 100, rungs: "100p 8000x100"),
    // Between two rungs: worth one of its own from a tenth more.
    Case(width: 960, height: 540, rungs: "240p 426x240, 360p 640x360, 480p 854x480, 540p 960x540"),
    Case(width: 880, height: 496, rungs: "240p 426x240, 360p 638x360, 480p 852x480"),
    // Smaller than any, and of odd numbers.
    Case(width: 320, height: 180, rungs: "180p 320x180"),
    Case(width: 319, height: 181, rungs: "180p 318x180"),
    Case(width: 2, height: 2, rungs: "2p 2x2"),
    Case(width: 1, height: 1, rungs: ""),
    // Larger than any.
    Case(
      width: 7680, height: 4320,
      rungs:
        "240p 426x240, 360p 640x360, 480p 854x480, 720p 1280x720, 1080p 1920x1080, 1440p 2560x1440, 2160p 3840x2160"
    ),
  ])
  func oddSources(source: Case) {
    let rungs = RungChoice.rungs(
      of: Self.ladder,
      for: RungChoice.Source(
        widthPixels: source.width, heightPixels: source.height, framesPerSecond: source.rate))
    let text = rungs.map {
      "\($0.name) \($0.widthPixels)x\($0.heightPixels)\($0.frameStep > 1 ? "/\($0.frameStep)" : "")"
    }
    #expect(text.joined(separator: ", ") == source.rungs)
    for rung in rungs {
      #expect(rung.widthPixels % 2 == 0 && rung.heightPixels % 2 == 0)
      #expect(Int(rung.widthPixels) <= source.width && Int(rung.heightPixels) <= source.height)
      #expect(rung.bufferBits == 2 * rung.maxBitsPerSecond)
    }
    #expect(rungs.map(\.maxBitsPerSecond) == rungs.map(\.maxBitsPerSecond).sorted())
  }

  @Test func aRungOfItsOwnHasARateOfItsOwn() throws {
    let rungs = RungChoice.rungs(
      of: Self.ladder, for: RungChoice.Source(widthPixels: 960, heightPixels: 540, framesPerSecond: 25))
    let own = try #require(rungs.last)
    #expect((1_500_000...3_000_000).contains(own.maxBitsPerSecond))
    #expect(own.maxBitsPerSecond == 1_819_000)
  }

  @Test func highRangeIsKeptByCodingsThatCarryIt() {
    let text = """
      encoder = "libx265"
      rungs = [
        { name = "sdr", height = 240, kbps = 400, encoder = "libx264" },
        { name = "avc", height = 242, kbps = 400, encoder = "libx264", keep_hdr = true },
        { name = "hdr", height = 480, kbps = 900, keep_hdr = true },
      ]
      """
    let decoded = Ladder.section.decode(text: text)
    #expect(decoded.problems.isEmpty)
    var source = RungChoice.Source(widthPixels: 854, heightPixels: 480, framesPerSecond: 25, isHDR: true)
    let ladder = Ladder(decoded.table)
    #expect(RungChoice.rungs(of: ladder, for: source).map(\.keepsHDR) == [false, false, true])
    source.isHDR = false
    #expect(RungChoice.rungs(of: ladder, for: source).map(\.keepsHDR) == [false, false, false])
  }
}

import Glibc
import Origin
import Packaging
import Testing

@testable import TranscodePlugin

@Suite("Rungs by measurement")
struct RungTuningTests {
  private func rung(_ name: String, _ height: Int32, kilobits: Int64, quality: Double = 23)
    -> TranscodeRequest.Rung
  {
    TranscodeRequest.Rung(
      name: name, widthPixels: height * 16 / 9 & ~1, heightPixels: height, encoder: "libx264", preset: "",
      quality: quality, maxBitsPerSecond: kilobits * 1000, bufferBits: kilobits * 2000)
  }

  /// A measure of one second or as many as are said.
  private func measure(
    _ name: String, _ quality: Double, kilobits: Double, seconds: Double = 1, similarity: Double? = nil
  ) -> TranscodeReport.Measure {
    TranscodeReport.Measure(
      name: name, quality: quality, bytes: Int64(kilobits * 125 * seconds), frames: Int64(25 * seconds),
      similarity: similarity)
  }

  // MARK: Two passes

  @Test func theSecondPassHasTheWantedMean() throws {
    // Halved every four steps, easy and hard parts.
    let samples = [
      RungTuning.Sample(
        seconds: 4,
        measures: [
          measure("a", 23, kilobits: 1000, seconds: 4),
          measure("a", 29, kilobits: 1000 / exp2(1.5), seconds: 4),
        ]),
      RungTuning.Sample(seconds: 4, measures: [measure("a", 23, kilobits: 3000, seconds: 4)]),
    ]
    let tuning = RungTuning([rung("a", 360, kilobits: 1000)], samples, .fixed)
    let made = try #require(tuning.rungs.first)
    // 2,000 at 23 on the mean of both: half of it is four steps away.
    #expect(made.quality == 27)
    #expect(made.maxBitsPerSecond == 2_000_000 && made.bufferBits == 4_000_000)
    #expect(tuning.choices.map(\.meanKilobitsPerSecond) == [1000])
  }

  @Test func whatAPeakIsCutByIsGivenToTheRest() throws {
    // One second of ten, at the mean that is wanted: it would be ten times that.
    let samples = (0..<10).map { second in
      RungTuning.Sample(seconds: 1, measures: [measure("a", 23, kilobits: second == 0 ? 10_000 : 400)])
    }
    let made = try #require(RungTuning([rung("a", 360, kilobits: 1000)], samples, .fixed).rungs.first)
    // 1000 = (2000 + 9 x) / 10: the others get 889, and take 400 at 23.
    #expect(abs(made.quality - (23 - 6 * log2(8000.0 / 9 / 400))) < 0.02)
  }

  @Test(arguments: [(250.0, 17.0), (1000, 29), (10, 12), (1e9, 51)])
  func oneMeasureGoesWithTheUsualSlope(kilobits: Double, quality: Double) {
    let samples = [RungTuning.Sample(seconds: 1, measures: [measure("a", 23, kilobits: kilobits)])]
    let tuning = RungTuning([rung("a", 360, kilobits: 500)], samples, .fixed)
    #expect(tuning.rungs.map(\.quality) == [quality])
  }

  @Test func whatWasNotMeasuredStays() {
    let rungs = [rung("a", 360, kilobits: 500), rung("b", 720, kilobits: 1500)]
    #expect(RungTuning(rungs, [], .fixed).rungs == rungs)
    let black = [RungTuning.Sample(seconds: 1, measures: [measure("a", 23, kilobits: 0)])]
    #expect(RungTuning(rungs, black, .perTitle).rungs == rungs)
  }

  // MARK: Per title

  /// Three qualities of a rung in one sample.
  private func three(_ name: String, kilobits: Double, _ similarities: [Double]) -> [TranscodeReport.Measure]
  {
    zip([23.0, 26, 29], similarities).enumerated().map { step, pair in
      measure(name, pair.0, kilobits: kilobits / exp2(Double(step) / 2), similarity: pair.1)
    }
  }

  @Test func anEasyTitleIsMadeCoarserAndCapped() throws {
    let samples = [
      RungTuning.Sample(seconds: 1, measures: three("a", kilobits: 400, [0.99, 0.985, 0.975])),
      RungTuning.Sample(seconds: 1, measures: three("a", kilobits: 800, [0.99, 0.985, 0.975])),
    ]
    let tuning = RungTuning([rung("a", 360, kilobits: 5000)], samples, .perTitle)
    let made = try #require(tuning.rungs.first)
    // Half way from 0.985 to 0.975.
    #expect(made.quality == 27.5)
    // The harder sample at 27.5, and a quarter.
    let peak = 800 / exp2(0.75)
    #expect(made.maxBitsPerSecond == Int64((peak * 1.25 / 10).rounded(.up)) * 10_000)
    #expect(tuning.choices.first?.similarity == 0.98)
  }

  @Test func aHardTitleKeepsTheLadder() {
    let samples = [RungTuning.Sample(seconds: 1, measures: three("a", kilobits: 9000, [0.93, 0.91, 0.88]))]
    let rungs = [rung("a", 360, kilobits: 500)]
    #expect(RungTuning(rungs, samples, .perTitle).rungs == rungs)
  }

  @Test func aRungThatSavesTooLittleIsLeftOut() {
    let similar = [0.97, 0.96, 0.95]
    let samples = [
      RungTuning.Sample(
        seconds: 1,
        measures: three("s", kilobits: 170, similar) + three("a", kilobits: 180, similar)
          + three("b", kilobits: 195, similar) + three("c", kilobits: 400, similar))
    ]
    let rungs = [
      rung("s", 144, kilobits: 5000), rung("a", 360, kilobits: 5000), rung("b", 480, kilobits: 5000),
      rung("c", 720, kilobits: 5000),
    ]
    let tuning = RungTuning(rungs, samples, .perTitle)
    // The smallest stays whatever it costs; what lies between it and the next that is worth its rate does not.
    #expect(tuning.rungs.map(\.name) == ["s", "b", "c"])
    #expect(tuning.choices.map(\.name) == ["s", "a", "b", "c"])
    #expect(tuning.choices.map { $0.quality != nil } == [true, false, true, true])
  }

  // MARK: Which parts are measured

  private func chunks(_ count: Int) -> [ChunkPlan.Chunk] {
    (0..<count).map { number in
      let start = Int64(number) * 12
      return ChunkPlan.Chunk(
        startTicks: start, endTicks: number + 1 < count ? start + 12 : nil,
        keyTicks: stride(from: start, to: start + 12, by: 2).map { $0 })
    }
  }

  private func plan(_ count: Int, _ text: String) -> [ProbePlan.Probe] {
    let (table, problems) = Ladder.section.decode(text: text, file: "ladders/own.toml")
    #expect(problems.isEmpty)
    return ProbePlan(
      chunks(count), endTicks: Int64(count) * 12, timescale: 1, rungs: [rung("a", 360, kilobits: 500)],
      Ladder(table)
    ).probes
  }

  @Test func theFirstPassGoesThroughTheWholeTitle() {
    let probes = plan(40, "passes = 2")
    #expect(probes.map(\.chunk) == chunks(40))
    #expect(probes.allSatisfy { $0.seconds == 12 && !$0.comparesPictures })
    #expect(probes.filter { $0.rungs.map(\.quality) == [23, 29, 35] }.count == ProbePlan.samples)
    #expect(probes.filter { $0.rungs.map(\.quality) == [23] }.count == 40 - ProbePlan.samples)
    #expect(probes.allSatisfy { $0.rungs.allSatisfy { $0.maxBitsPerSecond == 8_000_000 } })
  }

  @Test(arguments: [1, 3, 8, 40]) func aTitleIsSampledEvenly(count: Int) {
    let probes = plan(count, "mode = \"per-title\"")
    #expect(probes.count == min(count, ProbePlan.samples))
    #expect(probes.allSatisfy { $0.comparesPictures && $0.rungs.map(\.quality) == [23, 26, 29] })
    // Two groups, however long the chunk is.
    #expect(
      probes.allSatisfy { $0.chunk.endTicks == $0.chunk.startTicks + 4 && $0.chunk.keyTicks.count == 2 })
    #expect(plan(count, "mode = \"per-title\"") == probes)
  }

  @Test func aLadderAsItStandsNeedsNone() { #expect(plan(40, "").isEmpty) }
}

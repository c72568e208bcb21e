import Testing

@testable import TranscodePlugin

@Suite("Where a source is cut for transcoding")
struct ChunkPlanTests {
  private func plan(
    seconds: Double, start: Double = 0, cuts: [Double] = [], keys: [Double] = [], group: Int = 2000,
    workers: Int = 8
  ) -> ChunkPlan {
    func ticks(_ seconds: Double) -> Int64 { Int64((seconds * 1000).rounded()) }
    return ChunkPlan(
      startTicks: ticks(start), endTicks: ticks(start + seconds), timescale: 1000, groupMilliseconds: group,
      cuts: cuts.map(ticks), sourceKeys: keys.map(ticks), workers: workers)
  }

  /// Chunks touch, the last is open, keys ascend and each chunk begins with one.
  private func expectSound(_ plan: ChunkPlan, start: Int64) {
    #expect(plan.chunks.first?.startTicks == start)
    #expect(plan.chunks.last?.endTicks == nil)
    for (chunk, next) in zip(plan.chunks, plan.chunks.dropFirst()) {
      #expect(chunk.endTicks == next.startTicks)
    }
    for chunk in plan.chunks { #expect(chunk.keyTicks.first == chunk.startTicks) }
    let keys = plan.chunks.flatMap(\.keyTicks)
    #expect(zip(keys, keys.dropFirst()).allSatisfy { $0 < $1 })
  }

  @Test func keyFramesOfTheSourceEndChunks() {
    let keys = (0..<15).map { Double($0) * 2 }
    let plan = plan(seconds: 30, cuts: [6, 12, 18, 24], keys: keys)
    expectSound(plan, start: 0)
    #expect(plan.chunks.map(\.startTicks) == [0, 4000, 8000, 12000, 16000, 20000, 24000, 28000])
    #expect(plan.chunks.flatMap(\.keyTicks) == keys.map { Int64($0 * 1000) })
  }

  @Test func segmentsOfTheSourceBeginWithKeyFrames() {
    let plan = plan(seconds: 20, cuts: [6.2, 11.9, 18.5], keys: [0, 6.2, 11.9, 18.5])
    expectSound(plan, start: 0)
    let keys = plan.chunks.flatMap(\.keyTicks)
    #expect(keys == [0, 2000, 4000, 6200, 8200, 10200, 11900, 13900, 15900, 18500])
    #expect([6200, 11900, 18500].allSatisfy { keys.contains($0) })
    // A key frame right before another would be wasted.
    #expect(zip(keys, keys.dropFirst()).allSatisfy { $1 - $0 >= 1000 })
    #expect(plan.chunks.map(\.startTicks) == [0, 6200, 11900, 18500])
  }

  @Test func aSourceOfOneKeyFrameIsCutAllTheSame() {
    let plan = plan(seconds: 60, keys: [0])
    expectSound(plan, start: 0)
    #expect(plan.chunks.count == 5)
    #expect(plan.chunks.allSatisfy { $0.keyTicks.count == 6 })
  }

  @Test func whatIsNotKnownIsCutByTime() {
    let plan = plan(seconds: 20.9, start: 0.04)
    expectSound(plan, start: 40)
    // Less than a second is not worth a chunk of its own.
    #expect(plan.chunks.map(\.startTicks) == [40, 4040, 8040, 12040, 16040])
  }

  @Test(arguments: [0.001, 0.04, 0.9, 3.9, 4.5])
  func aShortClipIsOneChunk(seconds: Double) {
    let plan = plan(seconds: seconds, keys: [0])
    expectSound(plan, start: 0)
    #expect(plan.chunks.count == 1)
  }

  @Test func chunksGetShorterTowardsTheEnd() {
    let keys = (0..<300).map { Double($0) * 2 }
    func lengths(_ seconds: Double, _ workers: Int) -> [Int64] {
      let plan = plan(seconds: seconds, keys: keys.filter { $0 < seconds }, workers: workers)
      expectSound(plan, start: 0)
      let starts = plan.chunks.map(\.startTicks) + [Int64(seconds * 1000)]
      return zip(starts, starts.dropFirst()).map { ($1 - $0) / 1000 }
    }
    #expect(lengths(60, 2) == [16, 12, 8, 6, 6, 4, 4, 4])
    let film = lengths(600, 2)
    #expect(film.prefix(20).allSatisfy { $0 == 24 } && film.suffix(3).allSatisfy { $0 == 4 })
    #expect(zip(film, film.dropFirst()).allSatisfy { $0 >= $1 } && film.reduce(0, +) == 600)
    // The more workers, the sooner.
    #expect(lengths(600, 16).max() == 20)
    #expect(lengths(600, 64).allSatisfy { $0 <= 6 })
  }

  @Test func aLongFilmHasNoMoreChunksThanAJobCanWaitFor() {
    let keys = stride(from: 0.0, to: 14_400 * 4, by: 1).map { $0 }
    let plan = plan(seconds: 14_400 * 4, cuts: keys, keys: keys)
    #expect(plan.chunks.count <= ChunkPlan.mostChunks)
    expectSound(plan, start: 0)
  }
}

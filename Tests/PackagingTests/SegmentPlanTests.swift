import Packaging
import Testing

@Suite("Where segments are cut")
struct SegmentPlanTests {
  private func track(
    _ kind: TrackKind, timescale: UInt32, durations: [UInt32], offsets: [Int32] = [], sync: [Bool] = [],
    shift: Int64 = 0
  ) -> MovieTrack {
    var columns = SampleColumns()
    columns.offsets = durations.indices.map { UInt64($0) * 100 }
    columns.sizesBytes = durations.indices.map { UInt32($0 % 90 + 1) }
    columns.durationsTicks = durations
    columns.compositionOffsetsTicks = offsets
    columns.syncFlags = sync
    var track = Track(
      id: 1, kind: kind, codec: kind == .video ? .avc : .aac, sampleEntry: [], codecString: "",
      timescale: timescale)
    track.presentationShiftTicks = shift
    var decode: Int64 = 0
    var start = Int64.max
    var end = Int64.min
    for index in durations.indices {
      let composition = decode + Int64(offsets.isEmpty ? 0 : offsets[index])
      start = min(start, composition)
      end = max(end, composition + Int64(durations[index]))
      decode += Int64(durations[index])
    }
    track.presentationStartTicks = start + shift
    track.durationTicks = UInt64(max(0, end + shift - max(0, start + shift)))
    track.sampleCount = UInt32(durations.count)
    return MovieTrack(track: track, columns: columns)
  }

  /// A picture a second, with sync samples at the given seconds.
  private func seconds(_ count: Int, sync: [Int]) -> MovieTrack {
    track(
      .video, timescale: 1, durations: Array(repeating: 1, count: count),
      sync: (0..<count).map { sync.contains($0) })
  }

  @Test(arguments: [
    // Key frames on the target, between targets, sparse, and one only.
    (24, [0, 6, 12, 18], [6, 6, 6, 6]),
    (24, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22], [6, 6, 6, 6]),
    (24, [0, 5, 10, 15, 20], [5, 5, 10, 4]),
    (24, [0, 20], [20, 4]),
    (24, [0], [24]),
    // Equally near: the earlier. Nearest to the start: none.
    (20, [0, 4, 8, 12], [4, 8, 8]),
    (9, [0, 1, 2], [2, 7]),
    (9, [0, 8], [8, 1]),
    // The end itself is no place for a cut.
    (12, [0, 11], [11, 1]),
    (6, [0, 5], [6]),
  ])
  func leader(count: Int, sync: [Int], expected: [UInt64]) {
    let plan = SegmentPlan.make([seconds(count, sync: sync)], targetMilliseconds: 6000)
    #expect(plan[0].map(\.durationTicks) == expected)
  }

  @Test func soundStartsAtOrAfterThePicture() {
    let video = seconds(12, sync: [0, 6])
    let audio = track(.audio, timescale: 48000, durations: Array(repeating: 1024, count: 563))
    let plan = SegmentPlan.make([audio, video], targetMilliseconds: 6000)
    #expect(plan[0].map(\.firstSample) == [0, 282])
    #expect(plan[0][1].startTicks == 282 * 1024)
    #expect(plan[0][1].decodeTicks == 282 * 1024)
  }

  @Test func primingBelongsToTheFirstSegmentButNotToItsLength() {
    let audio = track(.audio, timescale: 48000, durations: Array(repeating: 1024, count: 563), shift: -1024)
    let plan = SegmentPlan.make([audio], targetMilliseconds: 6000)
    #expect(plan[0][0].startTicks == 0)
    #expect(plan[0][0].firstSample == 0)
    #expect(plan[0].reduce(0) { $0 + $1.durationTicks } == 562 * 1024)
    #expect(plan[0][0].durationTicks == 281 * 1024)
  }

  @Test func soundThatEndsEarlyOrLate() {
    let video = seconds(18, sync: [0, 6, 12])
    func audio(_ seconds: Int) -> MovieTrack {
      track(.audio, timescale: 10, durations: Array(repeating: 1, count: seconds * 10))
    }
    #expect(
      SegmentPlan.make([video, audio(8)], targetMilliseconds: 6000)[1].map(\.durationTicks) == [60, 20])
    #expect(SegmentPlan.make([video, audio(3)], targetMilliseconds: 6000)[1].map(\.durationTicks) == [30])
    #expect(
      SegmentPlan.make([video, audio(21)], targetMilliseconds: 6000)[1].map(\.durationTicks) == [60, 60, 90])
    #expect(
      SegmentPlan.make([video, audio(22)], targetMilliseconds: 6000)[1].map(\.durationTicks) == [
        60, 60, 60, 40,
      ])
    #expect(
      SegmentPlan.make([video, audio(35)], targetMilliseconds: 6000)[1].map(\.durationTicks)
        == [60, 60, 60, 60, 60, 50])
  }

  @Test func aLateTrackMovesTheCutsOfAll() {
    let video = seconds(24, sync: [0, 6, 12, 18])
    let late = track(.audio, timescale: 10, durations: Array(repeating: 1, count: 100), shift: 80)
    let plan = SegmentPlan.make([video, late], targetMilliseconds: 6000)
    #expect(plan[0].map(\.durationTicks) == [12, 6, 6])
    #expect(plan[1].map(\.startTicks) == [80, 120])
    // A hole in the sound does the same: nothing starts between 5.9 and 15.9 s.
    var durations = [UInt32](repeating: 1, count: 141)
    durations[59] = 100
    let holed = track(.audio, timescale: 10, durations: durations)
    let segments = SegmentPlan.make([video, holed], targetMilliseconds: 6000)
    #expect(segments[0].map(\.durationTicks) == [6, 12, 6])
    #expect(segments[1].map(\.startTicks) == [0, 159, 180])
  }

  @Test func furtherVideoIsCutAtItsOwnKeyFrames() {
    let first = seconds(24, sync: [0, 6, 12, 18])
    let second = seconds(24, sync: [0, 5, 13, 14, 19])
    #expect(
      SegmentPlan.make([first, second], targetMilliseconds: 6000)[1].map(\.startTicks) == [0, 5, 13, 19])
    let sparse = seconds(24, sync: [0, 17])
    #expect(SegmentPlan.make([first, sparse], targetMilliseconds: 6000)[1].map(\.startTicks) == [0, 17])
  }

  @Test func oddTargetsAreBounded() {
    let video = seconds(24, sync: [0, 6, 12, 18])
    #expect(SegmentPlan.make([video], targetMilliseconds: 0)[0].count == 4)
    #expect(SegmentPlan.make([video], targetMilliseconds: .max)[0].count == 1)
    let long = track(.audio, timescale: 1, durations: Array(repeating: UInt32(Int32.max), count: 3))
    #expect(SegmentPlan.make([long], targetMilliseconds: 1)[0].count == 3)
    #expect(SegmentPlan.make([], targetMilliseconds: 6000).isEmpty)
  }

  @Test(arguments: 0..<200)
  func invariants(seed: UInt64) {
    var random = ReaderRandom(seed: seed)
    var tracks: [MovieTrack] = []
    for number in 0..<Int.random(in: 1...4, using: &random) {
      let isVideo = number == 0 ? seed % 4 != 0 : Int.random(in: 0..<4, using: &random) == 0
      let count = Int.random(in: 1...900, using: &random)
      let timescale = UInt32([1000, 90000, 48000, 44100, 30000].randomElement(using: &random) ?? 1000)
      let frame = timescale / UInt32.random(in: 20...60, using: &random)
      let isEven = Bool.random(using: &random)
      let durations = (0..<count).map { _ in isEven ? frame : UInt32.random(in: 1...frame * 2, using: &random)
      }
      let group = Int.random(in: 1...400, using: &random)
      let sync = isVideo ? (0..<count).map { $0 == 0 || Int.random(in: 0..<group, using: &random) == 0 } : []
      let isReordered = isVideo && Bool.random(using: &random)
      let offsets = isReordered ? (0..<count).map { Int32($0 % 3) * Int32(frame) } : []
      let shift = Int64.random(in: -Int64(timescale)...Int64(timescale) * 3, using: &random)
      let made = track(
        isVideo ? .video : .audio, timescale: timescale, durations: durations, offsets: offsets, sync: sync,
        shift: shift)
      if made.track.durationTicks > 0 { tracks.append(made) }
    }
    let target = UInt32.random(in: 200...8000, using: &random)
    let plan = SegmentPlan.make(tracks, targetMilliseconds: target)
    let leader = tracks.firstIndex { $0.track.kind == .video } ?? 0
    for (number, movieTrack) in tracks.enumerated() {
      let segments = plan[number]
      let samples = movieTrack.columns.samples()
      let shift = movieTrack.track.presentationShiftTicks
      #expect(segments.allSatisfy { $0.sampleCount > 0 && $0.durationTicks > 0 }, "seed \(seed)")
      #expect(segments.first?.firstSample == 0, "seed \(seed)")
      #expect(
        segments.first?.startTicks == UInt64(max(0, movieTrack.track.presentationStartTicks)), "seed \(seed)")
      #expect(segments.reduce(0) { $0 + $1.durationTicks } == movieTrack.track.durationTicks, "seed \(seed)")
      #expect(segments.reduce(0) { $0 + Int($1.sampleCount) } == samples.count, "seed \(seed)")
      for (before, after) in zip(segments, segments.dropFirst()) {
        #expect(before.startTicks + before.durationTicks == after.startTicks, "seed \(seed)")
        #expect(before.firstSample + before.sampleCount == after.firstSample, "seed \(seed)")
        let first = samples[Int(after.firstSample)]
        #expect(first.isSync, "seed \(seed)")
        #expect(first.decodeTicks == after.decodeTicks, "seed \(seed)")
        let shown = Int64(first.decodeTicks) + Int64(first.compositionOffsetTicks) + shift
        #expect(shown == Int64(after.startTicks), "seed \(seed)")
      }
      for segment in segments {
        let range = Int(segment.firstSample)..<Int(segment.firstSample + segment.sampleCount)
        #expect(samples[range].reduce(0) { $0 + UInt64($1.sizeBytes) } == segment.mediaBytes, "seed \(seed)")
      }
      // Sound follows the leader's cuts: never before them, and less than one of its frames after.
      guard number != leader, movieTrack.track.kind == .audio else { continue }
      for (ours, theirs) in zip(segments, plan[leader]).dropFirst() {
        let cut = UInt64(theirs.startTicks) * UInt64(movieTrack.track.timescale)
        let start = UInt64(ours.startTicks) * UInt64(tracks[leader].track.timescale)
        let frame =
          UInt64(samples[Int(ours.firstSample) - 1].durationTicks) * UInt64(tracks[leader].track.timescale)
        #expect(start >= cut && start < cut + frame, "seed \(seed)")
      }
    }
  }
}

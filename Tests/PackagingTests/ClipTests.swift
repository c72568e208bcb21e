import Testing

@testable import Packaging

/// Parts of an asset against the asset itself, sample by sample.
@Suite struct ClipTests {
  struct Asset {
    let sidecar: [UInt8]
    let index: PackagingIndex

    init(targetMilliseconds: UInt32 = 2000) throws {
      let (movie, length) = try PackagingIndexTests.movie()
      let sidecar = PackagingIndex.encode(movie, targetMilliseconds: targetMilliseconds, sourceBytes: length)
      self.sidecar = sidecar
      index = try PackagingIndex(resident: sidecar.span)
    }

    func bytes(_ offset: UInt64, _ count: Int) -> [UInt8]? {
      guard let lower = Int(exactly: offset), lower + count <= sidecar.count else { return nil }
      return Array(sidecar[lower..<lower + count])
    }

    func clip(_ start: UInt32, _ end: UInt32) throws -> PackagingIndex? {
      let range = try #require(ClipRange(startMilliseconds: start, endMilliseconds: end))
      return try index.clipped(range, read: bytes)
    }

    func samples(_ index: PackagingIndex, track: Int) throws -> [(sample: Sample, ticks: Int64)] {
      let shift = index.tracks[track].presentationShiftTicks
      var result: [(Sample, Int64)] = []
      for segment in index.segments[track].indices {
        let range = try #require(index.sampleRange(track: track, segment: segment))
        let bytes = try #require(self.bytes(range.offset, range.count))
        for sample in try index.samples(track: track, segment: segment, in: bytes.span) {
          result.append((sample, Int64(sample.decodeTicks) + Int64(sample.compositionOffsetTicks) + shift))
        }
      }
      return result
    }
  }

  @Test(arguments: [(0, 1), (0, 3000), (1500, 2500), (2000, 4000), (3999, 4001), (100, 1_000_000)])
  func holdsWhatWasAskedFor(start: UInt32, end: UInt32) throws {
    let asset = try Asset()
    let clip = try #require(try asset.clip(start, end))
    for track in clip.tracks.indices {
      let whole = try asset.samples(asset.index, track: track)
      let part = try asset.samples(clip, track: track)
      #expect(!part.isEmpty)
      let timescale = Int64(clip.tracks[track].timescale)
      let first = try #require(whole.firstIndex { $0.sample == part[0].sample })
      // A run of the asset's own samples, moved by one amount.
      let run = whole[first..<first + part.count]
      #expect(run.map(\.sample) == part.map(\.sample))
      let base = whole[first].ticks - part[0].ticks
      #expect(zip(run, part).allSatisfy { $0.ticks - $1.ticks == base })
      // Everything that is shown between the wished instants is in it.
      let (from, to) = (Int64(start) * timescale / 1000, Int64(end) * timescale / 1000)
      let wanted = whole.filter { $0.ticks >= from && $0.ticks < to }
      #expect(wanted.allSatisfy { sample in part.contains { $0.sample == sample.sample } })
      if clip.tracks[track].kind == .video {
        #expect(part[0].sample.isSync && base <= max(from, 0))
      }
    }
    // Picture and sound have moved by the same time, to within half a tick of the coarser clock.
    let moved = clip.tracks.indices.map {
      Double(asset.index.tracks[$0].presentationShiftTicks - clip.tracks[$0].presentationShiftTicks)
        / Double(clip.tracks[$0].timescale)
    }
    #expect(moved.allSatisfy { abs($0 - moved[0]) < 0.0005 })
    for (segments, track) in zip(clip.segments, clip.tracks) {
      #expect(try #require(segments.first).startTicks < UInt64(track.timescale))
    }
  }

  @Test func theWholeIsTheAsset() throws {
    let asset = try Asset()
    let clip = try #require(try asset.clip(0, .max))
    #expect(clip.segments == asset.index.segments)
    #expect(clip.tracks == asset.index.tracks)
  }

  @Test func pastTheEndIsNothing() throws {
    #expect(try Asset().clip(10_000_000, 10_000_001) == nil)
    #expect(ClipRange(startMilliseconds: 5, endMilliseconds: 5) == nil)
  }

  @Test func missingBytesAreAnError() throws {
    let asset = try Asset()
    let range = try #require(ClipRange(startMilliseconds: 0, endMilliseconds: 1000))
    #expect(throws: IndexError.self) { _ = try asset.index.clipped(range) { _, _ in nil } }
    #expect(throws: IndexError.self) {
      _ = try asset.index.clipped(range) { asset.bytes($0, $1)?.dropLast() }
    }
  }
}

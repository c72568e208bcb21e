/// The tables of `stbl` behind the sample description (ISO/IEC 14496-12 §8.6 and §8.7), each in runs where it has runs.
extension BoxWriter {
  /// `stts`, `ctts` where an offset is not 0, `stss` for video, and `stsz`.
  mutating func sampleTables(_ columns: SampleColumns, isVideo: Bool) {
    let stts = begin("stts", version: 0, flags: 0)
    runs(columns.durationsTicks)
    end(stts)
    let offsets = columns.compositionOffsetsTicks
    if offsets.contains(where: { $0 != 0 }) {
      // Version 0 has no negative offsets, and is what old players know.
      let ctts = begin("ctts", version: offsets.contains { $0 < 0 } ? 1 : 0, flags: 0)
      runs(offsets.map { UInt32(bitPattern: $0) })
      end(ctts)
    }
    if isVideo {
      let stss = begin("stss", version: 0, flags: 0)
      list((0..<columns.count).lazy.filter { columns.isSync($0) }.map { UInt32($0) + 1 })
      end(stss)
    }
    let stsz = begin("stsz", version: 0, flags: 0)
    if let first = columns.sizesBytes.first, first > 0, columns.sizesBytes.allSatisfy({ $0 == first }) {
      u32(first)
      u32(UInt32(columns.count))
    } else {
      u32(0)
      list(columns.sizesBytes)
    }
    end(stsz)
  }

  /// `stsc`, and `stco` or `co64`.
  mutating func chunkTables(sampleCounts: [Int], offsets: [UInt64], hasWideOffsets: Bool) {
    let stsc = begin("stsc", version: 0, flags: 0)
    let firsts = sampleCounts.indices.filter { $0 == 0 || sampleCounts[$0] != sampleCounts[$0 - 1] }
    u32(UInt32(firsts.count))
    for chunk in firsts {
      u32(UInt32(chunk) + 1)
      u32(UInt32(sampleCounts[chunk]))
      u32(1)  // sample description
    }
    end(stsc)
    let table = begin(hasWideOffsets ? "co64" : "stco", version: 0, flags: 0)
    u32(UInt32(offsets.count))
    for offset in offsets {
      if hasWideOffsets { u64(offset) } else { u32(UInt32(truncatingIfNeeded: offset)) }
    }
    end(table)
  }

  /// A count, then the values.
  private mutating func list(_ values: some Collection<UInt32>) {
    u32(UInt32(values.count))
    for value in values { u32(value) }
  }

  /// A count, then runs of equal values as length and value.
  private mutating func runs(_ values: [UInt32]) {
    var runs: [(count: UInt32, value: UInt32)] = []
    for value in values {
      if runs.last?.value == value { runs[runs.count - 1].count += 1 } else { runs.append((1, value)) }
    }
    u32(UInt32(runs.count))
    for run in runs {
      u32(run.count)
      u32(run.value)
    }
  }
}

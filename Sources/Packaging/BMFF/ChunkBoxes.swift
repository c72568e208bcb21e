/// `stsc` (ISO/IEC 14496-12 §8.7.4): how many samples each chunk holds, in runs of chunks.
struct SampleToChunkBox: ~Escapable {
  let runs: BoxTable

  @_lifetime(copy box)
  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard let count = reader.u32(), let runs = BoxTable(reader.rest(), count: count, entryBytes: 12) else {
      return nil
    }
    self.runs = runs
  }

  /// Number of the run's first chunk, from 1.
  func firstChunk(_ run: Int) -> UInt32 { runs.u32(run) }
  func samplesPerChunk(_ run: Int) -> UInt32 { runs.u32(run, field: 4) }
  /// Number of the sample entry in `stsd`, from 1.
  func descriptionNumber(_ run: Int) -> UInt32 { runs.u32(run, field: 8) }
}

/// `stco` and `co64` (§8.7.5): where each chunk starts in the file.
struct ChunkOffsetBox: ~Escapable {
  private let table: BoxTable
  private let isWide: Bool

  @_lifetime(copy box)
  init?(_ box: borrowing FullBox, isWide: Bool) {
    var reader = BoxReader(box.body)
    guard let count = reader.u32(),
      let table = BoxTable(reader.rest(), count: count, entryBytes: isWide ? 8 : 4)
    else { return nil }
    self.table = table
    self.isWide = isWide
  }

  var count: Int { table.count }

  /// Offset of chunk `index` (from 0). The chunk must exist.
  @inline(__always)
  func offset(_ index: Int) -> UInt64 { isWide ? table.u64(index) : UInt64(table.u32(index)) }
}

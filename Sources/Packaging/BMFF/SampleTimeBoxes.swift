/// `stts` (ISO/IEC 14496-12 §8.6.1.2): runs of equal sample durations.
struct TimeToSampleBox: ~Escapable {
  let runs: BoxTable

  @_lifetime(copy box)
  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard let count = reader.u32(), let runs = BoxTable(reader.rest(), count: count, entryBytes: 8) else {
      return nil
    }
    self.runs = runs
  }
}

/// `ctts` (§8.6.1.3): runs of equal composition offsets.
///
/// Version 1 offsets are signed. Many writers store negative offsets in version 0 as well, and an unsigned offset of
/// 2³¹ ticks or more means nothing, so both are read as signed.
struct CompositionOffsetBox: ~Escapable {
  let runs: BoxTable

  @_lifetime(copy box)
  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard let count = reader.u32(), let runs = BoxTable(reader.rest(), count: count, entryBytes: 8) else {
      return nil
    }
    self.runs = runs
  }

  func offset(_ run: Int) -> Int32 { Int32(bitPattern: runs.u32(run, field: 4)) }
}

/// `stss` (§8.6.2): numbers of the sync samples, from 1. A track without it has sync samples only.
struct SyncSampleBox: ~Escapable {
  let numbers: BoxTable

  @_lifetime(copy box)
  init?(_ box: borrowing FullBox) {
    var reader = BoxReader(box.body)
    guard let count = reader.u32(), let numbers = BoxTable(reader.rest(), count: count, entryBytes: 4) else {
      return nil
    }
    self.numbers = numbers
  }
}

/// `elst` (ISO/IEC 14496-12 §8.6.6): which parts of the media are shown, and when.
struct EditListBox {
  struct Entry: Equatable {
    /// Length on the movie's timeline, in ticks of the movie header.
    var durationTicks: UInt64
    /// Where the edit starts in the media, in ticks of the track; -1 makes it an empty edit.
    var mediaTicks: Int64
  }

  var entries: [Entry]

  /// At most `limit` entries are read: what an edit list needs here is decided by its first few.
  init?(_ box: borrowing FullBox, limit: Int = 4096) {
    var reader = BoxReader(box.body)
    guard let count = reader.u32() else { return nil }
    entries = []
    for _ in 0..<min(Int(count), limit) {
      let entry: Entry
      if box.version == 1 {
        guard let duration = reader.u64(), let media = reader.u64() else { return nil }
        entry = Entry(durationTicks: duration, mediaTicks: Int64(bitPattern: media))
      } else {
        guard let duration = reader.u32(), let media = reader.u32() else { return nil }
        entry = Entry(durationTicks: UInt64(duration), mediaTicks: Int64(Int32(bitPattern: media)))
      }
      guard reader.skip(4) != nil else { return nil }
      entries.append(entry)
    }
  }
}

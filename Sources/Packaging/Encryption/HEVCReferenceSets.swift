// Short-term reference picture sets of HEVC (ISO/IEC 23008-2 §7.3.7 and §7.4.8).
//
// A set is either written out or derived from an earlier one. Which flags a derived set has depends on how many pictures
// the earlier one has and in which order, so the sets have to be derived in full to know where the next field is.

/// One set: pictures before the current one and after it, nearest first.
struct HEVCReferenceSet {
  struct Entry {
    /// Distance in picture order count.
    var delta: Int32
    var isUsed: Bool
  }

  var before: [Entry] = []
  var after: [Entry] = []

  var usedCount: UInt32 { UInt32(before.count { $0.isUsed } + after.count { $0.isUsed }) }

  /// `st_ref_pic_set( index )`, where `known` are those of the sequence parameter set so far: the first `index` of them
  /// in the sequence parameter set itself, all of them in a slice header.
  ///
  /// `nil` where a number is out of range.
  init?(_ reader: inout BitReader, known: [HEVCReferenceSet], isInSliceHeader: Bool) {
    guard !known.isEmpty, reader.flag() else {
      self.init(explicit: &reader)
      return
    }
    let back = isInSliceHeader ? reader.ue() &+ 1 : 1
    let isNegative = reader.flag()
    let distance = reader.ue()
    guard back >= 1, back <= known.count, distance < 0x8000 else { return nil }
    let source = known[known.count - Int(back)]
    self.init(derivedFrom: source, deltaSet: (isNegative ? -1 : 1) * (Int32(distance) + 1), &reader)
  }

  private init?(explicit reader: inout BitReader) {
    let beforeCount = reader.ue()
    let afterCount = reader.ue()
    guard beforeCount <= 16, afterCount <= 16 else { return nil }
    func entries(_ count: UInt32, sign: Int32, _ reader: inout BitReader) -> [Entry]? {
      var entries: [Entry] = []
      var delta: Int32 = 0
      for _ in 0..<count {
        let step = reader.ue()
        guard step < 0x8000 else { return nil }
        delta += sign * (Int32(step) + 1)
        entries.append(Entry(delta: delta, isUsed: reader.flag()))
      }
      return entries
    }
    guard let before = entries(beforeCount, sign: -1, &reader),
      let after = entries(afterCount, sign: 1, &reader)
    else { return nil }
    self.before = before
    self.after = after
  }

  /// Formulas (7-61) and (7-62): the source's pictures moved by `deltaSet`, the source's own picture among them, and
  /// of these what is kept.
  private init?(derivedFrom source: HEVCReferenceSet, deltaSet: Int32, _ reader: inout BitReader) {
    let sourceCount = source.before.count + source.after.count
    var kept: [(isUsed: Bool, isKept: Bool)] = []
    for _ in 0...sourceCount {
      let isUsed = reader.flag()
      kept.append((isUsed, isUsed || reader.flag()))
    }
    func moved(_ entry: Int32, _ flag: Int) -> Entry? {
      kept[flag].isKept ? Entry(delta: entry &+ deltaSet, isUsed: kept[flag].isUsed) : nil
    }
    let beforeMoved = source.before.indices.map { moved(source.before[$0].delta, $0) }
    let afterMoved = source.after.indices.map { moved(source.after[$0].delta, source.before.count + $0) }
    let own = [moved(0, sourceCount)]
    before = (afterMoved.reversed() + own + beforeMoved).compactMap { $0 }.filter { $0.delta < 0 }
    after = (beforeMoved.reversed() + own + afterMoved).compactMap { $0 }.filter { $0.delta > 0 }
    guard before.count <= 16, after.count <= 16 else { return nil }
  }
}

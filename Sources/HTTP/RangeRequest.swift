// What `Range` means here, where RFC 9110 §14.2 leaves a choice:
//
//     unit other than bytes, no range, malformed range   ignored: whole
//     empty representation                               whole, there is nothing to select
//     last before first, or first beyond the end         cannot be satisfied; 416 if all are
//     last beyond the end, suffix longer than all        cut to the end, to the whole
//     more ranges than the limit                         ignored
//     together longer than the representation            ignored, before any merging: no amplification
//     overlapping or touching                            merged into the earlier one
//     more than two overlaps                             ignored
//     more than four parts, not ascending                ignored
//
// Numbers saturate instead of overflowing: a position of 2^64 or more is just beyond the end.

/// Decides what a `Range` field selects.
public enum RangeRequest {
  /// - Parameters:
  ///   - fieldValue: the value of the only `Range` field of a `GET`.
  ///   - length: bytes of the whole representation.
  ///   - limits: `rangeCount` counts.
  /// - Returns: whole, one range, several, or that none can be satisfied. Only several ranges allocate.
  ///   O(bytes of the value + ranges²), the latter bounded by the limit.
  public static func decide(fieldValue: Span<UInt8>, length: UInt64, limits: HTTPLimits) -> RangeDecision {
    guard length > 0, fieldValue.count > 6, fieldValue.extracting(first: 6).equalsIgnoringCase("bytes=")
    else { return .whole }
    let list = fieldValue.extracting(6..<fieldValue.count)
    var position = 0
    var asked = 0
    var total: UInt64 = 0
    var first: ByteRange?
    var set = RangeSet()
    while let text = list.nextListElement(&position) {
      // Holes in a list are legal (RFC 9110 §5.6.1.2).
      if text.count == 0 { continue }
      guard let spec = RangeSpec(text) else { return .whole }
      asked += 1
      guard asked <= limits.rangeCount else { return .whole }
      guard let range = spec.resolved(length: length) else { continue }
      let (sum, overflow) = total.addingReportingOverflow(range.count)
      guard !overflow, sum <= length else { return .whole }
      total = sum
      if let earlier = first {
        if set.ranges.isEmpty { set.insert(earlier) }
        set.insert(range)
      } else {
        first = range
      }
    }
    guard let first else { return asked == 0 ? .whole : .unsatisfiable }
    guard !set.ranges.isEmpty else { return .single(first) }
    if set.overlaps > 2 || (set.ranges.count > 4 && !set.isAscending) { return .whole }
    return set.ranges.count == 1 ? .single(set.ranges[0]) : .multiple(set.ranges)
  }
}

/// One `range-spec`: `first-`, `first-last` or `-suffix`.
private struct RangeSpec {
  var first: UInt64?
  var last: UInt64?

  /// `nil` if the text is malformed.
  init?(_ text: Span<UInt8>) {
    let hyphen = text.index(of: ASCII.hyphen, in: 0..<text.count)
    guard hyphen < text.count, text.count > 1 else { return nil }
    if hyphen > 0 {
      guard let value = Self.number(text.extracting(0..<hyphen)) else { return nil }
      first = value
    }
    if hyphen + 1 < text.count {
      guard let value = Self.number(text.extracting(hyphen + 1..<text.count)) else { return nil }
      last = value
    }
  }

  private static func number(_ digits: Span<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for index in 0..<digits.count {
      guard ASCII.isDigit(digits[index]) else { return nil }
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(digits[index] - ASCII.zero))
      value = overflow || carry ? .max : sum
    }
    return value
  }

  /// The bytes meant, or `nil` if there are none.
  func resolved(length: UInt64) -> ByteRange? {
    guard let first else {
      guard let suffix = last, suffix > 0 else { return nil }
      return ByteRange(lower: length - min(suffix, length), upper: length)
    }
    guard first < length else { return nil }
    let last = min(self.last ?? .max, length - 1)
    return first <= last ? ByteRange(lower: first, upper: last + 1) : nil
  }
}

/// Ranges in the order asked; those that touch are one, in the place of the earliest.
private struct RangeSet {
  var ranges: [ByteRange] = []
  /// Ranges that shared bytes with one before them.
  var overlaps = 0

  mutating func insert(_ range: ByteRange) {
    if ranges.contains(where: { $0.lower < range.upper && range.lower < $0.upper }) { overlaps += 1 }
    var merged = range
    var place = ranges.count
    // Backwards, so that removal leaves the indices ahead valid. Ranges in the set never touch each other, so
    // one pass finds all that touch the new one, and what it grows by touches nothing else.
    for index in ranges.indices.reversed()
    where ranges[index].lower <= range.upper && range.lower <= ranges[index].upper {
      merged.lower = min(merged.lower, ranges[index].lower)
      merged.upper = max(merged.upper, ranges[index].upper)
      ranges.remove(at: index)
      place = index
    }
    ranges.insert(merged, at: min(place, ranges.count))
  }

  var isAscending: Bool {
    for index in ranges.indices.dropFirst() where ranges[index].lower < ranges[index - 1].lower {
      return false
    }
    return true
  }
}

/// Finds the name that a mistyped one was probably meant to be.
enum NearestName {
  /// The candidate with the fewest edits away from `name`, if it is near enough to be meant.
  ///
  /// Near means at most two edits, or a third of the longer name. Letter case and `-` for `_` cost nothing.
  /// Where none is, the first candidate that begins with `name`: `warn` means `warning`.
  /// Complexity: the product of the lengths, per candidate; names over 64 bytes are not compared.
  static func of(_ name: String, in candidates: [String]) -> String? {
    let wanted = folded(name)
    guard wanted.count <= 64 else { return nil }
    let begun = wanted.count >= 3 ? candidates.first { folded($0).starts(with: wanted) } : nil
    var best: (name: String, distance: Int)?
    for candidate in candidates {
      let other = folded(candidate)
      let distance = edits(from: wanted, to: other)
      let limit = max(2, max(wanted.count, other.count) / 3)
      // Two edits turn any two-letter word into any other: something must remain.
      guard distance <= limit, distance < max(wanted.count, other.count) else { continue }
      if best.map({ distance < $0.distance }) ?? true { best = (candidate, distance) }
    }
    return best?.name ?? begun
  }

  private static func folded(_ name: String) -> [UInt8] {
    name.lowercased().utf8.map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "_") : $0 }
  }

  /// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
  static func edits(from first: [UInt8], to second: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...second.count)
    for i in first.indices {
      var row = [i + 1]
      row.reserveCapacity(second.count + 1)
      for j in second.indices {
        let isSame = first[i] == second[j]
        var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (isSame ? 0 : 1))
        if i > 0, j > 0, first[i] == second[j - 1], first[i - 1] == second[j] {
          cost = min(cost, beforeLast[j - 1] + 1)
        }
        row.append(cost)
      }
      beforeLast = last
      last = row
    }
    return last[second.count]
  }
}

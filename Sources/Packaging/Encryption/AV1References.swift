// Order hints of AV1: numbers of a few bits that wrap, by which pictures are told to come before or after another.

enum AV1References {
  /// `get_relative_dist`: negative where `first` is shown before `second`.
  static func distance(_ first: UInt32, _ second: UInt32, bits: Int) -> Int {
    let difference = Int(first) - Int(second)
    let half = 1 << (bits - 1)
    return (difference & (half - 1)) - (difference & half)
  }

  /// Whether a picture may say that it uses skip mode (`skip_mode_params`): it has references on both sides, or two before it.
  /// Nil where one of them is not known.
  ///
  /// - Parameter hints: of the seven references.
  static func allowSkipMode(_ hints: [UInt32?], orderHint: UInt32, orderHintBits: Int) -> Bool? {
    var distances: [Int] = []
    for hint in hints {
      guard let hint else { return nil }
      distances.append(distance(hint, orderHint, bits: orderHintBits))
    }
    guard let nearest = distances.filter({ $0 < 0 }).max() else { return false }
    if distances.contains(where: { $0 > 0 }) { return true }
    let forward = hints[distances.firstIndex(of: nearest) ?? 0] ?? 0
    return hints.contains { distance($0 ?? 0, forward, bits: orderHintBits) < 0 }
  }

  /// The seven references of a picture that states two of them (§7.8, `set_frame_refs`); nil where a place is not known.
  ///
  /// - Parameter orderHints: of the eight places.
  static func choose(
    last: Int, golden: Int, orderHint: UInt32, orderHints: [UInt32?], orderHintBits: Int
  ) -> [Int]? {
    var distances: [Int] = []
    for hint in orderHints {
      guard let hint else { return nil }
      distances.append(distance(hint, orderHint, bits: orderHintBits))
    }
    // LAST, LAST2, LAST3, GOLDEN, BWDREF, ALTREF2, ALTREF.
    var found: [Int?] = [last, nil, nil, golden, nil, nil, nil]
    var used: Set<Int> = [last, golden]
    func take(_ reference: Int, _ place: Int?) {
      guard let place else { return }
      found[reference] = place
      used.insert(place)
    }
    func unused(_ isWanted: (Int) -> Bool) -> [Int] {
      distances.indices.filter { !used.contains($0) && isWanted(distances[$0]) }
    }
    // Of equal ones the last where the latest is wanted, and the first where the earliest is.
    func latest(_ places: [Int]) -> Int? { places.max { (distances[$0], $0) < (distances[$1], $1) } }
    func earliest(_ places: [Int]) -> Int? { places.min { distances[$0] < distances[$1] } }
    take(6, latest(unused { $0 >= 0 }))
    take(4, earliest(unused { $0 >= 0 }))
    take(5, earliest(unused { $0 >= 0 }))
    for reference in [1, 2, 4, 5, 6] where found[reference] == nil {
      take(reference, latest(unused { $0 < 0 }))
    }
    let rest = earliest(Array(distances.indices)) ?? 0
    return found.map { $0 ?? rest }
  }
}

// What addresses have used of a limit, as far as this process knows
//
// A table of fixed size, in sets of eight by a keyed hash: an attacker with very many addresses makes the process forget those
// that hardly send, and takes no memory. Each entry is one number: the time at which an address's bucket is empty again (cell
// rate), or the requests of a window.
//
// Nobody is waited for: a request is decided by what is here. Where a store is shared, a step beside requests (`drain`, `absorb`)
// tells it what was used here and learns what all have used together; the table then goes on from that. Between two such steps
// other nodes' requests are not seen, so all together may let through what comes in a second beyond the limit.

import HTTP

/// A process's view of one limit. Not for use from two threads at a time.
struct RateLedger: ~Copyable {
  private struct Entry {
    var address = NetworkAddress(bits: 0, isIPv6: false)
    /// Microseconds of the monotonic clock at which the bucket is empty, or requests of the window; 0 where nobody has the entry.
    var used: UInt64 = 0
    var window: UInt64 = 0
    /// Used here, and not told yet.
    var untold: UInt32 = 0
  }

  static let ways = 8
  static let mostUntold = 512

  let rule: RateRule
  private let setCount: Int
  /// Made at the first request.
  private var entries: [Entry] = []
  private var untold: [Int] = []
  private let seed: UInt64

  init(_ rule: RateRule, setCount: Int = 8192, seed: UInt64 = .random(in: .min ... .max)) {
    self.rule = rule
    self.setCount = setCount
    self.seed = seed
  }

  /// Takes note of a request. Returns nil where it may pass, else the seconds after which one may again, at least 1.
  ///
  /// - Parameter now: microseconds; for windows since 1970.
  mutating func take(_ address: NetworkAddress, at now: UInt64) -> UInt64? {
    guard !rule.isOff else { return nil }
    if entries.isEmpty { entries = Array(repeating: Entry(), count: setCount * Self.ways) }
    let place = place(of: address, at: now)
    let window = window(at: now)
    if entries[place].used == 0 || entries[place].address != address || entries[place].window != window {
      // An entry of before keeps what it has not told: it is told for the window that is now, at most a second late.
      let isSame = entries[place].used > 0 && entries[place].address == address
      let untold = isSame ? entries[place].untold : 0
      entries[place] = Entry(address: address, used: 0, window: window, untold: untold)
    }
    switch rule.algorithm {
    case .cellRate:
      let emptyAt = max(entries[place].used, now)
      let ahead = emptyAt - now
      guard ahead <= rule.toleranceMicroseconds else {
        return Self.seconds(ahead - rule.toleranceMicroseconds)
      }
      entries[place].used = emptyAt + rule.intervalMicroseconds
    case .fixedWindow:
      guard entries[place].used < rule.requests else {
        return Self.seconds((window + 1) * rule.perMicroseconds - now)
      }
      entries[place].used += 1
    }
    // Beyond that many addresses a step, the rest is this process's own knowledge.
    if entries[place].untold > 0 {
      entries[place].untold &+= 1
    } else if untold.count < Self.mostUntold {
      untold.append(place)
      entries[place].untold = 1
    }
    return nil
  }

  /// What was used here since the last time.
  mutating func drain() -> [(address: NetworkAddress, window: UInt64, amount: UInt32)] {
    defer { untold.removeAll(keepingCapacity: true) }
    var found: [(address: NetworkAddress, window: UInt64, amount: UInt32)] = []
    for place in untold where entries[place].untold > 0 {
      found.append((entries[place].address, entries[place].window, entries[place].untold))
      entries[place].untold = 0
    }
    return found
  }

  /// What all have used together.
  ///
  /// - Parameter used: microseconds ahead of now, or requests of the window.
  mutating func absorb(_ address: NetworkAddress, window: UInt64, used: UInt64, at now: UInt64) {
    guard !entries.isEmpty else { return }
    let place = place(of: address, at: now)
    guard entries[place].used > 0, entries[place].address == address, entries[place].window == window else {
      return
    }
    // What came here meanwhile is not in it.
    let meanwhile = UInt64(entries[place].untold)
    switch rule.algorithm {
    case .cellRate:
      let emptyAt = now &+ used &+ meanwhile * rule.intervalMicroseconds
      entries[place].used = max(entries[place].used, emptyAt)
    case .fixedWindow: entries[place].used = max(entries[place].used, used &+ meanwhile)
    }
  }

  /// 0 for the cell rate algorithm.
  func window(at now: UInt64) -> UInt64 {
    rule.algorithm == .fixedWindow ? now / max(1, rule.perMicroseconds) : 0
  }

  /// Where an address stands, or else the place of the one in its set that has used least.
  private func place(of address: NetworkAddress, at now: UInt64) -> Int {
    let first = Int(address.hash(seed: seed) % UInt64(setCount)) * Self.ways
    var least = first
    for index in first..<first + Self.ways {
      if entries[index].used > 0, entries[index].address == address { return index }
      if (entries[index].window, entries[index].used) < (entries[least].window, entries[least].used) {
        least = index
      }
    }
    return least
  }

  private static func seconds(_ microseconds: UInt64) -> UInt64 {
    max(1, (microseconds + 999_999) / 1_000_000)
  }
}

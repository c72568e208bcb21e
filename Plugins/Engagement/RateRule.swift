/// How many requests may come in which time, and how they are counted.
struct RateRule: Sendable, Equatable {
  enum Algorithm: Sendable {
    /// The generic cell rate algorithm (ITU-T I.371): an even rate, and a burst ahead of it.
    case cellRate
    /// Anew for each window of the clock: simple, and up to twice as many around its ends.
    case fixedWindow
  }

  static let off = RateRule(.cellRate, requests: 0, perMilliseconds: 1000, burst: 1)

  var algorithm: Algorithm
  /// 0: any number.
  var requests: UInt64
  var perMicroseconds: UInt64
  /// At once, of the cell rate algorithm; at least 1.
  var burst: UInt64

  init(_ algorithm: Algorithm, requests: Int, perMilliseconds: Int, burst: Int) {
    self.algorithm = algorithm
    self.requests = UInt64(clamping: requests)
    perMicroseconds = UInt64(clamping: perMilliseconds) * 1000
    self.burst = UInt64(clamping: max(1, burst))
  }

  var isOff: Bool { requests == 0 }
  /// From one request to the next at an even rate.
  var intervalMicroseconds: UInt64 { max(1, perMicroseconds / max(1, requests)) }
  /// How far ahead of its time a request may come.
  var toleranceMicroseconds: UInt64 { intervalMicroseconds * (burst - 1) }
}

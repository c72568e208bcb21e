// What an edge has delivered: bytes, requests, and how many of them it had by itself
//
// A vendor is asked for a window of time that ends where its figures are whole, in steps that it counts in; so two figures of one
// edge may be compared. An answer is taken as it is documented, or not at all: what has no such form is a failure with
// its reason, never a zero. Asking again, and what fails, is `AnalyticsPull`'s.
//
//     a report    "1" fetched from until requests bytes ratio, with tabs between, as the store keeps it; "-" for no ratio

import Net
import Origin

/// How a vendor is asked what it has delivered.
protocol AnalyticsVendor: Sendable {
  /// The last window of a length that the vendor has whole figures of.
  func window(ofSeconds period: Int64, before now: Int64) -> TrafficWindow

  func request(_ window: TrafficWindow, at moment: CallMoment) -> HTTPRequest

  /// Reads the JSON of an answer with status 200.
  func figures(in answer: JSONValue) throws(AnalyticsError) -> TrafficFigures
}

/// From one instant to another, seconds since 1970.
struct TrafficWindow: Equatable, Sendable {
  var fromSeconds: Int64
  var untilSeconds: Int64

  var seconds: Int64 { untilSeconds - fromSeconds }

  /// A window that ends `lag` ago, on a multiple of `step`, and is at least a step long.
  init(ofSeconds period: Int64, before now: Int64, lagSeconds lag: Int64, stepSeconds step: Int64) {
    untilSeconds = max(step, (now - lag) / step * step)
    fromSeconds = max(0, untilSeconds - max(step, (period + step - 1) / step * step))
  }
}

/// What a vendor says of a window.
struct TrafficFigures: Equatable, Sendable {
  /// Of viewers.
  var requests: UInt64
  /// Sent to them.
  var bytes: UInt64
  /// Requests that were answered from the cache, and those for which that is said at all; nil where the vendor does not tell.
  var hits: UInt64?
  var lookups: UInt64?
}

/// Why there are no figures. Holds no secret.
struct AnalyticsError: Error, Equatable, CustomStringConvertible {
  var description: String
  /// What the vendor asks for before the next try.
  var retryAfterMilliseconds: UInt64 = 0
}

/// What is known of the traffic of an edge.
public struct TrafficReport: Sendable, Equatable {
  /// When it was fetched, milliseconds since 1970.
  public var fetchedMilliseconds: Int64
  /// What it is about, seconds since 1970.
  public var fromSeconds: Int64
  public var untilSeconds: Int64
  public var requests: UInt64
  public var bytes: UInt64
  /// 0 to 1; nil where the vendor does not tell, or nothing was asked for.
  public var hitRatio: Double?

  init(_ figures: TrafficFigures, _ window: TrafficWindow, fetchedMilliseconds: Int64) {
    self.fetchedMilliseconds = fetchedMilliseconds
    fromSeconds = window.fromSeconds
    untilSeconds = window.untilSeconds
    requests = figures.requests
    bytes = figures.bytes
    if let hits = figures.hits, let lookups = figures.lookups, lookups > 0 {
      hitRatio = min(1, Double(hits) / Double(lookups))
    }
  }

  /// On average over the window.
  public var bitsPerSecond: UInt64 {
    let (bits, overflow) = bytes.multipliedReportingOverflow(by: 8)
    return overflow ? .max : bits / UInt64(max(1, untilSeconds - fromSeconds))
  }

  /// Since the end of what it is about.
  public func ageSeconds(_ nowMilliseconds: Int64) -> Int64 { max(0, nowMilliseconds / 1000 - untilSeconds) }

  // MARK: As it is kept

  var text: String {
    let ratio = hitRatio.map { "\($0)" } ?? "-"
    return "1\t\(fetchedMilliseconds)\t\(fromSeconds)\t\(untilSeconds)\t\(requests)\t\(bytes)\t\(ratio)"
  }

  /// nil for what nobody here has written.
  init?(text: String) {
    let parts = text.split(separator: "\t", omittingEmptySubsequences: false)
    guard parts.count == 7, parts[0] == "1", let fetched = Int64(parts[1]), let from = Int64(parts[2]),
      let until = Int64(parts[3]), let requests = UInt64(parts[4]), let bytes = UInt64(parts[5])
    else { return nil }
    fetchedMilliseconds = fetched
    fromSeconds = from
    untilSeconds = until
    self.requests = requests
    self.bytes = bytes
    hitRatio = Double(parts[6])
  }
}

// MARK: - Reading answers

extension JSONValue {
  /// The member of an object; nil for everything else.
  subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  /// The elements of an array; nil for everything else.
  var elements: [JSONValue]? {
    if case .array(let values) = self { values } else { nil }
  }

  /// A count that may be written with a fraction, or in quotes; nil for what is no number, or less than 0.
  var count: UInt64? { number.flatMap { $0 >= 0 && $0 < 1.8e19 ? UInt64($0) : nil } }

  var number: Double? {
    switch self {
    case .number(let text), .string(let text): Double(text).flatMap { $0.isFinite ? $0 : nil }
    default: nil
    }
  }
}

extension AnalyticsError {
  static func missing(_ what: String) -> AnalyticsError {
    AnalyticsError(description: "its answer has no \(what)")
  }
}

/// Adds up, and stays at the largest number there is.
func saturatingSum(_ numbers: some Sequence<UInt64>) -> UInt64 {
  numbers.reduce(0) { sum, number in
    let (result, overflow) = sum.addingReportingOverflow(number)
    return overflow ? .max : result
  }
}

extension UTCTime {
  /// `2026-01-01T00:00:00Z`, with colons as a query wants them where that is asked for.
  static func timestamp(_ seconds: Int64, colon: String = ":") -> String {
    let time = UTCTime(seconds)
    let (year, month, day) = (time.date.prefix(4), time.date.dropFirst(4).prefix(2), time.date.suffix(2))
    return "\(year)-\(month)-\(day)T\(time.hour)\(colon)\(time.minute)\(colon)\(time.second)Z"
  }
}

internal import Foundation

/// How long and with which seed the tests of faults run: short in every run, long for `make torture`.
public enum Torture {
  /// `HEADWATER_TORTURE=1`.
  public static let isLong = ProcessInfo.processInfo.environment["HEADWATER_TORTURE"] == "1"

  public static func rounds(_ short: Int, long: Int) -> Int { isLong ? long : short }

  /// `HEADWATER_SEED`, else another each time. Print it with whatever fails.
  public static let seed: UInt64 =
    ProcessInfo.processInfo.environment["HEADWATER_SEED"].flatMap { UInt64($0) }
    ?? UInt64.random(in: 0..<1_000_000)

  /// A few of `1...count`, spread evenly and always with both ends; all of them when long.
  public static func spread(_ count: Int, over most: Int) -> [Int] {
    guard count > most, !isLong, most > 1 else { return Array(1...max(1, count)) }
    return (0..<most).map { 1 + $0 * (count - 1) / (most - 1) }
  }
}

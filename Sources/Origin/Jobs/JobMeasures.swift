import Synchronization

/// What the workers of this process have done, for the metrics.
public final class JobMeasures: Sendable {
  public enum Result: String, Sendable, CaseIterable {
    case completed
    case failed
    /// An attempt that is followed by another.
    case retried
    case cancelled
    case lost
    case released
  }

  public struct Key: Sendable, Hashable {
    public var kind: String
    public var result: Result
  }

  public struct Sum: Sendable, Equatable {
    public var attempts: UInt64 = 0
    public var seconds: Double = 0
  }

  private let sums = Mutex<[Key: Sum]>([:])

  func add(kind: String, result: Result, seconds: Double) {
    sums.withLock {
      $0[Key(kind: kind, result: result), default: Sum()].attempts += 1
      $0[Key(kind: kind, result: result), default: Sum()].seconds += seconds
    }
  }

  public var all: [Key: Sum] { sums.withLock { $0 } }
}

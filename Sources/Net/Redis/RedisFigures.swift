public import Synchronization

/// What a client has done so far and how it is, for metrics. Written by the client's loop, read by anybody.
public final class RedisFigures: Sendable {
  /// Commands that came, whatever became of them.
  public let commands = Atomic<UInt64>(0)
  /// Those that ended with an error of any kind.
  public let failures = Atomic<UInt64>(0)
  /// Those among them whose time was over.
  public let timeouts = Atomic<UInt64>(0)
  /// Those among them that were not sent, because the breaker was open.
  public let notAsked = Atomic<UInt64>(0)
  /// Those among them that the client had no room for.
  public let refused = Atomic<UInt64>(0)
  /// Connections that came about.
  public let connections = Atomic<UInt64>(0)
  /// Tries to connect that failed.
  public let failedConnections = Atomic<UInt64>(0)
  /// How often a breaker opened.
  public let breakerOpenings = Atomic<UInt64>(0)
  /// Breakers that are open now: 0 when all is well; of a cluster, one for each node that fails.
  public let openBreakers = Atomic<Int>(0)
  /// Commands that were taken and have not been answered, and their bytes.
  public let heldCommands = Atomic<Int>(0)
  public let heldBytes = Atomic<Int>(0)

  init() {}
}

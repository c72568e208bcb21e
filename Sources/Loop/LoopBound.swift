/// A value that belongs to a loop, in a wrapper that may travel: into `execute`, into a task that prefers the loop.
///
/// Reading it elsewhere stops the process. The last copy should be let go on the loop, since that may destroy the value.
// @unchecked: the value is reached only through `value`, which holds the caller to the loop's thread.
public struct LoopBound<Value>: @unchecked Sendable {
  private let stored: Value
  public let loop: EventLoop

  /// Wraps a value. Call on the loop.
  public init(_ value: Value, loop: EventLoop) {
    loop.preconditionOnLoop()
    stored = value
    self.loop = loop
  }

  /// The value. Call on the loop.
  public var value: Value {
    loop.preconditionOnLoop()
    return stored
  }
}

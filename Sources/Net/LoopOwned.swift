import Loop

/// What a client has on its loop.
protocol LoopPart: AnyObject {
  /// Ends what is under way. Called on the loop, once.
  func close()
}

/// The part of a client that lives on the loop: made there at the first use, and ended by the client or with the loop.
///
/// The client may be used from any thread, and hands this over to `EventLoop.execute`.
// @unchecked: `part` and `isClosed` are touched on the loop alone.
final class LoopOwned<Part: LoopPart>: @unchecked Sendable {
  private let loop: EventLoop
  private let make: @Sendable () -> Part
  private var part: Part?
  private var isClosed = false

  /// - Parameter make: called on the loop.
  init(loop: EventLoop, _ make: @escaping @Sendable () -> Part) {
    self.loop = loop
    self.make = make
  }

  /// Nil before the first use, and once closed.
  var opened: Part? {
    loop.preconditionOnLoop()
    return part
  }

  /// Nil once closed.
  func open() -> Part? {
    loop.preconditionOnLoop()
    guard !isClosed, !loop.isShuttingDown else { return nil }
    if let part { return part }
    let made = make()
    part = made
    loop.onStop { [weak self] in self?.close() }
    return made
  }

  func close() {
    loop.preconditionOnLoop()
    isClosed = true
    part.take()?.close()
  }
}

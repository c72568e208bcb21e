/// Coarse timeouts for the connections of one loop: inserting, touching and removing are a few pointer writes.
///
/// ```swift
/// let deadlines = DeadlineQueue(loop: loop, durationsMilliseconds: [10_000, 60_000])
/// deadlines.insert(connection, TimeoutClass(1))   // expires in 60 s
/// deadlines.touch(connection)                     // 60 s from now again
/// ```
/// A node waits in one class at a time. It expires at the first tick after its deadline, never before it. The loop's timer runs
/// only while something waits, and not before the earliest deadline can be due. Belongs to its loop's thread.
public final class DeadlineQueue {
  private let loop: EventLoop
  private let lists: DeadlineLists
  private let tickMilliseconds: UInt64
  private var timer: Timer?
  /// When the timer fires next; `.max` when it rests.
  private var firesAtMilliseconds = UInt64.max

  /// Makes an empty queue. Call on the loop.
  ///
  /// - Parameters:
  ///   - durationsMilliseconds: the duration of each ``TimeoutClass`` by index, at most 256; 0 means never.
  ///   - tickMilliseconds: expiries are gathered to multiples of this; at least 1.
  public init(loop: EventLoop, durationsMilliseconds: [UInt64], tickMilliseconds: UInt64 = 250) {
    precondition(tickMilliseconds > 0, "a tick is at least one millisecond")
    self.loop = loop
    self.tickMilliseconds = tickMilliseconds
    lists = DeadlineLists(durationsMilliseconds: durationsMilliseconds)
    timer = Timer(loop: loop, repeatMilliseconds: 0, isKeptAfterFiring: true) { [weak self] in self?.fired() }
  }

  deinit {
    timer?.cancel()
  }

  /// Puts the node into a class, to expire after the class's duration; takes it from wherever it waited before.
  ///
  /// O(1), no allocation. The index must be one of the queue's classes.
  public func insert(_ node: DeadlineNode, _ timeoutClass: TimeoutClass) {
    lists.insert(node, timeoutClass, nowMilliseconds: loop.nowMilliseconds)
    if node.isQueued { arm(forDeadlineMilliseconds: node.deadlineMilliseconds) }
  }

  /// Starts the node's time anew in its class; does nothing to a node that does not wait. O(1), no allocation.
  public func touch(_ node: DeadlineNode) {
    guard node.isQueued else { return }
    lists.insert(node, node.timeoutClass, nowMilliseconds: loop.nowMilliseconds)
  }

  /// Takes the node out; it will not expire. Harmless when it does not wait. O(1), no allocation.
  public func remove(_ node: DeadlineNode) {
    lists.remove(node)
  }

  /// Changes a class's duration for what is inserted or touched from now on; 0 means never.
  ///
  /// After a change to a shorter duration, nodes may wait behind older ones up to the old duration.
  public func setDuration(_ milliseconds: UInt64, of timeoutClass: TimeoutClass) {
    lists.setDuration(milliseconds, of: timeoutClass)
  }

  private func arm(forDeadlineMilliseconds deadline: UInt64) {
    let tick = tickMilliseconds
    let firesAt = deadline > .max - tick ? .max - 1 : (deadline + tick - 1) / tick * tick
    guard firesAt < firesAtMilliseconds, let timer else { return }
    firesAtMilliseconds = firesAt
    let now = loop.nowMilliseconds
    timer.start(afterMilliseconds: firesAt > now ? firesAt - now : 0)
  }

  private func fired() {
    firesAtMilliseconds = .max
    lists.expire(nowMilliseconds: loop.nowMilliseconds)
    if let earliest = lists.earliestDeadlineMilliseconds { arm(forDeadlineMilliseconds: earliest) }
  }
}

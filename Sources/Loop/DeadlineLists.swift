// Timeouts for many connections, without a heap and without allocation.
//
// All entries of one timeout class wait equally long, so the order of insertion is the order of expiry: one doubly linked list
// per class, append at the tail, expire from the head. The links are in the entries. Each list is a ring through a sentinel, so
// an entry can leave without knowing its list, which it also does when it is destroyed.
//
// Time is always an argument here; DeadlineQueue brings the loop's clock.

/// A kind of timeout with one duration for all its entries, numbered from 0 in the order of the queue's durations.
public struct TimeoutClass: Hashable, Sendable {
  public let index: UInt8

  public init(_ index: UInt8) {
    self.index = index
  }
}

/// Something that waits in a ``DeadlineQueue`` for one deadline at a time; subclass it, or hold a subclass that knows its owner.
///
/// The queue does not retain its nodes; one that is destroyed leaves the queue by itself. Belongs to its loop's thread.
open class DeadlineNode {
  // Unretained: neighbours take themselves out of the ring before they go.
  fileprivate var next: Unmanaged<DeadlineNode>?
  fileprivate var previous: Unmanaged<DeadlineNode>?
  final fileprivate(set) var deadlineMilliseconds: UInt64 = 0
  /// The class that the node waits in, or waited in last.
  public final fileprivate(set) var timeoutClass = TimeoutClass(0)

  public init() {}

  deinit {
    leave()
  }

  /// True while the node waits in a queue.
  public final var isQueued: Bool { next != nil }

  /// Called on the loop when the time is up; the node has left the queue and may be put back.
  open func deadlineExpired(_ timeoutClass: TimeoutClass) {
    preconditionFailure("a DeadlineNode that is queued must override deadlineExpired(_:)")
  }

  fileprivate final func leave() {
    guard let next, let previous else { return }
    next._withUnsafeGuaranteedRef { $0.previous = previous }
    previous._withUnsafeGuaranteedRef { $0.next = next }
    self.next = nil
    self.previous = nil
  }

  /// Enters the ring just before `sentinel`, at the tail of its list.
  fileprivate final func enter(before sentinel: DeadlineNode) {
    let me = Unmanaged.passUnretained(self)
    previous = sentinel.previous
    next = Unmanaged.passUnretained(sentinel)
    sentinel.previous?._withUnsafeGuaranteedRef { $0.next = me }
    sentinel.previous = me
  }
}

/// The lists behind a ``DeadlineQueue``.
final class DeadlineLists {
  private let sentinels: [DeadlineNode]
  private var durationsMilliseconds: [UInt64]

  init(durationsMilliseconds: [UInt64]) {
    precondition(durationsMilliseconds.count <= 256, "at most 256 timeout classes")
    self.durationsMilliseconds = durationsMilliseconds
    sentinels = durationsMilliseconds.map { _ in
      let sentinel = DeadlineNode()
      let ring = Unmanaged.passUnretained(sentinel)
      sentinel.next = ring
      sentinel.previous = ring
      return sentinel
    }
  }

  deinit {
    removeAll()
  }

  func setDuration(_ milliseconds: UInt64, of timeoutClass: TimeoutClass) {
    durationsMilliseconds[Int(timeoutClass.index)] = milliseconds
  }

  /// Puts the node at the tail of a class, from wherever it was. A class of duration 0 never expires and takes no nodes.
  func insert(_ node: DeadlineNode, _ timeoutClass: TimeoutClass, nowMilliseconds: UInt64) {
    node.leave()
    node.timeoutClass = timeoutClass
    let duration = durationsMilliseconds[Int(timeoutClass.index)]
    guard duration > 0 else { return }
    let (deadline, overflows) = nowMilliseconds.addingReportingOverflow(duration)
    node.deadlineMilliseconds = overflows ? .max : deadline
    node.enter(before: sentinels[Int(timeoutClass.index)])
  }

  func remove(_ node: DeadlineNode) {
    node.leave()
  }

  func removeAll() {
    for sentinel in sentinels {
      while let head = head(of: sentinel) { head.leave() }
    }
  }

  /// The earliest deadline of all classes; nil when nothing waits.
  var earliestDeadlineMilliseconds: UInt64? {
    sentinels.compactMap { head(of: $0)?.deadlineMilliseconds }.min()
  }

  /// Calls every node whose deadline is at or before `nowMilliseconds`, class by class, oldest first.
  func expire(nowMilliseconds: UInt64) {
    for sentinel in sentinels {
      while let node = head(of: sentinel), node.deadlineMilliseconds <= nowMilliseconds {
        node.leave()
        node.deadlineExpired(node.timeoutClass)
      }
    }
  }

  private func head(of sentinel: DeadlineNode) -> DeadlineNode? {
    guard let head = sentinel.next?.takeUnretainedValue(), head !== sentinel else { return nil }
    return head
  }
}

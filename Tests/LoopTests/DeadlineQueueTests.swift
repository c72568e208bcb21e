import Testing

@testable import Loop

/// The lists alone, with a clock moved by hand. They do not retain nodes, so each test holds its own to the end.
@Suite struct DeadlineListsTests {
  private let short = TimeoutClass(0)
  private let long = TimeoutClass(1)
  private let never = TimeoutClass(2)
  private let lists = DeadlineLists(durationsMilliseconds: [10, 100, 0])

  @Test func nodesExpireByClassInOrderOfInsertion() {
    let log = Log()
    let nodes = (0..<4).map { Node($0, log) }
    lists.insert(nodes[0], long, nowMilliseconds: 0)
    lists.insert(nodes[1], short, nowMilliseconds: 3)
    lists.insert(nodes[2], short, nowMilliseconds: 5)
    lists.insert(nodes[3], never, nowMilliseconds: 0)
    #expect(lists.earliestDeadlineMilliseconds == 13)
    lists.expire(nowMilliseconds: 12)
    #expect(log.expired.isEmpty)
    lists.expire(nowMilliseconds: 13)
    #expect(log.expired == [1])
    lists.expire(nowMilliseconds: 100)
    #expect(log.expired == [1, 2, 0])
    #expect(log.classes == [short, short, long])
    #expect(lists.earliestDeadlineMilliseconds == nil)
    #expect(nodes.allSatisfy { !$0.isQueued })
  }

  @Test func insertingAgainMovesTheNode() {
    let log = Log()
    let nodes = (0..<3).map { Node($0, log) }
    for node in nodes { lists.insert(node, short, nowMilliseconds: 0) }
    lists.insert(nodes[0], short, nowMilliseconds: 1)
    lists.insert(nodes[1], long, nowMilliseconds: 1)
    lists.expire(nowMilliseconds: 50)
    #expect(log.expired == [2, 0])
    lists.insert(nodes[1], never, nowMilliseconds: 60)
    lists.expire(nowMilliseconds: 1000)
    #expect(log.expired == [2, 0])
    withExtendedLifetime(nodes) {}
  }

  @Test func removedAndDestroyedNodesDoNotExpire() {
    let log = Log()
    var nodes = (0..<5).map { Node($0, log) }
    for node in nodes { lists.insert(node, short, nowMilliseconds: 0) }
    lists.remove(nodes[1])
    lists.remove(nodes[1])
    nodes.remove(at: 2)
    nodes.removeLast()
    lists.expire(nowMilliseconds: 10)
    #expect(log.expired == [0, 3])
    withExtendedLifetime(nodes) {}
  }

  @Test func callbackMayChangeTheQueue() {
    let log = Log()
    let nodes = (0..<4).map { Node($0, log) }
    for node in nodes { lists.insert(node, short, nowMilliseconds: 0) }
    nodes[0].onExpiry = { [lists, short] in
      lists.remove(nodes[1])
      lists.insert(nodes[2], short, nowMilliseconds: 10)
      lists.insert(nodes[0], short, nowMilliseconds: 10)
    }
    lists.expire(nowMilliseconds: 10)
    #expect(log.expired == [0, 3])
    nodes[0].onExpiry = nil
    lists.expire(nowMilliseconds: 20)
    #expect(log.expired == [0, 3, 2, 0])
    withExtendedLifetime(nodes) {}
  }

  @Test func nodesOutliveTheirLists() {
    let log = Log()
    let node = Node(0, log)
    do {
      let lists = DeadlineLists(durationsMilliseconds: [10])
      lists.insert(node, short, nowMilliseconds: 0)
      lists.insert(Node(1, log), short, nowMilliseconds: 0)
    }
    #expect(!node.isQueued)
    lists.insert(node, short, nowMilliseconds: 0)
    lists.expire(nowMilliseconds: 10)
    #expect(log.expired == [0])
    withExtendedLifetime(node) {}
  }

  @Test func deadlinesPastTheEndOfTimeAreNever() {
    let log = Log()
    let lists = DeadlineLists(durationsMilliseconds: [.max])
    let node = Node(0, log)
    lists.insert(node, short, nowMilliseconds: 5)
    lists.expire(nowMilliseconds: .max - 1)
    #expect(log.expired.isEmpty && lists.earliestDeadlineMilliseconds == .max)
    withExtendedLifetime(node) {}
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func randomUseMatchesASortedModel(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let durations: [UInt64] = [7, 40, 200]
    let lists = DeadlineLists(durationsMilliseconds: durations)
    let log = Log()
    let nodes = (0..<50).map { Node($0, log) }
    var model: [Int: (deadline: UInt64, timeoutClass: Int)] = [:]
    var now: UInt64 = 0
    for _ in 0..<5000 {
      let index = Int.random(in: 0..<nodes.count, using: &random)
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<6:
        let timeoutClass = Int.random(in: 0..<durations.count, using: &random)
        lists.insert(nodes[index], TimeoutClass(UInt8(timeoutClass)), nowMilliseconds: now)
        model[index] = (now + durations[timeoutClass], timeoutClass)
      case 6:
        lists.remove(nodes[index])
        model[index] = nil
      default:
        now += UInt64.random(in: 0...20, using: &random)
        log.expired = []
        lists.expire(nowMilliseconds: now)
        let due = model.filter { $0.value.deadline <= now }
        #expect(Set(log.expired) == Set(due.keys) && log.expired.count == due.count, "seed \(seed)")
        for key in due.keys { model[key] = nil }
      }
      #expect(lists.earliestDeadlineMilliseconds == model.values.map(\.deadline).min(), "seed \(seed)")
    }
    withExtendedLifetime(nodes) {}
  }
}

/// The queue on a running loop.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct DeadlineQueueTests {
  @Test func noneExpiresEarlyAndTouchedNodesStartAnew() throws {
    try withLoop { loop in
      let expiries = Mailbox<(name: Int, after: UInt64)>()
      let touch = Mailbox<UInt64>()
      loop.execute {
        let deadlines = DeadlineQueue(loop: loop, durationsMilliseconds: [12, 30, 0], tickMilliseconds: 4)
        let start = loop.nowMilliseconds
        let nodes = (0..<4).map { name in
          Node(name) { expiries.put((name, loop.nowMilliseconds - start)) }
        }
        deadlines.insert(nodes[0], TimeoutClass(0))
        deadlines.insert(nodes[1], TimeoutClass(0))
        deadlines.insert(nodes[2], TimeoutClass(1))
        deadlines.insert(nodes[3], TimeoutClass(2))
        loop.schedule(afterMilliseconds: 6) {
          // On a machine that is busy the node may have gone by now.
          touch.put(nodes[0].isQueued ? loop.nowMilliseconds - start : 0)
          deadlines.touch(nodes[0])
          deadlines.touch(nodes[3])
        }
        loop.onStop { _ = (deadlines, nodes) }
      }
      let touchedAfter = touch.take()
      let seen = Dictionary(uniqueKeysWithValues: expiries.take(3).map { ($0.name, $0.after) })
      #expect(Set(seen.keys) == [0, 1, 2])
      #expect(seen[0] ?? 0 >= touchedAfter + 12 && seen[1] ?? 0 >= 12 && seen[2] ?? 0 >= 30, "\(seen)")
    }
  }

  @Test func earlierDeadlineWakesTheTimerAndShorterDurationsApply() throws {
    try withLoop { loop in
      let expiries = Mailbox<Int>()
      loop.execute {
        let deadlines = DeadlineQueue(
          loop: loop, durationsMilliseconds: [60_000, 60_000], tickMilliseconds: 1)
        let slow = Node(0) { expiries.put(0) }
        let quick = Node(1) { expiries.put(1) }
        deadlines.insert(slow, TimeoutClass(0))
        deadlines.setDuration(3, of: TimeoutClass(1))
        deadlines.insert(quick, TimeoutClass(1))
        loop.onStop { _ = (deadlines, slow, quick) }
      }
      #expect(expiries.take() == 1)
    }
  }

  @Test func queueIsReleasedByItsOwner() throws {
    try withLoop { loop in
      let isFreed = try loop.sync {
        weak var freed: DeadlineQueue?
        let node = Node(0) {}
        do {
          let deadlines = DeadlineQueue(loop: loop, durationsMilliseconds: [60_000])
          deadlines.insert(node, TimeoutClass(0))
          freed = deadlines
        }
        return freed == nil && !node.isQueued
      }
      #expect(isFreed)
    }
  }
}

private final class Log {
  var expired: [Int] = []
  var classes: [TimeoutClass] = []
}

private final class Node: DeadlineNode {
  let name: Int
  let log: Log
  var onExpiry: (() -> Void)?

  init(_ name: Int, _ log: Log) {
    self.name = name
    self.log = log
  }

  init(_ name: Int, onExpiry: @escaping () -> Void) {
    self.name = name
    log = Log()
    self.onExpiry = onExpiry
  }

  override func deadlineExpired(_ timeoutClass: TimeoutClass) {
    log.expired.append(name)
    log.classes.append(timeoutClass)
    onExpiry?()
  }
}

// The map of a cluster: which node has which slot
//
// It begins empty: a call goes to one of the nodes that the configuration names, and the node that has the slot is learnt
// from its answer.
//
//     MOVED slot host:port    the slot lives there: noted, the call goes there, and the whole map is asked for (CLUSTER SLOTS)
//     ASK slot host:port      the slot is on its way there: this one call goes there, announced by ASKING; nothing is noted
//     TRYAGAIN                the keys of the call are on both sides just now: once more in a moment
//
// An empty host, or `?`, means the host that was asked. A call is sent on at most five times. The map is asked for at most once
// a second, and when a node can't be reached. Nodes that have no slot any more are closed when nobody waits for them.

import Loop

/// The nodes of a cluster. Belongs to its loop's thread.
final class RedisCluster {
  typealias Host = RedisConfiguration.Host

  /// What a node's error asks for.
  enum Redirection: Equatable {
    case moved(slot: Int, Host)
    case ask(Host)
    case tryAgain

    /// - Parameter asked: the host that answered.
    init?(_ error: RedisError, asked: Host?) {
      let words = error.detail.split(separator: " ", omittingEmptySubsequences: false)
      switch error.serverErrorName {
      case "TRYAGAIN": self = .tryAgain
      case "MOVED", "ASK":
        guard words.count >= 3, let slot = Int(words[1]), (0..<RedisSlot.count).contains(slot),
          let colon = words[2].lastIndex(of: ":"),
          let port = UInt16(words[2][words[2].index(after: colon)...])
        else { return nil }
        var name = words[2][..<colon]
        if name.first == "[", name.last == "]" { name = name.dropFirst().dropLast() }
        guard let name = name.isEmpty || name == "?" ? asked?.name : String(name) else { return nil }
        let host = Host(name: name, port: port)
        self = error.serverErrorName == "ASK" ? .ask(host) : .moved(slot: slot, host)
      default: return nil
      }
    }
  }

  static let mostRedirections = 5
  /// As many as the cluster specification allows; beyond them one that nobody waits for makes room.
  private static let mostNodes = 1000

  private let loop: EventLoop
  private let make: (Host) -> RedisNode
  private let seeds: [Host]
  private var nodes: [Host: RedisNode] = [:]
  private var slots: [Host?] = Array(repeating: nil, count: RedisSlot.count)
  private var turn = 0
  private var isRefreshing = false
  private var refreshAgainMilliseconds: UInt64 = 0
  private let timeoutMilliseconds: UInt64

  /// - Parameter make: a node for one host.
  init(
    loop: EventLoop, seeds: [Host], timeoutMilliseconds: UInt64, make: @escaping (Host) -> RedisNode
  ) {
    self.loop = loop
    self.seeds = seeds
    self.timeoutMilliseconds = timeoutMilliseconds
    self.make = make
  }

  func node(_ host: Host) -> RedisNode {
    if let node = nodes[host] { return node }
    if nodes.count >= Self.mostNodes, let idle = nodes.first(where: { $0.value.isIdle }) {
      idle.value.close()
      nodes[idle.key] = nil
    }
    let node = make(host)
    nodes[host] = node
    return node
  }

  /// The node for a key; without one, or while nothing is known of its slot, one that answers.
  func node(forKey key: [UInt8]?) -> RedisNode {
    if let key, let host = slots[RedisSlot.of(key)] { return node(host) }
    return anyNode()
  }

  private func anyNode() -> RedisNode {
    let hosts = Set(nodes.keys).union(seeds).sorted { ($0.name, $0.port) < ($1.name, $1.port) }
    turn &+= 1
    let order = hosts.indices.map { node(hosts[($0 + turn) % hosts.count]) }
    return order.first { $0.isAvailable } ?? order[0]
  }

  func moved(_ slot: Int, to host: Host) {
    slots[slot] = host
    refresh()
  }

  /// Asks for the whole map, unless that is under way or was done within the last second.
  func refresh() {
    let now = loop.nowMilliseconds
    guard !isRefreshing, now >= refreshAgainMilliseconds else { return }
    isRefreshing = true
    refreshAgainMilliseconds = now &+ 1_000
    let asked = anyNode()
    let call = RedisCall(
      RedisCommand("CLUSTER", ["SLOTS"], keyAt: nil), ticket: RedisTicket(), loop: loop,
      timeoutMilliseconds: timeoutMilliseconds
    ) { [weak self] result in
      guard let self else { return }
      isRefreshing = false
      guard case .success(let value) = result else { return }
      var name: String?
      if case .server(let host) = asked.finder.place { name = host.name }
      take(value, asked: name)
    }
    call.startTime { call in
      asked.expired(call)
      call.end(.failure(RedisError(.timedOut, server: asked.name)))
    }
    asked.run(call) { call.end($0) }
  }

  /// - Parameter asked: the host that gave the map, for entries without one.
  func take(_ value: RedisValue, asked: String?) {
    guard let ranges = value.array, !ranges.isEmpty, ranges.count <= RedisSlot.count else { return }
    var found: [Host?] = Array(repeating: nil, count: RedisSlot.count)
    for range in ranges {
      guard let range = range.array, range.count >= 3, let first = range[0].integer,
        let last = range[1].integer,
        0 <= first, first <= last, last < RedisSlot.count, let primary = range[2].array, primary.count >= 2,
        let port = primary[1].integer.flatMap({ UInt16(exactly: $0) })
      else { continue }
      let named = primary[0].text ?? ""
      guard let name = named.isEmpty || named == "?" ? asked : named else { continue }
      let host = Host(name: name, port: port)
      for slot in Int(first)...Int(last) { found[slot] = host }
    }
    slots = found
    let wanted = Set(found.compactMap { $0 }).union(seeds)
    for (host, node) in nodes where !wanted.contains(host) && node.isIdle {
      node.close()
      nodes[host] = nil
    }
  }

  func close() {
    for node in nodes.values { node.close() }
    nodes = [:]
  }
}

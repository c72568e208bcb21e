import Loop

/// Sends each call to the server that it is for, and on from there where a cluster says so. Belongs to its loop's thread.
final class RedisRouter: LoopPart {
  private enum Servers {
    case one(RedisNode)
    case cluster(RedisCluster)
  }

  private let loop: EventLoop
  private let configuration: RedisConfiguration
  private let servers: Servers
  private var calls: [ObjectIdentifier: RedisCall] = [:]
  /// The connections of commands that wait on the server, by call.
  private var lanes: [ObjectIdentifier: RedisNode] = [:]

  init(loop: EventLoop, workers: WorkerPool, configuration: RedisConfiguration, figures: RedisFigures) {
    self.loop = loop
    self.configuration = configuration
    // hiredis writes to sockets that may be closed at the other end.
    ignoreSIGPIPE()
    func node(_ place: RedisConfiguration.Place) -> RedisNode {
      let finder = RedisAddressFinder(place, loop: loop, workers: workers, configuration: configuration)
      return RedisNode(loop: loop, finder: finder, configuration: configuration, figures: figures)
    }
    if case .cluster(let seeds) = configuration.place {
      servers = .cluster(
        RedisCluster(
          loop: loop, seeds: seeds, timeoutMilliseconds: configuration.commandTimeoutMilliseconds
        ) { node(.server($0)) })
    } else {
      servers = .one(node(configuration.place))
    }
  }

  /// Takes a call; it ends with an answer, an error, or when its time is over.
  func run(_ call: RedisCall) {
    let id = ObjectIdentifier(call.ticket)
    calls[id] = call
    call.startTime { [weak self] call in self?.expired(call) }
    go(call, to: home(of: call))
  }

  func cancel(_ ticket: RedisTicket) {
    guard let call = calls[ObjectIdentifier(ticket)] else { return }
    let node = call.node
    end(call, .failure(RedisError(.cancelled)))
    node?.cancelled(call)
  }

  func close() {
    switch servers {
    case .one(let node): node.close()
    case .cluster(let cluster): cluster.close()
    }
    for lane in lanes.values { lane.close() }
    for call in Array(calls.values) { end(call, .failure(RedisError(.closed))) }
  }

  // MARK: The way of a call

  private func home(of call: RedisCall) -> RedisNode {
    switch servers {
    case .one(let node): node
    case .cluster(let cluster): cluster.node(forKey: call.command.key)
    }
  }

  private func go(_ call: RedisCall, to node: RedisNode) {
    guard call.command.blockMilliseconds != nil else {
      return node.run(call) { [self] in took($0, call, node) }
    }
    let id = ObjectIdentifier(call.ticket)
    guard lanes.count < configuration.mostBlockingCommands else {
      return end(call, .failure(RedisError(.overloaded, server: node.name, detail: "commands that wait")))
    }
    let lane = node.spare()
    lanes[id] = lane
    lane.run(call) { [self] result in
      lanes[id] = nil
      node.giveBack(lane)
      took(result, call, node)
    }
  }

  private func took(_ result: Result<RedisValue, RedisError>, _ call: RedisCall, _ node: RedisNode) {
    guard case .cluster(let cluster) = servers, case .failure(let error) = result else {
      return end(call, result)
    }
    if [.connectFailed, .connectionLost, .unavailable, .nameUnresolved].contains(error.code) {
      cluster.refresh()
    }
    var asked: RedisConfiguration.Host?
    if case .server(let host) = node.finder.place { asked = host }
    guard let redirection = RedisCluster.Redirection(error, asked: asked) else { return end(call, result) }
    call.redirections += 1
    guard call.redirections <= RedisCluster.mostRedirections else {
      return end(call, .failure(RedisError(.tooManyRedirections, server: node.name)))
    }
    switch redirection {
    case .moved(let slot, let host):
      cluster.moved(slot, to: host)
      go(call, to: cluster.node(host))
    case .ask(let host):
      call.isAsking = true
      go(call, to: cluster.node(host))
    case .tryAgain:
      loop.schedule(afterMilliseconds: UInt64.random(in: 20...60)) { [weak self] in
        guard let self, !call.isEnded else { return }
        go(call, to: home(of: call))
      }
    }
  }

  private func expired(_ call: RedisCall) {
    let node = call.node
    let detail = "\(call.command.name), \(call.timeoutMilliseconds) ms"
    // First, since the node may give up the connection, which fails all calls on it.
    end(call, .failure(RedisError(.timedOut, server: node?.name ?? "", detail: detail)))
    node?.expired(call)
  }

  private func end(_ call: RedisCall, _ result: Result<RedisValue, RedisError>) {
    let id = ObjectIdentifier(call.ticket)
    calls[id] = nil
    call.end(result)
    // The server may still answer it, to nobody: the connection goes.
    lanes.removeValue(forKey: id)?.close()
  }
}

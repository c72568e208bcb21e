import Glibc
import Testing

@testable import Loop

@Suite(.serialized, .timeLimit(.minutes(5)))
struct ListenerTests {
  @Test func thousandClientsAreAcceptedAndEchoed() throws {
    try withLoop { loop in
      let server = try EchoServer(loop)
      var clients: [BlockingClient] = []
      for _ in 0..<1000 { clients.append(try BlockingClient(server.address)) }
      for (index, client) in clients.enumerated() {
        let line = Array("hello \(index)\n".utf8)
        client.send(line)
        #expect(client.readAll(atMost: line.count) == line)
      }
      #expect(try loop.sync { loop.heldWorkCount } == 1001)
      #expect(try server.listener { $0.acceptedCount } == 1000)
      clients.removeAll()
      #expect(server.closed.take(1000).count == 1000)
      try server.close()
      #expect(try loop.sync { loop.heldWorkCount } <= 1)
    }
  }

  @Test(arguments: ["127.0.0.1:0", "[::1]:0"])
  func addressesOfBothEndsAreKnown(text: String) throws {
    try withLoop { loop in
      let ends = Mailbox<[SocketAddress?]>()
      let server = try EchoServer(loop, address: SocketAddress(text)) { socket in
        ends.put([socket.localAddress, socket.remoteAddress])
      }
      #expect(server.address.port != 0)
      let client = try BlockingClient(server.address)
      let seen = ends.take()
      #expect(seen[0] == server.address)
      #expect(seen[1] == SocketAddress(descriptor: client.descriptor, getsockname))
      try server.close()
    }
  }

  @Test func dualStackShowsIPv4PeersAsIPv4() throws {
    try withLoop { loop in
      let peers = Mailbox<SocketAddress?>()
      let server = try EchoServer(loop, address: SocketAddress("[::]:0"), dualStack: true) { socket in
        peers.put(socket.remoteAddress)
      }
      let client = try BlockingClient(.loopback(port: server.address.port))
      #expect(peers.take()?.host == "127.0.0.1")
      _ = client
      try server.close()
    }
  }

  @Test func ipv6AloneLeavesIPv4ToOthers() throws {
    try withLoop { loop in
      let server = try EchoServer(loop, address: SocketAddress("[::]:0"))
      #expect(throws: LoopError.self) { try BlockingClient(.loopback(port: server.address.port)) }
      try server.close()
    }
  }

  @Test func acceptedSocketsInheritNoDelayAndAreNonBlocking() throws {
    try withLoop { loop in
      let options = Mailbox<[Int32]>()
      let server = try EchoServer(loop) { socket in
        var noDelay: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(socket.descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, &size)
        let isNonBlocking = fcntl(socket.descriptor, F_GETFL) & O_NONBLOCK != 0
        let isClosedOnExec = fcntl(socket.descriptor, F_GETFD) & FD_CLOEXEC != 0
        options.put([noDelay, isNonBlocking ? 1 : 0, isClosedOnExec ? 1 : 0])
      }
      let client = try BlockingClient(server.address)
      #expect(options.take() == [1, 1, 1])
      _ = client
      try server.close()
    }
  }

  @Test func twoLoopsShareOneAddress() throws {
    let threads = try LoopThreads(count: 2)
    let first = try EchoServer(threads.loops[0])
    let second = try EchoServer(threads.loops[1], address: first.address)
    // The kernel spreads by a hash of the addresses: 2⁻¹⁹⁹ that one gets none.
    for _ in 0..<200 {
      let client = try BlockingClient(first.address)
      client.send([1])
      #expect(client.readAll(atMost: 1) == [1])
    }
    let counts = try [first, second].map { try $0.listener { $0.acceptedCount } }
    #expect(counts[0] + counts[1] == 200 && counts[0] > 0 && counts[1] > 0, "\(counts)")
    try first.close()
    try second.close()
    threads.stopAndJoin()
  }

  @Test func addressInUseIsNamed() throws {
    try withLoop { loop in
      let server = try EchoServer(loop, reusePort: false)
      #expect {
        try EchoServer(loop, address: server.address, reusePort: false)
      } throws: {
        ($0 as? LoopError)?.code == .addressInUse && "\($0)".contains(server.address.description)
      }
      #expect {
        try EchoServer(loop, address: SocketAddress("203.0.113.1:0"))
      } throws: {
        ($0 as? LoopError)?.code == .addressUnavailable
      }
      try server.close()
    }
  }

  @Test func pausedListenerAcceptsAfterResume() throws {
    try withLoop { loop in
      let server = try EchoServer(loop)
      try server.listener { $0.pause() }
      let clients = try (0..<3).map { _ in try BlockingClient(server.address) }
      for client in clients { client.send([7]) }
      // A turn after the connections were complete, so that the listener has seen them.
      let turn = Mailbox<Void>()
      loop.execute { loop.schedule(afterMilliseconds: 5) { turn.put(()) } }
      turn.take()
      #expect(try server.listener { $0.acceptedCount } == 0)
      try server.listener {
        $0.resume()
        $0.resume()
      }
      for client in clients { #expect(client.readAll(atMost: 1) == [7]) }
      try server.listener {
        $0.pause()
        $0.resume()
      }
      let late = try BlockingClient(server.address)
      late.send([8])
      #expect(late.readAll(atMost: 1) == [8])
      try server.close()
    }
  }

  @Test func listenerClosedWhilePausedLetsGoOfTheWaitingConnection() throws {
    try withLoop { loop in
      let server = try EchoServer(loop)
      try server.listener { $0.pause() }
      let client = try BlockingClient(server.address)
      let turn = Mailbox<Void>()
      loop.execute { loop.schedule(afterMilliseconds: 5) { turn.put(()) } }
      turn.take()
      try server.listener {
        $0.resume()
        $0.close()
        $0.close()
      }
      let end = client.read()
      #expect(end == nil || end == [])
    }
  }

  // Every descriptor of a connection lies at or above 3; of a limit of 6, at most half can be reserved.
  @Test(arguments: [(0, 3), (100, 6)])
  func connectionsThatNeedReservedDescriptorsAreRefusedAndCounted(reserve: Int, limit: Int) throws {
    try withLoop { loop in
      let refusals = Mailbox<Int32>()
      let server = try EchoServer(
        loop, descriptorReserve: reserve, descriptorLimit: limit, onRefuse: { refusals.put($0) })
      for _ in 0..<5 {
        let client = try BlockingClient(server.address)
        #expect(client.readAll() == [])
      }
      #expect(refusals.take(5) == [EMFILE, EMFILE, EMFILE, EMFILE, EMFILE])
      let counts = try server.listener { [$0.acceptedCount, $0.refusedCount] }
      #expect(counts == [0, 5])
      try server.close()
    }
  }

  @Test func listenerMadeBeforeRunServesAfterwards() throws {
    let loop = try EventLoop()
    let listener = try Listener(loop: loop, address: .loopback(port: 0)) { $0.close() }
    loop.onStop { listener.close() }
    let client = try BlockingClient(listener.boundAddress)
    let thread = try inBackground { loop.run() }
    #expect(client.readAll() == [])
    loop.stop()
    thread.join()
    #expect(!listener.isOpen && listener.acceptedCount == 1)
  }

  @Test func aListenerGoesOnWhereAnotherLeftOff() throws {
    try withLoop { loop in
      let (address, copy) = try loop.sync {
        let first = try Listener(loop: loop, address: .loopback(port: 0)) { $0.close() }
        let copy = first.duplicateDescriptor()
        first.close()
        #expect(first.duplicateDescriptor() == -1)
        return (first.boundAddress, copy)
      }
      #expect(Listener.address(listenedOnBy: copy) == address)
      #expect(Listener.sharesPort(copy))
      // Accepted by nobody yet: it waits in the queue of the socket, which outlives its first listener.
      let early = try BlockingClient(address)
      early.send(Array("early".utf8))
      let accepted = Mailbox<SocketAddress?>()
      let second = try loop.sync {
        LoopBound(
          try Listener(loop: loop, adopting: copy) { socket in
            accepted.put(socket.localAddress)
            socket.close()
          }, loop: loop)
      }
      #expect(accepted.take() == address)
      try loop.sync {
        #expect(second.value.boundAddress == address)
        second.value.close()
      }
      #expect(Listener.address(listenedOnBy: early.descriptor) == nil)
    }
  }
}

import Glibc
import Support
import Testing

@testable import Loop

@Suite(.serialized, .timeLimit(.minutes(5)))
struct SocketTests {
  @Test(arguments: [11, 12] as [UInt64])
  func echoReachesASlowReaderByteForByte(seed: UInt64) throws {
    try withLoop { loop in
      var random = SplitMix64(seed: seed)
      let bytes = random.bytes(12 << 20)
      let server = try EchoServer(loop)
      let client = try BlockingClient(server.address, receiveBufferBytes: 8192)
      let writer = try inBackground { [random, bytes] in
        var random = random
        var rest = bytes[...]
        while !rest.isEmpty {
          let piece = rest.prefix(Int.random(in: 1...100_000, using: &random))
          client.send(Array(piece))
          rest.removeFirst(piece.count)
        }
        client.shutdownWrite()
      }
      // Nothing is read before the server's socket has been full once.
      server.blocked.take()
      let echo = client.readAll()
      writer.join()
      #expect(echo == bytes, "seed \(seed)")
      server.closed.take()
      try server.close()
    }
  }

  @Test func fileReachesASlowReaderByteForByte() throws {
    try withLoop { loop in
      var random = SplitMix64(seed: 21)
      let bytes = random.bytes((9 << 20) + 12_345)
      let file = ScratchFile(bytes)
      let descriptor = file.descriptor
      let offset = 1_234_567
      let partialSends = Mailbox<Int>()
      let server = try ServerUnderTest(loop) { socket in
        FileSender(descriptor: descriptor, offset: offset, end: bytes.count, partialSends: partialSends)
          .start(socket)
      }
      let client = try BlockingClient(server.address, receiveBufferBytes: 8192)
      #expect(partialSends.take() > 0)
      let received = client.readAll()
      #expect(received == Array(bytes[offset...]))
      try server.close()
      withExtendedLifetime(file) {}
    }
  }

  @Test func vectorsAreSentInOrder() throws {
    try withLoop { loop in
      var random = SplitMix64(seed: 31)
      // More ranges than one call takes.
      let parts = (0..<1500).map { _ in random.bytes(Int.random(in: 0...20, using: &random)) }
      let all = parts.flatMap { $0 }
      let results = Mailbox<[SendResult]>()
      let server = try ServerUnderTest(loop) { socket in
        all.withUnsafeBytes { bytes in
          var position = 0
          let vectors = parts.map { part in
            defer { position += part.count }
            return IOVector(UnsafeRawBufferPointer(rebasing: bytes[position..<(position + part.count)]))
          }
          vectors.withUnsafeBufferPointer { vectors in
            results.put([
              socket.writev(vectors, more: true),
              socket.writev(UnsafeBufferPointer(rebasing: vectors[1024...])),
              socket.writev(UnsafeBufferPointer(start: nil, count: 0)),
              socket.send(UnsafeRawBufferPointer(start: nil, count: 0)),
            ])
          }
        }
        socket.close()
      }
      let client = try BlockingClient(server.address)
      #expect(client.readAll() == all)
      let first = parts[..<1024].reduce(0) { $0 + $1.count }
      #expect(results.take() == [.sent(first), .sent(all.count - first), .sent(0), .sent(0)])
      try server.close()
    }
  }

  @Test func sendFileTellsEndOfFileAndErrors() throws {
    try withLoop { loop in
      let file = ScratchFile([1, 2, 3, 4])
      let descriptor = file.descriptor
      let results = Mailbox<[SendResult]>()
      let server = try ServerUnderTest(loop) { socket in
        let sent = [
          socket.sendFile(descriptor: descriptor, offset: 1, count: 100),
          socket.sendFile(descriptor: descriptor, offset: 4, count: 1),
          socket.sendFile(descriptor: -1, offset: 0, count: 1),
          socket.sendFile(descriptor: descriptor, offset: -1, count: 1),
        ]
        socket.close()
        results.put(
          sent + [
            socket.sendFile(descriptor: descriptor, offset: 0, count: 1),
            socket.send(UnsafeRawBufferPointer(start: nil, count: 0)),
          ])
      }
      let client = try BlockingClient(server.address)
      #expect(client.readAll() == [2, 3, 4])
      #expect(
        results.take() == [
          .sent(3), .sent(0), .failed(EBADF), .failed(EINVAL), .failed(EBADF), .failed(EBADF),
        ])
      try server.close()
      withExtendedLifetime(file) {}
    }
  }

  @Test func waitingEndsWhenTheReaderMakesRoom() throws {
    try withLoop { loop in
      let events = Mailbox<String>()
      let file = ScratchFile([UInt8](repeating: 7, count: 4 << 20))
      let descriptor = file.descriptor
      let server = try ServerUnderTest(loop) { socket in
        socket.startReading(Recorder(events))
        while case .sent = socket.sendFile(descriptor: descriptor, offset: 0, count: 4 << 20) {}
        socket.whenWritable { events.put("replaced") }
        socket.whenWritable {
          if case .sent(let count) = socket.sendFile(descriptor: descriptor, offset: 0, count: 1), count == 1
          {
            events.put("writable")
          }
          socket.stopWaiting()
          socket.stopWaiting()
          socket.close()
        }
        events.put("waiting")
      }
      let client = try BlockingClient(server.address, receiveBufferBytes: 8192)
      #expect(events.take() == "waiting")
      #expect(client.readAll()?.allSatisfy { $0 == 7 } == true)
      #expect(events.take(2) == ["writable", "didClose"])
      try server.close()
      withExtendedLifetime(file) {}
    }
  }

  @Test func closingForgetsAWait() throws {
    try withLoop { loop in
      let events = Mailbox<String>()
      let file = ScratchFile([UInt8](repeating: 7, count: 4 << 20))
      let descriptor = file.descriptor
      let server = try ServerUnderTest(loop) { socket in
        socket.startReading(Recorder(events))
        while case .sent = socket.sendFile(descriptor: descriptor, offset: 0, count: 4 << 20) {}
        socket.whenWritable { events.put("never") }
        socket.close()
        socket.whenWritable { events.put("never") }
        events.put("closed")
      }
      let client = try BlockingClient(server.address, receiveBufferBytes: 8192)
      #expect(events.take(2) == ["closed", "didClose"])
      _ = client
      try server.close()
      withExtendedLifetime(file) {}
    }
  }

  @Test func resetInMidTransferFailsTheConnectionAlone() throws {
    try withLoop { loop in
      let server = try EchoServer(loop)
      do {
        let client = try BlockingClient(server.address, receiveBufferBytes: 8192)
        let writer = try inBackground { client.send([UInt8](repeating: 1, count: 32 << 20)) }
        server.blocked.take()
        client.disconnect()
        server.closed.take()
        writer.join()
      }
      let next = try BlockingClient(server.address)
      next.send([5])
      #expect(next.readAll(atMost: 1) == [5])
      try server.close()
    }
  }

  @Test func resetWhileIdleIsReported() throws {
    try withLoop { loop in
      let events = Mailbox<String>()
      let server = try ServerUnderTest(loop) { $0.startReading(Recorder(events)) }
      do { try BlockingClient(server.address).resetOnClose() }
      #expect(events.take(2) == ["didFail \(ECONNRESET)", "didClose"])
      try server.close()
    }
  }

  @Test func closeInEveryCallback() throws {
    try withLoop { loop in
      let events = Mailbox<String>()
      let server = try ServerUnderTest(loop) { socket in
        socket.startReading(Recorder(events, closesOnRead: true))
      }
      let client = try BlockingClient(server.address)
      client.send([1, 2])
      #expect(client.readAll() == [])
      #expect(events.take(2) == ["didRead 2", "didClose"])
      try server.close()
    }
  }

  @Test func stoppedReadingLeavesBytesInTheKernel() throws {
    try withLoop { loop in
      let events = Mailbox<String>()
      let sockets = Mailbox<LoopBound<Socket>>()
      let server = try ServerUnderTest(loop) { socket in
        socket.startReading(Recorder(events))
        socket.stopReading()
        socket.stopReading()
        sockets.put(LoopBound(socket, loop: loop))
      }
      let client = try BlockingClient(server.address)
      let socket = sockets.take()
      client.send([1, 2, 3])
      client.shutdownWrite()
      loop.execute { loop.schedule(afterMilliseconds: 5) { events.put("later") } }
      #expect(events.take() == "later")
      try loop.sync {
        socket.value.resumeReading()
        socket.value.resumeReading()
      }
      #expect(events.take(3) == ["didRead 3", "didReachEnd", "didClose"])
      try server.close()
    }
  }

  @Test func endOfInputIsReportedOnce() throws {
    try withLoop { loop in
      let events = Mailbox<String>()
      let sockets = Mailbox<LoopBound<Socket>>()
      let server = try ServerUnderTest(loop) { socket in
        socket.startReading(Recorder(events, closesAtEnd: false))
        sockets.put(LoopBound(socket, loop: loop))
      }
      let client = try BlockingClient(server.address)
      client.shutdownWrite()
      let socket = sockets.take()
      #expect(events.take() == "didReachEnd")
      try loop.sync {
        socket.value.stopReading()
        socket.value.resumeReading()
      }
      // Output still works after the peer's end.
      let result = try loop.sync { [UInt8(4)].withUnsafeBytes { socket.value.send($0) } }
      #expect(result == .sent(1))
      try loop.sync { socket.value.closeLingering() }
      #expect(client.readAll() == [4])
      #expect(events.take() == "didClose")
      try server.close()
    }
  }

  @Test func shutdownFollowsWhatWasSentAndLeavesInputOpen() throws {
    try withLoop { loop in
      let events = Mailbox<String>()
      let server = try ServerUnderTest(loop) { socket in
        socket.startReading(Recorder(events))
        let result = [UInt8](repeating: 3, count: 1000).withUnsafeBytes { socket.send($0) }
        #expect(result == .sent(1000))
        socket.shutdownWrite()
      }
      let client = try BlockingClient(server.address)
      #expect(client.readAll() == [UInt8](repeating: 3, count: 1000))
      client.send([1])
      #expect(events.take() == "didRead 1")
      client.shutdownWrite()
      #expect(events.take(2) == ["didReachEnd", "didClose"])
      try server.close()
    }
  }

  @Test func lingeringDeliversTheAnswerToAClientThatStillSends() throws {
    try withLoop { loop in
      let events = Mailbox<String>()
      let server = try ServerUnderTest(loop) { socket in
        socket.startReading(
          Recorder(
            events,
            onRead: { socket in
              _ = [UInt8](repeating: 9, count: 5000).withUnsafeBytes { socket.send($0) }
              socket.closeLingering(discardingBytes: 8 << 20, withinMilliseconds: 20_000)
              socket.closeLingering()
              socket.stopReading()
            }))
      }
      let client = try BlockingClient(server.address)
      // The answer is sent while most of this has not been read.
      #expect(client.send([UInt8](repeating: 1, count: 4 << 20)))
      #expect(client.readAll() == [UInt8](repeating: 9, count: 5000))
      client.shutdownWrite()
      var seen = events.take(2)
      seen[0].removeLast(seen[0].count - 7)
      #expect(seen == ["didRead", "didClose"])
      try server.close()
    }
  }

  @Test(arguments: [(100, 20_000), (Int.max, 10)] as [(Int, UInt64)])
  func lingeringHasLimits(bytes: Int, milliseconds: UInt64) throws {
    try withLoop { loop in
      let events = Mailbox<String>()
      let server = try ServerUnderTest(loop) { socket in
        socket.startReading(Recorder(events))
        socket.closeLingering(discardingBytes: bytes, withinMilliseconds: milliseconds)
      }
      let client = try BlockingClient(server.address)
      if bytes < .max { client.send([UInt8](repeating: 1, count: 200)) }
      #expect(events.take() == "didClose")
      try server.close()
    }
  }

  @Test func resetIsSeenAsReset() throws {
    try withLoop { loop in
      let server = try ServerUnderTest(loop) { socket in
        _ = [UInt8](repeating: 9, count: 5000).withUnsafeBytes { socket.send($0) }
        socket.reset()
        socket.reset()
        #expect(!socket.isOpen && socket.remoteAddress == nil && socket.localAddress == nil)
      }
      let client = try BlockingClient(server.address)
      #expect(client.readAll() == nil)
      try server.close()
    }
  }

  @Test func delegateAndSocketAreFreedAfterTheClose() throws {
    try withLoop { loop in
      let freed = Mailbox<Void>()
      let events = Mailbox<String>()
      let server = try ServerUnderTest(loop) { socket in
        let recorder = Recorder(events)
        recorder.witness = OnRelease { freed.put(()) }
        recorder.socket = socket
        socket.startReading(recorder)
      }
      do {
        let client = try BlockingClient(server.address)
        client.send([1])
        #expect(events.take() == "didRead 1")
      }
      #expect(events.take(2) == ["didReachEnd", "didClose"])
      freed.take()
      try server.close()
    }
  }

  /// The budget of an idle connection is 1 KiB with everything; the socket may use this much of it.
  @Test func idleSocketIsSmall() throws {
    try withLoop { loop in
      let sizes = Mailbox<[Int]>()
      let server = try ServerUnderTest(loop) { socket in
        sizes.put([
          heapSize(Unmanaged.passUnretained(socket).toOpaque()),
          heapSize(UnsafeMutableRawPointer(socket.raw)),
        ])
        socket.close()
      }
      let client = try BlockingClient(server.address)
      #expect(client.readAll() == [])
      let bytes = sizes.take()
      // 104 and 248, and up to 16 more each where malloc reuses a block that is too small to split.
      #expect(bytes[0] <= 104 + 16 && bytes[1] <= 248 + 16, "\(bytes)")
      try server.close()
    }
  }
}

/// Bytes of the heap block at an address; the C library has a function for it that Swift's module of it leaves out.
private func heapSize(_ block: UnsafeMutableRawPointer) -> Int {
  guard let function = dlsym(nil, "malloc_usable_size") else { return .max }
  return unsafeBitCast(function, to: (@convention(c) (UnsafeMutableRawPointer) -> Int).self)(block)
}

import Glibc
import Testing

@testable import Loop

/// A layer that changes every byte on its way in and, in another way, on its way out, and says goodbye.
private final class MaskingLayer: SocketLayer {
  static let goodbye: UInt8 = 0x2A

  func socket(_ socket: Socket, didRead bytes: UnsafeRawBufferPointer) {
    // In two pieces, as records would come.
    let plain = bytes.map { $0 ^ 0x5A }
    plain.withUnsafeBytes { plain in
      socket.deliver(UnsafeRawBufferPointer(rebasing: plain[..<(plain.count / 2)]))
      socket.deliver(UnsafeRawBufferPointer(rebasing: plain[(plain.count / 2)...]))
    }
  }

  func socket(_ socket: Socket, send bytes: UnsafeRawBufferPointer) -> Bool {
    let masked = bytes.map { $0 ^ 0xA5 }
    return masked.withUnsafeBytes { socket.sendAll($0) }
  }

  func socketWillEnd(_ socket: Socket) {
    _ = withUnsafeBytes(of: Self.goodbye) { socket.sendAll($0) }
  }
}

@Suite(.serialized, .timeLimit(.minutes(5)))
struct SocketLayerTests {
  /// Many bytes through a full socket: all of the backlog arrives, once and in order.
  @Test(arguments: [41, 42] as [UInt64])
  func everyByteGoesThroughTheLayer(seed: UInt64) throws {
    try withLoop { loop in
      var random = SplitMix64(seed: seed)
      let bytes = random.bytes(6 << 20)
      let server = try EchoServer(loop, onAccept: { $0.add(MaskingLayer()) })
      let client = try BlockingClient(server.address, receiveBufferBytes: 8192)
      let writer = try inBackground { [bytes] in
        client.send(bytes)
        client.shutdownWrite()
      }
      // The server's socket has been full, so there was a backlog.
      server.blocked.take()
      let echo = client.readAll()
      writer.join()
      #expect(echo == bytes.map { $0 ^ 0xFF }, "seed \(seed)")
      server.closed.take()
      try server.close()
    }
  }

  @Test func endingInOrderSaysTheLayersGoodbye() throws {
    try withLoop { loop in
      let server = try ServerUnderTest(loop) { socket in
        socket.add(MaskingLayer())
        _ = [1, 2, 3].withUnsafeBytes { socket.send($0) }
        socket.closeLingering()
      }
      let client = try BlockingClient(server.address)
      let sent = [1, 2, 3].withUnsafeBytes { Array($0) }
      #expect(client.readAll() == sent.map { $0 ^ 0xA5 } + [MaskingLayer.goodbye])
      try server.close()
    }
  }

  /// However an orderly end comes about, and whether the peer has ended its side or not.
  @Test(arguments: [(false, false), (false, true), (true, false), (true, true)])
  func theBacklogArrivesBeforeTheEnd(isLastRequest: Bool, peerHasEnded: Bool) throws {
    try withLoop { loop in
      var random = SplitMix64(seed: 43)
      let bytes = random.bytes(6 << 20)
      let server = try ServerUnderTest(loop) { [bytes] socket in
        socket.add(MaskingLayer())
        _ = bytes.withUnsafeBytes { socket.send($0) }
        #expect(socket.hasBacklog)
        if isLastRequest { socket.closeAfterLastRequest() } else { socket.closeLingering() }
      }
      let client = try BlockingClient(server.address, receiveBufferBytes: 8192)
      if peerHasEnded { client.shutdownWrite() }
      #expect(client.readAll() == bytes.map { $0 ^ 0xA5 } + [MaskingLayer.goodbye])
      try server.close()
    }
  }

  @Test func nothingPassesAfterTheClose() throws {
    try withLoop { loop in
      let results = Mailbox<[SendResult]>()
      let server = try ServerUnderTest(loop) { socket in
        socket.add(MaskingLayer())
        socket.close()
        results.put([socket.send(UnsafeRawBufferPointer(start: nil, count: 0))])
        #expect(!socket.hasBacklog && socket.layer == nil)
      }
      let client = try BlockingClient(server.address)
      #expect(client.readAll() == [])
      #expect(results.take() == [.failed(EBADF)])
      try server.close()
    }
  }
}

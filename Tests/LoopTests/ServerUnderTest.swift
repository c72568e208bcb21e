import Glibc
import Testing

@testable import Loop

/// A listener that hands each connection to a closure, on the loop.
final class ServerUnderTest: Sendable {
  let address: SocketAddress
  private let bound: LoopBound<Listener>

  init(_ loop: EventLoop, onAccept: @escaping @Sendable (Socket) -> Void) throws {
    bound = try loop.sync {
      LoopBound(try Listener(loop: loop, address: .loopback(port: 0), onAccept: onAccept), loop: loop)
    }
    address = try loop.sync { [bound] in bound.value.boundAddress }
  }

  func close() throws {
    try bound.loop.sync { [bound] in bound.value.close() }
  }
}

/// Reports what a socket tells its delegate, and closes the socket when its input ends.
final class Recorder: SocketDelegate {
  private let events: Mailbox<String>
  private let closesOnRead: Bool
  private let closesAtEnd: Bool
  private let onRead: ((Socket) -> Void)?
  /// What a connection keeps: its socket, which keeps the connection in turn until it closes.
  var socket: Socket?
  var witness: OnRelease?

  init(
    _ events: Mailbox<String>, closesOnRead: Bool = false, closesAtEnd: Bool = true,
    onRead: ((Socket) -> Void)? = nil
  ) {
    self.events = events
    self.closesOnRead = closesOnRead
    self.closesAtEnd = closesAtEnd
    self.onRead = onRead
  }

  func socket(_ socket: Socket, didRead bytes: UnsafeRawBufferPointer) {
    events.put("didRead \(bytes.count)")
    onRead?(socket)
    if closesOnRead {
      socket.close()
      socket.close()
    }
  }

  func socketDidReachEnd(_ socket: Socket) {
    events.put("didReachEnd")
    if closesAtEnd { socket.close() }
  }

  func socket(_ socket: Socket, didFail errno: Int32) {
    events.put("didFail \(errno)")
    socket.close()
  }

  func socketDidClose(_ socket: Socket) {
    events.put("didClose")
    // Closing again, and reading again, do nothing any more.
    socket.close()
    socket.resumeReading()
    self.socket = nil
  }
}

/// Sends a range of a file: sendfile until the socket is full, and on when it takes output again.
final class FileSender: SocketDelegate {
  private let descriptor: Int32
  private var offset: Int
  private let end: Int
  private let partialSends: Mailbox<Int>

  init(descriptor: Int32, offset: Int, end: Int, partialSends: Mailbox<Int>) {
    self.descriptor = descriptor
    self.offset = offset
    self.end = end
    self.partialSends = partialSends
  }

  func start(_ socket: Socket) {
    socket.startReading(self)
    socket.stopReading()
    go(socket)
  }

  private func go(_ socket: Socket) {
    while offset < end {
      switch socket.sendFile(descriptor: descriptor, offset: Int64(offset), count: end - offset) {
      case .sent(let count):
        #expect(count > 0)
        offset += count
        if offset < end { partialSends.put(count) }
      case .wouldBlock:
        socket.whenWritable { self.go(socket) }
        return
      case .failed(let error):
        Issue.record("sendfile failed with \(error)")
        socket.close()
        return
      }
    }
    socket.close()
  }

  func socket(_ socket: Socket, didRead bytes: UnsafeRawBufferPointer) {}
  func socketDidReachEnd(_ socket: Socket) {}
  func socket(_ socket: Socket, didFail errno: Int32) {}
  func socketDidClose(_ socket: Socket) {}
}

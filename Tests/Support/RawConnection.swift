internal import Foundation
internal import Glibc

/// A TCP connection to a loopback port that sends exactly the bytes it is given. Every call has a deadline.
///
/// Not for use from two threads at a time.
public final class RawConnection {
  private let descriptor: Int32
  private var received: [UInt8] = []
  private let timeout: Duration

  /// - Parameters:
  ///   - timeout: the longest any single call waits.
  ///   - receiveBufferBytes: kernel receive buffer, to make a client that reads slowly; `nil` keeps the default.
  public init(port: Int, timeout: Duration = .seconds(10), receiveBufferBytes: Int32? = nil) throws {
    self.timeout = timeout
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw SupportError("socket: errno \(errno)") }
    if var size = receiveBufferBytes {
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port).bigEndian)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else {
      let code = errno
      close(descriptor)
      throw SupportError("connect to port \(port): \(String(cString: strerror(code)))")
    }
  }

  deinit { close(descriptor) }

  public func send(_ bytes: some Collection<UInt8>) throws {
    let deadline = ContinuousClock.now + timeout
    var rest = Array(bytes)[...]
    while !rest.isEmpty {
      try waitFor(POLLOUT, deadline, "to send")
      let count = rest.withUnsafeBytes {
        Glibc.send(
          descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno != EINTR && errno != EAGAIN {
        throw SupportError("send: \(String(cString: strerror(errno)))")
      }
    }
  }

  public func send(_ text: String) throws { try send(Array(text.utf8)) }

  /// What has arrived and was not taken yet, or what comes next; empty when the peer has closed.
  public func receive() throws -> [UInt8] {
    if received.isEmpty { try fill() }
    defer { received = [] }
    return received
  }

  /// All bytes until the peer closes (a reset counts as closing).
  public func receiveToEnd() throws -> [UInt8] {
    while try fill() {}
    defer { received = [] }
    return received
  }

  /// The next response on the connection; interim (1xx) responses other than 101 are skipped.
  ///
  /// - Parameter toHead: the request was HEAD, so no body follows whatever the fields say.
  public func response(toHead: Bool = false) throws -> RawResponse {
    while true {
      let response = try RawResponse(toHead: toHead) { wanted in
        while self.received.count < wanted { guard try self.fill() else { break } }
        return self.received
      }
      received.removeFirst(response.wireBytes)
      if !(100..<200).contains(response.status) || response.status == 101 { return response }
    }
  }

  /// True when the peer closes, without sending more, before the deadline.
  public func isClosedByPeer() -> Bool {
    guard received.isEmpty else { return false }
    return (try? fill()) == false
  }

  /// Ends our direction only (FIN); the answer can still be read.
  public func closeSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Makes the coming `close` a reset (RST).
  public func resetOnClose() {
    var now = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
  }

  /// Reads once into `received`; false at the end of the stream.
  @discardableResult
  private func fill() throws -> Bool {
    let deadline = ContinuousClock.now + timeout
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      try waitFor(POLLIN, deadline, "for bytes")
      let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      if count > 0 {
        received += buffer[..<count]
        return true
      }
      if count == 0 || errno == ECONNRESET { return false }
      if errno != EINTR && errno != EAGAIN { throw SupportError("recv: \(String(cString: strerror(errno)))") }
    }
  }

  private func waitFor(_ event: Int32, _ deadline: ContinuousClock.Instant, _ purpose: String) throws {
    while true {
      let left = max(0, (deadline - .now) / .milliseconds(1))
      var entry = pollfd(fd: descriptor, events: Int16(event), revents: 0)
      let count = poll(&entry, 1, Int32(left.rounded(.up)))
      if count > 0 { return }
      if count == 0 {
        throw SupportError(
          "waited \(timeout) \(purpose); received so far: \(String(decoding: received.prefix(300), as: UTF8.self))"
        )
      }
      if errno != EINTR { throw SupportError("poll: \(String(cString: strerror(errno)))") }
    }
  }
}

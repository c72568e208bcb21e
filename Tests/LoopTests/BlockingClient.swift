import Glibc
import Testing

@testable import Loop

/// The other end of a connection: a blocking socket, for the test's own thread. Waits at most 20 s for anything.
final class BlockingClient: Sendable {
  let descriptor: Int32

  /// - Parameter receiveBufferBytes: a small one makes the server's socket full sooner.
  init(_ address: SocketAddress, receiveBufferBytes: Int32? = nil) throws {
    descriptor = socket(address.isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var limit = timeval(tv_sec: 20, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    if var size = receiveBufferBytes {
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    let status = address.withSocketAddress { connect(descriptor, $0, $1) }
    if status != 0 { throw LoopError(errno: errno, operation: "connect", context: address.description) }
  }

  deinit {
    Glibc.close(descriptor)
  }

  /// Sends everything; false when the connection breaks first.
  @discardableResult
  func send(_ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count <= 0 { return false }
      sent += count
    }
    return true
  }

  /// One read; empty at the end, nil when the connection is broken.
  func read(atMost limit: Int = 65536) -> [UInt8]? {
    var count = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, size in
      count = recv(descriptor, buffer.baseAddress, limit, 0)
      size = max(count, 0)
    }
    return count < 0 ? nil : bytes
  }

  /// Reads until the end, or until `limit` bytes have come; nil when the connection breaks.
  func readAll(atMost limit: Int = .max) -> [UInt8]? {
    var all: [UInt8] = []
    while all.count < limit {
      guard let bytes = read(atMost: min(65536, limit - all.count)) else { return nil }
      if bytes.isEmpty { break }
      all += bytes
    }
    return all
  }

  func shutdownWrite() {
    shutdown(descriptor, Int32(SHUT_WR))
  }

  /// The next close sends RST.
  func resetOnClose() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  }

  /// Sends RST now, even while another thread is inside `send`: connecting to no address dissolves the connection.
  func disconnect() {
    withUnsafeTemporaryAllocation(byteCount: 16, alignment: 16) { noAddress in
      noAddress.initializeMemory(as: UInt8.self, repeating: 0)
      _ = connect(
        descriptor, noAddress.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(noAddress.count))
    }
  }
}

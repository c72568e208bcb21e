internal import Glibc

/// A listener on a loopback port of its own that takes one short HTTP request at a time: how a page in a browser
/// reports back to a test.
public final class Listener: Sendable {
  private let socket: ListeningSocket
  public var port: Int { socket.port }

  public init() throws { socket = try ListeningSocket() }

  /// The request line of the next request whose target starts with `prefix`; each request is answered with 204.
  public func request(startingWith prefix: String, timeout: Duration) throws -> String {
    let deadline = ContinuousClock.now + timeout
    while true {
      let left = Int32(max(0, ((deadline - .now) / .milliseconds(1)).rounded(.up)))
      var entry = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, left) > 0 else { throw SupportError("no \(prefix) request within \(timeout)") }
      let connection = accept(socket.descriptor, nil, nil)
      guard connection >= 0 else { continue }
      defer { close(connection) }
      guard let line = Self.requestLine(connection) else { continue }
      let answer = Array(
        "HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n".utf8)
      _ = send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
      let target = line.split(separator: " ").dropFirst().first ?? ""
      if target.hasPrefix(prefix) { return String(target) }
    }
  }

  /// Reads the whole head, so that closing does not reset; `nil` for a connection that sends none in time.
  private static func requestLine(_ connection: Int32) -> String? {
    var head: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while head.count < 65536, head.suffix(4) != [13, 10, 13, 10] {
      var entry = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, 2000) > 0 else { return nil }
      let count = recv(connection, &buffer, buffer.count, 0)
      guard count > 0 else { return nil }
      head += buffer[..<count]
    }
    return head.split(separator: 13).first.map { String(decoding: $0, as: UTF8.self) }
  }
}

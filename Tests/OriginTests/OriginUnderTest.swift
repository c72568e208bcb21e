import Glibc
import HTTP
import Loop
import Store
import Synchronization
import Testing

@testable import Origin

/// The serving half of a server in this process: one loop, one listener on a port the system chose.
final class OriginUnderTest: Sendable {
  /// What lives on the loop's thread.
  // Filled and emptied on the loop alone; the box is what crosses.
  private final class Inhabitants: @unchecked Sendable {
    var origin: OriginLoop?
    var listener: Listener?
  }

  let address: SocketAddress
  let state: ServerState
  let snapshot: Snapshot
  private let threads: LoopThreads
  private let inhabitants = Inhabitants()

  /// - Parameter answer: answers every request instead of the sites, if given.
  init(
    _ store: Store, sites: [Site], answer: (@Sendable () -> Representation)? = nil
  ) throws {
    threads = try LoopThreads(count: 1)
    let loop = threads.loops[0]
    state = ServerState(
      store: store, workers: try WorkerPool(threadCount: 2), logger: OriginFixture.logger,
      connectionLimit: 64, counters: [LoopCounters()], startedSeconds: 1, drained: {})
    snapshot = Snapshot(
      configuration: OriginFixture.configuration(sites.map(\.configuration)), sites: SiteTable(sites),
      accessLog: nil)
    address = try Self.sync(loop) { [state, snapshot, inhabitants] in
      let origin = try OriginLoop(loop: loop, server: state, snapshot: snapshot, counters: state.counters[0])
      let fixed = answer.map { FixedAnswer($0) }
      let listener = try Listener(loop: loop, address: .loopback(port: 0)) { socket in
        origin.accept(socket, router: fixed ?? origin)
      }
      inhabitants.origin = origin
      inhabitants.listener = listener
      return listener.boundAddress
    }
  }

  var counters: LoopCounters { state.counters[0] }

  /// Runs `body` with what lives on the loop, there.
  func onLoop<T: Sendable>(_ body: @escaping @Sendable (OriginLoop) throws -> T) throws -> T {
    try Self.sync(threads.loops[0]) { [inhabitants] in
      try body(try #require(inhabitants.origin))
    }
  }

  func stop() {
    threads.loops[0].execute { [inhabitants] in
      inhabitants.listener?.close()
      inhabitants.origin?.closeAll()
      inhabitants.listener = nil
      inhabitants.origin = nil
    }
    threads.stopAndJoin()
    state.workers.shutdown()
  }

  private static func sync<T: Sendable>(
    _ loop: EventLoop, _ body: @escaping @Sendable () throws -> T
  ) throws -> T {
    let done = Semaphore()
    let box = Box<T>()
    loop.execute {
      box.result.withLock { $0 = Result { try body() } }
      done.signal()
    }
    done.wait()
    return try #require(box.result.withLock { $0 }).get()
  }

  private final class Box<T: Sendable>: Sendable {
    let result = Mutex<Result<T, any Error>?>(nil)
  }

  private final class FixedAnswer: Router {
    private let make: @Sendable () -> Representation
    init(_ make: @escaping @Sendable () -> Representation) { self.make = make }
    func answer(
      _ request: borrowing RequestHead, from client: () -> SocketAddress?, mayWait: Bool
    ) -> Answer { .representation(make(), nil) }
  }
}

/// The other end of a connection: a blocking socket. Waits at most 20 s for anything.
final class TestClient {
  private let descriptor: Int32

  /// - Parameter receiveBufferBytes: a small one fills the server's socket sooner.
  init(_ address: SocketAddress, receiveBufferBytes: Int32? = nil) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var limit = timeval(tv_sec: 20, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    if var size = receiveBufferBytes {
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    var target = sockaddr_in()
    target.sin_family = sa_family_t(AF_INET)
    target.sin_port = address.port.bigEndian
    target.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let status = withUnsafeBytes(of: &target) {
      connect(
        descriptor, $0.baseAddress?.assumingMemoryBound(to: sockaddr.self),
        socklen_t(MemoryLayout<sockaddr_in>.size))
    }
    guard status == 0 else { throw Failure(errno: errno) }
  }

  deinit { close(descriptor) }

  func send(_ text: String) throws {
    let bytes = Array(text.utf8)
    let count = bytes.withUnsafeBytes {
      Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    guard count == bytes.count else { throw Failure(errno: errno) }
  }

  /// Reads to the end of the connection, `atMost` bytes a call, and says whether it ended in order.
  func readAll(atMost limit: Int = 1 << 18) -> (bytes: [UInt8], endedInOrder: Bool) {
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: limit)
    while true {
      let count = recv(descriptor, &chunk, limit, 0)
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { return (all, count == 0) }
      all += chunk[..<count]
    }
  }

  /// One request with `Connection: close`, and everything that came back.
  static func get(
    _ path: String, from address: SocketAddress, method: String = "GET", fields: String = "",
    body: [UInt8] = [], receiveBufferBytes: Int32? = nil, readBytes: Int = 1 << 18
  ) throws -> Answer {
    let client = try TestClient(address, receiveBufferBytes: receiveBufferBytes)
    let length = body.isEmpty ? "" : "Content-Length: \(body.count)\r\n"
    let head = "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\(length)\(fields)\r\n"
    try client.send(head + String(decoding: body, as: UTF8.self))
    return try Answer(client.readAll(atMost: readBytes).bytes)
  }

  struct Answer {
    let status: Int
    let fields: [String: String]
    let body: [UInt8]

    init(_ bytes: [UInt8]) throws {
      guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { throw Failure(errno: EPROTO) }
      let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
      status = lines.first.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
      fields = lines.dropFirst().reduce(into: [:]) { fields, line in
        let parts = line.split(separator: ": ", maxSplits: 1).map(String.init)
        fields[parts[0].lowercased(), default: ""] += parts.count > 1 ? parts[1] : ""
      }
      body = Array(bytes[end.upperBound...])
    }

    var text: String { String(decoding: body, as: UTF8.self) }
  }

  struct Failure: Error { let errno: Int32 }
}

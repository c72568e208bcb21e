// Who is turned away, and how.
//
//   connections       the loop's share of `connections` is open                  503 at once, then closed
//   memory            what connections and waiting answers hold is over budget   the same; 503 to requests on open ones
//   connections_per_address, request_rate_per_address                            429
//   workers           too much waits for the disk already, or for too long       503
//   descriptors       the reserve begins (Loop/Listener.swift)                   closed at once
//
// Everybody who is refused at the door costs one small write and, for half a second, the rest of a connection, so that the
// answer arrives; when even that is too many they are closed at once. Each refusal is counted, and the log says which
// limit spoke, once in ten seconds for each. The admin pages are not asked about any of this.
//
// The memory budget counts what this program holds for clients that wait: each connection, and, as long as an answer is not
// sent, the bytes of its head, of requests that came meanwhile, and of the parts that were made for it alone. What all
// clients share (the hot table, open blobs, assembled segments) has bounds of its own; buffers of the kernel are the
// kernel's.

import HTTP
import Logging
import Loop

/// A limit that turns connections or requests away, by the name of its key in the configuration where it has one.
enum Limit: String, CaseIterable {
  case connections
  case memory
  case connectionsPerAddress = "connections_per_address"
  case requestRatePerAddress = "request_rate_per_address"
  case workers
  case descriptors

  var index: Int { Self.allCases.firstIndex(of: self) ?? 0 }

  /// What a client is told.
  func problem(retryAfterSeconds: UInt64 = 1) -> Problem {
    switch self {
    case .connectionsPerAddress, .requestRatePerAddress:
      Problem(
        status: 429, code: "too-many-requests", title: "Too many requests",
        detail: "This address has used up what one client may; try again later.",
        fields: [.init("Retry-After", "\(retryAfterSeconds)")],
        closesConnection: self == .connectionsPerAddress)
    case .connections, .memory, .workers, .descriptors: .overloaded
    }
  }
}

/// The limits that a loop looks at for every request, in one place of its memory.
struct LoopLimits {
  /// Pipelined requests that are answered in one turn.
  var pipeline: Int
  var requestsPerConnection: UInt32
  var http2Streams: UInt32
  var http2Requests: Int
  /// This loop's share of the memory budget.
  var memoryBytes: UInt64
  /// nil where neither limit by address is set.
  var rates: AddressLimits.Rates?

  init(_ limits: ServerConfiguration.Limits, share: (Int) -> Int) {
    pipeline = limits.pipeline
    requestsPerConnection = UInt32(clamping: limits.requestsPerConnection)
    http2Streams = UInt32(clamping: limits.http2Streams)
    http2Requests = min(limits.http2Requests, limits.requestsPerConnection)
    memoryBytes = UInt64(share(limits.memoryBytes))
    let rates = AddressLimits.Rates(
      connections: limits.connectionsPerAddress, requestsPerSecond: limits.requestRatePerAddress,
      burst: max(limits.requestBurstPerAddress, 1), exempt: limits.exemptNetworks)
    self.rates = rates.isOff ? nil : rates
  }
}

extension OriginLoop {
  /// What a connection that waits for its next request costs: its objects and the handle of libuv, as malloc counts them.
  static let connectionBytes: UInt64 = 1024
  /// What a TLS session adds: OpenSSL's objects, without buffers while it is idle, and records that wait for the kernel.
  static func layerBytes(of socket: Socket) -> Int {
    socket.layer == nil ? 0 : (16 << 10) + (socket.hasBacklog ? 64 << 10 : 0)
  }
  /// Refused clients that are being told so at a time.
  private static let mostFarewells = 256

  /// Has the memory budget know that a connection holds another number of bytes than before.
  func charge(_ held: Int, insteadOf charged: inout Int) {
    guard held != charged else { return }
    if held > charged {
      counters.heldBytes.add(UInt64(held - charged))
    } else {
      counters.heldBytes.subtract(UInt64(charged - held))
    }
    charged = held
  }

  /// Whom a connection counts for; nil where it does not count: a proxy's connection carries many clients.
  func connectionKey(of client: SocketAddress, _ rates: AddressLimits.Rates) -> NetworkAddress? {
    guard rates.connections > 0,
      !snapshot.configuration.server.trustedProxies.contains(client.network)
    else { return nil }
    return AddressLimits.key(client.network, rates)
  }

  /// Whether a request may be answered; if not, what to say instead.
  ///
  /// - Parameter client: asked for only where there is a limit by address.
  func refusal(ofRequestFrom client: () -> SocketAddress?) -> Problem? {
    if counters.heldBytes.value > limits.memoryBytes {
      note(.memory, of: client())
      var problem = Problem.overloaded
      // An idle connection holds memory too.
      problem.closesConnection = true
      return problem
    }
    guard let rates = limits.rates, rates.requestsPerSecond > 0, let client = client(),
      let key = AddressLimits.key(client.network, rates),
      let seconds = server.addressLimits.request(
        key, rates, nowMicroseconds: ExchangeRecord.monotonicNanoseconds() / 1000)
    else { return nil }
    note(.requestRatePerAddress, of: client)
    return Limit.requestRatePerAddress.problem(retryAfterSeconds: seconds)
  }

  /// Whether an answer must be made by workers that have too much to do already. Asked before its head is sent: later there
  /// is only cutting it off.
  func lacksWorkers(for representation: Representation) -> Bool {
    guard case .deferred? = representation.slices.first?.source else { return false }
    return lacksWorkers
  }

  /// Whether nothing should be begun that workers have a part in.
  var lacksWorkers: Bool { !server.workers.hasRoom }

  /// Ends a connection at the door, with an answer where HTTP is spoken from the first byte.
  ///
  /// - Parameter client: where a proxy has said it; else the socket's peer.
  func refuse(_ socket: Socket, _ limit: Limit, answers: Bool, client: SocketAddress? = nil) {
    note(limit, of: client ?? socket.remoteAddress)
    guard answers, farewells < Self.mostFarewells else { return socket.close() }
    let problem = limit.problem()
    counters.count(status: problem.status)
    let bytes = problem.farewell
    guard case .sent(bytes.count) = bytes.withUnsafeBytes({ socket.send($0, more: false) }) else {
      return socket.close()
    }
    farewells += 1
    loop.schedule(afterMilliseconds: 500) { self.farewells -= 1 }
    socket.closeLingering(discardingBytes: 64 << 10, withinMilliseconds: 500)
  }

  /// Counts a refusal, and tells the operator now and then.
  ///
  /// - Parameter client: nil where it is not known.
  func note(_ limit: Limit, of client: SocketAddress?) {
    if let client {
      server.refusals.add(.init(client: client.network, limit: limit, seconds: loop.wallSeconds))
    }
    counters.refusals[limit.index].count.add(1)
    refused[limit.index].count += 1
    let now = loop.wallSeconds
    guard now - refused[limit.index].loggedSeconds >= 10 else { return }
    server.logger.warning(
      "limit \(limit.rawValue): \(refused[limit.index].count) refused",
      metadata: ["limit": "\(limit.rawValue)"])
    refused[limit.index] = (now, 0)
  }
}

extension Problem {
  /// The whole answer to a client whose request is not even read.
  fileprivate var farewell: [UInt8] {
    let body = body
    var text =
      "HTTP/1.1 \(status) \(title)\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n"
    for field in fields { text += "\(field.name): \(field.value)\r\n" }
    text += "Content-Length: \(body.count)\r\nConnection: close\r\n\r\n"
    return Array(text.utf8) + body
  }
}

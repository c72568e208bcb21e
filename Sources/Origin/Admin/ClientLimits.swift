// What the limits have to do with one client: the admin page `/limits?client=ADDRESS`, and `headwater explain --client`.
//
// The configuration says which limits concern a client at all; a server that runs adds what it counts of it now, and who
// was refused lately. Both are lines of a name and a value, so that a person reads the page as it is and `explain` prints it.

import HTTP
import Loop
import Net
import Synchronization

enum ClientLimits {
  typealias Line = (name: String, value: String)

  /// What the configuration says of a client.
  static func lines(for client: NetworkAddress, _ configuration: ServerConfiguration) -> [Line] {
    let limits = configuration.limits
    var lines: [Line] = []
    if configuration.trustedProxies.contains(client) {
      lines.append(
        ("trusted proxy", "its connections do not count; requests count for the client that it names"))
    }
    let rates = LoopLimits(limits, share: { $0 }).rates
    guard let rates else {
      lines.append(("limits by address", "none is set"))
      return lines
    }
    guard let key = AddressLimits.key(client, rates) else {
      lines.append(("limits by address", "do not concern it: exempt_networks"))
      return lines
    }
    lines.append(("counts as", text(key)))
    if rates.connections > 0 {
      lines.append(
        (Limit.connectionsPerAddress.rawValue, "\(rates.connections) open connections, then 429"))
    }
    if rates.requestsPerSecond > 0 {
      lines.append(
        (
          Limit.requestRatePerAddress.rawValue,
          "\(rates.requestsPerSecond) requests a second, \(rates.burst) at once, then 429"
        ))
    }
    return lines
  }

  /// What a server that runs counts of a client.
  static func lines(
    for client: NetworkAddress, _ state: ServerState, _ configuration: ServerConfiguration,
    nowMicroseconds: UInt64
  ) -> [Line] {
    // Each loop has its share: the fullest one is who refuses first.
    let connections = state.counters.map { $0.openConnections.value }.max() ?? 0
    let heldBytes = state.counters.map { $0.heldBytes.value }.max() ?? 0
    let memoryBytes = state.share(configuration.limits.memoryBytes)
    var lines: [Line] = [
      ("connections now", "\(connections) of \(state.connectionLimit) on the fullest loop, of all clients"),
      ("memory now", "\(heldBytes) of \(memoryBytes) bytes on the fullest loop, for all clients"),
    ]
    let rates = LoopLimits(configuration.limits, share: state.share).rates
    if let rates, let key = AddressLimits.key(client, rates) {
      if rates.connections > 0, !configuration.trustedProxies.contains(client) {
        lines.append(
          ("its connections", "\(state.addressLimits.connectionCount(key)) of \(rates.connections)"))
      }
      if rates.requestsPerSecond > 0 {
        let left = state.addressLimits.requestsLeft(key, rates, nowMicroseconds: nowMicroseconds)
        lines.append(("its requests", "\(left) may come now"))
      }
    }
    let refusals = state.refusals.refusals(of: client)
    if refusals.isEmpty {
      lines.append(("refused", "not among the last \(RecentRefusals.capacity) refusals"))
    }
    for refusal in refusals {
      let last = AccessRecord.iso8601(refusal.lastSeconds * 1000)
      lines.append(("refused", "\(refusal.count) times by \(refusal.limit.rawValue), last at \(last)"))
    }
    return lines
  }

  /// The page that `explain` reads.
  static func page(_ lines: [Line]) -> String {
    lines.map { "\($0.name): \($0.value)\n" }.joined()
  }

  /// Asks the server that has this admin address. Blocks until it has answered, for at most three seconds.
  static func ask(_ admin: ListenAddress?, about client: NetworkAddress) -> [Line] {
    guard let admin else { return [("server", "not asked: it has no admin address")] }
    let silent: Line = ("server", "none answers at \(admin); what it counts of this client is not shown")
    guard let threads = try? LoopThreads(count: 1) else { return [silent] }
    defer { threads.stopAndJoin() }
    var options = HTTPClient.Options()
    // The operator's own address, from the operator's own file.
    options.addresses = .publicAndPrivate
    let server = HTTPClient(loop: threads.loops[0], options: options)
    var request = HTTPRequest("GET", "http://\(admin)/limits?client=\(text(client, isPrefix: false))")
    request.timeoutMilliseconds = 3000
    let answer = Answer()
    server.send(request) { answer.set($0) }
    guard case .success(let response) = answer.wait(), response.status == 200 else { return [silent] }
    return String(decoding: response.body, as: UTF8.self).split(separator: "\n").compactMap { line in
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { return nil }
      return (String(parts[0]), String(parts[1].drop { $0 == " " }))
    }
  }

  /// - Parameter isPrefix: whether an IPv6 address stands for its /64.
  private static func text(_ client: NetworkAddress, isPrefix: Bool = true) -> String {
    let address = SocketAddress(address: client.bits, isIPv6: client.isIPv6, port: 0).host
    return client.isIPv6 && isPrefix ? "\(address)/64" : address
  }

  /// What another thread brings.
  private final class Answer: Sendable {
    private let result = Mutex<Result<HTTPResponse, HTTPClientError>?>(nil)
    private let isThere = Semaphore()

    func set(_ result: Result<HTTPResponse, HTTPClientError>) {
      self.result.withLock { $0 = result }
      isThere.signal()
    }

    func wait() -> Result<HTTPResponse, HTTPClientError>? {
      isThere.wait()
      return result.withLock { $0 }
    }
  }
}

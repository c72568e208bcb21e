// From what the configuration says to an address that can be connected to
//
//     host         numeric: at once. A name: getaddrinfo on a worker, since it may wait for a resolver for as long as that
//                  takes. Of several addresses each try takes the next.
//     sentinels    asked one after the other, beginning with the one that answered last: SENTINEL get-master-addr-by-name.
//                  What they say may be old: who connects asks the server itself for its ROLE.
//
// Found anew for every connection, so that a name or a primary that moves is followed. Addresses that no Redis lives at
// (AddressPolicy: link-local, metadata services, reserved) are refused, whoever names them.

internal import Glibc
import Loop

/// Finds the address for one place. Belongs to its loop's thread.
final class RedisAddressFinder {
  typealias Completion = (Result<RedisAddress, RedisError>) -> Void

  let place: RedisConfiguration.Place
  private let loop: EventLoop
  private let workers: WorkerPool
  private let configuration: RedisConfiguration
  private var tries = 0
  /// The sentinel to begin with.
  private var firstSentinel = 0

  init(
    _ place: RedisConfiguration.Place, loop: EventLoop, workers: WorkerPool, configuration: RedisConfiguration
  ) {
    self.place = place
    self.loop = loop
    self.workers = workers
    self.configuration = configuration
  }

  /// What errors call the server by.
  var name: String {
    switch place {
    case .server(let host): host.description
    case .socket(let path): path
    case .sentinels(_, let primary): primary
    case .cluster(let hosts): hosts.first?.description ?? ""
    }
  }

  /// - Parameter completion: called once, on the loop, now or later.
  func find(_ completion: @escaping Completion) {
    switch place {
    case .socket(let path): completion(.success(.socket(path: path)))
    case .server(let host): resolve(host, completion)
    case .cluster(let hosts):
      if let host = hosts.first { resolve(host, completion) }
    case .sentinels(let sentinels, let primary):
      ask(sentinels, primary, from: 0, RedisError(.noPrimary, server: primary), completion)
    }
  }

  // MARK: Names

  private func resolve(_ host: RedisConfiguration.Host, _ completion: @escaping Completion) {
    if let address = try? SocketAddress(host.description) {
      return completion(Self.judged(address, host))
    }
    tries &+= 1
    let turn = tries
    let lookUp: @Sendable () -> [SocketAddress] = { Self.addresses(of: host) }
    let isTaken = workers.submit(lookUp, on: loop) { addresses in
      guard !addresses.isEmpty else {
        return completion(.failure(RedisError(.nameUnresolved, server: host.description)))
      }
      completion(Self.judged(addresses[(turn - 1) % addresses.count], host))
    }
    if !isTaken {
      let error = RedisError(.nameUnresolved, server: host.description, detail: "the workers are busy")
      completion(.failure(error))
    }
  }

  private static func judged(
    _ address: SocketAddress, _ host: RedisConfiguration.Host
  ) -> Result<RedisAddress, RedisError> {
    guard AddressPolicy.publicAndPrivate.allows(address) else {
      return .failure(
        RedisError(.connectFailed, server: host.description, detail: "the address is a reserved one"))
    }
    return .success(.internet(address))
  }

  /// Blocks for as long as the resolver takes.
  private static func addresses(of host: RedisConfiguration.Host) -> [SocketAddress] {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_ADDRCONFIG
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host.name, String(host.port), &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    return sequence(first: list) { $0?.pointee.ai_next }.compactMap { $0 }.compactMap { entry in
      SocketAddress(
        systemBytes: UnsafeRawBufferPointer(
          start: entry.pointee.ai_addr, count: Int(entry.pointee.ai_addrlen)))
    }
  }

  // MARK: Sentinels

  private func ask(
    _ sentinels: [RedisConfiguration.Host], _ primary: String, from index: Int, _ last: RedisError,
    _ completion: @escaping Completion
  ) {
    guard index < sentinels.count else { return completion(.failure(last)) }
    let number = (firstSentinel + index) % sentinels.count
    let inquiry = Inquiry(loop: loop, server: sentinels[number].description) { [self] result in
      switch result {
      case .success(let host):
        firstSentinel = number
        resolve(host, completion)
      case .failure(let error): ask(sentinels, primary, from: index + 1, error, completion)
      }
    }
    // All of them have their turn within the time for connecting.
    let share = max(1, configuration.connectTimeoutMilliseconds / UInt64(sentinels.count + 1))
    inquiry.startTime(share)
    resolve(sentinels[number]) { [configuration] result in
      switch result {
      case .success(let address): inquiry.begin(address, primary, configuration)
      case .failure(let error): inquiry.end(.failure(error))
      }
    }
  }

  /// One question to one sentinel.
  private final class Inquiry {
    private let loop: EventLoop
    private let server: String
    private var completion: ((Result<RedisConfiguration.Host, RedisError>) -> Void)?
    private var timer: Timer?
    private var connection: RedisConnection?

    init(
      loop: EventLoop, server: String,
      _ completion: @escaping (Result<RedisConfiguration.Host, RedisError>) -> Void
    ) {
      self.loop = loop
      self.server = server
      self.completion = completion
    }

    func startTime(_ milliseconds: UInt64) {
      timer = loop.schedule(afterMilliseconds: milliseconds) { [self] in
        end(.failure(RedisError(.timedOut, server: server)))
      }
    }

    func begin(_ address: RedisAddress, _ primary: String, _ configuration: RedisConfiguration) {
      // The time may have been over while the name was looked up.
      guard completion != nil else { return }
      connection = RedisConnection(
        loop: loop, address: address, mostReplyBytes: 64 << 10,
        onOpen: { [self] in
          if let password = configuration.sentinelPassword {
            let words = [configuration.sentinelUser, password].compactMap { $0 }.map { RedisArgument($0) }
            _ = connection?.send(RedisCommand("AUTH", words).wire) { [self] result in
              if case .failure(let error) = result {
                end(.failure(RedisError(.signInFailed, server: server, detail: error.detail)))
              }
            }
          }
          let question = RedisCommand("SENTINEL", "get-master-addr-by-name", RedisArgument(primary))
          _ = connection?.send(question.wire) { [self] in took($0) }
        },
        onEnd: { [self] error in end(.failure(error)) })
    }

    private func took(_ result: Result<RedisValue, RedisError>) {
      switch result {
      case .failure(let error): end(.failure(error))
      case .success(let value):
        guard let pair = value.array, pair.count == 2, let name = pair[0].text, let port = pair[1].integer,
          let port = UInt16(exactly: port)
        else {
          let error = RedisError(.noPrimary, server: server, detail: "the sentinel knows none by that name")
          return end(.failure(error))
        }
        end(.success(RedisConfiguration.Host(name: name, port: port)))
      }
    }

    func end(_ result: Result<RedisConfiguration.Host, RedisError>) {
      guard let completion = completion.take() else { return }
      timer?.cancel()
      timer = nil
      connection.take()?.close(RedisError(.closed, server: server))
      // Later: this may be within hiredis.
      loop.later { completion(result) }
    }
  }
}

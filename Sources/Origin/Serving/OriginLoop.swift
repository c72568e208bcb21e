// What one event loop thread owns: its listeners' connections, its view of the store, its hot table,
// one parsed request head and one output buffer shared by all of its connections.

import Glibc
import HTTP
import Logging
import Loop
import Store

/// A server's configuration in force: sites with their pipelines, and limits. Immutable; a reload makes
/// another and each loop changes over between two requests.
final class Snapshot: Sendable {
  let configuration: Configuration
  let sites: SiteTable
  let accessLog: AccessLog?
  /// Nil where nothing has a certificate.
  let tls: TLSHosts?
  /// Whether a site wants certificates of its clients.
  let wantsClientCertificates: Bool

  /// Whether anything wants a record of each exchange.
  let logsExchanges: Bool

  init(configuration: Configuration, sites: SiteTable, accessLog: AccessLog?, tls: TLSHosts? = nil) {
    self.tls = tls
    wantsClientCertificates = sites.sites.contains { $0.clientAuthority != nil }
    self.configuration = configuration
    self.sites = sites
    self.accessLog = accessLog
    logsExchanges = accessLog != nil || sites.sites.contains { !$0.pipeline.logs.isEmpty }
  }
}

/// The answer to a parsed request head, before ranges and conditions are looked at.
enum Answer {
  case representation(Representation, Site?)
  case problem(Problem, Site?)
  case preflight(Site)
  /// Read these bytes in on a worker, then ask again with the same head.
  case cold(BlobFile, UInt64, Int)
  /// Await this on the loop, then ask again with the same head.
  case awaiting(@Sendable () async -> Void)
  case suspended(Site, @Sendable () async throws(Problem) -> Representation)
  /// Read the body that belongs to the call, then run it.
  case call(APICall)
}

/// Makes answers to parsed request heads: a loop does for the sites, the admin router for its own pages.
protocol Router: AnyObject {
  /// - Parameter mayWait: whether `.cold` is an answer; if not, the disk is waited for.
  /// - Parameter client: looks up the address of the client.
  func answer(
    _ request: borrowing RequestHead, from client: () -> SocketAddress?, mayWait: Bool
  ) -> Answer
}

/// Not `Sendable`: it is made, used and let go on its loop's thread alone.
final class OriginLoop: Router {
  let loop: EventLoop
  let server: ServerState
  var snapshot: Snapshot
  var head: RequestHead
  let output: UnsafeMutableRawBufferPointer
  let vectors: VectorTable
  let residency: ResidencyTable
  let counters: LoopCounters
  let deadlines: ConnectionDeadlines
  let requestIDs: RequestIDs
  let tls: TLSShared
  let http2 = HTTP2Shared()
  /// Whose certificate the client of the connection being answered has shown; kept up where a site wants one.
  var clientAuthority: TLSClientAuthority?
  var isDraining = false
  private(set) var limits: LoopLimits
  /// For each `Limit`: when the log was told last, and how many were refused since.
  var refused = Limit.allCases.map { _ in (loggedSeconds: Int64.min / 2, count: 0) }
  /// Streams of events that are open.
  var eventStreams = 0
  /// Refused clients that are being told so.
  var farewells = 0
  /// Connections that count against their address; empty while there is no such limit.
  private var addressKeys: [ObjectIdentifier: NetworkAddress] = [:]
  private var hot = HotTable()
  let context: ContentContext
  private var registry: [ObjectIdentifier: any ClientConnection] = [:]
  /// Connections of clients; those of the admin listener neither count against the limit nor hold up a drain.
  private(set) var clientCount = 0
  /// The identifier of the request being answered: the client's own where it is sound, else a new one.
  private(set) var requestID: [UInt8] = []
  private var dateSeconds: Int64 = -1
  /// Storage of the names that parameters are part of.
  private var answerName: [UInt8] = []
  /// The wall clock at the last answer.
  private var answeredSeconds: Int64 = 0
  /// `Date: …\r\n`, remade once a second.
  private(set) var dateLine: [UInt8] = []

  static let outputBytes = 64 << 10

  init(loop: EventLoop, server: ServerState, snapshot: Snapshot, counters: LoopCounters) throws(StoreError) {
    self.loop = loop
    self.server = server
    self.snapshot = snapshot
    self.counters = counters
    head = RequestHead(limits: snapshot.configuration.server.limits.http)
    output = .allocate(byteCount: Self.outputBytes, alignment: 16)
    vectors = VectorTable(staging: output)
    limits = LoopLimits(snapshot.configuration.server.limits, share: server.share)
    deadlines = ConnectionDeadlines(loop: loop, limits: snapshot.configuration.server.limits)
    requestIDs = RequestIDs()
    tls = TLSShared(loop: loop, ticketKeys: server.ticketKeys, counters: counters)
    tls.hosts = snapshot.tls
    residency = ResidencyTable(loop: loop)
    hot.assemblyBudgetBytes = server.share(snapshot.configuration.server.limits.hotSegmentsBytes)
    guard let first = snapshot.sites.sites.first else {
      throw StoreError(.invalid, operation: "serve", message: "no site is configured")
    }
    context = try ContentContext(store: server.store, site: first, workers: server.workers)
  }

  deinit { output.deallocate() }

  // MARK: Connections

  /// - Parameters:
  ///   - isTLS: what comes is encrypted, behind the PROXY header where there is one.
  ///   - isProxied: the connection begins with a PROXY header.
  func accept(_ socket: Socket, router: any Router, isTLS: Bool = false, isProxied: Bool = false) {
    if router === self {
      if let limit = refusalAtTheDoor() { return refuse(socket, limit, answers: !isTLS && !isProxied) }
      clientCount += 1
      counters.acceptedConnections.add(1)
      counters.openConnections.add(1)
      counters.heldBytes.add(Self.connectionBytes)
    }
    guard isProxied else { return open(socket, router: router, isTLS: isTLS) }
    let prelude = ProxyPrelude(socket: socket, on: self, router: router, isTLS: isTLS)
    registry[ObjectIdentifier(prelude)] = prelude
    prelude.open()
  }

  private func refusalAtTheDoor() -> Limit? {
    if clientCount >= server.connectionLimit { return .connections }
    return counters.heldBytes.value + Self.connectionBytes > limits.memoryBytes ? .memory : nil
  }

  /// - Parameters:
  ///   - client: what a PROXY header says; nil where the peer is the client.
  ///   - bytes: what came behind that header.
  private func open(
    _ socket: Socket, router: any Router, isTLS: Bool, client: SocketAddress? = nil,
    _ bytes: UnsafeRawBufferPointer? = nil
  ) {
    var key: NetworkAddress?
    if router === self, let rates = limits.rates, let address = client ?? socket.remoteAddress {
      key = connectionKey(of: address, rates)
      if let key, !server.addressLimits.open(key, rates) {
        clientClosed()
        return refuse(socket, .connectionsPerAddress, answers: !isTLS, client: client)
      }
    }
    if isTLS, let hosts = tls.hosts, let session = TLSSession(tls, hosts) { socket.add(session) }
    let connection = Connection(socket: socket, on: self, router: router, proxiedClient: client)
    registry[ObjectIdentifier(connection)] = connection
    if let key { addressKeys[ObjectIdentifier(connection)] = key }
    connection.open()
    // There is no certificate, or no memory for a session: never a plain connection instead.
    if isTLS, socket.layer == nil { return connection.abort() }
    guard let bytes, bytes.count > 0 else { return }
    if let layer = socket.layer {
      layer.socket(socket, didRead: bytes)
    } else {
      connection.socket(socket, didRead: bytes)
    }
  }

  /// The PROXY header of a connection is there: what follows is the client's own.
  func introduce(
    _ prelude: ProxyPrelude, _ socket: Socket, client: SocketAddress?, _ bytes: UnsafeRawBufferPointer
  ) {
    registry[ObjectIdentifier(prelude)] = nil
    open(socket, router: prelude.router, isTLS: prelude.isTLS, client: client, bytes)
  }

  /// A client speaks another protocol than the connection was made for.
  func replace(_ connection: any ClientConnection, by successor: any ClientConnection) {
    registry[ObjectIdentifier(connection)] = nil
    registry[ObjectIdentifier(successor)] = successor
    if let key = addressKeys.removeValue(forKey: ObjectIdentifier(connection)) {
      addressKeys[ObjectIdentifier(successor)] = key
    }
  }

  func connectionClosed(_ connection: any ClientConnection) {
    registry[ObjectIdentifier(connection)] = nil
    if !addressKeys.isEmpty, let key = addressKeys.removeValue(forKey: ObjectIdentifier(connection)) {
      server.addressLimits.close(key)
    }
    if connection.router === self { clientClosed() }
  }

  private func clientClosed() {
    clientCount -= 1
    counters.openConnections.subtract(1)
    counters.heldBytes.subtract(Self.connectionBytes)
    if isDraining, clientCount == 0 { server.loopDrained(loop) }
  }

  /// Makes every next answer the last one on its connection, and ends connections that stay idle for the grace time.
  func drain(graceMilliseconds: UInt64) {
    isDraining = true
    deadlines.shortenIdle(toMilliseconds: graceMilliseconds)
    for connection in Array(registry.values) where connection.router === self { connection.drain() }
    if clientCount == 0 { server.loopDrained(loop) }
  }

  func closeAll() {
    for connection in Array(registry.values) { connection.abort() }
  }

  /// The configuration changes over; what was made under the old one is forgotten.
  func apply(_ snapshot: Snapshot) {
    self.snapshot = snapshot
    tls.hosts = snapshot.tls
    head = RequestHead(limits: snapshot.configuration.server.limits.http)
    limits = LoopLimits(snapshot.configuration.server.limits, share: server.share)
    hot.removeAll()
    context.configurationChanged()
    hot.assemblyBudgetBytes = server.share(snapshot.configuration.server.limits.hotSegmentsBytes)
    // A drain that has begun meanwhile has its own.
    if !isDraining { deadlines.apply(snapshot.configuration.server.limits) }
  }

  // MARK: Answers

  /// Settles the identifier of the next answer. `fromHead` is false for heads that could not be parsed.
  func nameRequest(fromHead: Bool) {
    if fromHead, Self.copySound(head, into: &requestID) { return }
    requestIDs.make(into: &requestID)
  }

  /// Takes the client's own identifier if it is 1 to 128 characters that need no quoting anywhere.
  private static func copySound(_ head: borrowing RequestHead, into bytes: inout [UInt8]) -> Bool {
    guard let id = head.field(.xRequestID), id.count > 0, id.count <= 128 else { return false }
    for index in id.indices {
      switch id[index] {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x3A, 0x2B, 0x2F, 0x3D: continue
      default: return false
      }
    }
    bytes.removeAll(keepingCapacity: true)
    for index in id.indices { bytes.append(id[index]) }
    return true
  }

  func refreshDate() {
    let now = loop.wallSeconds
    if now == dateSeconds { return }
    dateSeconds = now
    dateLine = Array("Date: ".utf8) + HTTPDate.bytes(now) + [0x0D, 0x0A]
  }

  /// Tells the operator why an answer failed; the client has the same request id.
  func log(_ problem: Problem, _ site: Site?) {
    // Of refusals the log tells by limit, now and then: a line for each would cost more than the answers, and hold up the loop
    // for as long as whoever takes the log does.
    guard problem.code != Problem.overloaded.code else { return }
    server.logger.error(
      "\(problem.code): \(problem.cause ?? problem.detail)",
      metadata: [
        "request_id": "\(String(decoding: requestID, as: UTF8.self))", "site": "\(site?.name ?? "-")",
        "status": "\(problem.status)",
      ])
  }

  /// Answers a request from the hot table, or makes the answer.
  func answer(
    _ request: borrowing RequestHead, from client: () -> SocketAddress?, mayWait: Bool
  ) -> Answer {
    guard let site = snapshot.sites.site(for: request.host) else { return .problem(.unknownSite, nil) }
    if let wanted = site.clientAuthority, wanted != clientAuthority {
      return .problem(.clientCertificateRequired, site)
    }
    if let secret = site.originSecret, !secret.admits(request) {
      return .problem(.originSecretRequired, site)
    }
    switch request.method {
    case .get, .head: if APIRouter.owns(request.path) { return callAnswer(request, client, site, mayWait) }
    case .options where !site.api.answersOptions(of: request.path): return .preflight(site)
    case .connect, .trace: return .problem(.methodNotAllowed, site)
    default: return callAnswer(request, client, site, mayWait)
    }
    var grant: AccessGrant?
    for handler in site.pipeline.access {
      switch handler.check(request, from: client, in: site) {
      case .pass: continue
      case .grant(let given): grant = given
      case .refuse(let problem): return .problem(problem, site)
      case .awaiting(let work): return mayWait ? .awaiting(work) : .problem(.overloaded, site)
      }
    }
    if site.pipeline.writeName(of: request, to: &answerName) {
      let name = answerName
      return mediaAnswer(name.span, site, grant: grant, hasToken: grant != nil, mayWait: mayWait)
    }
    return mediaAnswer(request.path, site, grant: grant, hasToken: grant != nil, mayWait: mayWait)
  }

  /// What a path means to who has passed the access handlers.
  ///
  /// - Parameters:
  ///   - path: with the parameters that choose an answer, see `Pipeline.name`.
  ///   - grant: of the token that the request brought in its URL; travels on in manifests.
  ///   - hasToken: whether it brought one of any kind.
  func mediaAnswer(
    _ path: Span<UInt8>, _ site: Site, grant: AccessGrant?, hasToken: Bool, mayWait: Bool
  ) -> Answer {
    do throws(StoreError) {
      if hot.follow(try context.reader.renew()) { context.catalogMoved() }
    } catch {
      return .problem(Problem(error), site)
    }
    defer { context.reader.end() }
    let now = loop.wallSeconds
    // A clock that was set back would leave answers in the table whose Last-Modified lies in the future.
    if now < answeredSeconds { hot.removeAll() }
    answeredSeconds = now
    let number = site.answersNumber
    if let known = hot.representation(site: number, path: path, nowSeconds: now) {
      counters.hotHits.add(1)
      if let wish = hot.takeWish() { assemble(wish) }
      guard let grant else {
        return known.needsToken && !hasToken ? .problem(.assetPrivate, site) : .representation(known, site)
      }
      return .representation(known.copy(for: grant), site)
    }
    counters.hotMisses.add(1)
    context.begin(site, nowSeconds: now, mayWait: mayWait, hasToken: hasToken)
    do throws(Problem) {
      let answer = try make([UInt8](copying: path), site, number)
      guard grant != nil, case .representation(let made, let site) = answer else { return answer }
      return .representation(made.copy(for: grant), site)
    } catch {
      return .problem(error, site)
    }
  }

  /// A file was shorter than what had been made of it: forgets what is open, so that the next request sees what is there
  /// now, damaged or mended.
  func blobWasShort() { blobIsUnsound("a blob became shorter than it was while it was open: run scrub") }

  /// The same for bytes that are others than they were.
  func blobIsUnsound(_ detail: String) {
    hot.removeAll()
    context.catalogMoved()
    log(.damaged(detail), nil)
  }

  /// - Parameter number: the site's `answersNumber` when this began.
  private func make(_ path: [UInt8], _ site: Site, _ number: Int) throws(Problem) -> Answer {
    for locator in site.pipeline.locate {
      guard let target = locator.locate(path, in: site) else { continue }
      for handler in site.pipeline.content {
        switch try handler.content(for: target, in: context) {
        case .declined: continue
        case .representation(let made):
          hot.insert(made, site: number, path: path)
          return .representation(made, site)
        case .cold(let file, let offset, let count): return .cold(file, offset, count)
        case .awaiting(let work): return .awaiting(work)
        case .suspended(let work): return .suspended(site, keeping(work, number, path))
        }
      }
    }
    return .problem(.notFound, site)
  }

  /// Has a worker put a segment's parts together; without room for that the parts do.
  private func assemble(_ wish: HotTable.Wish) {
    let representation = wish.representation
    let assemble: @Sendable () -> Representation? = { Assembly.assemble(representation) }
    _ = server.workers.submit(assemble, on: loop) { assembled in
      guard let assembled else { return }
      self.counters.assembledSegments.add(1)
      self.hot.fulfil(wish, with: assembled)
    }
  }

  /// The same work, which hands a segment that is made again to the hot table. One made once is sent and forgotten, so that a
  /// single viewer does not drive out what many look at.
  private func keeping(
    _ work: @escaping @Sendable () async throws(Problem) -> Representation, _ number: Int, _ path: [UInt8]
  ) -> @Sendable () async throws(Problem) -> Representation {
    guard hot.isMadeAgain(site: number, path: path) else { return work }
    let owner = LoopBound(self, loop: loop)
    let transaction = hot.transaction
    let snapshot = snapshot
    return { () async throws(Problem) -> Representation in
      let made = try await work()
      owner.value.keep(made, number, path, madeAt: transaction, under: snapshot)
      return made
    }
  }

  /// Keeps an answer, unless catalog or configuration have changed since it was begun.
  private func keep(
    _ made: Representation, _ number: Int, _ path: [UInt8], madeAt transaction: UInt64,
    under snapshot: Snapshot
  ) {
    guard made.info.kind == .segment, hot.transaction == transaction, self.snapshot === snapshot,
      let wish = hot.insertForAssembly(made, site: number, path: path)
    else { return }
    assemble(wish)
  }
}

/// Identifiers of requests: 16 hex digits, different on every loop and after every start.
final class RequestIDs {
  private var next: UInt64

  init() { next = UInt64.random(in: .min ... .max) }

  func make(into bytes: inout [UInt8]) {
    next &+= 0x9E37_79B9_7F4A_7C15
    // The finaliser of SplitMix64: consecutive numbers look unrelated, and none repeats.
    var mixed = next
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    mixed ^= mixed >> 31
    bytes.removeAll(keepingCapacity: true)
    for shift in stride(from: 60, through: 0, by: -4) {
      let digit = UInt8(truncatingIfNeeded: mixed >> UInt64(shift)) & 15
      bytes.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
    }
  }
}

// One HTTP/1.1 connection
//
//            didRead                    head parsed                    last byte taken
//   idle ───────────────► reading head ─────────────► responding ───────────────────────┐
//    ▲                        │ error                  │  ▲                             │
//    │                        ▼                        ▼  │ worker done                 │
//    │                  answer, linger, close        waiting (cold bytes, suspended)    │
//    └──── (next pipelined head, or body to discard) ◄──────────────────────────────────┘
//
// An idle connection owns no buffer: bytes arrive in the loop's read buffer and are parsed there. Only
// what is left over when a response blocks, a head that came in parts, or the head of a request that
// waits, is kept in `pending`. While a response is being sent reading is off, so the client's own pace
// bounds what we hold. A request that had to wait is dispatched again from its kept head: answers are
// pure functions, so asking twice is the same as asking once.

import HTTP
import Loop
import Store

final class Connection: AnsweringConnection {
  enum State: UInt8 {
    case reading
    /// The body of a call of the API; see `Connection+Body.swift`.
    case receiving
    case responding
    case waiting
    case lingering
    case closed
  }

  /// After so many waits a request is answered even if a loop has to wait for the disk: memory is so short that what
  /// was read in is gone before it is used.
  private static let mostWaits: UInt8 = 8

  let socket: Socket
  private let proxiedClient: SocketAddress?
  let owner: OriginLoop
  let router: any Router
  var state = State.reading
  private var progress = ParseProgress()
  /// Bytes read and not yet used, oldest first.
  var pending: [UInt8] = []
  /// The body being sent; `Connection+Transfer.swift` carries it through its turns.
  var transfer: Transfer?
  var keepsAlive = true
  /// The client has said that this request is its last.
  var isLastOfClient = false
  /// A request body still to be thrown away before the next head.
  var body = DiscardedBody()
  /// The call whose body is read, or which is being answered.
  var reception: RequestReception?
  /// The answer being sent where that has no end; see `Connection+Events.swift`.
  var events: EventStream?
  private(set) var exchange: ExchangeRecord?
  /// Bytes of the answer being sent, its head included.
  var answerBytes: UInt64 = 0
  /// When the request being answered was dispatched first; 0 where nothing is logged.
  private var startedNanoseconds: UInt64 = 0
  /// How often the request has waited for the disk before there was an answer.
  private var waits: UInt8 = 0
  /// Answers begun on this connection.
  private var answers: UInt32 = 0
  /// What it holds beyond an idle connection, as the memory budget knows it.
  private var chargedBytes = 0
  let deadline = ConnectionDeadlines.Node()

  /// - Parameter proxiedClient: the client's address where a PROXY header has said it.
  init(socket: Socket, on owner: OriginLoop, router: any Router, proxiedClient: SocketAddress? = nil) {
    self.socket = socket
    self.proxiedClient = proxiedClient
    self.router = router
    self.owner = owner
    deadline.connection = self
  }

  func open() {
    owner.deadlines.arm(deadline, .header)
    socket.startReading(self)
    if socket.layer != nil { charge() }
  }

  // MARK: Reading

  func socket(_ socket: Socket, didRead bytes: UnsafeRawBufferPointer) {
    switch state {
    case .lingering, .closed: return
    case .waiting, .responding:
      pending.append(contentsOf: bytes)
      socket.stopReading()
      charge()
    case .reading:
      if pending.isEmpty {
        consume(bytes)
      } else {
        pending.append(contentsOf: bytes)
        consumePending()
      }
    case .receiving:
      receiveBody(bytes)
    }
  }

  func socketLayerIsReady(_ socket: Socket) {
    if (socket.layer as? TLSSession)?.speaksHTTP2 == true {
      becomeHTTP2(UnsafeRawBufferPointer(start: nil, count: 0))
    }
  }

  /// Leaves the socket to a connection of the other protocol, with what has been read of it.
  private func becomeHTTP2(_ bytes: UnsafeRawBufferPointer) {
    guard let successor = HTTP2Connection(socket, on: owner, router: router, proxiedClient: proxiedClient)
    else { return abort() }
    state = .closed
    letGo()
    owner.replace(self, by: successor)
    successor.open(bytes)
  }

  private func consumePending() {
    let bytes = pending
    pending = []
    bytes.withUnsafeBytes { consume($0) }
  }

  /// Uses bytes: discards bodies, parses heads, answers them, until something must wait.
  private func consume(_ bytes: UnsafeRawBufferPointer) {
    var rest = bytes
    var turn = owner.limits.pipeline
    while state == .reading, rest.count > 0 {
      guard body.skip(&rest) else { return finishAndClose() }
      if rest.count == 0 { break }
      switch owner.head.parse(rest, resuming: &progress) {
      case .incomplete:
        pending = Array(rest)
        owner.deadlines.armOnce(deadline, .header)
        return
      case .failed(let error):
        progress = ParseProgress()
        if answers == 0, HTTP2Connection.isPreface(rest) { return becomeHTTP2(rest) }
        keepsAlive = false
        owner.counters.badRequests.add(1)
        owner.nameRequest(fromHead: false)
        respond(problem: Problem(error), site: nil, isHead: false)
        return
      case .complete(let count):
        progress = ParseProgress()
        let head = UnsafeRawBufferPointer(rebasing: rest[..<count])
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        dispatch(head, rest)
        turn -= 1
        if turn == 0, state == .reading, rest.count > 0 { return postpone(rest) }
      }
    }
    if state == .receiving {
      if rest.count > 0 { receiveBody(rest) }
    } else if state == .reading, rest.count == 0, transfer == nil {
      if body.isOver {
        owner.deadlines.arm(deadline, .idle)
      } else {
        // In the middle of a body that is thrown away, which gets no more time than a head, however it trickles.
        owner.deadlines.armOnce(deadline, .header)
      }
    } else if state != .closed, state != .lingering, rest.count > 0 {
      pending.append(contentsOf: rest)
      socket.stopReading()
    }
  }

  /// Other connections have their turn before the rest of a long pipeline, which is left unread meanwhile.
  private func postpone(_ rest: UnsafeRawBufferPointer) {
    wait(keeping: rest)
    owner.loop.schedule(afterMilliseconds: 0) { self.takeUpPipeline() }
  }

  // MARK: Answering

  var peerAddress: SocketAddress? { proxiedClient ?? socket.remoteAddress }

  private func dispatch(_ bytes: UnsafeRawBufferPointer, _ rest: UnsafeRawBufferPointer) {
    prepareBody()
    owner.nameRequest(fromHead: true)
    if startedNanoseconds == 0, owner.snapshot.logsExchanges {
      startedNanoseconds = ExchangeRecord.monotonicNanoseconds()
    }
    switch answer(isFirst: waits == 0, mayWait: waits < Self.mostWaits) {
    case .representation(let representation, _) where owner.lacksWorkers(for: representation):
      refuseForWorkers()
    case .representation(let representation, let site):
      respond(representation, site: site)
    case .problem(let problem, let site):
      respond(problem: problem, site: site, isHead: owner.head.method == .head)
    case .preflight(let site):
      respondPreflight(site)
    case .cold where owner.lacksWorkers: refuseForWorkers()
    case .cold(let file, let offset, let count):
      waits += 1
      wait(keeping: bytes)
      if !owner.populate(file, offset, count, then: { _ in self.retry() }) {
        state = .reading
        pending = []
        refuseForWorkers()
      }
    case .awaiting(let work):
      waits += 1
      wait(keeping: bytes)
      owner.run(work) { self.retry() }
    case .suspended(let site, let work):
      wait(keeping: bytes)
      // One that has ended meanwhile is closed, and does nothing with it.
      owner.run(work) { self.resume($0, site) }
    case .call(let call):
      receive(call, head: bytes)
    }
  }

  private func refuseForWorkers() {
    owner.note(.workers, of: clientAddress)
    respond(problem: .overloaded, site: nil, isHead: owner.head.method == .head)
  }

  /// Whether the request that is parsed may be followed by another.
  var mayKeepAlive: Bool {
    owner.head.keepAlive && !owner.isDraining && answers + 1 < owner.limits.requestsPerConnection
  }

  /// What the head says about its body, and about the connection after it.
  private func prepareBody() {
    isLastOfClient = !owner.head.keepAlive
    keepsAlive = mayKeepAlive
    body = DiscardedBody(of: owner.head)
    // A client that waits for 100 Continue may send its body or not once it has the final status: the
    // next head could not be told from the body.
    if body.isTooLong || (owner.head.expectsContinue && !body.isOver) { keepsAlive = false }
    owner.deadlines.cancel(deadline)
  }

  private func wait(keeping bytes: UnsafeRawBufferPointer) {
    state = .waiting
    pending = Array(bytes)
    socket.stopReading()
    charge()
  }

  /// Has the memory budget know what the connection holds while it waits.
  func charge() {
    var held = 0
    if state != .closed {
      held = pending.count + (transfer?.ownedBytes ?? 0) + OriginLoop.layerBytes(of: socket)
      if let reception { held += reception.heldBytes }
    }
    owner.charge(held, insteadOf: &chargedBytes)
  }

  /// Dispatches the kept head again.
  private func retry() {
    body = DiscardedBody()
    takeUpPipeline()
  }

  /// Goes on with what was read and not yet used.
  private func takeUpPipeline() {
    guard state == .waiting else { return }
    state = .reading
    consumePending()
    resumeReadingIfIdle()
  }

  /// A suspended request has its answer: parse the kept head again and send it.
  private func resume(_ result: Result<Representation, Problem>, _ site: Site) {
    guard state == .waiting else { return }
    state = .reading
    let bytes = pending
    pending = []
    bytes.withUnsafeBytes { bytes in
      guard case .complete(let count) = owner.head.parse(bytes, resuming: &progress) else {
        return abort()
      }
      progress = ParseProgress()
      prepareBody()
      owner.nameRequest(fromHead: true)
      switch result {
      case .success(let representation): respond(representation, site: site)
      case .failure(let problem): respond(problem: problem, site: site, isHead: owner.head.method == .head)
      }
      let rest = UnsafeRawBufferPointer(rebasing: bytes[count...])
      if rest.count > 0 { consume(rest) }
    }
    resumeReadingIfIdle()
  }

  private func resumeReadingIfIdle() {
    guard state == .reading else { return }
    socket.startReading(self)
    if pending.isEmpty { owner.deadlines.arm(deadline, .idle) }
  }

  // MARK: Sending

  private func respond(_ representation: Representation, site: Site?) {
    let plan = ResponsePlan(
      representation, owner.head, nowSeconds: owner.loop.wallSeconds, limits: owner.head.limits)
    switch plan.outcome {
    case .problem(let problem):
      respond(problem: problem, site: site, isHead: owner.head.method == .head, representation)
      return
    case .head, .body: break
    }
    begin(site, status: plan.status, kind: representation.info.kind)
    let writer = ResponseWriter(owner, keepsAlive: keepsAlive, exchange: exchange)
    let headBytes = writer.write(plan, representation)
    if case .body(let body) = plan.outcome {
      send(headBytes, body)
    } else {
      send(headBytes)
    }
  }

  func respond(problem: Problem, site: Site?, isHead: Bool, _ about: Representation? = nil) {
    if problem.closesConnection { keepsAlive = false }
    if problem.status >= 500 { owner.log(problem, site) }
    begin(site, status: problem.status, kind: .error)
    let body = isHead ? [] : problem.body
    let writer = ResponseWriter(owner, keepsAlive: keepsAlive, exchange: exchange)
    send(writer.write(problem, bodyBytes: problem.body, site: site, about), ResponseBody(bytes: body))
  }

  private func respondPreflight(_ site: Site) {
    begin(site, status: 204, kind: .file)
    let writer = ResponseWriter(owner, keepsAlive: keepsAlive, exchange: exchange)
    send(writer.writePreflight(site))
  }

  func begin(_ site: Site?, status: UInt16, kind: AnswerKind) {
    waits = 0
    answers &+= 1
    owner.refreshDate()
    owner.counters.count(status: status)
    state = .responding
    if owner.snapshot.accessLog != nil || site?.pipeline.wantsRecord(of: owner.head) == true {
      exchange = ExchangeRecord(
        self, speaking: 1, site, status: status, kind: kind, startedNanoseconds: startedNanoseconds)
      startedNanoseconds = 0
    } else {
      exchange = nil
    }
  }

  /// - Parameter headBytes: the head's bytes in the output buffer; nil when a plugin's fields do not fit there.
  func send(_ headBytes: Int?, _ body: ResponseBody = ResponseBody(bytes: [])) {
    guard let headBytes else {
      owner.log(.headTooLarge, nil)
      return abort()
    }
    let head = UnsafeRawBufferPointer(rebasing: owner.output[..<headBytes])
    answerBytes = UInt64(headBytes) + body.lengthBytes
    owner.counters.sentBytes.add(answerBytes)
    // Head and small body in one write, out of the loop's own buffer.
    if body.lengthBytes <= UInt64(ResponseBody.smallBytes),
      let count = body.copySmall(into: owner.output, after: headBytes)
    {
      let whole = UnsafeRawBufferPointer(rebasing: owner.output[..<(headBytes + count)])
      switch socket.send(whole, more: false) {
      case .sent(whole.count) where !socket.hasBacklog: return finish()
      case .sent(let sent):
        return startTransfer(Transfer(rest: whole, from: sent, residency: owner.residency))
      case .wouldBlock: return startTransfer(Transfer(rest: whole, from: 0, residency: owner.residency))
      case .failed: return abort()
      }
    }
    let transfer = Transfer(
      slices: body.slices, lengthBytes: body.lengthBytes, connections: owner.clientCount,
      residency: owner.residency)
    self.transfer = transfer
    continueTransfer(transfer.start(head, on: socket, owner.vectors))
  }

  /// The last byte of an answer was taken by the kernel.
  func finish() {
    if let exchange {
      exchange.finish(owner, sentBytes: answerBytes, isComplete: true)
      self.exchange = nil
    }
    if chargedBytes > 0 { charge() }
    guard keepsAlive, state == .responding else { return finishAndClose() }
    state = .reading
    if !pending.isEmpty {
      // Pipelined requests arrived while the answer was blocked. Taken up in a later turn, so that a
      // long pipeline neither deepens the stack nor keeps the loop.
      state = .waiting
      owner.loop.later { self.takeUpPipeline() }
    } else if !socket.isReading {
      socket.startReading(self)
      owner.deadlines.arm(deadline, .idle)
    }
  }

  // MARK: Ending

  /// Half-closes and reads on for a while, so that the client gets the answer before a reset could
  /// overtake it (RFC 9112 §9.6).
  private func finishAndClose() {
    guard state != .closed, state != .lingering else { return }
    state = .lingering
    owner.deadlines.cancel(deadline)
    // Nothing is on its way that could make the kernel reset the connection under the answer.
    let isQuiet = isLastOfClient && body.isOver && pending.isEmpty
    pending = []
    if isQuiet { socket.closeAfterLastRequest() } else { socket.closeLingering() }
  }

  /// Gives an idle connection the drain's grace time for its last request. Whatever the connection is at, the client has not
  /// been told yet that it ends, and may be about to use it.
  func drain() {
    if deadline.isQueued, deadline.timeoutClass == ConnectionDeadlines.Kind.idle.timeoutClass {
      owner.deadlines.arm(deadline, .idle)
    }
  }

  func abort() {
    guard state != .closed else { return }
    state = .closed
    if let exchange {
      let sentBytes = events == nil ? transfer?.sentBytes ?? 0 : answerBytes
      exchange.finish(owner, sentBytes: sentBytes, isComplete: false)
      self.exchange = nil
    }
    transfer = nil
    reception = nil
    endEvents()
    owner.deadlines.cancel(deadline)
    socket.close()
  }

  func deadlineExpired(_ kind: ConnectionDeadlines.Kind) {
    switch kind {
    case _ where state == .receiving:
      owner.counters.timeouts.add(1)
      bodyFailed(.bodyTimeout)
    case .header where state == .reading && !pending.isEmpty:
      keepsAlive = false
      owner.counters.timeouts.add(1)
      progress = ParseProgress()
      owner.nameRequest(fromHead: false)
      respond(problem: .requestTimeout, site: nil, isHead: false)
    case .header, .idle:
      finishAndClose()
    case .send:
      owner.counters.timeouts.add(1)
      abort()
    }
  }

  func socketDidReachEnd(_ socket: Socket) {
    switch state {
    case .reading where socket.layer == nil: abort()  // Nobody has a goodbye to say.
    case .reading: finishAndClose()
    case .receiving: bodyFailed(.bodyIncomplete)
    case .responding where events != nil: abort()
    case .responding, .waiting: keepsAlive = false
    case .lingering, .closed: break
    }
  }

  func socket(_ socket: Socket, didFail errno: Int32) { abort() }

  func socketDidClose(_ socket: Socket) {
    state = .closed
    letGo()
    owner.connectionClosed(self)
  }

  private func letGo() {
    transfer = nil
    reception = nil
    endEvents()
    pending = []
    if chargedBytes > 0 { charge() }
    owner.deadlines.cancel(deadline)
    // The two refer to each other.
    deadline.connection = nil
  }
}

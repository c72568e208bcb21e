// A call of the API on an HTTP/1.1 connection: its body is read, the route answers, and the kept head is parsed once more so
// that the answer knows what it answers.

import HTTP
import Loop

extension Connection: BodyReceiver {
  private static let goOn = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)

  /// Takes up a call whose head has just been parsed.
  func receive(_ call: APICall, head: UnsafeRawBufferPointer) {
    var framing: IncomingBody?
    if case .none = call.route.body {
    } else {
      framing = IncomingBody(of: owner.head)
      body = DiscardedBody()
      keepsAlive = mayKeepAlive
    }
    let reception = RequestReception(call, head: Array(head), framing: framing, for: self, on: owner)
    self.reception = reception
    guard let framing, !framing.isOver else {
      reception.end()
      return completeBody()
    }
    state = .receiving
    if owner.head.expectsContinue {
      guard case .sent(Self.goOn.count) = Self.goOn.withUnsafeBytes({ socket.send($0, more: false) }) else {
        return abort()
      }
    }
    owner.deadlines.arm(deadline, reception.isStreamed ? .send : .header)
    charge()
  }

  /// Takes what has come of the body; what is behind it waits.
  func receiveBody(_ bytes: UnsafeRawBufferPointer) {
    guard let reception else { return }
    var rest = bytes
    let before = reception.totalBytes
    switch reception.take(&rest) {
    case .more:
      if reception.isStreamed, Self.hasProgressed(from: before, to: reception.totalBytes) {
        owner.deadlines.arm(deadline, .send)
      }
      charge()
    case .full:
      // Nobody expects anything of the client meanwhile.
      owner.deadlines.cancel(deadline)
      socket.stopReading()
      charge()
    case .over:
      pending = Array(rest)
      completeBody()
    case .failed(let problem):
      bodyFailed(problem)
    }
  }

  private static func hasProgressed(from before: UInt64, to now: UInt64) -> Bool {
    before / UInt64(RequestReception.progressBytes) != now / UInt64(RequestReception.progressBytes)
  }

  private func completeBody() {
    state = .waiting
    owner.deadlines.cancel(deadline)
    socket.stopReading()
    charge()
    if reception?.isComplete == true { bodyIsComplete() }
  }

  func bodyHasRoom() {
    guard state == .receiving else { return }
    owner.deadlines.arm(deadline, .send)
    socket.startReading(self)
    charge()
  }

  func bodyIsComplete() {
    guard state == .waiting, let reception else { return }
    owner.run(reception.call, reception.body) { self.answer($0) }
  }

  /// Answers early: what is still to come of the body is not waited for.
  func bodyFailed(_ problem: Problem) {
    guard state == .receiving || state == .waiting, reception != nil else { return }
    var problem = problem.unstored
    problem.closesConnection = true
    // The rest of the body may be on its way.
    isLastOfClient = false
    answer(.failure(problem))
  }

  private func answer(_ result: Result<APIReply, Problem>) {
    // One that has ended meanwhile does nothing with it.
    guard state == .receiving || state == .waiting, let reception else { return }
    self.reception = nil
    let site = reception.call.request.site
    reception.head.withUnsafeBytes { head in
      var progress = ParseProgress()
      guard case .complete = owner.head.parse(head, resuming: &progress) else { return abort() }
      keepsAlive = keepsAlive && mayKeepAlive
      owner.nameRequest(fromHead: true)
      switch result {
      case .success(let reply): respond(reply, site: site)
      case .failure(let problem): respond(problem: problem, site: site, isHead: owner.head.method == .head)
      }
    }
  }

  private func respond(_ reply: APIReply, site: Site) {
    if let events = reply.events {
      guard owner.eventStreams < EventStream.mostOfLoop else {
        return respond(
          problem: Problem.tooManyStreams.unstored, site: site, isHead: owner.head.method == .head)
      }
      return respond(reply, events: events, site: site)
    }
    begin(site, status: reply.status, kind: .api)
    let writer = ResponseWriter(owner, keepsAlive: keepsAlive, exchange: exchange)
    send(
      writer.write(reply, site: site),
      ResponseBody(bytes: owner.head.method == .head ? [] : reply.body))
  }
}

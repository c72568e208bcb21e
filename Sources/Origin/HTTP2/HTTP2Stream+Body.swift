// A call of the API on an HTTP/2 stream: as `Connection+Body.swift`, but frames tell where the body ends, and windows slow
// the client down.

import HTTP
import Loop

extension HTTP2Stream: BodyReceiver {
  /// Takes up a call whose head has just been read.
  func receive(_ call: APICall) {
    let reception = RequestReception(call, framing: nil, for: self, on: owner)
    self.reception = reception
    if case .none = call.route.body { return endBody() }
    if isRequestOver { return endBody() }
    if owner.head.expectsContinue { connection.sendContinue(id) }
  }

  /// A piece of the body. Returns how many bytes of the client's window may be given back at once.
  func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let reception else { return bytes.count }
    let before = reception.totalBytes
    if let problem = reception.add(bytes) {
      bodyFailed(problem)
      return bytes.count
    }
    let pieceBytes = UInt64(RequestReception.progressBytes)
    if reception.isStreamed, before / pieceBytes != reception.totalBytes / pieceBytes { noteProgress() }
    guard reception.wantsPause else { return bytes.count }
    withheldBytes += bytes.count
    return 0
  }

  /// The client has sent all of it.
  func endBody() {
    guard let reception, reception.end() else { return }
    if reception.isComplete { bodyIsComplete() }
  }

  func bodyHasRoom() {
    guard !isClosed else { return }
    noteProgress()
    connection.giveBack(withheldBytes, of: id)
    withheldBytes = 0
    connection.flush()
  }

  func bodyIsComplete() {
    guard !isClosed, let reception else { return }
    owner.run(reception.call, reception.body) { self.answer($0) }
  }

  func bodyFailed(_ problem: Problem) { answer(.failure(problem.unstored)) }

  private func answer(_ result: Result<APIReply, Problem>) {
    guard !isClosed, let reception else { return }
    self.reception = nil
    let site = reception.call.request.site
    withHead {
      switch result {
      case .success(let reply) where reply.events != nil && owner.eventStreams >= EventStream.mostOfLoop:
        respond(Problem.tooManyStreams.unstored, site)
      case .success(let reply):
        if let events = reply.events { return respond(reply, events: events, site: site) }
        begin(site, status: reply.status, kind: .api)
        let isHead = owner.head.method == .head
        submit(writer.write(reply, site: site), ResponseBody(bytes: isHead ? [] : reply.body))
      case .failure(let problem): respond(problem, site)
      }
    }
    connection.flush()
  }
}

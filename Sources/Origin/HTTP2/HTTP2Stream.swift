// One request and its answer on an HTTP/2 connection
//
//   fields ──► dispatch ──► responding ──► closed
//                 │ ▲            │ ▲
//                 ▼ │ worker,    ▼ │ worker
//               waiting  task   waiting (cold bytes, a part yet to be made)
//
// The same router, representation, plan and head as for HTTP/1.1. The body is not sent but asked for: nghttp2 says how many
// bytes of a stream the windows and the priorities let go now, and the stream says how many of them are in memory.

internal import CNGHTTP2
import HTTP
import Loop
import Store

final class HTTP2Stream {
  /// As for HTTP/1.1: after so many waits the loop waits for the disk.
  private static let mostWaits: UInt8 = 8

  let id: Int32
  let connection: HTTP2Connection
  var fields: FieldBlock
  private var body: BodyCursor
  /// Bytes of the body that have not been handed over.
  private var leftBytes: UInt64 = 0
  private var exchange: ExchangeRecord?
  private var startedNanoseconds: UInt64 = 0
  private var waits: UInt8 = 0
  /// Frames of the answer, their headers included.
  private var sentBytes: UInt64 = 0
  /// Bytes that were made for this answer alone.
  private(set) var suppliedBytes = 0
  /// Bytes of the request's body, which nobody wants.
  var receivedBytes = 0
  /// Whether the client has sent all of its request.
  var isRequestOver = false
  /// The call whose body is read, or which is being answered; see `HTTP2Stream+Body.swift`.
  var reception: RequestReception?
  /// The answer where that has no end; see `HTTP2Stream+Events.swift`.
  var events: HTTP2EventBody?
  /// Bytes that were received and that the client's windows have not been given back.
  var withheldBytes = 0
  /// Whether the last frame of the answer has been sent.
  var isAnswered = false
  /// Closed streams do nothing with what workers bring.
  private(set) var isClosed = false
  /// When the client last took something, or could not because we were at it.
  private(set) var progressMilliseconds: UInt64

  var owner: OriginLoop { connection.owner }

  init(id: Int32, on connection: HTTP2Connection) {
    self.id = id
    self.connection = connection
    fields = FieldBlock(limits: connection.owner.head.limits)
    body = BodyCursor([], residency: connection.owner.residency)
    progressMilliseconds = connection.owner.loop.nowMilliseconds
  }

  // MARK: Answering

  /// The head is complete: answers it, or has something done first.
  func dispatch() {
    guard !isClosed else { return }
    if startedNanoseconds == 0, owner.snapshot.logsExchanges {
      startedNanoseconds = ExchangeRecord.monotonicNanoseconds()
    }
    withHead {
      switch connection.answer(isFirst: waits == 0, mayWait: waits < Self.mostWaits) {
      case .representation(let representation, _) where owner.lacksWorkers(for: representation): refuse()
      case .representation(let representation, let site): respond(representation, site)
      case .problem(let problem, let site): respond(problem, site)
      case .preflight(let site):
        begin(site, status: 204, kind: .file)
        submit(writer.writePreflight(site), ResponseBody(bytes: []))
      case .cold where owner.lacksWorkers: refuse()
      case .cold(let file, let offset, let count):
        waits += 1
        let isAccepted = owner.populate(file, offset, count) { _ in self.retry() }
        if !isAccepted { refuse() }
      case .awaiting(let work):
        waits += 1
        owner.run(work) { self.retry() }
      case .suspended(let site, let work):
        owner.run(work) { self.resume($0, site) }
      case .call(let call):
        receive(call)
      }
    }
  }

  /// Reads the head from the kept fields, and answers what is wrong with it.
  func withHead(_ body: () -> Void) {
    let fields = fields
    fields.bytes.withUnsafeBytes { raw in
      do throws(RequestError) {
        try owner.head.read(fields, in: raw)
      } catch {
        owner.counters.badRequests.add(1)
        owner.nameRequest(fromHead: false)
        return respond(Problem(error), nil)
      }
      owner.nameRequest(fromHead: true)
      body()
    }
  }

  private func retry() {
    dispatch()
    connection.flush()
  }

  private func resume(_ result: Result<Representation, Problem>, _ site: Site) {
    guard !isClosed else { return }
    withHead {
      switch result {
      case .success(let representation): respond(representation, site)
      case .failure(let problem): respond(problem, site)
      }
    }
    connection.flush()
  }

  var writer: ResponseWriter { ResponseWriter(owner, keepsAlive: true, exchange: exchange) }

  private func respond(_ representation: Representation, _ site: Site?) {
    let plan = ResponsePlan(
      representation, owner.head, nowSeconds: owner.loop.wallSeconds, limits: owner.head.limits)
    if case .problem(let problem) = plan.outcome { return respond(problem, site, about: representation) }
    begin(site, status: plan.status, kind: representation.info.kind)
    var body = ResponseBody(bytes: [])
    if case .body(let wanted) = plan.outcome { body = wanted }
    submit(writer.write(plan, representation), body)
  }

  func respond(_ problem: Problem, _ site: Site?, about representation: Representation? = nil) {
    if problem.status >= 500 { owner.log(problem, site) }
    begin(site, status: problem.status, kind: .error)
    let bytes = problem.body
    submit(
      writer.write(problem, bodyBytes: bytes, site: site, representation),
      ResponseBody(bytes: owner.head.method == .head ? [] : bytes))
  }

  func begin(_ site: Site?, status: UInt16, kind: AnswerKind) {
    owner.refreshDate()
    owner.counters.count(status: status)
    if owner.snapshot.accessLog != nil || site?.pipeline.wantsRecord(of: owner.head) == true {
      exchange = ExchangeRecord(
        connection, speaking: 2, site, status: status, kind: kind, startedNanoseconds: startedNanoseconds)
    }
  }

  /// - Parameter headBytes: the head's bytes in the output buffer; nil when a plugin's fields do not fit there.
  func submit(_ headBytes: Int?, _ body: ResponseBody) {
    guard let headBytes else {
      owner.log(.headTooLarge, nil)
      return connection.reset(self, NGHTTP2_INTERNAL_ERROR)
    }
    // What the client asked with is not needed any more.
    fields = FieldBlock(limits: owner.head.limits)
    progressMilliseconds = owner.loop.nowMilliseconds
    let head = UnsafeMutableRawBufferPointer(rebasing: owner.output[..<headBytes])
    leftBytes = body.lengthBytes
    self.body = BodyCursor(body.slices, residency: owner.residency)
    connection.respond(self, head, hasBody: body.lengthBytes > 0 || events != nil)
  }

  /// Too much waits for workers.
  private func refuse() {
    owner.note(.workers, of: connection.clientAddress)
    respond(.overloaded, nil)
  }

  // MARK: The body

  /// How many of the next bytes can be sent at once; nil while workers are at them.
  ///
  /// - Returns: 0 only at the end; a negative number where the body can't go on.
  func readyBytes(upTo limit: Int) -> Int? {
    if let events { return readyEventBytes(of: events, upTo: limit) }
    switch body.ready(upTo: limit) {
    case .bytes(let count): return count
    case .cold(let file, let offset, let count):
      let isAccepted = owner.populate(file, offset, count) { isSound in
        isSound ? self.resumeBody() : self.breakOff()
      }
      return isAccepted ? nil : -1
    case .unmade(let deferred):
      return owner.make(deferred) { self.supply($0) } ? nil : -1
    }
  }

  /// Whether all of the answer has been handed over.
  var isAtEnd: Bool { leftBytes == 0 }

  /// Whether this many bytes are the rest of the body.
  func endsWith(_ count: Int) -> Bool { leftBytes == UInt64(count) }

  /// Copies bytes that were said to be ready. False where the file has become shorter.
  func take(into buffer: UnsafeMutableRawBufferPointer) -> Bool {
    progressMilliseconds = owner.loop.nowMilliseconds
    if let events {
      takeEventBytes(of: events, into: buffer)
      return true
    }
    guard body.take(into: buffer) else {
      owner.blobWasShort()
      return false
    }
    leftBytes -= UInt64(buffer.count)
    return true
  }

  private func resumeBody() {
    guard !isClosed else { return }
    progressMilliseconds = owner.loop.nowMilliseconds
    connection.resume(self)
  }

  private func supply(_ made: Result<[BodySlice], Problem>) {
    guard !isClosed else { return }
    switch made {
    case .success(let slices) where body.supply(slices) != nil:
      suppliedBytes = slices.reduce(0) { count, slice in
        guard case .bytes(let bytes) = slice.source else { return count }
        return count + bytes.count
      }
      return resumeBody()
    case .success:
      owner.log(.damaged("a part of the body was made with another length than promised"), nil)
    case .failure(let problem): owner.log(problem, nil)
    }
    breakOff()
  }

  /// What is left can't be sent.
  private func breakOff() {
    guard !isClosed else { return }
    connection.reset(self, NGHTTP2_INTERNAL_ERROR)
    connection.flush()
  }

  /// A stream: nghttp2's, ours, and its fields.
  private static let ownBytes = 2 << 10

  /// What the memory budget is to know.
  var heldBytes: Int { Self.ownBytes + suppliedBytes + (reception?.heldBytes ?? 0) }

  func noteProgress() { progressMilliseconds = owner.loop.nowMilliseconds }

  // MARK: Ending

  func sent(frameBytes: Int) {
    sentBytes += UInt64(frameBytes)
    owner.counters.sentBytes.add(UInt64(frameBytes))
  }

  /// - Parameter isComplete: whether the client has been sent all of the answer.
  func close(isComplete: Bool) {
    isClosed = true
    exchange?.finish(owner, sentBytes: sentBytes, isComplete: isComplete)
    exchange = nil
    reception = nil
    events?.source.end()
    events = nil
    body = BodyCursor([], residency: owner.residency)
  }
}

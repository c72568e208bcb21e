// One HTTP/2 connection (RFC 9113), by nghttp2
//
//   socket ──► nghttp2_session_mem_recv ──► callbacks ──► streams: answer at once, or wait
//   streams ──► nghttp2_session_mem_send ──► the loop's frame buffer (64 KiB) ──► one send
//
// nghttp2 knows frames, HPACK, stream states, windows and priorities (RFC 9218); it neither reads nor sends. Of DATA it writes
// no byte: it asks how many may go, and the bytes are read from the page cache straight to their place behind the frame's
// header. Nothing of a body is held but what the kernel has not taken of one buffer, so a client's windows and its socket
// pace the reading of files.
//
// What one connection may do is bounded: streams at a time and requests in all (`limits.http2_…`), sizes of heads, and what
// `HTTP2Allowance` counts.

internal import CNGHTTP2
import HTTP
import Logging
import Loop

final class HTTP2Connection: AnsweringConnection {
  /// A block of fields that goes on after so many times its limit is an attack.
  static let abusiveBlockFactor = 8
  private static let turnBytes = Transfer.turnBytes
  /// After the word that no more requests are wanted, those under way still arrive.
  private static let drainMilliseconds: UInt64 = 1000

  let socket: Socket
  let owner: OriginLoop
  let router: any Router
  private let proxiedClient: SocketAddress?
  private let deadline = ConnectionDeadlines.Node()
  // Freed with this object, which is what nghttp2's callbacks are given.
  private(set) var session: OpaquePointer?
  private var streams: [Int32: HTTP2Stream] = [:]
  /// The stream whose fields are being received.
  private var receiving: HTTP2Stream?
  private var allowance: HTTP2Allowance
  /// Requests before the client is asked to open another connection.
  private let requestLimit: Int
  /// The streams that were opened, in their order, which is that of their numbers; at most `requestLimit`.
  private var opened: [Int32] = []
  /// Streams that we have reset while the client may still have been sending.
  private var resetEarly: Set<Int32> = []
  /// Why the connection ends, once it must.
  private var violation: Violation?

  /// What a client does that nghttp2 lets pass.
  private struct Violation {
    let code: nghttp2_error_code
    let reason: String
  }
  /// What a full socket has left over.
  private var unsent: [UInt8] = []
  /// What the memory budget knows of.
  private var chargedBytes = 0
  private var isInSession = false
  private var isClosing = false
  private var isDraining = false

  /// Takes over a socket whose client speaks HTTP/2. Nil where memory is out.
  ///
  /// - Parameter proxiedClient: the client's address where a PROXY header has said it.
  init?(_ socket: Socket, on owner: OriginLoop, router: any Router, proxiedClient: SocketAddress?) {
    self.socket = socket
    self.proxiedClient = proxiedClient
    self.owner = owner
    self.router = router
    allowance = HTTP2Allowance(nowMilliseconds: owner.loop.nowMilliseconds)
    requestLimit = owner.limits.http2Requests
    let me = Unmanaged.passUnretained(self).toOpaque()
    guard nghttp2_session_server_new2(&session, http2Callbacks, me, http2Options) == 0 else { return nil }
    deadline.connection = self
    let limits = owner.head.limits
    var settings = [
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
        value: owner.limits.http2Streams),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
        value: UInt32(limits.headerBlockBytes)),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES.rawValue), value: 1),
    ]
    nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), &settings, settings.count)
  }

  deinit { nghttp2_session_del(session) }

  /// Whether bytes begin as a client's preface does (RFC 9113 §3.4); nghttp2 looks at the rest of it.
  static func isPreface(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.starts(with: "PRI * HTTP/2.0\r\n".utf8)
  }

  /// - Parameter bytes: what the client has sent already.
  func open(_ bytes: UnsafeRawBufferPointer) {
    owner.counters.http2Connections.add(1)
    socket.startReading(self)
    if bytes.count > 0 { socket(socket, didRead: bytes) } else { flush() }
    // A drain that has begun meanwhile has not seen this connection.
    if owner.isDraining { drain() }
  }

  // MARK: Reading

  func socket(_ socket: Socket, didRead bytes: UnsafeRawBufferPointer) {
    guard !isClosing else { return }
    isInSession = true
    let count = nghttp2_session_mem_recv(
      session, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
    isInSession = false
    if violation != nil {
      endViolation()
    } else if count < 0 {
      // A preface that is none, frames that flood; nghttp2 has said what it has to say.
      owner.counters.badRequests.add(1)
      terminate(NGHTTP2_PROTOCOL_ERROR)
    } else {
      flush()
    }
  }

  /// Without the client's word no window opens any more: what is not sent can't be (RFC 9113 §9.1 has no half-closed connection).
  func socketDidReachEnd(_ socket: Socket) { finish() }

  func socket(_ socket: Socket, didFail errno: Int32) { abort() }

  // MARK: For the callbacks

  func beganFrame(type: UInt8, flags: UInt8, length: Int, of id: Int32) {
    let now = owner.loop.nowMilliseconds
    switch UInt32(type) {
    case NGHTTP2_HEADERS.rawValue: return checkOrder(of: id)
    case NGHTTP2_RST_STREAM.rawValue:
      if !allowance.takeReset(nowMilliseconds: now) { abuse("too many streams were reset") }
    case NGHTTP2_PRIORITY.rawValue where id == 0:
      violation = Violation(code: NGHTTP2_PROTOCOL_ERROR, reason: "PRIORITY of the connection")
    case NGHTTP2_DATA.rawValue where length >= 64 || flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0:
      return
    default:
      if !allowance.takeFrame(nowMilliseconds: now) { abuse("too many frames that ask for nothing") }
    }
  }

  /// HEADERS of a stream that was passed over, or that has ended for both (RFC 9113 §5.1, §5.1.1). Trailers that cross our
  /// own reset are none of these.
  private func checkOrder(of id: Int32) {
    guard let last = opened.last, id <= last, streams[id] == nil, !resetEarly.contains(id) else { return }
    var (lower, upper) = (0, opened.count)
    while lower < upper {
      let middle = (lower + upper) / 2
      if opened[middle] < id { lower = middle + 1 } else { upper = middle }
    }
    violation =
      opened[lower] == id
      ? Violation(code: NGHTTP2_STREAM_CLOSED, reason: "fields on a closed stream")
      : Violation(code: NGHTTP2_PROTOCOL_ERROR, reason: "a stream below the last")
  }

  private func abuse(_ reason: String) {
    violation = violation ?? Violation(code: NGHTTP2_ENHANCE_YOUR_CALM, reason: reason)
  }

  func beganFields(of id: Int32) {
    guard violation == nil else { return }
    let stream = HTTP2Stream(id: id, on: self)
    receiving = stream
    streams[id] = stream
    opened.append(id)
    if opened.count == requestLimit {
      nghttp2_submit_goaway(
        session, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, UInt32(NGHTTP2_NO_ERROR.rawValue), nil, 0)
    }
  }

  func received(
    name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>, of id: Int32
  ) {
    guard let receiving, receiving.id == id else { return }
    receiving.fields.append(name: name, value: value)
    let limits = owner.head.limits
    if receiving.fields.totalBytes > Self.abusiveBlockFactor
      * (limits.headerBlockBytes + limits.requestLineBytes)
    {
      abuse("a block of fields far beyond its limit")
    }
  }

  func receivedFields(of id: Int32, isLast: Bool) {
    guard let stream = receiving, stream.id == id else { return }
    receiving = nil
    stream.isRequestOver = isLast
    if violation == nil { stream.dispatch() }
  }

  func sentFrame(type: UInt8, flags: UInt8, length: Int, errorCode: UInt32, of id: Int32) {
    let stream = streams[id]
    switch UInt32(type) {
    case NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue:
      stream?.sent(frameBytes: 9 + length)
      if UInt32(type) == NGHTTP2_DATA.rawValue { allowance.sentData() }
      if flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0, let stream {
        stream.isAnswered = true
        endBody(of: stream)
      }
    case NGHTTP2_RST_STREAM.rawValue where errorCode != NGHTTP2_NO_ERROR.rawValue:
      // What the client has made us reset counts as what it resets.
      if !allowance.takeReset(nowMilliseconds: owner.loop.nowMilliseconds) {
        abuse("too many streams had to be reset")
      }
    default: break
    }
  }

  /// Part of a body, which a call may want. Nobody else does.
  func receivedData(_ bytes: UnsafeRawBufferPointer, of id: Int32) {
    guard let stream = streams[id] else { return giveBack(bytes.count, of: id) }
    stream.receivedBytes += bytes.count
    giveBack(stream.receiveBody(bytes), of: id)
    endBody(of: stream)
  }

  /// The client has sent all of its request.
  func receivedEnd(of id: Int32) {
    guard let stream = streams[id] else { return }
    stream.isRequestOver = true
    stream.endBody()
  }

  /// The rest of a body is read and thrown away, so that the answer is not lost to a client that reads it last; where that
  /// is much, the client is told that all is said (RFC 9113 §8.1).
  private func endBody(of stream: HTTP2Stream) {
    guard stream.isAnswered, stream.receivedBytes > owner.head.limits.discardedBodyBytes,
      nghttp2_session_get_stream_remote_close(session, stream.id) == 0
    else { return }
    reset(stream, NGHTTP2_NO_ERROR)
  }

  func closed(_ id: Int32, errorCode: UInt32) {
    if receiving?.id == id { receiving = nil }
    guard let stream = streams.removeValue(forKey: id) else { return }
    if stream.withheldBytes > 0 { nghttp2_session_consume_connection(session, stream.withheldBytes) }
    stream.close(isComplete: errorCode == NGHTTP2_NO_ERROR.rawValue && stream.isAtEnd)
  }

  func stream(_ id: Int32) -> HTTP2Stream? { streams[id] }

  /// Writes a DATA frame behind what the buffer holds. 0, or why not, as nghttp2 has it.
  func writeData(of stream: HTTP2Stream, header: UnsafePointer<UInt8>, length: Int) -> Int32 {
    let room = owner.http2.frames
    guard owner.http2.frameBytes + 9 + length <= HTTP2Shared.dataLimitBytes else {
      return Int32(NGHTTP2_ERR_WOULDBLOCK.rawValue)
    }
    var position = owner.http2.frameBytes
    room.baseAddress?.advanced(by: position).copyMemory(from: header, byteCount: 9)
    position += 9
    guard stream.take(into: UnsafeMutableRawBufferPointer(rebasing: room[position..<(position + length)]))
    else {
      return Int32(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
    }
    owner.http2.frameBytes = position + length
    return 0
  }

  // MARK: For streams

  var peerAddress: SocketAddress? { proxiedClient ?? socket.remoteAddress }

  /// - Parameter head: lines of HTTP/1.1 in the loop's output buffer.
  func respond(_ stream: HTTP2Stream, _ head: UnsafeMutableRawBufferPointer, hasBody: Bool) {
    let table = owner.http2.table
    table.read(head)
    var provider = nghttp2_data_provider(
      source: nghttp2_data_source(ptr: Unmanaged.passUnretained(stream).toOpaque()),
      read_callback: http2ReadBody)
    let result = table.fields.withUnsafeBufferPointer { fields in
      hasBody
        ? nghttp2_submit_response(session, stream.id, fields.baseAddress, fields.count, &provider)
        : nghttp2_submit_response(session, stream.id, fields.baseAddress, fields.count, nil)
    }
    if result != 0 { reset(stream, NGHTTP2_INTERNAL_ERROR) }
  }

  func reset(_ stream: HTTP2Stream, _ code: nghttp2_error_code) {
    resetEarly.insert(stream.id)
    nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, UInt32(code.rawValue))
  }

  /// Bytes that a stream has waited for are there.
  func resume(_ stream: HTTP2Stream) {
    nghttp2_session_resume_data(session, stream.id)
    flush()
  }

  // MARK: Sending

  /// Sends what nghttp2 has to send, as far as the socket and the turn's budget go.
  func flush() {
    guard !isInSession, !isClosing, unsent.isEmpty else { return }
    var budget = Self.turnBytes
    while unsent.isEmpty, !socket.hasBacklog {
      guard fill() else { return abort() }
      let count = owner.http2.frameBytes
      if count == 0 { break }
      if budget <= 0 {
        // A timer, so that other clients have their turn first.
        unsent = Array(owner.http2.frames[..<count])
        owner.loop.schedule(afterMilliseconds: 0) { self.sendRest() }
        return arm()
      }
      budget -= count
      let bytes = UnsafeRawBufferPointer(rebasing: owner.http2.frames[..<count])
      switch socket.send(bytes) {
      case .sent(count): continue
      case .sent(let sent): unsent = Array(bytes[sent...])
      case .wouldBlock: unsent = Array(bytes)
      case .failed: return abort()
      }
    }
    if !unsent.isEmpty || socket.hasBacklog {
      socket.whenWritable { self.sendRest() }
      return arm()
    }
    socket.stopWaiting()
    if violation != nil { return endViolation() }
    if nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
      || isDraining && streams.isEmpty && receiving == nil && !isAwaitingDrain
    {
      return finish()
    }
    arm()
  }

  private func sendRest() {
    guard !isClosing else { return }
    if !unsent.isEmpty {
      let result = unsent.withUnsafeBytes { socket.send($0) }
      switch result {
      case .sent(let count): unsent.removeFirst(count)
      case .wouldBlock: break
      case .failed: return abort()
      }
      if !unsent.isEmpty { return socket.whenWritable { self.sendRest() } }
    }
    flush()
  }

  /// Gathers frames in the loop's buffer. False when memory is out.
  private func fill() -> Bool {
    let shared = owner.http2
    shared.frameBytes = 0
    isInSession = true
    defer { isInSession = false }
    while shared.frameBytes < HTTP2Shared.dataLimitBytes {
      var data: UnsafePointer<UInt8>?
      let count = nghttp2_session_mem_send(session, &data)
      if count < 0 { return false }
      guard count > 0, let data else { break }
      guard shared.append(UnsafeRawBufferPointer(start: data, count: count)) else { return false }
    }
    return true
  }

  // MARK: Time and memory

  /// nghttp2's session with the tables of HPACK for both directions.
  private static let sessionBytes = 12 << 10
  /// Has the memory budget know what the connection holds.
  private func charge() {
    var held = 0
    if !isClosing {
      held = Self.sessionBytes + OriginLoop.layerBytes(of: socket) + unsent.count + 4 * opened.count
      held += streams.values.reduce(0) { $0 + $1.heldBytes }
    }
    owner.charge(held, insteadOf: &chargedBytes)
  }

  private func arm() {
    charge()
    if receiving != nil || opened.isEmpty {
      owner.deadlines.armOnce(deadline, .header)
    } else {
      owner.deadlines.armOnce(deadline, streams.isEmpty ? .idle : .send)
    }
  }

  func deadlineExpired(_ kind: ConnectionDeadlines.Kind) {
    switch kind {
    case .header:
      owner.counters.timeouts.add(1)
      terminate(receiving == nil ? NGHTTP2_NO_ERROR : NGHTTP2_ENHANCE_YOUR_CALM)
    case .idle: terminate(NGHTTP2_NO_ERROR)
    case .send: endStalled()
    }
  }

  /// Resets the streams of which the client has taken nothing since the deadline was armed; if that are all, the connection
  /// ends.
  private func endStalled() {
    let limit = UInt64(max(0, owner.snapshot.configuration.server.limits.sendTimeoutMilliseconds))
    let now = owner.loop.nowMilliseconds
    let stalled = streams.values.filter { now - $0.progressMilliseconds >= limit }
    owner.counters.timeouts.add(UInt64(stalled.count))
    if !stalled.isEmpty, stalled.count == streams.count { return terminate(NGHTTP2_ENHANCE_YOUR_CALM) }
    for stream in stalled { reset(stream, NGHTTP2_CANCEL) }
    flush()
    if !isClosing { arm() }
  }

  // MARK: Ending

  private var isAwaitingDrain = false

  func drain() {
    guard !isDraining, !isClosing else { return }
    isDraining = true
    isAwaitingDrain = true
    nghttp2_submit_shutdown_notice(session)
    flush()
    owner.loop.schedule(afterMilliseconds: Self.drainMilliseconds) { [self] in
      guard !isClosing else { return }
      isAwaitingDrain = false
      nghttp2_submit_goaway(
        session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nghttp2_session_get_last_proc_stream_id(session),
        UInt32(NGHTTP2_NO_ERROR.rawValue), nil, 0)
      flush()
    }
  }

  private func endViolation() {
    guard let violation else { return }
    if violation.code == NGHTTP2_ENHANCE_YOUR_CALM {
      owner.counters.http2Abuses.add(1)
    } else {
      owner.counters.badRequests.add(1)
    }
    owner.server.logger.debug("HTTP/2 connection ended: \(violation.reason)")
    terminate(violation.code)
  }

  /// Tells the client why, and closes as soon as it is told.
  private func terminate(_ code: nghttp2_error_code) {
    guard !isClosing else { return }
    nghttp2_session_terminate_session(session, UInt32(code.rawValue))
    if !unsent.isEmpty || socket.hasBacklog {
      // It does not even read: there is nothing to tell it.
      return abort()
    }
    if fill(), owner.http2.frameBytes > 0 {
      _ = socket.send(UnsafeRawBufferPointer(rebasing: owner.http2.frames[..<owner.http2.frameBytes]))
    }
    finish()
  }

  private func finish() {
    guard !isClosing else { return }
    close()
    socket.closeLingering()
  }

  func abort() {
    guard !isClosing else { return }
    close()
    socket.close()
  }

  private func close() {
    isClosing = true
    owner.deadlines.cancel(deadline)
    unsent = []
    receiving = nil
    for stream in streams.values { stream.close(isComplete: false) }
    streams = [:]
    charge()
  }

  func socketDidClose(_ socket: Socket) {
    close()
    // The two refer to each other.
    deadline.connection = nil
    owner.connectionClosed(self)
  }
}

// One TLS connection: a layer of its socket
//
//   kernel ── 64 KiB read buffer ──► SSL_read ── 16 KiB ──► owner        bytes are opened where they were read to
//   owner ── up to 64 KiB ──► SSL_write ── records ──► gathered ── one send ──► kernel
//
// OpenSSL reads and writes through a BIO of our own. Reading takes bytes straight from the loop's read buffer. Writing
// gathers the records of one call in the loop's buffer, which leaves by one `send`: 64 KiB of body are four records and one
// system call. What is sent while bytes are being read is gathered too, up to 16 KiB, and leaves when they are used up: the
// end of a handshake, the ticket, a small answer and the goodbye are one packet. Records are 16 KiB, but at the beginning, and after a pause, of a size that fits a packet, so that a client
// can open the first without waiting for a second round trip.
//
// The handshake runs on the loop; it is due within the time for a request head. A session that idles owns no buffer: what
// OpenSSL keeps for reading and writing is given back whenever it is empty.

internal import COpenSSL
import Glibc
import Loop

/// The memory that a loop lends to its sessions, each for the length of one call.
final class TLSBuffers {
  /// Records of one call of `send`: 64 KiB of plain bytes in small records need less than this.
  let gathered = UnsafeMutableRawBufferPointer.allocate(byteCount: 80 << 10, alignment: 16)
  /// What one record holds at most.
  let opened = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 10, alignment: 16)

  deinit {
    gathered.deallocate()
    opened.deallocate()
  }
}

/// What sessions of one loop share.
final class TLSShared {
  let buffers = TLSBuffers()
  let ticketKeys: TLSTicketKeys
  let counters: LoopCounters
  let loop: EventLoop
  /// Whose records lie in the buffer; nil where it is empty.
  fileprivate var gatherer: TLSSession?
  /// The contexts in force.
  var hosts: TLSHosts?

  init(loop: EventLoop, ticketKeys: TLSTicketKeys, counters: LoopCounters) {
    self.loop = loop
    self.ticketKeys = ticketKeys
    self.counters = counters
  }
}

final class TLSSession: SocketLayer {
  /// The plain bytes of a small record: with what TLS adds, and TCP and IPv6 with their options, they fit 1,500 bytes.
  private static let smallRecordBytes = 1369
  /// So many bytes leave in small records first.
  private static let smallRecordsBytes = 12 * smallRecordBytes
  private static let pauseMilliseconds: UInt64 = 1000
  /// So many bytes of records wait for the end of what is being read.
  private static let gatheredWhileReadingBytes = 16 << 10

  let shared: TLSShared
  /// What the client's name has led to.
  fileprivate(set) var context: TLSContext
  fileprivate let hosts: TLSHosts
  private let raw: OpaquePointer
  private var isReady = false
  private var isReading = false
  private var hasTicket = false
  private var hasEnded = false

  /// Bytes from the peer that OpenSSL has not taken yet, during `didRead` alone.
  private var input = UnsafeRawBufferPointer(start: nil, count: 0)
  /// Records in the loop's buffer, during one call alone.
  private var gatheredCount = 0
  /// Known from the first call on. It lets go of its layer when it closes.
  private var socket: Socket?
  private var isBroken = false

  /// For the kernel, which may be to go on with our records; nil in other sessions than those of TLS 1.3.
  private var sendingKeys: TLSSendingKeys?
  private var isInKernel = false

  private var sentInSmallRecords = 0
  private var lastSendMilliseconds: UInt64 = 0

  /// Nil where memory is out.
  init?(_ shared: TLSShared, _ hosts: TLSHosts) {
    guard let raw = SSL_new(hosts.standard.raw), let bio = BIO_new(tlsBIOMethod) else { return nil }
    self.shared = shared
    self.hosts = hosts
    context = hosts.standard
    self.raw = raw
    let me = Unmanaged.passUnretained(self).toOpaque()
    BIO_set_data(bio, me)
    BIO_set_init(bio, 1)
    // One reference serves both directions.
    SSL_set_bio(raw, bio, bio)
    SSL_set_ex_data(raw, 0, me)
    SSL_set_accept_state(raw)
  }

  deinit {
    sendingKeys?.forget()
    SSL_free(raw)
  }

  /// Whose certificate the client has shown; nil where none was asked for.
  var clientAuthority: TLSClientAuthority? { isReady ? context.clientAuthority : nil }

  /// Nil before the handshake.
  var version: TLSVersion? { isReady ? TLSVersion(SSL_version(raw)) : nil }

  /// Whether client and server have agreed on HTTP/2 (ALPN, RFC 7301).
  var speaksHTTP2: Bool {
    var name: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    SSL_get0_alpn_selected(raw, &name, &count)
    return UnsafeBufferPointer(start: name, count: Int(count)).elementsEqual("h2".utf8)
  }

  // MARK: From the peer

  func socket(_ socket: Socket, didRead bytes: UnsafeRawBufferPointer) {
    guard !hasEnded else { return }
    input = bytes
    isReading = true
    self.socket = socket
    if !isReady { shakeHands(socket) }
    // Whatever OpenSSL has taken and not handed on is part of a record.
    while isReady, !hasEnded, !input.isEmpty, socket.isOpen {
      ERR_clear_error()
      let count = SSL_read(raw, shared.buffers.opened.baseAddress, Int32(shared.buffers.opened.count))
      guard count > 0 else {
        readEnded(count, socket)
        break
      }
      // The owner may answer within this call, which writes.
      socket.deliver(UnsafeRawBufferPointer(rebasing: shared.buffers.opened[..<Int(count)]))
    }
    isReading = false
    flush()
    input = UnsafeRawBufferPointer(start: nil, count: 0)
  }

  private func shakeHands(_ socket: Socket) {
    ERR_clear_error()
    let result = SSL_do_handshake(raw)
    if result == 1 {
      isReady = true
      shared.counters.tlsHandshakes.add(1)
      if SSL_session_reused(raw) == 1 { shared.counters.tlsResumptions.add(1) }
      return socket.deliverReady()
    }
    guard SSL_get_error(raw, result) != SSL_ERROR_WANT_READ else { return }
    ERR_clear_error()
    hasEnded = true
    shared.counters.tlsFailures.add(1)
    // The alert says why; a reset could overtake it.
    socket.closeLingering()
  }

  private func readEnded(_ count: Int32, _ socket: Socket) {
    switch SSL_get_error(raw, count) {
    case SSL_ERROR_WANT_READ: return
    case SSL_ERROR_ZERO_RETURN:
      hasEnded = true
      socket.deliverEnd()
    default:
      ERR_clear_error()
      hasEnded = true
      socket.closeLingering()
    }
  }

  // MARK: To the peer

  func socket(_ socket: Socket, send bytes: UnsafeRawBufferPointer) -> Bool {
    guard isReady else { return false }
    let now = shared.loop.nowMilliseconds
    if now - lastSendMilliseconds > Self.pauseMilliseconds { sentInSmallRecords = 0 }
    lastSendMilliseconds = now
    if !hasTicket {
      // Leaves before the first bytes and with them. TLS 1.2 has had its ticket in the handshake, and refuses.
      hasTicket = true
      SSL_new_session_ticket(raw)
    }
    var sent = 0
    while sent < bytes.count, !isBroken {
      let isSmall = sentInSmallRecords < Self.smallRecordsBytes
      // OpenSSL makes large records of what is more than one.
      let count = isSmall ? min(bytes.count - sent, Self.smallRecordBytes) : bytes.count - sent
      ERR_clear_error()
      guard SSL_write(raw, bytes.baseAddress?.advanced(by: sent), Int32(count)) == Int32(count) else {
        ERR_clear_error()
        isBroken = true
        break
      }
      sent += count
      if isSmall { sentInSmallRecords += count }
    }
    if !isReading || gatheredCount > Self.gatheredWhileReadingBytes { flush() }
    return !isBroken
  }

  func socketWillEnd(_ socket: Socket) {
    defer { flush() }
    guard isReady, !hasEnded, !isBroken else { return }
    if isInKernel { return KernelTLS.sayGoodbye(on: socket.descriptor) }
    ERR_clear_error()
    // Says close_notify; the peer's own is not waited for.
    SSL_shutdown(raw)
    ERR_clear_error()
  }

  func socketMayPassBy(_ socket: Socket) -> Bool {
    guard isReady, !hasEnded, !isBroken, hasTicket, sendingKeys != nil else { return false }
    flush()
    guard !socket.hasBacklog, !isBroken else { return false }
    isInKernel =
      sendingKeys?.hand(
        to: socket.descriptor,
        cipher: UInt16(truncatingIfNeeded: SSL_CIPHER_get_id(SSL_get_current_cipher(raw)))) == true
    // It is asked once: a kernel that did not want to will not want to later.
    sendingKeys?.forget()
    sendingKeys = nil
    if isInKernel { shared.counters.tlsInKernel.add(1) }
    return isInKernel
  }

  /// Hands the gathered records to the kernel.
  private func flush() {
    guard gatheredCount > 0, let socket else { return }
    let records = UnsafeRawBufferPointer(rebasing: shared.buffers.gathered[..<gatheredCount])
    gatheredCount = 0
    shared.gatherer = nil
    if !socket.sendAll(records) { isBroken = true }
  }

  // MARK: For OpenSSL

  fileprivate func take(into target: UnsafeMutableRawPointer, _ limit: Int) -> Int {
    let count = min(limit, input.count)
    guard count > 0, let base = input.baseAddress else { return 0 }
    target.copyMemory(from: base, byteCount: count)
    input = UnsafeRawBufferPointer(rebasing: input[count...])
    return count
  }

  /// Our direction has its final keys: records are counted from here.
  fileprivate func keep(keyLogLine line: UnsafeBufferPointer<UInt8>) {
    if let keys = TLSSendingKeys(keyLogLine: line) { sendingKeys = keys }
  }

  fileprivate func gather(_ source: UnsafeRawPointer, _ count: Int) {
    // The kernel's count is ahead of OpenSSL's: what it would send now could not be opened.
    guard !isInKernel else {
      isBroken = true
      return
    }
    if sendingKeys?.count(UnsafeRawBufferPointer(start: source, count: count)) == false { sendingKeys = nil }
    let buffer = shared.buffers.gathered
    if shared.gatherer !== self {
      shared.gatherer?.flush()
      shared.gatherer = self
    }
    if gatheredCount + count > buffer.count { flush() }
    guard count <= buffer.count else {
      // A chain of many certificates.
      if socket?.sendAll(UnsafeRawBufferPointer(start: source, count: count)) != true { isBroken = true }
      return
    }
    buffer.baseAddress?.advanced(by: gatheredCount).copyMemory(from: source, byteCount: count)
    gatheredCount += count
  }
}

// MARK: - Callbacks

/// Reads from what the socket has just read, writes to the loop's buffer of records.
// nonisolated(unsafe): made once, and OpenSSL only reads it.
private nonisolated(unsafe) let tlsBIOMethod: OpaquePointer? = {
  let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "headwater socket")
  BIO_meth_set_read(method) { bio, target, limit in
    BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_IO_SPECIAL | BIO_FLAGS_SHOULD_RETRY)
    guard let data = BIO_get_data(bio), let target else { return -1 }
    let count = Unmanaged<TLSSession>.fromOpaque(data)._withUnsafeGuaranteedRef {
      $0.take(into: target, Int(limit))
    }
    if count == 0 {
      BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
      return -1
    }
    return Int32(count)
  }
  BIO_meth_set_write(method) { bio, source, count in
    guard let data = BIO_get_data(bio), let source, count > 0 else { return 0 }
    Unmanaged<TLSSession>.fromOpaque(data)._withUnsafeGuaranteedRef { $0.gather(source, Int(count)) }
    return count
  }
  BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
  return method
}()

private func withSession<Result>(of ssl: OpaquePointer?, _ body: (TLSSession) -> Result) -> Result? {
  guard let data = SSL_get_ex_data(ssl, 0) else { return nil }
  return Unmanaged<TLSSession>.fromOpaque(data)._withUnsafeGuaranteedRef { body($0) }
}

/// Changes to the context of the site that is asked for, before anything else of the hello is looked at: a ticket is then
/// opened as one of that site, and no other's.
func tlsReadClientHello(
  _ ssl: OpaquePointer?, _ alert: UnsafeMutablePointer<Int32>?, _ argument: UnsafeMutableRawPointer?
) -> Int32 {
  withSession(of: ssl) { session in
    var bytes: UnsafePointer<UInt8>?
    var count = 0
    var name: UnsafeBufferPointer<UInt8>?
    if SSL_client_hello_get0_ext(ssl, UInt32(TLSEXT_TYPE_server_name), &bytes, &count) == 1 {
      name = serverName(in: UnsafeBufferPointer(start: bytes, count: count))
    }
    let context = session.hosts.context(for: name)
    guard context !== session.context else { return SSL_CLIENT_HELLO_SUCCESS }
    guard SSL_set_SSL_CTX(ssl, context.raw) != nil else { return SSL_CLIENT_HELLO_ERROR }
    // The one thing that does not come along with the context.
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(context.raw), nil)
    session.context = context
    return SSL_CLIENT_HELLO_SUCCESS
  } ?? SSL_CLIENT_HELLO_ERROR
}

/// The first host name of the extension (RFC 6066 §3), without a final dot; nil when it is malformed, which OpenSSL will
/// tell the client.
func serverName(in bytes: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8>? {
  guard bytes.count > 5, bytes[2] == 0 else { return nil }
  let count = Int(bytes[3]) << 8 | Int(bytes[4])
  guard count > 0, 5 + count <= bytes.count else { return nil }
  let end = bytes[4 + count] == 0x2E ? 4 + count : 5 + count
  return UnsafeBufferPointer(rebasing: bytes[5..<end])
}

/// Chooses among the protocols that the client offers, in our order (RFC 7301 §3.2).
func tlsSelectProtocol(
  _ ssl: OpaquePointer?, _ selected: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
  _ selectedCount: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ offeredCount: UInt32,
  _ argument: UnsafeMutableRawPointer?
) -> Int32 {
  let offers = UnsafeBufferPointer(start: offered, count: Int(offeredCount))
  for wanted in tlsProtocols {
    var position = 0
    while position < offers.count {
      let end = position + 1 + Int(offers[position])
      guard end <= offers.count else { break }
      let name = UnsafeBufferPointer(rebasing: offers[(position + 1)..<end])
      if name.elementsEqual(wanted.utf8) {
        selected?.pointee = name.baseAddress
        selectedCount?.pointee = UInt8(name.count)
        return SSL_TLSEXT_ERR_OK
      }
      position = end
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL
}

/// What is spoken over TLS, the preferred first.
private let tlsProtocols = ["h2", "http/1.1"]

func tlsStapleResponse(_ ssl: OpaquePointer?, _ argument: UnsafeMutableRawPointer?) -> Int32 {
  withSession(of: ssl) { session in
    guard
      let response = session.context.ocspResponse(
        for: SSL_get_certificate(ssl), nowSeconds: session.shared.loop.wallSeconds),
      copenssl_set_ocsp_response(ssl, response, response.count) == 1
    else { return SSL_TLSEXT_ERR_NOACK }
    return SSL_TLSEXT_ERR_OK
  } ?? SSL_TLSEXT_ERR_NOACK
}

/// Hears the secrets of a session; see ``TLSSendingKeys``.
func tlsHearSecret(_ ssl: OpaquePointer?, _ line: UnsafePointer<CChar>?) {
  guard let line else { return }
  let count = strlen(line)
  line.withMemoryRebound(to: UInt8.self, capacity: count) { bytes in
    _ = withSession(of: ssl) { $0.keep(keyLogLine: UnsafeBufferPointer(start: bytes, count: count)) }
  }
}

func tlsPrepareTicket(
  _ ssl: OpaquePointer?, _ name: UnsafeMutablePointer<UInt8>?, _ vector: UnsafeMutablePointer<UInt8>?,
  _ cipher: OpaquePointer?, _ code: OpaquePointer?, _ isSealing: Int32
) -> Int32 {
  guard let name, let vector, let cipher, let code else { return -1 }
  return withSession(of: ssl) { session in
    session.shared.ticketKeys.prepare(
      name: name, vector: vector, cipher, code, isSealing: isSealing == 1,
      lifetimeSeconds: TLSContext.ticketLifetimeSeconds, nowSeconds: session.shared.loop.wallSeconds)
  } ?? -1
}

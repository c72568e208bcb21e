// A connection accepted by a listener.
//
// libuv accepts, reads and closes; output goes straight to the descriptor with send, sendmsg and sendfile, which says at
// once how much the kernel took. When it takes nothing, the next bytes (16 KiB at most) are copied into a request of the
// loop's pool and given to uv_write, whose callback means that the socket is writable again. While such a request is queued
// direct output would overtake it, so it answers `wouldBlock`.
//
//   open ── closeLingering() ──► lingering ── EOF, byte limit or time ──┐
//     └──────────── close(), reset() ──────────────────────────────────► closing ── close callback ──► closed
//
// libuv's handle is memory of its own, freed with the Socket; the handle holds the Socket from accept to the close callback.
// An idle socket is this object (80 bytes) and uv_tcp_t (256), as malloc counts them.

internal import CLibUV
internal import CLinux
internal import Glibc

/// What one output call did.
public enum SendResult: Hashable, Sendable {
  /// The kernel took this many bytes, perhaps fewer than offered. 0 from ``Socket/sendFile(descriptor:offset:count:)`` means
  /// that the file ends before `offset`.
  case sent(Int)
  /// The kernel takes nothing now; go on with ``Socket/whenWritable(_:)``.
  case wouldBlock
  /// The connection (or the file) is broken: the errno value. EBADF after ``Socket/close()``.
  case failed(Int32)
}

/// A range of memory for ``Socket/writev(_:more:)``, laid out like the system's `iovec`.
public struct IOVector {
  public var base: UnsafeRawPointer?
  public var count: Int

  public init(base: UnsafeRawPointer?, count: Int) {
    self.base = base
    self.count = count
  }

  public init(_ bytes: UnsafeRawBufferPointer) {
    self.init(base: bytes.baseAddress, count: bytes.count)
  }
}

/// What a socket tells its owner, always on the loop's thread.
///
/// Each call may close the socket, send on it, or stop reading.
public protocol SocketDelegate: AnyObject {
  /// Bytes have come, at most ``EventLoop/readBufferSizeBytes``. They are the loop's read buffer: gone when the call returns.
  func socket(_ socket: Socket, didRead bytes: UnsafeRawBufferPointer)
  /// The peer has finished sending; it may still read. Nothing more will be read.
  func socketDidReachEnd(_ socket: Socket)
  /// Reading failed, for example with ECONNRESET. Nothing more will be read; close the socket.
  func socket(_ socket: Socket, didFail errno: Int32)
  /// The socket is closed and lets go of its delegate; comes once, after ``Socket/close()``, never inside a call of the
  /// socket.
  func socketDidClose(_ socket: Socket)
  /// A layer has agreed with its peer, before the first byte is read. Never called on a plain socket.
  func socketLayerIsReady(_ socket: Socket)
}

extension SocketDelegate {
  public func socketLayerIsReady(_ socket: Socket) {}
}

/// An accepted TCP connection. Belongs to its loop's thread; lives until its close callback, whoever else refers to it.
public final class Socket {
  public let loop: EventLoop
  let raw: UnsafeMutablePointer<uv_tcp_t>
  /// Nil on a plain socket.
  var layered: LayeredOutput?
  /// Strong while open: the connection lives as long as its socket.
  private(set) var delegate: (any SocketDelegate)?
  /// The file descriptor for calls that this class does not offer; -1 once closed.
  public private(set) var descriptor: Int32 = -1
  /// Made when output blocks, for as long as an answer needs it.
  var watch: WritableWatch?
  /// True while incoming bytes are read as they come.
  public private(set) var isReading = false
  /// The peer has sent its end or an error; there is nothing more to read.
  private var isInputEnded = false
  private var lingering: Lingering?
  /// A connection keeps its peer, and limits and logs ask at every request. By itself, so that who is never asked for takes no room.
  private var peer: Peer?

  private final class Peer {
    let address: SocketAddress
    init(_ address: SocketAddress) { self.address = address }
  }

  /// The rest of a connection whose answer has been sent: how much more input is thrown away, and until when.
  private final class Lingering {
    var remainingBytes: Int
    let withinMilliseconds: UInt64
    var timer: Timer

    init(remainingBytes: Int, withinMilliseconds: UInt64, timer: Timer) {
      self.remainingBytes = remainingBytes
      self.withinMilliseconds = withinMilliseconds
      self.timer = timer
    }
  }

  /// Takes the connection that a listening handle has ready; nil when there is none.
  init?(loop: EventLoop, acceptedBy listener: UnsafeMutablePointer<uv_tcp_t>) {
    self.loop = loop
    raw = .allocate(capacity: 1)
    guard uv_tcp_init(loop.raw, raw) == 0 else { return nil }
    // From here on libuv knows the handle. Balanced in the close callback.
    raw.pointee.data = Unmanaged.passRetained(self).toOpaque()
    loop.beginWork()
    var descriptor: uv_os_fd_t = -1
    guard uv_accept(listener.asStream, raw.asStream) == 0, uv_fileno(raw.asHandle, &descriptor) == 0 else {
      closeHandle()
      return nil
    }
    self.descriptor = descriptor
  }

  deinit {
    raw.deallocate()
  }

  /// False once ``close()`` or ``reset()`` was called, or lingering has ended.
  public var isOpen: Bool { descriptor >= 0 }

  /// Whether what comes is thrown away; see ``closeLingering(discardingBytes:withinMilliseconds:)``.
  var isLingering: Bool { lingering != nil }

  /// The peer's address, asked from the system once; nil when closed, or where the peer had vanished before.
  public var remoteAddress: SocketAddress? {
    guard isOpen else { return nil }
    if let peer { return peer.address }
    guard let address = SocketAddress(descriptor: descriptor, getpeername) else { return nil }
    peer = Peer(address)
    return address
  }

  /// This end's address, asked from the system at each call; nil once closed.
  public var localAddress: SocketAddress? { SocketAddress(descriptor: descriptor, getsockname) }
}

extension UnsafeMutablePointer where Pointee == uv_tcp_t {
  /// libuv's base types, which every uv_tcp_t begins with.
  var asStream: UnsafeMutablePointer<uv_stream_t> {
    UnsafeMutableRawPointer(self).assumingMemoryBound(to: uv_stream_t.self)
  }
  var asHandle: UnsafeMutablePointer<uv_handle_t> {
    UnsafeMutableRawPointer(self).assumingMemoryBound(to: uv_handle_t.self)
  }
}

// MARK: - Reading

extension Socket {
  /// Begins to read; the delegate is held until the socket is closed. A later call puts another owner in its place.
  ///
  /// Also needed by an owner that does not read yet but wants ``SocketDelegate/socketDidClose(_:)``: follow it with
  /// ``stopReading()``. No system call of its own, no allocation.
  public func startReading(_ delegate: any SocketDelegate) {
    loop.preconditionOnLoop()
    guard isOpen, lingering == nil else { return }
    self.delegate = delegate
    resumeReading()
  }

  /// Leaves what comes in the kernel, so that the peer is slowed down. Harmless when repeated.
  ///
  /// While stopped and with nothing queued, neither the end nor a reset by the peer is noticed.
  public func stopReading() {
    loop.preconditionOnLoop()
    guard isOpen, isReading, lingering == nil else { return }
    isReading = false
    uv_read_stop(raw.asStream)
  }

  /// Reads again after ``stopReading()``. Harmless when reading, closed, or after the peer's end.
  public func resumeReading() {
    loop.preconditionOnLoop()
    guard isOpen, !isReading, !isInputEnded, delegate != nil else { return }
    startRawReading()
  }

  /// A layer's peer has said that it sends nothing more: as if the end had been read.
  public func deliverEnd() {
    loop.preconditionOnLoop()
    guard isOpen, !isInputEnded, lingering == nil else { return }
    stopReading()
    isInputEnded = true
    delegate?.socketDidReachEnd(self)
  }

  private func startRawReading() {
    isReading = true
    // Fails only for handles that are closing or not readable, which isOpen has excluded.
    uv_read_start(
      raw.asStream,
      { handle, _, buffer in
        // The loop's data pointer is its read buffer; libuv reads and calls back before it asks for the next one.
        buffer?.pointee = uv_buf_init(
          handle?.pointee.loop.pointee.data?.assumingMemoryBound(to: CChar.self),
          UInt32(EventLoop.readBufferSizeBytes))
      },
      { handle, count, buffer in
        guard let data = handle?.pointee.data, let buffer else { return }
        Unmanaged<Socket>.fromOpaque(data)._withUnsafeGuaranteedRef { socket in
          socket.didRead(count, buffer.pointee.base)
          socket.loop.afterCallback()
        }
      })
  }

  /// Takes bytes as if they had come from the peer just now: those that were read before the layer was added.
  public func receive(_ bytes: UnsafeRawBufferPointer) {
    if let layered { return layered.layer.socket(self, didRead: bytes) }
    delegate?.socket(self, didRead: bytes)
  }

  private func didRead(_ count: Int, _ base: UnsafeMutablePointer<CChar>?) {
    if let lingering {
      lingering.remainingBytes -= max(count, 0)
      if count == Int(UV_EOF.rawValue), hasBacklog {
        // It has said all, and still reads.
        isReading = false
        isInputEnded = true
        return
      }
      if count < 0 || lingering.remainingBytes <= 0 { close() }
      return
    }
    if count > 0 {
      receive(UnsafeRawBufferPointer(start: base, count: count))
    } else if count < 0 {
      // libuv has stopped reading by itself.
      isReading = false
      isInputEnded = true
      if count == Int(UV_EOF.rawValue) {
        delegate?.socketDidReachEnd(self)
      } else {
        delegate?.socket(self, didFail: Int32(-count))
      }
    }
  }
}

// MARK: - Ending

extension Socket {
  /// Tells the peer that nothing more will be sent (FIN); reading goes on.
  public func shutdownWrite() {
    loop.preconditionOnLoop()
    guard isOpen else { return }
    // Fails only when the peer has reset the connection, which reading will report.
    _ = Glibc.shutdown(descriptor, Int32(SHUT_WR))
  }

  /// Closes at once what the peer sees as an orderly end (FIN, or RST when unread input is left). Harmless when repeated.
  ///
  /// ``SocketDelegate/socketDidClose(_:)`` follows in a later turn.
  public func close() {
    guard isOpen else { return }
    loop.preconditionOnLoop()
    descriptor = -1
    lingering?.timer.cancel()
    lingering = nil
    layered = nil
    stopWaiting()
    closeHandle()
  }

  /// Closes at once with RST, dropping what the kernel has not sent. Harmless when repeated.
  public func reset() {
    guard isOpen else { return }
    loop.preconditionOnLoop()
    var option = Glibc.linger(l_onoff: 1, l_linger: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<Glibc.linger>.size))
    close()
  }

  /// Ends the connection so that the peer gets all that was sent, even when it still sends itself.
  ///
  /// Sends FIN, then reads and throws away until the peer's end, `discardingBytes` or
  /// `withinMilliseconds`, and closes. Without this, unread input makes the kernel send RST, which can destroy the answer in
  /// the peer's buffer (RFC 9112 §9.6). The delegate hears only ``SocketDelegate/socketDidClose(_:)`` from now on.
  public func closeLingering(discardingBytes: Int = 1 << 20, withinMilliseconds: UInt64 = 2000) {
    loop.preconditionOnLoop()
    guard isOpen, lingering == nil else { return }
    layered?.layer.socketWillEnd(self)
    linger(discardingBytes: discardingBytes, withinMilliseconds: withinMilliseconds)
  }

  /// Ends the connection to a peer that has said that it sends nothing more: it gets all that was sent without being waited
  /// for. Like ``close()`` but for a layer, which says its goodbye and is waited for where the kernel does not take that.
  public func closeAfterLastRequest() {
    loop.preconditionOnLoop()
    guard isOpen, lingering == nil else { return }
    layered?.layer.socketWillEnd(self)
    if hasBacklog { linger(discardingBytes: 1 << 20, withinMilliseconds: 2000) } else { close() }
  }

  /// How long a peer may take for a layer's last bytes.
  private static let backlogMilliseconds: UInt64 = 60_000

  private func linger(discardingBytes: Int, withinMilliseconds: UInt64) {
    // What a layer has left is an answer that the peer is slow to take: it gets the time that it would get for any.
    let time = hasBacklog ? Self.backlogMilliseconds : withinMilliseconds
    let timer = loop.schedule(afterMilliseconds: time) { [self] in close() }
    lingering = Lingering(
      remainingBytes: discardingBytes, withinMilliseconds: withinMilliseconds, timer: timer)
    if !hasBacklog { shutdownWrite() }
    // After the peer's end, reading reports it again, which closes.
    if !isReading { startRawReading() }
  }

  /// The backlog of a connection that lingers is gone.
  func finishLingering() {
    guard let lingering else { return }
    if isInputEnded { return close() }
    lingering.timer.cancel()
    lingering.timer = loop.schedule(afterMilliseconds: lingering.withinMilliseconds) { [self] in close() }
    shutdownWrite()
  }

  private func closeHandle() {
    uv_close(raw.asHandle) { handle in
      guard let data = handle?.pointee.data else { return }
      let socket = Unmanaged<Socket>.fromOpaque(data).takeRetainedValue()
      let loop = socket.loop
      loop.endWork()
      let delegate = socket.delegate
      socket.delegate = nil
      delegate?.socketDidClose(socket)
      loop.afterCallback()
    }
  }
}

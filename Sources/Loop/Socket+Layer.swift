// A layer between a socket's owner and the kernel: TLS.
//
//   owner ── send ──► layer ── sendAll ──► kernel        what the kernel does not take at once is the backlog
//   owner ◄─ deliver ─ layer ◄─ didRead ── kernel
//
// Bytes that a layer has made (records) can't be taken back and made anew, so the socket keeps what the kernel does not take
// and sends it by itself as soon as it can. While there is a backlog `send` answers `wouldBlock` and `whenWritable` waits for
// its end: to the owner a socket with a layer behaves like one without, but that all of what it offers is taken, and becomes
// backlog at worst. So it offers little at a time (64 KiB). An owner that must know that the kernel has
// everything, because it is about to close, asks ``Socket/hasBacklog``.
//
// A layer may hand its work on output over to the kernel (TLS in the kernel). From then on output passes it by, as if the
// socket were plain, and only what is read goes through it.
//
// A socket without a layer pays for this with one check for nil in each call.

/// Turns what a socket's owner sends into what leaves, and what comes into what the owner reads. Belongs to the loop's thread.
public protocol SocketLayer: AnyObject {
  /// Bytes came from the peer; they are gone when the call returns. Hands on what they mean with ``Socket/deliver(_:)``.
  func socket(_ socket: Socket, didRead bytes: UnsafeRawBufferPointer)
  /// Turns all of the owner's bytes into what leaves, and hands that to ``Socket/sendAll(_:)``. Never called during a backlog.
  ///
  /// - Returns: false when the connection is broken.
  func socket(_ socket: Socket, send bytes: UnsafeRawBufferPointer) -> Bool
  /// The owner sends nothing more: sends the layer's own goodbye, if it has one.
  func socketWillEnd(_ socket: Socket)
  /// Has the kernel do to all further output what the layer has done so far, if it can. Never called during a backlog.
  func socketMayPassBy(_ socket: Socket) -> Bool
}

extension SocketLayer {
  public func socketMayPassBy(_ socket: Socket) -> Bool { false }
}

/// What a socket with a layer has beside its handle.
final class LayeredOutput {
  let layer: any SocketLayer
  /// The kernel does the layer's work on output.
  fileprivate(set) var isPassedBy = false
  fileprivate var backlog: [UInt8] = []
  fileprivate var backlogSent = 0
  /// The owner's, which runs when the backlog is gone.
  fileprivate var waiter: (() -> Void)?

  init(_ layer: any SocketLayer) { self.layer = layer }

  var hasBacklog: Bool { backlogSent < backlog.count }
}

extension Socket {
  /// Puts a layer between this socket and its owner. Before the first byte that is the layer's is read or sent; once.
  public func add(_ layer: any SocketLayer) {
    loop.preconditionOnLoop()
    precondition(layered == nil, "a socket has at most one layer")
    layered = LayeredOutput(layer)
  }

  /// What stands between this socket and its owner; nil for a plain one.
  public var layer: (any SocketLayer)? { layered?.layer }

  /// Whether output goes through a layer, which must see all bytes: no ``sendFile(descriptor:offset:count:)``, no
  /// ``writev(_:more:)``.
  public var outputIsLayered: Bool { layered?.isPassedBy == false }

  /// Sees to it that output no longer goes through the layer, if the layer can have that; nothing changes otherwise. To the
  /// owner the socket is then like a plain one. Once passed by, a layer stays so.
  ///
  /// - Returns: whether the layer is passed by from now on.
  public func passLayerBy() -> Bool {
    guard isOpen, let layered, !layered.isPassedBy, !layered.hasBacklog else { return false }
    // Whatever the layer sends meanwhile is a record of its own, and must have left before the kernel makes the next.
    guard layered.layer.socketMayPassBy(self), !layered.hasBacklog else { return false }
    layered.isPassedBy = true
    return true
  }

  /// Whether bytes that ``send(_:more:)`` has taken still wait for the kernel. Never on a plain socket.
  public var hasBacklog: Bool {
    guard let layered else { return false }
    return layered.hasBacklog
  }

  // MARK: For layers

  /// Hands bytes to the owner as if they had been read.
  public func deliver(_ bytes: UnsafeRawBufferPointer) {
    guard isOpen, !isLingering else { return }
    delegate?.socket(self, didRead: bytes)
  }

  /// Tells the owner that the layer is ready: what it sends from now on is protected.
  public func deliverReady() {
    guard isOpen, !isLingering else { return }
    delegate?.socketLayerIsReady(self)
  }

  /// Hands bytes to the kernel; what it does not take is kept and sent as soon as it can be.
  ///
  /// - Returns: false when the connection is broken.
  public func sendAll(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let layered, isOpen else { return false }
    if layered.hasBacklog {
      layered.backlog.append(contentsOf: bytes)
      return true
    }
    switch sendDirectly(bytes, more: false) {
    case .sent(bytes.count): return true
    case .sent(let count): keep(UnsafeRawBufferPointer(rebasing: bytes[count...]), layered)
    case .wouldBlock: keep(bytes, layered)
    case .failed: return false
    }
    return true
  }

  private func keep(_ bytes: UnsafeRawBufferPointer, _ layered: LayeredOutput) {
    layered.backlog = Array(bytes)
    layered.backlogSent = 0
    waitUntilWritable { [self] in drainBacklog() }
  }

  private func drainBacklog() {
    guard let layered, isOpen else { return }
    let result = layered.backlog.withUnsafeBytes {
      sendDirectly(UnsafeRawBufferPointer(rebasing: $0[layered.backlogSent...]), more: false)
    }
    switch result {
    case .sent(let count): layered.backlogSent += count
    case .wouldBlock: break
    // The next output of the owner meets the same error, and ends the connection.
    case .failed: layered.backlogSent = layered.backlog.count
    }
    if layered.hasBacklog { return waitUntilWritable { [self] in drainBacklog() } }
    layered.backlog = []
    layered.backlogSent = 0
    if isLingering {
      stopWaiting()
      return finishLingering()
    }
    guard let waiter = layered.waiter.take() else { return stopWaiting() }
    waiter()
  }

  // MARK: For the socket

  /// Keeps the owner's wait until the backlog is gone; false where there is none.
  func waitsForBacklog(_ body: @escaping () -> Void) -> Bool {
    guard let layered, layered.hasBacklog else { return false }
    layered.waiter = body
    return true
  }
}

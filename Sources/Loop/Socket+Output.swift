internal import CLibUV
internal import CLinux
internal import Glibc

// MARK: - Direct output

extension Socket {
  /// Hands bytes to the kernel with one `send`. No allocation.
  ///
  /// With a layer, hands it all of them, or none during a backlog, and `more` has no effect.
  ///
  /// - Parameters:
  ///   - bytes: borrowed for the call.
  ///   - more: holds back an incomplete packet because more output follows at once (MSG_MORE).
  public func send(_ bytes: UnsafeRawBufferPointer, more: Bool = false) -> SendResult {
    if let layered, !layered.isPassedBy, isOpen {
      if layered.hasBacklog { return .wouldBlock }
      return layered.layer.socket(self, send: bytes) ? .sent(bytes.count) : .failed(ECONNABORTED)
    }
    return sendDirectly(bytes, more: more)
  }

  func sendDirectly(_ bytes: UnsafeRawBufferPointer, more: Bool) -> SendResult {
    if let refusal = refusal() { return refusal }
    let flags = more ? Self.flagsMore : Self.flags
    return result { Glibc.send(descriptor, bytes.baseAddress, bytes.count, flags) }
  }

  /// Hands several ranges of memory to the kernel with one `sendmsg`; of more than 1024 ranges it takes the first 1024.
  ///
  /// - Parameters:
  ///   - vectors: borrowed for the call, with the memory that they point to.
  ///     Only for plain sockets: a layer has to see the bytes.
  ///   - more: holds back an incomplete packet because more output follows at once (MSG_MORE).
  public func writev(_ vectors: UnsafeBufferPointer<IOVector>, more: Bool = false) -> SendResult {
    precondition(!outputIsLayered, "the layer of a socket would be passed by")
    if let refusal = refusal() { return refusal }
    let flags = more ? Self.flagsMore : Self.flags
    var message = msghdr()
    // IOVector is iovec but for the constness of its memory, which sendmsg does not write to.
    message.msg_iov = UnsafeMutableRawPointer(mutating: vectors.baseAddress)?.assumingMemoryBound(
      to: iovec.self)
    message.msg_iovlen = min(vectors.count, Self.vectorLimit)
    return result { sendmsg(descriptor, &message, flags) }
  }

  /// Hands a range of a file to the kernel with one `sendfile`, without copying it through the process.
  ///
  /// Waits for the disk when the range is not in memory: find out before. Only for plain sockets: a layer has to
  /// see the bytes.
  /// - Parameters:
  ///   - descriptor: the file; its own position is neither used nor moved.
  ///   - offset: the first byte.
  ///   - count: at most this many bytes.
  /// - Returns: `.sent(0)` when the file ends at or before `offset`, though `count` is more than 0.
  public func sendFile(descriptor file: Int32, offset: Int64, count: Int) -> SendResult {
    precondition(!outputIsLayered, "the layer of a socket would be passed by")
    if let refusal = refusal() { return refusal }
    var position = off_t(offset)
    return result { clinux_sendfile(descriptor, file, &position, count) }
  }

  /// Holds back incomplete packets (TCP_CORK), for output made by several calls; false lets the rest go at once.
  ///
  /// The kernel lets held bytes go by itself after 200 ms.
  public func cork(_ isOn: Bool) {
    guard isOpen else { return }
    var option: Int32 = isOn ? 1 : 0
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CORK, &option, socklen_t(MemoryLayout<Int32>.size))
  }

  private static let flags = Int32(MSG_NOSIGNAL)
  private static let flagsMore = Int32(MSG_NOSIGNAL | MSG_MORE)
  private static let vectorLimit = 1024

  /// Why direct output cannot be tried at all.
  private func refusal() -> SendResult? {
    isOpen ? nil : .failed(EBADF)
  }

  @inline(__always)
  private func result(_ call: () -> Int) -> SendResult {
    while true {
      let count = call()
      if count >= 0 { return .sent(count) }
      switch errno {
      case EINTR: continue
      case EAGAIN: return .wouldBlock
      case let error: return .failed(error)
      }
    }
  }
}

// MARK: - Output that waits

extension Socket {
  /// Runs `body` once, on the loop and never inside this call, when a full socket takes output again; the next output also
  /// tells if the connection has failed meanwhile. A later call replaces an earlier one. Nothing runs once closed.
  ///
  /// Waiting holds a second descriptor until ``stopWaiting()`` or ``close()``. With none left it is tried every 20 ms instead.
  public func whenWritable(_ body: @escaping () -> Void) {
    loop.preconditionOnLoop()
    guard isOpen, !waitsForBacklog(body) else { return }
    waitUntilWritable(body)
  }

  func waitUntilWritable(_ body: @escaping () -> Void) {
    if watch == nil { watch = WritableWatch(loop: loop, descriptor: descriptor) }
    if let watch { return watch.wait(body) }
    loop.schedule(afterMilliseconds: 20) { [self] in if isOpen { body() } }
  }

  /// Ends waiting for the socket and gives the second descriptor back. Harmless when not waiting.
  public func stopWaiting() {
    if isOpen, hasBacklog { return }
    watch?.close()
    watch = nil
  }
}

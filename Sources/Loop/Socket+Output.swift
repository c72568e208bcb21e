internal import CLibUV
internal import CLinux
internal import Glibc

// MARK: - Direct output

extension Socket {
  /// Hands bytes to the kernel with one `send`. No allocation.
  ///
  /// - Parameters:
  ///   - bytes: borrowed for the call.
  ///   - more: holds back an incomplete packet because more output follows at once (MSG_MORE).
  public func send(_ bytes: UnsafeRawBufferPointer, more: Bool = false) -> SendResult {
    if let refusal = refusal() { return refusal }
    let flags = more ? Self.flagsMore : Self.flags
    return result { Glibc.send(descriptor, bytes.baseAddress, bytes.count, flags) }
  }

  /// Hands several ranges of memory to the kernel with one `sendmsg`; of more than 1024 ranges it takes the first 1024.
  ///
  /// - Parameters:
  ///   - vectors: borrowed for the call, with the memory that they point to.
  ///   - more: holds back an incomplete packet because more output follows at once (MSG_MORE).
  public func writev(_ vectors: UnsafeBufferPointer<IOVector>, more: Bool = false) -> SendResult {
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
  /// Waits for the disk when the range is not in memory: ask ``PageCacheProbe`` before.
  /// - Parameters:
  ///   - descriptor: the file; its own position is neither used nor moved.
  ///   - offset: the first byte.
  ///   - count: at most this many bytes.
  /// - Returns: `.sent(0)` when the file ends at or before `offset`, though `count` is more than 0.
  public func sendFile(descriptor file: Int32, offset: Int64, count: Int) -> SendResult {
    if let refusal = refusal() { return refusal }
    var position = off_t(offset)
    return result { clinux_sendfile(descriptor, file, &position, count) }
  }

  private static let flags = Int32(MSG_NOSIGNAL)
  private static let flagsMore = Int32(MSG_NOSIGNAL | MSG_MORE)
  private static let vectorLimit = 1024

  /// Why direct output cannot be tried at all.
  private func refusal() -> SendResult? {
    if queuedWriteCount > 0 { return .wouldBlock }
    return isOpen ? nil : .failed(EBADF)
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
  /// Bytes that one queued write can carry.
  public static let queuedWriteCapacityBytes = WriteRequest.capacityBytes

  /// True while queued writes wait; direct output answers ``SendResult/wouldBlock`` until they are done.
  public var hasQueuedWrites: Bool { queuedWriteCount > 0 }

  /// Copies the first bytes and sends them as soon as the kernel takes them; the way to wait for a full socket.
  ///
  /// - Parameters:
  ///   - bytes: borrowed for the call; at most ``queuedWriteCapacityBytes`` are taken.
  ///   - completion: called once on the loop, never inside this call, with 0 when all taken bytes have been handed to the
  ///     kernel, else with the errno value: ECANCELED when the socket was closed first.
  /// - Returns: how many bytes were taken.
  public func writeWhenPossible(
    _ bytes: UnsafeRawBufferPointer, completion: @escaping (Int32) -> Void
  ) -> Int {
    writeWhenPossible(completion: completion) { buffer in
      let count = min(buffer.count, bytes.count)
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
      return count
    }
  }

  /// Like ``writeWhenPossible(_:completion:)``, with bytes that `fill` puts straight into the request's buffer, for example
  /// by `pread`.
  ///
  /// - Parameter fill: called once, inside this call, with a buffer of ``queuedWriteCapacityBytes``; returns how many bytes
  ///   from its start to send. 0 or less queues nothing, and `completion` is not called.
  /// - Returns: what `fill` returned.
  public func writeWhenPossible(
    completion: @escaping (Int32) -> Void, fill: (UnsafeMutableRawBufferPointer) -> Int
  ) -> Int {
    loop.preconditionOnLoop()
    let request = loop.writeRequests.take()
    let count = fill(request.bytes)
    guard count > 0 else {
      loop.writeRequests.giveBack(request)
      return count
    }
    precondition(count <= request.bytes.count, "more bytes than the buffer holds")
    guard isOpen else {
      loop.writeRequests.giveBack(request)
      loop.later { completion(EBADF) }
      return count
    }
    request.socket = self
    request.completion = completion
    // Balanced in the write callback.
    request.raw.pointee.data = Unmanaged.passRetained(request).toOpaque()
    var buffer = uv_buf_init(request.bytes.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(count))
    writeBegins()
    let status = uv_write(request.raw, raw.asStream, &buffer, 1) { request, status in
      guard let data = request?.pointee.data else { return }
      Socket.didWrite(Unmanaged<WriteRequest>.fromOpaque(data).takeRetainedValue(), status)
    }
    if status != 0 {
      // libuv has not taken the request and will not call back.
      loop.later {
        Socket.didWrite(Unmanaged<WriteRequest>.passUnretained(request).takeRetainedValue(), status)
      }
    }
    return count
  }

  private static func didWrite(_ request: WriteRequest, _ status: Int32) {
    guard let socket = request.socket, let completion = request.completion else { return }
    request.socket = nil
    request.completion = nil
    let loop = socket.loop
    loop.writeRequests.giveBack(request)
    socket.writeEnds()
    completion(-status)
    loop.afterCallback()
  }
}

internal import CLibUV
internal import Glibc

/// Tells a socket that was full when it takes output again.
///
/// libuv knows two ways. A queued write completes when its bytes are taken, but costs a copy, and a full socket often has
/// room for just those bytes: the sender wakes for little. Polling waits until a third of the socket's buffer is free, which
/// is what other servers wait for too, but one descriptor can't be polled and be a uv_tcp handle. So the watch polls a
/// duplicate of the descriptor, which costs a descriptor for as long as an answer is blocked and nothing otherwise.
///
/// While one wait follows the other the poll stays on: a wake-up costs no call but the sender's own.
final class WritableWatch {
  private let raw: UnsafeMutablePointer<uv_poll_t>
  private let loop: EventLoop
  private var descriptor: Int32
  private var isPolling = false
  private var body: (() -> Void)?

  /// Descriptors that answers that wait leave to others: to files, and to whoever asks for the server's health.
  private static let reserve: Int32 = 24
  /// The first number that a watch does not take; the limit of the process is raised at its start only.
  private static let ceiling = Int32(clamping: DescriptorLimit.current - Int(reserve))

  /// Fails where the process has no descriptor left but a few.
  init?(loop: EventLoop, descriptor original: Int32) {
    descriptor = fcntl(original, F_DUPFD_CLOEXEC, 0)
    guard descriptor >= 0 else { return nil }
    guard descriptor < Self.ceiling else {
      Glibc.close(descriptor)
      return nil
    }
    self.loop = loop
    raw = .allocate(capacity: 1)
    guard uv_poll_init(loop.raw, raw, descriptor) == 0 else {
      raw.deallocate()
      Glibc.close(descriptor)
      return nil
    }
    // Balanced in the close callback, after which libuv no longer knows the handle.
    raw.pointee.data = Unmanaged.passRetained(self).toOpaque()
  }

  deinit { raw.deallocate() }

  /// Runs `body` once, when the socket takes output or has failed, which the next output will tell.
  func wait(_ body: @escaping () -> Void) {
    self.body = body
    guard !isPolling else { return }
    isPolling = true
    uv_poll_start(raw, Int32(UV_WRITABLE.rawValue)) { handle, status, _ in
      guard let data = handle?.pointee.data else { return }
      Unmanaged<WritableWatch>.fromOpaque(data)._withUnsafeGuaranteedRef { $0.woke(status) }
    }
  }

  private func woke(_ status: Int32) {
    // libuv stops polling by itself when it reports a failure.
    if status < 0 { isPolling = false }
    let body = self.body.take()
    body?()
    // Nobody waits any more: a writable socket would wake the loop for ever.
    if self.body == nil { pause() }
    loop.afterCallback()
  }

  private func pause() {
    guard isPolling, descriptor >= 0 else { return }
    isPolling = false
    uv_poll_stop(raw)
  }

  /// Lets go of the duplicate; a wait that is under way is forgotten. Harmless when repeated.
  func close() {
    guard descriptor >= 0 else { return }
    body = nil
    isPolling = false
    raw.withMemoryRebound(to: uv_handle_t.self, capacity: 1) { handle in
      uv_close(handle) { handle in
        guard let data = handle?.pointee.data else { return }
        let watch = Unmanaged<WritableWatch>.fromOpaque(data).takeRetainedValue()
        watch.loop.afterCallback()
      }
    }
    // uv_close has taken it out of epoll.
    Glibc.close(descriptor)
    descriptor = -1
  }
}

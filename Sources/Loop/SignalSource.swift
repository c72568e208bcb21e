internal import CLibUV
internal import Glibc

/// Calls a handler on a loop whenever the process gets a signal such as SIGTERM, SIGINT or SIGHUP.
///
/// While a source is open the signal's default action does not happen. Several sources may watch one signal, on one loop or
/// on many; each gets its call. Lives until ``cancel()`` or the end of the loop; nobody needs to keep it.
public final class SignalSource {
  private let loop: EventLoop
  private let raw: UnsafeMutablePointer<uv_signal_t>
  private var handler: (() -> Void)?

  /// Watches `signal` from now on. Call on the loop.
  ///
  /// - Parameters:
  ///   - signal: the number of the signal, for example `SIGTERM`; SIGKILL and SIGSTOP cannot be watched.
  ///   - handler: runs on the loop as ordinary code, not in signal context; signals that arrive together may be merged.
  /// - Throws: ``LoopError/Code/system`` when the signal cannot be watched.
  @discardableResult
  public init(loop: EventLoop, signal: Int32, handler: @escaping () -> Void) throws(LoopError) {
    loop.preconditionOnLoop()
    self.loop = loop
    raw = .allocate(capacity: 1)
    let initStatus = uv_signal_init(loop.raw, raw)
    guard initStatus == 0 else {
      throw LoopError(errno: -initStatus, operation: "watch signal", context: String(signal))
    }
    // Balanced in the close callback, after which libuv no longer knows the handle.
    raw.pointee.data = Unmanaged.passRetained(self).toOpaque()
    self.handler = handler
    let status = uv_signal_start(
      raw,
      { handle, _ in
        guard let data = handle?.pointee.data else { return }
        Unmanaged<SignalSource>.fromOpaque(data)._withUnsafeGuaranteedRef { source in
          if let handler = source.handler { handler() }
          source.loop.afterCallback()
        }
      }, signal)
    guard status == 0 else {
      close()
      throw LoopError(errno: -status, operation: "watch signal", context: String(signal))
    }
  }

  deinit {
    raw.deallocate()
  }

  /// Stops watching; the signal gets its default action back when no other source watches it. Harmless when repeated.
  public func cancel() {
    guard handler != nil else { return }
    loop.preconditionOnLoop()
    close()
  }

  private func close() {
    guard handler != nil else { return }
    handler = nil
    raw.withMemoryRebound(to: uv_handle_t.self, capacity: 1) { handle in
      uv_close(handle) { handle in
        guard let data = handle?.pointee.data else { return }
        let source = Unmanaged<SignalSource>.fromOpaque(data).takeRetainedValue()
        source.loop.afterCallback()
      }
    }
  }

  /// The loop ends: closes the source behind a handle whose owner has not cancelled it.
  static func closeAbandoned(_ handle: UnsafeMutablePointer<uv_handle_t>) {
    guard let data = handle.pointee.data else { return }
    Unmanaged<SignalSource>.fromOpaque(data)._withUnsafeGuaranteedRef { $0.close() }
  }
}

/// Makes writing to a connection that the peer has closed fail with EPIPE instead of ending the process.
///
/// Process-wide; every ``Listener`` calls it, since `sendfile` has no flag for it. Cheap and harmless to repeat.
public func ignoreSIGPIPE() {
  _ = sigpipeIgnored
}

private let sigpipeIgnored: Void = {
  _ = Glibc.signal(SIGPIPE, SIG_IGN)
}()

/// Makes writing past the size that a file may have (RLIMIT_FSIZE) fail with EFBIG instead of ending the process. Process-wide.
public func ignoreSIGXFSZ() {
  _ = Glibc.signal(SIGXFSZ, SIG_IGN)
}

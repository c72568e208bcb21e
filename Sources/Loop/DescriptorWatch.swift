internal import CLibUV

/// What a watched descriptor is ready for.
public struct DescriptorEvents: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let readable = DescriptorEvents(rawValue: 1)
  public static let writable = DescriptorEvents(rawValue: 2)
  /// Polling failed: the descriptor is of no more use. Reported alone, and not to be asked for.
  public static let failed = DescriptorEvents(rawValue: 4)
}

/// Tells when a socket that a C library owns can be read or written; what connects such a library to an event loop.
///
/// The descriptor stays the library's: ``close()`` before it is closed. One watch a descriptor. Belongs to its loop's thread.
public final class DescriptorWatch {
  private let loop: EventLoop
  private let raw: UnsafeMutablePointer<uv_poll_t>
  private var body: ((DescriptorEvents) -> Void)?

  /// A watch that waits for nothing yet. Call on the loop.
  ///
  /// - Parameter body: runs on the loop for as long as an event that is waited for lasts (level-triggered); kept until
  ///   ``close()``, which it may call.
  /// - Throws: ``LoopError/Code/system`` for what epoll does not take, a file for example.
  public init(
    loop: EventLoop, descriptor: Int32, _ body: @escaping (DescriptorEvents) -> Void
  ) throws(LoopError) {
    loop.preconditionOnLoop()
    let raw = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
    let status = uv_poll_init(loop.raw, raw, descriptor)
    guard status == 0 else {
      raw.deallocate()
      throw LoopError(errno: -status, operation: "watch descriptor", context: "\(descriptor)")
    }
    self.loop = loop
    self.raw = raw
    self.body = body
    // Balanced in the close callback, after which libuv no longer knows the handle.
    raw.pointee.data = Unmanaged.passRetained(self).toOpaque()
  }

  deinit { raw.deallocate() }

  /// Changes what is waited for; empty: nothing. Call on the loop.
  public func wait(for events: DescriptorEvents) {
    guard body != nil else { return }
    var wanted: Int32 = 0
    if events.contains(.readable) { wanted |= Int32(UV_READABLE.rawValue) }
    if events.contains(.writable) { wanted |= Int32(UV_WRITABLE.rawValue) }
    guard wanted != 0 else {
      uv_poll_stop(raw)
      return
    }
    uv_poll_start(raw, wanted) { handle, status, events in
      guard let data = handle?.pointee.data else { return }
      Unmanaged<DescriptorWatch>.fromOpaque(data)._withUnsafeGuaranteedRef { $0.woke(status, events) }
    }
  }

  private func woke(_ status: Int32, _ events: Int32) {
    var found: DescriptorEvents = []
    if status < 0 { found = .failed }
    if events & Int32(UV_READABLE.rawValue) != 0 { found.insert(.readable) }
    if events & Int32(UV_WRITABLE.rawValue) != 0 { found.insert(.writable) }
    let body = self.body
    body?(found)
    loop.afterCallback()
  }

  /// Ends the watch; the closure is released and will not run again. Harmless when repeated.
  public func close() {
    guard body != nil else { return }
    loop.preconditionOnLoop()
    body = nil
    raw.withMemoryRebound(to: uv_handle_t.self, capacity: 1) { handle in
      uv_close(handle) { handle in
        guard let data = handle?.pointee.data else { return }
        let watch = Unmanaged<DescriptorWatch>.fromOpaque(data).takeRetainedValue()
        watch.loop.afterCallback()
      }
    }
  }
}

internal import CLinux
internal import Glibc

/// A POSIX thread that runs one closure and is joined once.
public final class NamedThread: Sendable {
  /// nil once joined.
  private let thread: Locked<pthread_t?>

  /// Starts the thread.
  ///
  /// - Parameter name: shown by `top -H` and debuggers; at most 15 bytes of it are used.
  /// - Throws: ``LoopError/Code/system`` when the system refuses another thread.
  public init(name: String, _ body: @escaping @Sendable () -> Void) throws(LoopError) {
    let start = Unmanaged.passRetained(Start(name: name, body: body))
    var thread = pthread_t()
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, AddressSpace.stackBytes)
    let status = pthread_create(&thread, &attributes, Self.main, start.toOpaque())
    pthread_attr_destroy(&attributes)
    guard status == 0 else {
      start.release()
      throw LoopError(errno: status, operation: "start thread", context: name)
    }
    self.thread = Locked(thread)
  }

  /// Waits until the closure has returned. Harmless when repeated; a second caller does not wait for the first.
  public func join() {
    let thread = self.thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    guard let thread else { return }
    precondition(pthread_equal(thread, pthread_self()) == 0, "a thread cannot wait for itself")
    pthread_join(thread, nil)
  }

  private final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// A function of its own: a closure written at the call would inherit the isolation of whoever starts the thread.
  private static let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { data in
    guard let data else { return nil }
    let start = Unmanaged<Start>.fromOpaque(data).takeRetainedValue()
    _ = start.name.withCString { clinux_set_thread_name($0) }
    start.body()
    return nil
  }
}

internal import Glibc

/// Why something on the loop could not be started: a stable code, the system's error number and a sentence that says what to do.
///
/// Failures of a running connection are not thrown; they arrive as errno values in ``SendResult`` and ``SocketDelegate``.
public struct LoopError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A stable name for one kind of failure; the set is open, so switch with a default.
  public struct Code: RawRepresentable, Hashable, Sendable {
    public let rawValue: String

    public init(rawValue: String) {
      self.rawValue = rawValue
    }

    /// The text is not an address and port.
    public static let addressInvalid = Code(rawValue: "loop.address-invalid")
    /// Another process listens on the address.
    public static let addressInUse = Code(rawValue: "loop.address-in-use")
    /// No interface of this host has the address.
    public static let addressUnavailable = Code(rawValue: "loop.address-unavailable")
    /// The process may not use this port.
    public static let permissionDenied = Code(rawValue: "loop.permission-denied")
    /// The process or the system has no descriptors left.
    public static let descriptorsExhausted = Code(rawValue: "loop.descriptors-exhausted")
    /// Any other refusal of the operating system.
    public static let system = Code(rawValue: "loop.system")
    /// The worker pool's queue is at its limit.
    public static let workerQueueFull = Code(rawValue: "loop.worker-queue-full")
    /// The worker pool has been shut down.
    public static let workersStopped = Code(rawValue: "loop.workers-stopped")
  }

  public let code: Code
  /// What was being done, for example `listen`.
  public let operation: String
  /// What it was done to, for example the address; empty when there is nothing to name.
  public let context: String
  /// The errno value behind the error; 0 when the operating system was not asked.
  public let errno: Int32

  public init(_ code: Code, operation: String, context: String = "", errno: Int32 = 0) {
    self.code = code
    self.operation = operation
    self.context = context
    self.errno = errno
  }

  /// Picks the code that fits an errno value.
  init(errno: Int32, operation: String, context: String = "") {
    let code: Code =
      switch errno {
      case EADDRINUSE: .addressInUse
      case EADDRNOTAVAIL: .addressUnavailable
      case EACCES, EPERM: .permissionDenied
      case EMFILE, ENFILE: .descriptorsExhausted
      default: .system
      }
    self.init(code, operation: operation, context: context, errno: errno)
  }

  /// One sentence for the operator: what failed, on what, and what to do about it.
  public var description: String {
    let place = context.isEmpty ? operation : "\(operation) \(context)"
    let advice =
      switch code {
      case .addressInvalid: "write it as 192.0.2.1:8080 or [2001:db8::1]:8080"
      case .addressInUse: "address in use; stop the other process or choose another port"
      case .addressUnavailable: "no interface of this host has that address; choose one shown by `ip address`"
      case .permissionDenied: "permission denied; choose a port above 1023 or grant CAP_NET_BIND_SERVICE"
      case .descriptorsExhausted: "no file descriptors left; raise the limit (ulimit -n, LimitNOFILE)"
      case .workerQueueFull: "the queue of the worker pool is full; try again later"
      case .workersStopped: "the worker pool has been shut down"
      default: Self.text(of: errno)
      }
    return "\(place): \(advice) (\(code.rawValue))"
  }

  private static func text(of errno: Int32) -> String {
    guard let text = strerror(errno) else { return "error \(errno)" }
    return String(cString: text)
  }
}

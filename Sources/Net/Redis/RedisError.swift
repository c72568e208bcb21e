/// Why there is no answer from Redis: a stable code, which server it was about, and what was said.
///
/// Neither text holds a password, a key or a value.
public struct RedisError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A stable name for one kind of failure; the set is open, so switch with a default.
  public struct Code: RawRepresentable, Hashable, Sendable {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    /// The URL or a setting can't be used.
    public static let configurationInvalid = Code(rawValue: "redis.configuration-invalid")
    /// A command that a shared connection can't take: a bug of the caller.
    public static let commandRefused = Code(rawValue: "redis.command-refused")
    /// The client holds as many commands or bytes as it may.
    public static let overloaded = Code(rawValue: "redis.overloaded")
    /// The circuit breaker is open: the server failed lately, and was not asked.
    public static let unavailable = Code(rawValue: "redis.unavailable")
    /// The host's name has no address.
    public static let nameUnresolved = Code(rawValue: "redis.name-unresolved")
    /// Nobody listens there, or the way there is broken.
    public static let connectFailed = Code(rawValue: "redis.connect-failed")
    /// No sentinel names a primary that is one.
    public static let noPrimary = Code(rawValue: "redis.no-primary")
    /// User, password or database were refused.
    public static let signInFailed = Code(rawValue: "redis.sign-in-failed")
    /// The command's time was over. It may have been executed all the same.
    public static let timedOut = Code(rawValue: "redis.timed-out")
    /// The connection ended before the answer came. The command may have been executed all the same.
    public static let connectionLost = Code(rawValue: "redis.connection-lost")
    /// What came is not Redis' protocol, or came without being asked for.
    public static let protocolViolated = Code(rawValue: "redis.protocol-violated")
    /// The answer is larger than the client takes.
    public static let replyTooLarge = Code(rawValue: "redis.reply-too-large")
    /// The server answered with an error; ``RedisError/detail`` is its text.
    public static let serverError = Code(rawValue: "redis.server-error")
    /// The cluster sent the command from node to node.
    public static let tooManyRedirections = Code(rawValue: "redis.too-many-redirections")
    /// The task was cancelled.
    public static let cancelled = Code(rawValue: "redis.cancelled")
    /// The client, or the loop under it, has ended.
    public static let closed = Code(rawValue: "redis.closed")
  }

  public let code: Code
  /// Host and port, or the path of the socket.
  public let server: String
  /// What the server, hiredis or the operating system said; may be empty.
  public let detail: String

  public init(_ code: Code, server: String = "", detail: String = "") {
    self.code = code
    self.server = server
    self.detail = detail
  }

  /// The first word of a server's error, `WRONGTYPE` for example; empty for other codes.
  public var serverErrorName: Substring {
    code == .serverError ? detail.prefix { $0 != " " } : ""
  }

  /// Whether the same command may succeed later, without anybody changing anything on this side.
  public var isTransient: Bool {
    switch code {
    case .overloaded, .unavailable, .nameUnresolved, .connectFailed, .noPrimary, .timedOut, .connectionLost,
      .tooManyRedirections:
      true
    case .serverError: isServerTrouble
    default: false
    }
  }

  /// Whether the server's error tells of the server's state rather than of the command: what the breaker counts.
  var isServerTrouble: Bool {
    switch serverErrorName {
    case "LOADING", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "OOM", "NOAUTH", "MISCONF",
      "NOREPLICAS", "BUSY":
      true
    default: detail.hasPrefix("ERR max number of clients")
    }
  }

  /// Whether this is held against the server, as the circuit breaker counts.
  var countsAgainstServer: Bool {
    switch code {
    case .serverError: isServerTrouble
    case .nameUnresolved, .connectFailed, .noPrimary, .signInFailed, .timedOut, .connectionLost,
      .protocolViolated:
      true
    default: false
    }
  }

  /// One sentence for the operator: what failed and what to do about it.
  public var description: String {
    let advice =
      switch code {
      case .configurationInvalid: "the Redis URL can't be used"
      case .commandRefused: "the command can't go by a shared connection"
      case .overloaded: "too many commands wait; lower the load or raise the client's limits"
      case .unavailable: "Redis failed lately and is asked again within a second or so"
      case .nameUnresolved: "the name has no address; check the name and the resolver"
      case .connectFailed: "no connection; check that it runs and can be reached"
      case .noPrimary: "no sentinel knows a primary; check the sentinels and the primary's name"
      case .signInFailed: "not let in; check user, password and database"
      case .timedOut: "no answer in time"
      case .connectionLost: "the connection ended before the answer"
      case .protocolViolated: "what answers there does not speak Redis' protocol"
      case .replyTooLarge: "the answer is too large"
      case .serverError: "refused"
      case .tooManyRedirections: "the cluster's nodes disagree about the key's place"
      case .cancelled: "the command was cancelled"
      case .closed: "the client has ended"
      default: "the command failed"
      }
    let place = server.isEmpty ? "" : "\(server): "
    return "\(place)\(advice)\(detail.isEmpty ? "" : ": \(detail)") (\(code.rawValue))"
  }
}

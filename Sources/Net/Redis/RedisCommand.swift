/// One argument of a command: any bytes.
public struct RedisArgument: Sendable, Hashable, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral
{
  public var bytes: [UInt8]

  public init(_ bytes: [UInt8]) { self.bytes = bytes }
  public init(_ text: some StringProtocol) { bytes = Array(text.utf8) }
  public init(_ number: some BinaryInteger) { bytes = Array(String(number).utf8) }
  public init(stringLiteral text: String) { self.init(text) }
  public init(integerLiteral number: Int64) { self.init(number) }
}

/// A command in the form that goes over the wire, with what is needed to send it to the right place in time.
///
/// ```swift
/// let command = RedisCommand("SET", "lock:film", RedisArgument(token), "NX", "PX", 5000)
/// ```
public struct RedisCommand: Sendable, Hashable {
  /// In capitals.
  public let name: String
  /// The key by which a cluster finds the node; nil where any node will do.
  public let key: [UInt8]?
  /// From the call to the answer; nil: the client's own.
  public var timeoutMilliseconds: UInt64?
  /// For commands that wait on the server (`XREADGROUP … BLOCK`): how long at most. Such a command gets a connection of its
  /// own while it waits, and this time on top of its timeout.
  public var blockMilliseconds: UInt64?
  /// RESP2: an array of bulk strings.
  let wire: [UInt8]

  /// - Parameters:
  ///   - name: one word; a subcommand is the first argument.
  ///   - keyAt: which of the arguments is a key, where there is one; nil or beyond the end: none.
  public init(_ name: String, _ arguments: [RedisArgument], keyAt: Int? = 0) {
    self.name = name.uppercased()
    key = keyAt.flatMap { arguments.indices.contains($0) ? arguments[$0].bytes : nil }
    var wire: [UInt8] = []
    wire.reserveCapacity(arguments.reduce(32 + name.utf8.count) { $0 + $1.bytes.count + 16 })
    wire += "*\(arguments.count + 1)\r\n$\(name.utf8.count)\r\n\(name)\r\n".utf8
    for argument in arguments {
      wire += "$\(argument.bytes.count)\r\n".utf8
      wire += argument.bytes
      wire += [13, 10]
    }
    self.wire = wire
  }

  public init(_ name: String, _ arguments: RedisArgument..., keyAt: Int? = 0) {
    self.init(name, arguments, keyAt: keyAt)
  }

  /// Why the command can't go by a connection that others use too; nil where it can.
  ///
  /// They would change the connection under everybody else's feet, or make the server send what nobody asked for, which the
  /// library does not survive. Transactions are scripts here; subscriptions have ``RedisSubscriber``.
  var complaint: String? {
    switch name {
    case "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE":
      "\(name): use RedisSubscriber"
    case "MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH": "\(name): use a script"
    case "MONITOR", "HELLO", "RESET", "QUIT", "CLIENT", "AUTH", "SELECT", "SYNC", "PSYNC", "REPLCONF",
      "ASKING",
      "READONLY", "READWRITE":
      "\(name) changes the connection"
    default: name.utf8.isEmpty || name.utf8.contains { $0 <= 0x20 } ? "the name is not one word" : nil
    }
  }
}

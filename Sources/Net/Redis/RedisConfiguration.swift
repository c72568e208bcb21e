/// Where Redis is, who we are there, and the limits under which it is asked.
public struct RedisConfiguration: Sendable, Hashable, CustomStringConvertible {
  /// A name or an address, without brackets, and a port.
  public struct Host: Sendable, Hashable, CustomStringConvertible {
    public var name: String
    public var port: UInt16

    public init(name: String, port: UInt16) {
      self.name = name
      self.port = port
    }

    public var description: String { name.contains(":") ? "[\(name)]:\(port)" : "\(name):\(port)" }
  }

  public enum Place: Sendable, Hashable {
    case server(Host)
    /// A unix socket on this machine.
    case socket(path: String)
    /// The primary that sentinels name.
    case sentinels([Host], primary: String)
    /// Some nodes of a cluster, which tell of the others.
    case cluster([Host])
  }

  public var place: Place
  /// Nil: the default user.
  public var user: String?
  /// Nil: no AUTH.
  public var password: String?
  public var sentinelUser: String?
  public var sentinelPassword: String?
  public var database = 0
  /// Until a connection stands and has signed in; names and sentinels included.
  public var connectTimeoutMilliseconds: UInt64 = 2_000
  /// From the call to the answer, the wait for a connection included, unless the command has a time of its own.
  public var commandTimeoutMilliseconds: UInt64 = 1_000
  /// Commands that were taken and have not been answered.
  public var mostCommands = 4096
  /// The bytes of those commands.
  public var mostCommandBytes = 16 << 20
  /// Of one answer, with 32 bytes for each element of an array.
  public var mostReplyBytes = 16 << 20
  /// Commands that wait on the server at a time, each with a connection.
  public var mostBlockingCommands = 64

  public init(place: Place) { self.place = place }

  /// The place without who we are there: what may be shown and logged.
  public var description: String {
    func list(_ hosts: [Host]) -> String { hosts.map(\.description).joined(separator: ",") }
    let sign = user.map { "\($0):***@" } ?? (password == nil ? "" : ":***@")
    let suffix = database == 0 ? "" : "/\(database)"
    return switch place {
    case .server(let host): "redis://\(sign)\(host)\(suffix)"
    case .socket(let path): "redis+unix://\(sign)\(path)\(database == 0 ? "" : "?db=\(database)")"
    case .sentinels(let hosts, let primary): "redis-sentinel://\(sign)\(list(hosts))/\(primary)\(suffix)"
    case .cluster(let hosts): "redis-cluster://\(sign)\(list(hosts))"
    }
  }
}

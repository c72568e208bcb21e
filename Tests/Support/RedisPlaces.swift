internal import Foundation

extension RedisServer {
  /// Two nodes, each with half of the slots.
  public static func cluster() throws -> [RedisServer] {
    let nodes = try (0..<2).map { _ in
      try RedisServer(["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"])
    }
    try nodes[0].command("cluster", "addslotsrange", "0", "8191")
    try nodes[1].command("cluster", "addslotsrange", "8192", "16383")
    try nodes[1].command("cluster", "set-config-epoch", "2")
    try nodes[0].command("cluster", "meet", "127.0.0.1", "\(nodes[1].port)")
    let deadline = ContinuousClock.now + .seconds(20)
    for node in nodes {
      while !(try node.command("cluster", "info").contains("cluster_state:ok")) {
        guard ContinuousClock.now < deadline else { throw SupportError("the cluster does not come up") }
      }
    }
    return nodes
  }
}

/// A sentinel that watches one primary.
public final class RedisSentinel: Sendable {
  private let folder: TemporaryFolder
  private let server: BackgroundCommand
  public let port: UInt16

  public init(of primary: RedisServer) throws {
    folder = try TemporaryFolder("sentinel")
    for _ in 0..<20 {
      let port = try Canary().port
      let path = try folder.write(
        "sentinel.conf",
        text: """
          port \(port)
          bind 127.0.0.1
          dir \(folder.url.path)
          sentinel monitor mymaster 127.0.0.1 \(primary.port) 1
          sentinel down-after-milliseconds mymaster 500
          sentinel failover-timeout mymaster 2000

          """)
      let started = try BackgroundCommand("redis-server", [path, "--sentinel"])
      let deadline = ContinuousClock.now + .seconds(10)
      while ContinuousClock.now < deadline, started.wait(.zero) == nil {
        if try Command.run("redis-cli", ["-p", "\(port)", "ping"]).text.hasPrefix("PONG") {
          self.port = port
          server = started
          return
        }
      }
      started.kill()
    }
    throw SupportError("the sentinel did not start")
  }

  deinit { server.kill() }

  public func command(_ words: String...) throws -> String {
    try Command.run("redis-cli", ["-p", "\(port)"] + words).text
  }
}

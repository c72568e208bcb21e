internal import Foundation
internal import Synchronization

/// `redis-between.py`: stands in front of a real Redis, and can be slow, reset, answer that it loads, or garbage.
public final class RedisBetween: Sendable {
  private let folder: TemporaryFolder
  private let redis: RedisServer
  private let running: Mutex<BackgroundCommand>
  public let port: UInt16

  public init(_ redis: RedisServer) throws {
    self.redis = redis
    folder = try TemporaryFolder("redis-between")
    let (started, port) = try Self.start(folder, redis, 0)
    running = Mutex(started)
    self.port = port
  }

  deinit { kill() }

  private static func start(
    _ folder: TemporaryFolder, _ redis: RedisServer, _ port: UInt16
  ) throws -> (BackgroundCommand, UInt16) {
    try folder.write("mode", text: "pass")
    let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "redis-between.py").path
    let started = try BackgroundCommand(
      "python3", [script, folder.path("mode"), "\(redis.port)", "\(port)"])
    guard let port = started.line(startingWith: "port ").flatMap({ UInt16($0) }) else {
      throw SupportError("no port: \(started.wait(.seconds(5))?.errors ?? "")")
    }
    return (started, port)
  }

  public var url: String { "redis://127.0.0.1:\(port)" }

  /// `pass`, `slow`, `reset`, `loading` or `garbage`, from the next command on.
  public func behave(_ mode: String) throws { try folder.write("mode", text: mode) }

  /// Nobody listens any more.
  public func kill() {
    running.withLock {
      $0.kill()
      _ = $0.wait(.seconds(10))
    }
  }

  /// On the same port, after ``kill()``.
  public func restart() throws {
    let (started, _) = try Self.start(folder, redis, port)
    running.withLock { $0 = started }
  }
}

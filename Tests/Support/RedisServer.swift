internal import Foundation
internal import Glibc
internal import Synchronization

/// A real redis-server on a port and a socket of its own, in a temporary folder, until the last reference goes.
public final class RedisServer: Sendable {
  public let folder: TemporaryFolder
  public let port: UInt16
  private let options: [String]
  private let running: Mutex<BackgroundCommand>

  /// - Parameter options: as on the command line, `["--requirepass", "secret"]` for example.
  public init(_ options: [String] = []) throws {
    folder = try TemporaryFolder("redis")
    self.options = options
    // redis-server takes no port of the kernel's choice: a free one is looked for, and another if somebody was faster. A node of
    // a cluster takes the port that is higher by 10,000, too.
    for _ in 0..<20 {
      let port = try Canary().port
      if port > 55_000 { continue }
      if let started = try Self.start(port, options, folder) {
        self.port = port
        running = Mutex(started)
        return
      }
    }
    throw SupportError("redis-server did not start")
  }

  deinit { kill() }

  public var socketPath: String { folder.path("redis.sock") }
  public var url: String { "redis://127.0.0.1:\(port)" }

  private static func start(
    _ port: UInt16, _ options: [String], _ folder: TemporaryFolder
  ) throws -> BackgroundCommand? {
    let started = try BackgroundCommand(
      "redis-server",
      [
        "--bind", "127.0.0.1", "--port", "\(port)", "--unixsocket", folder.path("redis.sock"), "--dir",
        folder.url.path, "--save", "",
      ] + options)
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline, started.wait(.zero) == nil {
      let answer = try Command.run("redis-cli", ["-p", "\(port)", "ping"])
      if answer.text.hasPrefix("PONG") || answer.text.hasPrefix("NOAUTH") { return started }
    }
    started.kill()
    return nil
  }

  /// What redis-cli prints.
  @discardableResult
  public func command(_ words: String...) throws -> String {
    let run = try Command.run("redis-cli", ["-p", "\(port)"] + words)
    return run.text.trimmingCharacters(in: .newlines)
  }

  public func kill() {
    running.withLock {
      $0.kill()
      _ = $0.wait(.seconds(10))
    }
  }

  /// On the same port, after ``kill()``.
  public func restart() throws {
    guard let started = try Self.start(port, options, folder) else { throw SupportError("not restarted") }
    running.withLock { $0 = started }
  }

  /// SIGSTOP: it keeps its connections, takes new ones, and answers nothing.
  public func pause() { running.withLock { _ = Glibc.kill($0.id, SIGSTOP) } }
  public func goOn() { running.withLock { _ = Glibc.kill($0.id, SIGCONT) } }
}

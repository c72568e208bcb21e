internal import Foundation

/// `scripted-redis.py`: a server of Redis' protocol that misbehaves as it is told.
public final class ScriptedRedis: Sendable {
  private let folder: TemporaryFolder
  private let server: BackgroundCommand
  public let port: UInt16

  public init(_ mode: String) throws {
    folder = try TemporaryFolder("scripted-redis")
    try folder.write("mode", text: mode)
    let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "scripted-redis.py")
      .path
    server = try BackgroundCommand("python3", [script, folder.path("mode")])
    guard let port = server.line(startingWith: "port ").flatMap({ UInt16($0) }) else {
      throw SupportError("no port: \(server.wait(.seconds(5))?.errors ?? "")")
    }
    self.port = port
  }

  deinit { server.kill() }

  public var url: String { "redis://127.0.0.1:\(port)" }
  /// How it behaves from the next command or connection on.
  public func behave(_ mode: String) throws { try folder.write("mode", text: mode) }
  public func sees(_ line: String) async -> Bool {
    await eventually { !server.lines(startingWith: line).isEmpty }
  }
  public func count(_ line: String) -> Int { server.lines(startingWith: line).count }
}

internal import Foundation
internal import Glibc

/// A whole installation in a temporary folder: configuration, sites, storage, and the real program on ports
/// that the kernel chose.
///
/// The program prints one line per listener, `listening http://127.0.0.1:PORT` and `admin http://127.0.0.1:PORT`;
/// that is how the ports are learnt.
public final class ServerUnderTest: Sendable {
  /// What goes into `etc/headwater.toml` beyond listeners and storage, and the site files.
  public struct Options: Sendable {
    public var threads = 1
    public var listen = ["127.0.0.1:0"]
    public var admin = "127.0.0.1:0"
    /// Lines below `[server]`.
    public var server = ""
    /// Whole further tables of `headwater.toml`.
    public var tables = ""
    /// Content of `etc/sites/NAME.toml` by NAME.
    public var sites: [String: String] = ["demo": #"hosts = ["*"]"#]
    /// Further files, such as those with secrets, by their path in the folder.
    public var files: [String: String] = [:]

    public init() {}
  }

  private struct Running: Sendable {
    var child: ChildProcess?
    var port = 0
    var adminPort = 0
    /// The process that serves after rolling restarts; nil as long as it is the child itself.
    var successor: pid_t?
    var restarts = 0
    var tlsPort = 0
    var environment: [String: String] = [:]
  }

  public let folder: TemporaryFolder
  private let running = Monitor(Running())

  deinit {
    // The child ends with its reference; what took over from it is its child, not ours.
    let running = running.update { $0 }
    if let child = running.child, let successor = running.successor, child.openPipes > 0 {
      kill(successor, SIGKILL)
    }
  }

  /// Writes the configuration; starts nothing.
  public init(_ options: Options = Options()) throws {
    folder = try TemporaryFolder("server")
    try FileManager.default.createDirectory(
      atPath: folder.path("storage"), withIntermediateDirectories: true)
    try configure(options)
  }

  /// Writes the configuration anew; a running server sees it at its next reload.
  public func configure(_ options: Options) throws {
    try folder.write(
      "etc/headwater.toml",
      text: """
        [server]
        listen = [\(options.listen.map { "\"\($0)\"" }.joined(separator: ", "))]
        admin = "\(options.admin)"
        threads = \(options.threads)
        storage = "\(folder.path("storage"))"
        \(options.server.contains("drain_grace") ? "" : "drain_grace = \"0s\"")
        \(options.server)
        \(Self.withJobsThatGoOn(options.tables))

        """)
    for (path, text) in options.files { try folder.writeSecret(path, text) }
    for (name, text) in options.sites { try folder.write("etc/sites/\(name).toml", text: text + "\n") }
  }

  /// Tests run at the same time: jobs that run only while nobody else wants the processor would not end in theirs.
  private static func withJobsThatGoOn(_ tables: String) -> String {
    let jobs = "[jobs]\nwhen_idle = false"
    return tables.contains("[jobs]") ? tables.replacing("[jobs]", with: jobs) : "\(tables)\n\(jobs)"
  }

  public var configPath: String { folder.path("etc/headwater.toml") }

  /// Variables, beside our own, of what is started from now on.
  public var environment: [String: String] {
    get { running.update { $0.environment } }
    set { running.update { $0.environment = newValue } }
  }

  /// Runs a command of the program on this installation, serving or not.
  public func headwater(_ arguments: [String], timeout: Duration = .seconds(60)) throws -> Command {
    try Command.run(
      Checkout.binary, arguments + ["--config", configPath], environment: environment,
      folder: folder.url.path, timeout: timeout)
  }

  /// The same, without waiting for the end.
  public func inBackground(_ arguments: [String]) throws -> BackgroundCommand {
    try BackgroundCommand(
      Checkout.binary, arguments + ["--config", configPath], environment: environment)
  }

  // MARK: - Serving

  /// Starts serving and waits until both listeners have said their ports.
  ///
  /// - Parameters:
  ///   - executable: the program, where it is not the one that was built.
  ///   - launcher: words in front of the program: what starts it under the same process id.
  ///   - descriptors: what the process inherits from 3 on.
  public func start(
    _ timeout: Duration = .seconds(20), executable: String = Checkout.binary, launcher: [String] = [],
    environment: [String: String] = [:], descriptors: [Int32] = []
  ) throws {
    guard FileManager.default.isExecutableFile(atPath: executable) else {
      throw SupportError("no program at \(executable): build it, or set HEADWATER_BINARY")
    }
    let words = launcher + [executable, "serve", "--config", configPath]
    let child = try ChildProcess(
      words[0], Array(words.dropFirst()), environment: self.environment.merging(environment) { $1 },
      folder: folder.url.path,
      descriptors: descriptors)
    let ports: (Int, Int, Int)?? = child.wait(until: .now + timeout) { state in
      let lines = (state.output + [10] + state.errors).split(separator: 10)
      if let port = Self.port(in: lines, after: "listening http://127.0.0.1:"),
        let admin = Self.port(in: lines, after: "admin http://127.0.0.1:")
      {
        // Said before the admin port, where there is one.
        return .some((port, admin, Self.port(in: lines, after: "listening https://127.0.0.1:") ?? 0))
      }
      // The program ended: stop waiting, with no ports.
      return state.status != nil && state.openPipes == 0 ? .some(nil) : nil
    }
    guard let found = ports, let (port, admin, tls) = found else {
      child.signal(SIGKILL)
      throw SupportError("the server did not say its ports\n\(Self.text(child.written.errors.suffix(4000)))")
    }
    running.update {
      $0 = Running(
        child: child, port: port, adminPort: admin, tlsPort: tls, environment: $0.environment)
    }
  }

  /// SIGTERM, then the end of the process; its exit code (0 after a clean drain) or minus a signal.
  ///
  /// - Throws: `SupportError` when it is still there after `timeout`; it is killed then.
  @discardableResult
  public func stop(_ timeout: Duration = .seconds(20)) throws -> Int32 {
    signal(SIGTERM)
    return try waitForEnd(timeout)
  }

  /// The exit code, once the process ends by itself or by an earlier signal.
  public func waitForEnd(_ timeout: Duration = .seconds(20)) throws -> Int32 {
    guard let child = running.update({ $0.child }) else { throw SupportError("no server was started") }
    guard let status = child.waitForEnd(.now + timeout)?.status else {
      child.signal(SIGKILL)
      throw SupportError("the server did not end within \(timeout)\n\(log.suffix(2000))")
    }
    return status
  }

  /// Sends a signal to the serving process.
  public func signal(_ number: Int32) {
    let running = running.update { $0 }
    guard let successor = running.successor else {
      running.child?.signal(number)
      return
    }
    if isRunning { kill(successor, number) }
  }

  /// A rolling restart: SIGUSR2, until another process says that it serves. The process before may still drain.
  public func restart(_ timeout: Duration = .seconds(20)) throws {
    let running = running.update { $0 }
    signal(SIGUSR2)
    let found: [Int32]? = running.child?.wait(until: .now + timeout) { state in
      let text = Self.text(state.errors)
      let ids = text.matches(of: /rolling restart: process ([0-9]+) serves/).compactMap { Int32($0.1) }
      return ids.count > running.restarts ? ids : nil
    }
    guard let ids = found, let id = ids.last else {
      throw SupportError("no other process serves after \(timeout)\n\(log.suffix(3000))")
    }
    self.running.update {
      $0.successor = id
      $0.restarts = ids.count
    }
  }

  public var isRunning: Bool {
    let running = running.update { $0 }
    guard running.successor != nil else { return running.child?.isRunning ?? false }
    // Its output goes to our pipes, which end with the last process that has them.
    return (running.child?.openPipes ?? 0) > 0
  }
  public var processID: Int32 { running.update { $0.successor ?? $0.child?.id ?? 0 } }
  public var port: Int { running.update { $0.port } }
  /// 0 where nothing is encrypted.
  public var tlsPort: Int { running.update { $0.tlsPort } }
  public var adminPort: Int { running.update { $0.adminPort } }
  public func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }

  /// All that the serving process wrote, standard output first.
  public var log: String {
    guard let written = running.update({ $0.child })?.written else { return "" }
    return Self.text(written.output) + Self.text(written.errors)
  }

  /// The first line of the log that `matches`, waiting for it until the deadline.
  public func logLine(_ timeout: Duration = .seconds(10), where matches: (String) -> Bool) -> String? {
    running.update { $0.child }?.wait(until: .now + timeout) { state in
      (state.output + [10] + state.errors).split(separator: 10).map { Self.text($0) }.first(where: matches)
    }
  }

  // MARK: - Requests

  public func connect(timeout: Duration = .seconds(10), receiveBufferBytes: Int32? = nil) throws
    -> RawConnection
  {
    try RawConnection(port: port, timeout: timeout, receiveBufferBytes: receiveBufferBytes)
  }

  /// One request on a connection of its own. `path` is sent as it is.
  public func request(
    _ method: String = "GET", _ path: String, _ fields: [(String, String)] = [], body: [UInt8]? = nil,
    admin: Bool = false
  ) throws -> RawResponse {
    let connection = try RawConnection(port: admin ? adminPort : port, timeout: .seconds(20))
    var head = "\(method) \(path) HTTP/1.1\r\n"
    if !fields.contains(where: { $0.0.lowercased() == "host" }) { head += "Host: localhost\r\n" }
    for (name, value) in fields { head += "\(name): \(value)\r\n" }
    if let body { head += "Content-Length: \(body.count)\r\n" }
    head += "Connection: close\r\n\r\n"
    try connection.send(Array(head.utf8) + (body ?? []))
    return try connection.response(toHead: method == "HEAD")
  }

  private static func port(in lines: [ArraySlice<UInt8>], after prefix: String) -> Int? {
    // The line may carry a log prefix (time, level) before the words.
    lines.lazy.compactMap { line in
      let text = Self.text(line)
      guard let range = text.range(of: prefix) else { return nil }
      return Int(text[range.upperBound...].prefix { $0.isNumber })
    }.first
  }

  private static func text(_ bytes: some Collection<UInt8>) -> String {
    String(decoding: bytes, as: UTF8.self)
  }
}

import Support
import Testing

/// The real program, started on ports of its own and asked by clients that this project did not write.
///
/// One at a time: most of these tests load both cores by themselves.
@Suite(.serialized, .onBlockingThreads) enum EndToEnd {}

/// Runs a suite on threads that may block; see `BlockingExecutor`.
struct OnBlockingThreads: SuiteTrait, TestScoping {
  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(BlockingExecutor.shared) { try await function() }
  }
}

extension Trait where Self == OnBlockingThreads {
  static var onBlockingThreads: Self { Self() }
}

/// Does the same with all of them at once: most of such work is waiting.
func together<Element: Sendable>(
  _ elements: [Element], _ work: @escaping @Sendable (Element) async throws -> Void
) async throws {
  try await withThrowingTaskGroup(of: Void.self) { group in
    for element in elements { group.addTask { try await work(element) } }
    try await group.waitForAll()
  }
}

/// Starts one server for a whole suite, which finds it as `Served.server`, and stops it after the last test:
/// that it then ends with exit code 0 is one check more.
struct Served: SuiteTrait, TestScoping {
  @TaskLocal static var current: ServerUnderTest?

  /// The server of the running suite.
  static var server: ServerUnderTest {
    get throws {
      guard let current else { throw SupportError("this suite has no Served trait") }
      return current
    }
  }

  let options: ServerUnderTest.Options
  let prepare: @Sendable (ServerUnderTest) throws -> Void

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let server = try ServerUnderTest(options)
    try server.start()
    try prepare(server)
    try await Self.$current.withValue(server) { try await function() }
    #expect(try server.stop() == 0, "exit code after SIGTERM; log: \(server.log.suffix(2000))")
  }
}

extension Trait where Self == Served {
  /// - Parameter prepare: runs once, when the server has started.
  static func served(
    _ options: ServerUnderTest.Options = .init(),
    _ prepare: @escaping @Sendable (ServerUnderTest) throws -> Void
  ) -> Self { Self(options: options, prepare: prepare) }
}

extension ServerUnderTest {
  /// Imports a file as an asset of the site `demo` and insists on success.
  func importAsset(_ id: String, _ file: String) throws {
    let done = try headwater(["import", "--site", "demo", "--id", id, file])
    try #require(done.status == 0, "import of \(file): \(done.errors)")
  }

  /// Publishes a static file of the site `demo` and insists on success.
  func putFile(_ path: String, _ file: String) throws {
    let done = try headwater(["put", "--site", "demo", path, file])
    try #require(done.status == 0, "put of \(file): \(done.errors)")
  }

  /// One request by curl, which refuses what is not HTTP.
  func curl(
    _ path: String, _ fields: [(String, String)] = [], method: String = "GET", arguments: [String] = []
  ) throws -> RawResponse {
    var words = ["-sS", "-i", "--raw", "--http1.1", "--path-as-is", "--max-time", "30"]
    words += method == "HEAD" ? ["--head"] : method == "GET" ? [] : ["-X", method]
    words += fields.flatMap { ["-H", "\($0.0): \($0.1)"] } + arguments + [url(path)]
    let done = try Command.run("curl", words)
    guard done.status == 0 else { throw SupportError("curl \(path): \(done.status) \(done.errors)") }
    return try RawResponse.parse(done.output, toHead: method == "HEAD")
  }
}

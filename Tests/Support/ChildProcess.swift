internal import Foundation
internal import Glibc
internal import Synchronization

/// A process of our own: started by `posix_spawn`, ended by its id and no other way, never left behind.
///
/// Its standard output and standard error are read by threads until they end, so the process never blocks on
/// a full pipe. All waiting has a deadline.
final class ChildProcess: Sendable {
  struct State: Sendable {
    /// Exit code, or minus the signal; `nil` while it runs.
    var status: Int32?
    var output: [UInt8] = []
    var errors: [UInt8] = []
    var openPipes = 2
  }

  let id: pid_t
  private let state = Monitor(State())
  private let ownGroup: Bool

  /// - Parameters:
  ///   - descriptors: what the process inherits from 3 on; they stay the caller's.
  ///   - ownGroup: start a process group, so that `signal` reaches what the process starts itself.
  init(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:], folder: String? = nil,
    input: [UInt8] = [], descriptors: [Int32] = [], ownGroup: Bool = false
  ) throws {
    self.ownGroup = ownGroup
    // `env -C` changes the folder and then becomes the program, under the same id.
    let words = (folder.map { ["env", "-C", $0] } ?? []) + [executable] + arguments
    let (stdin, stdout, stderr, id) = try Self.starting.withLock { _ in
      let pipes = (try Pipe(), try Pipe(), try Pipe())
      let id = try Self.spawn(
        words, environment: environment, ownGroup: ownGroup,
        descriptors: [pipes.0.read, pipes.1.write, pipes.2.write] + descriptors)
      for end in [pipes.0.read, pipes.1.write, pipes.2.write] { close(end) }
      return (pipes.0.write, pipes.1.read, pipes.2.read, id)
    }
    self.id = id

    let state = state
    Thread.detachNewThread { Self.write(input, to: stdin) }
    Thread.detachNewThread {
      Self.drain(stdout) { chunk in
        state.update { $0.output += chunk }
      } then: {
        state.update { $0.openPipes -= 1 }
      }
    }
    Thread.detachNewThread {
      Self.drain(stderr) { chunk in
        state.update { $0.errors += chunk }
      } then: {
        state.update { $0.openPipes -= 1 }
      }
    }
    Thread.detachNewThread {
      // Wait without reaping first: until `status` is set under the lock, the id cannot belong to another.
      var info = siginfo_t()
      while waitid(P_PID, id_t(id), &info, WEXITED | WNOWAIT) != 0, errno == EINTR {}
      state.update { state in
        var raw: Int32 = 0
        while waitpid(id, &raw, 0) < 0, errno == EINTR {}
        let signal = raw & 0x7f
        state.status = signal == 0 ? (raw >> 8) & 0xff : -signal
      }
    }
  }

  deinit { signal(SIGKILL) }

  /// Sends a signal unless the process has ended.
  func signal(_ number: Int32) {
    state.update { state in
      if state.status == nil { kill(ownGroup ? -id : id, number) }
    }
  }

  var isRunning: Bool { state.update { $0.status == nil } }

  /// How many of the two outputs some process still holds.
  var openPipes: Int { state.update { $0.openPipes } }

  /// All that was written so far to standard output and to standard error.
  var written: (output: [UInt8], errors: [UInt8]) { state.update { ($0.output, $0.errors) } }

  /// Waits for the end of the process and of its output; `nil` when the deadline comes first.
  func waitForEnd(_ deadline: ContinuousClock.Instant) -> State? {
    state.wait(until: deadline) { $0.status != nil && $0.openPipes == 0 ? $0 : nil }
  }

  /// Waits until `pick` finds something in the state; `nil` at the deadline.
  func wait<Result>(until deadline: ContinuousClock.Instant, _ pick: (State) -> Result?) -> Result? {
    state.wait(until: deadline, pick)
  }

  // MARK: - System calls

  private struct Pipe {
    let read: Int32
    let write: Int32

    init() throws {
      var ends: [Int32] = [0, 0]
      guard pipe(&ends) == 0 else { throw SupportError("pipe: errno \(errno)") }
      (read, write) = (ends[0], ends[1])
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    }
  }

  /// Held from making a pipe until the process has started: a process started by another thread in between
  /// would inherit the pipe and keep it open.
  private static let starting = Mutex(())

  private static func spawn(
    _ words: [String], environment: [String: String], ownGroup: Bool, descriptors: [Int32]
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // Copies above all targets, so that no `dup2` overwrites what another one is about to copy.
    let sources = descriptors.map { fcntl($0, F_DUPFD_CLOEXEC, Int32(descriptors.count)) }
    defer { for source in sources { close(source) } }
    for (target, source) in sources.enumerated() {
      posix_spawn_file_actions_adddup2(&actions, source, Int32(target))
    }

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The test runner may block or ignore signals; the child starts with the defaults.
    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    var flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
    if ownGroup { flags |= POSIX_SPAWN_SETPGROUP }
    posix_spawnattr_setflags(&attributes, Int16(flags))

    let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let argv = words.map { strdup($0) } + [nil]
    let envp = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in argv + envp { free(pointer) } }
    var id: pid_t = 0
    let failure = posix_spawnp(&id, words[0], &actions, &attributes, argv, envp)
    guard failure == 0 else {
      throw SupportError("cannot start \(words[0]): \(String(cString: strerror(failure)))")
    }
    return id
  }

  private static func drain(_ descriptor: Int32, _ take: ([UInt8]) -> Void, then end: () -> Void) {
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count > 0 { take(Array(buffer[..<count])) } else if count == 0 || errno != EINTR { break }
    }
    close(descriptor)
    end()
  }

  private static func write(_ bytes: [UInt8], to descriptor: Int32) {
    signalSafely {
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { break }
      }
    }
    close(descriptor)
  }

  /// A process that ends without reading its input must not end us by SIGPIPE.
  private static func signalSafely(_ body: () -> Void) {
    var pipe = sigset_t()
    sigemptyset(&pipe)
    sigaddset(&pipe, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &pipe, nil)
    body()
  }
}

// The process that takes over from this one
//
// A rolling restart starts the program anew, by the path and arguments with which it was started itself, so that a new binary
// under the same path comes into force. The new process inherits the very listening sockets, not sockets on the same
// addresses: with SO_REUSEPORT each socket has a queue of its own, and a queue that nobody inherits is lost with all
// connections in it.
//
//   old                                       new
//   SIGUSR2: duplicate every listener, write the ticket keys to memory
//   posix_spawn ────────────────────────────► read the configuration, open the store, adopt the listeners
//   wait for the pipe                         accept
//        ◄──────────────── one byte ───────── say so
//   close the listeners, drain, exit          serve
//
// Until the byte has come the old process does all its work. A pipe that ends without one means that the new process has
// failed: the old one goes on, and says why.

internal import CLinux
import Glibc

/// A new process of this program that has been started and may or may not come to serve.
struct Successor: Sendable {
  /// How the program was started.
  struct Launch: Sendable {
    /// The first one is the program: a path, or a name to be found on PATH.
    var arguments: [String]
    var environment: [String: String]
  }

  enum Outcome: Sendable, Equatable {
    case serves
    case failed(String)
  }

  let id: pid_t
  private let pipe: Int32

  /// Starts the program with listening sockets and a file of ticket keys, whose descriptors stay the caller's own.
  init(
    _ launch: Launch, _ listeners: [InheritedListeners.Group], ticketKeys: Int32? = nil
  ) throws(InheritanceError) {
    guard let program = launch.arguments.first else {
      throw InheritanceError("the program's path is unknown")
    }
    var ends: [Int32] = [-1, -1]
    guard Glibc.pipe(&ends) == 0 else { throw Self.failure("pipe", errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { close(ends[1]) }
    do throws(InheritanceError) {
      id = try Self.spawn(program, launch, listeners, ready: ends[1], ticketKeys)
    } catch {
      close(ends[0])
      throw error
    }
    pipe = ends[0]
  }

  /// Waits until the process serves, ends, or has had its time, after which it is killed. Call once; blocks.
  ///
  /// - Parameter ending: called before a process that does not serve is waited for: from then on its id may be another's.
  func wait(milliseconds: Int32, ending: () -> Void) -> Outcome {
    defer { close(pipe) }
    var entry = pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)
    var count: Int32
    repeat { count = poll(&entry, 1, milliseconds) } while count < 0 && errno == EINTR
    var byte: UInt8 = 0
    if count > 0, read(pipe, &byte, 1) == 1 { return .serves }
    ending()
    if count == 0 { kill(id, SIGKILL) }
    var status: Int32 = 0
    while waitpid(id, &status, 0) < 0, errno == EINTR {}
    if count == 0 { return .failed("it did not serve within \(milliseconds / 1000) s and was killed") }
    return .failed(
      status & 0x7F == 0 ? "it ended with status \(status >> 8 & 0xFF)" : "signal \(status & 0x7F) ended it")
  }

  private static func spawn(
    _ program: String, _ launch: Launch, _ listeners: [InheritedListeners.Group], ready: Int32,
    _ ticketKeys: Int32?
  ) throws(InheritanceError) -> pid_t {
    let first = InheritedListeners.firstDescriptor
    let sockets = listeners.flatMap(\.descriptors)
    let readyNumber = first + Int32(sockets.count)
    let wanted = sockets + [ready] + (ticketKeys.map { [$0] } ?? [])
    let end = first + Int32(wanted.count)
    // Copies above all targets, so that no `dup2` below overwrites what another one is about to copy.
    let sources = wanted.map { fcntl($0, F_DUPFD_CLOEXEC, end) }
    let failure = errno
    defer { for source in sources where source >= 0 { close(source) } }
    guard sources.allSatisfy({ $0 >= 0 }) else { throw Self.failure("hand over", failure) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (index, source) in sources.enumerated() {
      posix_spawn_file_actions_adddup2(&actions, source, first + Int32(index))
    }
    clinux_spawn_close_from(&actions, end)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    clinux_spawn_default_signals(&attributes)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

    var environment = launch.environment
    for name in InheritedListeners.variables + [TLSTicketKeys.variable] { environment[name] = nil }
    if ticketKeys != nil { environment[TLSTicketKeys.variable] = "\(readyNumber + 1)" }
    environment[InheritedListeners.variable] = InheritedListeners.text(
      renumbered(listeners, from: first), ready: readyNumber)
    let argv = launch.arguments.map { strdup($0) } + [nil]
    let envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in argv + envp { free(pointer) } }
    var id: pid_t = 0
    let status = posix_spawnp(&id, program, &actions, &attributes, argv, envp)
    guard status == 0 else { throw Self.failure("start \(program)", status) }
    return id
  }

  /// The same sockets under the numbers that they have in the new process.
  private static func renumbered(
    _ listeners: [InheritedListeners.Group], from first: Int32
  ) -> [InheritedListeners.Group] {
    var next = first
    return listeners.map { group in
      var group = group
      let count = Int32(group.descriptors.count)
      group.descriptors = Array(next..<next + count)
      next += count
      return group
    }
  }

  private static func failure(_ operation: String, _ code: Int32) -> InheritanceError {
    InheritanceError("\(operation): \(String(cString: strerror(code)))")
  }
}

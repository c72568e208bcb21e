internal import CLinux
internal import Codec

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// `headwater-media sandbox-check`: puts up the layers of the sandbox one after the other, and tries at each to do what it
/// is there to prevent. One line for each attempt; the status is 0 if all of them were refused.
///
/// Each layer is tried before the ones that would refuse the same for other reasons, so that a line is a proof about that
/// layer alone.
enum SandboxCheck {
  private struct Attempt: Sendable {
    var name: String
    /// -1 with `errno` where it was refused.
    var make: @Sendable () -> Int
  }

  static func run() -> Int32 {
    var limits = Sandbox.Limits()
    limits.outputBytes = 1 << 20
    var isSound = true

    report("landlock", isPresent: Sandbox.restrictFiles(), [readFile, makeFile, execute, connect], &isSound)
    let scratch = clinux_memory_file("sandbox-check")
    let kept: Int32 = 5
    for descriptor in 3...kept { dup2(scratch, descriptor) }
    Sandbox.restrictResources(limits)
    report("resources", isPresent: true, [allocate, writePast(kept, limits.outputBytes), open], &isSound)
    report(
      "seccomp", isPresent: Sandbox.restrictCalls(),
      [
        readFile, makeFile, execute, openSocket, connect, fork, thread, trace, signalParent, mount,
        makeExecutable, unshare,
      ],
      &isSound)
    return isSound ? 0 : 1
  }

  private static func report(_ layer: String, isPresent: Bool, _ attempts: [Attempt], _ isSound: inout Bool) {
    guard isPresent else {
      isSound = false
      return say("\(layer): the kernel does not offer it")
    }
    for attempt in attempts {
      errno = 0
      if attempt.make() == -1 {
        say("\(layer): \(attempt.name): refused (\(String(cString: strerror(errno))))")
      } else {
        isSound = false
        say("\(layer): \(attempt.name): NOT REFUSED")
      }
    }
  }

  private static func say(_ line: String) { MediaCommand.write(Array((line + "\n").utf8), to: STDOUT_FILENO) }

  private static func call(_ number: Int32, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0) -> Int {
    clinux_call(Int(number), a, b, c, d)
  }

  private static func path(_ text: StaticString) -> Int { Int(bitPattern: text.utf8Start) }

  /// AT_FDCWD.
  private static let here = -100

  private static let readFile = Attempt(name: "open /etc/passwd") {
    call(SYS_openat, here, path("/etc/passwd"), Int(O_RDONLY))
  }
  private static let makeFile = Attempt(name: "make a file in /tmp") {
    call(SYS_openat, here, path("/tmp"), Int(O_RDWR) | 0o20200000, 0o600)
  }
  private static let execute = Attempt(name: "run /bin/true") {
    let arguments: [Int] = [path("/bin/true"), 0]
    return arguments.withUnsafeBytes { call(SYS_execve, path("/bin/true"), Int(bitPattern: $0.baseAddress)) }
  }
  private static let openSocket = Attempt(name: "make a socket") { call(SYS_socket, 2, 1) }
  private static let connect = Attempt(name: "connect by TCP") {
    let descriptor = call(SYS_socket, 2, 1)
    guard descriptor >= 0 else { return -1 }
    // 127.0.0.1, port 9.
    let address: [UInt8] = [2, 0, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    let result = address.withUnsafeBytes {
      call(SYS_connect, descriptor, Int(bitPattern: $0.baseAddress), 16)
    }
    // A refusal by the peer is none by the kernel.
    let isRefused = result == -1 && errno != ECONNREFUSED
    let error = errno
    close(Int32(descriptor))
    errno = error
    return isRefused ? -1 : 0
  }
  private static let open = Attempt(name: "one more descriptor") { call(SYS_dup, 0) }
  private static let allocate = Attempt(name: "allocate 64 GiB") {
    let memory = call(SYS_mmap, 0, 64 << 30, 3, 0x4022)
    return memory
  }
  private static func writePast(_ descriptor: Int32, _ limit: UInt64) -> Attempt {
    Attempt(name: "write past the limit") {
      pwrite(descriptor, "x", 1, off_t(clamping: limit))
    }
  }
  /// `clone` with SIGCHLD, as fork does.
  private static let fork = Attempt(name: "start a process") { endChild(call(SYS_clone, 17)) }
  private static let thread = Attempt(name: "start a thread") { endChild(call(SYS_clone3, 0, 0)) }
  private static func endChild(_ result: Int) -> Int {
    if result == 0 { exit(0) }
    return result
  }
  private static let trace = Attempt(name: "be traced") { call(SYS_ptrace, 0) }
  private static let signalParent = Attempt(name: "signal the parent") { call(SYS_kill, Int(getppid()), 0) }
  private static let mount = Attempt(name: "mount") { call(SYS_mount, 0, path("/tmp"), path("tmpfs")) }
  private static let makeExecutable = Attempt(name: "map executable memory") {
    call(SYS_mmap, 0, 4096, 7, 0x22)
  }
  private static let unshare = Attempt(name: "new name spaces") { call(SYS_unshare, 0x1000_0000) }
}

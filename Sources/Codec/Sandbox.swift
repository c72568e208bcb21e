internal import CLinux

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// The confinement of a process that is about to read bytes of strangers with libav.
///
/// A process that is root, or could become anybody, first takes an account that nobody else has (`takeAccount`). Then three
/// layers, each of which holds by itself:
///
/// 1. **Resources** (`restrictResources`). Every descriptor but 0 to 5, those of further inputs and outputs, and what a `Lookahead`
///    has opened is closed, and no further one can be opened;
///    memory, processor time and the size of written files have limits; no core dumps; last in line for processor and
///    disk; the process ends with the thread that started it.
/// 2. **Files and network** (`restrictFiles`): landlock, with a rule set that handles all the running kernel knows and
///    allows nothing. Needs Linux 5.13, for TCP 6.7, for signals 6.12.
/// 3. **System calls** (`restrictCalls`): a seccomp filter that lists what is *allowed*, about thirty calls: reading
///    and writing of open descriptors, memory that is not executable, locks, clocks, ending. Everything else fails with
///    EPERM: there is no open, socket, exec, clone (so no thread either), ptrace, mount, or signal to another. It is a
///    list of what is allowed because the work is narrow enough for one; it fails softly so that a call that a
///    newer C library tries first does not end the process. Calls of a foreign architecture do end it.
///
/// The order is 3 last, for it forbids the making of the others. Nothing can be taken back.
public enum Sandbox {
  /// What the process may use.
  public struct Limits: Sendable, Equatable {
    /// Address space, in bytes; libraries and file mappings count.
    public var memoryBytes: UInt64 = 2 << 30
    public var cpuSeconds: UInt64 = 1800
    /// Largest file that it may write, in bytes.
    public var outputBytes: UInt64 = 1 << 40
    /// How far it stands back behind others for the processor, 0 to 19.
    public var nice: Int32 = 10
    /// Whether it gets processor and disk only while nobody else wants them, whatever `nice` says.
    public var runsWhenIdle = false

    public init() {}
  }

  /// What the running kernel does not offer.
  public enum Missing: String, Sendable {
    case landlock
    case seccomp
    /// The process stays root: it lacks a capability to become somebody else, or to be killed then.
    case account
  }

  /// The account and all three layers. Call it while the process has one thread.
  /// - Parameter allowsThreads: for encoders that can't do without: threads may be started, processes may not.
  /// - Returns: the layers that could not be put up; the others are.
  public static func enter(
    _ limits: Limits, _ descriptors: MediaDescriptors = MediaDescriptors(), allowsThreads: Bool = false
  ) -> [Missing] {
    var missing: [Missing] = []
    if !takeAccount() { missing.append(.account) }
    if !restrictFiles() { missing.append(.landlock) }
    restrictResources(limits, descriptors)
    if !restrictCalls(allowsThreads: allowsThreads) { missing.append(.seccomp) }
    return missing
  }

  /// - Returns: false where the process stays root.
  public static func takeAccount() -> Bool { clinux_own_account() == 0 }

  public static func restrictFiles() -> Bool {
    // Both filters need this promise from a process without privileges.
    _ = clinux_no_new_privileges()
    return clinux_landlock_nothing() == 0
  }

  /// Closes what was inherited besides.
  public static func closeAll(behind descriptors: MediaDescriptors) {
    clinux_close_from(UInt32(descriptors.end))
  }

  public static func restrictResources(
    _ limits: Limits, _ descriptors: MediaDescriptors = MediaDescriptors()
  ) {
    closeAll(behind: descriptors)
    _ = clinux_die_with_parent()
    _ = nice(limits.nice)
    _ = limits.runsWhenIdle ? clinux_run_when_idle() : clinux_last_in_io()
    // A file at its limit then fails with EFBIG, which can be reported.
    signal(SIGXFSZ, SIG_IGN)
    signal(SIGPIPE, SIG_IGN)
    _ = clinux_limit(Int32(clinux_limit_core_bytes), 0)
    _ = clinux_limit(Int32(clinux_limit_files), UInt64(descriptors.end))
    // Of the user, threads included: what is left to those who may start some. It does not bind root.
    _ = clinux_limit(Int32(clinux_limit_processes), 4096)
    _ = clinux_limit(Int32(clinux_limit_memory_bytes), limits.memoryBytes)
    _ = clinux_limit(Int32(clinux_limit_cpu_seconds), limits.cpuSeconds)
    _ = clinux_limit(Int32(clinux_limit_file_bytes), limits.outputBytes)
  }

  public static func restrictCalls(allowsThreads: Bool = false) -> Bool {
    _ = clinux_no_new_privileges()
    return clinux_seccomp_compute_only(allowsThreads ? 1 : 0) == 0
  }
}

internal import CLinux
internal import Glibc

/// How much address space the process may take, RLIMIT_AS, and what is left alone where that is little.
///
/// Address space is not memory: most of it is never touched. But where it is limited, what is set aside for nothing is missing
/// elsewhere, and an allocation that finds none ends the process.
public enum AddressSpace {
  /// Of a thread, in place of the 8 MiB that are usual: no thread here goes deep.
  static let stackBytes = 1 << 20
  /// What glibc's malloc sets aside for an arena, of which it makes up to eight for each core.
  private static let arenaBytes: UInt64 = 64 << 20

  /// Nil where there is no limit.
  public static var limitBytes: UInt64? {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0, limit.rlim_cur != .max else {
      return nil
    }
    return UInt64(limit.rlim_cur)
  }

  /// Keeps malloc's arenas to a tenth of a limited address space, but for the first. To be called before threads start.
  public static func save() {
    guard let limitBytes else { return }
    _ = clinux_limit_arenas(Int32(clamping: max(1, limitBytes / (10 * arenaBytes))))
  }
}

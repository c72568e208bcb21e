internal import CLMDB
internal import Glibc

/// What went wrong in the store, and what to do about it.
///
/// `code` is stable and made for decisions; `message` is one sentence for people and names neither paths nor
/// content; `context` (a path or a key) is for logs only, never for replies.
public struct StoreError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The class of an error: an open set, so that new codes break nobody.
  public struct Code: RawRepresentable, Hashable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    /// Disk, quota or index map is full: free space, then try again (HTTP 507).
    public static let full = Code(rawValue: "full")
    /// The asset, file or table named is not there (HTTP 404).
    public static let notFound = Code(rawValue: "not-found")
    /// A blob that a draft names is not in the store, because it never was or was collected: stage it again.
    public static let blobMissing = Code(rawValue: "blob-missing")
    /// Somebody else changed the thing meanwhile: read again, then retry (HTTP 409).
    public static let conflict = Code(rawValue: "conflict")
    /// What was sent is not what its sender says it is (HTTP 422).
    public static let digestMismatch = Code(rawValue: "digest-mismatch")
    /// Stored bytes are not what was stored: run scrub, restore from elsewhere.
    public static let damaged = Code(rawValue: "damaged")
    /// A system call failed; `underlying` is its errno.
    public static let io = Code(rawValue: "io")
    /// The caller's value breaks a documented limit or rule.
    public static let invalid = Code(rawValue: "invalid")
    /// The index is already open in this process.
    public static let locked = Code(rawValue: "locked")
    /// Every reader slot is in use: raise `maximumReaders` or use fewer readers.
    public static let busy = Code(rawValue: "busy")
    /// The store was written by a newer version, or with other settings, than this process can use.
    public static let incompatible = Code(rawValue: "incompatible")
    /// The folder cannot hold a store: not writable, or spread over several filesystems.
    public static let unsuitable = Code(rawValue: "unsuitable")
  }

  public let code: Code
  /// The step that failed, for example `commit` or `fsync blob`.
  public let operation: String
  /// errno (positive) or LMDB code (negative); 0 where neither applies.
  public let underlying: Int32
  public let message: String
  /// Path or key concerned; empty where there is none.
  public let context: String

  public init(
    _ code: Code, operation: String, underlying: Int32 = 0, message: String, context: String = ""
  ) {
    self.code = code
    self.operation = operation
    self.underlying = underlying
    self.message = message
    self.context = context
  }

  public var description: String {
    var text = "\(operation): \(message) [\(code.rawValue)"
    if underlying != 0 { text += ", \(underlying)" }
    text += "]"
    return context.isEmpty ? text : text + " (\(context))"
  }
}

extension StoreError {
  /// The error of a failed system call.
  static func system(_ number: Int32, operation: String, path: String = "") -> StoreError {
    let text = String(cString: strerror(number))
    switch number {
    case ENOSPC, EDQUOT:
      return StoreError(
        .full, operation: operation, underlying: number,
        message: "no space is left on the storage filesystem: free some, then try again", context: path)
    case ENOENT:
      return StoreError(
        .notFound, operation: operation, underlying: number, message: "no such file", context: path)
    case EACCES, EPERM, EROFS:
      return StoreError(
        .io, operation: operation, underlying: number,
        message: "\(text): check owner, mode and mount of the storage folder", context: path)
    case EMFILE, ENFILE:
      return StoreError(
        .io, operation: operation, underlying: number,
        message: "\(text): raise the limit of open files", context: path)
    default:
      return StoreError(
        .io, operation: operation, underlying: number,
        message: "\(text): see the kernel log and the health of the disk", context: path)
    }
  }

  static func invalid(_ operation: String, _ message: String, context: String = "") -> StoreError {
    StoreError(.invalid, operation: operation, message: message, context: context)
  }

  static func damagedRecord(_ what: String) -> StoreError {
    StoreError(
      .damaged, operation: "decode \(what)",
      message: "the stored record cannot be read: run scrub, then publish it again or restore the index")
  }

  /// The error of a failed LMDB call. Without WRITEMAP a full disk shows as EIO (a short write), so the
  /// filesystem is asked how much room it has before EIO is believed.
  static func index(_ number: Int32, operation: String, path: String) -> StoreError {
    func make(_ code: Code, _ message: String) -> StoreError {
      StoreError(code, operation: operation, underlying: number, message: message, context: path)
    }
    switch number {
    case MDB_MAP_FULL:
      return make(.full, "the index map is full: remove assets or raise the index map size, then try again")
    case MDB_TXN_FULL:
      return make(.full, "the change is too large for one transaction: split it")
    case MDB_READERS_FULL:
      return make(.busy, "every reader slot of the index is taken: raise the number of readers")
    case MDB_MAP_RESIZED:
      return make(
        .incompatible, "another process uses a larger index map: give both the same map size and restart")
    case MDB_VERSION_MISMATCH:
      return make(.incompatible, "the index file has another LMDB format than this program uses")
    case MDB_INVALID, MDB_CORRUPTED, MDB_PAGE_NOTFOUND:
      return make(.damaged, "the index is damaged: stop all processes, then run headwater index restore")
    case MDB_PANIC:
      return make(.io, "an earlier write to the index failed half way: restart this process")
    case MDB_KEYEXIST: return make(.conflict, "the key exists")
    case MDB_NOTFOUND: return make(.notFound, "no such record")
    case MDB_BAD_VALSIZE: return make(.invalid, "the key is empty or longer than 511 bytes")
    case EIO where Disk.isNearlyFull(path):
      return make(.full, "no space is left on the storage filesystem: free some, then try again")
    case let positive where positive > 0:
      return system(positive, operation: operation, path: path)
    default: return make(.io, String(cString: mdb_strerror(number)))
    }
  }
}

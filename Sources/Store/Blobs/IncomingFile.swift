internal import Glibc

/// A temporary file in `incoming/`, held under an exclusive `flock` for as long as its writer lives.
///
/// The lock is how processes tell a file at work from a leftover: the kernel drops it when the writer dies, by
/// whatever signal. Creating and locking are two steps, and a cleaner may come between; it then removes the name
/// while it holds the lock, so a writer that gets the lock checks that the file still has a name, and if not
/// starts again.
struct IncomingFile: ~Copyable, Sendable {
  static let suffix = ".part"

  let descriptor: Descriptor
  let path: String

  init(folder: String) throws(StoreError) {
    while true {
      let path =
        "\(folder)/\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))\(IncomingFile.suffix)"
      let descriptor = try Disk.open(path, O_RDWR | O_CREAT | O_EXCL, operation: "create temporary file")
      while flock(descriptor.number, LOCK_EX) != 0 {
        let failure = errno
        if failure != EINTR {
          unlink(path)
          throw .system(failure, operation: "lock temporary file", path: path)
        }
      }
      if try Disk.status(descriptor, path: path).linkCount > 0 {
        self.descriptor = descriptor
        self.path = path
        return
      }
    }
  }

  // Removes the name; after a successful install or rename there is none left, and nothing happens.
  deinit { unlink(path) }
}

/// A file in `incoming/` for bytes that are not yet what becomes a blob, such as the output of another program.
///
/// Gone when the last reference goes, or with the next start of any process where this one died.
public final class TemporaryFile: Sendable {
  private let file: IncomingFile
  public var path: String { file.path }
  /// Open for reading and writing, as long as this lives. Do not close it.
  public var descriptor: Int32 { file.descriptor.number }

  init(_ file: consuming IncomingFile) { self.file = file }
}

extension BlobStore {
  /// An empty file on the storage file system.
  public func makeTemporaryFile() throws(StoreError) -> TemporaryFile {
    TemporaryFile(try IncomingFile(folder: incomingPath))
  }

  /// Removes temporary files whose writers are dead, whichever process they belonged to.
  ///
  /// Only `*.part` files directly in `incoming/` are touched. Returns how many were removed.
  @discardableResult
  public func removeLeftovers() throws(StoreError) -> Int {
    var removed = 0
    for name in try Disk.names(in: incomingPath) where name.hasSuffix(IncomingFile.suffix) {
      let path = "\(incomingPath)/\(name)"
      let file: Descriptor
      do throws(StoreError) {
        file = try Disk.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, operation: "open leftover")
      } catch {
        if error.code == .notFound { continue }
        throw error
      }
      guard flock(file.number, LOCK_EX | LOCK_NB) == 0 else { continue }
      if try Disk.remove(path) { removed += 1 }
    }
    return removed
  }
}

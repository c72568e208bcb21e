internal import Glibc

// How a dead worker is told from one that lives
// ---------------------------------------------
// A process that claims jobs holds an empty temporary file in incoming/ (see IncomingFile.swift), and its name is part of
// the owner of those jobs. The kernel lets go of the file's lock when the process dies, by whatever signal: who gets the lock,
// or finds no file, knows that nobody works on the job any more, without waiting for the lease. Process ids could not tell:
// they come again, and mean something else in another container on the same storage.
//
// A process that is stopped (SIGSTOP, a suspended machine) keeps its lock; of that only the lease tells.

/// That this process works on jobs, for as long as this lives.
public final class WorkerPresence: Sendable {
  private let file: TemporaryFile
  /// `host/process/`, to which the number of the worker is added to own a job.
  public let prefix: String

  init(_ file: TemporaryFile) {
    self.file = file
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let process = file.path.split(separator: "/").last.map { $0.dropLast(IncomingFile.suffix.utf8.count) }
    // Only the slashes have a meaning.
    prefix = "\(host.replacing("/", with: "-"))/\(process ?? "")/"
  }

  /// The owner that one of the workers of this process is.
  public func owner(worker: Int) -> String { prefix + "\(worker)" }

  /// Whether the process behind an owner of a job of this store is dead for certain.
  static func isDead(_ owner: String, incomingPath: String) -> Bool {
    let parts = owner.split(separator: "/", omittingEmptySubsequences: false)
    // Owners of another form are left to their leases.
    guard parts.count == 3, !parts[1].isEmpty, !parts[1].hasPrefix(".") else { return false }
    let path = "\(incomingPath)/\(parts[1])\(IncomingFile.suffix)"
    let number = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard number >= 0 else { return errno == ENOENT }
    defer { close(number) }
    return flock(number, LOCK_EX | LOCK_NB) == 0
  }
}

extension Store {
  /// Makes this process known as one that works on jobs.
  public func makeWorkerPresence() throws(StoreError) -> WorkerPresence {
    WorkerPresence(try blobs.makeTemporaryFile())
  }
}

internal import Glibc

/// A file descriptor with one owner, closed when that owner goes.
struct Descriptor: ~Copyable, Sendable {
  let number: Int32

  init(adopting number: Int32) { self.number = number }

  deinit { close(number) }
}

/// What `stat` says, as far as the store asks.
struct FileStatus: Equatable {
  var device: UInt64
  var inode: UInt64
  var linkCount: UInt64
  var sizeBytes: UInt64
  var modifiedMilliseconds: Int64
  /// Seconds and nanoseconds of the last change of content.
  var modifiedSeconds: Int
  var modifiedNanoseconds: Int
  var isRegular: Bool
  var isDirectory: Bool

  init(_ raw: stat) {
    device = UInt64(raw.st_dev)
    inode = UInt64(raw.st_ino)
    linkCount = UInt64(raw.st_nlink)
    sizeBytes = UInt64(clamping: raw.st_size)
    modifiedSeconds = raw.st_mtim.tv_sec
    modifiedNanoseconds = raw.st_mtim.tv_nsec
    modifiedMilliseconds = Int64(raw.st_mtim.tv_sec) &* 1000 &+ Int64(raw.st_mtim.tv_nsec / 1_000_000)
    isRegular = raw.st_mode & S_IFMT == S_IFREG
    isDirectory = raw.st_mode & S_IFMT == S_IFDIR
  }
}

/// System calls as typed throws. A failed `fsync` is an error and is never tried again: after it the kernel
/// may have dropped the dirty pages, so a second, successful call would prove nothing.
enum Disk {
  static func open(
    _ path: String, _ flags: Int32, mode: mode_t = 0o600, operation: String
  ) throws(StoreError) -> Descriptor {
    while true {
      let number = Glibc.open(path, flags | O_CLOEXEC, mode)
      if number >= 0 { return Descriptor(adopting: number) }
      let failure = errno
      if failure != EINTR { throw .system(failure, operation: operation, path: path) }
    }
  }

  /// Writes all bytes, however many calls that takes.
  static func write(
    _ bytes: UnsafeRawBufferPointer, to file: borrowing Descriptor, path: String
  ) throws(StoreError) {
    var rest = bytes
    while !rest.isEmpty {
      let count = Glibc.write(file.number, rest.baseAddress, rest.count)
      if count > 0 {
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
      } else {
        let failure = count == 0 ? ENOSPC : errno
        if failure != EINTR { throw .system(failure, operation: "write", path: path) }
      }
    }
  }

  /// Reads up to a buffer full; 0 means the end.
  static func read(
    _ file: borrowing Descriptor, into buffer: UnsafeMutableRawBufferPointer, path: String
  ) throws(StoreError) -> Int {
    while true {
      let count = Glibc.read(file.number, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      let failure = errno
      if failure != EINTR { throw .system(failure, operation: "read", path: path) }
    }
  }

  /// Reads at an offset until the buffer is full or the file ends; returns how many bytes.
  static func read(
    _ file: Int32, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(StoreError) -> Int {
    guard offset < UInt64(Int64.max), let base = buffer.baseAddress else { return 0 }
    var done = 0
    while done < buffer.count {
      let count = pread(file, base + done, buffer.count - done, off_t(offset) &+ off_t(done))
      if count > 0 {
        done += count
      } else if count == 0 {
        break
      } else {
        let failure = errno
        if failure != EINTR { throw .system(failure, operation: "read blob") }
      }
    }
    return done
  }

  static func sync(_ file: borrowing Descriptor, path: String) throws(StoreError) {
    if fsync(file.number) != 0 { throw .system(errno, operation: "fsync", path: path) }
  }

  /// Waits for the exclusive lock of an open file or folder; closing it lets go.
  static func lock(_ file: borrowing Descriptor, path: String) throws(StoreError) {
    while flock(file.number, LOCK_EX) != 0 {
      let failure = errno
      if failure != EINTR { throw .system(failure, operation: "lock", path: path) }
    }
  }

  /// Lets go of the lock; harmless where none is held.
  static func unlock(_ file: borrowing Descriptor) { flock(file.number, LOCK_UN) }

  /// Makes the names in a directory durable.
  static func syncDirectory(_ path: String) throws(StoreError) {
    let directory = try open(path, O_RDONLY | O_DIRECTORY, operation: "open directory")
    try sync(directory, path: path)
  }

  /// Makes a directory; one that exists is as good. Returns whether it was made.
  @discardableResult
  static func makeDirectory(_ path: String) throws(StoreError) -> Bool {
    if mkdir(path, 0o755) == 0 { return true }
    let failure = errno
    guard failure == EEXIST, try status(path)?.isDirectory == true else {
      throw .system(failure, operation: "make directory", path: path)
    }
    return false
  }

  /// Links a second name to a file; `false` where that name exists.
  static func link(_ from: String, to: String) throws(StoreError) -> Bool {
    if Glibc.link(from, to) == 0 { return true }
    let failure = errno
    if failure == EEXIST { return false }
    throw .system(failure, operation: "link", path: to)
  }

  /// Renames over whatever has the new name.
  static func rename(_ from: String, to: String) throws(StoreError) {
    if Glibc.rename(from, to) != 0 { throw .system(errno, operation: "rename", path: to) }
  }

  /// Removes a name; `false` where there was none.
  @discardableResult
  static func remove(_ path: String) throws(StoreError) -> Bool {
    if unlink(path) == 0 { return true }
    let failure = errno
    if failure == ENOENT { return false }
    throw .system(failure, operation: "remove", path: path)
  }

  /// Status of a path, `nil` where nothing is there.
  static func status(_ path: String) throws(StoreError) -> FileStatus? {
    var raw = stat()
    if stat(path, &raw) == 0 { return FileStatus(raw) }
    let failure = errno
    if failure == ENOENT || failure == ENOTDIR { return nil }
    throw .system(failure, operation: "stat", path: path)
  }

  static func status(_ file: borrowing Descriptor, path: String) throws(StoreError) -> FileStatus {
    var raw = stat()
    if fstat(file.number, &raw) != 0 { throw .system(errno, operation: "stat", path: path) }
    return FileStatus(raw)
  }

  /// Names in a directory, sorted, without `.` and `..`; none where the directory is not there.
  static func names(in path: String) throws(StoreError) -> [String] {
    guard let stream = opendir(path) else {
      let failure = errno
      if failure == ENOENT { return [] }
      throw .system(failure, operation: "list directory", path: path)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        let failure = errno
        if failure != 0 { throw .system(failure, operation: "list directory", path: path) }
        break
      }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    names.sort()
    return names
  }

  /// Whether a filesystem has so little room left that a short write means "full".
  static func isNearlyFull(_ path: String) -> Bool {
    var raw = statvfs()
    guard statvfs(path, &raw) == 0 else { return false }
    return UInt64(raw.f_bavail).multipliedReportingOverflow(by: UInt64(raw.f_frsize)).partialValue < 1 << 20
  }

  /// A clock that only goes forward, for measuring.
  static func monotonicNanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// Wall clock, milliseconds since 1970.
  static func nowMilliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec / 1_000_000)
  }
}

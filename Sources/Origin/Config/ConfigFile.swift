import Glibc

/// Reads small files and folders through the C library, so that a configuration loads without Foundation.
enum ConfigFile {
  /// The largest configuration file, and the largest secret, that is read: 1 MiB.
  static let largestBytes = 1 << 20

  struct Failure: Error, Equatable {
    let isMissing: Bool
    /// Continues "cannot be read: ".
    let reason: String

    init(errno code: Int32) {
      isMissing = code == ENOENT || code == ENOTDIR
      reason = String(cString: strerror(code))
    }

    init(reason: String) {
      isMissing = false
      self.reason = reason
    }
  }

  struct Content {
    let bytes: [UInt8]
    /// Every user of the machine may read it.
    let isWorldReadable: Bool
  }

  static func read(_ path: String) throws(Failure) -> Content {
    // Without O_NONBLOCK a named pipe in place of the file would hang the start.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Failure(errno: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Failure(errno: errno) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw Failure(reason: "it is not a regular file") }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Failure(errno: errno) }
      if count == 0 { break }
      bytes.append(contentsOf: chunk[..<count])
      guard bytes.count <= largestBytes else { throw Failure(reason: "it is larger than 1MiB") }
    }
    return Content(bytes: bytes, isWorldReadable: status.st_mode & S_IROTH != 0)
  }

  /// The names in a folder that fit `pattern`, without hidden ones, in byte order.
  static func names(in folder: String, matching pattern: String) throws(Failure) -> [String] {
    guard let stream = opendir(folder.isEmpty ? "." : folder) else { throw Failure(errno: errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
        String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
      }
      if !name.hasPrefix("."), ConfigPathText.matches(name, pattern: pattern) { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  static func workingFolder() -> String {
    guard let path = getcwd(nil, 0) else { return "/" }
    defer { free(path) }
    return String(cString: path)
  }
}

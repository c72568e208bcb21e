/// File paths as text: joined and cut without asking the file system.
enum ConfigPathText {
  /// `etc` of `etc/headwater.toml`, `/` of `/a.toml`, nothing of `a.toml`.
  static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "" }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// `headwater.toml` of `etc/headwater.toml`.
  static func name(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
  }

  /// `path` as seen from `folder`; absolute paths stay as they are.
  static func join(_ folder: String, _ path: String) -> String {
    if path.hasPrefix("/") || folder.isEmpty { return path }
    return folder.hasSuffix("/") ? folder + path : folder + "/" + path
  }

  /// Where `storage` and log files lie: the folder that holds `etc`, or else the configuration file's own folder.
  ///
  /// - Parameter workingFolder: absolute; only used to find out what a relative path without a folder is in.
  static func base(ofConfiguration path: String, workingFolder: String) -> String {
    let folder = folder(of: path)
    let parts = resolved(join(workingFolder, folder.isEmpty ? "." : folder))
    guard parts.last == "etc" else { return folder }
    if path.hasPrefix("/") { return "/" + parts.dropLast().joined(separator: "/") }
    let isPlain = !folder.isEmpty && !folder.split(separator: "/").contains { $0 == "." || $0 == ".." }
    guard isPlain else { return join(folder, "..") }
    return self.folder(of: folder)
  }

  /// The names on the way, without `.` and `..`.
  private static func resolved(_ path: String) -> [Substring] {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == ".." {
        _ = parts.popLast()
      } else {
        parts.append(part)
      }
    }
    return parts
  }

  /// Whether `name` fits a pattern in which each `*` stands for any run of bytes.
  ///
  /// Complexity: at most the product of the lengths.
  static func matches(_ name: String, pattern: String) -> Bool {
    let name = Array(name.utf8)
    let pattern = Array(pattern.utf8)
    let star = UInt8(ascii: "*")
    var position = 0
    var next = 0
    var resume: (pattern: Int, name: Int)?
    while position < name.count {
      if next < pattern.count, pattern[next] == star {
        resume = (next + 1, position)
        next += 1
      } else if next < pattern.count, pattern[next] == name[position] {
        next += 1
        position += 1
      } else if let (afterStar, taken) = resume {
        resume = (afterStar, taken + 1)
        next = afterStar
        position = taken + 1
      } else {
        return false
      }
    }
    return pattern[next...].allSatisfy { $0 == star }
  }
}

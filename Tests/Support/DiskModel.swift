internal import Foundation

// What a power cut may leave of a folder
// --------------------------------------
// The model is as hostile as POSIX allows a disk to be, and more than ext4 or XFS are:
//
//   - bytes of a file are safe once the file was synced, or when written through O_DSYNC; of others any, in pieces of
//     512 bytes, may be there, or be zeros, or the file may end before them;
//   - a name (create, link, rename, unlink, mkdir) is safe once its folder was synced. Syncing a file does not make
//     its name safe. Of names that are not safe any may be there, each as a whole; a rename is one change;
//   - what lies in a folder whose own name was lost is lost with it.
//
// A cut may come between any two changes. What `lock.mdb` holds is worth nothing after one, and it is written by a
// mapping that the trace does not see: it is left out, or is zeros.

/// A folder on a disk, as far as its trace was applied: what is safe, and what is only in memory.
public struct DiskModel {
  public enum Cut: CaseIterable, Sendable {
    /// Nothing that was not synced.
    case nothingUnsynced
    /// As after `kill -9`: all that was done.
    case everything
    /// All names, and of bytes only those that were synced: files of the right length full of zeros.
    case namesWithoutBytes
    /// A part of each, by chance.
    case some
  }

  private final class File {
    var safe: [UInt8] = []
    var current: [UInt8] = []
    /// Changes since the last sync, in order.
    var pending: [Pending] = []

    enum Pending {
      case data(offset: Int, bytes: [UInt8])
      case length(Int)
    }
  }

  private enum Node {
    case file(File)
    case folder
  }

  private struct Naming {
    /// The name and what it becomes; `nil` is gone.
    var changes: [(path: String, node: Node?)]

    func concerns(folder: String) -> Bool { changes.contains { DiskModel.parent($0.path) == folder } }
  }

  private var safe: [String: Node] = [:]
  private var current: [String: Node] = [:]
  private var pending: [Naming] = []
  private var files: [UInt64: File] = [:]

  public init() {}

  public mutating func apply(_ change: DiskTrace.Change) {
    switch change {
    case .created(let path, let inode):
      let file = File()
      files[inode] = file
      name([(path, .file(file))])
    case .madeFolder(let path): if !path.isEmpty { name([(path, .folder)]) }
    case .linked(let from, let to): if let node = current[from] { name([(to, node)]) }
    case .renamed(let from, let to): if let node = current[from] { name([(from, nil), (to, node)]) }
    case .unlinked(let path): name([(path, nil)])
    case .data(let inode, let offset, let bytes, let isSynchronous):
      guard let file = files[inode] else { return }
      Self.put(bytes, at: offset, into: &file.current)
      if isSynchronous {
        Self.put(bytes, at: offset, into: &file.safe)
      } else {
        file.pending.append(.data(offset: offset, bytes: bytes))
      }
    case .truncated(let inode, let length):
      guard let file = files[inode] else { return }
      Self.resize(&file.current, to: length)
      file.pending.append(.length(length))
    case .synced(let path, let inode):
      if let file = files[inode], current[path].map({ if case .file = $0 { true } else { false } }) ?? true,
        !isFolder(path)
      {
        file.safe = file.current
        file.pending = []
      } else {
        syncFolder(path)
      }
    case .mark: break
    }
  }

  private func isFolder(_ path: String) -> Bool {
    if path.isEmpty { return true }
    if case .folder? = current[path] { return true }
    return false
  }

  private mutating func name(_ changes: [(path: String, node: Node?)]) {
    for change in changes { current[change.path] = change.node }
    pending.append(Naming(changes: changes))
  }

  /// Makes the names in a folder safe, and what was done to the same names before.
  private mutating func syncFolder(_ folder: String) {
    var needed: Set<String> = []
    var keeps: [Bool] = []
    for naming in pending.reversed() {
      let isNeeded = naming.concerns(folder: folder) || naming.changes.contains { needed.contains($0.path) }
      if isNeeded { needed.formUnion(naming.changes.map(\.path)) }
      keeps.append(isNeeded)
    }
    var rest: [Naming] = []
    for (naming, isNeeded) in zip(pending, keeps.reversed()) {
      if isNeeded {
        for change in naming.changes { safe[change.path] = change.node }
      } else {
        rest.append(naming)
      }
    }
    pending = rest
  }

  /// Writes what a cut at this point may leave into an empty folder.
  public func write(_ cut: Cut, to folder: String, using random: inout SplitMix64) throws {
    var names = cut == .nothingUnsynced ? safe : cut == .some ? safe : current
    if cut == .some {
      for naming in pending where Bool.random(using: &random) {
        for change in naming.changes { names[change.path] = change.node }
      }
    }
    var contents: [ObjectIdentifier: [UInt8]] = [:]
    let manager = FileManager.default
    for (path, node) in names.sorted(by: { $0.key < $1.key }) {
      // Sorted, so a folder comes before what lies in it; without its folder a file cannot be found.
      let parent = Self.parent(path)
      if !parent.isEmpty {
        guard case .folder? = names[parent], manager.fileExists(atPath: "\(folder)/\(parent)") else {
          continue
        }
      }
      switch node {
      case .folder:
        try manager.createDirectory(atPath: "\(folder)/\(path)", withIntermediateDirectories: false)
      case .file(let file):
        if path.hasSuffix("lock.mdb") {
          if Bool.random(using: &random) {
            try Data(count: file.current.count).write(to: URL(filePath: "\(folder)/\(path)"))
          }
          continue
        }
        let content = contents[ObjectIdentifier(file)] ?? Self.content(of: file, cut, using: &random)
        contents[ObjectIdentifier(file)] = content
        try Data(content).write(to: URL(filePath: "\(folder)/\(path)"))
      }
    }
  }

  private static func content(of file: File, _ cut: Cut, using random: inout SplitMix64) -> [UInt8] {
    switch cut {
    case .nothingUnsynced: return file.safe
    case .everything: return file.current
    case .namesWithoutBytes:
      var content = file.safe
      resize(&content, to: max(file.safe.count, file.current.count))
      return content
    case .some:
      var content = file.safe
      for change in file.pending {
        switch change {
        case .length(let length): if Bool.random(using: &random) { resize(&content, to: length) }
        case .data(let offset, let bytes):
          switch Int.random(in: 0..<4, using: &random) {
          case 0: break
          case 1: put(bytes, at: offset, into: &content)
          case 2:
            put(
              Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random))), at: offset, into: &content
            )
          default:
            var start = 0
            while start < bytes.count {
              let end = min(bytes.count, (offset + start) / 512 * 512 + 512 - offset)
              if Bool.random(using: &random) {
                put(Array(bytes[start..<end]), at: offset + start, into: &content)
              }
              start = end
            }
          }
        }
      }
      return content
    }
  }

  private static func put(_ bytes: [UInt8], at offset: Int, into content: inout [UInt8]) {
    if bytes.isEmpty { return }
    if content.count < offset + bytes.count { resize(&content, to: offset + bytes.count) }
    content.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
  }

  private static func resize(_ content: inout [UInt8], to length: Int) {
    if content.count > length { content.removeLast(content.count - length) }
    if content.count < length { content += [UInt8](repeating: 0, count: length - content.count) }
  }

  private static func parent(_ path: String) -> String {
    path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
  }
}

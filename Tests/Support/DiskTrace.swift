internal import Foundation
internal import Glibc

/// The changes of a folder in the order in which they happened, as the fault shim wrote them down, with the marks that
/// a test put between them.
public struct DiskTrace: Sendable {
  public enum Change: Sendable {
    case created(path: String, inode: UInt64)
    /// - isSynchronous: written through a descriptor with `O_DSYNC`.
    case data(inode: UInt64, offset: Int, bytes: [UInt8], isSynchronous: Bool)
    case synced(path: String, inode: UInt64)
    case truncated(inode: UInt64, length: Int)
    case linked(from: String, to: String)
    case renamed(from: String, to: String)
    case unlinked(path: String)
    case madeFolder(path: String)
    case mark(String)
  }

  public let changes: [Change]

  /// - Parameter folder: paths are given relative to it.
  public init(contentsOf path: String, below folder: String) throws {
    let data = try bytes(ofFile: path)
    var changes: [Change] = []
    var at = 0
    func number<Value: FixedWidthInteger>(_ offset: Int, as type: Value.Type) -> Value {
      data[(at + offset)..<(at + offset + MemoryLayout<Value>.size)].reversed().reduce(0) {
        $0 << 8 | Value(truncatingIfNeeded: $1)
      }
    }
    func relative(_ path: ArraySlice<UInt8>) -> String {
      let text = String(decoding: path, as: UTF8.self)
      return text.hasPrefix(folder) ? String(text.dropFirst(folder.count).drop { $0 == "/" }) : text
    }
    while at + Self.headBytes <= data.count {
      let size = Int(number(0, as: UInt32.self))
      let (pathBytes, secondBytes) = (Int(number(24, as: UInt32.self)), Int(number(28, as: UInt32.self)))
      guard size >= Self.headBytes + pathBytes + secondBytes, at + size <= data.count else {
        throw SupportError("the trace is damaged at byte \(at)")
      }
      let inode = number(8, as: UInt64.self)
      let offset = Int(number(16, as: Int64.self))
      let start = at + Self.headBytes
      let first = relative(data[start..<(start + pathBytes)])
      let second = relative(data[(start + pathBytes)..<(start + pathBytes + secondBytes)])
      let rest = Array(data[(start + pathBytes + secondBytes)..<(at + size)])
      switch data[at + 4] {
      case 1: changes.append(.created(path: first, inode: inode))
      case 2:
        changes.append(.data(inode: inode, offset: offset, bytes: rest, isSynchronous: data[at + 5] != 0))
      case 3: changes.append(.synced(path: first, inode: inode))
      case 4: changes.append(.truncated(inode: inode, length: offset))
      case 5: changes.append(.linked(from: first, to: second))
      case 6: changes.append(.renamed(from: first, to: second))
      case 7: changes.append(.unlinked(path: first))
      case 8: changes.append(.madeFolder(path: first))
      case Self.markCode: changes.append(.mark(first))
      case let code: throw SupportError("the trace has a change of kind \(code)")
      }
      at += size
    }
    self.changes = changes
  }

  private static let headBytes = 40
  private static let markCode: UInt8 = 100

  /// Writes a mark behind all that has happened so far.
  public static func mark(_ label: String, in path: String) throws {
    let text = Array(label.utf8)
    var record = [UInt8](repeating: 0, count: headBytes)
    withUnsafeBytes(of: UInt32(headBytes + text.count).littleEndian) {
      record.replaceSubrange(0..<4, with: $0)
    }
    record[4] = markCode
    withUnsafeBytes(of: UInt32(text.count).littleEndian) { record.replaceSubrange(24..<28, with: $0) }
    record += text
    let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
    guard descriptor >= 0 else { throw SupportError("cannot open \(path)") }
    defer { close(descriptor) }
    guard write(descriptor, record, record.count) == record.count else {
      throw SupportError("cannot write \(path)")
    }
  }
}

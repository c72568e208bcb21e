public import Foundation

/// A new folder of its own that is removed, with all in it, when the last reference goes.
public final class TemporaryFolder: Sendable {
  public let url: URL

  public init(_ purpose: String = "test") throws {
    url = FileManager.default.temporaryDirectory.appending(path: "headwater-\(purpose)-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit {
    // A folder that cannot be removed is left to whoever cleans the temporary folder.
    try? FileManager.default.removeItem(at: url)
  }

  /// The absolute path of `name` in this folder.
  public func path(_ name: String) -> String { url.appending(path: name).path }

  /// Writes a file, making the folders above it, and gives its absolute path.
  @discardableResult
  public func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
    let file = url.appending(path: name)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: file)
    return file.path
  }

  @discardableResult
  public func write(_ name: String, text: String) throws -> String { try write(name, text.utf8) }

  /// The same for a file that only its owner may read, as the server wants its secrets.
  @discardableResult
  public func writeSecret(_ name: String, _ text: String) throws -> String {
    let path = try write(name, text: text)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    return path
  }
}

/// The bytes of a file.
public func bytes(ofFile path: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: URL(filePath: path)))
}

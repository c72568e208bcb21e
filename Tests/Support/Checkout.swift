public import Foundation

/// Where things lie around the package that is being tested.
public enum Checkout {
  /// The package root: the folder of Package.swift.
  public static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// The program under test: `$HEADWATER_BINARY`, else the debug build of this package.
  public static let binary: String =
    ProcessInfo.processInfo.environment["HEADWATER_BINARY"]
    ?? root.appending(path: ".build/debug/headwater").path

  /// The path of a program on `PATH`, or `nil`: what a test is skipped for, with a note.
  public static func tool(_ name: String) -> String? {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
    return (folders + ["/usr/sbin", "/sbin"]).map { "\($0)/\(name)" }
      .first { FileManager.default.isExecutableFile(atPath: $0) }
  }
}

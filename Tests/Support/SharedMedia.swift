public import Foundation

/// A collection of real media files by many makers, which lies outside the package.
public enum SharedMedia {
  /// `$HEADWATER_MEDIA`, else `../shared/media` beside the package root; `nil` when there is none.
  public static let folder: URL? = {
    let named = ProcessInfo.processInfo.environment["HEADWATER_MEDIA"].map { URL(filePath: $0) }
    let folder = named ?? Checkout.root.deletingLastPathComponent().appending(path: "shared/media")
    return FileManager.default.fileExists(atPath: folder.path) ? folder : nil
  }()

  /// The note that a test prints when it is left out.
  public static let absence = "no shared media: set HEADWATER_MEDIA to their folder"

  public static func path(_ name: String) throws -> String {
    guard let folder else { throw SupportError(absence) }
    return folder.appending(path: name).path
  }
}

/// The package's own small media, made by `scripts/make-fixtures.sh` when they are absent.
public enum Fixtures {
  private static let folder: Result<URL, SupportError> = {
    do {
      let script = Checkout.root.appending(path: "scripts/make-fixtures.sh").path
      let made = try Command.run(script, timeout: .seconds(180))
      guard made.status == 0 else { return .failure(SupportError("make-fixtures.sh: \(made.errors)")) }
      return .success(Checkout.root.appending(path: "Tests/Fixtures/media"))
    } catch { return .failure(SupportError("make-fixtures.sh: \(error)")) }
  }()

  public static func path(_ name: String) throws -> String {
    let path = try folder.get().appending(path: name).path
    guard FileManager.default.fileExists(atPath: path) else { throw SupportError("no fixture \(name)") }
    return path
  }

  /// Whether a fixture that depends on how ffmpeg was built is there.
  public static func has(_ name: String) -> Bool { (try? path(name)) != nil }
}

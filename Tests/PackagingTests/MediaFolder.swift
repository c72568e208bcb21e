import Foundation
import Packaging

/// Real media that is shared outside of the repository.
enum MediaFolder {
  /// The folder named by HEADWATER_MEDIA, or `shared/media` beside the package; nil where neither is there.
  static let url: URL? = {
    let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let named = ProcessInfo.processInfo.environment["HEADWATER_MEDIA"].map { URL(filePath: $0) }
    let candidates = [named, package.deletingLastPathComponent().appending(path: "shared/media")]
    let found = candidates.compactMap { $0 }.first { FileManager.default.fileExists(atPath: $0.path()) }
    if found == nil { print("note: no media folder (HEADWATER_MEDIA); tests over real media check nothing") }
    return found
  }()

  /// Names of all media files, with `fuzz/` before those in that folder; empty without a media folder.
  static let names: [String] = {
    guard let url else { return [] }
    let manager = FileManager.default
    let top = (try? manager.contentsOfDirectory(atPath: url.path())) ?? []
    let fuzz = (try? manager.contentsOfDirectory(atPath: url.appending(path: "fuzz").path())) ?? []
    return (top.filter { $0.contains(".") && !$0.hasSuffix(".md") } + fuzz.map { "fuzz/\($0)" }).sorted()
  }()

  static func bytes(_ name: String) throws -> [UInt8]? {
    guard let url else { return nil }
    return try Array(Data(contentsOf: url.appending(path: name)))
  }

  /// The names of files that are packaged.
  static let packageable: [String] = names.filter { name in
    guard let bytes = try? bytes(name), case .packageable = MediaInspector.inspect(ArraySource(bytes)) else {
      return false
    }
    return true
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, the same on every machine.
struct ReaderRandom: RandomNumberGenerator {
  var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

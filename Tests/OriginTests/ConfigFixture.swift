import Glibc
import Origin

/// What the configuration tests share: a plugin as plugins declare themselves, folders and randomness.
enum ConfigFixture {
  /// The package's own folder.
  static let packageFolder: String = {
    let parts = #filePath.split(separator: "/").dropLast(3)
    return "/" + parts.joined(separator: "/")
  }()

  /// HEADWATER_REWRITE=1 makes the tests write what they would otherwise compare. Read the difference.
  static let rewrites = getenv("HEADWATER_REWRITE").map { String(cString: $0) == "1" } ?? false

  /// Every kind of key, in the shape of the plugin that the shipped site file shows.
  static let headers = PluginDeclaration(
    name: "headers", summary: "Sets and removes response headers by rule.",
    settings: ConfigSection(
      "headers", "Rules over response headers.",
      keys: [
        .tables(
          "rules",
          of: [
            .string(
              "class", default: nil, .oneOf("manifest", "segment", "progressive", "file", "error"),
              "What the rule is for.", example: "segment"),
            .stringTable(
              "set", names: .fieldName, values: .fieldValue, "Headers to set.",
              example: "{ \"X-Example\" = \"1\" }"
            ),
            .strings("remove", default: [], of: .fieldName, "Headers to remove.", example: ["Server"]),
          ], "In order; all that fit are applied.",
          example: "[{ class = \"segment\", set = { \"X-Example\" = \"1\" } }]")
      ]))

  static let relay = PluginDeclaration(
    name: "relay", summary: "Tells another server about changes.",
    settings: ConfigSection(
      "relay", "Where to and how often.",
      keys: [
        .string("url", default: nil, .nonEmpty, "Where to.", example: "redis://127.0.0.1:6379/0"),
        .secret("password", isRequired: false, "If the other side asks for one."),
        .size("buffer", default: "1MiB", from: "1KiB", to: "1GiB", "Held back at most.", example: "2MiB"),
        .integer("retries", default: 3, in: 0...10, "Tries after the first.", example: 5),
      ],
      sections: [
        ConfigSection(
          "pace", "How often.",
          keys: [
            .duration(
              "interval", default: "5s", from: "100ms", to: "1h", "Between two messages.", example: "1s"),
            .bool("jitter", default: true, "Spread in time."),
          ])
      ],
      validate: { table in
        table.sizeBytes("buffer") > 1 << 20 && table.integer("retries") == 0
          ? [ConfigComplaint(at: ["buffer"], "a large buffer needs retries")] : []
      }))

  static let plugins = [headers, relay]

  static func read(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "r") else { throw FileError(path: path, code: errno) }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
    return bytes
  }

  static func write(_ text: String, to path: String) throws {
    guard let file = fopen(path, "w") else { throw FileError(path: path, code: errno) }
    defer { fclose(file) }
    let bytes = Array(text.utf8)
    guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw FileError(path: path, code: errno) }
  }

  static func names(in folder: String) throws -> [String] {
    guard let stream = opendir(folder) else { throw FileError(path: folder, code: errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      names.append(
        withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    return names.filter { !$0.hasPrefix(".") }.sorted()
  }

  struct FileError: Error {
    let path: String
    let code: Int32
  }
}

/// A folder of its own for one test, gone with it.
final class ConfigFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/headwater-config-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw ConfigFixture.FileError(path: "/tmp", code: errno) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { Self.remove(path) }

  /// Writes a file and the folders on its way. Secrets keep to their owner unless `mode` says otherwise.
  @discardableResult
  func write(_ name: String, _ text: String, mode: mode_t = 0o600) throws -> String {
    var folder = path
    for part in name.split(separator: "/").dropLast() {
      folder += "/" + part
      mkdir(folder, 0o755)
    }
    let file = path + "/" + name
    try ConfigFixture.write(text, to: file)
    chmod(file, mode)
    return file
  }

  private static func remove(_ path: String) {
    for name in (try? ConfigFixture.names(in: path)) ?? [] {
      let inner = path + "/" + name
      if unlink(inner) != 0 { remove(inner) }
    }
    rmdir(path)
  }
}

/// Random numbers that follow from a seed (SplitMix64, Steele, Lea and Flood 2014).
struct ConfigRandom: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

// Which module may import which, as docs/ARCHITECTURE.md draws it:
//
//     headwater ─► Plugins/* ─► Origin ─► Packaging, HTTP   (pure: import none of ours)
//        │             │           ├────► Store
//        │             │           └────► Loop
//        │             └────────────────► Codec             (never from Origin)
//        └─► all but Codec
//
//     headwater-media ─► Codec ─► Packaging                 (libav, in a process of its own)
//
// Both the `import` lines of every file and the dependencies that Package.swift declares are held to it.

import Testing

@Suite struct ModuleArrowsTests {
  static let allowed: [String: Set<String>] = [
    "HTTP": [],
    "Packaging": [],
    "Loop": ["CLibUV", "CLinux"],
    "Store": ["CLMDB", "COpenSSL", "CLinux"],
    "Net": ["Loop", "CCurl", "CHiredis", "COpenSSL", "CLinux"],
    "Codec": ["CLibAV", "CLinux", "Packaging"],
    "Origin": ["HTTP", "Packaging", "Store", "Loop", "Net", "COpenSSL", "CNGHTTP2", "CLinux"],
    "headwater": ["Origin", "HTTP", "Packaging", "Store", "Loop", "Net"],
    "headwater-media": ["Codec", "Packaging", "CLinux"],
  ]

  /// What any plugin may import; no plugin is among it.
  static let allowedToPlugins: Set<String> = ["Origin", "HTTP", "Packaging", "Store", "Loop", "Net", "Codec"]

  /// Modules that come from elsewhere, and who may import them. The pure modules get by without the C library.
  static let foreign: [String: Set<String>] = [
    "Glibc": ["Loop", "Store", "Net", "Origin", "Codec", "headwater", "headwater-media"],
    "Musl": ["Codec", "headwater-media"],
    // Only the command lines: the server itself gets by without it.
    "Foundation": ["headwater", "headwater-media"],
    // JSON from the program that reads other containers.
    "FoundationEssentials": ["Origin", "Codec", "headwater-media"],
    "Synchronization": ["Loop", "Store", "Net", "Origin", "headwater"],
    "Logging": ["Origin", "headwater"],
    "TOMLKit": ["Origin"],
    "ArgumentParser": ["headwater"],
  ]

  struct Import: Equatable {
    let file: String
    let line: Int
    let module: String
    let access: String
  }

  /// The import lines of a Swift source; comments and texts over several lines are left out.
  static func imports(in text: String, file: String) -> [Import] {
    var found: [Import] = []
    var inText = false
    var depth = 0
    for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      defer {
        if line.split(separator: "\"\"\"", omittingEmptySubsequences: false).count % 2 == 0 {
          inText.toggle()
        }
      }
      if inText { continue }
      if line.contains("/*") { depth += 1 }
      if line.contains("*/") { depth -= 1 }
      var words = line.split(separator: " ").map(String.init).filter { !$0.isEmpty }
      while words.first?.hasPrefix("@") == true { words.removeFirst() }
      var access = "internal"
      if let first = words.first, ["public", "package", "internal", "fileprivate", "private"].contains(first)
      {
        access = first
        words.removeFirst()
      }
      guard depth == 0, words.first == "import", words.count > 1 else { continue }
      let kinds = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
      guard let path = kinds.contains(words[1]) ? words.dropFirst(2).first : words[1] else { continue }
      let module = path.split(separator: ".").first.map(String.init) ?? path
      found.append(Import(file: file, line: number + 1, module: module, access: access))
    }
    return found
  }

  /// What is wrong with one import in a module; nil when nothing is.
  static func complaint(_ found: Import, in module: String, isPlugin: Bool) -> String? {
    let name = found.module
    let place = "\(found.file):\(found.line): \(module) imports \(name)"
    if name.hasPrefix("C"), name.dropFirst().first?.isUppercase == true, found.access == "public" {
      return "\(place) publicly: no C type may stand in a public signature"
    }
    if isPlugin {
      if name.hasSuffix("Plugin") { return "\(place): plugins share through Origin" }
      let isForeign = ["Logging", "Synchronization", "Glibc"].contains(name)
      return allowedToPlugins.contains(name) || isForeign ? nil : place
    }
    if let allowed = allowed[module], allowed.contains(name) { return nil }
    if let allowed = foreign[name], allowed.contains(module) { return nil }
    if module == "headwater", name.hasSuffix("Plugin") { return nil }
    return place
  }

  private static func swiftFiles(in folder: String) throws -> [String] {
    try ConfigFixture.names(in: folder).flatMap { name -> [String] in
      if name.hasSuffix(".swift") { return ["\(folder)/\(name)"] }
      return (try? swiftFiles(in: "\(folder)/\(name)")) ?? []
    }
  }

  /// Every folder of sources: its module, whether it is a plugin, its files.
  private static func modules() throws -> [(name: String, isPlugin: Bool, files: [String])] {
    let root = ConfigFixture.packageFolder
    let sources = try ConfigFixture.names(in: root + "/Sources").map { name in
      (name, false, try swiftFiles(in: "\(root)/Sources/\(name)"))
    }
    let plugins = try ConfigFixture.names(in: root + "/Plugins").map { name in
      ("\(name)Plugin", true, (try? swiftFiles(in: "\(root)/Plugins/\(name)")) ?? [])
    }
    return (sources + plugins).filter { !$0.2.isEmpty }
  }

  @Test func everyImportPointsTheRightWay() throws {
    let modules = try Self.modules()
    #expect(modules.count >= 6 && modules.contains { $0.isPlugin })
    var count = 0
    for module in modules {
      #expect(module.isPlugin || Self.allowed[module.name] != nil, "\(module.name) has no place in the table")
      for path in module.files {
        let text = String(decoding: try ConfigFixture.read(path), as: UTF8.self)
        let name = String(path.dropFirst(ConfigFixture.packageFolder.count + 1))
        for found in Self.imports(in: text, file: name) {
          count += 1
          if let complaint = Self.complaint(found, in: module.name, isPlugin: module.isPlugin) {
            Issue.record("\(complaint)")
          }
        }
      }
    }
    #expect(count > 100, "import lines were found")
  }

  // MARK: Package.swift

  /// The dependencies of each target, from the lines `module("X", […])`, `plugin("X", […])` and `name: "headwater"`.
  static func declared(in manifest: String) -> [String: Set<String>] {
    var declared: [String: Set<String>] = [:]
    let text = manifest.split(separator: "\n").filter {
      !$0.drop { $0 == " " }.hasPrefix("//")
    }.joined(separator: "\n")
    func quoted(_ text: Substring) -> [String] {
      text.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
        .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }
    for (opening, suffix) in [(" module(", ""), (" plugin(", "Plugin"), (".executableTarget(", "")] {
      var rest = text[...]
      while let start = rest.firstRange(of: opening) {
        rest = rest[start.upperBound...]
        // Up to the parenthesis that closes the call.
        var depth = 1
        let end = rest.firstIndex { character in
          if character == "(" { depth += 1 }
          if character == ")" { depth -= 1 }
          return depth == 0
        }
        guard let end else { break }
        let call = rest[..<end]
        let list =
          call.firstIndex(of: "[").flatMap { open in
            call[open...].firstIndex(of: "]").map { call[open..<$0] }
          } ?? ""
        if let name = quoted(call).first, !call.contains("_ name") {
          declared[name + suffix] = Set(quoted(list))
        }
        rest = rest[end...]
      }
    }
    return declared
  }

  @Test func packageDeclaresTheSameArrows() throws {
    let manifest = String(
      decoding: try ConfigFixture.read(ConfigFixture.packageFolder + "/Package.swift"), as: UTF8.self)
    let declared = Self.declared(in: manifest)
    #expect(declared["HTTP"] == [] && declared["Packaging"] == [])
    #expect(declared["Origin"]?.contains("HTTP") == true, "the manifest was read")
    for module in try Self.modules() {
      // A target that is not built has no arrows; that its files keep to the table is tested above.
      guard let names = declared[module.name] else { continue }
      let mayImport = module.isPlugin ? Self.allowedToPlugins : Self.allowed[module.name] ?? []
      for name in names where !mayImport.contains(name) {
        let isItsPlugin = module.name == "headwater" && name.hasSuffix("Plugin")
        #expect(isItsPlugin, "Package.swift: \(module.name) depends on \(name)")
      }
      var imported: Set<String> = []
      for path in module.files {
        let text = String(decoding: try ConfigFixture.read(path), as: UTF8.self)
        imported.formUnion(Self.imports(in: text, file: path).map(\.module))
      }
      #expect(names.subtracting(imported).isEmpty, "Package.swift: \(module.name) needs no such dependency")
    }
  }

  // MARK: The check can fail

  @Test(arguments: [
    ("import Store", "HTTP", false), ("import Glibc", "HTTP", false),
    ("import Foundation", "Packaging", false),
    ("import Glibc", "Packaging", false), ("@testable import Codec", "Origin", false),
    ("internal import CLibAV", "Origin", false), ("public import CLMDB", "Store", false),
    ("import Origin", "Store", false), ("import struct Origin.Site", "Loop", false),
    ("import OtherPlugin", "HeadersPlugin", true), ("import HeadersPlugin", "Origin", false),
    ("import CLMDB", "HeadersPlugin", true), ("import Origin", "Unheard", false),
  ])
  func wrongArrowsAreFound(line: String, module: String, isPlugin: Bool) throws {
    let found = try #require(Self.imports(in: "// a comment\n\(line)\n", file: "File.swift").first)
    #expect(found.line == 2)
    #expect(Self.complaint(found, in: module, isPlugin: isPlugin) != nil)
  }

  @Test func onlyImportLinesCount() {
    let text = """
      // import Codec
      /*
      import Codec
      */
      let text = "import Codec"
      public import Store
      import func Glibc.open
      """
    let found = Self.imports(in: text, file: "f").map { "\($0.access) \($0.module)" }
    #expect(found == ["public Store", "internal Glibc"])
  }

  @Test func theManifestIsReadCallByCall() {
    let manifest = """
      func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {}
          module("A"),
          module("B", ["A", logging]),
          plugin("C", ["B"]),
          .executableTarget(
            name: "d", dependencies: ["A",
             "CPlugin"], path: "x"),
      """
    #expect(Self.declared(in: manifest) == ["A": [], "B": ["A"], "CPlugin": ["B"], "d": ["A", "CPlugin"]])
  }
}
